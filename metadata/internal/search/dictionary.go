package search

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/vellum"
)

// dictionary maps terms to the films of a segment that have them. It is immutable.
//
// The terms are the keys of a finite state transducer, which answers ranges (prefixes) and
// automata (typos) without looking at the terms that do not match. Its values say where the films
// are, see the where* constants: most terms have one film or few.
type dictionary struct {
	fst *vellum.FST // nil if there are no terms
	// lists are the films of terms with few: their number, then they.
	lists []uint32
	// bitmaps are the films of terms with many.
	bitmaps []*roaring.Bitmap
	// short are the films of all terms that begin with one or two characters, for the
	// beginnings that have many terms. People who search as they type begin with these.
	short map[string]*roaring.Bitmap
}

// The lowest two bits of a value say what the others are.
const (
	whereFilm   = iota // the only film itself
	whereList          // an index into lists
	whereBitmap        // an index into bitmaps
	whereBits   = 2
)

const (
	// maxList is the number of films up to which a list is smaller than a bitmap and faster.
	maxList = 64
	// minShort is the number of terms from which the films of a short prefix are kept ready.
	minShort = 256
)

// dictionaryBuilder collects terms. The zero value is empty.
type dictionaryBuilder struct {
	ids   map[string]uint32
	terms []string
	// pairs are a term's id and a film each, by film.
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
		id = uint32(len(b.terms))
		b.ids[term] = id
		b.terms = append(b.terms, term)
	}
	b.pairs = append(b.pairs, pair{term: id, film: film})
}

// build makes the dictionary; short says whether prefixes will be asked for.
func (b *dictionaryBuilder) build(short bool) dictionary {
	var d dictionary
	if len(b.terms) == 0 {
		return d
	}
	// Films by term: a counting sort, which keeps the films of a term in order.
	ends := make([]uint32, len(b.terms)+1)
	for _, p := range b.pairs {
		ends[p.term+1]++
	}
	for i := range b.terms {
		ends[i+1] += ends[i]
	}
	films := make([]uint32, len(b.pairs))
	next := slices.Clone(ends)
	for _, p := range b.pairs {
		films[next[p.term]] = p.film
		next[p.term]++
	}

	order := slices.SortedFunc(maps.Keys(b.ids), compareStrings)
	var out bytes.Buffer
	fst, err := vellum.New(&out, nil)
	for _, term := range order {
		if err != nil {
			break
		}
		id := b.ids[term]
		err = fst.Insert([]byte(term), d.put(slices.Compact(films[ends[id]:ends[id+1]])))
	}
	if err == nil {
		err = fst.Close()
	}
	if err == nil {
		d.fst, err = vellum.Load(out.Bytes())
	}
	if err != nil {
		// The terms are in order and the buffer takes any number of bytes.
		panic(fmt.Sprintf("build a dictionary of %d terms in memory: %v", len(order), err))
	}
	d.lists = slices.Clip(d.lists)
	if short {
		d.addShort(order)
	}
	return d
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// put stores films and returns the value that leads to them.
func (d *dictionary) put(films []uint32) uint64 {
	switch {
	case len(films) == 1:
		return uint64(films[0])<<whereBits | whereFilm
	case len(films) <= maxList:
		at := len(d.lists)
		d.lists = append(append(d.lists, uint32(len(films))), films...)
		return uint64(at)<<whereBits | whereList
	default:
		m := roaring.BitmapOf(films...)
		m.RunOptimize()
		d.bitmaps = append(d.bitmaps, m)
		return uint64(len(d.bitmaps)-1)<<whereBits | whereBitmap
	}
}

// addShort unites the films of short prefixes with many terms.
func (d *dictionary) addShort(terms []string) {
	d.short = map[string]*roaring.Bitmap{}
	for n := 1; n <= 2; n++ {
		for from := 0; from < len(terms); {
			prefix, ok := firstRunes(terms[from], n)
			to := from + 1
			for to < len(terms) && len(terms[to]) >= len(prefix) && terms[to][:len(prefix)] == prefix {
				to++
			}
			if ok && to-from >= minShort {
				all := roaring.New()
				d.rangeOf(prefix, func(value uint64) { d.uniteRoaring(all, value) })
				all.RunOptimize()
				d.short[prefix] = all
			}
			from = to
		}
	}
}

// firstRunes are the first n characters; ok is false if there are fewer.
func firstRunes(s string, n int) (first string, ok bool) {
	end := 0
	for range n {
		if end == len(s) {
			return s, false
		}
		_, size := utf8.DecodeRuneInString(s[end:])
		end += size
	}
	return s[:end], true
}

func (d *dictionary) uniteRoaring(into *roaring.Bitmap, value uint64) {
	switch at := value >> whereBits; value & (1<<whereBits - 1) {
	case whereFilm:
		into.Add(uint32(at))
	case whereList:
		into.AddMany(d.lists[at+1 : at+1+uint64(d.lists[at])])
	case whereBitmap:
		into.Or(d.bitmaps[at])
	}
}

// unite adds the films of a value to a set.
func (d *dictionary) unite(into bitset, value uint64, s *scratch) {
	switch at := value >> whereBits; value & (1<<whereBits - 1) {
	case whereFilm:
		into.set(uint32(at))
	case whereList:
		for _, film := range d.lists[at+1 : at+1+uint64(d.lists[at])] {
			into.set(film)
		}
	case whereBitmap:
		uniteBitmap(into, d.bitmaps[at], s)
	}
}

// denseFrom is the number of films from which a bitmap is written out before it is united.
const denseFrom = 1 << 12

func uniteBitmap(into bitset, m *roaring.Bitmap, s *scratch) {
	if m.GetCardinality() < denseFrom {
		for it := m.Iterator(); it.HasNext(); {
			into.set(it.Next())
		}
		return
	}
	// WriteDenseTo overwrites where a container is a bitmap, and unites elsewhere.
	dense := s.take()
	m.WriteDenseTo(dense)
	into.or(dense)
}

// whole adds the films that have the term.
func (d *dictionary) whole(into bitset, term string, s *scratch) {
	if d.fst == nil {
		return
	}
	if value, ok, err := d.fst.Get([]byte(term)); err == nil && ok {
		d.unite(into, value, s)
	}
}

// prefixed adds the films that have a term with the prefix.
func (d *dictionary) prefixed(into bitset, prefix string, s *scratch) {
	if m, ok := d.short[prefix]; ok {
		uniteBitmap(into, m, s)
		return
	}
	d.rangeOf(prefix, func(value uint64) { d.unite(into, value, s) })
}

// rangeOf calls f with the values of the terms that have the prefix.
func (d *dictionary) rangeOf(prefix string, f func(value uint64)) {
	if d.fst == nil {
		return
	}
	it, err := d.fst.Iterator([]byte(prefix), afterPrefix(prefix))
	for err == nil {
		_, value := it.Current()
		f(value)
		err = it.Next()
	}
}

// afterPrefix is the least text that is greater than all with the prefix. UTF-8 has no byte 0xFF.
func afterPrefix(prefix string) []byte {
	end := []byte(prefix)
	end[len(end)-1]++
	return end
}

// near adds the films that have a term which the automaton accepts to the set of the term's
// distance, if there is a set for it. keep, if not nil, decides about a term.
func (d *dictionary) near(into []bitset, a vellum.FuzzyAutomaton, keep func(term []byte) bool, s *scratch) {
	if d.fst == nil {
		return
	}
	it, err := d.fst.Search(a, nil, nil)
	for err == nil {
		term, value := it.Current()
		if n := int(it.EditDistance()); n < len(into) && (keep == nil || keep(term)) {
			d.unite(into[n], value, s)
		}
		err = it.Next()
	}
}

// bytes is the memory of the dictionary, about.
func (d *dictionary) bytes() int {
	n := 4 * cap(d.lists)
	for _, m := range d.bitmaps {
		n += int(m.GetSizeInBytes()) + 100
	}
	for prefix, m := range d.short {
		n += len(prefix) + int(m.GetSizeInBytes()) + 150
	}
	return n
}
