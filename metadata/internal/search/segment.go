package search

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"

	"movieexample.com/metadata/internal/text"
)

// segment has some films. Only their votes change after it was built. Films are numbered
// in the order of their titles' sort keys, then ids: films of equal rank are in the order of their
// numbers.
type segment struct {
	n int
	// weight is the sum of weightOf over them.
	weight int
	// records have the texts of the films, one film after the other from starts[film]; see
	// appendRecord. One string costs the garbage collector nothing, and slicing names out of it
	// does not allocate.
	records string
	starts  []uint32
	// votes are read and written atomically.
	votes []int32
	years []int16
	// genreSet is an index into sets, which hold indexes into genres. Films share sets: there are
	// a few thousand, regardless of the number of films.
	genreSet []uint32
	sets     [][]uint32
	genres   []string // as spelled
	keys     []string // of genres

	// several are the films with more than one title.
	several bitset
	byYear  map[int16]posting

	titles, directors dictionary // words
	names             dictionary // keys.full of titles
	spellings         dictionary // the other keys.all of titles
	solids            dictionary // solidOf of titles, where that is none of keys.all
	joins             dictionary // eachJoin of titles and directors
	initials          dictionary // initialsOf of titles

	// slots is a hash table of films by id: film + 1, or 0.
	slots []uint32
	seed  maphash.Seed
}

// posting is some films of a segment, in a form that is small if they are few.
type posting []uint32

// newSegment builds a segment of films with different ids. It sorts the entries.
func newSegment(entries []entry) *segment {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.film.ID, b.film.ID))
	})
	n := len(entries)
	s := &segment{
		n:        n,
		starts:   make([]uint32, n),
		votes:    make([]int32, n),
		years:    make([]int16, n),
		genreSet: make([]uint32, n),
		several:  make(bitset, bitsetLen(n)),
		byYear:   map[int16]posting{},
		seed:     maphash.MakeSeed(),
	}
	var titles, directors, initials dictionaryBuilder
	var names, spellings, solids, joins keyBuilder
	var records []byte
	sets := setNumbers{genres: map[string]uint32{}, sets: map[string]uint32{}}
	for i, e := range entries {
		f := e.film
		film := uint32(i)
		s.weight += weightOf(f)
		s.starts[i] = uint32(len(records))
		records = appendRecord(records, f)
		s.votes[i] = f.Votes
		if s.years[i] = int16(f.Year); f.Year != 0 {
			s.byYear[int16(f.Year)] = append(s.byYear[int16(f.Year)], film)
		}
		s.genreSet[i] = sets.number(s, f.Genres)
		if len(f.Alternatives) > 0 {
			s.several.set(film)
		}
		for _, name := range f.titles() {
			eachWord(name, func(word string, _, _ int) { titles.add(word, film) })
			k := keysOf(name)
			names.add(k.full, film)
			for _, key := range k.all {
				if key != k.full {
					spellings.add(key, film)
				}
			}
			for _, key := range solidOf(k) {
				if !slices.Contains(k.all, key) {
					solids.add(key, film)
				}
			}
			eachJoin(name, func(word string, _, _ int) { joins.add(word, film) })
			initials.add(initialsOf(name), film)
		}
		eachWord(f.Director, func(word string, _, _ int) { directors.add(word, film) })
		eachJoin(f.Director, func(word string, _, _ int) { joins.add(word, film) })
	}
	s.records = string(records)
	s.titles, s.directors = titles.build(), directors.build()
	s.names, s.spellings, s.solids = names.build(), spellings.build(), solids.build()
	s.joins, s.initials = joins.build(), initials.build()
	s.index()
	return s
}

// setNumbers numbers the sets of genres of a segment.
type setNumbers struct {
	genres map[string]uint32
	sets   map[string]uint32
}

func (t *setNumbers) number(s *segment, genres []string) uint32 {
	ids := make([]uint32, 0, len(genres))
	for _, g := range genres {
		id, ok := t.genres[g]
		if !ok {
			id = uint32(len(s.genres))
			t.genres[g] = id
			s.genres = append(s.genres, g)
			s.keys = append(s.keys, text.GenreKey(g))
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	key := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		key = binary.LittleEndian.AppendUint32(key, id)
	}
	set, ok := t.sets[string(key)]
	if !ok {
		set = uint32(len(s.sets))
		t.sets[string(key)] = set
		s.sets = append(s.sets, ids)
	}
	return set
}

// appendRecord appends the texts of a film, each after its length.
func appendRecord(dst []byte, f Film) []byte {
	put := func(s string) {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	put(f.ID)
	put(f.Title)
	put(f.Director)
	dst = binary.AppendUvarint(dst, uint64(len(f.Alternatives)))
	for _, name := range f.Alternatives {
		put(name)
	}
	return dst
}

// cut splits the first text off a record.
func cut(s string) (text, rest string) {
	n, s := cutNumber(s)
	return s[:n], s[n:]
}

func cutNumber(s string) (n int, rest string) {
	for shift := 0; ; shift += 7 {
		b := s[0]
		s = s[1:]
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n, s
		}
	}
}

func (s *segment) id(film uint32) string {
	id, _ := cut(s.records[s.starts[film]:])
	return id
}

func (s *segment) title(film uint32) string {
	_, rest := cut(s.records[s.starts[film]:])
	title, _ := cut(rest)
	return title
}

// texts is the film with only its texts, which is faster than film.
func (s *segment) texts(film uint32) (f Film) {
	rest := s.records[s.starts[film]:]
	f.ID, rest = cut(rest)
	f.Title, rest = cut(rest)
	f.Director, rest = cut(rest)
	n, rest := cutNumber(rest)
	f.Alternatives = make([]string, n)
	for i := range f.Alternatives {
		f.Alternatives[i], rest = cut(rest)
	}
	return f
}

// film is the film as it was put, but normal and with its current votes.
func (s *segment) film(film uint32) Film {
	f := s.texts(film)
	f.Year, f.Votes = int(s.years[film]), s.votesOf(film)
	for _, g := range s.sets[s.genreSet[film]] {
		f.Genres = append(f.Genres, s.genres[g])
	}
	return f
}

func (s *segment) votesOf(film uint32) int32 { return atomic.LoadInt32(&s.votes[film]) }

// index builds the table of ids, at most half full.
func (s *segment) index() {
	size := 4
	for size < 2*s.n {
		size *= 2
	}
	s.slots = make([]uint32, size)
	for film := range uint32(s.n) {
		at := s.slot(s.id(film))
		for s.slots[at] != 0 {
			at = (at + 1) & (len(s.slots) - 1)
		}
		s.slots[at] = film + 1
	}
}

func (s *segment) slot(id string) int {
	return int(maphash.String(s.seed, id)) & (len(s.slots) - 1)
}

// find is the film with the id.
func (s *segment) find(id string) (film uint32, ok bool) {
	for at := s.slot(id); s.slots[at] != 0; at = (at + 1) & (len(s.slots) - 1) {
		if film := s.slots[at] - 1; s.id(film) == id {
			return film, true
		}
	}
	return 0, false
}

// firstBehind is the first film whose sort key and id come after the given ones; n if there is none.
func (s *segment) firstBehind(key, id string) uint32 {
	film, _ := slices.BinarySearchFunc(s.starts, struct{}{}, func(start uint32, _ struct{}) int {
		mine, rest := cut(s.records[start:])
		title, _ := cut(rest)
		if cmp.Or(strings.Compare(text.SortKey(title), key), strings.Compare(mine, id)) <= 0 {
			return -1
		}
		return 1
	})
	return uint32(film)
}

// view is a segment with the set of its films that were not deleted.
type view struct {
	*segment
	live bitset
	// alive is the number of films in live.
	alive int
}

func newView(s *segment) view {
	v := view{segment: s, live: make(bitset, bitsetLen(s.n)), alive: s.n}
	v.live.fill(s.n)
	return v
}

// entries are the films that were not deleted.
func (v view) entries() []entry {
	out := make([]entry, 0, v.alive)
	v.live.each(func(film uint32) { out = append(out, entryOf(v.film(film))) })
	return out
}

// locate finds the film with the id.
func locate(views []view, id string) (at int, film uint32, ok bool) {
	for i, v := range views {
		if film, ok := v.find(id); ok && v.live.has(film) {
			return i, film, true
		}
	}
	return 0, 0, false
}

// weight is the cost of indexing the films that were not deleted.
func (v view) weight() int { return v.segment.weight * v.alive / v.n }
