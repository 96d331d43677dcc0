package pages

import (
	"slices"
	"time"
)

// film is a movie as the pages show it.
type film struct {
	ID           string
	Title        string
	Original     string // empty where it is the same or not known
	Alternatives []string
	Year         int // 0 where not known
	Runtime      int // minutes; 0 where not known
	Genres       []string
	Director     string
	Description  string
	IMDb, TMDB   string
	ETag         string

	Status  string // fresh, stale, unavailable or unrated
	Summary summary

	Outdated bool // it is shown as last known
}

// Rated reports whether there are numbers to show.
func (f film) Rated() bool { return f.Summary.Votes > 0 }

// summary is the aggregate of a film's ratings; the zero value where nothing is known.
type summary struct {
	Mean, Weighted float64
	Votes          int
	Histogram      [10]int32 // ratings of 1, 2, … 10
	AsOf           time.Time
}

// chart is one page of a ranking.
type chart struct {
	Entries  []entry
	Next     string
	MinVotes int     // m
	Mean     float64 // C
	AsOf     time.Time
}

// films are the films of the chart's entries.
func (c *chart) films() []film {
	list := make([]film, len(c.Entries))
	for i := range c.Entries {
		list[i] = c.Entries[i].Film
	}
	return list
}

// stale returns the time of the oldest stale score, or nil if none is older than the limit.
func stale(films []film, limit time.Time) *time.Time {
	var oldest *time.Time
	for i := range films {
		f := &films[i]
		if f.Status == "stale" && f.Summary.AsOf.Before(limit) && (oldest == nil || f.Summary.AsOf.Before(*oldest)) {
			oldest = &f.Summary.AsOf
		}
	}
	return oldest
}

// outdated reports whether any of the films is shown as it was last known.
func outdated(films []film) bool {
	return slices.ContainsFunc(films, func(f film) bool { return f.Outdated })
}

type entry struct {
	Rank  int
	Score float64
	Film  film
}

// filter narrows a chart or a search.
type filter struct {
	Genre     string
	Decade    int
	HasDecade bool
}

// found is one page of search results.
type found struct {
	Hits    []hit
	Next    string
	Total   int
	Genres  []genreCount
	Decades []decadeCount
}

type hit struct {
	Film     film
	Spelling bool // found only by another spelling
	Title    []piece
	Matched  []piece // the other name that matched; empty where the title did
}

// ByDirector reports whether the name that matched is the director's, which stands there anyway.
func (h hit) ByDirector() bool { return h.Film.Director != "" && joined(h.Matched) == h.Film.Director }

// joined is the whole of a name in pieces.
func joined(pieces []piece) string {
	var name string
	for _, p := range pieces {
		name += p.Text
	}
	return name
}

// piece is a part of a name that matched, or one that did not.
type piece struct {
	Text    string
	Matched bool
}

type suggestion struct {
	ID, Director string
	Year         int
	Title        []piece
	Matched      []piece
}

// ByDirector reports whether the name that matched is the director's, which stands there anyway.
func (s suggestion) ByDirector() bool { return s.Director != "" && joined(s.Matched) == s.Director }

type genreCount struct {
	Genre string
	Count int
}

type decadeCount struct {
	Decade int
	Count  int
}

// stats is the whole system in numbers.
type stats struct {
	Films, Ratings, Users, Rated int
	GlobalMean                   float64
	MinVotes                     int     // m
	PriorMean                    float64 // C
	AsOf                         time.Time
	Genres                       []genreCount
	OtherGenres                  int // that are not in Genres
	Decades                      []decadeCount
}

// yearOfRatings is what was rated within one year.
type yearOfRatings struct {
	Year, Votes int
	Mean        float64
}

// personRating is one rating of a person.
type personRating struct {
	FilmID  string
	Value   int
	RatedAt time.Time
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
