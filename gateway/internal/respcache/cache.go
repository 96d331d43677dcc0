package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// The gateway keeps whole answers for a moment: what a crowd asks for is composed once and then only sent. Two promises are kept by
// it, and nothing else depends on it:
//
// An answer is at most [Config].AnswerTTL old, counted from before the first call that was made for it. That is what this layer
// adds to the ages below it. By default that is 0.5 s, and what the movie service answers is at most 1.5 s behind the services that
// it reads (movie/doc.go): together the two seconds that are promised. An answer of the API says
// more, "fresh", which means read within two seconds, and other settings or a slow service must not make that false: it is given
// out no longer than until the oldest of its as-of times that is not past that mark gets there.
//
// What was composed before a write through this gateway is not given out after it. A write raises a counter before it is made
// and, whatever came of it, once more before it is answered; an answer carries the counters from before its composition, and
// is good only while they stand. A write of a film counts for everything, because a film is in lists, charts, searches and
// other films' pages. A write of a rating counts for what has the film in its address. After either the movie service is told to
// read anew what it keeps of the film, where a call names it (recent.go). Elsewhere the film's numbers come from that service's own caches, so to compose anew would
// not show it sooner; and films are rated all the time: if each rating counted for everything, nothing would ever be kept. What
// the rating service itself answers (one rating, a person's, a film's summary) must show each rating at once, costs one look-up,
// and is not kept.
//
// Errors are never kept, and a request with credentials, or with Cache-Control: no-cache, is answered anew.

// freshFor is what the rating_status "fresh" promises in the contract of the movie service.
const freshFor = 2 * time.Second

// answers are the answers that are kept.
type answers struct {
	kept    *otter.Cache[answerKey, *representation]
	ttl     time.Duration
	clock   func() time.Time // nil means the real one
	anyHost bool             // pages do not depend on the request's host
	counts  answerCounts

	films   atomic.Uint64
	ratings [256]atomic.Uint64 // by the hash of the record's id; to share one costs an answer, and nothing else

	tidies atomic.Bool // that what is too old is let go is under way

	mu      sync.Mutex
	flights map[flightKey]*flight
}

// answerKey is all that an answer depends on. The target is compared as it was sent: two spellings of one request are kept
// twice, which costs less than to parse every query before it is known to be of use.
type answerKey struct {
	target string // path and query
	host   string // of pages, which name themselves by it
	tls    bool
}

// flightKey is an answer that is being composed. Who comes after a write must not join who began before it.
type flightKey struct {
	answerKey
	stamp uint64
}

// flight is one composition and all who wait for it.
type flight struct {
	flightKey
	scope *atomic.Uint64
	began time.Time

	waiting int // callers; under answers.mu
	cancel  context.CancelFunc
	landed  bool          // under answers.mu
	done    chan struct{} // closed when landed; made is set before
	made    *representation
}

// newAnswers returns nil where nothing is to be kept.
func newAnswers(cfg Config, now func() time.Time, reg prometheus.Registerer) (*answers, error) {
	if cfg.AnswerCacheBytes == 0 {
		return nil, nil
	}
	kept, err := otter.New(&otter.Options[answerKey, *representation]{
		// The cache's own time has nothing to do with how long an answer is good; it only frees the memory of a server at rest.
		ExpiryCalculator: otter.ExpiryWriting[answerKey, *representation](letGoAfter),
		Clock:            untickedClock{},
		MaximumWeight:    uint64(cfg.AnswerCacheBytes),
		Weigher: func(key answerKey, r *representation) uint32 {
			return uint32(len(key.target) + len(key.host) + r.size())
		},
	})
	if err != nil {
		return nil, fmt.Errorf("build the cache of answers: %w", err)
	}
	a := &answers{
		kept: kept, ttl: cfg.AnswerTTL, clock: now, anyHost: cfg.PublicURL != "",
		flights: map[flightKey]*flight{},
	}
	a.counts, err = newAnswerCounts(reg, func() float64 { return float64(kept.WeightedSize()) })
	return a, err
}

// letGoAfter is how long memory is held for an answer that was not replaced: long enough that nothing good is let go.
const letGoAfter = time.Minute

// untickedClock is the real clock for a cache that is told when to look for what has expired: by itself it would do so each second
// in a goroutine that lives as long as the process.
type untickedClock struct{}

func (untickedClock) NowNano() int64                      { return time.Now().UnixNano() }
func (untickedClock) Tick(time.Duration) <-chan time.Time { return nil }

// tidy lets go what is too old after a while, and again as long as there is something.
func (a *answers) tidy() {
	if a.tidies.Swap(true) {
		return
	}
	time.AfterFunc(letGoAfter+time.Second, func() {
		a.tidies.Store(false)
		a.kept.CleanUp()
		if a.kept.EstimatedSize() > 0 {
			a.tidy()
		}
	})
}

// now is the time by the cache's clock; real is the real one.
func (a *answers) now(real time.Time) time.Time {
	if a.clock == nil {
		return real
	}
	return a.clock()
}

// canKeep reports whether the answer to a request may be anybody's, as far as the request itself says.
func (a *answers) canKeep(r *http.Request) bool {
	if a == nil || r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength != 0 || r.RequestURI == "" {
		return false
	}
	h := r.Header
	return len(h["Authorization"]) == 0 && len(h["Cookie"]) == 0
}

// wantsAnew reports whether the client wants an answer that is made for it: what a browser sends on reload, too.
func wantsAnew(h http.Header) bool {
	for _, line := range h["Cache-Control"] {
		if strings.Contains(line, "no-cache") || strings.Contains(line, "no-store") || strings.Contains(line, "max-age=0") {
			return true
		}
	}
	return len(h["Pragma"]) > 0
}

func (a *answers) keyOf(r *http.Request) answerKey {
	key := answerKey{target: r.RequestURI}
	if !a.anyHost && !strings.HasPrefix(key.target, "/v1/") {
		key.host, key.tls = r.Host, r.TLS != nil
	}
	return key
}

// find returns the kept answer that is good at the time, or nil.
func (a *answers) find(key answerKey, at time.Time) *representation {
	r, ok := a.kept.GetIfPresent(key)
	if !ok || !at.Before(r.until) || r.stamp != a.stamp(r.scope) {
		return nil
	}
	return r
}

// stamp is the state of the counters that an answer depends on. Both only rise, so the sum is the same only if both are.
func (a *answers) stamp(scope *atomic.Uint64) uint64 {
	n := a.films.Load()
	if scope != nil {
		n += scope.Load()
	}
	return n
}

// record is the counter of a record's ratings.
func (a *answers) record(id string) *atomic.Uint64 {
	return &a.ratings[xxhash.Sum64String(id)%uint64(len(a.ratings))]
}

// writes is called before a route's write, and what it returns after it, whatever came of it.
func (a *answers) writes(r *route, values map[string]string) (done func()) {
	if a == nil {
		return func() {}
	}
	counter := &a.films
	if id, ok := values["record_id"]; ok && !r.ofFilms {
		counter = a.record(id)
	}
	counter.Add(1)
	return func() { counter.Add(1) }
}

// scopeOf returns the counter that the answer to a read of the API depends on beside the films', and whether it is one to keep.
func (a *answers) scopeOf(r *route, values map[string]string) (scope *atomic.Uint64, keep bool) {
	if r == nil || r.method != http.MethodGet || !r.ofFilms {
		return nil, false
	}
	if id, ok := values["id"]; ok {
		scope = a.record(id)
	}
	return scope, true
}

// scopeOfPage is scopeOf for what is not the API.
func (a *answers) scopeOfPage(path string) (scope *atomic.Uint64, keep bool) {
	if strings.HasPrefix(path, "/users/") {
		return nil, false // a person's ratings, from the rating service itself
	}
	if id, ok := strings.CutPrefix(path, "/movies/"); ok {
		if decoded, err := url.PathUnescape(id); err == nil {
			id = decoded
		}
		scope = a.record(id)
	}
	return scope, true
}

// join returns the flight for the key that is under way, or a new one, which the caller leads; or the answer, where one has
// been kept since the caller looked.
func (a *answers) join(key answerKey, scope *atomic.Uint64, at time.Time) (f *flight, leads bool, kept *representation) {
	fk := flightKey{key, a.stamp(scope)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if f, ok := a.flights[fk]; ok {
		f.waiting++
		return f, false, nil
	}
	if kept = a.find(key, at); kept != nil {
		return nil, false, kept
	}
	f = &flight{flightKey: fk, scope: scope, began: at, waiting: 1, done: make(chan struct{})}
	a.flights[fk] = f
	return f, true, nil
}

// anew returns a flight that nobody can join, for a client that wants an answer of its own. What it brings is kept all the same.
func (a *answers) anew(key answerKey, scope *atomic.Uint64, at time.Time) *flight {
	return &flight{flightKey: flightKey{key, a.stamp(scope)}, scope: scope, began: at, waiting: 1, done: make(chan struct{})}
}

// leave is called for each caller that is gone. When nobody waits any more the composition is called off.
func (a *answers) leave(f *flight) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f.waiting--
	if f.waiting > 0 || f.landed {
		return
	}
	if a.flights[f.flightKey] == f {
		delete(a.flights, f.flightKey)
	}
	f.cancel()
}

// land ends a flight. made is what all who wait get; without it, each asks for itself.
func (a *answers) land(f *flight, made *representation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.landed {
		return
	}
	f.landed, f.made = true, made
	if a.flights[f.flightKey] == f {
		delete(a.flights, f.flightKey)
	}
	close(f.done)
}

// keep keeps what a flight brought. oldest is the oldest as-of time that makes the answer say "fresh"; zero where there is none.
func (a *answers) keep(f *flight, r *representation, oldest time.Time) {
	r.key, r.scope, r.stamp, r.began, r.until = f.answerKey, f.scope, f.stamp, f.began, f.began.Add(a.ttl)
	if !oldest.IsZero() {
		if end := oldest.Add(freshFor); end.Before(r.until) {
			r.until = end
		}
	}
	// One that began later, because it was asked for anew, may have landed before: who saw that one must not be shown this one next.
	if old := a.find(r.key, r.began); (old == nil || !old.began.After(r.began)) && r.stamp == a.stamp(r.scope) {
		a.kept.Set(r.key, r)
		a.tidy()
	}
	a.land(f, r)
}

// weigh counts a kept answer's bytes again.
func (a *answers) weigh(r *representation) {
	a.kept.ComputeIfPresent(r.key, func(old *representation) (*representation, otter.ComputeOp) {
		if old != r {
			return old, otter.CancelOp
		}
		return r, otter.WriteOp
	})
}

// errGone is the cause that a composition was called off for.
var errGone = errors.New("everybody who asked is gone")

// lead returns the context that a flight's composition runs on: the first caller's, but that its end is not the flight's end
// while others wait.
func (a *answers) lead(ctx context.Context, f *flight) (flying context.Context, done func()) {
	flying, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	f.cancel = func() { cancel(errGone) }
	stop := context.AfterFunc(ctx, func() { a.leave(f) })
	return flying, func() {
		stop()
		a.land(f, nil) // unless it has landed
		cancel(nil)
	}
}
