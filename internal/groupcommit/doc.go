// Package groupcommit lets writes that come at the same time share a transaction, as databases let transactions share
// a disk sync.
//
// A commit costs a disk sync, and on a server some round trips, whatever it holds. A [Group] starts a write that comes
// alone at once. While as many batches as it allows are under way, further writes gather; the first batch that ends
// makes room for all of them together, up to a bound. There is no timer, and nothing waits for company.
//
// What it promises:
//
//   - A write is in one batch at a time. Writes start in the order in which they came.
//   - A bad write fails alone. The function that commits tells what became of each write; where the database refuses
//     the whole transaction for what is in it, the batch is halved until the write to blame is by itself.
//   - A caller whose context ends gets the context's error at once. A write that has not started is dropped; one that
//     has may still take place, unless its batch sees in time that the caller has left ([Write.Left]).
//   - A batch is interrupted when the last of its callers has left, and not before.
//   - The number of waiting writes is bounded; beyond it, a write is refused as unavailable.
//   - A panic of the function that commits goes to the callers, and the process lives.
//
// What it refuses: to repeat a transaction. Errors that are nobody's fault (a deadlock, a lost connection, a commit of
// unknown outcome) go to every caller of the batch, who decides as if it had been alone.
package groupcommit
