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

// jsonLD describes a film for machines. The result is safe in a script element: json.Marshal writes <, > and & as
// escapes, so neither "</script>" nor "<!--" can arise. A film without ratings has no rating, not one of 0.
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
