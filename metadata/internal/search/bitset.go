package search

import (
	"math/bits"
	"sync"
)

// bitset is a set of films of one segment, one bit each. The union or intersection of two sets of a million
// films takes some ten microseconds.
type bitset []uint64

func bitsetLen(films int) int { return (films + 63) / 64 }

func (b bitset) set(i uint32)      { b[i>>6] |= 1 << (i & 63) }
func (b bitset) unset(i uint32)    { b[i>>6] &^= 1 << (i & 63) }
func (b bitset) has(i uint32) bool { return b[i>>6]&(1<<(i&63)) != 0 }

func (b bitset) setAll(all []uint32) {
	for _, i := range all {
		b[i>>6] |= 1 << (i & 63)
	}
}

func (b bitset) or(c bitset) {
	for i, w := range c {
		b[i] |= w
	}
}

func (b bitset) and(c bitset) {
	for i, w := range c {
		b[i] &= w
	}
}

func (b bitset) andNot(c bitset) {
	for i, w := range c {
		b[i] &^= w
	}
}

// fill sets the first n bits and no other.
func (b bitset) fill(n int) {
	clear(b)
	for i := range n / 64 {
		b[i] = ^uint64(0)
	}
	if n%64 != 0 {
		b[n/64] = 1<<(n%64) - 1
	}
}

// each calls f with every member in order.
func (b bitset) each(f func(i uint32)) {
	for i, w := range b {
		for w != 0 {
			f(uint32(i<<6 + bits.TrailingZeros64(w)))
			w &= w - 1
		}
	}
}

// scratch lends the bitsets of one query on one segment. Use newScratch.
type scratch struct {
	pool *sync.Pool // of *[]uint64
	n    int
	lent []*[]uint64
}

func newScratch(pool *sync.Pool, films int) *scratch {
	return &scratch{pool: pool, n: bitsetLen(films)}
}

// take returns an empty bitset, good until free.
func (s *scratch) take() bitset {
	words, _ := s.pool.Get().(*[]uint64)
	if words == nil || cap(*words) < s.n {
		fresh := make([]uint64, s.n)
		words = &fresh
	}
	b := (*words)[:s.n]
	clear(b)
	s.lent = append(s.lent, words)
	return b
}

// copyOf returns a copy of b.
func (s *scratch) copyOf(b bitset) bitset {
	c := s.take()
	copy(c, b)
	return c
}

func (s *scratch) free() {
	for _, words := range s.lent {
		s.pool.Put(words)
	}
	s.lent = nil
}
