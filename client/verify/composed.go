package verify

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

// composedScenarios are about lists, charts and searches of films with their ratings.
func composedScenarios() []Scenario {
	return []Scenario{
		{Area: AreaMovie, Door: Movie, Promise: "A walk over the pages of films shows every film once, in order.", ask: movieWalk},
		{Area: AreaMovie, Door: Movie, Promise: "The top chart keeps the rule that it shows: at least m votes, the formula, ties by votes, then title, then id.", ask: movieTop},
		{Area: AreaMovie, Door: Movie, Promise: "A chart of one genre has only its films, ranked from 1, page after page.", ask: movieChartGenre},
		{Area: AreaMovie, Door: Movie, Promise: "A film that was put is found with its rating status by title, with a typo and by director within 2 s.", ask: movieSearch},
		{Area: AreaMovie, Door: Movie, Promise: "Similar films are ranked by common genres and years, and never include the film itself.", ask: movieSimilar},
		{Area: AreaMovie, Door: Movie, Promise: "The system's totals agree with each other and with the chart.", ask: movieStats},
		{Area: AreaMovie, Door: Movie, Promise: "Bad parameters of lists, charts and searches are refused with a message that names them and what is allowed.", ask: movieBadLists},
		{Area: AreaMovie, Door: Movie, Promise: "A page token of films or a chart that was altered, or that belongs to another query, is refused by name.", ask: movieTokens},
	}
}

func movieWalk(t *trial) {
	var want []string
	for _, title := range []string{"Ábel", "the bear", "A Cat", "dog", "École"} {
		m := t.viewed(title)
		t.putMovie(m)
		want = append(want, m.GetId())
	}
	// A list may be a second old.
	t.within(visible, func() {
		var got []string
		for token := ""; ; {
			page := ask(t, t.door.movies().ListMovies, &moviev1.ListMoviesRequest{Genre: t.genre(), PageSize: 2, PageToken: token})
			got = append(got, movieIDs(page.GetMovies())...)
			if token = page.GetNextPageToken(); token == "" {
				break
			}
			t.must(len(got) <= len(want), "an end of the pages", "%d films", len(got))
		}
		same(t, "the films", got, want)
	})
}

// plainTitle returns a title's place in the alphabet, if it is one about which there can be no two opinions.
func plainTitle(title string) (string, bool) {
	for _, c := range title {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return "", false // several words may begin with an article, in one language or another
		}
	}
	return strings.ToLower(title), true
}

// rankedRule ends the trial unless entries are ranked by score, ties by votes, then by title, then by id.
func (t *trial) rankedRule(entries []*moviev1.ListChartResponse_Entry, firstRank int32) {
	for i, e := range entries {
		same(t, fmt.Sprintf("the rank of entry %d", i+1), e.GetRank(), firstRank+int32(i))
		if i == 0 {
			continue
		}
		a, b := entries[i-1], e
		va, vb := a.GetMovie().GetRatingSummary().GetVotes(), b.GetMovie().GetRatingSummary().GetVotes()
		ordered := a.GetScore() >= b.GetScore()
		if a.GetScore() == b.GetScore() {
			ordered = va >= vb
			ta, plainA := plainTitle(a.GetMovie().GetTitle())
			tb, plainB := plainTitle(b.GetMovie().GetTitle())
			if va == vb && plainA && plainB {
				ordered = ta < tb || ta == tb && a.GetMovie().GetId() < b.GetMovie().GetId()
			}
		}
		t.must(ordered, "best first, ties by votes, then title, then id", "%q with %g from %d votes before %q with %g from %d",
			a.GetMovie().GetTitle(), a.GetScore(), va, b.GetMovie().GetTitle(), b.GetScore(), vb)
	}
}

func movieTop(t *trial) {
	c := ask(t, t.door.movies().ListChart, &moviev1.ListChartRequest{Chart: "top", PageSize: 200})
	m, mean := float64(c.GetMinVotes()), c.GetGlobalMean()
	t.must(m >= 1 && mean >= 0 && mean <= 10 && c.GetAsOfTime() != nil, "m, C and an as-of time", "m %g, C %g, %v", m, mean, c.GetAsOfTime())
	t.rankedRule(c.GetEntries(), 1)
	for _, e := range c.GetEntries() {
		s := e.GetMovie().GetRatingSummary()
		if s.GetAsOfTime().AsTime() != c.GetAsOfTime().AsTime() {
			continue // newer numbers than those that it was ranked by
		}
		v := float64(s.GetVotes())
		t.must(v >= m, fmt.Sprintf("at least m = %g votes", m), "%g at rank %d", v, e.GetRank())
		t.near(fmt.Sprintf("the score at rank %d", e.GetRank()), e.GetScore(), v/(v+m)*s.GetMean()+m/(v+m)*mean, 1e-6)
	}
}

func movieChartGenre(t *trial) {
	stats := ask(t, t.door.movies().GetStats, &moviev1.GetStatsRequest{})
	genre := t.genre()
	if list := stats.GetGenres(); len(list) > 0 {
		genre = list[0].GetGenre()
	}
	rank := int32(1)
	seen := map[string]bool{}
	for token, page := "", 0; page < 5; page++ {
		c, st := try(t, t.door.movies().ListChart, &moviev1.ListChartRequest{Chart: "popular", Genre: strings.ToUpper(genre), PageSize: 7, PageToken: token})
		t.must(st.Code() == codes.OK, "an answer", "%s: %s", st.Code(), st.Message())
		t.rankedRule(c.GetEntries(), rank)
		rank += int32(len(c.GetEntries()))
		for _, e := range c.GetEntries() {
			t.must(slices.ContainsFunc(e.GetMovie().GetGenres(), func(g string) bool { return strings.EqualFold(g, genre) }),
				"only films of "+genre, "%q with %v", e.GetMovie().GetTitle(), e.GetMovie().GetGenres())
			t.must(!seen[e.GetMovie().GetId()], "each film once", "%s again", e.GetMovie().GetId())
			seen[e.GetMovie().GetId()] = true
		}
		if token = c.GetNextPageToken(); token == "" {
			return
		}
	}
}

func movieSearch(t *trial) {
	name := word(11)
	m := t.viewed(name)
	m.Director = word(8) + " " + word(9)
	t.putMovie(m)
	for _, q := range []struct{ text, match string }{
		{name, "exact"},
		{name[:4] + "q" + name[5:], "spelling"},
		{m.GetDirector(), "director"},
	} {
		t.within(findable, func() {
			hits := ask(t, t.door.movies().SearchMovies, &moviev1.SearchMoviesRequest{Q: q.text}).GetHits()
			i := slices.IndexFunc(hits, func(h *moviev1.SearchMoviesResponse_Hit) bool { return h.GetMovie().GetId() == m.GetId() })
			t.must(i >= 0, "the film is among the hits", "%d hits without it", len(hits))
			same(t, "match", hits[i].GetMatch(), q.match)
			same(t, "rating_status", hits[i].GetMovie().GetRatingStatus(), "unrated")
		})
	}
	t.within(findable, func() {
		list := ask(t, t.door.movies().SuggestMovies, &moviev1.SuggestMoviesRequest{Q: name[:9]}).GetSuggestions()
		t.must(slices.ContainsFunc(list, func(s *moviev1.SuggestMoviesResponse_Suggestion) bool { return s.GetId() == m.GetId() }), "the film is suggested", "%v", list)
	})
}

func movieSimilar(t *trial) {
	a, b := t.viewed(word(9)), t.viewed(word(9))
	later := a.GetYear() + 10
	b.Year = &later
	t.putMovie(a)
	t.putMovie(b)
	t.within(findable, func() {
		list := ask(t, t.door.movies().ListSimilarMovies, &moviev1.ListSimilarMoviesRequest{Id: a.GetId()}).GetMovies()
		i := slices.IndexFunc(list, func(s *moviev1.ListSimilarMoviesResponse_SimilarMovie) bool { return s.GetMovie().GetId() == b.GetId() })
		t.must(i >= 0, "the other film of the genre", "%d films without it", len(list))
		t.near("the similarity of two films of the same genre, ten years apart,", list[i].GetSimilarity(), 0.5, 1e-9)
		t.must(!slices.ContainsFunc(list, func(s *moviev1.ListSimilarMoviesResponse_SimilarMovie) bool { return s.GetMovie().GetId() == a.GetId() }),
			"not the film itself", "it is there")
	})
	refused(t, codes.NotFound, t.door.movies().ListSimilarMovies, &moviev1.ListSimilarMoviesRequest{Id: t.name("none")})
}

func movieStats(t *trial) {
	s := ask(t, t.door.movies().GetStats, &moviev1.GetStatsRequest{})
	c := ask(t, t.door.movies().ListChart, &moviev1.ListChartRequest{Chart: "top", PageSize: 1})
	same(t, "m, beside the chart's,", s.GetMinVotes(), c.GetMinVotes())
	t.near("C, beside the chart's,", s.GetPriorMean(), c.GetGlobalMean(), drift(s.GetRatings()))
	t.must(s.GetMovies() >= 0 && s.GetRatings() >= s.GetRatedMovies() && s.GetAsOfTime() != nil, "no more rated films than ratings, and an as-of time", "%s", shorten(s.String()))
	t.must(s.GetRatings() == 0 || s.GetGlobalMean() >= 1 && s.GetGlobalMean() <= 10, "a mean from 1 to 10", "%g", s.GetGlobalMean())
	t.must(slices.IsSortedFunc(s.GetGenres(), func(a, b *moviev1.GenreCount) int { return int(b.GetCount() - a.GetCount()) }), "genres, most first", "%v", s.GetGenres())
	t.must(slices.IsSortedFunc(s.GetDecades(), func(a, b *moviev1.DecadeCount) int { return int(a.GetDecade() - b.GetDecade()) }), "decades, oldest first", "%v", s.GetDecades())
}

func movieBadLists(t *trial) {
	movies := t.door.movies()
	decade, low, high := int32(1995), int32(2000), int32(1990)
	refused(t, codes.InvalidArgument, movies.ListMovies, &moviev1.ListMoviesRequest{OrderBy: "rating"}, "order_by", "title")
	refused(t, codes.InvalidArgument, movies.ListMovies, &moviev1.ListMoviesRequest{PageSize: -1}, "page_size")
	refused(t, codes.InvalidArgument, movies.ListMovies, &moviev1.ListMoviesRequest{MinYear: &low, MaxYear: &high}, "year")
	refused(t, codes.InvalidArgument, movies.ListChart, &moviev1.ListChartRequest{Chart: "best"}, "chart", "top", "popular", "trending")
	refused(t, codes.InvalidArgument, movies.ListChart, &moviev1.ListChartRequest{Chart: "top", Decade: &decade}, "decade")
	refused(t, codes.InvalidArgument, movies.SearchMovies, &moviev1.SearchMoviesRequest{}, "q")
	refused(t, codes.InvalidArgument, movies.SuggestMovies, &moviev1.SuggestMoviesRequest{Q: strings.Repeat("q", 201)}, "q")
	refused(t, codes.InvalidArgument, movies.PutMovie, &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: t.name("film")}}, "title")
}

func movieTokens(t *trial) {
	for range 3 {
		t.putMovie(t.viewed(word(9)))
	}
	q := &moviev1.ListMoviesRequest{Genre: t.genre(), PageSize: 2}
	var token string
	t.within(visible, func() {
		token = ask(t, t.door.movies().ListMovies, q).GetNextPageToken()
		t.must(token != "", "a next page of three films", "none")
	})
	altered, other := proto.CloneOf(q), proto.CloneOf(q)
	altered.PageToken = alter(token)
	refused(t, codes.InvalidArgument, t.door.movies().ListMovies, altered, "page_token")
	other.PageToken, other.OrderBy = token, "year"
	refused(t, codes.InvalidArgument, t.door.movies().ListMovies, other, "page_token")
	refused(t, codes.InvalidArgument, t.door.movies().ListChart, &moviev1.ListChartRequest{Chart: "top", PageToken: token}, "page_token")
}
