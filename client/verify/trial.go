package verify

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// trial is one run of a scenario against one instance. Its methods that find a promise broken do not return: they panic with a
// *Failure, which judge, parallel and within recover.
type trial struct {
	*core
	asked string
}

// core is what a trial shares with the parallel parts of it.
type core struct {
	job
	sys   *System
	run   string
	id    string // the beginning of every id that the trial uses
	slack float64
	ctx   context.Context

	mu       sync.Mutex
	serial   int
	undo     []func(context.Context) error
	left     []string
	measured *Measured
}

// judge runs the scenario, and fills in the result.
func (t *trial) judge(ctx context.Context) {
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	t.ctx = bounded
	t.result.Failure = t.caught(func() { t.scenario.ask(t) })
	t.result.Outcome = Holds
	if t.result.Failure != nil {
		t.result.Outcome = Fails
	}
	t.result.Measured, t.result.Took = t.measured, time.Since(began)
	t.clean(ctx)
}

// caught runs do and returns how it failed.
func (t *trial) caught(do func()) (failure *Failure) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *Failure:
			failure = v
		default:
			panic(v)
		}
	}()
	do()
	return nil
}

// clean removes what the trial has written, last first, even if the run was interrupted.
func (t *trial) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	for _, undo := range slices.Backward(t.undo) {
		if err := undo(ctx); err != nil {
			t.left = append(t.left, err.Error())
		}
	}
}

// after registers a function that removes something.
func (t *trial) after(undo func(context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.undo = append(t.undo, undo)
}

// asking records the request, for the failure.
func (t *trial) asking(format string, args ...any) { t.asked = fmt.Sprintf(format, args...) }

// fail ends the trial: the promise is broken.
func (t *trial) fail(promised, format string, args ...any) {
	panic(&Failure{Asked: t.asked, Got: fmt.Sprintf(format, args...), Promised: promised})
}

// must ends the trial unless ok.
func (t *trial) must(ok bool, promised, format string, args ...any) {
	if !ok {
		t.fail(promised, format, args...)
	}
}

// same ends the trial unless got equals want.
func same[T any](t *trial, what string, got, want T) {
	if !reflect.DeepEqual(got, want) {
		t.fail(fmt.Sprintf("%s is %s", what, show(want)), "%s is %s", what, show(got))
	}
}

// has ends the trial unless the text contains each of the parts.
func (t *trial) has(what, text string, parts ...string) {
	for _, part := range parts {
		t.must(strings.Contains(text, part), fmt.Sprintf("%s has %q", what, part), "%s: %s", what, shorten(text))
	}
}

// near ends the trial unless two numbers are equal but for rounding.
func (t *trial) near(what string, got, want, within float64) {
	t.must(got-want <= within && want-got <= within, fmt.Sprintf("%s is %.9g", what, want), "%s is %.9g", what, got)
}

func show(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return shorten(fmt.Sprint(v))
}

// shorten keeps an answer readable in a report.
func shorten(text string) string {
	const limit = 400
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > limit {
		return strings.ToValidUTF8(text[:limit], "") + " …"
	}
	return text
}

// within retries until holds succeeds, up to the bound of the promise. The time that it took is reported.
func (t *trial) within(bound time.Duration, holds func()) {
	bound = time.Duration(float64(bound) * t.slack)
	took := t.until(bound, holds)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.measured == nil || took > t.measured.Took {
		t.measured = &Measured{Took: took, Bound: bound}
	}
}

// eventually is within for what has no promised time.
func (t *trial) eventually(holds func()) { t.until(patience, holds) }

const (
	firstPause = 5 * time.Millisecond
	longPause  = 100 * time.Millisecond
)

func (t *trial) until(bound time.Duration, holds func()) time.Duration {
	began := time.Now()
	for pause := firstPause; ; pause = min(pause*3/2, longPause) {
		asked := time.Since(began)
		failure := t.caught(holds)
		if failure == nil {
			return time.Since(began)
		}
		// Attempts within the bound count; the last one starts exactly at its end.
		if asked >= bound || t.ctx.Err() != nil {
			panic(&Failure{Asked: failure.Asked, Got: failure.Got, Promised: fmt.Sprintf("%s, within %s", failure.Promised, bound)})
		}
		select {
		case <-t.ctx.Done():
		case <-time.After(min(pause, bound-asked)):
		}
	}
}

// parallel does n things at the same time; the trial that each is given is its own. Of several failures the first by number counts.
func (t *trial) parallel(n int, do func(t *trial, i int)) {
	failures := make([]*Failure, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			own := &trial{core: t.core}
			failures[i] = own.caught(func() { do(own, i) })
		})
	}
	all.Wait()
	if f := cmp.Or(failures...); f != nil {
		panic(f)
	}
}

// name returns an id that is not in use.
func (t *trial) name(kind string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.serial++
	return fmt.Sprintf("%s-%s%d", t.id, kind, t.serial)
}

// genre is one that only the trial's films have.
func (t *trial) genre() string { return "Verify " + t.id }

// recordType is one that only the trial's ratings have: its charts and totals are exactly theirs.
func (t *trial) recordType() string { return "v" + strings.TrimPrefix(t.id, "verify") }

// word returns a word that no title has, easy to read: consonant, vowel, consonant …, capitalized.
func word(letters int) string {
	const consonants, vowels = "bdfgklmnprtvz", "aeiou"
	w := make([]byte, letters)
	for i := range w {
		from := consonants
		if i%2 == 1 {
			from = vowels
		}
		w[i] = from[rand.IntN(len(from))]
	}
	w[0] -= 'a' - 'A'
	return string(w)
}

// imdbID returns one beyond all that IMDb has given out.
func imdbID() string { return fmt.Sprintf("tt99%08d", rand.IntN(100_000_000)) }

// errLeft is the error about something that could not be removed.
func errLeft(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

const (
	defaultParallel = 8
	// patience is how long a condition is waited for whose time is not promised.
	patience = 20 * time.Second
	// trialTimeout bounds one scenario at one instance; cleanTimeout what follows it.
	trialTimeout = time.Minute
	cleanTimeout = 15 * time.Second
)

// job is a scenario to run against an instance.
type job struct {
	scenario Scenario
	door     *door
	index    int // of the instance
	result   *Result
}

// callTimeout bounds one call: a service answers or says that it cannot.
const callTimeout = 10 * time.Second

// at returns the instance of a part that the trial calls: its own door, or one of the others, in turn.
func (t *trial) at(p Part) *door {
	if t.door.part == p {
		return t.door
	}
	doors := t.sys.reachable(p)
	return doors[t.index%len(doors)]
}

// The clients of the services at one instance.
func (d *door) metadata() metadatav1.MetadataServiceClient {
	return metadatav1.NewMetadataServiceClient(d.conn)
}

func (d *door) ratings() ratingv1.RatingServiceClient { return ratingv1.NewRatingServiceClient(d.conn) }

func (d *door) admin() ratingv1.RatingAdminServiceClient {
	return ratingv1.NewRatingAdminServiceClient(d.conn)
}

func (d *door) movies() moviev1.MovieServiceClient { return moviev1.NewMovieServiceClient(d.conn) }

func (d *door) bookMetadata() book.MetadataServiceClient {
	return book.NewMetadataServiceClient(d.conn)
}

func (d *door) bookRatings() book.RatingServiceClient { return book.NewRatingServiceClient(d.conn) }

func (d *door) bookMovies() book.MovieServiceClient { return book.NewMovieServiceClient(d.conn) }
