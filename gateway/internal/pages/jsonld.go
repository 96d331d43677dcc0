package pages

import (
	"encoding/json"
	"html/template"
	"math"
	"strconv"
)

// jsonMovie is https://schema.org/Movie, as far as we know one.
type jsonMovie struct {
	Context       string       `json:"@context"`
	Type          string       `json:"@type"`
	URL           string       `json:"url,omitempty"`
	Name          string       `json:"name"`
	Image         string       `json:"image,omitempty"`
	AlternateName []string     `json:"alternateName,omitempty"`
	Description   string       `json:"description,omitempty"`
	DateCreated   string       `json:"dateCreated,omitempty"`
	Duration      string       `json:"duration,omitempty"` // ISO 8601
	Genre         []string     `json:"genre,omitempty"`
	Director      []jsonPerson `json:"director,omitempty"`
	SameAs        []string     `json:"sameAs,omitempty"`
	Rating        *jsonRating  `json:"aggregateRating,omitempty"`
}

type jsonPerson struct {
	Type string `json:"@type"`
	Name string `json:"name"`
}

// jsonRating is https://schema.org/AggregateRating.
type jsonRating struct {
	Type  string  `json:"@type"`
	Value float64 `json:"ratingValue"`
	Count int     `json:"ratingCount"`
	Best  int     `json:"bestRating"`
	Worst int     `json:"worstRating"`
}

// jsonLD describes a film for machines. The result may stand in a script element: json.Marshal writes <, > and & as
// escapes, so neither "</script>" nor "<!--" can arise. A film that nobody rated has no rating, not one of 0.
func jsonLD(f *film, address, image string) template.JS {
	m := jsonMovie{
		Context: "https://schema.org", Type: "Movie", URL: address, Name: f.Title, Image: image, Description: f.Description, Genre: f.Genres,
	}
	if f.Original != "" {
		m.AlternateName = append(m.AlternateName, f.Original)
	}
	m.AlternateName = append(m.AlternateName, f.Alternatives...)
	if f.Year != 0 {
		m.DateCreated = strconv.Itoa(f.Year)
	}
	if f.Runtime != 0 {
		m.Duration = "PT" + strconv.Itoa(f.Runtime) + "M"
	}
	for _, name := range people(f.Director) {
		m.Director = append(m.Director, jsonPerson{Type: "Person", Name: name})
	}
	for _, l := range links(*f) {
		m.SameAs = append(m.SameAs, l.Addr)
	}
	if f.Rated() {
		m.Rating = &jsonRating{Type: "AggregateRating", Value: math.Round(f.Summary.Mean*100) / 100, Count: f.Summary.Votes, Best: 10, Worst: 1}
	}
	text, err := json.Marshal(m)
	if err != nil { // texts and finite numbers: cannot happen
		return "null"
	}
	return template.JS(text)
}

// links are the film's pages elsewhere, by its ids there.
func links(f film) []Endpoint {
	var list []Endpoint
	for _, l := range []Endpoint{{"IMDb", imdbHref(f.IMDb)}, {"TMDB", tmdbHref(f.TMDB)}} {
		if l.Addr != "" {
			list = append(list, l)
		}
	}
	return list
}

// imdbHref and tmdbHref are the film's pages elsewhere, or "" without an id of the right form.
func imdbHref(id string) string {
	if len(id) < 3 || id[:2] != "tt" || !digits(id[2:]) {
		return ""
	}
	return "https://www.imdb.com/title/" + id + "/"
}

func tmdbHref(id string) string {
	if !digits(id) {
		return ""
	}
	return "https://www.themoviedb.org/movie/" + id
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
