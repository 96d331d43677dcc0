// Package text owns what makes two texts the same for a person who looks for a film: Fold, which
// forgets case, accents, width, punctuation and spacing; SortKey, which titles are ordered by; and
// GenreKey, by which genres are compared.
//
// Titles are stored under the keys that this package makes, and the search index is built with them.
// It promises that they are pure functions of the text, that folding twice is folding once, and that
// any text is accepted, invalid UTF-8 included. A change of an answer is a change of stored data, and
// needs a migration.
package text
