package movie

import (
	"context"
	"slices"
	"sync"
)

const (
	// rollMost bounds a roll in films, rollFilters in filters. What is beyond is asked for anew.
	rollMost    = 200_000
	rollFilters = 500
)

// roll is what the metadata service has said of the films of charts since a moment: which exist and match a filter, and the text
// that each is ordered by among titles. With it, a chart under a filter that was asked for before costs no call, and one film's
// answer serves every chart and page that it is in.
//
// It is good as long as a page of the catalogue that was read when it began.
type roll struct {
	catalogue catalogue
	read      readView // before the first question

	mu       sync.Mutex
	numbers  map[string]int32 // of an id, in the order in which they came
	sort     []string         // by number; only those that matched something are known
	verdicts map[filterKey]*verdict
}

// verdict is what is known of films under one filter.
type verdict struct {
	// asking has room for one, who asks the metadata service: whoever comes meanwhile finds the answer, or gives up waiting.
	asking chan struct{}

	asked, matches bits // under roll.mu
}

// bits are a set of numbers.
type bits []uint64

func (b bits) has(n int32) bool { return int(n/64) < len(b) && b[n/64]&(1<<(n%64)) != 0 }

func (b *bits) add(n int32) {
	if need := int(n/64) + 1 - len(*b); need > 0 {
		*b = append(*b, make([]uint64, need)...)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func newRoll(c catalogue, read readView) *roll {
	return &roll{catalogue: c, read: read, numbers: map[string]int32{}, verdicts: map[filterKey]*verdict{}}
}

func (r *roll) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.numbers) > rollMost || len(r.verdicts) > rollFilters
}

// number gives each id its number.
func (r *roll) number(entries []chartEntry) []int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	numbers := make([]int32, len(entries))
	for i := range entries {
		n, ok := r.numbers[entries[i].id]
		if !ok {
			n = int32(len(r.numbers))
			r.numbers[entries[i].id] = n
			r.sort = append(r.sort, "")
		}
		numbers[i] = n
	}
	return numbers
}

func (r *roll) verdict(f filter) *verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := f.key()
	v := r.verdicts[key]
	if v == nil {
		v = &verdict{asking: make(chan struct{}, 1)}
		r.verdicts[key] = v
	}
	return v
}

// judge returns, for each of the entries, which have these numbers, its sort key if its film exists and matches, and whether so.
// It asks for those that were not asked for yet.
func (r *roll) judge(ctx context.Context, entries []chartEntry, numbers []int32, f filter) (sort []string, matches []bool, err error) {
	v := r.verdict(f)
	if len(r.missing(v, numbers)) > 0 {
		if err := r.ask(ctx, v, entries, numbers, f); err != nil {
			return nil, nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sort, matches = make([]string, len(numbers)), make([]bool, len(numbers))
	for i, n := range numbers {
		if v.matches.has(n) {
			sort[i], matches[i] = r.sort[n], true
		}
	}
	return sort, matches, nil
}

// missing are the places of the numbers that were not asked for yet.
func (r *roll) missing(v *verdict, numbers []int32) (at []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, n := range numbers {
		if !v.asked.has(n) {
			at = append(at, i)
		}
	}
	return at
}

// ask asks for what is missing, once nobody else does.
func (r *roll) ask(ctx context.Context, v *verdict, entries []chartEntry, numbers []int32, f filter) error {
	select {
	case v.asking <- struct{}{}:
		defer func() { <-v.asking }()
	case <-ctx.Done():
		return fromMetadata(ctx.Err())
	}
	at := r.missing(v, numbers)
	ids := make([]string, len(at))
	for i, place := range at {
		ids[i] = entries[place].id
	}
	keys, err := r.catalogue.sortKeys(ctx, ids, f)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, place := range at {
		n := numbers[place]
		v.asked.add(n)
		if key, ok := keys[ids[i]]; ok {
			v.matches.add(n)
			r.sort[n] = key
		}
	}
	return nil
}

// shape is what windows have in common that differ in their numbers only: which records are there, in which groups of ties. So it
// keeps the films in their final order, which is not made anew whenever a rating changed somewhere below.
type shape struct {
	mu      sync.Mutex
	roll    *roll // of what follows
	numbers []int32
	picks   map[filterKey][]pick
}

// sameShape reports whether two windows from the same start have the same records in the same groups.
func sameShape(a, b []chartEntry) bool {
	return slices.EqualFunc(a, b, func(a, b chartEntry) bool { return a.id == b.id && a.tie == b.tie })
}

// picked returns the window's entries whose films exist and match, in their final order.
func (w *window) picked(ctx context.Context, r *roll, f filter) ([]pick, error) {
	key := f.key()
	numbers, picks := w.shape.look(w, r, key)
	if picks != nil {
		return picks, nil
	}
	sort, matches, err := r.judge(ctx, w.entries, numbers, f)
	if err != nil {
		return nil, err
	}
	picks = w.arrange(sort, matches)
	w.shape.keep(r, key, picks)
	return picks, nil
}

func (s *shape) look(w *window, r *roll, f filterKey) ([]int32, []pick) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roll != r {
		s.roll, s.numbers, s.picks = r, r.number(w.entries), map[filterKey][]pick{}
	}
	return s.numbers, s.picks[f]
}

func (s *shape) keep(r *roll, f filterKey, picks []pick) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roll == r && len(s.picks) < rollFilters {
		s.picks[f] = picks
	}
}
