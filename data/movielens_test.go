package data_test

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"movieexample.com/data"
)

// TestIDsAgreeWithMovieLens looks every film up by title and year in the
// MovieLens data set, which knows the IMDb ids of most of them. The data set may
// be tested with but not passed on, so it is found by MOVIELENS_DIR. Without it,
// the part that needs no data set still runs: that the comparison itself works.
func TestIDsAgreeWithMovieLens(t *testing.T) {
	all := films(t)
	checkComparison(t, all)

	dir := os.Getenv("MOVIELENS_DIR")
	if dir == "" {
		t.Log("MOVIELENS_DIR is not set: the catalogue was checked without the MovieLens data set")
		return
	}
	matched, contradictions := compare(all, readMovieLens(t, dir))
	for _, c := range contradictions {
		t.Error(c)
	}
	t.Logf("%d of %d films found in MovieLens under the same title, year and IMDb id", matched, len(all))
	if matched < 270 {
		t.Errorf("%d films found in MovieLens; want 270 or more", matched)
	}
}

// checkComparison proves on a made-up data set that compare sees what it is for.
func checkComparison(t *testing.T, all []data.Film) {
	t.Helper()
	i := slices.IndexFunc(all, func(f data.Film) bool { return f.ID == "tt0211915" })
	if i < 0 {
		t.Fatal("tt0211915 (Amélie) is not in the catalogue; choose another film for this test")
	}
	amelie := all[i : i+1]
	for _, tc := range []struct {
		name, id, title         string
		matched, contradictions int
	}{
		{"same film", "0211915", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)", 1, 0},
		{"original title only", "0211915", "Fabuleux destin d'Amelie Poulain, Le (2001) ", 1, 0},
		{"year off by one", "0211915", "Amelie (2002)", 1, 0},
		{"no year", "0211915", "Amelie", 1, 0},
		{"year far off", "0211915", "Amelie (2011)", 0, 0},
		{"other id", "0000001", "Amelie (2001)", 0, 1},
		{"id of another film", "0211915", "Matrix, The (1999)", 0, 1},
		{"another film", "0133093", "Matrix, The (1999)", 0, 0},
	} {
		lens := []lensFilm{parseLensFilm(tc.id, tc.title)}
		matched, contradictions := compare(amelie, lens)
		if matched != tc.matched || len(contradictions) != tc.contradictions {
			t.Errorf("%s: %d matched, contradictions %q; want %d and %d", tc.name, matched, contradictions, tc.matched, tc.contradictions)
		}
	}
}

// lensFilm is one film of the data set.
type lensFilm struct {
	id     string   // "tt…"
	title  string   // as the file has it
	titles []string // folded: the main title and those in brackets
	year   int      // 0 where the file has none
}

// compare counts the films found under their title, year and id, and describes
// each that the data set contradicts: by another id for its title and year, or
// by another title for its id. A year may differ by one, as festival and cinema
// release often fall into two years.
func compare(films []data.Film, lens []lensFilm) (matched int, contradictions []string) {
	byTitle, byID := map[string][]lensFilm{}, map[string]lensFilm{}
	for _, l := range lens {
		byID[l.id] = l
		for _, title := range l.titles {
			byTitle[title] = append(byTitle[title], l)
		}
	}
	for _, f := range films {
		own := []string{fold(f.Title)}
		if f.OriginalTitle != "" {
			own = append(own, fold(f.OriginalTitle))
		}
		var candidates []lensFilm
		for _, title := range own {
			for _, l := range byTitle[title] {
				if l.year == 0 || l.year >= f.Year-1 && l.year <= f.Year+1 {
					candidates = append(candidates, l)
				}
			}
		}
		namesake, known := byID[f.ID]
		switch {
		case slices.ContainsFunc(candidates, func(l lensFilm) bool { return l.id == f.ID }):
			matched++
		case len(candidates) > 0:
			contradictions = append(contradictions, f.ID+" "+f.Title+": MovieLens has "+candidates[0].id+" for "+candidates[0].title)
		case known && !slices.ContainsFunc(own, func(title string) bool { return slices.Contains(namesake.titles, title) }):
			contradictions = append(contradictions, f.ID+" "+f.Title+": MovieLens has that id for "+namesake.title)
		}
	}
	return matched, contradictions
}

// readMovieLens joins movies.csv and links.csv.
func readMovieLens(t *testing.T, dir string) []lensFilm {
	t.Helper()
	imdb := map[string]string{}
	for _, row := range readCSV(t, filepath.Join(dir, "links.csv"), "movieId", "imdbId") {
		imdb[row[0]] = row[1]
	}
	var lens []lensFilm
	for _, row := range readCSV(t, filepath.Join(dir, "movies.csv"), "movieId", "title") {
		lens = append(lens, parseLensFilm(imdb[row[0]], row[1]))
	}
	return lens
}

// readCSV reads a file whose first two columns must bear the given names.
func readCSV(t *testing.T, path string, columns ...string) [][]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatalf("open the MovieLens data set (MOVIELENS_DIR): %v", err)
	}
	defer file.Close()
	r := csv.NewReader(file)
	header, err := r.Read()
	if err != nil || !slices.Equal(header[:min(2, len(header))], columns) {
		t.Fatalf("%s begins with %q, error %v; want the columns %q", path, header, err, columns)
	}
	var rows [][]string
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatalf("read %s: %v", path, err)
		}
		rows = append(rows, row)
	}
}

var (
	lensYear    = regexp.MustCompile(`\s*\((\d{4})\)\s*$`)
	lensBracket = regexp.MustCompile(`\(([^()]*)\)`)
	lensAKA     = regexp.MustCompile(`(?i)^a\.?k\.?a\.?\s+`)
	lensArticle = regexp.MustCompile(`^(.*), (\pL{1,3}'?)$`)
)

// parseLensFilm takes apart "Godfather, The (a.k.a. …) (Original, L') (1972)".
func parseLensFilm(imdbID, title string) lensFilm {
	l := lensFilm{id: "tt" + imdbID, title: title}
	rest := strings.TrimSpace(title)
	if m := lensYear.FindStringSubmatch(rest); m != nil {
		l.year, _ = strconv.Atoi(m[1]) // four digits: cannot fail
		rest = strings.TrimSuffix(rest, m[0])
	}
	main, _, _ := strings.Cut(rest, " (")
	for _, name := range append([]string{main, rest}, brackets(rest)...) {
		l.titles = append(l.titles, fold(lensArticle.ReplaceAllString(name, "$2 $1")))
	}
	return l
}

func brackets(s string) []string {
	var inner []string
	for _, m := range lensBracket.FindAllStringSubmatch(s, -1) {
		inner = append(inner, lensAKA.ReplaceAllString(strings.TrimSpace(m[1]), ""))
	}
	return inner
}

// fold leaves of a title only what both lists agree on: letters and digits,
// lower case, without accents or blanks, so that Oldboy meets Old Boy.
func fold(title string) string {
	title = strings.NewReplacer("&", "and", "½", " 1/2", "·", "", "ø", "o", "ł", "l", "đ", "d", "æ", "ae", "ß", "ss").Replace(strings.ToLower(title))
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, norm.NFD.String(title))
}
