package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/imdb"
	"movieexample.com/internal/fault"
)

// What the metadata service takes of a film (metadata.proto). An import leaves out what is beyond it and says so, rather than
// to lose the film.
const (
	leastYear, mostYear = 1870, 2100
	mostRuntime         = 6000
	mostTitle           = 500 // characters
	mostDirector        = 500 // characters
)

// imdbKnowsBest are the fields that an import from IMDb overwrites. A description it has not, ids and genres are united.
func imdbKnowsBest() []string {
	return []string{"title", "original_title", "year", "runtime_minutes", "director"}
}

// IMDbOptions tune ImportIMDb. The zero value works.
type IMDbOptions struct {
	// Rejected is called for every rejected row: file after file while they are read, and then the films that the
	// metadata service refused, in the order of their ids. Its calls come one at a time.
	Rejected func(*imdb.RowError)
	// Noted is called for every row that went in without one of its fields, or into another film. As Rejected.
	Noted func(*imdb.RowError)
	// Lacking is called with what films lack because a file is missing, before anything is read.
	Lacking func(string)
	// Progress is called several times a second with the progress of the import: through the files, then through the films.
	Progress func(Progress)
}

// IMDbSummary is the result of ImportIMDb.
type IMDbSummary struct {
	Directory string     `json:"directory"`
	Films     FilmCounts `json:"films"`
	// Rows is how many rows each file has; a file that is missing, or useless without another one, is not in it.
	Rows map[string]int64 `json:"rows"`
	// OtherTypes is the number of titles that are not films, and Adult that of adult films: both are left out.
	OtherTypes int64 `json:"otherTypes"`
	Adult      int64 `json:"adult"`
	// UnknownDirectors is how many times a director has no name in the files.
	UnknownDirectors int64 `json:"unknownDirectors"`
	// Rejected is the number of rows of all files that did not go in.
	Rejected int64 `json:"rejected"`
	// Noted is the number of rows that went in without one of their fields, or into another film than their own.
	Noted int64 `json:"noted"`
	// NothingChanged: all films that went in were there as they are. It says nothing of what was rejected.
	NothingChanged bool `json:"nothingChanged"`
	// Interrupted: it was ended before it was done.
	Interrupted bool        `json:"interrupted"`
	Seconds     IMDbSeconds `json:"seconds"`
}

// IMDbSeconds is how long the parts of an import took.
type IMDbSeconds struct {
	Read  float64 `json:"read"`
	Films float64 `json:"films"`
	Total float64 `json:"total"`
}

// ImportIMDb brings the films of IMDb's files in dir into the catalogue: movies and TV movies that are not adult titles. A film that
// the catalogue has, by its IMDb id, gets the title, original title, year, running time and director that IMDb gives, and keeps
// what IMDb has not; the title that is replaced stays as an alternative one. So it does not matter which of several sources is
// imported first, and an import that is repeated changes nothing. Memory does not grow with the files.
//
// Rejected rows are counted and reported, and are not an error. The summary is right up to where the import ended, even with an error:
// of kind Invalid if dir has no such files, *UnreachableError if the metadata service does not answer, context.Canceled if ctx ended.
func (c *Client) ImportIMDb(ctx context.Context, dir string, opt IMDbOptions) (IMDbSummary, error) {
	began := time.Now()
	im := &imdbImporter{c: c, opt: opt, summary: IMDbSummary{Directory: dir, Rows: map[string]int64{}}}
	var err error
	if im.dir, err = imdb.Open(dir); err != nil {
		return im.summary, &fault.Error{Kind: fault.KindInvalid, Msg: err.Error()}
	}
	if opt.Lacking != nil {
		for _, text := range im.dir.Lacking() {
			opt.Lacking(text)
		}
	}
	// Reading takes minutes, so check first whether the service can be reached.
	if _, err := c.metadata.ListMovies(ctx, &metadatav1.ListMoviesRequest{PageSize: 1}); err != nil {
		return im.summary, c.explain(Metadata, "read films", err)
	}
	err = im.run(ctx)
	im.finish(since(began))
	if err != nil && isInterrupt(ctx, err) {
		im.summary.Interrupted = true
		f := im.summary.Films
		err = &interrupted{
			text:  fmt.Sprintf("interrupted: %d films went in; run it again to complete it, rows that went in already are not changed", f.Created+f.Updated+f.Unchanged),
			cause: ctx.Err(),
		}
	}
	im.summary.NothingChanged = err == nil && im.summary.Films.Created+im.summary.Films.Updated == 0
	return im.summary, err
}

// imdbImporter is one import.
type imdbImporter struct {
	c   *Client
	dir *imdb.Dir
	opt IMDbOptions

	mu      sync.Mutex // rejects come from several goroutines
	read    time.Time  // when all files had been read
	summary IMDbSummary
}

func (im *imdbImporter) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx) // a failed call ends the reading too
	defer cancel()
	began := time.Now()
	w := im.c.newFilmWriter(ctx, filmRules{overwrite: imdbKnowsBest(), contested: meet},
		func(row filmRow, reason string) { im.reject(im.about(row, reason)) },
		func(row filmRow, reason string) { im.note(im.about(row, reason)) })
	stop := meter(im.opt.Progress, func() Progress { return im.progress(w) })
	defer stop()
	readErr := im.readFilms(ctx, w)
	im.summary.Films, err = w.finish()
	im.summary.Seconds.Read, im.summary.Seconds.Films = since(began), 0
	if read := im.allRead(); !read.IsZero() {
		im.summary.Seconds.Read = read.Sub(began).Round(time.Millisecond).Seconds()
		im.summary.Seconds.Films = since(read)
	}
	if err != nil {
		return err
	}
	return readErr
}

func (im *imdbImporter) readFilms(ctx context.Context, w *filmWriter) error {
	for film, err := range im.dir.Films(ctx) {
		if bad := (*imdb.RowError)(nil); errors.As(err, &bad) {
			if bad.Kept {
				im.note(bad)
			} else {
				im.reject(bad) // before the first film: nothing of the writer's comes in between
			}
			continue
		}
		if err != nil {
			return err
		}
		im.filesAreRead()
		row := filmRow{line: film.Line, key: film.ID}
		row.movie, row.reasons = movieOfIMDb(film)
		if err := w.add(row); err != nil {
			return err
		}
	}
	im.filesAreRead()
	return nil
}

func (im *imdbImporter) filesAreRead() {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.read.IsZero() {
		im.read = time.Now()
	}
}

func (im *imdbImporter) allRead() time.Time {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.read
}

func (im *imdbImporter) progress(w *filmWriter) Progress {
	n := im.dir.Counts()
	if im.allRead().IsZero() {
		return Progress{Phase: PhaseRead, Rows: n.Rows, Done: n.Bytes, Total: im.dir.Size()}
	}
	written := w.written.Load()
	return Progress{Phase: PhaseFilms, Rows: written, Done: written, Total: n.Kept}
}

// finish takes the counts of the reading into the summary.
func (im *imdbImporter) finish(total float64) {
	n := im.dir.Counts()
	s := &im.summary
	s.OtherTypes, s.Adult, s.UnknownDirectors = n.OtherTypes, n.Adult, n.UnknownDirectors
	for _, f := range imdb.Files() {
		if rows := im.dir.Rows(f); rows > 0 {
			s.Rows[im.dir.Name(f)] = rows
		}
	}
	s.Seconds.Total = total
}

// about is what there is to say about a film, at its row.
func (im *imdbImporter) about(row filmRow, reason string) *imdb.RowError {
	return &imdb.RowError{
		File: im.dir.Name(imdb.BasicsFile), Line: row.line, Field: "tconst", Value: row.key, Reason: reason,
	}
}

func (im *imdbImporter) reject(bad *imdb.RowError) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.summary.Rejected++
	if im.opt.Rejected != nil {
		im.opt.Rejected(bad)
	}
}

func (im *imdbImporter) note(odd *imdb.RowError) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.summary.Noted++
	if im.opt.Noted != nil {
		im.opt.Noted(odd)
	}
}

// movieOfIMDb is the film for the catalogue, and what had to be left out of it.
func movieOfIMDb(f imdb.Film) (m *metadatav1.Movie, left []string) {
	m = &metadatav1.Movie{
		Id: f.ID, Title: f.Title, OriginalTitle: f.OriginalTitle, Genres: f.Genres,
		ExternalIds: &metadatav1.ExternalIds{Imdb: f.ID},
	}
	for _, title := range f.AlternativeTitles {
		if err := fault.Text("title", title, mostTitle, true); err != nil {
			left = append(left, fmt.Sprintf("alternative title %.40q … %v; the film went in without it", title, err))
			continue
		}
		m.AlternativeTitles = append(m.AlternativeTitles, title)
	}
	switch {
	case f.Year == 0:
	case f.Year < leastYear || f.Year > mostYear:
		left = append(left, fmt.Sprintf("startYear %d is not between %d and %d; the film went in without a year", f.Year, leastYear, mostYear))
	default:
		m.Year = proto.Int32(int32(f.Year))
	}
	switch {
	case f.RuntimeMinutes == 0:
	case f.RuntimeMinutes > mostRuntime:
		left = append(left, fmt.Sprintf("runtimeMinutes %d is more than %d; the film went in without a running time", f.RuntimeMinutes, mostRuntime))
	default:
		m.RuntimeMinutes = proto.Int32(int32(f.RuntimeMinutes))
	}
	var n int
	if m.Director, n = joinNames(f.Directors, mostDirector); n < len(f.Directors) {
		left = append(left, fmt.Sprintf("of its %d directors the first %d went in: their names may have %d characters in all", len(f.Directors), n, mostDirector))
	}
	return m, left
}

// joinNames joins as many whole names as fit, and says how many those are.
func joinNames(names []string, limit int) (joined string, n int) {
	length := 0
	for i, name := range names {
		if i > 0 {
			length += 2
		}
		if length += utf8.RuneCountInString(name); length > limit {
			return strings.Join(names[:i], ", "), i
		}
	}
	return strings.Join(names, ", "), len(names)
}
