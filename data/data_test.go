package data_test

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"movieexample.com/data"
)

func films(t *testing.T) []data.Film {
	t.Helper()
	all, err := data.Films()
	if err != nil {
		t.Fatalf("load the catalogue: %v", err)
	}
	return all
}

func TestCatalogueHasTheSizeItPromises(t *testing.T) {
	if n := len(films(t)); n < 290 || n > 320 {
		t.Errorf("the catalogue has %d films; want 290 to 320", n)
	}
}

func TestEachFilmIsComplete(t *testing.T) {
	id := regexp.MustCompile(`^tt\d{7,}$`)
	for _, f := range films(t) {
		t.Run(f.ID, func(t *testing.T) {
			if !id.MatchString(f.ID) {
				t.Errorf("id %q; want tt and seven or more digits", f.ID)
			}
			for name, s := range map[string]string{
				"title": f.Title, "original title": f.OriginalTitle, "director": f.Director, "description": f.Description,
			} {
				if s == "" && name != "original title" {
					t.Errorf("%s is empty", name)
				}
				if s != strings.TrimSpace(s) || strings.Contains(s, "  ") || strings.ContainsAny(s, "\r\n\t") {
					t.Errorf("%s %q has stray white space", name, s)
				}
				if !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError) {
					t.Errorf("%s %q is not clean UTF-8", name, s)
				}
			}
			if f.OriginalTitle == f.Title {
				t.Errorf("original title repeats the title %q; leave it empty", f.Title)
			}
			if f.Year < 1895 || f.Year > 2026 {
				t.Errorf("year %d; want 1895 to 2026", f.Year)
			}
			if f.RuntimeMinutes < 1 || f.RuntimeMinutes > 600 {
				t.Errorf("runtime %d minutes; want 1 to 600", f.RuntimeMinutes)
			}
			if f.Level < 1 || f.Level > 10 {
				t.Errorf("level %v; want 1 to 10", f.Level)
			}
			if f.Popularity < 1 || f.Popularity > 100 {
				t.Errorf("popularity %d; want 1 to 100", f.Popularity)
			}
			checkWords(t, "genre", f.Genres)
			checkWords(t, "country", f.Countries)
			if !slices.IsSorted(f.Genres) {
				t.Errorf("genres %q are not sorted", f.Genres)
			}
			for _, g := range f.Genres {
				if !slices.Contains(data.Genres(), g) {
					t.Errorf("genre %q is not in the vocabulary %q", g, data.Genres())
				}
			}
		})
	}
}

// checkWords wants at least one word, none empty, none twice.
func checkWords(t *testing.T, what string, words []string) {
	t.Helper()
	if len(words) == 0 {
		t.Errorf("no %s", what)
	}
	for i, w := range words {
		if w == "" || w != strings.TrimSpace(w) {
			t.Errorf("%s %q is blank or padded", what, w)
		}
		if slices.Contains(words[:i], w) {
			t.Errorf("%s %q is named twice", what, w)
		}
	}
}

// TestEachDescriptionIsOneSentence knows only one mark of a second sentence: a
// full stop, question mark or exclamation mark followed by a space.
// Descriptions therefore do without "Dr. " and the like.
func TestEachDescriptionIsOneSentence(t *testing.T) {
	inner := regexp.MustCompile(`[.?!]\s`)
	seen := map[string]string{}
	for _, f := range films(t) {
		d := f.Description
		if n := utf8.RuneCountInString(d); n < 60 || n > 200 {
			t.Errorf("%s %s: description has %d characters; want 60 to 200", f.ID, f.Title, n)
		}
		if !strings.HasSuffix(d, ".") || inner.MatchString(d) {
			t.Errorf("%s %s: description is not one sentence that ends in a full stop: %q", f.ID, f.Title, d)
		}
		if other, twice := seen[d]; twice {
			t.Errorf("%s %s has the description of %s", f.ID, f.Title, other)
		}
		seen[d] = f.ID
	}
}

func TestNoTwoFilmsAreTheSame(t *testing.T) {
	type titleYear struct {
		title string
		year  int
	}
	ids, names := map[string]string{}, map[titleYear]string{}
	for _, f := range films(t) {
		if other, twice := ids[f.ID]; twice {
			t.Errorf("id %s belongs to %q and to %q", f.ID, other, f.Title)
		}
		ids[f.ID] = f.Title
		key := titleYear{strings.ToLower(f.Title), f.Year}
		if other, twice := names[key]; twice {
			t.Errorf("%s (%d) is there as %s and as %s", f.Title, f.Year, other, f.ID)
		}
		names[key] = f.ID
	}
}

func TestFilmsAreOrderedByYearAndTitle(t *testing.T) {
	inOrder := func(a, b data.Film) int {
		return cmp.Or(cmp.Compare(a.Year, b.Year), cmp.Compare(a.Title, b.Title))
	}
	all := films(t)
	for i := 1; i < len(all); i++ {
		if inOrder(all[i-1], all[i]) > 0 {
			t.Errorf("line %d, %s (%d), belongs before %s (%d)", i+1, all[i].Title, all[i].Year, all[i-1].Title, all[i-1].Year)
		}
	}
}

// TestCatalogueIsVaried keeps every chart, filter and page of the demo from
// coming up nearly empty, and its ratings from looking all alike.
func TestCatalogueIsVaried(t *testing.T) {
	decades, genres, countries := map[int]int{}, map[string]int{}, map[string]int{}
	shared := map[string]int{}
	weak, loved := 0, 0
	for _, f := range films(t) {
		decades[f.Year/10*10]++
		shared[f.Title]++
		for _, g := range f.Genres {
			genres[g]++
		}
		for _, c := range f.Countries {
			countries[c]++
		}
		switch {
		case f.Level < 5:
			weak++
		case f.Level >= 8.2:
			loved++
		}
	}
	for decade := 1920; decade <= 2020; decade += 10 {
		if decades[decade] < 8 {
			t.Errorf("%d films of the %ds; want 8 or more", decades[decade], decade)
		}
	}
	for _, g := range data.Genres() {
		if genres[g] < 5 {
			t.Errorf("%d films of genre %s; want 5 or more", genres[g], g)
		}
	}
	if len(countries) < 25 {
		t.Errorf("films from %d countries; want 25 or more", len(countries))
	}
	if weak < 8 || loved < 40 {
		t.Errorf("%d films with a level below 5 and %d with 8.2 or more; want at least 8 and 40", weak, loved)
	}
	remakes := 0
	for _, n := range shared {
		if n > 1 {
			remakes++
		}
	}
	if remakes == 0 {
		t.Error("no title occurs twice; the demo should show that a title is not a key")
	}
}

func TestCallersDoNotShareTheCatalogue(t *testing.T) {
	first := films(t)
	want := films(t)[0]
	first[0].Title, first[0].Genres[0] = "changed", "changed"
	if got := films(t)[0]; got.Title != want.Title || got.Genres[0] != want.Genres[0] {
		t.Errorf("one caller's change reached the next: %+v", got)
	}
}
