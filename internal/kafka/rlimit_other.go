//go:build !linux

package kafka

// limitData: there is no such limit here; watchMemory is the only one.
func limitData(int64) {}
