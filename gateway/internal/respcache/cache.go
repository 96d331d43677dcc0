// Package respcache is the cache of whole responses: what many clients request is composed once per moment and then only sent
// (docs/adr/010). It makes two promises.
//
// A response is at most TTL old, counted from before the first call that was made for it. That is what this layer adds to the
// ages below it: by default 0.5 s, and the movie service is at most 1.5 s behind the services that it reads (movie/doc.go). Together
// these are the two seconds that are promised. A response of the API says more, "fresh", which means read within two seconds, and
// other settings or a slow service must not make that false: it is served no longer than until the oldest of its as-of times that is
// not past that mark gets there.
//
// A response that was composed before a write through this gateway is not served after it. A write raises a counter before it is
// made and, failed or not, again before it is answered; an entry carries the counters from before its composition and is served
// only while they are the same. A write of a film counts for everything, because a film is in lists, charts, searches and other
// films' pages. A write of a rating counts for the responses that have the film in their address. Elsewhere the film's numbers come
// from caches of the movie service, so to compose a response again would not show the rating sooner; and films are rated all the
// time: if each rating counted for everything, nothing would ever be cached.
package respcache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/cache"
)

// FreshFor is what the rating_status "fresh" promises in the contract of the movie service.
const FreshFor = 2 * time.Second

// Response is what is cached.
type Response interface{ Size() int }

// Config says what is cached, and for how long.
type Config struct {
	Bytes   int // the bound
	TTL     time.Duration
	AnyHost bool             // pages do not depend on the request's host
	Now     func() time.Time // nil: the real clock
	Metrics prometheus.Registerer
}

// Spec declares the cache. It does not use [cache.Cache]: the goroutine of the first request composes and streams the response,
// and the composition is canceled when all clients that wait for it have disconnected.
func Spec(bytes int) cache.Spec {
	return cache.Spec{
		Name: "gateway_responses", Holds: "whole responses to reads, JSON and pages, with their compressed forms", Bytes: bytes, Setting: "gateway.answer_cache_bytes",
		MaxAge: "`gateway.answer_ttl`, 0.5 s", Fresh: "the age; a write through this gateway at once", Away: "nothing: errors are not cached",
	}
}

// Cache is a cache of responses. It is safe for concurrent use. A nil one caches nothing.
type Cache[R Response] struct {
	Config
	entries *otter.Cache[Key, *Entry[R]]
	counts  counts
	all     atomic.Uint64      // writes that count for everything
	films   [256]atomic.Uint64 // those of a film, by the hash of its id; films that share a counter only cost a composition
	cleans  atomic.Bool        // a clean-up is scheduled

	mu      sync.Mutex
	flights map[flightKey]*Flight[R]
}

// Key is all that a response depends on. The target is compared as it was sent: two spellings of one request are cached twice, which
// costs less than to parse every query before it is known to be of use.
type Key struct {
	target string // path and query
	host   string // of pages, which name themselves by it
	tls    bool
}

// Scope is what a response depends on beside the films' metadata: the ratings of one film, or nil.
type Scope = *atomic.Uint64

// Entry is a cached response.
type Entry[R Response] struct {
	Response     R
	key          Key
	scope        Scope
	stamp        uint64
	began, until time.Time
}

// flightKey identifies a composition. A request that comes after a write must not join one that began before it.
type flightKey struct {
	Key
	stamp uint64
}

// Flight is one composition and all the requests that wait for it.
type Flight[R Response] struct {
	flightKey
	cache *Cache[R]
	scope Scope
	began time.Time

	waiting int // requests; under cache.mu
	cancel  context.CancelFunc
	landed  bool          // under cache.mu
	done    chan struct{} // closed when landed; made is set before
	made    *Entry[R]
}

// New returns a cache, or nil if cfg.Bytes is 0.
func New[R Response](cfg Config) (*Cache[R], error) {
	if cfg.Bytes == 0 {
		return nil, nil
	}
	entries, err := otter.New(&otter.Options[Key, *Entry[R]]{
		// The expiry has nothing to do with how long a response is served; it only frees the memory of an idle server.
		ExpiryCalculator: otter.ExpiryWriting[Key, *Entry[R]](removeAfter),
		Clock:            clock{},
		MaximumWeight:    uint64(cfg.Bytes),
		Weigher: func(key Key, e *Entry[R]) uint32 {
			return uint32(len(key.target) + len(key.host) + e.Response.Size())
		},
	})
	if err != nil {
		return nil, fmt.Errorf("build the response cache: %w", err)
	}
	c := &Cache[R]{Config: cfg, entries: entries, flights: map[flightKey]*Flight[R]{}}
	c.counts, err = newCounts(cfg.Metrics, func() float64 { return float64(entries.WeightedSize()) })
	return c, err
}

// removeAfter is how long an entry holds memory if it is not replaced: longer than any is served.
const removeAfter = time.Minute

// clock is the real clock without ticks: with them the cache would look for expired entries each second in a goroutine that lives as
// long as the process; cleanLater does it.
type clock struct{}

func (clock) NowNano() int64                      { return time.Now().UnixNano() }
func (clock) Tick(time.Duration) <-chan time.Time { return nil }

// Accepts reports whether the response to a request may be shared, as far as the request itself says: a read without credentials.
func (c *Cache[R]) Accepts(r *http.Request) bool {
	if c == nil || r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength != 0 || r.RequestURI == "" {
		return false
	}
	return len(r.Header["Authorization"]) == 0 && len(r.Header["Cookie"]) == 0
}

// KeyOf returns the key of a request.
func (c *Cache[R]) KeyOf(r *http.Request) Key {
	key := Key{target: r.RequestURI}
	if !c.AnyHost && !strings.HasPrefix(key.target, "/v1/") {
		key.host, key.tls = r.Host, r.TLS != nil
	}
	return key
}

// Refused reports whether the client refuses a cached response, as a browser does on reload.
func Refused(h http.Header) bool {
	for _, line := range h["Cache-Control"] {
		if strings.Contains(line, "no-cache") || strings.Contains(line, "no-store") || strings.Contains(line, "max-age=0") {
			return true
		}
	}
	return len(h["Pragma"]) > 0
}

// Find returns the entry that may be served now, or nil.
func (c *Cache[R]) Find(key Key) *Entry[R] {
	e := c.find(key, c.now())
	if e != nil {
		c.counts.hit.Inc()
	}
	return e
}

func (c *Cache[R]) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c *Cache[R]) find(key Key, now time.Time) *Entry[R] {
	e, ok := c.entries.GetIfPresent(key)
	if !ok || !now.Before(e.until) || e.stamp != c.stamp(e.scope) {
		return nil
	}
	return e
}

// stamp is the state of the counters that a response depends on. Both only rise, so the sum is the same only if both are.
func (c *Cache[R]) stamp(scope Scope) uint64 {
	n := c.all.Load()
	if scope != nil {
		n += scope.Load()
	}
	return n
}

// Film returns the scope of a film.
func (c *Cache[R]) Film(id string) Scope {
	if c == nil {
		return nil
	}
	return &c.films[xxhash.Sum64String(id)%uint64(len(c.films))]
}

// Write is called before a write that changes scope, or everything if that is nil, and what it returns after it, failed or not.
func (c *Cache[R]) Write(scope Scope) (done func()) {
	if c == nil {
		return func() {}
	}
	if scope == nil {
		scope = &c.all
	}
	scope.Add(1)
	return func() { scope.Add(1) }
}

// Join returns the composition for the key that is in flight, or a new one, which the caller leads; or an entry that was cached
// since the caller looked.
func (c *Cache[R]) Join(key Key, scope Scope) (f *Flight[R], leads bool, e *Entry[R]) {
	now := c.now()
	fk := flightKey{key, c.stamp(scope)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.flights[fk]; ok {
		f.waiting++
		return f, false, nil
	}
	if e = c.find(key, now); e != nil {
		c.counts.hit.Inc()
		return nil, false, e
	}
	c.counts.miss.Inc()
	f = c.flight(fk, scope, now)
	c.flights[fk] = f
	return f, true, nil
}

// Alone returns a composition that no request can join, for a client that refuses cached responses. Its result is cached too.
func (c *Cache[R]) Alone(key Key, scope Scope) *Flight[R] {
	c.counts.bypass.Inc()
	return c.flight(flightKey{key, c.stamp(scope)}, scope, c.now())
}

func (c *Cache[R]) flight(key flightKey, scope Scope, now time.Time) *Flight[R] {
	return &Flight[R]{flightKey: key, cache: c, scope: scope, began: now, waiting: 1, done: make(chan struct{})}
}

// errGone is the cause of canceling a composition.
var errGone = errors.New("all clients waiting for the response have disconnected")

// Lead returns the context of the composition: the caller's, but while others wait it does not end with the caller's.
func (f *Flight[R]) Lead(ctx context.Context) (composing context.Context, done func()) {
	composing, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	f.cancel = func() { cancel(errGone) }
	stop := context.AfterFunc(ctx, f.leave)
	return composing, func() {
		stop()
		f.land(nil) // unless it has landed
		cancel(nil)
	}
}

// Wait waits for the composition of another request. It returns nil if that cannot be cached: an error names its own request, so
// this one has to be composed itself; and if ctx ends first.
func (f *Flight[R]) Wait(ctx context.Context) *Entry[R] {
	select {
	case <-f.done:
		if f.made != nil {
			f.cache.counts.joined.Inc()
		}
		return f.made
	case <-ctx.Done():
		f.leave()
		return nil
	}
}

// leave is called when a client disconnects. If it was the last one, leave cancels the composition.
func (f *Flight[R]) leave() {
	c := f.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiting--
	if f.waiting > 0 || f.landed {
		return
	}
	c.remove(f)
	f.cancel()
}

// land ends a flight with what all who wait get; with nil each composes for itself.
func (f *Flight[R]) land(made *Entry[R]) {
	c := f.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.landed {
		return
	}
	f.landed, f.made = true, made
	c.remove(f)
	close(f.done)
}

// remove is called with mu held.
func (c *Cache[R]) remove(f *Flight[R]) {
	if c.flights[f.flightKey] == f {
		delete(c.flights, f.flightKey)
	}
}

// Since is the time before which an as-of time is no longer fresh.
func (f *Flight[R]) Since() time.Time { return f.cache.now().Add(-FreshFor) }

// Cache caches the result. oldest is the oldest as-of time that makes it say "fresh"; zero for none.
func (f *Flight[R]) Cache(r R, oldest time.Time) *Entry[R] {
	c := f.cache
	e := &Entry[R]{Response: r, key: f.Key, scope: f.scope, stamp: f.stamp, began: f.began, until: f.began.Add(c.TTL)}
	if end := oldest.Add(FreshFor); !oldest.IsZero() && end.Before(e.until) {
		e.until = end
	}
	// One that began later, for a client that refused the cached one, may have landed before: a client who saw that one must not be
	// served this one next.
	if old := c.find(e.key, e.began); (old == nil || !old.began.After(e.began)) && e.stamp == c.stamp(e.scope) {
		c.entries.Set(e.key, e)
		c.cleanLater()
	}
	f.land(e)
	return e
}

// cleanLater removes expired entries after a while, and again as long as there are any.
func (c *Cache[R]) cleanLater() {
	if c.cleans.Swap(true) {
		return
	}
	time.AfterFunc(removeAfter+time.Second, func() {
		c.cleans.Store(false)
		c.entries.CleanUp()
		if c.entries.EstimatedSize() > 0 {
			c.cleanLater()
		}
	})
}

// Grew has the size of an entry measured again.
func (c *Cache[R]) Grew(e *Entry[R]) {
	c.entries.ComputeIfPresent(e.key, func(old *Entry[R]) (*Entry[R], otter.ComputeOp) {
		if old != e {
			return old, otter.CancelOp
		}
		return e, otter.WriteOp
	})
}

// counts count what became of the requests whose responses may be cached.
type counts struct{ hit, joined, miss, bypass prometheus.Counter }

func newCounts(reg prometheus.Registerer, bytes func() float64) (counts, error) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "movieexample_http_response_cache_requests_total",
		Help: "Reads whose responses may be cached, by result: cached (hit), composed for another request (joined), composed (miss), composed because the client refused a cached one (bypass).",
	}, []string{"result"})
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "movieexample_http_response_cache_bytes",
		Help: "Size of the cached responses, their compressed forms included.",
	}, bytes)
	c := counts{
		hit: vec.WithLabelValues("hit"), joined: vec.WithLabelValues("joined"),
		miss: vec.WithLabelValues("miss"), bypass: vec.WithLabelValues("bypass"),
	}
	if reg == nil {
		return c, nil
	}
	for _, m := range []prometheus.Collector{vec, size} {
		if err := reg.Register(m); err != nil {
			return c, fmt.Errorf("register the metrics of the response cache: %w", err)
		}
	}
	return c, nil
}
