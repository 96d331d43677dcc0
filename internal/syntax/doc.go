// Package syntax is the one place that says how JSON texts, times and whole numbers are written: in REST bodies, rating
// events and lines of imported files. ADR 025 has the rules, and testdata/corpus.json the texts with verdicts that every one of
// these doors is tested with.
//
// A [Scanner] reads JSON (RFC 8259) and refuses what has no one meaning. [Decode] reads an object beside a protobuf
// message. [Time] reads RFC 3339, [Integer] a number of JSON, [Whole] a number in a table. The package knows grammar alone:
// which names there are, and which values are allowed, is for its callers to say.
package syntax
