package client

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"movieexample.com/api/events"
	"movieexample.com/client/formats"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

const (
	// moviePage is the number of movies of one call; a movie may have 500 KB, so more could be too much for an answer.
	moviePage = 200
	// ratingPage is the number of ratings of one call.
	ratingPage = 5000
)

// ExportOptions tune an export. The zero value writes JSON lines.
type ExportOptions struct {
	// Format is how the file is written; empty means formats.JSONL.
	Format formats.Format
	// RecordType is the type of the records whose ratings are exported; empty means all. For ratings.
	RecordType string
	// Progress is called several times a second with the progress of the export.
	Progress func(Progress)
}

func (o ExportOptions) withDefaults() ExportOptions {
	if o.Format == "" {
		o.Format = formats.JSONL
	}
	return o
}

// ExportSummary is the result of an export.
type ExportSummary struct {
	// Rows is the number of movies or ratings.
	Rows    int64   `json:"rows"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

// ExportMovies writes all movies to w, in the order of their titles as lists have it, and movies with the same title in that of their
// ids. A movie that does not change meanwhile is in it exactly once. Memory does not grow with the catalogue.
//
// The error is w's, or *UnreachableError if the metadata service does not answer, or context.Canceled if ctx ended; what was written
// until then is incomplete.
func (c *Client) ExportMovies(ctx context.Context, w io.Writer, opt ExportOptions) (ExportSummary, error) {
	opt = opt.withDefaults()
	return c.export(ctx, w, opt, "movies", func(out io.Writer, rows *atomic.Int64, total *atomic.Int64) error {
		if stats, err := c.metadata.GetCatalogueStats(ctx, &metadatav1.GetCatalogueStatsRequest{}); err == nil { // only for the progress
			total.Store(int64(stats.GetMovies()))
		}
		file := formats.NewMovieWriter(out, opt.Format)
		for token := ""; ; {
			resp, err := c.metadata.ListMovies(ctx, &metadatav1.ListMoviesRequest{
				Order: metadatav1.MovieOrder_MOVIE_ORDER_TITLE, PageSize: moviePage, PageToken: token,
			})
			if err != nil {
				return c.explain(Metadata, "read movies", err)
			}
			for _, m := range resp.GetMovies() {
				if err := file.Write(m); err != nil {
					return err
				}
			}
			rows.Add(int64(len(resp.GetMovies())))
			if token = resp.GetNextPageToken(); token == "" {
				return file.Flush()
			}
		}
	})
}

// ExportRatings writes all ratings to w, in the order of record type, record and user, compared byte by byte. A rating that does not change
// meanwhile is in it exactly once. Memory does not grow with the ratings. The errors are those of [Client.ExportMovies], for the rating
// service.
func (c *Client) ExportRatings(ctx context.Context, w io.Writer, opt ExportOptions) (ExportSummary, error) {
	opt = opt.withDefaults()
	return c.export(ctx, w, opt, "ratings", func(out io.Writer, rows *atomic.Int64, total *atomic.Int64) error {
		if t, _, err := c.totals(ctx, movieType); err == nil { // only for the progress
			total.Store(t.Ratings)
		}
		file := formats.NewRatingWriter(out, opt.Format)
		for token := ""; ; {
			resp, err := c.admin.ListRatings(ctx, &ratingv1.ListRatingsRequest{RecordType: opt.RecordType, PageSize: ratingPage, PageToken: token})
			if err != nil {
				return c.explain(Rating, "read ratings", err)
			}
			for _, r := range resp.GetRatings() {
				e := events.Event{
					UserID: r.GetUserId(), RecordID: r.GetRecordId(), RecordType: r.GetRecordType(), Value: int(r.GetValue()), RatedAt: r.GetRatedAt().AsTime(),
				}
				if err := file.Write(&e); err != nil {
					return err
				}
			}
			rows.Add(int64(len(resp.GetRatings())))
			if token = resp.GetNextPageToken(); token == "" {
				return file.Flush()
			}
		}
	})
}

func (c *Client) export(ctx context.Context, w io.Writer, opt ExportOptions, what string, write func(out io.Writer, rows, total *atomic.Int64) error) (ExportSummary, error) {
	began := time.Now()
	var rows, total atomic.Int64
	out := &countingWriter{w: w}
	stop := meter(opt.Progress, func() Progress {
		n := rows.Load()
		return Progress{Phase: PhaseWrite, Rows: n, Done: n, Total: max(n, total.Load())}
	})
	err := write(out, &rows, &total)
	stop()
	s := ExportSummary{Rows: rows.Load(), Bytes: out.n, Seconds: since(began)}
	if err != nil && isInterrupt(ctx, err) {
		err = &interrupted{text: fmt.Sprintf("interrupted after %d %s: the export is not complete", s.Rows, what), cause: ctx.Err()}
	}
	return s, err
}

// countingWriter counts what was written.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
