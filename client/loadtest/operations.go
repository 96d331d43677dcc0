package loadtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"movieexample.com/api/events"
	"movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
)

// endpoint is a way into the system.
type endpoint string

const (
	endpointGateway  endpoint = "gateway"
	endpointMovie    endpoint = "movie"
	endpointMetadata endpoint = "metadata"
	endpointRating   endpoint = "rating"
	endpointKafka    endpoint = "kafka"
)

// operation is one row of the table of what can be asked.
type operation struct {
	kind     string
	endpoint endpoint
	writes   bool
	what     string // for the help
	// prepare draws what is asked, and returns what asks it.
	prepare func(*Client, *rand.Rand) func(context.Context) error
}

const (
	movieType = "movie"
	pageSize  = 50 // of lists and charts
	hits      = 20
	// raters is how many users the writing requests pretend to be. Their ratings stay in the system.
	raters      = 100_000
	raterPrefix = "bench-"
)

// operations is the table.
func operations() []operation {
	return []operation{
		{"grpc-details", endpointMovie, false, "a film with its rating, own API (MovieService.GetMovie)", (*Client).grpcDetails},
		{"grpc-book", endpointMovie, false, "the same by the book API (GetMovieDetails)", (*Client).grpcBook},
		{"grpc-metadata", endpointMetadata, false, "a film without its rating (MetadataService.GetMovie)", (*Client).grpcMetadata},
		{"grpc-rate", endpointRating, true, "rate a film (RatingService.PutRating)", (*Client).grpcRate},
		{"rest-details", endpointGateway, false, "GET /v1/movies/{id}", func(d *Client, r *rand.Rand) func(context.Context) error {
			return d.get("/v1/movies/"+url.PathEscape(d.film(r).id), "application/json")
		}},
		{"rest-list", endpointGateway, false, "GET /v1/movies, 50 films, half of them by genre", (*Client).restList},
		{"rest-chart", endpointGateway, false, "GET /v1/charts/{chart}, 50 films", (*Client).restChart},
		{"rest-search", endpointGateway, false, "GET /v1/movies:search, what is typed on the way to a title", (*Client).restSearch},
		{"page", endpointGateway, false, "the HTML page of a film", func(d *Client, r *rand.Rand) func(context.Context) error {
			return d.get("/movies/"+url.PathEscape(d.film(r).id), "text/html")
		}},
		{"event", endpointKafka, true, "a rating event, until Kafka has acknowledged it", (*Client).event},
	}
}

// Kind of request that a load can be made of.
type KindHelp struct {
	Kind, What string
	Writes     bool
}

// KindsOfRequests lists them, for the help of a command.
func KindsOfRequests() []KindHelp {
	var all []KindHelp
	for _, o := range operations() {
		all = append(all, KindHelp{o.kind, o.what, o.writes})
	}
	return all
}

func (d *Client) grpcDetails(r *rand.Rand) func(context.Context) error {
	request := &moviev1.GetMovieRequest{Id: d.film(r).id}
	return func(ctx context.Context) error {
		_, err := moviev1.NewMovieServiceClient(d.conns[endpointMovie].next()).GetMovie(ctx, request)
		return err
	}
}

func (d *Client) grpcBook(r *rand.Rand) func(context.Context) error {
	request := &book.GetMovieDetailsRequest{MovieId: d.film(r).id}
	return func(ctx context.Context) error {
		_, err := book.NewMovieServiceClient(d.conns[endpointMovie].next()).GetMovieDetails(ctx, request)
		return err
	}
}

func (d *Client) grpcMetadata(r *rand.Rand) func(context.Context) error {
	request := &metadatav1.GetMovieRequest{Id: d.film(r).id}
	return func(ctx context.Context) error {
		_, err := metadatav1.NewMetadataServiceClient(d.conns[endpointMetadata].next()).GetMovie(ctx, request)
		return err
	}
}

func (d *Client) grpcRate(r *rand.Rand) func(context.Context) error {
	request := &ratingv1.PutRatingRequest{RecordType: movieType, RecordId: d.film(r).id, UserId: rater(r), Value: proto.Int32(1 + r.Int32N(10))}
	return func(ctx context.Context) error {
		_, err := ratingv1.NewRatingServiceClient(d.conns[endpointRating].next()).PutRating(ctx, request)
		return err
	}
}

func (d *Client) event(r *rand.Rand) func(context.Context) error {
	e := events.Event{
		UserID: rater(r), RecordID: d.film(r).id, RecordType: movieType, Value: 1 + r.IntN(10), ProviderID: "bench",
		RatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	return func(ctx context.Context) error {
		answer := make(chan error, 1)
		m := kafka.Message{Key: e.Key(), Value: e.AppendJSON(nil)}
		if err := d.producer.Publish(ctx, m, func(_ int32, _ int64, err error) { answer <- err }); err != nil {
			return err
		}
		select {
		case err := <-answer:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func rater(r *rand.Rand) string { return raterPrefix + strconv.Itoa(r.IntN(raters)) }

func (d *Client) restList(r *rand.Rand) func(context.Context) error {
	f := d.film(r)
	query := url.Values{"page_size": {strconv.Itoa(pageSize)}}
	if len(f.genres) > 0 && r.IntN(2) == 0 {
		query.Set("genre", f.genres[r.IntN(len(f.genres))])
	}
	if r.IntN(2) == 0 {
		query.Set("order_by", "year desc")
	}
	if f.year > 0 && r.IntN(2) == 0 {
		query.Set("min_year", fmt.Sprint(f.year))
	}
	return d.get("/v1/movies?"+query.Encode(), "application/json")
}

func (d *Client) restChart(r *rand.Rand) func(context.Context) error {
	f := d.film(r)
	query := url.Values{"page_size": {strconv.Itoa(pageSize)}}
	if len(f.genres) > 0 && r.IntN(2) == 0 {
		query.Set("genre", f.genres[r.IntN(len(f.genres))])
	}
	if f.year > 0 && r.IntN(4) == 0 {
		query.Set("decade", fmt.Sprint(f.year/10*10))
	}
	return d.get("/v1/charts/"+[]string{"top", "popular", "trending"}[r.IntN(3)]+"?"+query.Encode(), "application/json")
}

func (d *Client) restSearch(r *rand.Rand) func(context.Context) error {
	query := url.Values{"page_size": {strconv.Itoa(hits)}, "q": {typed(d.film(r).title, r)}}
	return d.get("/v1/movies:search?"+query.Encode(), "application/json")
}

// typed is what somebody has typed who looks for a title: mostly its beginning, else a word, all of it, or all of it with two
// neighbouring letters exchanged.
func typed(title string, r *rand.Rand) string {
	letters := []rune(title)
	switch words := strings.Fields(title); r.IntN(8) {
	case 0, 1, 2, 3:
		letters = letters[:min(len(letters), 2+r.IntN(6))]
	case 4:
		if len(words) > 0 {
			letters = []rune(words[r.IntN(len(words))])
		}
	case 5:
		if len(letters) > 5 {
			i := 1 + r.IntN(len(letters)-3)
			letters[i], letters[i+1] = letters[i+1], letters[i]
		}
	}
	if text := strings.TrimSpace(string(letters)); text != "" {
		return text
	}
	return title
}
