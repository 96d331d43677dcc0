package client

// Shrink makes the load smaller than the demo is.
func (o *DemoOptions) Shrink(users, ratings int) { o.size = demoSize{users, ratings} }
