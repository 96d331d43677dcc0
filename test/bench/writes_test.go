package bench_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/sqldb"
	"movieexample.com/metadata"
	"movieexample.com/rating"
)

const (
	writeRounds = 5
	writeTime   = 1500 * time.Millisecond
	writtenOf   = 9742  // films that are written, or rated
	writtenBy   = 50000 // users
)

// popular chooses a film by Zipf's law over its rank.
func popular() func() int {
	cumulated, sum := make([]float64, writtenOf), 0.0
	for i := range cumulated {
		sum += 1 / float64(i+1)
		cumulated[i] = sum
	}
	return func() int {
		i, _ := slices.BinarySearch(cumulated, rand.Float64()*sum)
		return min(i, writtenOf-1)
	}
}

// writer is a service on a database, and one write of it; n is different in each call.
type writer struct {
	name  string
	store string // its label in metrics
	reg   *prometheus.Registry
	write func(n int64) error
	n     atomic.Int64
}

// newWriters starts both services that are written to, each on the database that open returns the URL of, with the in-process
// connection that a program of one process uses.
func newWriters(b *testing.B, open func(what string) string) (ratings, movies *writer) {
	b.Helper()
	database := func(what string) *sqldb.DB {
		db, err := sqldb.Open(b.Context(), open(what), sqldb.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := db.Close(); err != nil {
				b.Error(err)
			}
		})
		return db
	}
	serve := func(name string, svc registrar, run func(context.Context) error) *rpc.Server {
		srv, err := rpc.NewServer(rpc.ServerConfig{Name: name})
		if err != nil {
			b.Fatal(err)
		}
		svc.Register(srv)
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error, 1)
		go func() { done <- run(ctx) }()
		b.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				b.Error(err)
			}
			if err := srv.Shutdown(context.Background()); err != nil {
				b.Error(err)
			}
		})
		return srv
	}
	reg, film := prometheus.NewRegistry(), popular()
	opinions, err := rating.New(b.Context(), rating.Config{}, rating.Deps{DB: database("rating"), Metrics: reg})
	if err != nil {
		b.Fatal(err)
	}
	catalogue, err := metadata.New(b.Context(), metadata.Config{}, metadata.Deps{DB: database("metadata"), Metrics: reg})
	if err != nil {
		b.Fatal(err)
	}
	ratingClient := ratingv1.NewRatingServiceClient(serve("rating", opinions, opinions.Run).Conn())
	movieClient := metadatav1.NewMetadataServiceClient(serve("metadata", catalogue, catalogue.Run).Conn())
	ratings = &writer{name: "PutRating", store: "rating", reg: reg, write: func(n int64) error {
		_, err := ratingClient.PutRating(b.Context(), &ratingv1.PutRatingRequest{
			RecordType: "movie", RecordId: fmt.Sprint("tt", film()), UserId: fmt.Sprint("u", rand.IntN(writtenBy)), Value: proto.Int32(int32(1 + n%10)),
		})
		return err
	}}
	movies = &writer{name: "PutMovie", store: "metadata", reg: reg, write: func(n int64) error {
		id := fmt.Sprintf("tt%07d", film())
		_, err := movieClient.PutMovie(b.Context(), &metadatav1.PutMovieRequest{Movie: &metadatav1.Movie{
			Id: id, Title: fmt.Sprint("The Redemption of ", n), Year: proto.Int32(int32(1900 + n%100)), Genres: []string{"Crime", "Drama"},
			Director: "Frank Darabont", Description: "A banker sentenced to life keeps a small hammer, a long plan and a friend who can get things.",
			ExternalIds: &metadatav1.ExternalIds{Imdb: id},
		}})
		return err
	}}
	return ratings, movies
}

// load writes with so many callers, each after its last answer, and returns writes per second and the 99th percentile of how
// long one takes.
func (w *writer) load(b *testing.B, callers int) (perSecond float64, p99 time.Duration) {
	b.Helper()
	mine := make([][]time.Duration, callers)
	perSecond = loaded(b, callers, writeTime, func(caller int) error {
		began := time.Now()
		err := w.write(w.n.Add(1))
		mine[caller] = append(mine[caller], time.Since(began))
		return err
	})
	return perSecond, percentile99(slices.Concat(mine...))
}

// shared is how many writes and transactions there were.
func (w *writer) shared(b *testing.B) (writes, transactions float64) {
	b.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "movieexample_group_commit_batch_writes" && m.GetLabel()[0].GetValue() == w.store {
				writes, transactions = m.GetHistogram().GetSampleSum(), float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return writes, transactions
}

func percentile99(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)*99/100]
}

// syncs writes a page to a file and syncs it, again and again: what a commit cannot do without. The file does not grow, as a log
// does not that is used again.
func syncs(b *testing.B, dir string) (perSecond float64, p99 time.Duration) {
	b.Helper()
	const pages, size = 2048, 4096
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, size)
	if _, err = f.Write(make([]byte, pages*size)); err == nil {
		err = f.Sync()
	}
	if err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	perSecond = loaded(b, 1, writeTime, func(int) error {
		page[0]++
		began := time.Now()
		if _, err := f.WriteAt(page, int64(len(took)%pages*size)); err != nil {
			return err
		}
		err := f.Sync()
		took = append(took, time.Since(began))
		return err
	})
	return perSecond, percentile99(took)
}

// bareTransactions upserts ratings and aggregates in transactions of 64, as one loop without callers: no more can be shared than
// that by 64 callers.
func bareTransactions(b *testing.B) func() float64 {
	b.Helper()
	rows := bareRows(ratingEvents(b))
	rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return func() float64 {
		l := newBareLoop(b, true)
		defer l.close(b)
		return l.run(b, rows[:20_000], 64)
	}
}

// compareWrites prints what 16 and 64 callers write of what one does; most callers' rate is aimed at least times that of one. bare
// measures a disk sync where the p99 is to be compared with it, and shared the transactions that callers can share at best; else nil.
func compareWrites(b *testing.B, w *writer, on string, least float64, bare func() (float64, time.Duration), shared func() float64) {
	b.Helper()
	var tail, tailBare, together []float64
	side := func(callers int) func() float64 {
		return func() float64 {
			writes, transactions := w.shared(b)
			rate, p99 := w.load(b, callers)
			if callers == 64 {
				tail = append(tail, p99.Seconds())
				w, t := w.shared(b)
				together = append(together, (w-writes)/(t-transactions))
			}
			return rate
		}
	}
	sides := []func() float64{side(1), side(16), side(64)}
	if bare != nil {
		sides = append(sides, func() float64 {
			rate, p99 := bare()
			tailBare = append(tailBare, p99.Seconds())
			return rate
		})
	}
	if shared != nil {
		sides = append(sides, shared)
	}
	if _, p99 := w.load(b, 64); p99 == 0 { // warm: the films are there
		b.Fatal("nothing was written")
	}
	measured := inTurns(writeRounds, sides...)
	key := w.name + "-" + on
	against(b, key+"-16", fmt.Sprintf("%s on %s, 16 callers / one", w.name, on), "writes", measured[1], measured[0], 0)
	against(b, key+"-64", fmt.Sprintf("%s on %s, 64 callers / one", w.name, on), "writes", measured[2], measured[0], least)
	b.ReportMetric(median(together), key+"-64-writes/commit")
	if shared != nil {
		last := measured[len(measured)-1]
		against(b, key+"-shared", fmt.Sprintf("%s on %s, 64 callers / a bare loop of transactions of 64", w.name, on), "writes", measured[2], last, 0)
		against(b, key+"-bound", fmt.Sprintf("that bare loop / %s on %s, one caller", w.name, on), "writes", last, measured[0], 0)
	}
	if bare == nil {
		return
	}
	against(b, key+"-sync", fmt.Sprintf("%s on %s, one caller / bare disk syncs", w.name, on), "writes", measured[0], measured[3], 0)
	ratios := make([]float64, len(tail))
	for i := range tail {
		ratios[i] = tail[i] / tailBare[i]
	}
	ratio := median(ratios)
	row{
		name: fmt.Sprintf("p99 of a %s on %s with 64 callers / of a bare disk sync", w.name, on),
		ours: fmt.Sprintf("%.2f ms", 1000*median(tail)), bare: fmt.Sprintf("%.2f ms", 1000*median(tailBare)), ratio: ratio, target: "≤ 3", holds: ratio <= 3,
	}.print(b)
	b.ReportMetric(ratio, key+"-p99-ratio")
}

// BenchmarkWrites measures synchronous writes on SQLite, each durable when it is answered.
func BenchmarkWrites(b *testing.B) {
	dir := b.TempDir()
	ratings, movies := newWriters(b, func(what string) string { return "sqlite:" + filepath.Join(dir, what+".db") })
	shared := bareTransactions(b)
	for b.Loop() {
		bare := func() (float64, time.Duration) { return syncs(b, dir) }
		compareWrites(b, ratings, "SQLite", 10, bare, shared)
		compareWrites(b, movies, "SQLite", 10, bare, nil)
	}
}
