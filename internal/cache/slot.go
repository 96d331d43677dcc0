package cache

import (
	"iter"
	"sync/atomic"
)

// store is what a cache keeps its entries in: an otter cache, or a slot.
type store[K comparable, E any] interface {
	GetIfPresent(K) (E, bool)
	Set(K, E) (E, bool)
	Invalidate(K) (E, bool)
	All() iter.Seq2[K, E]
	EstimatedSize() int
	StopAllGoroutines() bool
}

// slot is a store of one entry, in which looking costs next to nothing: some are read with every request.
type slot[K comparable, E any] struct {
	held    atomic.Pointer[holding[K, E]]
	evicted func()
}

type holding[K comparable, E any] struct {
	key   K
	entry E
}

// GetIfPresent implements store.
func (s *slot[K, E]) GetIfPresent(key K) (e E, ok bool) {
	if h := s.held.Load(); h != nil && h.key == key {
		return h.entry, true
	}
	return e, false
}

// Set implements store.
func (s *slot[K, E]) Set(key K, e E) (old E, replaced bool) {
	if h := s.held.Swap(&holding[K, E]{key, e}); h != nil && h.key != key {
		s.evicted()
	}
	return old, false
}

// Invalidate implements store. Changes are made one at a time.
func (s *slot[K, E]) Invalidate(key K) (old E, ok bool) {
	if old, ok = s.GetIfPresent(key); ok {
		s.held.Store(nil)
	}
	return old, ok
}

// All implements store.
func (s *slot[K, E]) All() iter.Seq2[K, E] {
	return func(yield func(K, E) bool) {
		if h := s.held.Load(); h != nil {
			yield(h.key, h.entry)
		}
	}
}

// EstimatedSize implements store.
func (s *slot[K, E]) EstimatedSize() int {
	if s.held.Load() == nil {
		return 0
	}
	return 1
}

// StopAllGoroutines implements store.
func (s *slot[K, E]) StopAllGoroutines() bool { return false }
