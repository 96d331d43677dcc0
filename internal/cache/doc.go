// Package cache holds every cache of the system.
//
// A [Cache] is a loading cache: bounded, filled by loads of which at most one per key is in flight, and free of background
// goroutines but those loads. What an entry may be used for is decided when it is read, by rules over a stamp that the reader
// brings: the time, and the versions of the data that it knows of. The stamp is taken before the load, so a load never looks
// newer than it is. Three rules cover the cases:
//
//   - Fresh: the entry may be served. Time to live, invalidation by version and read-your-writes are conditions on the stamp.
//   - RefreshDue: the entry is served, and loaded again in the background (refresh ahead; where Fresh lasts longer than that,
//     stale while revalidate).
//   - otherwise the reader waits for a load. While the source is down, it is served the last known value, marked as stale.
//
// A cache is built from one declaration, its [Spec]. The [Group] of a service collects its caches: it registers their metrics,
// runs their loads, closes them, and lists the declarations, which a test compares with the table in docs/architecture.md.
//
// [Results] caches computations by what they cost. A [Batcher] lets loads of single keys share calls. A [Breaker] remembers that a
// source could not be reached.
package cache
