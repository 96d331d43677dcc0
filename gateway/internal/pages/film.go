package pages

import (
	"bytes"
	"context"
	"html/template"
	"io"
	"net/http"
	"strings"
	"time"

	"movieexample.com/gateway/internal/pages/plot"
	"movieexample.com/gateway/internal/pages/poster"
	"movieexample.com/internal/fault"
)

const similarFilms = 6

// moviePage is what film.html shows.
type moviePage struct {
	Head       head
	Film       film
	Directors  []string
	Bars       []bar
	History    []yearOfRatings
	Plot       template.HTML
	AsOf       template.HTML // the mark
	HasHistory bool          // false: it could not be had
	Similar    []film
	HasSimilar bool // false: they could not be had
	Stats      *stats
}

// bar is a row of the histogram.
type bar struct {
	Value, Votes int
	Share        string
	Width        int // 0–100, of the longest bar
}

func (p *Pages) film(w http.ResponseWriter, r *http.Request, id string) {
	f, err := p.movies.film(r.Context(), id)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	key := filmKey{
		etag: f.ETag, status: f.Status, base: p.baseOf(r),
		votes: f.Summary.Votes, mean: f.Summary.Mean, weighted: f.Summary.Weighted, histogram: f.Summary.Histogram,
	}
	read := filmStamp{key, p.now()}
	if ready, ok := p.films.Peek(read, id); ok {
		sendFilm(w, ready.Value, f.Summary.AsOf)
		return
	}
	page := p.moviePage(r, f)
	made := &filmPage{servable: readyFor}
	if !page.HasHistory || !page.HasSimilar || page.Stats == nil {
		made.servable = incompleteFor
	}
	err = p.execute("film", &page, func(body []byte) {
		made.before, made.after, _ = bytes.Cut(bytes.Clone(body), []byte(asOfMark))
		p.films.Put(filmStamp{key, p.now()}, id, made)
		sendFilm(w, made, f.Summary.AsOf)
	})
	if err != nil {
		p.failed(w, r, err)
	}
}

// sendFilm answers with a movie page, as of a time.
func sendFilm(w http.ResponseWriter, page *filmPage, asOf time.Time) {
	sendPage(w, http.StatusOK, page.before)
	if len(page.after) > 0 {
		// A client that is gone misses nothing.
		_, _ = io.WriteString(w, `<time datetime="`+instant(asOf)+`">`+minute(asOf)+`</time>`)
		_, _ = w.Write(page.after)
	}
}

func (p *Pages) moviePage(r *http.Request, f film) moviePage {
	page := moviePage{Film: f, Directors: people(f.Director), Bars: bars(f.Summary), AsOf: asOfMark}
	p.together(r.Context(), p.cfg.ExtrasTimeout,
		part{"history", func(ctx context.Context) error {
			if f.Status == "unrated" {
				page.HasHistory = true // there is none; a call would only confirm that
				return nil
			}
			years, err := p.ratings.history(ctx, f.ID)
			if err != nil && fault.KindOf(err) != fault.KindNotFound {
				return err
			}
			page.History, page.HasHistory = years, true
			return nil
		}},
		part{"similar", func(ctx context.Context) (err error) {
			page.Similar, err = p.movies.similar(ctx, f.ID, similarFilms)
			page.HasSimilar = err == nil
			return err
		}},
		part{"stats", func(ctx context.Context) error { return keep(&page.Stats)(p.movies.stats(ctx)) }},
	)
	if len(page.History) > 1 {
		years := make([]plot.Year, len(page.History))
		for i, y := range page.History {
			years[i] = plot.Year{Year: y.Year, Votes: y.Votes, Mean: y.Mean}
		}
		page.Plot = plot.History(years)
	}
	page.Head = p.head(titleWithYear(&f), filmDescription(&f))
	page.Head.Kind = "video.movie"
	page.Head.Canonical = p.absolute(r, filmHref(f.ID))
	page.Head.Image = p.absolute(r, posterHref(f.ID))
	page.Head.ImageText = "Poster of " + titleWithYear(&f)
	page.Head.Data = jsonLD(&f, page.Head.Canonical, page.Head.Image)
	return page
}

// shortHistory is up to how many years of ratings the table beside the plot is open. A longer table would leave a blank
// space under the plot, so its peaks are shown instead.
const shortHistory = 9

// LongHistory reports whether the table of the years is closed at first.
func (page *moviePage) LongHistory() bool { return len(page.History) > shortHistory }

// Peaks are the years of a history that stand out: of the highest mean, the lowest, and the most ratings.
func (page *moviePage) Peaks() (peaks struct{ High, Low, Most yearOfRatings }) {
	for i, y := range page.History {
		if i == 0 || y.Mean > peaks.High.Mean {
			peaks.High = y
		}
		if i == 0 || y.Mean < peaks.Low.Mean {
			peaks.Low = y
		}
		if i == 0 || y.Votes > peaks.Most.Votes {
			peaks.Most = y
		}
	}
	return peaks
}

// Brief reports whether there is too little beside the poster to fill its height.
func (page *moviePage) Brief() bool { return page.Film.Description == "" }

// poster answers with a film's poster as a separate document: what Open Graph and JSON-LD name as the film's image. Some
// networks show no SVG in their previews; they show the title and the description, as they would without a picture.
func (p *Pages) poster(w http.ResponseWriter, r *http.Request, id string) {
	f, err := p.movies.film(r.Context(), id)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h["Cache-Control"] = revalidate // the gateway gives it an ETag, so that a look again costs next to nothing
	h.Set("Content-Security-Policy", inertPolicy)
	_, _ = w.Write(poster.Document(posterFilm(&f))) // a client that is gone misses nothing
}

// bars are the rows of the histogram, best first.
func bars(s summary) []bar {
	var most int32
	for _, n := range s.Histogram {
		most = max(most, n)
	}
	if most == 0 {
		return nil
	}
	rows := make([]bar, 0, len(s.Histogram))
	for i := len(s.Histogram) - 1; i >= 0; i-- {
		n := s.Histogram[i]
		row := bar{Value: i + 1, Votes: int(n), Share: percent(n, s.Votes), Width: int(100 * int64(n) / int64(most))}
		if n > 0 {
			row.Width = max(row.Width, 1) // some are not none
		}
		rows = append(rows, row)
	}
	return rows
}

// filmDescription is the sentence that search engines and link previews show.
func filmDescription(f *film) string {
	var b strings.Builder
	b.WriteString(titleWithYear(f))
	if f.Director != "" {
		b.WriteString(", directed by " + f.Director)
	}
	if f.Rated() {
		b.WriteString(": " + decimal(1, f.Summary.Weighted) + " of 10 from " + plural(f.Summary.Votes, "rating", "ratings"))
	}
	b.WriteString(".")
	if f.Description != "" {
		b.WriteString(" " + f.Description)
	}
	const limit = 300
	text := []rune(b.String())
	if len(text) > limit {
		return string(text[:limit-1]) + "…"
	}
	return string(text)
}
