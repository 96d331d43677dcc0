// Package oracle checks that a system kept everything that it acknowledged, whatever faults a test injected.
//
// A test records everything that it sends to the system, and the answers, in a [Ledger]; when nothing is in flight any more, it
// reads everything that is stored into an [Outcome]; [Ledger.Check] compares the two and names every violation. It checks that
//
//   - records that the broker acknowledged are at their offsets, and if every record had an answer, there are no others;
//   - each rating's row is the fold of the log's good events and of the synchronous writes, by version; a write without an
//     answer may have happened or not, an acknowledged one has;
//   - aggregates match the rows, so every rating counts exactly once;
//   - dead letters are the invalid events in the log, each once;
//   - ingestion is at the end of the log;
//   - films have the titles that they were given last.
//
// It is a separate package because two tests that have nothing else in common need it: the one that kills the single binary
// (test) and the one that breaks the cluster (test/chaos). It imports no code of the system: it decodes events on its own, and
// reads rows and the log without the services, so that a bug of theirs cannot hide another. It does not drive load, wait for
// ingestion, or know the faults; the caller runs the system's own audit. Its tests feed it wrong outcomes, and designs with the
// bugs of real systems.
package oracle
