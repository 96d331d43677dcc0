// Package search finds films: it decides what matches a query, in which order, with which counts, and
// which films are similar. Its front door is an [Index], which holds a catalogue in memory, in some 380
// bytes for each film.
//
// # What matches
//
// A query is text without operators. It is folded (package text) and split into words.
// A film is found if every word is in one of its names (title, original title, alternative titles, directors),
// or is its year. In detail:
//
//   - The last word may be a prefix. Other words are whole.
//   - A word of five letters or more may have one typo, of nine or more two. The longer of the film's word and the
//     typed word counts: "shrk" finds Shark. A prefix of that many letters may have typos, too. A typo is an
//     additional letter, a missing one, a wrong one, or two neighbours swapped. Numbers have no typos, and neither do
//     the digits at the start or end of a word.
//   - A leading article of eight languages need not match, unless it is the whole query. An elided "l'" is an
//     article too; "Matrix, The" is "The Matrix".
//   - A number from 1870 to 2100 is a word, or the film's year.
//   - The numbers from 1 to 20 match their other forms: "2", "II" and "two". The single-letter numerals
//     V and X count only after another word, and so does I, for a typed "1".
//   - A title also matches as one word ("pulpfiction"), and so do, in five letters or more, the first pairs of
//     neighbours in a name ("starwars") and the part before a colon or dash ("lordoftherings"). A word
//     of three letters or more with a number is also the two ("terminator2").
//   - Initials ("E.T.") are one word, regardless of what separates them.
//   - A word with punctuation inside also matches as one word and by its parts ("Spider-Man",
//     "WALL·E", "M*A*S*H"), a word with an apostrophe also by the part before or after it ("Schindler",
//     "été"), "&" as "and", and number signs written out ("8½" as "8 1/2").
//   - Scripts without spaces between words have long words: a title in them matches from its
//     start, and from after each sign or space.
//
// The first [MaxQuery] characters of a query count. Twelve words of it must match; further ones
// count only where the query is compared with whole names. Words of more than 40 and names of more than 64
// characters are not searched for typos.
//
// # Order
//
// Films come in tiers. Within a tier, films with more votes come first, then by the title's sort key, then by id.
//
//  0. One of the titles is the query, punctuation and accents included: "C#" is not "C++".
//  1. One is the query, apart from these.
//  2. One is the query, apart from leading articles on either side, the film's year in the query, or words that are
//     joined, spelled out or without the spaces between them.
//  3. The query starts with an article, and one of the titles starts with the query: for "the king", The King's
//     Speech is before The Return of the King. Or the query can be initials, and one starts with these: "et".
//  4. One of the titles has every word.
//  5. One has every word except the film's year.
//  6. Every word is there, but not in one title: in several, or in the director's name.
//  7. Every word is there, counting other forms of numbers, and neighbours as one word.
//  8. One of the titles is the query with typos counted over the whole of it (five characters or more have
//     one, nine or more two). So "teh matrx" finds The Matrix, though no word of it would.
//  9. Every word is there, as in 7, with one typo in all.
//  10. Every word is there, with more typos.
//
// Words spread over several titles rank with a director's name, as few people search that way: a film
// that has them in one name comes first. A whole word ranks with a prefix: "god", typed on the way to
// The Godfather, already shows that film.
//
// All tiers always count. If typos counted only where nothing else is found, a film that is put between
// two pages could remove others from the second.
//
// # Promises
//
// Answers are a pure function of the films, their votes and the query: two indexes with the same films give the
// same answers, regardless of the order and size of the changes. A [Position] is a place in that order, so a
// walk over pages shows a film that does not change exactly once, whatever other films do. Readers never wait, and
// see all of an Apply or nothing. Any text is accepted, invalid UTF-8 included.
//
// # How
//
// The index is a list of immutable segments, each a batch of films with dictionaries of its words and names.
// A change puts films into a new segment and marks them as deleted in older ones; small segments are merged
// in the background in levels, as in Lucene. Dictionaries are finite state transducers (vellum), on which a prefix is a range and a
// Levenshtein automaton a walk. Sets of films are bitsets; a query makes one for each tier and then looks only at the
// films of the best tiers, whose votes are in an array.
//
// The package does not know where films come from and stores nothing on disk: its user fills it at each start.
package search
