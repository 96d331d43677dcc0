package search_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"movieexample.com/metadata/internal/search"
)

// TestWalk pages through an answer while films are put, changed and deleted: a film that does not change
// is on the pages exactly once, and none is twice at the same place.
func TestWalk(t *testing.T) {
	titles := rapid.SampledFrom([]string{"Star", "The Star", "Stars", "Starr", "Star Wars", "Wars of a Star", "Dust"})
	rapid.Check(t, func(t *rapid.T) {
		x := search.New()
		films := map[string]search.Film{}
		for i := range rapid.IntRange(1, 40).Draw(t, "films") {
			f := search.Film{ID: fmt.Sprint(i), Title: titles.Draw(t, "title"), Votes: rapid.Int32Range(0, 3).Draw(t, "votes")}
			films[f.ID] = f
			x.Apply([]search.Change{{Film: f}})
		}
		touched := map[string]bool{}
		seen := map[string]int{}
		q := search.Query{Text: "star", Limit: rapid.IntRange(1, 7).Draw(t, "limit")}
		for {
			r := x.Search(q)
			for _, h := range r.Hits {
				seen[h.ID]++
			}
			if r.Next == nil {
				break
			}
			q.After = r.Next
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				f := search.Film{ID: fmt.Sprint(rapid.IntRange(0, 50).Draw(t, "id")), Title: titles.Draw(t, "title"), Votes: rapid.Int32Range(0, 3).Draw(t, "votes")}
				touched[f.ID] = true
				x.Apply([]search.Change{{Film: f, Deleted: rapid.Bool().Draw(t, "deleted")}})
			}
		}
		for id, f := range films {
			want := 1
			if f.Title == "Dust" {
				want = 0
			}
			if !touched[id] && seen[id] != want {
				t.Errorf("film %+v is on the pages %d times, want %d", f, seen[id], want)
			}
		}
		x.Wait()
	})
}

// TestSmallPages: pages of any size, joined, are one large page.
func TestSmallPages(t *testing.T) {
	x := shelf(t)
	for _, text := range []string{"the", "matrix", "a", "2001", "die hard", "alien"} {
		whole := x.Search(search.Query{Text: text, Limit: 1000})
		if whole.Next != nil || len(whole.Hits) != whole.Total {
			t.Fatalf("%q: %d hits of %d, next %v", text, len(whole.Hits), whole.Total, whole.Next)
		}
		for limit := 1; limit <= 5; limit++ {
			q := search.Query{Text: text, Limit: limit}
			var got []search.Hit
			for {
				r := x.Search(q)
				got = append(got, r.Hits...)
				if r.Total != whole.Total {
					t.Errorf("%q: %d in all on a later page, want %d", text, r.Total, whole.Total)
				}
				if q.After = r.Next; q.After == nil {
					break
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(whole.Hits) {
				t.Errorf("%q in pages of %d: %v, want %v", text, limit, got, whole.Hits)
			}
		}
	}
}

// TestReadersAndWriters runs everything at once, under the race detector, and checks the invariants of answers.
func TestReadersAndWriters(t *testing.T) {
	x := search.New()
	film := func(i, version int) search.Change {
		return search.Change{Film: search.Film{
			ID: fmt.Sprint(i), Title: fmt.Sprintf("Star %d of %d", i, version), Year: 1900 + i%100, Genres: []string{"Drama"}, Votes: int32(version),
		}}
	}
	const films = 1000
	var all []search.Change
	for i := range films {
		all = append(all, film(i, 0))
	}
	x.Apply(all)
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for w := range 2 {
		writers.Go(func() {
			for version := range 60 {
				var changes []search.Change
				votes := map[string]int32{}
				for i := w; i < films; i += 7 {
					changes = append(changes, film(i, version))
					votes[fmt.Sprint(i)] = int32(version)
				}
				x.Apply(changes)
				x.SetVotes(votes)
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := x.Search(search.Query{Text: "star", Limit: 20})
				if r.Total != films || len(r.Hits) != 20 || len(r.Genres) != 1 || r.Genres[0].Count != films {
					t.Errorf("%d films, %d hits, genres %v", r.Total, len(r.Hits), r.Genres)
					return
				}
				if like, ok := x.Similar("5", 3); !ok || len(like) != 3 {
					t.Errorf("similar films: %v, %v", like, ok)
					return
				}
				if n := x.Stats().Films; n != films {
					t.Errorf("%d films in the statistics", n)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	x.Wait()
}

func TestSimilar(t *testing.T) {
	x := search.New()
	t.Cleanup(x.Wait)
	x.Apply([]search.Change{
		{Film: search.Film{ID: "alien", Title: "Alien", Year: 1979, Genres: []string{"Horror", "Sci-Fi"}}},
		{Film: search.Film{ID: "same", Title: "Same", Year: 1979, Genres: []string{"SCI-FI", "horror"}}},
		{Film: search.Film{ID: "later", Title: "Later", Year: 1989, Genres: []string{"Horror", "Sci-Fi"}, Votes: 5}},
		{Film: search.Film{ID: "earlier", Title: "Earlier", Year: 1969, Genres: []string{"Horror", "Sci-Fi"}, Votes: 6}},
		{Film: search.Film{ID: "b", Title: "B", Genres: []string{"Horror"}}},
		{Film: search.Film{ID: "a", Title: "A", Genres: []string{"Horror"}}},
		{Film: search.Film{ID: "third", Title: "Third", Year: 1979, Genres: []string{"Horror", "War"}}},
		{Film: search.Film{ID: "none", Title: "None", Year: 1979, Genres: []string{"War"}}},
		{Film: search.Film{ID: "empty", Title: "Empty", Year: 1979}},
	})
	like, ok := x.Similar("alien", 10)
	want := "[{same 1} {earlier 0.5} {later 0.5} {third 0.3333333333333333} {a 0.125} {b 0.125}] true"
	if got := fmt.Sprint(like, ok); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if like, ok := x.Similar("alien", 2); !ok || len(like) != 2 || like[1].ID != "earlier" {
		t.Errorf("the first two: %v, %v", like, ok)
	}
	if like, ok := x.Similar("empty", 10); !ok || like != nil {
		t.Errorf("without genres: %v, %v", like, ok)
	}
	if like, ok := x.Similar("missing", 10); ok || like != nil {
		t.Errorf("of no film: %v, %v", like, ok)
	}
	x.Apply([]search.Change{{Film: search.Film{ID: "same"}, Deleted: true}})
	if like, _ := x.Similar("alien", 1); len(like) != 1 || like[0].ID != "earlier" {
		t.Errorf("after the most similar film is deleted: %v", like)
	}
}

// TestLimits: longer queries are cut, and nothing else happens.
func TestLimits(t *testing.T) {
	x := shelf(t)
	filled := "alien" + strings.Repeat(" alien", 100)
	if got := find(x, filled); !slices.Contains(got, "alien title") {
		t.Errorf("%d characters: %v", len(filled), got)
	}
	// The thirteenth word does not count.
	if got := find(x, strings.Repeat("alien ", 12)+"nonsense"); !slices.Contains(got, "alien title") {
		t.Errorf("thirteen words: %v", got)
	}
	if got := find(x, strings.Repeat("alien ", 11)+"nonsense"); len(got) != 0 {
		t.Errorf("twelve words: %v", got)
	}
	long := strings.Repeat("漢𝄞x", 50)
	x.Apply([]search.Change{{Film: search.Film{ID: "long", Title: long}}})
	if got := find(x, long); len(got) != 1 || got[0] != "long exact" {
		t.Errorf("a title of 150 characters: %v", got)
	}
	if got := find(x, strings.Repeat("q-", 150)); len(got) != 0 {
		t.Errorf("a chain of letters: %v", got)
	}
}
