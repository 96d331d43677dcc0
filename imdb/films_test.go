package imdb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/gzip"

	"movieexample.com/imdb"
)

// read reads a directory to the end.
func read(t testing.TB, dir string) (films []imdb.Film, bad []string, counts imdb.Counts) {
	t.Helper()
	d, err := imdb.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	d.TempDir = t.TempDir()
	for film, err := range d.Films(t.Context()) {
		if row := (*imdb.RowError)(nil); errors.As(err, &row) {
			if len(films) > 0 {
				t.Errorf("%v came behind the first film", row)
			}
			bad = append(bad, row.Error())
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		films = append(films, film)
	}
	wantEmpty(t, d.TempDir)
	return films, bad, d.Counts()
}

func wantEmpty(t testing.TB, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, error %v", left, err)
	}
}

// copied is a copy of testdata, each file changed.
func copied(t testing.TB, change func(name string, text []byte) (string, []byte)) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range imdb.Files() {
		text, err := os.ReadFile(filepath.Join("testdata", string(f)))
		if err != nil {
			t.Fatal(err)
		}
		name, text := change(string(f), text)
		if name == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func packed(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func contributors() (names []string) {
	for i := range 40 {
		names = append(names, fmt.Sprintf("Contributor Number %02d", i+1))
	}
	return names
}

// anthology is which of the 60 titles of tt9000001 are kept: the ten English ones, although they are the last ones, and thirty others.
func anthology() (titles []string) {
	for i := range 40 {
		titles = append(titles, fmt.Sprintf("An Anthology, Title %02d", (i+50)%60+1))
	}
	return titles
}

func wantFilms() []imdb.Film {
	return []imdb.Film{
		{ID: "tt0000009", Line: 2, Title: "Miss Jerry", Year: 1894, RuntimeMinutes: 45, Genres: []string{"Romance"}, Directors: []string{"Alexander Black"}},
		{
			ID: "tt0012349", Line: 3, Title: "The Kid", Year: 1921, RuntimeMinutes: 68, Genres: []string{"Comedy", "Drama", "Children"},
			Directors: []string{"Charles Chaplin"}, AlternativeTitles: []string{"Der Vagabund und das Kind", "Le Kid", "Vagabunden och barnet"},
		},
		{
			ID: "tt0032138", Line: 4, Title: "The Wizard of Oz", Year: 1939, RuntimeMinutes: 102, Genres: []string{"Adventure", "Children", "Fantasy"},
			Directors: []string{"Victor Fleming", "George Cukor", "King Vidor"},
		},
		{ID: "tt0036775", Line: 5, Title: "Double Indemnity", Year: 1944, RuntimeMinutes: 107, Genres: []string{"Crime", "Drama", "Film-Noir"}, Directors: []string{"Billy Wilder"}},
		{
			ID: "tt0047478", Line: 7, Title: "Seven Samurai", OriginalTitle: "Shichinin no samurai", Year: 1954, RuntimeMinutes: 207, Genres: []string{"Action", "Drama"},
			Directors:         []string{"Akira Kurosawa"},
			AlternativeTitles: []string{"The Seven Samurai", "Les sept samouraïs", "七人の侍", "A Row without Ordering", "The Magnificent Seven", `Los "siete" samuráis`},
		},
		{ID: "tt0090000", Line: 8, Title: `"Great" Expectations`, Year: 1986, Directors: []string{`Anna "Nan" Example`}},
		{ID: "tt0090001", Line: 9, Title: "A Film Nobody Dated"},
		{ID: "tt0090002", Line: 10, Title: "Written on Windows", Year: 1987, RuntimeMinutes: 90, Genres: []string{"Documentary", "Biography", "Sport"}, Directors: []string{"Zoë Example"}},
		{
			ID: "tt0090004", Line: 13, Title: "A Film for the Screen at Home", Year: 1989, RuntimeMinutes: 95, Genres: []string{"Drama", "Musical", "Sci-Fi"},
			Directors: []string{"First Of Two"}, AlternativeTitles: []string{"A Working Title"},
		},
		{ID: "tt0090010", Line: 19, Title: "Bad Year", RuntimeMinutes: 95, Genres: []string{"Drama"}},
		{ID: "tt0137523", Line: 21, Title: "Fight Club", Year: 1999, RuntimeMinutes: 139, Genres: []string{"Drama"}, Directors: []string{"David Fincher"}, AlternativeTitles: []string{"El club de la lucha"}},
		{ID: "tt2659414", Line: 24, Title: "A Month of Frames", Year: 2012, RuntimeMinutes: 51420, Genres: []string{"Documentary"}, Directors: []string{"Zoë Example"}},
		{ID: "tt5174640", Line: 25, Title: "A Hundred Years", Year: 2115, Genres: []string{"Drama"}},
		{ID: "tt9000001", Line: 26, Title: "An Anthology", Year: 2020, RuntimeMinutes: 180, Directors: contributors(), AlternativeTitles: anthology()},
		{ID: "tt10000011", Line: 23, Title: "Eight Digits in Text Order", Year: 2019, RuntimeMinutes: 77, Genres: []string{"Talk-Show", "Music"}, Directors: []string{"Eight Digits"}},
	}
}

func TestFilms(t *testing.T) {
	films, bad, counts := read(t, "testdata")
	if diff := cmp.Diff(wantFilms(), films); diff != "" {
		t.Errorf("films (-want +got):\n%s", diff)
	}
	wantBad := []string{
		`title.basics.tsv line 15: row "tt0090006\tmovie\tColumns Have Moved\t0\t1991\t\\N\t91\tDrama": has 8 columns; must have 9: tconst, titleType, primaryTitle, originalTitle, isAdult, startYear, endYear, runtimeMinutes, genres`,
		`title.basics.tsv line 16: isAdult "1992": must be 0 or 1`,
		`title.basics.tsv line 17: primaryTitle "\\N": is missing; a film needs a title`,
		`title.basics.tsv line 18: tconst "tt90009": must be "tt" and 7 to 10 digits, for example tt0111161`,
		`title.basics.tsv line 19: startYear "199x": must be a year, or \N if it is unknown; the film went in without it`,
		`title.basics.tsv line 20: row "tt0090011\tmovie\tNot ` + "\uFFFD" + ` UTF-8\tNot UTF-8\t0\t1996\t\\N\t96\tDrama": is not valid UTF-8; convert the file to UTF-8`,
		`title.basics.tsv line 22: tconst "tt0137523": is a duplicate of an earlier row; the first one counts`,
		`title.crew.tsv line 13: row "tt0090006\tnm0090006": has 2 columns; must have 3: tconst, directors, writers`,
		`title.crew.tsv line 15: tconst "tt0137523": is a duplicate of an earlier row; the first one counts`,
		`title.crew.tsv line 17: directors "nm0090002,tt0090004": must be ids separated by commas, each "nm" and 7 to 10 digits, or \N; the film went in without "tt0090004"`,
		`name.basics.tsv line 10: primaryName "\\N": is missing; the films of nm0090001 go in without this director`,
		`name.basics.tsv line 13: row "nm0090006\tToo Few Columns": has 2 columns; must have 6: nconst, primaryName, birthYear, deathYear, primaryProfession, knownForTitles`,
		`name.basics.tsv line 15: nconst "nm0281808": is a duplicate of an earlier row; the first one counts`,
		`name.basics.tsv line 16: nconst "nx0281809": must be "nm" and 7 to 10 digits, for example nm0000001`,
		`title.akas.tsv line 16: ordering "x": must be a whole number of at least 1; the title is sorted after those that have one`,
		`title.akas.tsv line 17: title "\\N": is missing; an alternative title cannot be empty`,
		`title.akas.tsv line 20: row "tt0137523\t3\tToo\tFew": has 4 columns; must have 8: titleId, ordering, title, region, language, types, attributes, isOriginalTitle`,
	}
	if diff := cmp.Diff(wantBad, bad); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	want := imdb.Counts{Rows: 24 + 18 + 56 + 79, Rejected: 14, Kept: 15, OtherTypes: 2, Adult: 1, UnknownDirectors: 2, Bytes: counts.Bytes}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// TestPackedFilms: .gz makes no difference, and counts its own bytes.
func TestPackedFilms(t *testing.T) {
	dir := copied(t, func(name string, text []byte) (string, []byte) { return name + ".gz", packed(t, text) })
	films, bad, counts := read(t, dir)
	if diff := cmp.Diff(wantFilms(), films); diff != "" {
		t.Errorf("films (-want +got):\n%s", diff)
	}
	d, err := imdb.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(bad) != 17 || counts.Bytes != d.Size() || d.Name(imdb.CrewFile) != "title.crew.tsv.gz" || !strings.HasPrefix(bad[0], "title.basics.tsv.gz line 15: ") {
		t.Errorf("%d rejected, %d of %d bytes", len(bad), counts.Bytes, d.Size())
	}
}

// TestOrderOfRows: the films are the same for any order of the rows of the four files.
func TestOrderOfRows(t *testing.T) {
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 1))
		films, _, _ := read(t, copied(t, func(name string, text []byte) (string, []byte) {
			lines := slices.Collect(bytes.Lines(text))
			// Of two rows with one id the first one counts: that is the one thing that order decides.
			rows := slices.DeleteFunc(lines[1:], func(line []byte) bool {
				return bytes.Contains(line, []byte("Once More")) || bytes.Contains(line, []byte("Club Again")) || string(line) == "tt0137523\tnm0000122\t\\N\n"
			})
			rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			return name, slices.Concat(lines[0], bytes.Join(rows, nil))
		}))
		if diff := cmp.Diff(wantFilms(), films, cmpopts.IgnoreFields(imdb.Film{}, "Line")); diff != "" {
			t.Errorf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

// TestOtherColumns: columns are found by name.
func TestOtherColumns(t *testing.T) {
	films, _, _ := read(t, copied(t, func(name string, text []byte) (string, []byte) {
		var b bytes.Buffer
		for line := range bytes.Lines(text) {
			columns := bytes.Split(bytes.TrimRight(line, "\r\n"), []byte("\t"))
			slices.Reverse(columns)
			b.Write(append(bytes.Join(append(columns, []byte("more")), []byte("\t")), '\n'))
		}
		return name, b.Bytes()
	}))
	if diff := cmp.Diff(wantFilms(), films); diff != "" {
		t.Errorf("films (-want +got):\n%s", diff)
	}
}

// TestWithoutFiles: each optional file may be missing, and what films lack then is said.
func TestWithoutFiles(t *testing.T) {
	for missing, want := range map[imdb.File]string{
		imdb.CrewFile:  " has no title.crew.tsv.gz: films go in without directors",
		imdb.NamesFile: " has no name.basics.tsv.gz: films go in without directors",
		imdb.AkasFile:  " has no title.akas.tsv.gz: films go in without alternative titles",
	} {
		dir := copied(t, func(name string, text []byte) (string, []byte) {
			if name == string(missing) {
				return "", nil
			}
			return name, text
		})
		d, err := imdb.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Lacking(); len(got) != 1 || got[0] != dir+want {
			t.Errorf("lacking %q, want %s", got, want)
		}
		ignored := "Directors"
		if missing == imdb.AkasFile {
			ignored = "AlternativeTitles"
		}
		films, _, _ := read(t, dir)
		if diff := cmp.Diff(wantFilms(), films, cmpopts.IgnoreFields(imdb.Film{}, ignored)); diff != "" {
			t.Errorf("without %s (-want +got):\n%s", missing, diff)
		}
		for _, f := range films {
			if missing != imdb.AkasFile && f.Directors != nil || missing == imdb.AkasFile && f.AlternativeTitles != nil {
				t.Errorf("without %s: %+v", missing, f)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	with := func(f imdb.File, suffix string, text []byte) string {
		return copied(t, func(name string, was []byte) (string, []byte) {
			if name == string(f) {
				return name + suffix, text
			}
			return name, was
		})
	}
	outer := filepath.Dir(with(imdb.BasicsFile, "", []byte("tconst\n")))
	for _, tc := range []struct{ dir, want string }{
		{"testdata/none", "no such file or directory"},
		{"testdata/README.md", "is not a directory; name the one that title.basics.tsv.gz is in"},
		{t.TempDir(), "has no title.basics.tsv and no title.basics.tsv.gz"},
		{with(imdb.BasicsFile, "", nil), "title.basics.tsv: the file is empty; its first line must name the columns tconst, titleType"},
		{with(imdb.BasicsFile, ".gz", nil), "the file is empty; download it again"},
		{with(imdb.AkasFile, ".gz", []byte("titleId\tordering\n")), "it is not a gzip file; if it is unpacked already, name it without .gz"},
		{with(imdb.CrewFile, "", []byte("tconst\twriters\r\n")), `title.crew.tsv: the column directors is missing; the first line must name tconst, directors, with tabs between them, and is "tconst\twriters"`},
		{with(imdb.NamesFile, "", []byte(strings.Repeat("x", 300<<10))), "its first line is longer than 262144 bytes"},
		{outer, "has no title.basics.tsv"},
	} {
		if _, err := imdb.Open(tc.dir); err == nil || !strings.HasPrefix(err.Error(), "open IMDb files: ") || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want … %s", tc.dir, err, tc.want)
		}
	}
}

// TestBrokenFiles: the error that ends the stream says what to do, and no temporary files are left.
func TestBrokenFiles(t *testing.T) {
	var whole []byte
	dir := copied(t, func(name string, text []byte) (string, []byte) {
		text = packed(t, text)
		if name == string(imdb.AkasFile) {
			whole, text = text, text[:len(text)/2]
		}
		return name + ".gz", text
	})
	last := func() (last error) {
		d, err := imdb.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		d.TempDir = t.TempDir()
		for _, err := range d.Films(t.Context()) {
			if err != nil && !errors.As(err, new(*imdb.RowError)) {
				last = err
			}
		}
		wantEmpty(t, d.TempDir)
		return last
	}
	if err := last(); err == nil || !strings.Contains(err.Error(), "read title.akas.tsv.gz at line ") || !strings.Contains(err.Error(), "the file is truncated; download it again") {
		t.Errorf("a file that is cut off: %v", err)
	}
	whole[len(whole)-6] ^= 1 // its checksum
	if err := os.WriteFile(filepath.Join(dir, "title.akas.tsv.gz"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := last(); err == nil || !strings.Contains(err.Error(), "the file is damaged; download it again") {
		t.Errorf("a file with a wrong checksum: %v", err)
	}
	d, err := imdb.Open("testdata")
	if err != nil {
		t.Fatal(err)
	}
	d.TempDir = filepath.Join(t.TempDir(), "none")
	for _, err := range d.Films(t.Context()) {
		if err != nil && !errors.As(err, new(*imdb.RowError)) {
			t.Errorf("little data goes without temporary files, but: %v", err)
		}
	}
}

// TestLongLine: a line that is too long is one rejected row.
func TestLongLine(t *testing.T) {
	films, bad, _ := read(t, copied(t, func(name string, text []byte) (string, []byte) {
		if name == string(imdb.BasicsFile) {
			text = slices.Concat(text, []byte(strings.Repeat("x", 600<<10)+"\ntt9000002\tmovie\tLast\tLast\t0\t\\N\t\\N\t\\N\t\\N"))
		}
		return name, text
	}))
	if len(bad) != 18 || !strings.Contains(bad[7], "title.basics.tsv line 27: row \"xxx") || !strings.Contains(bad[7], "the line is longer than 262144 bytes") {
		t.Errorf("rejected %q", bad)
	}
	if len(films) != 16 || films[14].Title != "Last" || films[14].Line != 28 {
		t.Errorf("films %v", films)
	}
}

// TestInterruptedReading ends in the middle of each file and of the films; no temporary file is left, even while it continues.
func TestInterruptedReading(t *testing.T) {
	dir, films := large(t)
	d, err := imdb.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	d.TempDir = t.TempDir()
	for _, at := range []int64{0, 15_000, 35_000, 55_000, int64(13*films) - 5000, int64(13 * films)} {
		ctx := &ending{Context: t.Context(), ended: func() bool { return d.Counts().Rows >= at }}
		var last error
		for _, err := range d.Films(ctx) {
			last = err
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("interrupted after %d rows: %v", at, last)
		}
		wantEmpty(t, d.TempDir)
	}
	n := 0
	for _, err := range d.Films(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == films/2 {
			wantEmpty(t, d.TempDir)
			break
		}
	}
	wantEmpty(t, d.TempDir)
}

// ending is a context that ends when its time has come.
type ending struct {
	context.Context
	ended func() bool
}

func (e *ending) Err() error {
	if e.ended() {
		return context.Canceled
	}
	return nil
}

func TestGenerate(t *testing.T) {
	opt := imdb.GenerateOptions{Titles: 20_000, Seed: 7}
	first, second := t.TempDir(), t.TempDir()
	made, err := imdb.Generate(t.Context(), first, opt)
	if err != nil {
		t.Fatal(err)
	}
	if made.Films != 1272 || made.Names != 25_454 || made.Akas < 70_000 || made.Akas > 76_000 {
		t.Errorf("made %+v", made)
	}
	if _, err := imdb.Generate(t.Context(), second, opt); err != nil {
		t.Fatal(err)
	}
	for _, f := range imdb.Files() {
		a, errA := os.ReadFile(filepath.Join(first, string(f)+".gz"))
		b, errB := os.ReadFile(filepath.Join(second, string(f)+".gz"))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs: %v, %v", f, errA, errB)
		}
	}
	films, bad, counts := read(t, first)
	if len(bad) > 0 || len(films) != made.Films || counts.Rows != made.Rows() || counts.Kept != int64(made.Films) {
		t.Errorf("%d films, %+v, rejected %q", len(films), counts, bad)
	}
	var directed, dated, titled int
	for _, f := range films {
		if len(f.Directors) > 0 {
			directed++
		}
		if f.Year > 0 {
			dated++
		}
		titled += len(f.AlternativeTitles)
	}
	if n := len(films); directed < n*8/10 || dated < n*8/10 || titled < 4*n {
		t.Errorf("of %d films %d have a director and %d a year; they have %d other titles", n, directed, dated, titled)
	}
	if _, err := imdb.Generate(t.Context(), first, opt); !errors.Is(err, fs.ErrExist) {
		t.Errorf("files that are there: %v", err)
	}
	opt.Overwrite = true
	if _, err := imdb.Generate(t.Context(), first, opt); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	third := t.TempDir()
	if _, err := imdb.Generate(ctx, third, opt); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	wantEmpty(t, third)
	for _, wrong := range []imdb.GenerateOptions{{}, {Titles: 1_000_000_001}, {Titles: 5, Films: 6}, {Titles: 5, Films: -1}} {
		if _, err := imdb.Generate(t.Context(), third, wrong); err == nil || !strings.Contains(err.Error(), "it must be") {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// TestOptionalFieldCostsOnlyItself: a number as pandas or a spreadsheet writes it, or an invalid one, costs only its field.
func TestOptionalFieldCostsOnlyItself(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[imdb.File]string{
		imdb.BasicsFile: "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\truntimeMinutes\tgenres\n" +
			"tt0000001\tmovie\tFloats\tFloats\t0.0\t1999.0\t90.0\tDrama\n" +
			"tt0000002\tmovie\tHalf\tHalf\t0\t1999.5\t90.5\tDrama\n" +
			"tt0000003\tmovie\tRounded\tRounded\t0\t1.999E+03\t-90\tDrama\n" +
			"tt0000004\tmovie\tAdult\tAdult\t1.0\t1999\t90\tDrama\n",
		imdb.CrewFile:  "tconst\tdirectors\ntt0000001\tnm0000001,nobody,nm0000002\n",
		imdb.NamesFile: "nconst\tprimaryName\nnm0000001\tAnn\nnm0000002\tBob\n",
		imdb.AkasFile: "titleId\tordering\ttitle\tregion\tlanguage\ttypes\tattributes\tisOriginalTitle\n" +
			"tt0000001\t\\N\tLast\tFR\t\\N\t\\N\t\\N\t0\ntt0000001\t2.0\tFirst\tDE\t\\N\t\\N\t\\N\t0\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, string(name)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	films, notes, counts := read(t, dir)
	want := []imdb.Film{
		{ID: "tt0000001", Line: 2, Title: "Floats", Year: 1999, RuntimeMinutes: 90, Genres: []string{"Drama"}, Directors: []string{"Ann", "Bob"}, AlternativeTitles: []string{"First", "Last"}},
		{ID: "tt0000002", Line: 3, Title: "Half", Genres: []string{"Drama"}},
		{ID: "tt0000003", Line: 4, Title: "Rounded", Genres: []string{"Drama"}},
	}
	if diff := cmp.Diff(want, films); diff != "" {
		t.Errorf("films (-want +got):\n%s", diff)
	}
	if counts.Rejected != 0 || counts.Adult != 1 || len(notes) != 6 {
		t.Errorf("%d rejected, %d adult, notes %q", counts.Rejected, counts.Adult, notes)
	}
}

// TestBehindTheEnd: after gzip data, zero bytes are padding, as for gzip(1), and anything else is an error that describes it.
func TestBehindTheEnd(t *testing.T) {
	const header = "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\truntimeMinutes\tgenres\n"
	one := packed(t, []byte(header+"tt0000001\tmovie\tOne\tOne\t0\t1999\t90\tDrama\n"))
	two := packed(t, []byte("tt0000002\tmovie\tTwo\tTwo\t0\t1999\t90\tDrama\n"))
	zeros := make([]byte, 300<<10)
	for name, tc := range map[string]struct {
		file  []byte
		films int
		want  string // of the error; empty if there is none
	}{
		"nothing":                  {one, 1, ""},
		"one zero byte":            {append(slices.Clone(one), 0), 1, ""},
		"many zero bytes":          {slices.Concat(one, zeros), 1, ""},
		"a member":                 {slices.Concat(one, two), 2, ""},
		"a member and zero bytes":  {slices.Concat(one, two, zeros[:100]), 2, ""},
		"an empty member":          {slices.Concat(one, packed(t, nil), two), 2, ""},
		"text":                     {append(slices.Clone(one), "<html>"...), 0, "followed by something that is not gzip data, beginning with byte 0x3c: if 'gzip -t' finds only trailing garbage, unpack it"},
		"text behind zero bytes":   {slices.Concat(one, zeros[:512], []byte("x")), 0, "followed by something that is not gzip data, beginning with byte 0x78"},
		"half a magic number":      {append(slices.Clone(one), 0x1f), 0, "the file is truncated; download it again"},
		"half a header":            {slices.Concat(one, two[:7]), 0, "the file is truncated; download it again"},
		"half a member":            {slices.Concat(one, two[:len(two)/2]), 0, "the file is truncated; download it again"},
		"half a checksum":          {one[:len(one)-5], 0, "the file is truncated; download it again"},
		"a member that is damaged": {slices.Concat(one, two[:12], []byte{0xff, 0xff}, two[14:]), 0, "the file is damaged; download it again"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "title.basics.tsv.gz"), tc.file, 0o600); err != nil {
				t.Fatal(err)
			}
			d, err := imdb.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			d.TempDir = t.TempDir()
			films := 0
			for _, e := range d.Films(t.Context()) {
				if err = e; err == nil {
					films++
				}
			}
			if films != tc.films || (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%d films, %v; want %d and %q", films, err, tc.films, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "name it without .gz") {
				t.Errorf("the advice is wrong: %v", err)
			}
		})
	}
}
