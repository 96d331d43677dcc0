// Package formats knows our own files of movies and ratings, and nothing else: CSV and JSON lines, written by an
// export and read by an import. docs/formats.md describes them for their users.
//
// It promises that what it has written, it reads as the same values, whatever is in them; and that the same values
// are always the same bytes. Reading streams, and so does writing. A row that is wrong does not end the stream: it
// comes out as a [*RowError] with its line, and reading continues with the next row.
//
// It checks the form of a file, and leaves it to the services what a movie or a rating may be. It refuses to repair,
// and to protect programs that take a text which begins with "=" for a formula: that would be another text.
package formats
