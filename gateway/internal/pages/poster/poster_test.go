package poster_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"movieexample.com/data"
	"movieexample.com/gateway/internal/pages/poster"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func demo(t testing.TB) []poster.Film {
	t.Helper()
	films, err := data.Films()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(films, func(a, b data.Film) int { return b.Popularity - a.Popularity })
	list := make([]poster.Film, len(films))
	for i, f := range films {
		list[i] = poster.Film{ID: f.ID, Title: f.Title, Year: f.Year, Genres: f.Genres, Director: f.Director}
	}
	return list
}

// TestGolden holds a few posters fast: a change of the system changes every
// installation's posters, and should be seen in review.
func TestGolden(t *testing.T) {
	for name, f := range map[string]poster.Film{
		"matrix":   {ID: "tt0133093", Title: "The Matrix", Year: 1999, Genres: []string{"Action", "Sci-Fi"}, Director: "Lana Wachowski, Lilly Wachowski"},
		"metropol": {ID: "tt0017136", Title: "Metropolis", Year: 1927, Genres: []string{"Drama", "Sci-Fi"}, Director: "Fritz Lang"},
		"hostile":  {ID: `"><script>`, Title: `<script>alert("1")</script> & 'co'`, Genres: []string{"<b>"}, Director: "</svg><img src=x onerror=alert(1)>"},
		"empty":    {},
	} {
		for size, suffix := range map[poster.Size]string{poster.Full: "full", poster.Thumb: "thumb"} {
			got := string(poster.SVG(f, size)) + "\n"
			path := filepath.Join("testdata", name+"_"+suffix+".svg")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs from its golden file (run with -update, look at it, and review)\n got %s\nwant %s", path, got, want)
			}
		}
	}
}

// inspect reads a poster as strict XML and checks what the package promises of
// any: known elements and attributes only, numbers that are numbers, title lines
// inside the column. It returns the text that is shown.
func inspect(t *testing.T, svg string) (shown []string) {
	t.Helper()
	elements := []string{"svg", "g", "path", "circle", "ellipse", "text"}
	numbers := []string{"x", "y", "cx", "cy", "r", "rx", "ry", "font-size", "textLength", "stroke-width", "pathLength"}
	others := []string{
		"class", "viewBox", "role", "aria-label", "aria-hidden", "font-family", "fill", "stroke", "d", "transform", "text-anchor",
		"lengthAdjust", "font-stretch", "font-weight", "stroke-dasharray", "stroke-linecap",
	}
	dec := xml.NewDecoder(strings.NewReader(svg))
	depth, inText := 0, false
	for {
		token, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("not well formed: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth++; !slices.Contains(elements, token.Name.Local) || (depth == 1) != (token.Name.Local == "svg") {
				t.Errorf("element %q at depth %d\n%s", token.Name.Local, depth, svg)
			}
			inText = token.Name.Local == "text"
			values := map[string]float64{}
			for _, a := range token.Attr {
				v, err := strconv.ParseFloat(a.Value, 64)
				switch {
				case slices.Contains(numbers, a.Name.Local):
					if err != nil || math.IsNaN(v) || math.Abs(v) > 2000 {
						t.Errorf("%s=%q\n%s", a.Name.Local, a.Value, svg)
					}
					values[a.Name.Local] = v
				case !slices.Contains(others, a.Name.Local):
					t.Errorf("attribute %s\n%s", a.Name.Local, svg)
				}
			}
			if length, ok := values["textLength"]; ok {
				if length > 176.2 || length < 0 {
					t.Errorf("a line of length %v in a column of 176\n%s", length, svg)
				}
				if y := values["y"]; y < 8 || y > 291 {
					t.Errorf("a line at %v\n%s", y, svg)
				}
				if values["font-size"] < 8 {
					t.Errorf("a line of size %v\n%s", values["font-size"], svg)
				}
			}
		case xml.EndElement:
			depth--
			inText = false
		case xml.CharData:
			if inText {
				shown = append(shown, string(token))
			}
		default:
			t.Errorf("token %T\n%s", token, svg)
		}
	}
	if len(svg) > 5000 {
		t.Errorf("%d bytes\n%s", len(svg), svg)
	}
	return shown
}

func FuzzSVG(f *testing.F) {
	for _, title := range []string{
		"The Matrix", "", " ", "M", "8½", "WALL·E", `<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "&amp;&#0;&lt;", "]]>", "<!--", "\x00\x01\xff\xfe￾￿",
		"七人の侍", "Сталкер", "الرسالة", "\u202Eevil", "🎬", "e\u0301\u0301\u0301", strings.Repeat("W", 400), strings.Repeat("a ", 300), strings.Repeat("ß", 99), ": ", "a: ", "The", "The :  x", "A: : b",
		"Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb", "ŉ ﬃ ǰ", "\u0301",
	} {
		f.Add(title, title, 1977, "drama", true)
		f.Add(title, "", -5, title, false)
	}
	f.Fuzz(func(t *testing.T, title, director string, year int, genre string, full bool) {
		film := poster.Film{ID: title + director, Title: title, Year: year, Genres: []string{genre, "Horror"}, Director: director}
		size := poster.Thumb
		if full {
			size = poster.Full
		}
		svg := poster.SVG(film, size)
		inspect(t, string(svg))
		if again := poster.SVG(film, size); again != svg {
			t.Errorf("drawn twice, two posters:\n%s\n%s", svg, again)
		}
	})
}

// TestTitleIsWhole: the poster shows the whole title, in order, with any line
// breaks.
func TestTitleIsWhole(t *testing.T) {
	for _, f := range demo(t) {
		shown := strings.Join(inspect(t, string(poster.SVG(poster.Film{ID: f.ID, Title: f.Title, Genres: []string{"War"}}, poster.Thumb))), " ")
		want := strings.ReplaceAll(strings.ToUpper(f.Title), "'", "’")
		if got := strings.ReplaceAll(shown, ":", ""); got != strings.ReplaceAll(want, ":", "") && !strings.HasSuffix(got, want) {
			t.Errorf("shown %q, the title is %q", shown, f.Title)
		}
	}
}

func TestContrast(t *testing.T) {
	for _, m := range poster.Mixes() {
		if r := poster.Ratio(m.Ink, m.Panel); r < 4.5 {
			t.Errorf("ink %s on %s: contrast %.2f, want at least 4.5", m.Ink, m.Panel, r)
		}
		for _, shape := range []string{m.A, m.B, m.C} {
			if d := distance(t, shape, m.Field); d < 75 {
				t.Errorf("shape %s on field %s: they differ by %.0f of 441, it cannot be seen", shape, m.Field, d)
			}
		}
	}
	for _, known := range []struct {
		x, y string
		want float64
	}{{"#000000", "#ffffff", 21}, {"#767676", "#ffffff", 4.54}, {"#ff0000", "#ffffff", 4.0}, {"#123456", "#123456", 1}} {
		if got := poster.Ratio(known.x, known.y); math.Abs(got-known.want) > 0.01 {
			t.Errorf("Ratio(%s, %s) = %.3f, want %v", known.x, known.y, got, known.want)
		}
	}
}

// distance is that of two colours as points of the RGB cube: shapes, unlike
// text, may differ from their ground by hue alone.
func distance(t *testing.T, x, y string) float64 {
	t.Helper()
	sum := 0.0
	for i := 1; i < 7; i += 2 {
		a, errA := strconv.ParseUint(x[i:i+2], 16, 8)
		b, errB := strconv.ParseUint(y[i:i+2], 16, 8)
		if errA != nil || errB != nil {
			t.Fatalf("colours %q, %q", x, y)
		}
		sum += (float64(a) - float64(b)) * (float64(a) - float64(b))
	}
	return math.Sqrt(sum)
}

func TestBytes(t *testing.T) {
	films := demo(t)
	for size, limit := range map[poster.Size]int{poster.Full: 1300, poster.Thumb: 1000} {
		total, longest, which := 0, 0, ""
		for _, f := range films {
			svg := string(poster.SVG(f, size))
			inspect(t, svg)
			total += len(svg)
			if len(svg) > longest {
				longest, which = len(svg), f.Title
			}
		}
		if mean := total / len(films); mean > limit {
			t.Errorf("size %d: %d bytes a poster, want at most %d", size, mean, limit)
		} else {
			t.Logf("size %d: %d bytes a poster, the longest %d (%s)", size, mean, longest, which)
		}
		if longest > 3000 {
			t.Errorf("size %d: %d bytes for %s", size, longest, which)
		}
	}
}

// TestSpread looks at the wall of the thirty most popular films as a visitor does:
// no two beside or above each other are alike, at any width of the wall, and
// nothing repeats so much that it looks like a default.
func TestSpread(t *testing.T) {
	wall := demo(t)[:30]
	for columns := 2; columns <= 10; columns++ {
		for i, f := range wall {
			for _, j := range []int{i + 1, i + columns} {
				if j < len(wall) && poster.Chosen(f) == poster.Chosen(wall[j]) {
					t.Errorf("%s and %s share palette and motif, %d apart", f.Title, wall[j].Title, j-i)
				}
			}
		}
	}
	distinct := map[poster.Choice]bool{}
	for _, f := range wall {
		distinct[poster.Chosen(f)] = true
	}
	if len(distinct) < 26 {
		t.Errorf("30 posters have %d pairs of palette and motif, want 26", len(distinct))
	}

	palettes, motifs := map[string]int{}, map[int]int{}
	all := demo(t)
	for _, f := range all {
		palettes[poster.Chosen(f).Palette]++
		motifs[poster.Chosen(f).Motif]++
	}
	for m := range poster.Motifs {
		if n := motifs[m]; n == 0 || n > len(all)/8 {
			t.Errorf("motif %d is on %d of %d posters", m, n, len(all))
		}
	}
	for p, n := range palettes {
		if n > len(all)/6 {
			t.Errorf("palette %s is on %d of %d posters", p, n, len(all))
		}
	}
}

func TestEveryGenreLeans(t *testing.T) {
	for _, g := range data.Genres() {
		if !poster.KnownGenre(g) {
			t.Errorf("genre %s has no mood and no motifs", g)
		}
	}
}

// TestFontIsTheMeasuredOne: the recorded widths belong to these very files.
func TestFontIsTheMeasuredOne(t *testing.T) {
	notes, err := os.ReadFile("../assets/fonts/VENDOR.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../assets/fonts/*.woff2")
	if err != nil || len(files) != 2 {
		t.Fatalf("fonts %v, error %v", files, err)
	}
	for _, file := range append(files, "../assets/fonts/OFL.txt") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if !strings.Contains(string(notes), hex.EncodeToString(sum[:])) {
			t.Errorf("%s has sha256 %x, which VENDOR.md does not record: measure its widths again", filepath.Base(file), sum)
		}
	}
}

func TestAllocations(t *testing.T) {
	film := poster.Film{ID: "tt0120737", Title: "The Lord of the Rings: The Fellowship of the Ring", Year: 2001, Genres: []string{"Adventure", "Fantasy"}, Director: "Peter Jackson"}
	if n := testing.AllocsPerRun(50, func() { poster.SVG(film, poster.Full) }); n > 40 {
		t.Errorf("%v allocations a poster, want at most 40", n)
	}
}

func BenchmarkSVG(b *testing.B) {
	films := demo(b)
	b.ReportAllocs()
	bytes, i := 0, 0
	for b.Loop() {
		bytes += len(poster.SVG(films[i%len(films)], poster.Thumb))
		i++
	}
	b.ReportMetric(float64(bytes)/float64(i), "bytes/poster")
}

// A second title is placed below the first with its "or", and words before a name above it.
func TestSecondTitles(t *testing.T) {
	for title, want := range map[string][]string{
		"Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb": {"DR.", "STRANGELOVE", "OR: HOW I LEARNED TO STOP", "WORRYING AND LOVE THE BOMB"},
		"Birdman or (The Unexpected Virtue of Ignorance)":                      {"BIRDMAN", "OR (THE UNEXPECTED", "VIRTUE OF IGNORANCE)"},
		"Mr. Turner": {"MR.", "TURNER"},
	} {
		var got []string
		for _, line := range inspect(t, string(poster.SVG(poster.Film{ID: "x", Title: title}, poster.Thumb))) {
			if strings.TrimSpace(line) != "" {
				got = append(got, line)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is set as %q, want %q", title, got, want)
		}
	}
}

// A poster as a document is the poster, in its namespace, with its own size and fonts to fall back to.
func TestDocument(t *testing.T) {
	f := poster.Film{ID: "tt0133093", Title: "The Matrix & <co>", Year: 1999}
	doc := string(poster.Document(f))
	if !strings.HasPrefix(doc, `<svg xmlns="http://www.w3.org/2000/svg" width="600" height="900" `) || !strings.Contains(doc, "League Gothic,Impact,Haettenschweiler") {
		t.Errorf("starts with %.200s", doc)
	}
	svg := string(poster.SVG(f, poster.Full))
	_, tail, _ := strings.Cut(svg, "sans-serif")
	if !strings.HasSuffix(doc, tail) {
		t.Error("the drawing is another one")
	}
	if err := xml.Unmarshal([]byte(doc), new(struct{ XMLName xml.Name })); err != nil {
		t.Error(err)
	}
}
