// Package search owns how films are found: what matches a query, in which order, with which counts, and
// which films are like one another. Its front door is an [Index], which holds a catalogue in memory: some 380
// bytes for each film.
//
// # What matches
//
// A query is text, and no character of it is an operator. It is folded (package text) and split into words.
// A film is found if every word is in one of its names (title, original title, alternative titles, directors),
// or is its year. In detail:
//
//   - The last word may be the beginning of one. Other words are whole.
//   - A word of five letters or more may have one typo, of nine or more two, whichever of the two words is so
//     long, the film's or the one that was typed: "shrk" finds Shark. So may the beginning of a word of which so
//     many letters have been typed. A typo is a letter too much, one missing, a wrong one, or two neighbours
//     swapped. Numbers have no typos, nor do the digits that a word begins or ends with.
//   - A leading article of eight languages need not match, unless it is all there is. An elided "l'" is an
//     article too; "Matrix, The" is "The Matrix".
//   - A number from 1870 to 2100 is a word, or the film's year.
//   - The numbers from 1 to 20 are also found as they are written otherwise: "2", "II" and "two". Numerals
//     of a single letter, V and X, count behind another word only, and so does I, for a typed "1".
//   - A title is also found in one word ("pulpfiction"), and so are, in five letters or more, the first pairs of
//     neighbours in a name ("starwars") and what it has in front of a colon or dash ("lordoftherings"). A word
//     of three letters or more with a number is also the two ("terminator2").
//   - Initials ("E.T.") are one word, whatever stands between them.
//   - What is written with punctuation inside is also found in one word and in its parts ("Spider-Man",
//     "WALL·E", "M*A*S*H"), what is written with an apostrophe also by what stands before or behind it ("Schindler",
//     "été"), "&" as "and", and number signs written out ("8½" as "8 1/2").
//   - Scripts that put no spaces between words have long words: a title in them is found from its
//     beginning, and from behind each sign or space.
//
// The first [MaxQuery] characters of a query count. Twelve words of it must match; further ones only
// count where the query is compared with whole names. Typos are not looked for in words of more than 40 and
// names of more than 64 characters.
//
// # Order
//
// Films come in tiers. Within a tier those with more votes come first, then by the title's sort key, then by id.
//
//  0. One of the titles is the query, punctuation and accents included: "C#" is not "C++".
//  1. One is, but for those.
//  2. One is, but for leading articles on either side, the film's year in the query, or words that are joined,
//     spelled or without the spaces between them.
//  3. The query begins with an article, and one of the titles begins with the query: for "the king", The King's
//     Speech is before The Return of the King. Or the query can be initials, and one begins with these: "et".
//  4. One of the titles has every word.
//  5. One has every word but the film's year.
//  6. Every word is there, but not in one title: in several, or in the director's name.
//  7. Every word is there, if numbers may be written otherwise and neighbours as one.
//  8. One of the titles is the query but for typos in the whole of it (five characters or more have
//     one, nine or more two). So "teh matrx" finds The Matrix, though no word of it would.
//  9. Every word is there, as in 7, with one typo in all.
//  10. Every word is there, with more typos.
//
// Words spread over several titles are no better than a director's name, as nobody expects them: a film
// that has them in one name goes first. A word that is matched whole is no better than one of which it
// is the beginning: who types "god" on the way to The Godfather shall see it there already.
//
// All tiers always count. If typos were only looked for where nothing else is found, a film that is put between
// two pages could take others off the second.
//
// # Promises
//
// Answers are a pure function of the films, their votes and the query: two indexes with the same films answer the
// same, whatever the order and size of the changes that led there. A [Position] is a place in that order, so a
// walk over pages shows a film that does not change exactly once, whatever other films do. Readers never wait, and
// see all of an Apply or nothing. Any text is accepted, invalid UTF-8 included.
//
// # How
//
// The index is a list of immutable segments, each a batch of films with dictionaries of its words and names.
// A change puts films into a new segment and marks them as gone in older ones; small segments are merged
// in the background in levels, as in Lucene. Dictionaries are finite state transducers (vellum), on which a prefix is a range and a
// Levenshtein automaton a walk. Sets of films are bit by bit; a query makes one for each tier and then looks at the
// films of the best tiers only, the votes of which are in an array.
//
// The package refuses to know where films come from, and to keep anything: who starts it fills it.
package search
