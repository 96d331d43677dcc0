//go:build servers

package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/test/oracle"
)

// weight says how much is asked of the system at a time.
type weight struct {
	readers, raters int           // workers; raters half through the gateways, half by gRPC
	pause           time.Duration // of a worker between two requests
	events          int           // per second; 0 publishes none
	// once: a request has one try, as nothing is going to be killed.
	once bool
}

// load is traffic in flight.
type load struct {
	rig     *rig
	name    string // of the run: makes keys its own
	traffic *traffic
	http    *balancer
	weight  weight
	cancel  context.CancelFunc
	workers sync.WaitGroup
	events  *producer
}

// startLoad begins traffic; stop ends it.
func (r *rig) startLoad(ctx context.Context, name string, w weight) (*load, error) {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{rig: r, name: name, traffic: newTraffic(time.Now()), http: newBalancer(r.c, !w.once), weight: w, cancel: cancel}
	for _, g := range l.http.gateways {
		g.ready.Store(g.ask(ctx) == nil)
	}
	if w.events > 0 {
		var err error
		if l.events, err = r.startProducer(l.traffic, name, w.events); err != nil {
			cancel()
			return nil, err
		}
	}
	l.workers.Go(func() { l.http.watch(ctx) })
	for range w.readers {
		rng := r.newRand()
		l.workers.Go(func() { l.read(ctx, rng) })
	}
	for n := range w.raters {
		rng := r.newRand()
		put := l.rateREST
		k := rate
		if n%2 == 1 {
			put, k = l.rateGRPC, rateDirect
		}
		l.workers.Go(func() { l.rateAll(ctx, rng, n, k, put) })
	}
	l.workers.Go(func() { l.editAll(ctx, "rest", edit, l.editREST) })
	l.workers.Go(func() { l.editAll(ctx, "grpc", editDirect, l.editGRPC) })
	return l, nil
}

// stop ends the load and waits for what is in flight, and for the answers to all events.
func (l *load) stop() error {
	var err error
	if l.events != nil {
		err = l.events.stop()
	}
	l.cancel()
	l.workers.Wait()
	return err
}

// rest lets a worker pause; false: the load ends.
func (l *load) rest(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Requests that are in flight when the load ends are finished: what they did shall be known.
func (l *load) note(k kind, began time.Time, err error) { l.traffic.note(k, began, time.Now(), err) }

func (l *load) read(ctx context.Context, rng *rand.Rand) {
	for l.rest(ctx, l.weight.pause) {
		k, path, wants := details, "/v1/movies/"+filmID(rng.IntN(filmCount)), "title"
		switch rng.IntN(8) {
		case 0:
			k, path, wants = lists, "/v1/movies?page_size=10&order_by=year", "movies"
		case 1:
			k, path, wants = search, fmt.Sprintf("/v1/movies:search?q=film+%d", rng.IntN(filmCount)), "hits"
		case 2:
			k, path, wants = chart, "/v1/charts/popular?page_size=10", "entries"
		}
		began := time.Now()
		body, err := l.http.do(context.WithoutCancel(ctx), http.MethodGet, path, "")
		if err == nil {
			var answer map[string]json.RawMessage
			if err = json.Unmarshal(body, &answer); err == nil && answer[wants] == nil {
				err = fmt.Errorf("the answer to %s has no %s: %.200s", path, wants, body)
			}
		}
		l.note(k, began, err)
	}
}

// rateAll sets ratings and takes them back, in turn for each of a worker's keys. Half of the keys are of events too, so that both
// ways meet in one row. A key whose outcome is not known is given up for a new one.
func (l *load) rateAll(ctx context.Context, rng *rand.Rand, worker int, k kind, put func(context.Context, oracle.Key, int) (int64, error)) {
	serial := 0
	fresh := func() oracle.Key {
		serial++
		if serial%2 == 0 {
			// Not shared: workers have users apart, and a run begins behind the one before.
			user := (worker*97 + serial*13 + l.rig.serial*1009) % userCount
			key := oracle.Key{RecordType: "movie", RecordID: filmID(rng.IntN(filmCount)), UserID: fmt.Sprintf("u%d", user)}
			if l.rig.claim(key) {
				return key
			}
		}
		return oracle.Key{RecordType: "movie", RecordID: filmID(rng.IntN(filmCount)), UserID: fmt.Sprintf("sync-%s-%d-%d", l.name, worker, serial)}
	}
	keys := make([]oracle.Key, 40)
	for i := range keys {
		keys[i] = fresh()
	}
	for l.rest(ctx, l.weight.pause) {
		i := rng.IntN(len(keys))
		value := 1 + rng.IntN(10)
		if rng.IntN(8) == 0 {
			value = 0
		}
		began := time.Now()
		at, err := put(context.WithoutCancel(ctx), keys[i], value)
		l.rig.ledger.Rated(keys[i], value, at, began, err == nil)
		l.note(k, began, err)
		if err != nil {
			keys[i] = fresh()
		}
	}
}

func (l *load) rateREST(ctx context.Context, k oracle.Key, value int) (int64, error) {
	path := "/v1/records/" + k.RecordType + "/" + k.RecordID + "/ratings/" + k.UserID
	if value == 0 {
		_, err := l.http.do(ctx, http.MethodDelete, path, "")
		return 0, err
	}
	body, err := l.http.do(ctx, http.MethodPut, path, fmt.Sprintf(`{"value": %d}`, value))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Value   int
		RatedAt time.Time `json:"ratedAt"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	if answer.Value != value {
		return 0, fmt.Errorf("put %d, and the answer says %d", value, answer.Value)
	}
	return answer.RatedAt.UnixMicro(), nil
}

func (l *load) rateGRPC(ctx context.Context, k oracle.Key, value int) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if value == 0 {
		_, err := l.rig.rating.DeleteRating(ctx, &ratingv1.DeleteRatingRequest{RecordType: k.RecordType, RecordId: k.RecordID, UserId: k.UserID})
		return 0, err
	}
	resp, err := l.rig.rating.PutRating(ctx,
		&ratingv1.PutRatingRequest{RecordType: k.RecordType, RecordId: k.RecordID, UserId: k.UserID, Value: proto.Int32(int32(value))})
	if err != nil {
		return 0, err
	}
	return resp.GetRating().GetRatedAt().AsTime().UnixMicro(), nil
}

// editAll puts films again and again, each time with its own title, and removes some.
func (l *load) editAll(ctx context.Context, name string, k kind, put func(context.Context, string, string) error) {
	const films = 10
	given := make([]int, films) // how often a place was given to a new film
	for n := 0; l.rest(ctx, max(l.weight.pause, 50*time.Millisecond)); n++ {
		i := n % films
		id := fmt.Sprintf("edited-%s-%s-%d-%d", l.name, name, i, given[i])
		title := fmt.Sprintf("Edited %s %d", l.name, n)
		if n >= films && n%7 == 0 {
			title = ""
		}
		began := time.Now()
		err := put(context.WithoutCancel(ctx), id, title)
		l.rig.ledger.Edited(id, title, err == nil)
		l.note(k, began, err)
		if err != nil {
			given[i]++
		}
	}
}

func (l *load) editREST(ctx context.Context, id, title string) error {
	if title == "" {
		_, err := l.http.do(ctx, http.MethodDelete, "/v1/movies/"+id, "")
		if refused := (*refusal)(nil); errors.As(err, &refused) && refused.status == http.StatusNotFound {
			err = nil // only this test edits it
		}
		return err
	}
	_, err := l.http.do(ctx, http.MethodPut, "/v1/movies/"+id, fmt.Sprintf(`{"title": %q, "year": 1999, "genres": ["Drama"]}`, title))
	return err
}

func (l *load) editGRPC(ctx context.Context, id, title string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if title == "" {
		_, err := l.rig.metadata.DeleteMovie(ctx, &metadatav1.DeleteMovieRequest{Id: id})
		if status.Code(err) == codes.NotFound {
			err = nil
		}
		return err
	}
	_, err := l.rig.metadata.PutMovie(ctx, &metadatav1.PutMovieRequest{Movie: &metadatav1.Movie{Id: id, Title: title, Year: proto.Int32(1999)}})
	return err
}
