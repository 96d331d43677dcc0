package search

// Index finds films. It is safe for concurrent use; readers never wait for writers.
type Index struct{}

// New returns an index without films.
func New() *Index { return &Index{} }

// Apply puts and deletes films; the next query sees all of them. Of several changes of one film in
// one call the last one counts.
func (x *Index) Apply(changes []Change) {}

// SetVotes sets the number of ratings of films by their ids. Ids that no film has are ignored.
func (x *Index) SetVotes(votes map[string]int32) {}

// Search answers a query.
func (x *Index) Search(q Query) Result { return Result{} }

// Similar returns the films most like one; ok is false if there is no such film.
func (x *Index) Similar(id string, limit int) (like []Neighbour, ok bool) { return nil, false }

// Stats counts the catalogue.
func (x *Index) Stats() Stats { return Stats{} }
