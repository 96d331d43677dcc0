package client_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"movieexample.com/client"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/movielens"
)

// lateFirst is a metadata service that refuses every tenth film, and answers the first call when it has answered the second.
type lateFirst struct {
	metadatav1.UnimplementedMetadataServiceServer
	second chan struct{}
	once   sync.Once
}

func (s *lateFirst) BatchPutMovies(ctx context.Context, req *metadatav1.BatchPutMoviesRequest) (*metadatav1.BatchPutMoviesResponse, error) {
	if req.GetMovies()[0].GetId() == "ml-1" {
		select {
		case <-s.second:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	} else {
		defer s.once.Do(func() { close(s.second) })
	}
	resp := &metadatav1.BatchPutMoviesResponse{}
	for i, m := range req.GetMovies() {
		r := &metadatav1.BatchPutMoviesResponse_Result{Outcome: metadatav1.BatchPutMoviesResponse_OUTCOME_CREATED}
		if strings.HasSuffix(m.GetId(), "0") {
			r.Outcome, r.Reason = metadatav1.BatchPutMoviesResponse_OUTCOME_REFUSED, fmt.Sprintf("movies[%d].title: no", i)
		}
		resp.Results = append(resp.Results, r)
	}
	return resp, nil
}

// TestImportTellsInFileOrder: whichever batch is answered first, and whichever side rejects a row.
func TestImportTellsInFileOrder(t *testing.T) {
	broker := startBroker(t)
	makeTopic(t, broker.Addr())
	rating, _ := serve(t, "rating", (&standstill{partition: &ratingv1.IngestPartition{}}).register)
	films, _ := serve(t, "metadata", func(r grpc.ServiceRegistrar) {
		metadatav1.RegisterMetadataServiceServer(r, &lateFirst{second: make(chan struct{})})
	})
	var movies strings.Builder
	movies.WriteString("movieId,title,genres\n")
	var want []string
	for id := 1; id <= 1000; id++ {
		if id%7 == 0 {
			fmt.Fprintf(&movies, "x%d,Bad,Drama\n", id)
			want = append(want, fmt.Sprintf(`movies.csv line %d: movieId "x%d": must be a whole number of at least 1`, id+1, id))
			continue
		}
		fmt.Fprintf(&movies, "%d,Film %d,Drama\n", id, id)
		if id%10 == 0 {
			want = append(want, fmt.Sprintf(`movies.csv line %d: movieId "%d": title: no`, id+1, id))
		}
	}
	dir := writeFiles(t, map[string]string{
		"movies.csv": movies.String(), "links.csv": "movieId,imdbId,tmdbId\n", "ratings.csv": "userId,movieId,rating,timestamp\n",
	})
	c := connect(t, client.Addresses{Metadata: films, Rating: rating, Brokers: []string{broker.Addr()}})
	var l listed
	got, err := c.ImportMovieLens(t.Context(), dir, l.options())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, l.rejected); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	if films := (client.FilmCounts{Read: 858, Created: 772, Refused: 86}); got.Films != films || got.Rejected != int64(len(want)) {
		t.Errorf("summary %+v; want films %+v and %d rows rejected", got, films, len(want))
	}
}

// TestImportRefusesTheFilesBeforeItBegins: a file that is none of a data set is found before films go anywhere.
func TestImportRefusesTheFilesBeforeItBegins(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"movies.csv": "movieId,title,genres\n1,Film,Drama\n", "links.csv": "movieId,imdbId,tmdbId\n", "ratings.csv": "user,film,stars\n",
	})
	c := connect(t, client.Addresses{}) // nothing to send anything to
	_, err := c.ImportMovieLens(t.Context(), dir, client.ImportOptions{})
	if want := filepath.Join(dir, "ratings.csv") + `: the columns are "user,film,stars"; they must be userId,movieId,rating,timestamp`; fault.KindOf(err) != fault.KindInvalid || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v\nwant … %s", err, want)
	}
}

// vanishing is a rating service that goes away when it is asked how far ingestion is.
type vanishing struct {
	standstill
	gone func()
}

func (s *vanishing) ListIngestPartitions(context.Context, *ratingv1.ListIngestPartitionsRequest) (*ratingv1.ListIngestPartitionsResponse, error) {
	s.gone()
	return nil, fault.Unavailable(nil, "going")
}

func (s *vanishing) AuditAggregates(context.Context, *ratingv1.AuditAggregatesRequest) (*ratingv1.AuditAggregatesResponse, error) {
	return nil, fault.Unavailable(nil, "full")
}

func (s *vanishing) register(r grpc.ServiceRegistrar) {
	ratingv1.RegisterRatingServiceServer(r, s)
	ratingv1.RegisterRatingAdminServiceServer(r, s)
}

// TestImportWhileTheServiceGoesAway: the user is told while the import waits, and the end says what happened once, in a line.
func TestImportWhileTheServiceGoesAway(t *testing.T) {
	s := startSystem(t)
	broker := startBroker(t)
	makeTopic(t, broker.Addr())
	stub := &vanishing{}
	addr, stop := serveUntilStopped(t, stub.register)
	stub.gone = sync.OnceFunc(func() { go stop() })
	c := connect(t, client.Addresses{Metadata: s.addresses.Metadata, Rating: addr, Brokers: []string{broker.Addr()}})
	var mu sync.Mutex
	var told []string
	got, err := c.ImportMovieLens(t.Context(), oddities(t), client.ImportOptions{StallTimeout: 2 * time.Second, Waiting: func(text string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, text)
	}})
	if gone := (*client.UnreachableError)(nil); !errors.As(err, &gone) || gone.Part != client.Rating || gone.Addr != addr || gone.Reason == "" {
		t.Fatalf("error %v", err)
	}
	want := "all ratings are in Kafka, and will be ingested when the rating service is back: cannot reach the rating service at " + addr + " ("
	if text := err.Error(); !strings.HasPrefix(text, want) || len(text) > 250 || strings.Count(text, addr) != 1 {
		t.Errorf("error %s\nwant %s …", text, want)
	}
	if len(told) != 1 || !strings.HasPrefix(told[0], "waiting for the rating service at "+addr+": ") || strings.Count(told[0], addr) != 1 || len(told[0]) > 120 {
		t.Errorf("told %q", told)
	}
	if got.Ratings.Published != 4 || got.Waited {
		t.Errorf("summary %+v", got)
	}
}

// TestImportWaitsForKafka: a broker that does not answer is named while it is waited for.
func TestImportWaitsForKafka(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	dir := oddities(t)
	insertLine(t, filepath.Join(dir, "ratings.csv"), "stop")
	var mu sync.Mutex
	var told []string
	got, err := c.ImportMovieLens(t.Context(), dir, client.ImportOptions{
		StallTimeout: 2 * time.Second,
		Rejected: func(bad *movielens.RowError) {
			if bad.Field == "" && bad.File == "ratings.csv" {
				if err := s.broker.Close(); err != nil {
					t.Errorf("close broker: %v", err)
				}
			}
		},
		Waiting: func(text string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, text)
		},
	})
	wantKafkaGone(t, err, s.addresses.Brokers[0])
	if want := []string{"waiting for Kafka at " + s.addresses.Brokers[0] + ": no answer"}; !cmp.Equal(want, told) {
		t.Errorf("told %q, want %q", told, want)
	}
	if got.Waited {
		t.Errorf("summary %+v", got)
	}
}
