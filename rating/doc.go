// Package rating is the rating service: what people think of a record.
//
// It owns one rating per (record type, record, user), the exact aggregates over them, the charts, the ingestion of rating events from
// Kafka, and the dead letters of events that could not be applied.
//
// It promises:
//
//   - Newest wins. A rating's version is (rated at, event id). The same events give the same rows, in any order and number of
//     deliveries. A delete keeps a tombstone, so that a late older event restores nothing.
//   - Aggregates are integers that change in the transaction that changes the rating. They are read in constant time and never drift:
//     Audit recomputes them from the rows.
//   - Exactly-once effect. The offset of a partition commits in the transaction that applies its events. No event is skipped silently:
//     an event that cannot be applied is a dead letter, once, or ingestion of its partition halts and says why.
//   - A synchronous write is durable when it is answered.
//   - Answers computed from many rows (charts, totals, the number of users, the history of a record with many ratings) carry the time
//     as of which they are true. Computing them takes at most a twentieth of a core. Everything else is current.
//   - A walk through a list sees each unchanged item exactly once, regardless of concurrent writes.
//
// It does not know what a record is: titles, genres and catalogues belong to others. So charts order ties by record id, and callers order
// them by title.
package rating
