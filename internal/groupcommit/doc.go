// Package groupcommit lets concurrent writes share a transaction, as databases let transactions share a disk sync.
//
// A commit costs a disk sync, and on a server some round trips, for any number of writes. A [Group] starts a single write at
// once. While the maximum of batches is running, further writes wait; when a batch ends, they form the next one, up to a bound.
// There is no timer: a write never waits for others to join.
//
// What it promises:
//
//   - A write is in one batch at a time. Writes start in the order in which they came.
//   - A bad write fails alone. The function that commits reports the result of each write; if the database refuses
//     the whole transaction because of its content, the batch is halved until the failing write is alone.
//   - A caller whose context ends gets the context's error at once. A write that has not started is dropped; one that
//     has may still be committed, unless its batch sees in time that the caller has left ([Write.Left]).
//   - A batch is interrupted when the last of its callers has left, and not before.
//   - The number of waiting writes is bounded; beyond it, a write is refused as unavailable.
//   - A panic of the function that commits goes to the callers, and does not end the process.
//
// What it refuses: to repeat a transaction. Transient errors (a deadlock, a lost connection, a commit of
// unknown outcome) go to every caller of the batch, which handles them as if it had been alone.
package groupcommit
