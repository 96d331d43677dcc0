package imdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"movieexample.com/internal/syntax"
)

// Film is what the files say about one film.
type Film struct {
	// ID is the IMDb id in its canonical form, "tt" and at least seven digits.
	ID string
	// Line is the line of title.basics.
	Line int
	// Title is the title in most use, never empty; OriginalTitle the one in the
	// film's own language, empty where it is the same.
	Title, OriginalTitle string
	// AlternativeTitles are other titles, the more useful ones first, at most
	// [MaxAlternativeTitles], without repetitions in whatever case; see alternatives.
	AlternativeTitles []string
	// Year is the year of release and RuntimeMinutes the length; 0 if not known. They are what the file says, however
	// odd: there is a film to be shown in 2115, and one of 857 hours.
	Year, RuntimeMinutes int
	// Genres are in the file's order, by the names of package data; see genreName.
	Genres []string
	// Directors are names, in the file's order; nil if not known.
	Directors []string
}

// interrupts is how often a reading looks whether it is still wanted, in rows: often
// enough for Ctrl-C, too seldom to cost.
const interrupts = 1024

// Films streams the films in the order of their ids. It reads every file once, before the first film comes out.
//
// A [*RowError] is a rejected row, or one of which an optional field was left out, and reading continues: those of
// title.basics come first, then those of title.crew, name.basics and title.akas. Any other error (ctx's, a file's, a
// full disk's) is the last thing that the stream yields. Temporary files are deleted when the stream ends, for any
// reason. Streams of one Dir are read one at a time.
func (d *Dir) Films(ctx context.Context) iter.Seq2[Film, error] {
	return func(yield func(Film, error) bool) {
		r := &reading{d: d, ctx: ctx, yield: yield}
		err := errors.Join(r.run(), r.close())
		if err != nil && !errors.Is(err, errEnough) {
			yield(Film{}, fmt.Errorf("read IMDb files: %w", err))
		}
	}
}

// errEnough says that the reader of the stream has stopped.
var errEnough = errors.New("enough")

// reading puts films together. What is kept of each file goes into a sorter, so
// that what belongs together meets at the end:
//
//	drafts     film                → what title.basics says
//	directed   director, film, place
//	named      director            → name
//	directors  film, place         → name, made of the two above
//	akas       film, rank, ordering → title
type reading struct {
	d     *Dir
	ctx   context.Context
	yield func(Film, error) bool

	kept                                     *roaring64.Bitmap // films
	drafts, directed, named, directors, akas *sorter
	record                                   []byte
}

func (r *reading) run() error {
	for _, c := range []interface{ Store(int64) }{&r.d.kept, &r.d.otherTypes, &r.d.adult, &r.d.unknownDirectors} {
		c.Store(0)
	}
	for _, s := range r.d.files {
		s.done.Store(0)
		s.rows.Store(0)
		s.bad.Store(0)
	}
	r.kept = roaring64.New()
	for _, s := range []**sorter{&r.drafts, &r.directed, &r.named, &r.directors, &r.akas} {
		*s = newSorter(r.d.TempDir)
	}
	if err := r.rows(BasicsFile, r.basics); err != nil {
		return err
	}
	if r.d.directed() {
		if err := r.readDirectors(); err != nil {
			return err
		}
	}
	if r.d.Name(AkasFile) != "" {
		if err := r.rows(AkasFile, r.aka); err != nil {
			return err
		}
	}
	r.kept = nil
	return r.films()
}

func (r *reading) close() error {
	var errs []error
	for _, s := range []*sorter{r.drafts, r.directed, r.named, r.directors, r.akas} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}

// rows gives each row of a file to take, and what cannot be read to the stream.
func (r *reading) rows(f File, take func(*table) (*RowError, error)) (err error) {
	state := r.d.files[f]
	src, err := openSource(state.path, &state.done)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	t, err := newTable(filepath.Base(state.path), src, f.columns())
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(state.path), err)
	}
	n := int64(0)
	defer func() { state.rows.Store(n) }()
	for ; ; n++ {
		if n%interrupts == 0 {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			state.rows.Store(n)
		}
		bad, err := t.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && bad == nil {
			bad, err = take(t)
		}
		if err != nil {
			return err
		}
		if bad == nil {
			for _, left := range t.left {
				if !r.yield(Film{}, left) {
					return errEnough
				}
			}
		}
		if bad != nil {
			state.bad.Add(1)
			if !r.yield(Film{}, bad) {
				return errEnough
			}
		}
	}
}

// The columns of title.basics, in the order of File.columns.
const (
	basicsID = iota
	basicsType
	basicsTitle
	basicsOriginal
	basicsAdult
	basicsYear
	basicsRuntime
	basicsGenres
)

// basics keeps a row of title.basics if it is a film. Errors in other rows are not reported.
func (r *reading) basics(t *table) (*RowError, error) {
	if kind := string(t.fields[basicsType]); kind != "movie" && kind != "tvMovie" {
		if missing(t.fields[basicsType]) {
			return t.reject("titleType", kind, `is missing; it must say what the title is, as "movie" or "tvEpisode"`), nil
		}
		r.d.otherTypes.Add(1)
		return nil, nil
	}
	// There are rows whose columns have moved: then it is a year. And a film of which it is not known may be one that stays out.
	switch adult, ok := syntax.Whole(string(t.fields[basicsAdult])); {
	case !ok || adult > 1:
		return t.reject("isAdult", string(t.fields[basicsAdult]), "must be 0 or 1"), nil
	case adult == 1:
		r.d.adult.Add(1)
		return nil, nil
	}
	id, ok := number(t.fields[basicsID], "tt")
	if !ok {
		return t.reject("tconst", string(t.fields[basicsID]), `must be "tt" and 7 to 10 digits, for example tt0111161`), nil
	}
	title := bytes.TrimSpace(t.fields[basicsTitle])
	if missing(title) {
		return t.reject("primaryTitle", string(t.fields[basicsTitle]), "is missing; a film needs a title"), nil
	}
	year, ok := whole(t.fields[basicsYear])
	if !ok {
		t.leaveOut("startYear", string(t.fields[basicsYear]), `must be a year, or \N if it is unknown; the film went in without it`)
	}
	runtime, ok := whole(t.fields[basicsRuntime])
	if !ok {
		t.leaveOut("runtimeMinutes", string(t.fields[basicsRuntime]), `must be a whole number of minutes, or \N if it is unknown; the film went in without it`)
	}
	if !r.kept.CheckedAdd(id) {
		return t.reject("tconst", string(t.fields[basicsID]), "is a duplicate of an earlier row; the first one counts"), nil
	}
	r.d.kept.Add(1)
	original := bytes.TrimSpace(t.fields[basicsOriginal])
	if missing(original) || bytes.Equal(original, title) {
		original = nil
	}
	genres := t.fields[basicsGenres]
	if missing(genres) {
		genres = nil
	}
	rec := binary.BigEndian.AppendUint64(r.record[:0], id)
	rec = binary.AppendUvarint(rec, uint64(t.line))
	rec = binary.AppendUvarint(rec, uint64(year))
	rec = binary.AppendUvarint(rec, uint64(runtime))
	for _, text := range [][]byte{title, original, genres} {
		rec = binary.AppendUvarint(rec, uint64(len(text)))
		rec = append(rec, text...)
	}
	r.record = rec
	return nil, r.drafts.add(rec)
}

// readDirectors fills directors from title.crew and name.basics.
func (r *reading) readDirectors() error {
	told, wanted, named := roaring64.New(), roaring64.New(), roaring64.New()
	var people []uint64
	err := r.rows(CrewFile, func(t *table) (*RowError, error) {
		film, ok := number(t.fields[0], "tt")
		if !ok {
			return t.reject("tconst", string(t.fields[0]), `must be "tt" and 7 to 10 digits, for example tt0111161`), nil
		}
		if missing(t.fields[1]) || !r.kept.Contains(film) {
			return nil, nil
		}
		people = people[:0]
		for nconst := range bytes.SplitSeq(t.fields[1], []byte(",")) {
			person, ok := number(nconst, "nm")
			if !ok {
				t.leaveOut("directors", string(t.fields[1]), `must be ids separated by commas, each "nm" and 7 to 10 digits, or \N; the film went in without %q`, shorten(string(nconst)))
				continue
			}
			people = append(people, person)
		}
		if !told.CheckedAdd(film) {
			return t.reject("tconst", string(t.fields[0]), "is a duplicate of an earlier row; the first one counts"), nil
		}
		for place, person := range people { // fewer than fit in 16 bits: a row has an end
			wanted.Add(person)
			rec := binary.BigEndian.AppendUint64(r.record[:0], person)
			rec = binary.BigEndian.AppendUint64(rec, film)
			r.record = binary.BigEndian.AppendUint16(rec, uint16(place))
			if err := r.directed.add(r.record); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err != nil {
		return err
	}
	err = r.rows(NamesFile, func(t *table) (*RowError, error) {
		person, ok := number(t.fields[0], "nm")
		if !ok {
			return t.reject("nconst", string(t.fields[0]), `must be "nm" and 7 to 10 digits, for example nm0000001`), nil
		}
		if !wanted.Contains(person) {
			return nil, nil
		}
		name := bytes.TrimSpace(t.fields[1])
		if missing(name) {
			return t.reject("primaryName", string(t.fields[1]), "is missing; the films of %s go in without this director", t.fields[0]), nil
		}
		if !named.CheckedAdd(person) {
			return t.reject("nconst", string(t.fields[0]), "is a duplicate of an earlier row; the first one counts"), nil
		}
		r.record = append(binary.BigEndian.AppendUint64(r.record[:0], person), name...)
		return nil, r.named.add(r.record)
	})
	if err != nil {
		return err
	}
	return r.join()
}

// join makes directors of directed and named.
func (r *reading) join() error {
	names, err := newGroups(r.named)
	if err != nil {
		return err
	}
	pairs, err := r.directed.sorted()
	if err != nil {
		return err
	}
	var name []byte
	of := uint64(0) // ids begin with 1
	for n := 0; ; n++ {
		if n%interrupts == 0 {
			if err := r.ctx.Err(); err != nil {
				return err
			}
		}
		pair, err := pairs.next()
		if errors.Is(err, io.EOF) {
			return errors.Join(r.directed.close(), r.named.close())
		}
		if err != nil {
			return err
		}
		person := binary.BigEndian.Uint64(pair)
		if person != of {
			of, name = person, name[:0]
			if err := names.each(person, func(rest []byte) { name = append(name[:0], rest...) }); err != nil {
				return err
			}
		}
		if len(name) == 0 {
			r.d.unknownDirectors.Add(1)
			continue
		}
		r.record = append(append(r.record[:0], pair[8:]...), name...)
		if err := r.directors.add(r.record); err != nil {
			return err
		}
	}
}

// films puts together what the sorters have.
func (r *reading) films() error {
	drafts, err := r.drafts.sorted()
	if err != nil {
		return err
	}
	directors, err := newGroups(r.directors)
	if err != nil {
		return err
	}
	akas, err := newGroups(r.akas)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		if n%interrupts == 0 {
			if err := r.ctx.Err(); err != nil {
				return err
			}
		}
		draft, err := drafts.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		id := binary.BigEndian.Uint64(draft)
		film := filmOf(id, draft[8:])
		if err := directors.each(id, func(rest []byte) { film.Directors = append(film.Directors, string(rest[2:])) }); err != nil {
			return err
		}
		alt := newAlternatives(&film)
		if err := akas.each(id, func(rest []byte) { alt.add(string(rest[5:])) }); err != nil {
			return err
		}
		if !r.yield(film, nil) {
			return errEnough
		}
	}
}

// filmOf reads what basics has written.
func filmOf(id uint64, draft []byte) Film {
	n := func() uint64 {
		v, size := binary.Uvarint(draft)
		draft = draft[size:]
		return v
	}
	text := func() string {
		size := n()
		s := string(draft[:size])
		draft = draft[size:]
		return s
	}
	f := Film{ID: fmt.Sprintf("tt%07d", id), Line: int(n()), Year: int(n()), RuntimeMinutes: int(n()), Title: text(), OriginalTitle: text()}
	if genres := text(); genres != "" {
		for name := range strings.SplitSeq(genres, ",") {
			if name = strings.TrimSpace(name); name != "" {
				f.Genres = append(f.Genres, genreName(name))
			}
		}
	}
	return f
}

// groups walks a sorter's records along ascending ids, with which they begin.
type groups struct {
	c    *cursor
	next []byte // nil at the end
}

func newGroups(s *sorter) (*groups, error) {
	c, err := s.sorted()
	if err != nil {
		return nil, err
	}
	g := &groups{c: c}
	return g, g.advance()
}

func (g *groups) advance() (err error) {
	if g.next, err = g.c.next(); errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// each calls take with the rest after the id of each record of the id.
func (g *groups) each(id uint64, take func(rest []byte)) error {
	for g.next != nil && binary.BigEndian.Uint64(g.next) <= id {
		if binary.BigEndian.Uint64(g.next) == id {
			take(g.next[8:])
		}
		if err := g.advance(); err != nil {
			return err
		}
	}
	return nil
}

// number reads an id.
func number(field []byte, prefix string) (uint64, bool) {
	digits, ok := bytes.CutPrefix(field, []byte(prefix))
	if !ok || len(digits) < 7 || len(digits) > 10 {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return n, n > 0
}

// whole reads a number that may be missing. It is below 100,000,000,000.
func whole(field []byte) (int, bool) {
	if missing(field) {
		return 0, true
	}
	if len(field) > 11 { // nine digits and ".0"
		return 0, false
	}
	n, ok := syntax.Whole(string(field))
	return int(n), ok
}

// genreName is a genre of IMDb by the name that it has here.
func genreName(name string) string {
	// MovieLens says Children where IMDb says Family. All other names that both have are spelled alike; those that
	// only IMDb has (Biography, History, Music, Sport …) stay. Music is not Musical: IMDb has both.
	if name == "Family" {
		return "Children"
	}
	return name
}
