package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"movieexample.com/client/formats"
	"movieexample.com/internal/kafka"
)

// FileOptions tune the import of a file of our own formats. The zero value reads JSON lines.
type FileOptions struct {
	// Name is what errors and rejected rows call the file; empty means "the file".
	Name string
	// Format is how the file is written; empty means formats.JSONL.
	Format formats.Format
	// Size is the number of bytes of the file, for the progress; 0 if it is unknown.
	Size int64
	// Fill fills in what films lack, instead of replacing them whole. For movies.
	Fill bool
	// NoWait returns when Kafka has every rating, before they are in the aggregates. For ratings.
	NoWait bool
	// StallTimeout is as in ImportOptions. For ratings.
	StallTimeout time.Duration
	// Rejected is called for every rejected row, in the order of the file. Its calls come one at a time.
	Rejected func(*formats.RowError)
	// Noted is called for every row that went in without one of its fields. As Rejected.
	Noted func(*formats.RowError)
	// Waiting is as in ImportOptions. For ratings.
	Waiting func(string)
	// Progress is called several times a second with the progress of the import.
	Progress func(Progress)
}

func (o FileOptions) withDefaults() FileOptions {
	if o.Name == "" {
		o.Name = "the file"
	}
	if o.Format == "" {
		o.Format = formats.JSONL
	}
	if o.Rejected == nil {
		o.Rejected = func(*formats.RowError) {}
	}
	if o.Noted == nil {
		o.Noted = func(*formats.RowError) {}
	}
	return o
}

// MoviesSummary is the result of ImportMovies.
type MoviesSummary struct {
	Films FilmCounts `json:"films"`
	// Rejected is the number of rows that did not go in: those that are not films, and those that were refused.
	Rejected int64 `json:"rejected"`
	// Noted is the number of rows that went in without one of their fields.
	Noted int64 `json:"noted"`
	// NothingChanged: all films that went in were there as they are in the file. It says nothing of what was rejected.
	NothingChanged bool `json:"nothingChanged"`
	// Interrupted: it was ended before it was done.
	Interrupted bool    `json:"interrupted"`
	Seconds     float64 `json:"seconds"`
}

// ImportMovies puts the movies of a file into the catalogue. Each replaces the one with its id whole, unless opt says Fill. Rows are
// written in the order of the file: of two with one id the last one stays. Memory does not grow with the file.
//
// Rejected rows are counted and reported, and are not an error. The summary is right up to where the import ended, even with an error: of
// kind Invalid if r is not such a file, *UnreachableError if the metadata service does not answer, context.Canceled if ctx ended.
func (c *Client) ImportMovies(ctx context.Context, r io.Reader, opt FileOptions) (s MoviesSummary, err error) {
	began := time.Now()
	opt = opt.withDefaults()
	counted := &countingReader{r: r}
	err = c.importMovies(ctx, counted, opt, &s)
	s.Seconds = since(began)
	s.NothingChanged = err == nil && s.Films.Created+s.Films.Updated == 0
	if err != nil && isInterrupt(ctx, err) {
		s.Interrupted = true
		err = &interrupted{
			text:  fmt.Sprintf("interrupted: %d films went in; run it again to complete it", s.Films.Created+s.Films.Updated+s.Films.Unchanged),
			cause: ctx.Err(),
		}
	}
	return s, err
}

func (c *Client) importMovies(ctx context.Context, r *countingReader, opt FileOptions, s *MoviesSummary) (err error) {
	ctx, cancel := context.WithCancel(ctx) // a failed call ends the reading too
	defer cancel()
	reject := func(bad *formats.RowError) {
		s.Rejected++
		opt.Rejected(bad)
	}
	// What a writer tells it tells one thing at a time, and until it is finished nothing else accesses s.
	w := c.newFilmWriter(ctx, filmRules{replace: !opt.Fill, contested: refuse, inOrder: true},
		func(row filmRow, reason string) {
			reject(&formats.RowError{File: opt.Name, Line: row.line, ID: row.key, Reason: reason})
		},
		func(row filmRow, reason string) {
			s.Noted++
			opt.Noted(&formats.RowError{File: opt.Name, Line: row.line, ID: row.key, Reason: reason})
		})
	stop := meter(opt.Progress, func() Progress {
		return Progress{Phase: PhaseFilms, Rows: w.written.Load(), Done: r.n.Load(), Total: opt.Size}
	})
	defer stop()
	readErr := func() error {
		for row, err := range aside(ctx, formats.ReadMovies(opt.Name, r, opt.Format, !opt.Fill)) {
			if bad := (*formats.RowError)(nil); errors.As(err, &bad) {
				w.say(func() { reject(bad) })
				continue
			}
			if err != nil {
				return err
			}
			added := filmRow{movie: row.Movie, line: row.Line, key: row.Movie.GetId()}
			for _, left := range row.Left {
				added.left = append(added.left, left.Field)
				added.reasons = append(added.reasons, left.Reason+"; the film went in without that")
			}
			added.reasons = slices.Compact(added.reasons) // one value may be several fields
			if err := w.add(added); err != nil {
				return err
			}
		}
		return ctx.Err()
	}()
	if s.Films, err = w.finish(); err != nil {
		return err
	}
	return readErr
}

// RatingsSummary is the result of ImportRatings.
type RatingsSummary struct {
	Ratings RatingCounts `json:"ratings"`
	// Rejected is the number of rows that did not go in.
	Rejected int64 `json:"rejected"`
	// Noted is the number of rows that went in without one of their fields.
	Noted int64 `json:"noted"`
	// Before and After are the totals over all ratings of films, as in ImportSummary.
	Before *Totals `json:"totalsBefore,omitempty"`
	After  *Totals `json:"totalsAfter,omitempty"`
	// Waited: the aggregates include every rating of the file.
	Waited bool `json:"waited"`
	// Interrupted: it was ended before it was done.
	Interrupted bool    `json:"interrupted"`
	Seconds     Seconds `json:"seconds"`
}

// ImportRatings brings the ratings of a file into the system, as events in Kafka with the time at which the user rated. It returns when
// aggregates, charts and totals include the last one. An import that is repeated changes nothing, and a rating that is newer than the one
// in the file stays.
//
// Rejected rows are counted and reported, and are not an error. The summary is right up to where the import ended, even with an error: those of
// [Client.ImportMovieLens].
func (c *Client) ImportRatings(ctx context.Context, r io.Reader, opt FileOptions) (s RatingsSummary, err error) {
	began := time.Now()
	err = c.importRatings(ctx, &countingReader{r: r}, opt.withDefaults(), &s)
	s.Seconds.Total = since(began)
	if err != nil && isInterrupt(ctx, err) {
		s.Interrupted = true
		err = &interrupted{
			text:  fmt.Sprintf("interrupted: %d ratings went in; run it again to complete it, rows that went in already are not changed", s.Ratings.Published),
			cause: ctx.Err(),
		}
	}
	return s, err
}

func (c *Client) importRatings(ctx context.Context, r *countingReader, opt FileOptions, s *RatingsSummary) error {
	before, _, err := c.totals(ctx, movieType)
	if err != nil {
		return err
	}
	s.Before = &before
	stream, err := c.openStream(ctx, opt.StallTimeout)
	if err != nil {
		return err
	}
	defer stream.close(ctx)
	stream.waiting = opt.Waiting
	var last kafka.Offsets
	err = timed(&s.Seconds.Ratings, func() (err error) {
		last, err = c.publishRatings(ctx, stream, r, opt, s)
		return err
	})
	if err != nil || opt.NoWait {
		return err
	}
	return timed(&s.Seconds.Ingest, func() error {
		after, err := stream.settle(ctx, last, s.Ratings.Published, opt.Progress)
		if err == nil {
			s.Waited, s.After = true, &after
		}
		return err
	})
}

func (c *Client) publishRatings(ctx context.Context, stream *eventStream, r *countingReader, opt FileOptions, s *RatingsSummary) (kafka.Offsets, error) {
	var rows atomic.Int64
	stop := meter(opt.Progress, func() Progress {
		return Progress{Phase: PhaseRatings, Rows: rows.Load(), Done: r.n.Load(), Total: opt.Size}
	})
	defer stop()
	defer stream.watchKafka()()
	now := time.Now()
	reject := func(bad *formats.RowError) {
		s.Rejected++
		s.Ratings.Rejected++
		opt.Rejected(bad)
	}
	err := func() error {
		for row, err := range aside(ctx, formats.ReadRatings(opt.Name, r, opt.Format)) {
			if bad := (*formats.RowError)(nil); errors.As(err, &bad) {
				reject(bad)
				continue
			}
			if err != nil {
				return err
			}
			s.Ratings.Read++
			rows.Add(1)
			if err := row.Event.CheckTime(now); err != nil {
				reject(&formats.RowError{File: opt.Name, Line: row.Line, Reason: err.Error()})
				continue
			}
			for _, left := range row.Left {
				s.Noted++
				opt.Noted(&formats.RowError{File: opt.Name, Line: row.Line, Reason: left.Reason + "; the rating went in without it"})
			}
			if err := stream.publish(ctx, &row.Event, nil); err != nil {
				return err
			}
		}
		return ctx.Err()
	}()
	var last kafka.Offsets
	if err == nil {
		last, err = stream.flush(ctx)
	}
	if err != nil {
		stream.flushInterrupted(ctx)
	}
	s.Ratings.Published = stream.acknowledged.Load()
	return last, err
}

// aside reads a stream in its own goroutine, so that the end of ctx is not held up by a pipe that stays silent: a read cannot be
// interrupted, and its goroutine is left behind then. The end of ctx ends the stream without an error.
func aside[T any](ctx context.Context, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	type item struct {
		v   T
		err error
	}
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		items := make(chan item, 256)
		go func() {
			defer close(items)
			for v, err := range seq {
				select {
				case items <- item{v, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		for {
			select {
			case <-ctx.Done():
				return
			case next, more := <-items:
				if !more || !yield(next.v, next.err) {
					return
				}
			}
		}
	}
}

// countingReader counts what was read.
type countingReader struct {
	r io.Reader
	n atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
