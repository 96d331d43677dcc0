package metadata

import (
	"strings"

	"movieexample.com/metadata/internal/text"
)

// keyEnd separates the sort key from the id in a title key. It is less than every character
// that a sort key can have, so that "Alien" comes before "Alien 3" whatever their ids are.
const keyEnd = "\x01"

// titleKey is a film's position in lists by title: comparing title keys byte by byte compares
// sort keys first and ids second.
func titleKey(title, id string) string { return text.SortKey(title) + keyEnd + id }

// idOfTitleKey is the id a title key was made with.
func idOfTitleKey(key string) string {
	_, id, _ := strings.Cut(key, keyEnd)
	return id
}

// sortKeyOf is the sort key a title key was made with.
func sortKeyOf(key string) string {
	sorted, _, _ := strings.Cut(key, keyEnd)
	return sorted
}

// fold is what titles are compared by.
func fold(s string) string { return text.Fold(s) }

// genreKey is what genres are compared by.
func genreKey(genre string) string { return text.GenreKey(genre) }
