package movie

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"time"

	"google.golang.org/grpc"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/cache"
	"movieexample.com/internal/fault"
)

// selectMost is the most ids that the metadata service selects from in one call.
const selectMost = 5000

// catalogue is the metadata service.
type catalogue struct {
	client metadatav1.MetadataServiceClient
}

func newCatalogue(conn grpc.ClientConnInterface) catalogue {
	return catalogue{metadatav1.NewMetadataServiceClient(conn)}
}

func (f filter) wire() *metadatav1.MovieFilter {
	return &metadatav1.MovieFilter{Genre: f.genre, MinYear: f.minYear, MaxYear: f.maxYear}
}

func (c catalogue) get(ctx context.Context, id string) (*Movie, error) {
	r, err := c.client.GetMovie(ctx, &metadatav1.GetMovieRequest{Id: id})
	if err != nil {
		return nil, fromMetadata(err)
	}
	return movieOf(r.GetMovie()), nil
}

// put writes m; m.ETag, when set, is the version it may replace.
func (c catalogue) put(ctx context.Context, m *Movie) (*Movie, error) {
	r, err := c.client.PutMovie(ctx, &metadatav1.PutMovieRequest{Movie: wireOf(m), ExpectedEtag: m.ETag})
	if err != nil {
		return nil, fromMetadata(err, "expected_etag", "movie.etag")
	}
	return movieOf(r.GetMovie()), nil
}

func (c catalogue) remove(ctx context.Context, id, etag string) error {
	_, err := c.client.DeleteMovie(ctx, &metadatav1.DeleteMovieRequest{Id: id, ExpectedEtag: etag})
	return fromMetadata(err, "expected_etag", "etag")
}

func (c catalogue) lookup(ctx context.Context, by externalID) (*Movie, error) {
	req := &metadatav1.LookupMovieRequest{}
	switch {
	case by.IMDb != "":
		req.ExternalId = &metadatav1.LookupMovieRequest_ImdbId{ImdbId: by.IMDb}
	case by.TMDb != "":
		req.ExternalId = &metadatav1.LookupMovieRequest_TmdbId{TmdbId: by.TMDb}
	default:
		req.ExternalId = &metadatav1.LookupMovieRequest_MovielensId{MovielensId: by.MovieLens}
	}
	r, err := c.client.LookupMovie(ctx, req)
	if err != nil {
		return nil, fromMetadata(err)
	}
	return movieOf(r.GetMovie()), nil
}

func (c catalogue) list(ctx context.Context, q listQuery) ([]*Movie, string, error) {
	r, err := c.client.ListMovies(ctx, &metadatav1.ListMoviesRequest{
		Filter: q.filter.wire(),
		Order: map[order]metadatav1.MovieOrder{
			byTitle:    metadatav1.MovieOrder_MOVIE_ORDER_TITLE,
			byYear:     metadatav1.MovieOrder_MOVIE_ORDER_YEAR,
			byYearDesc: metadatav1.MovieOrder_MOVIE_ORDER_YEAR_DESC,
		}[q.order],
		PageSize:  q.size,
		PageToken: q.token,
	})
	if err != nil {
		return nil, "", fromMetadata(err)
	}
	return moviesOf(r.GetMovies()), r.GetNextPageToken(), nil
}

// versions is an answer of the metadata service.
type versions struct{ movies, votes, indexedMovies, indexedVotes int64 }

// readVersion returns the numbers of the last writes. An error is any reason not to know them.
func (c catalogue) readVersion(ctx context.Context) (versions, error) {
	r, err := c.client.GetCatalogueVersion(ctx, &metadatav1.GetCatalogueVersionRequest{})
	if err != nil {
		return versions{}, fromMetadata(err)
	}
	return versions{movies: r.GetMovies(), votes: r.GetVotes(), indexedMovies: r.GetIndexedMovies(), indexedVotes: r.GetIndexedVotes()}, nil
}

// batch returns those of up to 200 films that exist. Where they are too large for one answer, it makes several calls.
func (c catalogue) batch(ctx context.Context, ids []string) (map[string]*Movie, error) {
	r, err := c.client.BatchGetMovies(ctx, &metadatav1.BatchGetMoviesRequest{Ids: ids})
	if fault.KindOf(err) == fault.KindExhausted && len(ids) > 1 {
		return inHalves(ids, func(half []string) (map[string]*Movie, error) { return c.batch(ctx, half) })
	}
	if err != nil {
		return nil, fromMetadata(err)
	}
	found := make(map[string]*Movie, len(ids))
	for _, m := range r.GetMovies() {
		found[m.GetId()] = movieOf(m)
	}
	return found, nil
}

// sortKeys returns, of each film among ids that exists and matches, the text that it is ordered by among titles. It makes one
// call per selectMost ids.
func (c catalogue) sortKeys(ctx context.Context, ids []string, f filter) (map[string]string, error) {
	keys := make(map[string]string, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), selectMost)
		r, err := c.client.SelectMovies(ctx, &metadatav1.SelectMoviesRequest{Ids: ids[:n], Filter: f.wire()})
		if fault.KindOf(err) == fault.KindExhausted && n > 1 { // titles may be long
			more, err := inHalves(ids[:n], func(half []string) (map[string]string, error) { return c.sortKeys(ctx, half, f) })
			if err != nil {
				return nil, err
			}
			maps.Copy(keys, more)
			ids = ids[n:]
			continue
		}
		if err != nil {
			return nil, fromMetadata(err)
		}
		for _, m := range r.GetMatches() {
			keys[m.GetId()] = m.GetSortKey()
		}
		ids = ids[n:]
	}
	return keys, nil
}

// inHalves asks for the two halves of the ids, one after the other.
func inHalves[V any](ids []string, ask func([]string) (map[string]V, error)) (map[string]V, error) {
	found, err := ask(ids[:len(ids)/2])
	if err != nil {
		return nil, err
	}
	rest, err := ask(ids[len(ids)/2:])
	if err != nil {
		return nil, err
	}
	maps.Copy(found, rest)
	return found, nil
}

// unavailable says that a service did not do what it was asked. Where the service itself says why (its disk is full, say), the words
// are its own: that it cannot be reached would send people to look at the network.
func unavailable(service string, err error) error {
	// Only an answer is without a cause here: that nothing answered has one (see package rpc).
	if e := (*fault.Error)(nil); errors.As(err, &e) && e.Err == nil && e.Message() != "" {
		return fault.Unavailable(err, "the %s service cannot do it now: %s", service, e.Message())
	}
	return fault.Unavailable(err, "the %s service cannot be reached: try again later", service)
}

// fromMetadata turns what a call returned into an error for our own callers: it names the service where the service is
// the trouble, and our fields where the input is. renames are pairs of the metadata service's field name and ours.
func fromMetadata(err error, renames ...string) error {
	err = fault.FromRPC(err)
	var e *fault.Error
	if !errors.As(err, &e) {
		return err // nil
	}
	switch e.Kind {
	case fault.KindUnavailable:
		return unavailable("metadata", metadataAway{err})
	case fault.KindDeadline:
		return fault.Deadline(metadataAway{err}, "the metadata service did not answer in time: try again later")
	case fault.KindInternal:
		return fault.Internal(err, "call the metadata service")
	}
	if len(e.Fields) == 0 {
		return err
	}
	fields := make([]fault.Field, len(e.Fields))
	for i, f := range e.Fields {
		f.Name = strings.TrimPrefix(f.Name, "filter.")
		for j := 0; j+1 < len(renames); j += 2 {
			if f.Name == renames[j] {
				f.Name = renames[j+1]
			}
		}
		fields[i] = f
	}
	return &fault.Error{Kind: e.Kind, Fields: fields, Err: e.Err}
}

// lateMetadata is for calls that only the metadata service can have held up.
func lateMetadata(err error) error { return fromMetadata(err) }

// metadataAway is in the chain of an error that comes of a metadata service which cannot be reached.
type metadataAway struct{ error }

func (m metadataAway) Unwrap() error { return m.error }

// observed is a connection to the metadata service that tells the breaker how its calls went.
type observed struct {
	grpc.ClientConnInterface
	away *cache.Breaker
	// patience is what the service was given at least, if its silence says anything: some callers have very little time.
	patience time.Duration
	logger   *slog.Logger
}

// Invoke implements grpc.ClientConnInterface.
func (o observed) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	began := time.Now()
	err := o.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	if err == nil {
		if o.away.Succeeded() {
			o.logger.InfoContext(ctx, "metadata service is back")
		}
		return nil
	}
	if kind := fault.KindOf(err); kind == fault.KindUnavailable || kind == fault.KindDeadline && time.Since(began) >= o.patience {
		if o.away.Failed() {
			o.logger.WarnContext(ctx, "metadata service cannot be reached, movies are answered as they were last known", "error", err)
		}
	}
	return err
}

func moviesOf(list []*metadatav1.Movie) []*Movie {
	movies := make([]*Movie, len(list))
	for i, m := range list {
		movies[i] = movieOf(m)
	}
	return movies
}

func movieOf(m *metadatav1.Movie) *Movie {
	movie := &Movie{
		ID:                m.GetId(),
		Title:             m.GetTitle(),
		OriginalTitle:     m.GetOriginalTitle(),
		AlternativeTitles: m.GetAlternativeTitles(),
		Genres:            m.GetGenres(),
		Director:          m.GetDirector(),
		Description:       m.GetDescription(),
		External: ExternalIDs{
			IMDb:      m.GetExternalIds().GetImdb(),
			TMDb:      m.GetExternalIds().GetTmdb(),
			MovieLens: m.GetExternalIds().GetMovielens(),
		},
		ETag: m.GetEtag(),
	}
	if m != nil {
		movie.Year, movie.RuntimeMinutes = m.Year, m.RuntimeMinutes
	}
	return movie
}

func wireOf(m *Movie) *metadatav1.Movie {
	return &metadatav1.Movie{
		Id:                m.ID,
		Title:             m.Title,
		OriginalTitle:     m.OriginalTitle,
		AlternativeTitles: m.AlternativeTitles,
		Year:              m.Year,
		Genres:            m.Genres,
		Director:          m.Director,
		Description:       m.Description,
		RuntimeMinutes:    m.RuntimeMinutes,
		ExternalIds:       &metadatav1.ExternalIds{Imdb: m.External.IMDb, Tmdb: m.External.TMDb, Movielens: m.External.MovieLens},
	}
}
