//go:build servers

package test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"movieexample.com/client"
	"movieexample.com/client/verify"
	"movieexample.com/data"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/test/cluster"
	"movieexample.com/test/judge"
	"movieexample.com/test/system"
)

var clusterSeed = flag.Uint64("cluster.seed", 0, "seed of the test of the cluster; 0 takes a new one")

// TestCluster is the short proof that the system is right as separate processes on real servers: films and 20,000 events with
// every disorder that a log can have, while one process of each kind and one broker are killed, and then everything that is
// stored is compared with everything that was said.
func TestCluster(t *testing.T) {
	seed := *clusterSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d (repeat with -args -cluster.seed=%d)", seed, seed)
	began := time.Now()
	s := startCluster(t, cluster.Config{Brokers: 3})
	t.Logf("ready after %s", time.Since(began).Round(time.Millisecond))

	p := newPlan(seed, 20_000)
	t.Logf("plan: %d records: %v", len(p.items), p.counts)
	c := newCrashRun(t, s.Binary(), p, seed)
	s.importFilms(t, p)
	s.load(t, c)
	s.drain(t, c)
	o := c.together(p, readTables(t, s.MariaDB.Root(), "movieexample_rating."))
	t.Logf("%d records acknowledged, %d in the log; %d synchronous writes acknowledged, %d lost their answer; %d dead letters",
		c.said.Acknowledged(), len(o.Log), c.writers.count(true), c.writers.count(false), len(o.Dead))
	if n := c.writers.count(true); n < 500 {
		t.Errorf("only %d synchronous writes were acknowledged: this run proves nothing", n)
	}
	if found := c.said.Judge(o); len(found) > 0 {
		t.Errorf("%d violations:\n%s", len(found), found)
	}
	s.sharePartitions(t)
	s.gatewaysAgree(t, o)
	s.ratingsSpread(t)
	s.filmsSpread(t)
	if err := s.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	t.Logf("took %s", time.Since(began).Round(time.Millisecond))
}

// TestScenariosOfCluster asks of every instance of a cluster what is asked of one process on embedded defaults.
func TestScenariosOfCluster(t *testing.T) {
	at := startCluster(t, cluster.Config{}).Targets()
	checkAll(t, verify.Targets{
		Gateways: at.Gateways, Metadata: at.Metadata, Rating: at.Rating, Movie: at.Movie, Brokers: at.Brokers, Admin: at.Admin,
	}, verify.Options{Slack: testSlack})
}

// clustered is a cluster as this test talks to it.
type clustered struct {
	*cluster.Cluster
	client *client.Client // to metadata-2, rating-2
	conns  map[string]*grpc.ClientConn
}

func startCluster(t *testing.T, config cluster.Config) *clustered {
	t.Helper()
	c, err := cluster.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range c.Processes() {
			if log, err := p.Log(); err == nil && t.Failed() {
				t.Logf("log of %s:\n%s", p.Name, log)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &clustered{Cluster: c, conns: make(map[string]*grpc.ClientConn)}
	for _, p := range c.Processes() {
		if p.Service == "gateway" {
			continue
		}
		conn, err := grpc.NewClient(p.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		s.conns[p.Name] = conn
	}
	targets := c.Targets()
	s.client, err = client.Connect(client.Addresses{Metadata: targets.Metadata[1], Rating: targets.Rating[1], Brokers: targets.Brokers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.client.Close() })
	return s
}

// importFilms puts the demo's films into the catalogue, and a film for each record of the plan's ratings.
func (s *clustered) importFilms(t *testing.T, p plan) {
	t.Helper()
	films, err := data.Films()
	if err != nil {
		t.Fatal(err)
	}
	var movies []*metadatav1.Movie
	for _, f := range films {
		movies = append(movies, &metadatav1.Movie{Id: f.ID, Title: f.Title, Year: proto.Int32(int32(f.Year)), Genres: f.Genres, Director: f.Director})
	}
	seen := make(map[string]bool)
	for _, it := range p.items {
		if k, _, err := it.meaning(); it.poison == "" && err == nil && k.RecordType == "movie" && !seen[k.RecordID] {
			seen[k.RecordID] = true
			movies = append(movies, &metadatav1.Movie{Id: k.RecordID, Title: "Film " + k.RecordID})
		}
	}
	const batch = 100
	for from := 0; from < len(movies); from += batch {
		resp, err := metadatav1.NewMetadataServiceClient(s.conns["metadata-1"]).BatchPutMovies(t.Context(),
			&metadatav1.BatchPutMoviesRequest{Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE, Movies: movies[from:min(from+batch, len(movies))]})
		if err != nil {
			t.Fatalf("import films: %v", err)
		}
		for _, r := range resp.GetResults() {
			if r.GetCode() != 0 {
				t.Fatalf("import films: %v", r)
			}
		}
	}
}

// load publishes the plan while writers rate through rating-2, and kills one process of each kind meanwhile, and a broker.
func (s *clustered) load(t *testing.T, c *crashRun) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	stopWriters := c.writers.start(ctx, s.conns["rating-2"])
	faults := []fault{
		{"rating-1", s.Process("rating-1").Kill, s.Process("rating-1").Start},
		{"metadata-1", s.Process("metadata-1").Kill, s.Process("metadata-1").Start},
		{"Kafka broker 2", s.Kafka.Brokers[1].Kill, s.Kafka.Brokers[1].Start},
		{"movie-1", s.Process("movie-1").Kill, s.Process("movie-1").Start},
		{"gateway-1", s.Process("gateway-1").Kill, s.Process("gateway-1").Start},
	}
	for i, f := range faults {
		pub := c.publish(ctx, s.Kafka.Bootstrap()[0], len(c.queue)/(len(faults)-i))
		select {
		case <-pub.burst(1 + c.rng.IntN(bursts-1)):
		case <-ctx.Done():
			t.Fatal("no load within five minutes")
		}
		if err := f.strike(); err != nil {
			t.Fatal(err)
		}
		quiet := min(pub.quiet(), c.writers.quiet())
		if quiet > time.Second {
			t.Errorf("%s was killed %s after the last acknowledgement: this run proves nothing", f.name, quiet)
		}
		struck := time.Now()
		if err := f.mend(ctx); err != nil {
			t.Fatal(err)
		}
		<-pub.published
		if err := pub.client.Flush(ctx); err != nil {
			t.Fatalf("publish while %s is away: %v", f.name, err)
		}
		if n := pub.stop(); n > 0 {
			t.Errorf("%d records were not acknowledged around the death of %s", n, f.name)
		}
		t.Logf("%s was killed %s after an acknowledgement, and is back after %s", f.name, quiet.Round(time.Microsecond), time.Since(struck).Round(time.Millisecond))
	}
	if before := c.writers.count(false); before > 0 {
		t.Errorf("%d synchronous writes failed at a process that was not killed", before)
	}
	cancel()
	stopWriters()
}

// fault is something that happens to a part of the cluster, and how it ends.
type fault struct {
	name   string
	strike func() error
	mend   func(context.Context) error
}

// drain waits until everything is ingested and audits through the binary.
func (s *clustered) drain(t *testing.T, c *crashRun) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := s.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	broker := s.Kafka.Bootstrap()[0]
	awaitDrained(ctx, t, broker, s.conns["rating-2"])
	c.readLog(ctx, broker)
	for _, addr := range s.Targets().Rating {
		if r := system.Run(ctx, t, s.Binary(), "audit", "--rating-addr", addr); r.Code != 0 || !strings.Contains(r.Stdout, " 0 differences") {
			t.Errorf("audit through %s: exit code %d\n%s%s", addr, r.Code, r.Stdout, r.Stderr)
		}
	}
}

// sharePartitions checks that both rating processes have partitions, and have ingested.
func (s *clustered) sharePartitions(t *testing.T) {
	t.Helper()
	// The one that was killed is replaced in the group when its session is over.
	within(t, 30*time.Second, "both rating processes to have partitions", func() error {
		partitions, trouble, err := s.client.Ingestion(t.Context())
		if err != nil || trouble != "" {
			return fmt.Errorf("%s, %w", trouble, err)
		}
		owners := make(map[string]int)
		for _, p := range partitions {
			owners[p.Owner]++
		}
		if delete(owners, ""); len(owners) != 2 {
			return fmt.Errorf("the partitions are shared by %v", owners)
		}
		return nil
	})
	if m, err := s.Process("rating-2").Metrics(t.Context()); err != nil || m.Sum("movieexample_rating_ingest_records_total", `result="applied"`) == 0 {
		t.Errorf("rating-2 has ingested nothing: %v", err)
	}
}

// gatewaysAgree compares the details of all films that were rated, through both gateways, with what is stored.
func (s *clustered) gatewaysAgree(t *testing.T, o judge.Outcome) {
	t.Helper()
	compared := 0
	for record, a := range o.Aggregates {
		if record.Type != "movie" {
			continue
		}
		compared++
		within(t, 10*time.Second, "details of "+record.ID+" that agree", func() error {
			var first string
			for _, gateway := range s.Targets().Gateways {
				d, err := filmAt(t.Context(), gateway, record.ID)
				if err != nil {
					return err
				}
				if first == "" {
					first = d
				}
				if want := fmt.Sprintf(`"votes":%d`, a.Votes); a.Votes > 0 && !strings.Contains(d, want) || d != first {
					return fmt.Errorf("%s has\n%s\nwant %s, and what the other has:\n%s", gateway, d, want, first)
				}
			}
			return nil
		})
	}
	if compared < 50 {
		t.Errorf("only %d films were compared", compared)
	}
}

// filmAt is what a gateway tells of a film, but for when it was looked at.
func filmAt(ctx context.Context, gateway, id string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, gateway+"/v1/movies/"+id, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s, %w: %s", resp.Status, err, text)
	}
	var d map[string]any
	if err := json.Unmarshal(text, &d); err != nil {
		return "", err
	}
	if summary, ok := d["ratingSummary"].(map[string]any); ok {
		delete(summary, "asOfTime")
	}
	same, err := json.Marshal(d)
	return string(same), err
}

// spread is how long what one process has acknowledged may take to show in all others.
const spread = 2 * time.Second

// ratingsSpread rates films through each rating process: the details of every movie process have it within two seconds.
func (s *clustered) ratingsSpread(t *testing.T) {
	t.Helper()
	var worst time.Duration
	for round := range 6 {
		door := fmt.Sprintf("rating-%d", 1+round%2)
		votes := func(movie string) int32 {
			resp, err := moviev1.NewMovieServiceClient(s.conns[movie]).GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: "r1"})
			if err != nil {
				t.Fatalf("%s: %v", movie, err)
			}
			return resp.GetMovie().GetRatingSummary().GetVotes()
		}
		before := votes("movie-1")
		within(t, spread, "the movie processes to agree before", func() error {
			if one, other := votes("movie-1"), votes("movie-2"); one != other || one != before {
				before = one
				return fmt.Errorf("%d and %d", one, other)
			}
			return nil
		})
		_, err := ratingv1.NewRatingServiceClient(s.conns[door]).PutRating(t.Context(),
			&ratingv1.PutRatingRequest{RecordType: "movie", RecordId: "r1", UserId: fmt.Sprintf("spread-%d", round), Value: proto.Int32(7)})
		if err != nil {
			t.Fatalf("%s: %v", door, err)
		}
		acknowledged := time.Now()
		for _, movie := range []string{"movie-1", "movie-2"} {
			within(t, time.Until(acknowledged.Add(spread)), "a rating taken by "+door+" to show at "+movie, func() error {
				if got := votes(movie); got != before+1 {
					return fmt.Errorf("it has %d votes, want %d", got, before+1)
				}
				return nil
			})
		}
		worst = max(worst, time.Since(acknowledged))
	}
	t.Logf("a rating shows at every movie process within %s", worst.Round(time.Millisecond))
}

// filmsSpread changes a film through each metadata process: the other one finds it within two seconds.
func (s *clustered) filmsSpread(t *testing.T) {
	t.Helper()
	var worst time.Duration
	for round := range 6 {
		door, other := fmt.Sprintf("metadata-%d", 1+round%2), fmt.Sprintf("metadata-%d", 2-round%2)
		title := strings.Repeat(string(rune('b'+round)), 3) + "ophone"
		_, err := metadatav1.NewMetadataServiceClient(s.conns[door]).PutMovie(t.Context(),
			&metadatav1.PutMovieRequest{Movie: &metadatav1.Movie{Id: "renamed", Title: title}})
		if err != nil {
			t.Fatalf("%s: %v", door, err)
		}
		acknowledged := time.Now()
		within(t, spread, "a film changed through "+door+" to be found through "+other, func() error {
			resp, err := metadatav1.NewMetadataServiceClient(s.conns[other]).SearchMovies(t.Context(), &metadatav1.SearchMoviesRequest{Query: title})
			if err != nil || len(resp.GetHits()) != 1 || resp.GetHits()[0].GetMovie().GetTitle() != title {
				return fmt.Errorf("search for %s: %v, %w", title, resp, err)
			}
			return nil
		})
		worst = max(worst, time.Since(acknowledged))
	}
	t.Logf("a changed film is found through the other metadata process within %s", worst.Round(time.Millisecond))
}

// within asks until there is no error, for so long.
func within(t *testing.T, limit time.Duration, what string, holds func() error) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); ; <-tick.C {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for %s: %v", limit, what, err)
		}
	}
}
