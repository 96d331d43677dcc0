package movielens_test

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"movieexample.com/movielens"
)

var demoEnd = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// demoFilms are as many films as the demo has, with levels from 1.5 to 9.6 and
// weights that fall with the index.
func demoFilms() []movielens.RatedFilm {
	films := make([]movielens.RatedFilm, 300)
	for i := range films {
		films[i] = movielens.RatedFilm{ID: fmt.Sprintf("tt%07d", i), Level: 1.5 + 8.1*float64(i*37%300)/299, Weight: math.Pow(float64(i+1), -0.6)}
	}
	return films
}

func synthetic(t *testing.T, seed uint64, users, ratings int, films []movielens.RatedFilm) iter.Seq[movielens.SyntheticRating] {
	t.Helper()
	stream, err := movielens.Synthetic(seed, users, ratings, films, demoEnd)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestSynthetic(t *testing.T) {
	films := demoFilms()
	const users, ratings = 2500, 100_000
	type pair struct{ user, film string }
	seen := make(map[pair]bool)
	perUser := make(map[string]int)
	histogram := make(map[string]*[11]int)
	for _, f := range films {
		histogram[f.ID] = new([11]int)
	}
	oldest, newest := demoEnd, time.Time{}
	for r := range synthetic(t, 1, users, ratings, films) {
		if seen[pair{r.UserID, r.FilmID}] {
			t.Fatalf("%s rates %s twice", r.UserID, r.FilmID)
		}
		seen[pair{r.UserID, r.FilmID}] = true
		if r.Value < 1 || r.Value > 10 || histogram[r.FilmID] == nil || r.RatedAt.Location() != time.UTC {
			t.Fatalf("rating %+v", r)
		}
		perUser[r.UserID]++
		histogram[r.FilmID][r.Value]++
		if r.RatedAt.Before(oldest) {
			oldest = r.RatedAt
		}
		if r.RatedAt.After(newest) {
			newest = r.RatedAt
		}
	}
	if len(seen) != ratings || len(perUser) != users {
		t.Errorf("%d ratings by %d users", len(seen), len(perUser))
	}
	if perUser["demo-0001"] == 0 || perUser["demo-2500"] == 0 {
		t.Error("users are not called demo-0001 to demo-2500")
	}
	if newest.After(demoEnd) || demoEnd.Sub(newest) > 30*24*time.Hour {
		t.Errorf("newest rating at %v, the end is %v", newest, demoEnd)
	}
	if age := demoEnd.Sub(oldest).Hours() / 24 / 365; age > 10 || age < 9.8 {
		t.Errorf("oldest rating is %.1f years old", age)
	}

	var counts []int
	for i, f := range films {
		h, n, sum := histogram[f.ID], 0, 0
		for value, k := range h {
			n += k
			sum += value * k
		}
		counts = append(counts, n)
		if mean := float64(sum) / float64(n); n >= 300 && math.Abs(mean-f.Level) > 0.15 {
			t.Errorf("film %d with %d ratings has mean %.3f, level %.3f", i, n, mean, f.Level)
		}
		checkNatural(t, f, h, n)
	}
	// Films come by falling weight, so the counts must fall, give or take chance.
	for i := 25; i+25 <= len(counts); i += 25 {
		before, here := total(counts[i-25:i]), total(counts[i:i+25])
		if here >= before {
			t.Errorf("films %d to %d have %d ratings, the more popular ones before %d", i, i+24, here, before)
		}
	}
	if counts[0] < 5*counts[299] {
		t.Errorf("the most popular film has %d ratings, the least popular %d", counts[0], counts[299])
	}
}

func total(counts []int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// checkNatural wants a histogram with one hill: it rises to the top and falls
// after it, apart from noise, and is as wide as people's opinions are.
func checkNatural(t *testing.T, f movielens.RatedFilm, h *[11]int, n int) {
	t.Helper()
	top := 1
	for value := range h {
		if h[value] > h[top] {
			top = value
		}
	}
	// The deviation of the difference of two bars with a fifth of the ratings each.
	slack := int(3.5 * math.Sqrt(0.4*float64(n)))
	for value := 2; value <= 10; value++ {
		if step := h[value] - h[value-1]; value <= top && step < -slack || value > top && step > slack {
			t.Errorf("film %s: histogram %v has more than one hill", f.ID, h[1:])
			return
		}
	}
	if f.Level > 4 && f.Level < 7 && n > 200 && (h[top] > n*2/5 || h[top] < n/6) {
		t.Errorf("film %s: histogram %v is too narrow or too flat", f.ID, h[1:])
	}
}

func TestSyntheticIsDeterministic(t *testing.T) {
	films := demoFilms()
	stream := synthetic(t, 1, 500, 20_000, films)
	first := slices.Collect(stream)
	films[0].ID = "changed" // the stream has its own copy
	if !slices.Equal(first, slices.Collect(stream)) {
		t.Error("the same stream gave other ratings the second time")
	}
	if !slices.Equal(first, slices.Collect(synthetic(t, 1, 500, 20_000, demoFilms()))) {
		t.Error("the same arguments gave other ratings")
	}
	if slices.Equal(first, slices.Collect(synthetic(t, 2, 500, 20_000, demoFilms()))) {
		t.Error("another seed gave the same ratings")
	}
	n := 0
	for range stream {
		if n++; n == 100 {
			break // must not yield any more
		}
	}
}

func TestSyntheticExtremes(t *testing.T) {
	films := []movielens.RatedFilm{{ID: "worst", Level: 1, Weight: 1e-300}, {ID: "best", Level: 10, Weight: 1e300}, {ID: "middle", Level: 5.5, Weight: 1}}
	for _, test := range []struct{ users, ratings int }{{1, 1}, {1, 3}, {7, 7}, {7, 21}, {12_000, 30_000}} {
		n, users := 0, make(map[string]bool)
		for r := range synthetic(t, 3, test.users, test.ratings, films) {
			if r.FilmID == "worst" && r.Value != 1 || r.FilmID == "best" && r.Value != 10 {
				t.Fatalf("rating %+v", r)
			}
			n++
			users[r.UserID] = true
		}
		if n != test.ratings || len(users) != test.users {
			t.Errorf("%d ratings by %d users, want %+v", n, len(users), test)
		}
	}
}

func TestSyntheticRefuses(t *testing.T) {
	for _, test := range []struct {
		users, ratings int
		films          []movielens.RatedFilm
		want           string
	}{
		{1, 1, nil, "there are no films; give at least one"},
		{0, 1, demoFilms(), "0 users; there must be at least 1"},
		{10, 9, demoFilms(), "9 ratings for 10 users; every user needs at least one"},
		{10, 3001, demoFilms(), "3001 ratings are more than one for each of 10 users and 300 films (3000)"},
		{1, 1, []movielens.RatedFilm{{Level: 5, Weight: 1}}, "film 0 has an empty id"},
		{1, 1, []movielens.RatedFilm{{ID: "a", Level: 5, Weight: 1}, {ID: "a", Level: 5, Weight: 1}}, `film "a" occurs twice`},
		{1, 1, []movielens.RatedFilm{{ID: "a", Level: 0.9, Weight: 1}}, `film "a": level 0.9 must be from 1 to 10`},
		{1, 1, []movielens.RatedFilm{{ID: "a", Level: math.NaN(), Weight: 1}}, `film "a": level NaN must be from 1 to 10`},
		{1, 1, []movielens.RatedFilm{{ID: "a", Level: 5}}, `film "a": weight 0 must be greater than 0`},
		{1, 1, []movielens.RatedFilm{{ID: "a", Level: 5, Weight: math.Inf(1)}}, `film "a": weight +Inf must be greater than 0`},
	} {
		_, err := movielens.Synthetic(1, test.users, test.ratings, test.films, demoEnd)
		if err == nil || strings.TrimPrefix(err.Error(), "make up ratings: ") != test.want {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}
