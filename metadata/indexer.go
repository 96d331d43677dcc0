package metadata

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/fault"
	"movieexample.com/metadata/internal/search"
)

const (
	// startBudget is how long New loads the search index itself. A catalogue of some thousand
	// films is searchable from the first moment; Run loads a larger one while the service
	// answers everything else.
	startBudget = 100 * time.Millisecond
	// The index takes many films at once for half of what they cost one by one. Loading starts
	// with few, to keep to startBudget, and doubles them up to maxChunk. A million films take as long in chunks
	// of 50,000, and half a gigabyte more at the peak, when the segments of eight chunks are merged.
	firstChunk = 1_000
	// restPerChange is the pause after a look at the feed, for each change it found, and maxRest the longest pause:
	// a single write is searchable a moment later, while an import reaches the index in larger pieces.
	restPerChange = time.Millisecond
	maxRest       = 100 * time.Millisecond
)

// indexer keeps the search index equal to the catalogue. It first loads all films, then follows the
// two feeds (films and votes) by their numbers. It reads the numbers before it starts to load, so the
// feed has all that changes during the load: applying a film twice does no harm.
//
// A MySQL server shows a commit to others before it is on disk. If it is killed in between, it loses a transaction that the
// index has, and issues its number again. Each look at the feeds runs in one session (see [sqldb.DB.Session]). If a session
// was opened since the last complete look, the server may be another one, or have restarted, and the look reads the
// tails of the feeds again (see feed). Within a look this cannot happen: if the server dies, its session ends, and
// the look fails. So everything that the index read before a loss is checked in the first look after it.
type indexer struct {
	store *store
	// index answers searches. It is replaced only after the database lost more than the tails hold.
	index atomic.Pointer[search.Index]
	log   *slog.Logger
	now   func() time.Time
	every time.Duration

	// changed has an element after this process wrote something.
	changed chan struct{}
	// loaded is set when the first load is complete.
	loaded atomic.Bool
	// refreshed is when the index was last equal to the catalogue, in nanoseconds since 1970.
	refreshed atomic.Int64
	own       ownWrites
	// looks counts the looks that have started.
	looks atomic.Int64
	// running is set while run looks at the feed.
	running atomic.Bool
	errors  prometheus.Counter
	behind  *prometheus.GaugeVec

	// mu is held while the index is brought up to date; it protects what follows.
	mu            sync.Mutex
	filling       *search.Index // what is loaded and kept up to date: index, or what will replace it
	begun         bool          // the feeds' numbers are known
	complete      bool          // all is loaded: filling is index
	loading       string        // the last film that was loaded
	movies, votes feed
	opened        uint64 // how many sessions had been opened when the load started, or at the last complete look
	failing       bool   // the last attempt failed
}

func newIndexer(st *store, log *slog.Logger, now func() time.Time, every time.Duration) *indexer {
	x := &indexer{
		store: st, log: log, now: now, every: every,
		changed: make(chan struct{}, 1), own: ownWrites{hurry: make(chan struct{}, 1)},
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "movieexample_metadata_search_refresh_errors_total",
			Help: "Failed attempts to bring the search index up to date; each is retried.",
		}),
		behind: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "movieexample_metadata_search_lag_writes",
			Help: "Write transactions that the search index lacked when it last looked, by feed: movies or votes.",
		}, []string{"feed"}),
	}
	x.index.Store(search.New())
	x.movies = feed{
		name: movieSequence, after: st.changesAfter, of: st.changesOf, gone: entry{Change: search.Change{Deleted: true}},
		apply: func(entries []entry) {
			films := make([]search.Change, len(entries))
			for i, e := range entries {
				films[i] = e.Change
			}
			x.filling.Apply(films)
		},
	}
	x.votes = feed{
		name: voteSequence, after: st.votesAfter, of: st.votesOf, gone: entry{tag: votesTag(0)},
		apply: func(entries []entry) {
			counts := make(map[string]int32, len(entries))
			for _, e := range entries {
				counts[e.Film.ID] = e.Film.Votes
			}
			x.filling.SetVotes(counts)
		},
	}
	return x
}

func (x *indexer) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		x.errors, x.behind,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "movieexample_metadata_search_movies",
			Help: "Movies in the search index.",
		}, func() float64 { return float64(x.index.Load().Stats().Films) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "movieexample_metadata_search_age_seconds",
			Help: "Seconds since the search index was last known to equal the catalogue; NaN before it is loaded.",
		}, func() float64 {
			if !x.loaded.Load() {
				return math.NaN()
			}
			return max(0, x.now().Sub(x.asOf()).Seconds())
		}),
	}
}

// ready is nil once the index can answer.
func (x *indexer) ready() error {
	if x.loaded.Load() {
		return nil
	}
	return fault.Unavailable(nil, "the search index is being loaded, which takes some seconds for a million movies: retry in a moment")
}

// asOf is when the index was last known to equal the catalogue.
func (x *indexer) asOf() time.Time { return time.Unix(0, x.refreshed.Load()).UTC() }

// current returns the index, which has the earlier writes of this process (see ownWrites).
func (x *indexer) current(ctx context.Context) *search.Index {
	if x.running.Load() {
		x.own.await(ctx)
	}
	return x.index.Load()
}

// wake says that this process wrote something.
func (x *indexer) wake() { ring(x.changed) }

// wrote says that this process wrote to the catalogue, and with which number; 0 if it changed nothing.
func (x *indexer) wrote(number int64) {
	if number != 0 {
		x.own.add(number, x.looks.Load())
		x.wake()
	}
}

// run follows the catalogue until ctx ends.
func (x *indexer) run(ctx context.Context) {
	x.running.Store(true)
	defer x.running.Store(false)
	for {
		changes, err := x.refresh(ctx)
		x.own.ended()
		wake, hurry := x.changed, x.own.hurry
		if err != nil {
			wake, hurry = nil, nil // writes and searches do not make it query a failing database more often
		}
		if !sleep(ctx, min(time.Duration(changes)*restPerChange, maxRest), hurry) {
			return
		}
		timer := time.NewTimer(x.every)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-hurry:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// refresh makes the index equal to the catalogue as of now, after loading what is not loaded yet. An
// error is counted, and logged if the last attempt had none; the next attempt continues where this one ended.
// It returns how many changes it found.
func (x *indexer) refresh(ctx context.Context) (changes int, err error) {
	return changes, x.look(ctx, func(ctx context.Context, q queryer, opened uint64, look int64) (err error) {
		if x.complete {
			changes, err = x.follow(ctx, q, opened, look)
		}
		if !x.complete && err == nil {
			err = x.load(ctx, q, opened, look, time.Time{})
		}
		return err
	})
}

// start loads for at most startBudget.
func (x *indexer) start(ctx context.Context) {
	_ = x.look(ctx, func(ctx context.Context, q queryer, opened uint64, look int64) error { // run retries
		return x.load(ctx, q, opened, look, x.now().Add(startBudget))
	})
}

// look runs fn in one session of the database, with the number of sessions opened so far and the number of the look.
func (x *indexer) look(ctx context.Context, fn func(ctx context.Context, q queryer, opened uint64, look int64) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	err := x.store.db.Session(ctx, func(ctx context.Context, q queryer, opened uint64) error {
		return fn(ctx, q, opened, x.looks.Add(1))
	})
	switch {
	case err == nil:
		if x.failing {
			x.log.InfoContext(ctx, "search index follows the catalogue again")
		}
		x.failing = false
	case ctx.Err() == nil: // otherwise the caller is gone
		x.errors.Inc()
		if !x.failing {
			x.log.ErrorContext(ctx, "search index cannot read the catalogue; it answers as of the last success and retries",
				slog.String("database", x.store.db.Name()), slog.Any("error", err), slog.Duration("every", x.every))
		}
		x.failing = true
	}
	return err
}

// load continues to load the catalogue until it is complete or the deadline, if there is one, has
// passed.
func (x *indexer) load(ctx context.Context, q queryer, opened uint64, look int64, deadline time.Time) error {
	if !x.begun || opened != x.opened { // the database may have lost what was loaded so far
		at, err := x.store.numbers(ctx, q)
		if err != nil {
			return err
		}
		x.begun, x.opened, x.loading, x.filling = true, opened, "", search.New()
		x.movies.begin(at.movies)
		x.votes.begin(at.votes)
		if !x.loaded.Load() {
			x.index.Store(x.filling) // no search uses it yet, but the metric of its films does
		}
	}
	for n := firstChunk; deadline.IsZero() || x.now().Before(deadline); n = min(2*n, maxChunk) {
		films, err := x.store.filmsAfter(ctx, q, x.loading, n)
		if err != nil {
			return err
		}
		x.filling.Apply(films)
		if len(films) < n {
			// What changed during the load is still missing.
			if _, err := x.follow(ctx, q, opened, look); err != nil {
				return err
			}
			x.complete = true
			x.index.Store(x.filling)
			x.loaded.Store(true)
			return nil
		}
		x.loading = films[len(films)-1].Film.ID
	}
	return nil
}

// follow applies what happened since the last time, and returns how many changes that were. If the database lost so much that
// the index has to be loaded again, it clears complete.
func (x *indexer) follow(ctx context.Context, q queryer, opened uint64, look int64) (changes int, err error) {
	asOf := x.now()
	head, err := x.store.numbers(ctx, q)
	if err != nil {
		return 0, err
	}
	feeds := []struct {
		*feed
		head int64
	}{{&x.movies, head.movies}, {&x.votes, head.votes}}
	// A server's number is never below ours while it lives. If it is, the tables were changed by hand.
	again := opened != x.opened || head.movies < x.movies.at || head.votes < x.votes.at
	for _, feed := range feeds {
		x.behind.WithLabelValues(feed.name).Set(float64(max(0, feed.head-feed.at)))
		if again && x.complete && feed.outOfReach(feed.head) {
			x.log.WarnContext(ctx, "the database lost more writes than the search index remembers, or a backup was restored; reloading the index",
				slog.String("feed", feed.name), slog.Int64("number", feed.head), slog.Int64("number_before", feed.at))
			x.begun, x.complete = false, false
			x.own.number.Store(0)
			return 0, nil
		}
	}
	before := x.movies.at
	for _, feed := range feeds {
		var n, wrong int
		switch {
		case !x.complete:
			n, err = feed.finishLoad(ctx, q, feed.head)
		case again:
			n, wrong, err = feed.reread(ctx, q, feed.head)
		case feed.head > feed.at:
			n, err = feed.follow(ctx, q, feed.head)
		}
		if err != nil {
			return changes, err
		}
		changes += n
		if wrong > 0 {
			x.log.WarnContext(ctx, "the database lost writes that the search index had; the index is corrected",
				slog.String("feed", feed.name), slog.Int("films", wrong))
		}
	}
	if x.movies.at < before {
		x.own.lower(x.movies.at)
	}
	x.opened = opened
	x.movies.settle()
	x.votes.settle()
	x.own.reached.Store(&reach{numbers{movies: x.movies.at, votes: x.votes.at}, look})
	x.refreshed.Store(asOf.UnixNano())
	return changes, nil
}
