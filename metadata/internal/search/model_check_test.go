package search

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// Names are made of few words, so that queries find something and films compete.
var (
	someWords = []string{
		"The", "the", "A", "La", "Die", "L'été", "L’Avventura", "Matrix", "Matrx", "Matrices", "Star", "Stars", "Wars", "War", "Spider-Man", "Spiderman",
		"X-Men", "2001", "1984", "2", "3", "8½", "Amélie", "Schindler's", "List", "Nolan", "Christopher", "Spielberg", "Speilberg", "WALL·E", "$", "&", "and",
		"Crouching", "Tiger,", "Inception", "Inceptions", "千と千尋", "Straße", "o", "M", "Independence", "Independance", "rock'n'roll", "Se7en",
		"E.T.", "A.I.", "C++", "C#", "II", "Two", "X", "10", "Shark", "Shrk", "Notorious", "Norious", "Starwars", "Terminator2", "Terminator", "3idiots",
	}
	someGenres = []string{"Action", "action", "Drama", "Sci-Fi", "SCI-FI", "Comedy", " ", "Straße"}
	someYears  = []int{0, 1, 1979, 1984, 1994, 1999, 2001, 2009, 9999, 10_000, -5}
)

func nameGen() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		words := rapid.SliceOfN(rapid.SampledFrom(someWords), 1, 4).Draw(t, "words")
		name := strings.Join(words, " ")
		if rapid.IntRange(0, 9).Draw(t, "moved") == 0 {
			name += ", The"
		}
		return name
	})
}

func filmGen(ids int) *rapid.Generator[Film] {
	return rapid.Custom(func(t *rapid.T) Film {
		f := Film{
			ID:       "id" + string(rune('a'+rapid.IntRange(0, ids-1).Draw(t, "id"))),
			Title:    nameGen().Draw(t, "title"),
			Director: rapid.OneOf(rapid.Just(""), nameGen()).Draw(t, "director"),
			Year:     rapid.SampledFrom(someYears).Draw(t, "year"),
			Genres:   rapid.SliceOfN(rapid.SampledFrom(someGenres), 0, 3).Draw(t, "genres"),
			Votes:    rapid.Int32Range(-1, 3).Draw(t, "votes"),
		}
		if rapid.Bool().Draw(t, "other names") {
			f.Original = nameGen().Draw(t, "original")
			f.Alternatives = rapid.SliceOfN(nameGen(), 0, 2).Draw(t, "alternatives")
		}
		return f
	})
}

// queryGen makes queries of the words of names, mistyped now and then, and cut off at the end.
func queryGen() *rapid.Generator[Query] {
	return rapid.Custom(func(t *rapid.T) Query {
		words := rapid.SliceOfN(rapid.SampledFrom(someWords), 1, 4).Draw(t, "query")
		if rapid.IntRange(0, 3).Draw(t, "with year") == 0 {
			words = append(words, rapid.SampledFrom([]string{"1979", "(1984)", "2001", "1984"}).Draw(t, "year"))
		}
		runes := []rune(strings.Join(words, " "))
		for range rapid.IntRange(0, 3).Draw(t, "typos") {
			if len(runes) < 2 {
				break
			}
			at := rapid.IntRange(0, len(runes)-2).Draw(t, "at")
			switch rapid.IntRange(0, 3).Draw(t, "typo") {
			case 0:
				runes = slices.Delete(runes, at, at+1)
			case 1:
				runes[at], runes[at+1] = runes[at+1], runes[at]
			case 2:
				runes[at] = 'x'
			case 3:
				runes = slices.Insert(runes, at, 'e')
			}
		}
		runes = runes[:len(runes)-min(len(runes)-1, rapid.IntRange(0, 4).Draw(t, "cut"))]
		q := Query{Text: string(runes), Limit: rapid.IntRange(0, 5).Draw(t, "limit")}
		if rapid.Bool().Draw(t, "genre filter") {
			q.Genre = rapid.SampledFrom(someGenres).Draw(t, "genre")
		}
		if q.HasDecade = rapid.Bool().Draw(t, "decade filter"); q.HasDecade {
			q.Decade = rapid.SampledFrom([]int{0, 1970, 1980, 2000, 9990, 1985, 12_340}).Draw(t, "decade")
		}
		return q
	})
}

// answerOf is the index's answer in the form of the model's.
func answerOf(t *rapid.T, x *Index, films model, q Query) answer {
	r := x.Search(q)
	a := answer{More: r.Next != nil, Total: r.Total, Genres: r.Genres, Decades: r.Decades}
	parsed := parse(q.Text)
	for i, h := range r.Hits {
		f, ok := films[h.ID]
		if !ok {
			t.Fatalf("%+q finds %q, which is no film", q.Text, h.ID)
		}
		p := Position{Tier: films.tier(parsed, f), Votes: f.Votes, Key: entryOf(f).key, ID: f.ID}
		a.Hits = append(a.Hits, p)
		if i == len(r.Hits)-1 && r.Next != nil && *r.Next != p {
			t.Errorf("%+q: the next page starts after %+v, want %+v", q.Text, *r.Next, p)
		}
		checkHit(t, q.Text, f, h, p.Tier)
	}
	return a
}

// checkHit checks a hit against its film and tier.
func checkHit(t *rapid.T, queryText string, f Film, h Hit, tier int) {
	kinds := map[int][]Kind{
		tierSame: {Exact}, tierAsTyped: {Exact}, tierExact: {Exact}, tierBegins: {Title}, tierTitle: {Title}, tierYear: {Title},
		tierAll: {Title, Director}, tierForms: {Spelling}, tierName: {Spelling}, tierTypo: {Spelling}, tierTypos: {Spelling},
	}
	if !slices.Contains(kinds[tier], h.Kind) {
		t.Errorf("%+q finds %+v in tier %d as kind %d", queryText, f, tier, h.Kind)
	}
	if got := joined(h.Title); got != f.Title {
		t.Errorf("%+q: title %q comes in pieces %+v", queryText, f.Title, h.Title)
	}
	if h.MatchedName == nil {
		return
	}
	parsed := parse(queryText)
	if _, ok := parsed.matches(f.Year, f.Title); ok {
		t.Errorf("%+q: %+v matches by %+v, though its title has every word", queryText, f, h.MatchedName)
	}
	if got := joined(h.MatchedName); !slices.Contains(append(slices.Clone(f.Alternatives), f.Director), got) {
		t.Errorf("%+q: matched name %q is not of %+v", queryText, got, f)
	}
}

func joined(pieces []Piece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.Text)
	}
	return b.String()
}

// TestModel changes a catalogue in batches of any size and cut, on an index that merges all the time, and compares
// every answer with the model's.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		films := model{}
		x := newIndex(levels{smallest: rapid.IntRange(1, 4).Draw(t, "smallest"), fanout: rapid.IntRange(2, 3).Draw(t, "fanout")})
		t.Repeat(map[string]func(*rapid.T){
			"apply": func(t *rapid.T) {
				changes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Change {
					return Change{Film: filmGen(26).Draw(t, "film"), Deleted: rapid.IntRange(0, 4).Draw(t, "deleted") == 0}
				}), 1, 12).Draw(t, "changes")
				x.Apply(changes)
				films.apply(changes)
			},
			"votes": func(t *rapid.T) {
				votes := map[string]int32{"missing": 5}
				for id := range films {
					votes[id] = rapid.Int32Range(0, 3).Draw(t, "votes")
				}
				x.SetVotes(votes)
				films.setVotes(votes)
			},
			"merge": func(*rapid.T) { x.Wait() },
			"": func(t *rapid.T) {
				q := queryGen().Draw(t, "q")
				var pages int
				for {
					want, got := films.search(q), answerOf(t, x, films, q)
					if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
						t.Fatalf("%+v page %d (-want +got):\n%s", q, pages, diff)
					}
					if !want.More {
						break
					}
					q.After = &want.Hits[len(want.Hits)-1]
					pages++
				}
				if diff := cmp.Diff(films.stats(), x.Stats(), cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("stats (-want +got):\n%s", diff)
				}
			},
		})
		x.Wait()
	})
}
