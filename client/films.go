package client

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

const (
	// filmBatch is the most films that one call takes.
	filmBatch = 200
	// filmCalls is how many calls are under way at a time: one is encoded and sent while another is written.
	filmCalls = 3
)

// FilmCounts tells what became of films.
type FilmCounts struct {
	// Read is the number of films that were read, and is the sum of the others.
	Read      int64 `json:"read"`
	Created   int64 `json:"created"`
	Updated   int64 `json:"updated"`
	Unchanged int64 `json:"unchanged"`
	Refused   int64 `json:"refused"`
}

// filmRow is a film on its way, and the row it came from.
type filmRow struct {
	movie   *metadatav1.Movie
	movieID int64 // at MovieLens; 0 if it is not from there
	line    int
}

// filmWriter fills films in, in batches, several at a time.
type filmWriter struct {
	c     *Client
	ctx   context.Context
	group *errgroup.Group
	batch []filmRow

	// refused and partial are told of films that did not go in, or not wholly. Their calls come one at a time.
	refused, partial func(row filmRow, reason string)

	written atomic.Int64
	mu      sync.Mutex
	counts  FilmCounts
}

func (c *Client) newFilmWriter(ctx context.Context, refused, partial func(filmRow, string)) *filmWriter {
	w := &filmWriter{c: c, refused: refused, partial: partial}
	w.group, w.ctx = errgroup.WithContext(ctx)
	w.group.SetLimit(filmCalls)
	return w
}

// add takes a film. The error is one of an earlier film's call, or the context's.
func (w *filmWriter) add(row filmRow) error {
	w.batch = append(w.batch, row)
	if len(w.batch) == filmBatch {
		w.send()
	}
	return w.ctx.Err()
}

func (w *filmWriter) send() {
	if len(w.batch) == 0 {
		return
	}
	batch := w.batch
	w.batch = make([]filmRow, 0, filmBatch)
	w.group.Go(func() error { return w.put(batch) })
}

// finish sends what is left, waits for all calls and returns the counts and the first error.
func (w *filmWriter) finish() (FilmCounts, error) {
	if w.ctx.Err() == nil {
		w.send()
	}
	err := w.group.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.counts
	c.Read = c.Created + c.Updated + c.Unchanged + c.Refused
	return c, err
}

// put writes one batch. An id at TMDb that belongs to another film does not keep a film out: TMDb has been known to
// list a film twice and other catalogues to link both to one entry, while the film's own id is not in doubt.
func (w *filmWriter) put(batch []filmRow) error {
	results, err := w.call(batch)
	if err != nil {
		return err
	}
	var again []filmRow
	var contested []string
	for i, row := range batch {
		if codes.Code(results[i].GetCode()) == codes.AlreadyExists && row.movie.GetExternalIds().GetTmdb() != "" {
			contested = append(contested, row.movie.ExternalIds.Tmdb)
			row.movie = proto.CloneOf(row.movie)
			row.movie.ExternalIds.Tmdb = ""
			again = append(again, row)
			continue
		}
		w.count(row, results[i], "")
	}
	if len(again) == 0 {
		return nil
	}
	if results, err = w.call(again); err != nil {
		return err
	}
	for i, row := range again {
		w.count(row, results[i], contested[i])
	}
	return nil
}

func (w *filmWriter) call(batch []filmRow) ([]*metadatav1.BatchPutMoviesResponse_Result, error) {
	req := &metadatav1.BatchPutMoviesRequest{Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL}
	for _, row := range batch {
		req.Movies = append(req.Movies, row.movie)
	}
	resp, err := w.c.metadata.BatchPutMovies(w.ctx, req)
	if err != nil {
		return nil, w.c.explain(Metadata, "write films", err)
	}
	results := resp.GetResults()
	if len(results) != len(batch) {
		return nil, fmt.Errorf("write films: %d films were sent and %d results came back", len(batch), len(results))
	}
	for i, r := range results {
		// The place in the batch means nothing to a reader.
		r.Reason = strings.TrimPrefix(r.GetReason(), fmt.Sprintf("movies[%d].", i))
	}
	return results, nil
}

// count books a result; contested is the id at TMDb that the film had to go without.
func (w *filmWriter) count(row filmRow, r *metadatav1.BatchPutMoviesResponse_Result, contested string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written.Add(1)
	switch r.GetOutcome() {
	case metadatav1.BatchPutMoviesResponse_OUTCOME_CREATED:
		w.counts.Created++
	case metadatav1.BatchPutMoviesResponse_OUTCOME_UPDATED:
		w.counts.Updated++
	case metadatav1.BatchPutMoviesResponse_OUTCOME_UNCHANGED:
		w.counts.Unchanged++
	default:
		w.counts.Refused++
		w.refused(row, r.GetReason())
		return
	}
	if contested != "" {
		w.partial(row, fmt.Sprintf("TMDb id %s belongs to another film in the catalogue; the film went in without it", contested))
	}
}
