// Package rating is the rating service: what people think of a record.
//
// It owns one rating per (record type, record, user), the exact aggregates over them, the charts, the ingestion
// of rating events from Kafka, and the dead letters of events that could not be applied.
//
// It promises:
//
//   - Newest wins. A rating's version is (rated at, event id); whatever order events arrive in, and however often,
//     the same events end in the same rows. A delete keeps a tombstone, so a late older event brings nothing back.
//   - Aggregates are integers that change in the transaction that changes the rating. They are read in constant time
//     and never drift: Audit recomputes them from the rows.
//   - Exactly-once effect. The offset of a partition commits in the transaction that holds its events' effect.
//     Nothing is skipped in silence: an event that cannot be applied is a dead letter, once, or ingestion of its
//     partition stands still and says why.
//   - A synchronous write is durable when it answers.
//   - What is computed from many rows (charts, totals, the number of users, the history of a record with many ratings) says
//     as of when it is, and takes no more than a twentieth of a core. Everything else is as of now.
//   - Whoever walks a list while others write sees each item that nobody touches exactly once.
//
// It refuses to know what a record is: titles, genres and catalogues belong to others. That is why charts order
// ties by record id and leave the order by title to the caller.
package rating
