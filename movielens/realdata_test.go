package movielens_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"movieexample.com/movielens"
)

// realData opens the data set that MOVIELENS_DIR names. Its licence does not let
// it into the repository, so without the variable there is nothing to test here;
// with it, everything here must hold.
func realData(t *testing.T) *movielens.Dir {
	t.Helper()
	path := os.Getenv("MOVIELENS_DIR")
	if path == "" {
		return nil
	}
	d, err := movielens.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRealCatalogue(t *testing.T) {
	d := realData(t)
	if d == nil {
		return
	}
	films, rejects, err := collect(d.Catalogue(t.Context()))
	if err != nil || len(rejects) > 0 {
		t.Fatalf("rejects %q, error %v", rejects, err)
	}
	if len(films) != 9742 {
		t.Errorf("%d movies, want 9,742", len(films))
	}
	ids := make(map[string]bool)
	byID := make(map[int64]movielens.Film)
	titleYears := make(map[string]int)
	count := make(map[string]int)
	for _, f := range films {
		ids[f.ImportID()] = true
		byID[f.ID] = f
		titleYears[f.Title+string(rune(f.Year))]++
		if f.Year == 0 {
			count["no year"]++
			t.Logf("no year: %q", f.Title)
		}
		if f.OriginalTitle != "" {
			count["original title"]++
		}
		if len(f.Genres) == 0 {
			count["no genres"]++
		}
		if f.TMDB == "" {
			count["no tmdb"]++
		}
		if !strings.HasPrefix(f.IMDb, "tt") {
			count["no imdb"]++
		}
		for _, title := range append([]string{f.Title, f.OriginalTitle}, f.AlternativeTitles...) {
			if regexp.MustCompile(`, (The|An?|L[aeo]s?|L'|El|Il|D(ie|er|as))$|\(\d{4}|  |^ | $|a\.k\.a`).MatchString(title) {
				t.Errorf("movie %d: %q is not a clean title", f.ID, title)
			}
		}
		if f.Title == "" {
			t.Errorf("movie %d has no title", f.ID)
		}
		if f.Year != 0 && (f.Year < 1902 || f.Year > 2018) {
			t.Errorf("movie %d: year %d", f.ID, f.Year)
		}
		if strings.ContainsRune(f.Title, '(') {
			t.Logf("kept: %q", f.Title)
		}
	}
	if len(ids) != len(films) {
		t.Errorf("%d different import ids for %d films", len(ids), len(films))
	}
	for _, n := range titleYears {
		if n > 1 {
			count["title and year twice"]++
		}
	}
	for what, want := range map[string]int{
		"no year": 12, "no genres": 34, "no tmdb": 8, "no imdb": 0, "title and year twice": 5, "original title": 924,
	} {
		if count[what] != want {
			t.Errorf("%s: %d, want %d", what, count[what], want)
		}
	}
	for id, want := range map[int64]movielens.Title{
		1:      {Title: "Toy Story", Year: 1995},
		29:     {Title: "The City of Lost Children", Original: "La Cité des enfants perdus", Year: 1995},
		2571:   {Title: "The Matrix", Year: 1999},
		171749: {Title: "Death Note: Desu nôto", Year: 2006},
	} {
		if got := byID[id]; got.Title != want.Title || got.OriginalTitle != want.Original || got.Year != want.Year {
			t.Errorf("movie %d: %+v, want %+v", id, got, want)
		}
	}
	if toys := byID[1]; toys.ImportID() != "tt0114709" || toys.TMDB != "862" || len(toys.Genres) != 5 {
		t.Errorf("movie 1: %+v", toys)
	}
}

// TestRealColumns counts in the columns as they are what the issue counts there.
func TestRealColumns(t *testing.T) {
	d := realData(t)
	if d == nil {
		return
	}
	text, err := os.ReadFile(d.Path() + "/movies.csv")
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(`\(\d{4}\) *"?,[^,]*$`)
	odd := 0
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\r\n"), "\r\n")[1:] {
		if !plain.MatchString(line) {
			odd++
		}
	}
	if odd != 13 {
		t.Errorf("%d titles without a plain (YYYY) at the end, want 13", odd)
	}
}

func TestRealRatings(t *testing.T) {
	d := realData(t)
	if d == nil {
		return
	}
	count, sum := 0, 0
	users, movies, shawshank := make(map[int64]bool), make(map[int64]bool), make(map[int]int)
	for r, err := range d.Ratings(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		count++
		sum += r.Value
		users[r.UserID], movies[r.MovieID] = true, true
		if r.MovieID == 318 {
			shawshank[r.Value]++
		}
	}
	if count != 100_836 || sum != 706_166 || len(users) != 610 || len(movies) != 9724 {
		t.Errorf("%d ratings with sum %d by %d users of %d movies; want 100,836, 706,166, 610, 9,724", count, sum, len(users), len(movies))
	}
	for value, want := range map[int]int{2: 2, 4: 2, 6: 24, 7: 15, 8: 72, 9: 49, 10: 153} {
		if shawshank[value] != want {
			t.Errorf("movie 318 has the value %d %d times, want %d", value, shawshank[value], want)
		}
	}
}
