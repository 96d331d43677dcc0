// Package oracle tells whether a system kept what it acknowledged, after whatever was done to it.
//
// A test writes down everything that it says to the system, and what was answered, in a [Ledger]; when nothing is under way
// any more it reads everything that is stored into an [Outcome]; and [Ledger.Check] compares the two. Every violation is
// named. What has to hold:
//
//   - records that the broker acknowledged are where it said, and if each had an answer there are no others;
//   - each rating's row is the fold of the log's good events and of the synchronous writes, by version; a write without an
//     answer may have happened or not, an acknowledged one has;
//   - aggregates are what the rows come to, so nothing counts twice or not at all;
//   - dead letters are the poison in the log, each once;
//   - ingestion is at the end of the log;
//   - films have the titles that they were given last.
//
// It is a package of its own because two tests need it that have nothing else in common: the one that kills the single
// binary (test) and the one that breaks the cluster (test/chaos). It is none of the system's code and imports none of
// it: events are decoded by hand, rows and the log are read past the services, so that no mistake of theirs hides
// another. It does not drive load, wait for ingestion, or know of faults; the system's own audit is the caller's to ask
// for. Its tests feed it lies, and designs that are wrong as real systems are.
package oracle
