package data

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// The catalogue travels inside the binary, because `movieexample demo` must
// work from any directory with nothing installed beside it.
//
//go:embed films.jsonl
var filmsJSONL string

// Film is one film of the demo catalogue.
type Film struct {
	// ID is the IMDb title id: "tt" and seven or more digits, for example
	// "tt0111161". It is unique, and the film's id in every service.
	ID string `json:"id"`

	// Title is the title of the English-language release. It is not a key:
	// remakes share it, and only the year distinguishes them here.
	Title string `json:"title"`

	// OriginalTitle is the title in the film's own language, romanised where
	// that is not written in Latin letters. Empty when it equals Title.
	OriginalTitle string `json:"originalTitle,omitempty"`

	// Year is the year of first release, festivals included.
	Year int `json:"year"`

	// Director has the names of the directors, joined by ", ".
	Director string `json:"director"`

	// Genres is a sorted, non-empty subset of [Genres].
	Genres []string `json:"genres"`

	// RuntimeMinutes is the length of the commonly shown cut, in whole minutes.
	// A silent film has no single length, because projectors ran at different
	// speeds; this is the one most often given.
	RuntimeMinutes int `json:"runtimeMinutes"`

	// Countries lists the main countries of origin by the English names that
	// they had when the film was made, the leading producer first. Never empty.
	Countries []string `json:"countries"`

	// Description is one sentence of at most 200 characters, in our own words.
	Description string `json:"description"`

	// Level is the mean that the film's synthetic ratings should scatter
	// around, on the 1 to 10 scale of ratings. A coarse guess of ours in quarter
	// points: invented, not measured.
	Level float64 `json:"level"`

	// Popularity is the film's relative share of the synthetic ratings, from 1
	// to 100: a film at 60 should draw twice as many as one at 30. Invented.
	Popularity int `json:"popularity"`
}

// Genres returns the genre vocabulary of the catalogue, sorted: the names that
// MovieLens uses, so that films of both sources share their genre charts.
// IMAX is left out, being a kind of screen. The caller owns the slice.
func Genres() []string {
	return []string{
		"Action", "Adventure", "Animation", "Children", "Comedy", "Crime",
		"Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical",
		"Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
	}
}

// Films returns the demo catalogue, ordered by year and then title. Each call
// decodes afresh, so the caller owns the result and may change it.
//
// An error means that films.jsonl was built in broken, and names the line; the
// package's tests make sure that no such binary is released.
func Films() ([]Film, error) {
	return decode(filmsJSONL)
}

// decode reads one film per line. It is as strict as the store it feeds: a
// misspelt field in the file would otherwise be dropped in silence, and the
// film would appear without its year or its description.
func decode(jsonl string) ([]Film, error) {
	var films []Film
	lines := bufio.NewScanner(strings.NewReader(jsonl))
	for n := 1; lines.Scan(); n++ {
		dec := json.NewDecoder(strings.NewReader(lines.Text()))
		dec.DisallowUnknownFields()
		var f Film
		if err := dec.Decode(&f); err != nil {
			return nil, fmt.Errorf("decode films.jsonl line %d: %w", n, err)
		}
		if dec.More() {
			return nil, fmt.Errorf("decode films.jsonl line %d: more than one value; write one film per line", n)
		}
		films = append(films, f)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("decode films.jsonl after line %d: %w", len(films), err)
	}
	return films, nil
}
