//go:build servers

package bench_test

import "testing"

// BenchmarkWritesMariaDB measures synchronous writes on MariaDB, each durable when it is answered.
func BenchmarkWritesMariaDB(b *testing.B) {
	s := startServers(b, 1<<30, redoLog)
	ratings, movies := newWriters(b, func(what string) string {
		_, url, _ := s.database(b, what)
		return url
	})
	for b.Loop() {
		compareWrites(b, ratings, "MariaDB", 5, nil, nil)
		compareWrites(b, movies, "MariaDB", 5, nil, nil)
	}
}
