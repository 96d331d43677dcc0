package verify

import (
	"math"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

// visible is how soon a write that was acknowledged by one service shows at every instance of another.
const visible = 2 * time.Second

// detailScenarios are about single films with their ratings.
func detailScenarios() []Scenario {
	both := []Part{Metadata, Rating}
	return []Scenario{
		{Area: AreaMovie, Door: Movie, Promise: "A film written through the movie service is read back by the next read.", ask: movieRoundTrip},
		{Area: AreaMovie, Door: Movie, Promise: "A film without ratings says so in rating_status and has no numbers, never zeros.", ask: movieUnrated},
		{Area: AreaMovie, Door: Movie, Promise: "An unknown film is NOT_FOUND, and a deleted one by the next read.", ask: movieGone},
		{Area: AreaMovie, Door: Movie, Promise: "A film is written and deleted over only the version that the etag names.", ask: movieEtag},
		{Area: AreaMovie, Door: Movie, Needs: []Part{Metadata}, Promise: "A film put, changed or deleted at the metadata service is up to date at every movie instance within 2 s.", ask: metadataShows},
		{Area: AreaMovie, Door: Rating, Needs: []Part{Movie}, Promise: "A rating acknowledged by one rating instance is in the details of every movie instance within 2 s.", ask: ratingShows},
		{Area: AreaMovie, Door: Movie, Needs: both, Promise: "Details have exactly the numbers of the ratings, and the weighted score of the system's m and C.", ask: detailsExact},
		{Area: AreaMovie, Door: Movie, Needs: []Part{Rating}, Promise: "The ratings of a deleted film are there again when it is put back.", ask: ratingsSurvive},
		{Area: AreaMovie, Door: Movie, Promise: "A batch returns films with their ratings in the requested order, and names the missing ones.", ask: movieBatch},
		{Area: AreaMovie, Door: Movie, Promise: "A film is found by its external id; a lookup takes exactly one valid id.", ask: movieLookup},
	}
}

func (t *trial) movie(d *door, id string) *moviev1.Movie {
	return ask(t, d.movies().GetMovie, &moviev1.GetMovieRequest{Id: id}).GetMovie()
}

// viewed is a film as the movie service takes it.
func (t *trial) viewed(title string) *moviev1.Movie {
	year := int32(1994)
	return &moviev1.Movie{Id: t.name("film"), Title: title, Year: &year, Genres: []string{t.genre()}, Director: "Verify Director"}
}

// putMovie writes a film through the movie service and has it deleted afterwards.
func (t *trial) putMovie(m *moviev1.Movie) *moviev1.Movie {
	t.forgetFilm(m.GetId())
	return ask(t, t.at(Movie).movies().PutMovie, &moviev1.PutMovieRequest{Movie: m}).GetMovie()
}

func movieRoundTrip(t *trial) {
	m := t.viewed(word(9))
	for range 3 {
		m.Title, m.Description = word(9), "About "+word(5)+"."
		stored := t.putMovie(m)
		got := t.movie(t.door, m.GetId())
		same(t, "the title", got.GetTitle(), m.GetTitle())
		same(t, "the description", got.GetDescription(), m.GetDescription())
		same(t, "the genres", got.GetGenres(), m.GetGenres())
		same(t, "the etag", got.GetEtag(), stored.GetEtag())
	}
}

func movieUnrated(t *trial) {
	m := t.viewed(word(9))
	t.putMovie(m)
	got := t.movie(t.door, m.GetId())
	same(t, "rating_status", got.GetRatingStatus(), "unrated")
	t.must(got.GetRatingSummary() == nil, "no rating_summary", "%v", got.GetRatingSummary())
}

func movieGone(t *trial) {
	none := t.name("none")
	refused(t, codes.NotFound, t.door.movies().GetMovie, &moviev1.GetMovieRequest{Id: none}, none)
	refused(t, codes.NotFound, t.door.movies().DeleteMovie, &moviev1.DeleteMovieRequest{Id: none}, none)
	m := t.viewed(word(9))
	t.putMovie(m)
	t.movie(t.door, m.GetId())
	ask(t, t.door.movies().DeleteMovie, &moviev1.DeleteMovieRequest{Id: m.GetId()})
	refused(t, codes.NotFound, t.door.movies().GetMovie, &moviev1.GetMovieRequest{Id: m.GetId()}, m.GetId())
}

func movieEtag(t *trial) {
	m := t.viewed(word(9))
	old := t.putMovie(m).GetEtag()
	m.Title, m.Etag = word(9), old
	now := t.putMovie(m).GetEtag()
	refused(t, codes.Aborted, t.door.movies().PutMovie, &moviev1.PutMovieRequest{Movie: m}, "etag", now)
	refused(t, codes.Aborted, t.door.movies().DeleteMovie, &moviev1.DeleteMovieRequest{Id: m.GetId(), Etag: old}, now)
	m.Etag = "none"
	refused(t, codes.Aborted, t.door.movies().PutMovie, &moviev1.PutMovieRequest{Movie: m})
	ask(t, t.door.movies().DeleteMovie, &moviev1.DeleteMovieRequest{Id: m.GetId(), Etag: now})
}

func metadataShows(t *trial) {
	m := t.film(word(9))
	shows := func(title string) {
		for _, d := range t.sys.reachable(Movie) {
			t.within(visible, func() {
				got := t.movie(d, m.GetId())
				same(t, "the title at "+d.addr, got.GetTitle(), title)
			})
		}
	}
	t.put(m)
	shows(m.GetTitle())
	changed := proto.CloneOf(m)
	changed.Title = word(10)
	t.put(changed)
	shows(changed.GetTitle())
	ask(t, t.at(Metadata).metadata().DeleteMovie, &metadatav1.DeleteMovieRequest{Id: m.GetId()})
	for _, d := range t.sys.reachable(Movie) {
		t.within(visible, func() {
			refused(t, codes.NotFound, d.movies().GetMovie, &moviev1.GetMovieRequest{Id: m.GetId()})
		})
	}
}

func ratingShows(t *trial) {
	m := t.viewed(word(9))
	t.putMovie(m)
	user := t.name("user")
	t.rate("movie", m.GetId(), user, 8)
	shows := func(votes int32, mean float64) {
		for _, d := range t.sys.reachable(Movie) {
			t.within(visible, func() {
				got := t.movie(d, m.GetId())
				same(t, "votes at "+d.addr, got.GetRatingSummary().GetVotes(), votes)
				t.near("mean at "+d.addr, got.GetRatingSummary().GetMean(), mean, 1e-9)
			})
		}
	}
	shows(1, 8)
	t.rerate("movie", m.GetId(), user, 3)
	shows(1, 3)
	t.rate("movie", m.GetId(), t.name("user"), 6)
	shows(2, 4.5)
	t.unrate("movie", m.GetId(), user)
	shows(1, 6)
}

func detailsExact(t *trial) {
	m := t.film(word(9))
	t.put(m)
	values := []int32{1, 4, 4, 7, 10, 10, 10}
	histogram := make([]int32, 10)
	for _, v := range values {
		t.rate("movie", m.GetId(), t.name("user"), v)
		histogram[v-1]++
	}
	t.within(visible, func() {
		got := t.movie(t.door, m.GetId())
		s := got.GetRatingSummary()
		same(t, "votes", s.GetVotes(), int32(len(values)))
		same(t, "rating_status", got.GetRatingStatus(), "fresh")
		same(t, "histogram", s.GetHistogram(), histogram)
		t.near("mean", s.GetMean(), 46.0/7, 1e-9)
		age := time.Since(s.GetAsOfTime().AsTime())
		t.must(age < time.Minute && age > -time.Minute, "an as_of_time of this minute", "%s ago", age)
		// Others rate meanwhile, and C moves with them, by less than a rating can move it.
		stats := ask(t, t.door.movies().GetStats, &moviev1.GetStatsRequest{})
		prior, v := float64(stats.GetMinVotes()), float64(s.GetVotes())
		t.near("weighted", s.GetWeighted(), v/(v+prior)*s.GetMean()+prior/(v+prior)*stats.GetPriorMean(), drift(stats.GetRatings()))
	})
}

// drift is how far a global mean of n ratings may move between two requests: by a hundred ratings and by those of concurrent
// scenarios.
func drift(n int32) float64 { return math.Min(9, 3000/math.Max(1, float64(n))) + 1e-6 }

func ratingsSurvive(t *trial) {
	m := t.viewed(word(9))
	t.putMovie(m)
	t.rate("movie", m.GetId(), t.name("user"), 9)
	ask(t, t.door.movies().DeleteMovie, &moviev1.DeleteMovieRequest{Id: m.GetId()})
	t.putMovie(m)
	t.within(visible, func() {
		same(t, "votes", t.movie(t.door, m.GetId()).GetRatingSummary().GetVotes(), 1)
	})
}

func movieBatch(t *trial) {
	a, b, none := t.viewed(word(9)), t.viewed(word(9)), t.name("none")
	t.putMovie(a)
	t.putMovie(b)
	got := ask(t, t.door.movies().BatchGetMovies, &moviev1.BatchGetMoviesRequest{Ids: []string{b.GetId(), none, a.GetId(), b.GetId()}})
	same(t, "the films", movieIDs(got.GetMovies()), []string{b.GetId(), a.GetId()})
	same(t, "the ids that are missing", got.GetMissingIds(), []string{none})
	t.must(!slices.ContainsFunc(got.GetMovies(), func(m *moviev1.Movie) bool { return m.GetRatingStatus() != "unrated" }), "rating_status unrated", "%v", got.GetMovies())
	refused(t, codes.InvalidArgument, t.door.movies().BatchGetMovies, &moviev1.BatchGetMoviesRequest{}, "ids")
}

func movieIDs(films []*moviev1.Movie) []string {
	ids := make([]string, len(films))
	for i, m := range films {
		ids[i] = m.GetId()
	}
	return ids
}

func movieLookup(t *trial) {
	m := t.viewed(word(9))
	m.ExternalIds = &moviev1.ExternalIds{Imdb: imdbID()}
	t.putMovie(m)
	lookup := t.door.movies().LookupMovie
	got := ask(t, lookup, &moviev1.LookupMovieRequest{ImdbId: m.GetExternalIds().GetImdb()}).GetMovie()
	same(t, "the film", got.GetId(), m.GetId())
	refused(t, codes.NotFound, lookup, &moviev1.LookupMovieRequest{ImdbId: imdbID()})
	refused(t, codes.InvalidArgument, lookup, &moviev1.LookupMovieRequest{})
	refused(t, codes.InvalidArgument, lookup, &moviev1.LookupMovieRequest{ImdbId: imdbID(), TmdbId: "1"})
	refused(t, codes.InvalidArgument, lookup, &moviev1.LookupMovieRequest{ImdbId: "0111161"}, "imdb_id")
}
