// Package syntax defines the grammar of JSON texts, times and whole numbers: in REST bodies, rating events and lines of
// imported files. ADR 025 has the rules, and syntaxtest/corpus.json the valid and invalid texts that all of these are tested
// with.
//
// A [Scanner] reads JSON (RFC 8259) and refuses ambiguous texts. [Decode] reads an object beside a protobuf
// message. [Time] reads RFC 3339, [Integer] a number of JSON, [Whole] a number in a table. The package knows only grammar: its
// callers define the names and the allowed values.
package syntax
