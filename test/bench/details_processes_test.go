//go:build servers

package bench_test

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"movieexample.com/api/events"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/test/system"
)

// coldFilms is how many films there are to ask for, each with a rating, in this order and once around. They are many more than the
// movie service keeps in any cache (10,000 films, 50,000 last known summaries), so whatever comes around again has been
// forgotten; and until then no film was asked for before.
const coldFilms = 60_000

// fresh counts the films that were answered with ratings that the rating service was asked for.
const fresh = `movieexample_movie_responses_total{rating_status="fresh"}`

// detailsCallers ask at the same time, on one connection: few, who leave the processors idle while a question travels, and as many
// as make the processors the limit.
var detailsCallers = []int{8, 32}

// threeProcesses is metadata, rating and movie, each in a process, with the films in.
type threeProcesses struct {
	metadata, rating, movie *system.Process
	asked                   *atomic.Int64 // for how many films that were in no cache
}

// startThree starts them; database says where the two that keep data have it, "" in SQLite files.
func (s *realServers) startThree(b *testing.B, database func(service string) string, topic string) threeProcesses {
	b.Helper()
	start := func(args ...string) *system.Process {
		p, err := system.TryStart(b, s.bin, append([]string{"serve"}, args...)...)
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	data := func(service string) []string {
		if url := database(service); url != "" {
			return []string{"--database", url}
		}
		return []string{"--data", b.TempDir(), "--database", "embedded"}
	}
	t := threeProcesses{
		asked:    new(atomic.Int64),
		metadata: start(append([]string{"metadata"}, data("metadata")...)...),
		rating: start(append([]string{
			"rating", "--rating-brokers", strings.Join(s.kafka.Bootstrap(), ","), "--rating-topic", topic, "--rating-group", s.name("group"),
		}, data("rating")...)...),
	}
	t.movie = start("movie", "--connect-metadata", t.metadata.Metadata, "--connect-rating", t.rating.Rating)
	return t
}

// fill puts the films in.
func (t threeProcesses) fill(b *testing.B, films int) {
	b.Helper()
	client := metadatav1.NewMetadataServiceClient(dial(b, t.metadata.Metadata))
	for first := 0; first < films; first += 200 {
		req := &metadatav1.BatchPutMoviesRequest{Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE}
		for i := first; i < min(first+200, films); i++ {
			year, minutes := int32(1900+i%120), int32(80+i%90)
			id := recordOfFilm(int64(i))
			req.Movies = append(req.Movies, &metadatav1.Movie{
				Id: id, Title: "The Film of Number " + strconv.Itoa(i), Year: &year, RuntimeMinutes: &minutes, Genres: []string{"Crime", "Drama"},
				Director:    "Somebody Who Directs",
				Description: "A banker sentenced to life keeps a small hammer, a long plan and a friend who can get things.",
				ExternalIds: &metadatav1.ExternalIds{Imdb: id, Movielens: strconv.Itoa(i + 1)},
			})
		}
		if _, err := client.BatchPutMovies(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// awaitIngested returns when the rating service has ingested so many events.
func (t threeProcesses) awaitIngested(b *testing.B, n int) {
	b.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(3 * time.Minute); ; <-tick.C {
		var next int64
		client := ratingv1.NewRatingAdminServiceClient(dial(b, t.rating.Rating))
		got, err := client.ListIngestPartitions(b.Context(), &ratingv1.ListIngestPartitionsRequest{})
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range got.GetPartitions() {
			next += p.GetNextOffset()
		}
		if next >= int64(n) {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d events are ingested", next, n)
		}
	}
}

// bareServer starts a bare gRPC server in a process of its own and returns its address.
func bareServer(b *testing.B, bin string, args ...string) string {
	b.Helper()
	cmd := exec.Command(bin, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close() // which ends it
		_ = cmd.Wait() // it says on standard error what went wrong
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatalf("the bare server does not say where it listens: %v", err)
	}
	return strings.TrimSpace(addr)
}

// answers writes what the real services say about a film, for the bare ones to say.
func (t threeProcesses) answers(b *testing.B) string {
	b.Helper()
	dir, id := b.TempDir(), recordOfFilm(1)
	film, err := moviev1.NewMovieServiceClient(dial(b, t.movie.Movie)).GetMovie(b.Context(), &moviev1.GetMovieRequest{Id: id})
	if err != nil {
		b.Fatal(err)
	}
	if film.GetMovie().GetRatingSummary().GetVotes() != 1 {
		b.Fatalf("the film has no rating: %v", film)
	}
	stored, err := metadatav1.NewMetadataServiceClient(dial(b, t.metadata.Metadata)).GetMovie(b.Context(), &metadatav1.GetMovieRequest{Id: id})
	if err != nil {
		b.Fatal(err)
	}
	summary, err := ratingv1.NewRatingServiceClient(dial(b, t.rating.Rating)).GetRatingSummary(b.Context(),
		&ratingv1.GetRatingSummaryRequest{RecordType: "movie", RecordId: id})
	if err != nil {
		b.Fatal(err)
	}
	for name, m := range map[string]proto.Message{"movie": film, "metadata": stored, "rating": summary} {
		text, err := proto.Marshal(m)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// BenchmarkDetailsProcesses compares movie details over gRPC, with each service in a process of its own, with bare
// servers of grpc-go in as many processes, which answer with the same bytes.
//
// Warm is one film, from the caches of the movie service. Uncached asks for films that are in no cache, so that both services
// are asked for each, which is checked; the calls are shared by the callers of a moment, and how many there were is told. Once with the data on MariaDB, as in production, once in SQLite files, to tell the calls
// from the question to the database server.
func BenchmarkDetailsProcesses(b *testing.B) {
	s := startServers(b, serverPool, redoLog)
	root := filepath.Join("..", "..")
	bare := filepath.Join(b.TempDir(), "bare")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-C", root, "-o", bare, "./test/bench/bare").CombinedOutput(); err != nil {
		b.Fatalf("build the bare server: %v\n%s", err, out)
	}
	rated := func(yield func(events.Event, error) bool) {
		for i := range int64(coldFilms) {
			e := events.Event{
				UserID: "u" + strconv.FormatInt(i%1000, 10), RecordID: recordOfFilm(i), RecordType: "movie", Value: 1 + int(i%10),
				RatedAt: time.Unix(1_500_000_000+i, 0).UTC(),
			}
			if !yield(e, nil) {
				return
			}
		}
	}
	topic, n := s.topicOf(b, 4, rated)
	var drops []func()
	onServer := func(string) string {
		_, url, drop := s.database(b, "three")
		drops = append(drops, drop)
		return url
	}
	for b.Loop() {
		onMariaDB := s.startThree(b, onServer, topic)
		inFiles := s.startThree(b, func(string) string { return "" }, topic)
		for _, t := range []threeProcesses{onMariaDB, inFiles} {
			t.fill(b, coldFilms)
			t.awaitIngested(b, n)
		}
		answers := onMariaDB.answers(b)
		echo := bareServer(b, bare, answers)
		fanOut := bareServer(b, bare, answers, bareServer(b, bare, answers), bareServer(b, bare, answers))

		for _, callers := range detailsCallers {
			compareDetails(b, s, callers, onMariaDB, inFiles, echo, fanOut)
		}
		row{
			name: "resident after that: metadata / rating / movie, " + thousands(coldFilms) + " films on MariaDB",
			ours: memory(b, onMariaDB.metadata, onMariaDB.rating, onMariaDB.movie), ratio: math.NaN(), target: "–",
		}.print(b)
		for _, t := range []threeProcesses{onMariaDB, inFiles} {
			stop(b, t.movie, t.rating, t.metadata)
		}
		for _, drop := range drops {
			drop()
		}
		drops = nil
	}
}

// compareDetails measures all sides with so many callers. Its rows have all callers in their name.
func compareDetails(b *testing.B, s *realServers, callers int, onMariaDB, inFiles threeProcesses, echo, fanOut string) {
	b.Helper()
	name, kind := fmt.Sprintf("%d callers, ", callers), fmt.Sprintf("%d-callers-", callers)
	one := func(int64) string { return recordOfFilm(1) }
	each := func(n int64) string { return recordOfFilm(n % coldFilms) }
	side := func(addr string, film func(int64) string) func() float64 {
		conn := dial(b, addr)
		var asked atomic.Int64
		return func() float64 { return loaded(b, callers, time.Second, getMovie(conn, &asked, film)) }
	}
	calls := func(t threeProcesses) float64 {
		return metric(b, t.metadata, "movieexample_grpc_server_handled_total") + metric(b, t.rating, "movieexample_grpc_server_handled_total")
	}
	cold := func(t threeProcesses, where string) func() float64 {
		asked := t.asked
		spenders := []int{t.metadata.PID(), t.rating.PID(), t.movie.PID(), s.db.PID(), os.Getpid()}
		conn := dial(b, t.movie.Movie)
		return func() float64 {
			// A rating service that is late is left alone for a second, and the films come without ratings then: such a
			// round says nothing. The first ones are like that, while the votes of all films go to the search.
			for range 30 {
				calledBefore, freshBefore, askedBefore := calls(t), metric(b, t.movie, fresh), asked.Load()
				spentBefore := processorTimes(b, spenders)
				rate := loaded(b, callers, time.Second, getMovie(conn, asked, each))
				questions := float64(asked.Load() - askedBefore)
				perCall := (calls(t) - calledBefore) / questions
				// A call can be shared by no more than all callers.
				if perCall < 1.9/float64(callers) {
					b.Fatalf("%s: %.2f calls behind a question: it was not uncached", where, perCall)
				}
				if (metric(b, t.movie, fresh)-freshBefore)/questions >= 0.99 {
					spent := processorTimes(b, spenders)
					for i := range spent {
						spent[i] = (spent[i] - spentBefore[i]) / time.Duration(questions)
					}
					b.Logf("%s: %.2f calls behind a question; processor time of one in metadata, rating, movie, MariaDB, here: %v", where, perCall, spent)
					return rate
				}
				b.Log("a round again: films came without ratings")
			}
			b.Fatal("in thirty rounds films came without ratings")
			return 0
		}
	}
	sides := []func() float64{
		side(onMariaDB.movie.Movie, one), side(echo, one), cold(onMariaDB, "on MariaDB"), cold(inFiles, "in files"), side(fanOut, each),
	}
	inTurns(1, sides...) // warm
	m := inTurns(8, sides...)
	b.Logf("calls/s per round: warm %.0f, echo %.0f, uncached on MariaDB %.0f, in files %.0f, fan-out %.0f", m[0], m[1], m[2], m[3], m[4])
	against(b, kind+"warm", name+"GetMovie, three processes, warm / grpc-go echo of the same bytes", "calls", m[0], m[1], 0.6)
	against(b, kind+"uncached", name+"GetMovie, three processes on MariaDB, uncached / fan-out to two echoes", "calls", m[2], m[4], 0.8)
	against(b, kind+"uncached-files", name+"GetMovie, three processes on SQLite, uncached / fan-out to two echoes", "calls", m[3], m[4], 0)
}

// getMovie asks for the films of the numbers that it counts.
func getMovie(conn grpc.ClientConnInterface, asked *atomic.Int64, film func(int64) string) func(int) error {
	client := moviev1.NewMovieServiceClient(conn)
	return func(int) error {
		id := film(asked.Add(1))
		_, err := client.GetMovie(context.Background(), &moviev1.GetMovieRequest{Id: id})
		if err != nil {
			return fmt.Errorf("film %s: %w", id, err)
		}
		return nil
	}
}

func processorTimes(b *testing.B, pids []int) []time.Duration {
	b.Helper()
	all := make([]time.Duration, len(pids))
	for i, pid := range pids {
		all[i] = processorTime(b, pid)
	}
	return all
}
