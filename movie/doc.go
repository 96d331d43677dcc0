// Package movie answers what a viewer asks: a film together with what people think of it.
//
// It owns only the composition. Films come from the metadata service (from_metadata.go), ratings from the rating service
// (from_rating.go); there is no store. A single film costs one call to each, side
// by side; a page of films costs one call to each, never one per row. Single films that are read while
// such calls run share the next ones (cache.Batcher).
//
// It promises:
//
//   - A film is answered although the rating service is down or hangs. Every film says how good its numbers are
//     ([Status]), and a missing number is never shown as 0. Without the metadata service films, lists, charts, searches and similar
//     films are answered as they were last known, and every film says so; a film that is not known is an error that names that service.
//     Statistics show the last known numbers of a service that is down, and their as-of time.
//   - A rating that the rating service acknowledged shows within two seconds, in details as in lists: a summary is used for
//     RatingTTL after it was read, at most one second, and those that are read often are refreshed before
//     a request has to wait. A summary called fresh was read at most two seconds before it reaches a viewer, including half a second
//     in the caches of our callers. The author of a write sees it at once, through every instance (read_your_writes.go).
//   - A film written or deleted through this service shows so at once: in details, lists, charts and batches with the
//     next read, in search as soon as the metadata service's index has it. A write through another process shows after
//     a second in lists, charts and details (there after MetadataTTL if that is longer), and in search at most one second
//     after the metadata service's index has it; so within two seconds, including half a second in our callers' caches.
//   - Films, lists, searches and filters are cached until the catalogue's version changes (version_probe.go), which is
//     read at most every 200 ms and only while requests come. Where it cannot be read, entries are used for a second.
//   - Under any load, at most one call per film and service is in flight, one per page and one per chart,
//     whose pages share its result under every filter. A caller that gives up does not cancel the call for the others that wait
//     for it, and a call that hangs delays other films by at most 10 ms.
//   - The order of a chart is: sort key, votes, title, id. Walking a list, a chart or the hits of a search while films come and go, and
//     others are rated, shows each other film exactly once: a chart's token has what the first page was ranked by.
//   - Every answer is bounded, in elements and in bytes.
//   - The metadata service knows how many ratings films have ([Service.Run]), by which it orders search results, some
//     seconds after they changed.
//
// It refuses to rank, filter or store anything itself: a chart's order is the rating service's, but for the titles that
// break ties; a filter and the order of hits are the metadata service's. Only the order of similar films is its own: how like
// they are, which the metadata service says, times how good they are, which the rating service says.
package movie
