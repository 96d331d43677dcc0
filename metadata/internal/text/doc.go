// Package text compares texts as people who search for a film do: Fold
// ignores case, accents, width, punctuation and spacing; SortKey orders titles; and
// GenreKey compares genres.
//
// Titles are stored under the keys that this package makes, and the search index is built with them.
// It promises that they are pure functions of the text, that folding twice is folding once, and that
// any text is accepted, invalid UTF-8 included. A change of an answer is a change of stored data, and
// needs a migration.
package text
