// Package movielens knows the MovieLens file format, and nothing else: how GroupLens writes movies.csv, links.csv and
// ratings.csv, what is odd about them, and how a data set of the same shape can be made up.
//
// It has two halves.
//
// The reader streams rows out of a directory ([Open], [Dir.Movies], [Dir.Links], [Dir.Ratings], [Dir.Catalogue]) or
// out of any io.Reader ([ReadMovies], [ReadLinks], [ReadRatings]). Its memory does not grow with the file. A row that
// is wrong does not end the stream: it comes out as a [*RowError] with file, line, field, value and reason, and
// reading continues with the next row. Any other error ends the stream.
//
//	for rating, err := range dir.Ratings(ctx) {
//		var bad *movielens.RowError
//		if errors.As(err, &bad) {
//			rejects = append(rejects, bad)
//			continue
//		}
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// The generator makes ratings up: [Generate] writes a whole synthetic data set
// for scale tests, [Synthetic] streams ratings for films that the caller knows.
// The same seed gives the same bytes, regardless of the time or the machine's load.
//
// The package promises that what the generator writes, the reader accepts without a single reject; and that every
// value the reader yields is in range: ids from 1 up, rating values 1 to 10, titles that are not empty, external ids
// in their canonical form.
//
// It refuses to know about services, networks and storage, and to guess: title and year are never a key (the real
// data has pairs of films that share both), and no repair is tried on a row that does not parse.
//
// The format is described in the README.txt that comes with each data set, see
// https://files.grouplens.org/datasets/movielens/ml-latest-small-README.html.
package movielens
