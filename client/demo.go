package client

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"movieexample.com/api/events"
	"movieexample.com/data"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
	"movieexample.com/movielens"
)

// What the demo's synthetic ratings are made from. A change of any of these makes other events: an installation that has the
// old ones would then have both.
const (
	demoSeed     = 1
	demoUsers    = 2_000
	demoRatings  = 100_000
	demoProvider = "demo"
)

// demoEnd is the end of the ten years in which the demo's users have rated. It is fixed, so that loading again is the same events.
func demoEnd() time.Time { return time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC) }

// DemoOptions tune LoadDemo. The zero value works.
type DemoOptions struct {
	// StallTimeout is as in ImportOptions.
	StallTimeout time.Duration
	// Progress is called several times a second with the progress of the load.
	Progress func(Progress)

	size demoSize // zero: the demo's
}

// demoSize is how many ratings the load makes up, and how many users' they are.
type demoSize struct{ users, ratings int }

// DemoSummary is the result of LoadDemo.
type DemoSummary struct {
	Films FilmCounts `json:"films"`
	// Ratings is the number of synthetic ratings of the demo, and Users that of their users.
	Ratings int64 `json:"ratings"`
	Users   int64 `json:"users"`
	// AlreadyLoaded: all of it was there before.
	AlreadyLoaded bool `json:"alreadyLoaded"`
	// Totals are those of all ratings of films, with the demo's; zero if AlreadyLoaded.
	Totals  Totals  `json:"totals"`
	Seconds Seconds `json:"seconds"`
}

// LoadDemo loads the demo catalogue and 100,000 synthetic ratings of it, the latter as events through Kafka, and returns when the
// aggregates include them. What is there already is not loaded again. Its errors are those of ImportMovieLens.
func (c *Client) LoadDemo(ctx context.Context, opt DemoOptions) (DemoSummary, error) {
	began := time.Now()
	if opt.size == (demoSize{}) {
		opt.size = demoSize{demoUsers, demoRatings}
	}
	s := DemoSummary{Ratings: int64(opt.size.ratings), Users: int64(opt.size.users)}
	err := c.loadDemo(ctx, opt, &s)
	s.Seconds.Total = since(began)
	if err != nil && isInterrupt(ctx, err) {
		err = &interrupted{text: "interrupted while loading the demo; loading it again completes it", cause: ctx.Err()}
	}
	return s, err
}

func (c *Client) loadDemo(ctx context.Context, opt DemoOptions, s *DemoSummary) error {
	films, err := data.Films()
	if err != nil {
		return fmt.Errorf("load the demo: %w", err)
	}
	if err := timed(&s.Seconds.Films, func() error { return c.loadDemoFilms(ctx, films, opt, s) }); err != nil {
		return err
	}
	rated := make([]movielens.RatedFilm, len(films))
	for i, f := range films {
		rated[i] = movielens.RatedFilm{ID: f.ID, Level: f.Level, Weight: float64(f.Popularity)}
	}
	ratings, err := movielens.Synthetic(demoSeed, opt.size.users, opt.size.ratings, rated, demoEnd())
	if err != nil {
		return fmt.Errorf("load the demo: %w", err)
	}
	if s.Films.Unchanged == s.Films.Read {
		votes := make(map[string]int64, len(films))
		for r := range ratings {
			votes[r.FilmID]++
		}
		if s.AlreadyLoaded, err = c.haveVotes(ctx, votes); err != nil || s.AlreadyLoaded {
			return err
		}
	}
	stream, err := c.openStream(ctx, opt.StallTimeout)
	if err != nil {
		return err
	}
	defer stream.close(ctx)
	var last kafka.Offsets
	err = timed(&s.Seconds.Ratings, func() error {
		var done atomic.Int64
		stop := meter(opt.Progress, func() Progress {
			return Progress{Phase: PhaseRatings, Rows: done.Load(), Done: done.Load(), Total: s.Ratings}
		})
		defer stop()
		for r := range ratings {
			e := events.Event{
				UserID: r.UserID, RecordID: r.FilmID, RecordType: movieType, Value: r.Value, ProviderID: demoProvider, RatedAt: r.RatedAt,
			}
			if err := stream.publish(ctx, &e, nil); err != nil {
				return err
			}
			done.Add(1)
		}
		last, err = stream.flush(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return timed(&s.Seconds.Ingest, func() error {
		s.Totals, err = stream.settle(ctx, last, s.Ratings, opt.Progress)
		return err
	})
}

func (c *Client) loadDemoFilms(ctx context.Context, films []data.Film, opt DemoOptions, s *DemoSummary) error {
	var refusal error // kept to the writer's rule: calls come one at a time
	w := c.newFilmWriter(ctx, filmRules{},
		func(row filmRow, reason string) {
			refusal = fmt.Errorf("load the demo: film %s (%s) was refused: %s", row.movie.GetId(), row.movie.GetTitle(), reason)
		},
		func(filmRow, string) {})
	stop := meter(opt.Progress, func() Progress {
		n := w.written.Load()
		return Progress{Phase: PhaseFilms, Rows: n, Done: n, Total: int64(len(films))}
	})
	defer stop()
	for _, f := range films {
		m := &metadatav1.Movie{
			Id: f.ID, Title: f.Title, OriginalTitle: f.OriginalTitle, Year: proto.Int32(int32(f.Year)), Genres: f.Genres, Director: f.Director,
			Description: f.Description, RuntimeMinutes: proto.Int32(int32(f.RuntimeMinutes)), ExternalIds: &metadatav1.ExternalIds{Imdb: f.ID},
		}
		if w.add(filmRow{movie: m}) != nil {
			break // finish knows why
		}
	}
	var err error
	if s.Films, err = w.finish(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return refusal
}

// haveVotes reports whether every film has at least that many ratings.
func (c *Client) haveVotes(ctx context.Context, votes map[string]int64) (bool, error) {
	ids := make([]string, 0, filmBatch)
	enough := true
	check := func() error {
		resp, err := c.ratings.BatchGetRatingSummaries(ctx, &ratingv1.BatchGetRatingSummariesRequest{RecordType: movieType, RecordIds: ids})
		if err != nil {
			return c.explain(Rating, "check whether the demo is loaded", err)
		}
		enough = enough && len(resp.GetSummaries()) == len(ids)
		for _, s := range resp.GetSummaries() {
			enough = enough && int64(s.GetVotes()) >= votes[s.GetRecordId()]
		}
		ids = ids[:0]
		return nil
	}
	for id := range votes {
		if ids = append(ids, id); len(ids) == filmBatch {
			if err := check(); err != nil {
				return false, err
			}
		}
	}
	if len(ids) > 0 {
		if err := check(); err != nil {
			return false, err
		}
	}
	return enough, nil
}
