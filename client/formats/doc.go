// Package formats knows our own files of movies and ratings, and nothing else: CSV and JSON lines, written by an
// export and read by an import. docs/formats.md describes them for their users.
//
// It promises that it reads any values that it wrote unchanged, and that it always writes the same values as the same
// bytes. Reading and writing stream. An invalid row does not end the stream: it is returned as a [*RowError] with its
// line, and reading continues with the next row.
//
// It checks the form of a file; the services check movies and ratings. It does not repair values, and does not escape
// texts that begin with "=", which some programs take for a formula: that would change the text.
package formats
