package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"movieexample.com/api/events"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
	"movieexample.com/movielens"
)

// providerMovieLens says in each event where it came from.
const providerMovieLens = "movielens"

// ImportOptions tune an import. The zero value works.
type ImportOptions struct {
	// NoWait returns when Kafka has every rating, before they are in the aggregates.
	NoWait bool
	// StallTimeout is how long nothing may move before the import gives up; 0 means DefaultStallTimeout.
	StallTimeout time.Duration
	// Rejected is called for every rejected row, in the order of the rows of each file: those of links.csv, then those of
	// movies.csv, then those of ratings.csv. Its calls come one at a time.
	Rejected func(*movielens.RowError)
	// Noted is called for every row that went in without one of its fields, or into another film. As Rejected.
	Noted func(*movielens.RowError)
	// Waiting is called with a line of text about what the import is waiting for: when there has been no answer for some 3 seconds, and
	// every 15 seconds from then on. May be called while another of these functions is.
	Waiting func(string)
	// Progress is called several times a second with the progress of the import.
	Progress func(Progress)
}

// ImportSummary is the result of an import.
type ImportSummary struct {
	Directory string       `json:"directory"`
	Films     FilmCounts   `json:"films"`
	Ratings   RatingCounts `json:"ratings"`
	// Rejected is the number of rows of all files that did not go in.
	Rejected int64 `json:"rejected"`
	// Noted is the number of rows that went in without one of their fields, or into another film than their own.
	Noted int64 `json:"noted"`
	// Before and After are the totals over all ratings of films: After includes every rating of this import, and is nil if it
	// was not waited for.
	Before *Totals `json:"totalsBefore,omitempty"`
	After  *Totals `json:"totalsAfter,omitempty"`
	// NothingChanged: all films that went in were there as they are, and number and sum of all ratings are the same before and after. It
	// says nothing of what was rejected.
	NothingChanged bool `json:"nothingChanged"`
	// Waited: the aggregates include every rating of this import.
	Waited bool `json:"waited"`
	// Interrupted: it was ended before it was done.
	Interrupted bool    `json:"interrupted"`
	Seconds     Seconds `json:"seconds"`
}

// ImportMovieLens brings the MovieLens data set in dir into the system: films are filled in at the metadata service, ratings
// become events in Kafka, with the time at which the user rated. It returns when aggregates, charts and totals include the
// last rating. An import that is repeated changes nothing, and one that was ended is completed.
//
// Rejected rows are counted and reported, and are not an error. The summary is right up to where the import ended, even with an
// error: of kind Invalid if dir is not a data set, *UnreachableError if a part of the system does not answer, context.Canceled if
// ctx ended.
func (c *Client) ImportMovieLens(ctx context.Context, dir string, opt ImportOptions) (ImportSummary, error) {
	began := time.Now()
	im := &importer{c: c, opt: opt, films: make(map[int64]importedFilm), now: began, summary: ImportSummary{Directory: dir}}
	var err error
	if im.dir, err = movielens.Open(dir); err != nil {
		return im.summary, &fault.Error{Kind: fault.KindInvalid, Msg: err.Error()}
	}
	err = im.run(ctx)
	im.summary.Seconds.Total = since(began)
	if err != nil && isInterrupt(ctx, err) {
		im.summary.Interrupted = true
		err = &interrupted{
			text: fmt.Sprintf("interrupted: %d films and %d ratings went in; run it again to complete it, rows that went in already are not changed",
				im.summary.Films.Created+im.summary.Films.Updated+im.summary.Films.Unchanged, im.summary.Ratings.Published),
			cause: ctx.Err(),
		}
	}
	return im.summary, err
}

// importer is one import.
type importer struct {
	c   *Client
	dir *movielens.Dir
	opt ImportOptions
	now time.Time

	films   map[int64]importedFilm
	rows    atomic.Int64 // dealt with in this phase
	mu      sync.Mutex   // rejects come from several goroutines
	summary ImportSummary
}

// importedFilm is what the ratings need to know of a film.
type importedFilm struct {
	id      string
	line    int
	refused bool
}

func (im *importer) run(ctx context.Context) error {
	before, _, err := im.c.totals(ctx, movieType)
	if err != nil {
		return err
	}
	im.summary.Before = &before
	stream, err := im.c.openStream(ctx, im.opt.StallTimeout)
	if stream != nil {
		stream.waiting = im.opt.Waiting
	}
	if err != nil {
		return err
	}
	defer stream.close(ctx)
	if err := timed(&im.summary.Seconds.Films, func() error { return im.importFilms(ctx) }); err != nil {
		return err
	}
	var last kafka.Offsets
	err = timed(&im.summary.Seconds.Ratings, func() (err error) {
		last, err = im.importRatings(ctx, stream)
		return err
	})
	if err != nil || im.opt.NoWait {
		return err
	}
	return timed(&im.summary.Seconds.Ingest, func() error { return im.await(ctx, stream, last) })
}

func (im *importer) importFilms(ctx context.Context) (err error) {
	// A failed call ends the reading too, and its error is the one to tell.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := im.c.newFilmWriter(ctx, filmRules{},
		func(row filmRow, reason string) {
			im.mu.Lock()
			film := im.films[row.movieID]
			film.refused = true
			im.films[row.movieID] = film
			im.mu.Unlock()
			im.reject(movielens.MoviesFile, row.line, "movieId", row.movieID, reason)
		},
		func(row filmRow, reason string) { im.note(row, reason) })
	w.met = func(row filmRow, id string) {
		im.mu.Lock()
		defer im.mu.Unlock()
		film := im.films[row.movieID]
		film.id = id
		im.films[row.movieID] = film
	}
	stop := meter(im.opt.Progress, func() Progress {
		return Progress{
			Phase: PhaseFilms, Rows: w.written.Load(),
			Done: im.dir.Done(movielens.MoviesFile), Total: im.dir.Size(movielens.MoviesFile),
		}
	})
	defer stop()
	readErr := im.readFilms(ctx, w)
	im.summary.Films, err = w.finish()
	if err != nil {
		return err
	}
	return readErr
}

func (im *importer) readFilms(ctx context.Context, w *filmWriter) error {
	byTMDB := make(map[string]int64)
	for film, err := range im.dir.Catalogue(ctx) {
		if bad := (*movielens.RowError)(nil); errors.As(err, &bad) {
			w.say(func() { im.rejectRow(bad) })
			continue
		}
		if err != nil {
			return err
		}
		im.mu.Lock()
		first, twice := im.films[film.ID]
		if !twice {
			im.films[film.ID] = importedFilm{id: film.ImportID(), line: film.Line}
		}
		im.mu.Unlock()
		if twice {
			w.say(func() {
				im.reject(movielens.MoviesFile, film.Line, "movieId", film.ID, fmt.Sprintf("is on line %d already; the first one counts", first.line))
			})
			continue
		}
		row := filmRow{movieID: film.ID, line: film.Line}
		if other, ok := byTMDB[film.TMDB]; ok && film.TMDB != "" {
			reason := fmt.Sprintf("links.csv gives it the TMDb id %s of movieId %d; the film went in without it", film.TMDB, other)
			w.say(func() { im.note(row, reason) })
			film.TMDB = ""
		} else {
			byTMDB[film.TMDB] = film.ID
		}
		row.movie = movieOf(film)
		if err := w.add(row); err != nil {
			return err
		}
	}
	return nil
}

func movieOf(f movielens.Film) *metadatav1.Movie {
	m := &metadatav1.Movie{
		Id: f.ImportID(), Title: f.Title, OriginalTitle: f.OriginalTitle, AlternativeTitles: f.AlternativeTitles, Genres: f.Genres,
		ExternalIds: &metadatav1.ExternalIds{Imdb: f.IMDb, Tmdb: f.TMDB, Movielens: strconv.FormatInt(f.ID, 10)},
	}
	if f.Year != 0 {
		m.Year = proto.Int32(int32(f.Year))
	}
	return m
}

// importRatings publishes the ratings and returns where the last ones are.
func (im *importer) importRatings(ctx context.Context, stream *eventStream) (kafka.Offsets, error) {
	im.rows.Store(0)
	stop := meter(im.opt.Progress, func() Progress {
		return Progress{
			Phase: PhaseRatings, Rows: im.rows.Load(),
			Done: im.dir.Done(movielens.RatingsFile), Total: im.dir.Size(movielens.RatingsFile),
		}
	})
	defer stop()
	defer stream.watchKafka()()
	err := im.readRatings(ctx, stream)
	if err != nil {
		stream.flushInterrupted(ctx)
		im.summary.Ratings.Published = stream.acknowledged.Load()
		return nil, err
	}
	last, err := stream.flush(ctx)
	if isInterrupt(ctx, err) {
		stream.flushInterrupted(ctx)
	}
	im.summary.Ratings.Published = stream.acknowledged.Load()
	return last, err
}

func (im *importer) readRatings(ctx context.Context, stream *eventStream) error {
	for r, err := range im.dir.Ratings(ctx) {
		if bad := (*movielens.RowError)(nil); errors.As(err, &bad) {
			im.rejectRow(bad)
			continue
		}
		if err != nil {
			return err
		}
		film, known := im.films[r.MovieID]
		e := events.Event{
			UserID: strconv.FormatInt(r.UserID, 10), RecordID: film.id, RecordType: movieType, Value: r.Value,
			ProviderID: providerMovieLens, RatedAt: r.RatedAt,
		}
		switch {
		case !known:
			im.reject(movielens.RatingsFile, r.Line, "movieId", r.MovieID, "is not among the films of movies.csv that could be read")
		case film.refused:
			im.reject(movielens.RatingsFile, r.Line, "movieId", r.MovieID, fmt.Sprintf("is the film of movies.csv line %d, which was refused", film.line))
		case e.CheckTime(im.now) != nil:
			im.reject(movielens.RatingsFile, r.Line, "timestamp", r.RatedAt.Unix(), fmt.Sprintf("is %s, in the future", r.RatedAt.Format(time.RFC3339)))
		default:
			if err := stream.publish(ctx, &e, nil); err != nil {
				return err
			}
		}
		im.summary.Ratings.Read++
		im.rows.Add(1)
	}
	return nil
}

// await waits for the effect of the ratings.
func (im *importer) await(ctx context.Context, stream *eventStream, last kafka.Offsets) error {
	after, err := stream.settle(ctx, last, im.summary.Ratings.Published, im.opt.Progress)
	if err != nil {
		return err
	}
	im.summary.Waited, im.summary.After = true, &after
	im.summary.NothingChanged = im.summary.Films.Created+im.summary.Films.Updated == 0 && after == *im.summary.Before
	return nil
}

// settle waits until the aggregates include everything up to the offsets, which count published events, and returns totals
// that do too.
func (s *eventStream) settle(ctx context.Context, last kafka.Offsets, published int64, report func(Progress)) (Totals, error) {
	if len(last) == 0 {
		t, _, err := s.c.totals(ctx, movieType)
		return t, err
	}
	var done atomic.Int64
	stop := meter(report, func() Progress {
		return Progress{Phase: PhaseIngest, Rows: done.Load(), Done: done.Load(), Total: published}
	})
	defer stop()
	err := s.await(ctx, last, func(missing int64) { done.Store(max(published-missing, 0)) })
	if err != nil {
		return Totals{}, err
	}
	return s.totalsSince(ctx, movieType)
}

func (im *importer) reject(f movielens.File, line int, field string, value any, reason string) {
	im.rejectRow(&movielens.RowError{File: string(f), Line: line, Field: field, Value: fmt.Sprint(value), Reason: reason})
}

func (im *importer) rejectRow(bad *movielens.RowError) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if bad.Kept {
		im.noteRow(bad)
		return
	}
	im.summary.Rejected++
	if bad.File == string(movielens.RatingsFile) {
		im.summary.Ratings.Rejected++
	}
	if im.opt.Rejected != nil {
		im.opt.Rejected(bad)
	}
}

func (im *importer) note(row filmRow, reason string) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.noteRow(&movielens.RowError{
		File: string(movielens.MoviesFile), Line: row.line, Field: "movieId", Value: strconv.FormatInt(row.movieID, 10), Reason: reason,
	})
}

// noteRow is called with im.mu held.
func (im *importer) noteRow(odd *movielens.RowError) {
	im.summary.Noted++
	if im.opt.Noted != nil {
		im.opt.Noted(odd)
	}
}
