package imdb_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"movieexample.com/imdb"
)

// made is a made-up directory.
func made(t testing.TB, titles, films int) (*imdb.Dir, imdb.Generated) {
	t.Helper()
	dir := t.TempDir()
	g, err := imdb.Generate(t.Context(), dir, imdb.GenerateOptions{Titles: titles, Films: films, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	d, err := imdb.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	d.TempDir = t.TempDir()
	return d, g
}

// looking is a context that looks at the heap now and then while it is asked whether it has ended.
type looking struct {
	context.Context
	asked int
	look  func()
}

func (l *looking) Err() error {
	if l.asked++; l.asked%16 == 0 {
		l.look()
	}
	return l.Context.Err()
}

// large writes files of which more is kept than fits into memory, although they have few rows: 20,000 films, each with a
// director and ten other titles of 300 bytes, 60 MB in all.
func large(t testing.TB) (dir string, films int) {
	t.Helper()
	dir, films = t.TempDir(), 20_000
	var basics, crew, names, akas bytes.Buffer
	basics.WriteString("tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n")
	crew.WriteString("tconst\tdirectors\twriters\n")
	names.WriteString("nconst\tprimaryName\n")
	akas.WriteString("titleId\tordering\ttitle\tregion\tlanguage\ttypes\tattributes\tisOriginalTitle\n")
	long := strings.Repeat("x", 300)
	for i := range films {
		id := 1_000_000 + (i*7919)%films // not in order
		fmt.Fprintf(&basics, "tt%d\tmovie\tTitle %d\t%s%d\t0\t1999\t\\N\t90\tDrama\n", id, id, long, id)
		fmt.Fprintf(&crew, "tt%d\tnm%d\t\\N\n", id, id)
		fmt.Fprintf(&names, "nm%d\t%s%d\n", id, long, id)
		for k := range 10 {
			fmt.Fprintf(&akas, "tt%d\t%d\t%s%d\tDE\t\\N\t\\N\t\\N\t0\n", id, k+1, long, k)
		}
	}
	for f, text := range map[imdb.File]*bytes.Buffer{imdb.BasicsFile: &basics, imdb.CrewFile: &crew, imdb.NamesFile: &names, imdb.AkasFile: &akas} {
		if err := os.WriteFile(filepath.Join(dir, string(f)), text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, films
}

// TestMemory: what is held does not grow with what is kept of the files.
func TestMemory(t *testing.T) {
	dir, films := large(t)
	d, err := imdb.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	d.TempDir = t.TempDir()
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var peak uint64
	before := live()
	ctx := &looking{Context: t.Context(), look: func() { peak = max(peak, live()-min(before, live())) }}
	n := 0
	for film, err := range d.Films(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("tt%d", 1_000_000+n); film.ID != want || len(film.Directors) != 1 || len(film.AlternativeTitles) != 10 {
			t.Fatalf("film %d is %+v, want %s", n, film, want)
		}
		n++
	}
	t.Logf("at most %d KB were held", peak>>10)
	if n != films || peak == 0 {
		t.Errorf("%d films came, want %d; %d looks at memory", n, films, ctx.asked/16)
	}
	// Five sorters of 4 MB each, buffers, and three sets of ids.
	if peak > 24<<20 {
		t.Error("that is more than 24 MB")
	}
}

func BenchmarkFilms(b *testing.B) {
	d, g := made(b, 110_000, 7_000)
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range d.Films(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(g.Rows())*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
