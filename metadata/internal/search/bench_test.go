package search_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"movieexample.com/metadata/internal/search"
)

// generator generates a catalogue: titles of one to eight words, frequent and rare ones as in a language.
// The same seed gives the same films.
type generator struct {
	r *rand.Rand
	// words are some 200,000, most frequent first.
	words []string
	// heads are the sums of the frequencies of words.
	heads []float64
}

func newGenerator(seed uint64) *generator {
	g := &generator{r: rand.New(rand.NewPCG(seed, 4))}
	g.words = []string{"the", "of", "a", "and", "in", "la", "to", "love", "man", "night", "de", "le", "der", "el", "on", "my", "life", "house", "girl", "day"}
	seen := map[string]bool{}
	for _, w := range g.words {
		seen[w] = true
	}
	onsets := strings.Fields("b br c ch cl d dr f fl g gr h j k kr l m n p pr qu r s sh sl st str t th tr v w z")
	nuclei := strings.Fields("a a e e e i i o o u y ai ea ee io ou")
	codas := strings.Fields("n r s t l m d ck ng rd st nd")
	for len(g.words) < 200_000 {
		var b strings.Builder
		for range 1 + g.r.IntN(2) + g.r.IntN(3) {
			b.WriteString(onsets[g.r.IntN(len(onsets))])
			b.WriteString(nuclei[g.r.IntN(len(nuclei))])
			if g.r.IntN(3) == 0 {
				b.WriteString(codas[g.r.IntN(len(codas))])
			}
		}
		if w := b.String(); !seen[w] {
			seen[w] = true
			g.words = append(g.words, w)
		}
	}
	sum := 0.0
	for i := range g.words {
		sum += 1 / math.Pow(float64(i)+2, 0.95)
		g.heads = append(g.heads, sum)
	}
	return g
}

func (g *generator) word() string {
	at, _ := slices.BinarySearch(g.heads, g.r.Float64()*g.heads[len(g.heads)-1])
	return g.words[min(at, len(g.words)-1)]
}

func (g *generator) name() string {
	n := 1 + min(g.r.IntN(4)+g.r.IntN(5), 7)
	words := make([]string, n)
	for i := range words {
		w := g.word()
		words[i] = strings.ToUpper(w[:1]) + w[1:]
		if g.r.IntN(40) == 0 && i > 0 {
			words[i] = words[i-1] + "-" + words[i]
		}
	}
	name := strings.Join(words, " ")
	switch g.r.IntN(8) {
	case 0, 1:
		name = "The " + name
	case 2:
		name += fmt.Sprint(": ", words[0], " ", 2+g.r.IntN(4))
	}
	return name
}

func (g *generator) film(i int) search.Film {
	genres := [...]string{
		"Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir",
		"Horror", "IMAX", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western", "Family",
	}
	f := search.Film{
		ID: fmt.Sprintf("tt%07d", 1_000_000+i), Title: g.name(),
		Year:  2025 - int(math.Abs(g.r.NormFloat64())*30),
		Votes: int32(300_000 / math.Pow(1+g.r.Float64()*1_000_000, 0.9)),
	}
	for range 1 + g.r.IntN(3) {
		f.Genres = append(f.Genres, genres[int(float64(len(genres))*math.Pow(g.r.Float64(), 1.7))])
	}
	if g.r.IntN(6) == 0 {
		f.Original = g.name()
	}
	if g.r.IntN(20) == 0 {
		f.Alternatives = []string{g.name()}
	}
	// Some hundred thousand directors.
	first, last := g.words[100+g.r.IntN(1000)], g.words[2000+g.r.IntN(30_000)]
	f.Director = strings.ToUpper(first[:1]) + first[1:] + " " + strings.ToUpper(last[:1]) + last[1:]
	return f
}

// prefixQuery is the start of a query for the film: one to three words, the last of
// them up to its eighth letter.
func (g *generator) prefixQuery(f search.Film) search.Query {
	words := strings.Fields(strings.ToLower(f.Title))
	from := g.r.IntN(len(words))
	words = words[from:min(len(words), from+1+g.r.IntN(3))]
	last := &words[len(words)-1]
	*last = (*last)[:min(len(*last), 1+g.r.IntN(8))]
	return g.filtered(search.Query{Text: strings.Join(words, " ")})
}

// typoQuery is one to four words of the film, one or two of them mistyped.
func (g *generator) typoQuery(f search.Film) search.Query {
	words := strings.Fields(strings.ToLower(f.Title))
	from := g.r.IntN(len(words))
	words = words[from:min(len(words), from+1+g.r.IntN(4))]
	for range 1 + g.r.IntN(2) {
		w := []byte(words[g.r.IntN(len(words))])
		if len(w) < 5 {
			w = []byte(g.words[5000+g.r.IntN(100_000)])
		}
		at := g.r.IntN(len(w) - 1)
		switch g.r.IntN(3) {
		case 0:
			w[at], w[at+1] = w[at+1], w[at]
		case 1:
			w = slices.Delete(w, at, at+1)
		case 2:
			w[at] = byte('a' + g.r.IntN(26))
		}
		words[g.r.IntN(len(words))] = string(w)
	}
	return g.filtered(search.Query{Text: strings.Join(words, " ")})
}

func (g *generator) filtered(q search.Query) search.Query {
	q.Limit = 50
	if g.r.IntN(4) == 0 {
		q.Genre = "drama"
	}
	if g.r.IntN(4) == 0 {
		q.HasDecade, q.Decade = true, 1990
	}
	return q
}

// BenchmarkMillion is about a catalogue of a million films. Besides the mean it gives the time that half of the
// queries and 99 of 100 stay below; counts by genre and decade are part of every query.
func BenchmarkMillion(b *testing.B) {
	const films = 1_000_000
	g := newGenerator(1)
	all := make([]search.Film, films)
	for i := range all {
		all[i] = g.film(i)
	}
	before := heap()
	x := search.New()
	start := time.Now()
	for batch := range slices.Chunk(all, 50_000) {
		x.Apply(puts(batch))
	}
	x.Wait()
	b.Logf("%d films: built in %.1f s, %d bytes each", films, time.Since(start).Seconds(), (heap()-before)/films)

	// target is the target p99; 0 if there is none. "make bench" runs every query of the list twice.
	measure := func(name string, target time.Duration, query func(search.Film) search.Query) {
		queries := make([]search.Query, 2000)
		for i := range queries {
			queries[i] = query(all[g.r.IntN(films)])
		}
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			found := 0
			for b.Loop() {
				q := queries[len(took)%len(queries)]
				start := time.Now()
				found += x.Search(q).Total
				took = append(took, time.Since(start))
			}
			report(b, took)
			b.ReportMetric(float64(found)/float64(len(took)), "films/op")
			if target > 0 && len(took) >= len(queries) {
				row(b, name, target, took)
			}
		})
	}
	measure("prefix", 25*time.Millisecond, g.prefixQuery)
	measure("letter", 0, func(f search.Film) search.Query {
		return g.filtered(search.Query{Text: strings.ToLower(f.Title[:1])})
	})
	measure("the", 0, func(f search.Film) search.Query {
		return g.filtered(search.Query{Text: "the " + strings.ToLower(f.Title[:1])})
	})
	measure("typo", 60*time.Millisecond, g.typoQuery)
	measure("whole title", 0, func(f search.Film) search.Query { return g.filtered(search.Query{Text: f.Title}) })

	b.Run("similar", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			start := time.Now()
			x.Similar(all[len(took)*7919%films].ID, 50)
			took = append(took, time.Since(start))
		}
		report(b, took)
	})
	for _, n := range []int{1, 200} {
		b.Run(fmt.Sprintf("apply %d", n), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				batch := make([]search.Film, n)
				for i := range batch {
					batch[i] = all[g.r.IntN(films)]
					batch[i].Title = g.name()
				}
				start := time.Now()
				x.Apply(puts(batch))
				took = append(took, time.Since(start))
			}
			report(b, took)
			x.Wait()
		})
	}
	b.Run("votes of 5000", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			votes := map[string]int32{}
			for range 5000 {
				votes[all[g.r.IntN(films)].ID] = g.r.Int32N(1000)
			}
			start := time.Now()
			x.SetVotes(votes)
			took = append(took, time.Since(start))
		}
		report(b, took)
	})
}

func puts(films []search.Film) []search.Change {
	changes := make([]search.Change, len(films))
	for i, f := range films {
		changes[i].Film = f
	}
	return changes
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}

// row prints the line of docs/performance.md. took is sorted.
func row(b *testing.B, name string, target time.Duration, took []time.Duration) {
	b.Helper()
	p99, holds := took[len(took)*99/100], "no"
	if p99 <= target {
		holds = "yes"
	}
	_, err := fmt.Fprintf(os.Stdout, "| search among a million films, %s, p50 / p99 | %s / %s | – | – | ≤ %s (p99) | %s |\n",
		name, took[len(took)/2].Round(10*time.Microsecond), p99.Round(10*time.Microsecond), target, holds)
	if err != nil {
		b.Fatal(err)
	}
}
