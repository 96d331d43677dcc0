package movie

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"movieexample.com/internal/fault"
)

const (
	// pageTTL is how long a page is used where the catalogue's version is not known or has moved, so that a film which another
	// process wrote is in lists within two seconds. A page of a chart is used no longer than a rating summary, because its
	// numbers have an age already when they come.
	pageTTL = time.Second
	// keptFor is when a page or a film is forgotten although nothing changed: it is long, and only there so that what was asked
	// for once does not stay for ever.
	keptFor = 10 * time.Minute
	// similarsMost bounds that cache in entries, which are small; pagesBytes bounds that of lists, that of charts and that of
	// searches, each, by what their films and texts take if no other page has them too.
	similarsMost = 2000
	pagesBytes   = 32 << 20
	// answerBytes bounds the films of one answer, so that it stays far under what gRPC takes: a film may have texts of 150 KB.
	answerBytes = 2 << 20
)

// pages keeps the answers that are made of many films: which films, in which order, and where the next page begins.
// What people think of the films is not in it (but for charts, whose order it is): each answer asks the standings,
// so that a rating shows as soon in a list as it does in details.
//
// A page is used in the epoch in which it was read: after a write through this service none from before is found, and one that
// was on its way is not found either. Within it, it is used until the catalogue's version says that something changed.
type pages struct {
	lists    *flights[listKey, *listPage]
	charts   *flights[chartKey, *chartPage]
	searches *flights[searchKey, *searchPage]
	similar  *flights[string, []candidate]
}

// listKey is a [listQuery].
type listKey struct {
	filter filterKey
	order  order
	size   int32
	token  string
}

// chartKey is a [chartQuery].
type chartKey struct {
	chart  chart
	filter filterKey
	size   int
	token  string
}

// searchKey is a [searchQuery].
type searchKey struct {
	q, genre  string
	decade    int32
	hasDecade bool
	size      int32
	token     string
}

// filterKey is a filter that can be compared.
type filterKey struct {
	genre            string
	minYear, maxYear int32
	hasMin, hasMax   bool
}

// folded is equal for the spellings of a genre that differ in case, which are one genre.
func folded(genre string) string { return strings.ToLower(genre) }

func (f filter) key() filterKey {
	k := filterKey{genre: folded(f.genre)}
	if f.minYear != nil {
		k.minYear, k.hasMin = *f.minYear, true
	}
	if f.maxYear != nil {
		k.maxYear, k.hasMax = *f.maxYear, true
	}
	return k
}

// youngerThan is the rule of things that are used for a time.
func youngerThan[V any](ttl time.Duration) func(*kept[V], moment) bool {
	return func(k *kept[V], now moment) bool { return now.within(k.read, ttl) }
}

// sameEpoch lets callers have answers of calls that began after the last write.
func sameEpoch(read, now moment) bool { return read.epoch == now.epoch }

// ofMovies are the rules of what is read from the catalogue, ofFinds of what is read from the index.
func ofMovies[V any]() rules[V] {
	return rules[V]{join: sameEpoch, good: func(k *kept[V], now moment) bool {
		return sameEpoch(k.read, now) && (now.within(k.read, pageTTL) || now.sameMovies(k.read))
	}}
}

func ofFinds[V any]() rules[V] {
	return rules[V]{join: sameEpoch, good: func(k *kept[V], now moment) bool {
		return sameEpoch(k.read, now) && (now.within(k.read, pageTTL) || now.sameFinds(k.read))
	}}
}

// ofFilms are the rules of single films. A write through this instance drops the film that it wrote; of one through another, the
// caller may know (readafter.go).
func ofFilms(ttl time.Duration) rules[*Movie] {
	return rules[*Movie]{
		same: sameMovie,
		good: func(k *kept[*Movie], now moment) bool {
			return (now.within(k.read, ttl) || now.sameMovies(k.read)) && !now.filmTooEarly(k.read)
		},
		join: func(read, now moment) bool { return !now.filmTooEarly(read) },
	}
}

func newPages(cfg Config, b *background, now func() time.Time) (*pages, error) {
	inBytes := store{size: pagesBytes, ttl: keptFor, now: now, background: b}
	p := &pages{}
	var errs [4]error
	p.lists, errs[0] = newWeighedFlights[listKey](inBytes, cfg.MetadataTimeout, (*listPage).bytes, ofMovies[*listPage]())
	p.charts, errs[1] = newWeighedFlights[chartKey](inBytes, chartPatience(cfg), (*chartPage).bytes,
		rules[*chartPage]{join: sameEpoch, good: func(k *kept[*chartPage], now moment) bool {
			return k.value.good(now, cfg.RatingTTL)
		}})
	p.searches, errs[2] = newWeighedFlights[searchKey](inBytes, cfg.MetadataTimeout, (*searchPage).bytes, ofFinds[*searchPage]())
	p.similar, errs[3] = newFlights[string](store{size: similarsMost, ttl: keptFor, now: now, background: b}, cfg.MetadataTimeout, ofFinds[[]candidate]())
	return p, errors.Join(errs[:]...)
}

// bytes is about what the film takes in memory.
func (m *Movie) bytes() int {
	n := 300 + len(m.ID) + len(m.Title) + len(m.OriginalTitle) + len(m.Director) + len(m.Description)
	for _, list := range [][]string{m.AlternativeTitles, m.Genres} {
		for _, text := range list {
			n += 16 + len(text)
		}
	}
	return n
}

// bytes is about what the page takes in memory if no other has its films.
func (p *listPage) bytes() uint32 {
	n := 300
	for _, m := range p.films {
		n += m.bytes()
	}
	return uint32(n)
}

func (p *searchPage) bytes() uint32 {
	n := 1000
	for _, h := range p.hits {
		n += h.film.bytes() + 50
		for _, pieces := range [][]piece{h.title, h.matchedName} {
			for _, p := range pieces {
				n += 150 + len(p.text) // here and in the rendering
			}
		}
	}
	return uint32(n + 100*(len(p.genres)+len(p.decades)))
}

func (p *pages) close() {
	p.lists.close()
	p.charts.close()
	p.searches.close()
	p.similar.close()
}

// await waits for a call under a deadline of its own, so that the caller hears what was late: late makes the error of it.
func await[V any](ctx context.Context, call *flight[V], most time.Duration, late func(error) error) (V, error) {
	bounded, cancel := hop(ctx, most)
	defer cancel()
	v, err := call.wait(bounded)
	if err != nil && bounded.Err() != nil {
		err = late(err)
	}
	return v, err
}

// known returns what is kept for key, however old, where the metadata service cannot be reached and somebody else finds out whether
// it is back: then nobody who can be shown what is known waits for it.
func known[K comparable, V any](s *Service, f *flights[K, V], key K) (V, bool) {
	if !s.away.isOpen() {
		var none V
		return none, false
	}
	last, ok := f.last(key)
	return last, ok && !s.away.allow()
}

// instead returns what is kept for key, however old, where err comes of a metadata service that cannot be reached.
func instead[K comparable, V any](ctx context.Context, f *flights[K, V], key K, err error) (last V, ok bool) {
	if ctx.Err() != nil || !errors.As(err, new(metadataAway)) {
		return last, false
	}
	return f.last(key)
}

// obtain returns what f keeps for key or load brings; stale where it is the last known, because the metadata service cannot be reached.
func obtain[K comparable, V any](
	ctx context.Context, s *Service, f *flights[K, V], now moment, key K, load func(context.Context, K) (V, error),
) (v V, stale bool, err error) {
	if v, ok := f.fresh(now, key); ok {
		return v, false, nil
	}
	if last, ok := known(s, f, key); ok {
		return last, true, nil
	}
	v, err = await(ctx, f.join(ctx, now, key, load), s.cfg.MetadataTimeout, lateMetadata)
	if err != nil {
		if last, ok := instead(ctx, f, key, err); ok {
			return last, true, nil
		}
	}
	return v, false, err
}

// lastKnown returns the films as such if they are stale.
func lastKnown(films []*Movie, stale bool) []*Movie {
	if !stale {
		return films
	}
	films = slices.Clone(films)
	for i, m := range films {
		films[i] = m.lastKnown()
	}
	return films
}

// lateMetadata is for calls that only the metadata service can have held up.
func lateMetadata(err error) error { return fromMetadata(err) }

// sameMovie reports whether a and b are the same version of a film. An etag says so whatever happened in between: a movie
// never has one with other content.
func sameMovie(a, b *Movie) bool { return a.ETag != "" && a.ETag == b.ETag }

// admit puts films that came in a page, read by a call that began at read, among the cached ones, and takes the cached one
// where it is the same: then a film is one value however it was come by, and is rendered once.
func (s *Service) admit(read moment, films []*Movie) {
	for i, m := range films {
		films[i] = s.films.offer(read, m.ID, m)
	}
}

// movies returns those of the films that exist, in the order of ids, each once, and the ids no film has; from the cache, and with
// one call for all that are not there.
func (s *Service) movies(ctx context.Context, now moment, ids []string) (found []*Movie, missing []string, err error) {
	seen := make(map[string]struct{}, len(ids))
	order := make([]string, 0, len(ids))
	for _, id := range ids {
		if _, again := seen[id]; !again {
			seen[id] = struct{}{}
			order = append(order, id)
		}
	}
	films, _, err := s.filmsAt(ctx, now, order)
	if err != nil {
		return nil, nil, err
	}
	found = films[:0]
	for i, film := range films {
		if film != nil {
			found = append(found, film)
		} else {
			missing = append(missing, order[i])
		}
	}
	return found, missing, nil
}

// filmsAt returns the film of each id, nil where there is none, and the label of them all. Where the metadata service cannot be
// reached, those that are known are stale, and the label is good for nothing.
func (s *Service) filmsAt(ctx context.Context, now moment, ids []string) (films []*Movie, read moment, err error) {
	films, read = make([]*Movie, len(ids)), now
	var absent []string
	var at []int // their places in films
	stale := false
	// Once for all of them: a page that finds out whether the service is back does so for each of its films.
	resting := sync.OnceValue(func() bool { return s.away.isOpen() && !s.away.allow() })
	for i, id := range ids {
		k, ok := s.films.entry(now, id)
		if !ok {
			if last, ok := s.films.last(id); ok && resting() {
				films[i], stale = last.lastKnown(), true
				continue
			}
			absent, at = append(absent, id), append(at, i)
			continue
		}
		films[i] = k.value
		// A write of another film gives an epoch to no film.
		label := k.read
		label.epoch = now.epoch
		read = oldest(read, label)
	}
	if len(absent) == 0 && !stale {
		return films, read, nil
	}
	bounded, cancel := hop(ctx, s.cfg.MetadataTimeout)
	defer cancel()
	for i, call := range s.films.joinAll(ctx, now, absent, s.catalogue.batch) {
		film, err := call.wait(bounded)
		if err != nil && bounded.Err() != nil {
			err = lateMetadata(err)
		}
		switch {
		case err == nil:
			films[at[i]] = film
		case fault.KindOf(err) != fault.KindNotFound:
			last, ok := instead(ctx, s.films, absent[i], err)
			if !ok {
				return nil, moment{}, err
			}
			films[at[i]], stale = last.lastKnown(), true
		}
		label := call.read
		label.epoch = now.epoch
		read = oldest(read, label)
	}
	if stale {
		read = moment{epoch: now.epoch}
	}
	return films, read, nil
}

// compose gives each film its standing, with one call for all that are not known.
func (s *Service) compose(ctx context.Context, now moment, films []*Movie) ([]Details, error) {
	ids := make([]string, len(films))
	for i, m := range films {
		ids[i] = m.ID
	}
	standings, err := s.standings.many(ctx, now, ids)
	if err != nil {
		return nil, fmt.Errorf("read the films' ratings: %w", err)
	}
	page := make([]Details, len(films))
	for i, m := range films {
		page[i] = s.answer(Details{Movie: m, Standing: standings[i]})
	}
	return page, nil
}
