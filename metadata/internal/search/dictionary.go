package search

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/blevesearch/vellum"
)

// dictionary maps terms to the films of a segment that have them. It is immutable.
//
// The terms are the keys of a finite state transducer, which finds the ends of ranges (prefixes) and
// what an automaton accepts (typos) without looking at other terms. Its values are the terms' numbers
// in their order. The films of all terms stand one after the other in that order, so those of a
// prefix are one run of numbers, however many terms begin with it.
type dictionary struct {
	fst *vellum.FST // nil if there are no terms
	// ends are where the films of each term end, and those of the next begin; 0 comes first.
	ends  []uint32
	films []uint32
}

// dictionaryBuilder collects terms. The zero value is empty.
type dictionaryBuilder struct {
	ids   map[string]uint32
	pairs []pair
}

type pair struct{ term, film uint32 }

// add gives a film a term. Films must come in order.
func (b *dictionaryBuilder) add(term string, film uint32) {
	if term == "" {
		return
	}
	id, ok := b.ids[term]
	if !ok {
		if b.ids == nil {
			b.ids = map[string]uint32{}
		}
		id = uint32(len(b.ids))
		b.ids[term] = id
	}
	b.pairs = append(b.pairs, pair{term: id, film: film})
}

func (b *dictionaryBuilder) build() dictionary {
	n := len(b.ids)
	if n == 0 {
		return dictionary{}
	}
	terms := slices.SortedFunc(maps.Keys(b.ids), strings.Compare)
	number := make([]uint32, n) // by id
	for i, term := range terms {
		number[b.ids[term]] = uint32(i)
	}
	// A counting sort, which keeps the films of a term in order; a film that has a term twice has its
	// pairs one after the other there.
	next := make([]uint32, n+1)
	for _, p := range b.pairs {
		next[number[p.term]+1]++
	}
	for i := range n {
		next[i+1] += next[i]
	}
	starts := slices.Clone(next)
	all := make([]uint32, len(b.pairs))
	for _, p := range b.pairs {
		at := &next[number[p.term]]
		all[*at] = p.film
		*at++
	}
	d := dictionary{ends: make([]uint32, 1, n+1), films: make([]uint32, 0, len(all))}
	for i := range n {
		for at := starts[i]; at < starts[i+1]; at++ {
			if at == starts[i] || all[at] != all[at-1] {
				d.films = append(d.films, all[at])
			}
		}
		d.ends = append(d.ends, uint32(len(d.films)))
	}
	d.films = slices.Clip(d.films)

	fst := newFST(n)
	for i, term := range terms {
		fst.insert([]byte(term), uint64(i))
	}
	d.fst = fst.load()
	return d
}

// fstBuilder builds a transducer in memory.
type fstBuilder struct {
	out     *bytes.Buffer
	builder *vellum.Builder
	err     error
}

// newFST begins one of about n terms.
func newFST(n int) *fstBuilder {
	b := &fstBuilder{out: new(bytes.Buffer)}
	// The registry finds equal ends of terms, which makes the transducer small, and is cleared first.
	b.builder, b.err = vellum.New(b.out, &vellum.BuilderOpts{Encoder: 1, RegistryTableSize: min(n, 10_000), RegistryMRUSize: 1})
	return b
}

// insert adds a term behind those before it.
func (b *fstBuilder) insert(term []byte, number uint64) {
	if b.err == nil {
		b.err = b.builder.Insert(term, number)
	}
}

func (b *fstBuilder) load() *vellum.FST {
	if b.err == nil {
		b.err = b.builder.Close()
	}
	var fst *vellum.FST
	if b.err == nil {
		fst, b.err = vellum.Load(bytes.Clone(b.out.Bytes()))
	}
	if b.err != nil {
		// The terms are in order and the buffer takes any number of bytes.
		panic(fmt.Sprintf("build a dictionary in memory: %v", b.err))
	}
	return fst
}

// keyBuilder collects terms most of which only one film has, as names and pairs of words: a table of all different
// ones, as a dictionaryBuilder has, would take many times the memory of the terms, and that of a million films at once
// when large segments are merged. The zero value is empty.
type keyBuilder struct {
	text []byte
	refs []keyRef
}

// keyRef is a term in a keyBuilder's text.
type keyRef struct {
	// head are the first eight bytes of the term, which decide most comparisons.
	head             uint64
	start, end, film uint32
}

// add gives a film a term. Films must come in order.
func (b *keyBuilder) add(term string, film uint32) {
	if term == "" {
		return
	}
	var head [8]byte
	copy(head[:], term)
	start := uint32(len(b.text))
	b.text = append(b.text, term...)
	b.refs = append(b.refs, keyRef{head: binary.BigEndian.Uint64(head[:]), start: start, end: uint32(len(b.text)), film: film})
}

func (b *keyBuilder) build() dictionary {
	if len(b.refs) == 0 {
		return dictionary{}
	}
	term := func(r keyRef) []byte { return b.text[r.start:r.end] }
	slices.SortFunc(b.refs, func(r, s keyRef) int {
		if r.head != s.head {
			return cmp.Compare(r.head, s.head)
		}
		return cmp.Or(bytes.Compare(term(r), term(s)), cmp.Compare(r.film, s.film))
	})
	d := dictionary{ends: []uint32{0}, films: make([]uint32, 0, len(b.refs))}
	fst := newFST(len(b.refs))
	for i, r := range b.refs {
		switch {
		case i == 0 || !bytes.Equal(term(r), term(b.refs[i-1])):
			if i > 0 {
				d.ends = append(d.ends, uint32(len(d.films)))
			}
			fst.insert(term(r), uint64(len(d.ends)-1))
		case r.film == b.refs[i-1].film:
			continue
		}
		d.films = append(d.films, r.film)
	}
	d.ends = slices.Clip(append(d.ends, uint32(len(d.films))))
	d.films = slices.Clip(d.films)
	*b = keyBuilder{} // what comes next needs the room
	d.fst = fst.load()
	return d
}

// whole adds the films that have the term.
func (d *dictionary) whole(into bitset, term string) {
	if d.fst == nil {
		return
	}
	if number, ok, err := d.fst.Get([]byte(term)); err == nil && ok {
		into.setAll(d.films[d.ends[number]:d.ends[number+1]])
	}
}

// prefixed adds the films that have a term with the prefix.
func (d *dictionary) prefixed(into bitset, prefix string) {
	if d.fst == nil {
		return
	}
	from := d.numberFrom([]byte(prefix))
	// UTF-8 has no byte 0xFF, so the last byte can always be one more.
	end := []byte(prefix)
	end[len(end)-1]++
	into.setAll(d.films[d.ends[from]:d.ends[d.numberFrom(end)]])
}

// numberFrom is the number of the first term that is not less than key.
func (d *dictionary) numberFrom(key []byte) uint64 {
	it, err := d.fst.Iterator(key, nil)
	if err != nil {
		return uint64(len(d.ends) - 1) // there is none
	}
	_, number := it.Current()
	return number
}

// near adds the films that have a term which the automaton accepts to the set of the term's distance.
// keep, if not nil, decides about a term and its distance.
func (d *dictionary) near(into []bitset, a fuzzy, keep func(term []byte, n int) bool) {
	if d.fst == nil {
		return
	}
	it, err := d.fst.Search(a, nil, nil)
	for err == nil {
		term, number := it.Current()
		if n := int(it.EditDistance()); n < len(into) && (keep == nil || keep(term, n)) {
			into[n].setAll(d.films[d.ends[number]:d.ends[number+1]])
		}
		err = it.Next()
	}
}
