// Package imdb knows the tab-separated files that IMDb publishes for non-commercial use
// (https://developer.imdb.com/non-commercial-datasets/), and nothing else: what is in them, what is odd about them,
// and how files of the same shape can be made up.
//
// The reader ([Open], [Dir.Films]) makes films of four files: title.basics has the titles, title.crew says who
// directed them by id, name.basics has the names of those ids, title.akas the titles elsewhere. Only the first is
// required. What counts as a film is a title of type movie or tvMovie that is not marked as adult; that is 1 of 16
// titles.
//
// A row that is wrong does not end the stream: it comes out as a [*RowError] with file, line, field, value and
// reason, and reading continues with the next row. Any other error ends the stream.
//
// The package promises
//
//   - constant memory. The files have 11 million titles, 14 million names and 40
//     million other titles; films are put together by sorting on disk, in
//     temporary files that disappear even if the process is killed. All that
//     grows is three sets of ids, some 2 bytes for each film kept.
//   - that the order of rows does not matter. IMDb's files are sorted, as text and
//     not as numbers, but no page of theirs says so, and a program that cuts or joins
//     them may sort them differently. Reading each file once and sorting what is kept of it,
//     a fiftieth, costs less than making sure.
//   - films in the order of their ids, the same for the same files.
//
// It refuses to know about services, networks and the catalogue's limits, to read ratings (title.ratings has
// aggregates, and a rating here is a person's), and to guess: a row that cannot be read is not repaired.
//
// The generator ([Generate]) writes files for scale tests.
package imdb
