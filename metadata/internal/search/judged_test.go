package search_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"

	"movieexample.com/data"
	"movieexample.com/metadata/internal/search"
	"movieexample.com/movielens"
)

// judgement is a line of testdata/judged.jsonl: a query, and the film that a person who sees the
// catalogue and its numbers of ratings expects first. Judgements were made before the engine ran,
// and do not change when it answers differently.
type judgement struct {
	Query string `json:"query"`
	// Want is the film's id, "" if no film should be found.
	Want string `json:"want"`
	// Film is its title and year, for readers of the file.
	Film  string `json:"film"`
	Class string `json:"class"`
	Note  string `json:"note"`
}

// The least shares of queries that find the wanted film first, and among the first five.
const (
	minFirst = 0.97
	minFive  = 0.99
)

func TestJudged(t *testing.T) {
	films := lensFilms(t)
	if films == nil {
		return
	}
	x := search.New()
	x.Apply(films)
	t.Cleanup(x.Wait)
	ids := map[string]string{}
	for _, c := range films {
		ids[c.Film.ID] = c.Film.Title
	}

	type share struct{ first, five, all int }
	byClass := map[string]*share{}
	var classes []string
	total := &share{}
	for _, j := range judgements(t) {
		if j.Want != "" && ids[j.Want] == "" {
			t.Errorf("%q: no film has the id %q (%s)", j.Query, j.Want, j.Film)
		}
		if byClass[j.Class] == nil {
			byClass[j.Class] = &share{}
			classes = append(classes, j.Class)
		}
		var got []string
		for _, h := range x.Search(search.Query{Text: j.Query, Limit: 5}).Hits {
			got = append(got, h.ID)
		}
		first := len(got) > 0 && got[0] == j.Want || len(got) == 0 && j.Want == ""
		five := slices.Contains(got, j.Want) || first
		for _, s := range []*share{byClass[j.Class], total} {
			s.all++
			if first {
				s.first++
			}
			if five {
				s.five++
			}
		}
		if !first {
			var titles []string
			for _, id := range got {
				titles = append(titles, ids[id])
			}
			t.Logf("%s: %q finds %q, wanted %q (%s)", j.Class, j.Query, titles, j.Film, j.Note)
		}
	}
	percent := func(n, of int) float64 { return 100 * float64(n) / float64(of) }
	for _, c := range classes {
		s := byClass[c]
		t.Logf("%-12s %3d queries, first hit %5.1f %%, first five %5.1f %%", c, s.all, percent(s.first, s.all), percent(s.five, s.all))
	}
	t.Logf("%-12s %3d queries, first hit %5.1f %%, first five %5.1f %%", "all", total.all, percent(total.first, total.all), percent(total.five, total.all))
	if total.all < 140 {
		t.Errorf("%d judged queries, want 140 or more", total.all)
	}
	if got := percent(total.first, total.all); got < 100*minFirst {
		t.Errorf("the first hit is right for %.1f %% of the queries, want %.0f %%", got, 100*minFirst)
	}
	if got := percent(total.five, total.all); got < 100*minFive {
		t.Errorf("the wanted film is among the first five for %.1f %% of the queries, want %.0f %%", got, 100*minFive)
	}
}

func judgements(t *testing.T) []judgement {
	t.Helper()
	file, err := os.Open("testdata/judged.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out []judgement
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var j judgement
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			t.Fatalf("judged.jsonl, line %d: %v", len(out)+1, err)
		}
		out = append(out, j)
	}
	return out
}

// lensFilms are the films of ml-latest-small with their numbers of ratings as votes, filled from the demo
// catalogue as an import does. The data set's licence forbids redistribution, so MOVIELENS_DIR says where
// it is; without it they are nil.
func lensFilms(t *testing.T) []search.Change {
	t.Helper()
	path := os.Getenv("MOVIELENS_DIR")
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("MOVIELENS_DIR is not set, and this is CI")
		}
		t.Log("MOVIELENS_DIR is not set: the judged queries were not checked")
		return nil
	}
	dir, err := movielens.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	demo, err := data.Films()
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]data.Film{}
	for _, f := range demo {
		ours[f.ID] = f
	}
	votes := map[int64]int32{}
	var bad *movielens.RowError
	for r, err := range dir.Ratings(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		votes[r.MovieID]++
	}
	var out []search.Change
	for m, err := range dir.Catalogue(t.Context()) {
		if errors.As(err, &bad) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		f := search.Film{
			ID: m.ImportID(), Title: m.Title, Original: m.OriginalTitle, Alternatives: m.AlternativeTitles,
			Year: m.Year, Genres: m.Genres, Votes: votes[m.ID],
		}
		if other, ok := ours[f.ID]; ok {
			f.Director = other.Director
			f.Alternatives = append(f.Alternatives, other.Title)
			if f.Original == "" {
				f.Original = other.OriginalTitle
			} else {
				f.Alternatives = append(f.Alternatives, other.OriginalTitle)
			}
		}
		out = append(out, search.Change{Film: f})
	}
	return out
}
