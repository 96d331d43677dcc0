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
	// films is searchable from the first moment; a larger one is loaded on while the service
	// answers everything else.
	startBudget = 100 * time.Millisecond
	// The index takes many films at once for half of what they cost one by one. Loading begins
	// with few, to keep to startBudget, and doubles them up to maxChunk. A million films take as long in chunks
	// of 50,000, and half a gigabyte more at the worst moment, when the segments of eight chunks are merged.
	firstChunk = 1_000
	maxChunk   = 32_000
	// restPerChange is the pause after a look at the feed, for each change it found, and maxRest the longest one:
	// somebody who writes a film finds it a moment later, while an import fills the index in
	// larger pieces.
	restPerChange = time.Millisecond
	maxRest       = 100 * time.Millisecond
	// ownWait is how long a search waits for what its own process wrote before. It bounds what a search takes while
	// an import runs.
	ownWait = 100 * time.Millisecond
)

// follower keeps the search index equal to the catalogue. It first loads all films, then follows the
// two feeds (films and votes) by their numbers. It reads the numbers before it begins to load, so
// that whatever changes while it loads comes again by the feed: applying a film twice does no harm.
//
// A MySQL server shows a commit to others before it is on disk. One that is killed in between has lost a transaction that the
// index has, and gives its number out again. Each look at the feeds runs in one session (see [store.inSession]). If one
// was opened since the last look that was complete, the server may be another, or have restarted, and the look goes over the
// tails of the feeds again (see feed). Within a look nothing of that kind can happen: the server that dies takes the session with
// it, and the look fails. So what the index took in one session is kept, or it is looked at again in the first look after
// it may have been lost.
type follower struct {
	store *store
	// index is what answers. It is replaced only after more was lost than the tails hold.
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
	// reached are the numbers up to which the index was last known to be complete.
	reached atomic.Pointer[reach]
	// own is the greatest number of a write of this process to the catalogue, and ownLook the first look that may be
	// trusted to have seen it.
	own, ownLook atomic.Int64
	// looks counts the looks that have begun.
	looks atomic.Int64
	// running is set while somebody looks at the feed in the background.
	running atomic.Bool
	// hurry has an element while a search waits for the next look.
	hurry  chan struct{}
	errors prometheus.Counter
	behind *prometheus.GaugeVec

	// mu is held by the one who brings the index up to date; it protects what follows.
	mu            sync.Mutex
	filling       *search.Index // what is loaded and kept up to date: index, or what will replace it
	begun         bool          // the feeds' numbers are known
	complete      bool          // all is loaded: filling is index
	loading       string        // the last film that was loaded
	movies, votes feed
	opened        uint64 // how many sessions had been opened when the load began, or at the last look that was complete
	failing       bool   // the last attempt failed

	looked signal // after each look at the feed
}

// signal tells all who wait for something that it happened.
type signal struct {
	mu   sync.Mutex
	next chan struct{} // closed then; nil if nobody waits
}

// wait returns a channel that is closed when it happens next.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = make(chan struct{})
	}
	return s.next
}

func (s *signal) happened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}

// numbers are positions in the feeds.
type numbers struct{ movies, votes int64 }

// reach is how far the index came, and in which look.
type reach struct {
	numbers
	look int64
}

func newFollower(st *store, log *slog.Logger, now func() time.Time, every time.Duration) *follower {
	f := &follower{
		store: st, log: log, now: now, every: every,
		changed: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "movieexample_metadata_search_refresh_errors_total",
			Help: "Attempts to bring the search index up to date that failed; each is repeated.",
		}),
		behind: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "movieexample_metadata_search_lag_writes",
			Help: "Write transactions the search index did not know when it last looked, by feed: movies or votes.",
		}, []string{"feed"}),
	}
	f.index.Store(search.New())
	f.movies = feed{
		name: movieSequence, after: st.changesAfter, of: st.changesOf, gone: entry{Change: search.Change{Deleted: true}},
		apply: func(changes []entry) { f.filling.Apply(filmsOf(changes)) },
	}
	f.votes = feed{
		name: voteSequence, after: st.votesAfter, of: st.votesOf, gone: entry{tag: votesTag(0)},
		apply: func(changes []entry) { f.filling.SetVotes(countsOf(changes)) },
	}
	return f
}

func (f *follower) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		f.errors, f.behind,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "movieexample_metadata_search_movies",
			Help: "Movies in the search index.",
		}, func() float64 { return float64(f.index.Load().Stats().Films) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "movieexample_metadata_search_age_seconds",
			Help: "Seconds since the search index was last known to equal the catalogue; NaN before it is loaded.",
		}, f.age),
	}
}

// ready is nil once the index can answer.
func (f *follower) ready() error {
	if f.loaded.Load() {
		return nil
	}
	return fault.Unavailable(nil, "the search index is being loaded, which takes some seconds for a million movies: retry in a moment")
}

// wake says that this process wrote something.
func (f *follower) wake() { ring(f.changed) }

// ring puts an element into a channel with room for one.
func ring(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // whoever looks next sees this too
	}
}

// wrote says that this process wrote to the catalogue, and with which number; 0 if it changed nothing.
func (f *follower) wrote(number int64) {
	if number == 0 {
		return
	}
	if at := f.reached.Load(); at != nil && at.movies >= number {
		// A look was faster than we are; or the number was given out twice, and the index has who got it first. Whichever it
		// is, the next look knows.
		raise(&f.ownLook, f.looks.Load()+1)
	}
	raise(&f.own, number)
	f.wake()
}

// raise makes v at least n.
func raise(v *atomic.Int64, n int64) {
	for {
		last := v.Load()
		if n <= last || v.CompareAndSwap(last, n) {
			return
		}
	}
}

// awaitOwn waits until the index knows what this process wrote before, so that whoever writes a film and then
// looks for it finds it; for ownWait at most, and not where nobody looks at the feed.
func (f *follower) awaitOwn(ctx context.Context) {
	own := f.own.Load()
	if own == 0 || !f.running.Load() {
		return
	}
	var timeout <-chan time.Time
	for {
		looked := f.looked.wait()
		if at := f.reached.Load(); at != nil && at.movies >= f.own.Load() && at.look >= f.ownLook.Load() {
			return
		}
		if timeout == nil {
			timer := time.NewTimer(ownWait)
			defer timer.Stop()
			timeout = timer.C
		}
		ring(f.hurry)
		select {
		case <-looked:
		case <-timeout:
			return
		case <-ctx.Done():
			return
		}
	}
}

// run follows the catalogue until ctx ends.
func (f *follower) run(ctx context.Context) {
	f.running.Store(true)
	defer f.running.Store(false)
	for {
		changes, err := f.refresh(ctx)
		f.looked.happened()
		hurry := f.hurry
		if err != nil {
			hurry = nil // see below
		}
		if !sleep(ctx, min(time.Duration(changes)*restPerChange, maxRest), hurry) {
			return
		}
		wake := f.changed
		if err != nil {
			wake = nil // that this process writes is no reason to ask a failing database more often
		}
		timer := time.NewTimer(f.every)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-hurry:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// sleep waits for d or until somebody is in a hurry, and reports whether ctx still lasts.
func sleep(ctx context.Context, d time.Duration, hurry <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-hurry:
	case <-timer.C:
	}
	return true
}

// refresh makes the index equal to the catalogue as of now, after loading what is not loaded yet. An
// error is counted, and logged if the last attempt had none; trying again goes on where this one ended.
// It returns how many changes it found.
func (f *follower) refresh(ctx context.Context) (changes int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err = f.store.inSession(ctx, func(ctx context.Context, q reading, opened uint64) (err error) {
		look := f.looks.Add(1)
		if f.complete {
			changes, err = f.follow(ctx, q, opened, look)
		}
		if !f.complete && err == nil {
			err = f.load(ctx, q, opened, look, time.Time{})
		}
		return err
	})
	f.report(ctx, err)
	return changes, err
}

// start loads for as long as a start may take.
func (f *follower) start(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.store.inSession(ctx, func(ctx context.Context, q reading, opened uint64) error {
		return f.load(ctx, q, opened, f.looks.Add(1), f.now().Add(startBudget))
	})
	f.report(ctx, err)
}

func (f *follower) report(ctx context.Context, err error) {
	switch {
	case err == nil:
		if f.failing {
			f.log.InfoContext(ctx, "search index follows the catalogue again")
		}
		f.failing = false
	case ctx.Err() == nil: // else nobody waits for it any more
		f.errors.Inc()
		if !f.failing {
			f.log.ErrorContext(ctx, "search index cannot read the catalogue; it answers as of the last success and tries again",
				slog.Any("error", err), slog.Duration("every", f.every))
		}
		f.failing = true
	}
}

// load goes on loading the catalogue until it is complete or the deadline, if there is one, has
// passed.
func (f *follower) load(ctx context.Context, q reading, opened uint64, look int64, deadline time.Time) error {
	if !f.begun || opened != f.opened { // what was loaded so far may be lost
		at, err := f.store.numbers(ctx, q)
		if err != nil {
			return err
		}
		f.begun, f.opened, f.loading, f.filling = true, opened, "", search.New()
		f.movies.begin(at.movies)
		f.votes.begin(at.votes)
		if !f.loaded.Load() {
			f.index.Store(f.filling) // nobody asks it yet, but for how many films it has
		}
	}
	for n := firstChunk; deadline.IsZero() || f.now().Before(deadline); n = min(2*n, maxChunk) {
		films, err := f.store.filmsAfter(ctx, q, f.loading, n)
		if err != nil {
			return err
		}
		f.filling.Apply(films)
		if len(films) < n {
			// What changed while it was loaded is still missing.
			if _, err := f.follow(ctx, q, opened, look); err != nil {
				return err
			}
			f.complete = true
			f.index.Store(f.filling)
			f.loaded.Store(true)
			return nil
		}
		f.loading = films[len(films)-1].Film.ID
	}
	return nil
}

// follow applies what happened since the last time, and returns how many changes that were. If so much was lost that the index
// has to be loaded again, it says that it is not complete.
func (f *follower) follow(ctx context.Context, q reading, opened uint64, look int64) (changes int, err error) {
	asOf := f.now()
	head, err := f.store.numbers(ctx, q)
	if err != nil {
		return 0, err
	}
	feeds := []struct {
		*feed
		head int64
	}{{&f.movies, head.movies}, {&f.votes, head.votes}}
	// A server's number is never below ours while it lives. Where it is nevertheless, somebody changed the tables by hand.
	again := opened != f.opened || head.movies < f.movies.at || head.votes < f.votes.at
	for _, feed := range feeds {
		f.behind.WithLabelValues(feed.name).Set(float64(max(0, feed.head-feed.at)))
		if again && f.complete && feed.outOfReach(feed.head) {
			f.log.WarnContext(ctx, "the database lost more writes than the search index remembers, or a backup was put back; the index is loaded again",
				slog.String("feed", feed.name), slog.Int64("number", feed.head), slog.Int64("number_before", feed.at))
			f.begun, f.complete = false, false
			f.own.Store(0)
			return 0, nil
		}
	}
	before := f.movies.at
	for _, feed := range feeds {
		var n, wrong int
		switch {
		case !f.complete:
			n, err = feed.finishLoad(ctx, q, feed.head)
		case again:
			n, wrong, err = feed.again(ctx, q, feed.head)
		case feed.head > feed.at:
			n, err = feed.follow(ctx, q, feed.head)
		}
		if err != nil {
			return changes, err
		}
		changes += n
		if wrong > 0 {
			f.log.WarnContext(ctx, "the database lost writes that the search index had taken over; the index is right again",
				slog.String("feed", feed.name), slog.Int("films", wrong))
		}
	}
	if own := f.own.Load(); f.movies.at < before && own > f.movies.at {
		f.own.CompareAndSwap(own, f.movies.at) // nobody waits for what is lost
	}
	f.opened = opened
	f.movies.settle()
	f.votes.settle()
	f.reached.Store(&reach{numbers{movies: f.movies.at, votes: f.votes.at}, look})
	f.refreshed.Store(asOf.UnixNano())
	return changes, nil
}

// asOf is when the index was last known to equal the catalogue.
func (f *follower) asOf() time.Time { return time.Unix(0, f.refreshed.Load()).UTC() }

func (f *follower) age() float64 {
	if !f.loaded.Load() {
		return math.NaN()
	}
	return max(0, f.now().Sub(f.asOf()).Seconds())
}
