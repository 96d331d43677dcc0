package movielens_test

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/movielens"
)

var seeds = []string{
	"", "\xef\xbb\xbf", "\n\n\n", "1,\"a\r\nb\",c\r\n", "1,\"\"\"a\"\" (1990)\",Drama\n", "1,A (b) (1990),Drama|Drama\n",
	"1,\"x, The (y, La) (a.k.a. z, L') (1990–1991) \",(no genres listed)", "1,\"unclosed\n2,b,c\n", "\xff,\xfe,\xfd\n", "\"\n\"\n\"\n\"\n",
	"1,1,4.0,1\n", "1,1,\"4.0\",1\r\n1,1,9.0,1\r\n", "1,0114709,862\n", ",,,\n", "1,\"((( (( \",x\n", "1,(),\n", "1,\" ()\",\n",
}

// checkReject holds for every file: a reject points to a line that is there, and
// its message can be printed.
func checkReject(t *testing.T, file []byte, err error) {
	t.Helper()
	var bad *movielens.RowError
	if !errors.As(err, &bad) {
		t.Fatalf("a file that can be read and has the right header gave %v", err)
	}
	if bad.Line < 2 || bad.Line > bytes.Count(file, []byte("\n"))+1 {
		t.Errorf("line %d of a file of %d", bad.Line, bytes.Count(file, []byte("\n"))+1)
	}
	if bad.Reason == "" || len(bad.Value) > 250 || !utf8.ValidString(bad.Error()) {
		t.Errorf("reject %#v", bad)
	}
}

// same reads the file a second time, in pieces of one byte: the pieces must make
// no difference.
func same[T any](t *testing.T, read func(context.Context, *bytes.Reader, bool) ([]T, []string), file []byte) []T {
	t.Helper()
	rows, rejects := read(t.Context(), bytes.NewReader(file), false)
	again, rejectsAgain := read(t.Context(), bytes.NewReader(file), true)
	if diff := cmp.Diff(rows, again) + cmp.Diff(rejects, rejectsAgain); diff != "" {
		t.Errorf("at once and byte by byte differ:\n%s", diff)
	}
	return rows
}

func FuzzReadMovies(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	clean := func(s string) bool {
		return utf8.ValidString(s) && s == strings.Join(strings.Fields(s), " ") && !strings.ContainsRune(s, 0)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		file := append([]byte(moviesHead), body...)
		rows := same(t, func(ctx context.Context, r *bytes.Reader, slow bool) (rows []movielens.Movie, rejects []string) {
			stream := movielens.ReadMovies(ctx, "movies.csv", r)
			if slow {
				stream = movielens.ReadMovies(ctx, "movies.csv", iotest.OneByteReader(r))
			}
			for row, err := range stream {
				if err != nil {
					checkReject(t, file, err)
					rejects = append(rejects, err.Error())
					continue
				}
				rows = append(rows, row)
			}
			return rows, rejects
		}, file)
		for _, m := range rows {
			if m.ID < 1 || m.Title == "" || m.Year != 0 && (m.Year < 1800 || m.Year > 2099) || m.OriginalTitle == m.Title {
				t.Errorf("row %+v", m)
			}
			for _, s := range append(append([]string{m.Title, m.OriginalTitle}, m.AlternativeTitles...), m.Genres...) {
				if !clean(s) {
					t.Errorf("%q in row %+v is not clean text", s, m)
				}
			}
			if slices.Contains(m.AlternativeTitles, "") || slices.Contains(m.AlternativeTitles, m.Title) ||
				slices.Contains(m.Genres, "") || slices.Contains(m.Genres, "(no genres listed)") {
				t.Errorf("lists of row %+v", m)
			}
		}
	})
}

func FuzzReadRatings(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		file := append([]byte(ratingsHead), body...)
		rows := same(t, func(ctx context.Context, r *bytes.Reader, slow bool) (rows []movielens.Rating, rejects []string) {
			stream := movielens.ReadRatings(ctx, "ratings.csv", r)
			if slow {
				stream = movielens.ReadRatings(ctx, "ratings.csv", iotest.OneByteReader(r))
			}
			for row, err := range stream {
				if err != nil {
					checkReject(t, file, err)
					rejects = append(rejects, err.Error())
					continue
				}
				rows = append(rows, row)
			}
			return rows, rejects
		}, file)
		for _, r := range rows {
			if r.UserID < 1 || r.MovieID < 1 || r.Value < 1 || r.Value > 10 || r.RatedAt.Unix() < 0 || r.RatedAt.Year() > 9999 {
				t.Errorf("row %+v", r)
			}
		}
	})
}

var imdbForm = regexp.MustCompile(`^tt\d{7,10}$`)

func FuzzReadLinks(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		file := append([]byte(linksHead), body...)
		for l, err := range movielens.ReadLinks(t.Context(), "links.csv", bytes.NewReader(file)) {
			if err != nil {
				checkReject(t, file, err)
				continue
			}
			if l.MovieID < 1 || l.IMDb != "" && !imdbForm.MatchString(l.IMDb) || strings.HasPrefix(l.TMDB, "0") {
				t.Errorf("row %+v", l)
			}
		}
	})
}
