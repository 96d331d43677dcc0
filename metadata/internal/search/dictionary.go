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
// in their order. The films of all terms are stored in that order, so those of a
// prefix are one run, however many terms have it.
type dictionary struct {
	fst *vellum.FST // nil if there are no terms
	// ends are where the films of each term end and those of the next start; 0 comes first.
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
	// A counting sort keeps the films of a term in order; the pairs of a film that has a term twice become
	// neighbours.
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

	d.fst = buildFST(n, func(insert func([]byte)) {
		for _, term := range terms {
			insert([]byte(term))
		}
	})
	return d
}

// buildFST builds a transducer of about n terms in memory. insertAll inserts the terms in order; their numbers are their places.
func buildFST(n int, insertAll func(insert func(term []byte))) *vellum.FST {
	var out bytes.Buffer
	// The registry finds equal ends of terms, which makes the transducer small, and is cleared first.
	b, err := vellum.New(&out, &vellum.BuilderOpts{Encoder: 1, RegistryTableSize: min(n, 10_000), RegistryMRUSize: 1})
	number := uint64(0)
	insertAll(func(term []byte) {
		if err == nil {
			err = b.Insert(term, number)
		}
		number++
	})
	if err == nil {
		err = b.Close()
	}
	var fst *vellum.FST
	if err == nil {
		fst, err = vellum.Load(bytes.Clone(out.Bytes()))
	}
	if err != nil { // cannot happen: the terms are in order and the buffer takes any number of bytes
		panic(fmt.Sprintf("build a dictionary in memory: %v", err))
	}
	return fst
}

// keyBuilder collects terms most of which only one film has, such as names and pairs of words. A dictionaryBuilder has a table
// of the different terms, which would take many times the memory of these, for a million films at once
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
	d.fst = buildFST(len(b.refs), func(insert func([]byte)) {
		for i, r := range b.refs {
			switch {
			case i == 0 || !bytes.Equal(term(r), term(b.refs[i-1])):
				if i > 0 {
					d.ends = append(d.ends, uint32(len(d.films)))
				}
				insert(term(r))
			case r.film == b.refs[i-1].film:
				continue
			}
			d.films = append(d.films, r.film)
		}
		d.ends = slices.Clip(append(d.ends, uint32(len(d.films))))
		d.films = slices.Clip(d.films)
		*b = keyBuilder{} // frees the memory before the transducer is copied
	})
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
		return uint64(len(d.ends) - 1) // all terms are less
	}
	_, number := it.Current()
	return number
}

// near adds the films that have a term which the automaton accepts to the set of the term's distance.
// keep, if not nil, decides about a term and its distance.
func (d *dictionary) near(into []bitset, a vellum.FuzzyAutomaton, keep func(term []byte, n int) bool) {
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
