// Package movie answers what a viewer asks: a film together with what people think of it.
//
// It owns nothing but the composition. What a film is comes from the metadata service (from_metadata.go), what people
// think of it from the rating service (from_rating.go); there is no store. A single film costs one call to each, side
// by side; a page of films costs one call to each, never one per row.
//
// It promises:
//
//   - A film is answered although the rating service is down or hangs. Every film says how good its numbers are
//     ([Status]), and a missing number is never shown as 0. Without the metadata service there is no film, and the
//     error names that service.
//   - A rating that the rating service acknowledged shows within two seconds: a summary is cached for RatingTTL after
//     a call of at most RatingTimeout, each at most one second. A film written through this service shows at once.
//   - Whatever the load, at most one call per film and service is under way for single films. A caller who gives up does
//     not take the call away from the others who wait for it.
//   - Walking the pages of a chart that does not change shows every entry once, in one order: sort key, votes, title, id.
//
// It refuses to rank, filter or store anything itself: a chart's order is the rating service's, but for the titles that
// break ties, and a filter is the metadata service's.
package movie
