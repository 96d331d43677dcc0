package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

// catalogueScenarios are about single films.
func catalogueScenarios() []Scenario {
	return []Scenario{
		{Area: AreaMetadata, Door: Metadata, Promise: "A film that was put is read back whole, field by field, by every instance.", ask: filmRoundTrip},
		{Area: AreaMetadata, Door: Metadata, Promise: "Putting an unchanged film changes nothing, not even its etag.", ask: putSame},
		{Area: AreaMetadata, Door: Metadata, Promise: "A film is written over only the version that expected_etag names.", ask: putExpected},
		{Area: AreaMetadata, Door: Metadata, Promise: "Of several concurrent creations of a film with expected_etag \"none\" exactly one succeeds.", ask: putNone},
		{Area: AreaMetadata, Door: Metadata, Promise: "A deleted film is gone by id, in batches and by its external id, which is free for another film.", ask: filmDeleted},
		{Area: AreaMetadata, Door: Metadata, Promise: "An external id belongs to one film, and a second film with it is refused with the id of the first.", ask: externalIDOnce},
		{Area: AreaMetadata, Door: Metadata, Promise: "Each film of a batch is accepted or refused separately, with the reason.", ask: batchByItself},
		{Area: AreaMetadata, Door: Metadata, Promise: "Filling a film in adds what was missing and overwrites nothing.", ask: batchFills},
		{Area: AreaMetadata, Door: Metadata, Promise: "A bad film is refused with a message that names every wrong field.", ask: badFilm},
		{Area: AreaMetadata, Door: Metadata, Promise: "A missing film is NOT_FOUND, for reading, deleting and lookup.", ask: filmUnknown},
		{Area: AreaMetadata, Door: Metadata, Promise: "A batch returns films in the requested order, each once, and names the missing ones.", ask: batchInOrder},
		{Area: AreaMetadata, Door: Metadata, Promise: "The catalogue's version grows with a film that is put, and the search index reaches it within 2 s.", ask: versionGrows},
	}
}

func (t *trial) getFilm(d *door, id string) *metadatav1.Movie {
	return ask(t, d.metadata().GetMovie, &metadatav1.GetMovieRequest{Id: id}).GetMovie()
}

func filmRoundTrip(t *trial) {
	m := t.film("Čtyři " + word(9) + " 電影 🎬")
	runtime := int32(117)
	m.OriginalTitle, m.AlternativeTitles = "Original "+word(8), []string{"One " + word(7), "Two " + word(7)}
	m.Description, m.RuntimeMinutes = "A line.\nAnother with \"quotes\" & <marks>.", &runtime
	m.ExternalIds = &metadatav1.ExternalIds{Imdb: imdbID()}
	stored := t.put(m)
	t.must(stored.GetEtag() != "" && stored.GetCreateTime() != nil && stored.GetUpdateTime() != nil, "an etag and times", "%v", stored)
	for _, d := range t.sys.reachable(Metadata) {
		got := t.getFilm(d, m.GetId())
		same(t, "the etag", got.GetEtag(), stored.GetEtag())
		plain := proto.CloneOf(got)
		plain.Etag, plain.CreateTime, plain.UpdateTime = "", nil, nil
		t.must(proto.Equal(plain, m), shorten(m.String()), "at %s: %s", d.addr, shorten(plain.String()))
	}
}

func putSame(t *trial) {
	m := t.film(word(10))
	first := t.put(m)
	again := ask(t, t.door.metadata().PutMovie, &metadatav1.PutMovieRequest{Movie: m})
	same(t, "changed", again.GetChanged(), false)
	same(t, "created", again.GetCreated(), false)
	same(t, "the etag", again.GetMovie().GetEtag(), first.GetEtag())
}

func putExpected(t *trial) {
	m := t.film(word(10))
	put := t.door.metadata().PutMovie
	refused(t, codes.Aborted, put, &metadatav1.PutMovieRequest{Movie: m, ExpectedEtag: "*"}, "does not exist")
	old := t.put(m).GetEtag()
	second := proto.CloneOf(m)
	second.Title = word(10)
	now := ask(t, put, &metadatav1.PutMovieRequest{Movie: second, ExpectedEtag: old}).GetMovie().GetEtag()
	third := proto.CloneOf(m)
	third.Title = word(10)
	refused(t, codes.Aborted, put, &metadatav1.PutMovieRequest{Movie: third, ExpectedEtag: old}, now)
	refused(t, codes.Aborted, t.door.metadata().DeleteMovie, &metadatav1.DeleteMovieRequest{Id: m.GetId(), ExpectedEtag: old}, now)
	same(t, "the title", t.getFilm(t.door, m.GetId()).GetTitle(), second.GetTitle())
	ask(t, put, &metadatav1.PutMovieRequest{Movie: third, ExpectedEtag: "*"})
}

func putNone(t *trial) {
	m := t.film(word(10))
	t.forgetFilm(m.GetId())
	doors := t.sys.reachable(Metadata)
	var created atomic.Int32
	t.parallel(8, func(t *trial, i int) {
		mine := proto.CloneOf(m)
		mine.Title = fmt.Sprintf("%s by %d", m.GetTitle(), i)
		_, st := try(t, doors[i%len(doors)].metadata().PutMovie, &metadatav1.PutMovieRequest{Movie: mine, ExpectedEtag: "none"})
		switch st.Code() {
		case codes.OK:
			created.Add(1)
		case codes.Aborted:
		default:
			t.fail("created, or ABORTED", "%s: %s", st.Code(), st.Message())
		}
	})
	t.asking("PutMovie of %s with expected_etag \"none\" eight times at once", m.GetId())
	same(t, "the number of those who created the film", created.Load(), 1)
}

func filmDeleted(t *trial) {
	m := t.film(word(10))
	m.ExternalIds = &metadatav1.ExternalIds{Imdb: imdbID()}
	t.put(m)
	ask(t, t.door.metadata().DeleteMovie, &metadatav1.DeleteMovieRequest{Id: m.GetId()})
	for _, d := range t.sys.reachable(Metadata) {
		refused(t, codes.NotFound, d.metadata().GetMovie, &metadatav1.GetMovieRequest{Id: m.GetId()}, m.GetId())
		refused(t, codes.NotFound, d.metadata().LookupMovie, lookupIMDb(m.GetExternalIds().GetImdb()))
		batch := ask(t, d.metadata().BatchGetMovies, &metadatav1.BatchGetMoviesRequest{Ids: []string{m.GetId()}})
		same(t, "the ids that are missing", batch.GetMissingIds(), []string{m.GetId()})
	}
	other := t.film(word(10))
	other.ExternalIds = m.GetExternalIds()
	t.put(other)
	found := ask(t, t.door.metadata().LookupMovie, lookupIMDb(m.GetExternalIds().GetImdb()))
	same(t, "the film with the external id", found.GetMovie().GetId(), other.GetId())
}

func lookupIMDb(id string) *metadatav1.LookupMovieRequest {
	return &metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_ImdbId{ImdbId: id}}
}

func externalIDOnce(t *trial) {
	m := t.film(word(10))
	m.ExternalIds = &metadatav1.ExternalIds{Imdb: imdbID()}
	t.put(m)
	other := t.film(word(10))
	other.ExternalIds = m.GetExternalIds()
	t.forgetFilm(other.GetId())
	refused(t, codes.AlreadyExists, t.door.metadata().PutMovie, &metadatav1.PutMovieRequest{Movie: other}, m.GetExternalIds().GetImdb(), m.GetId())
	refused(t, codes.NotFound, t.door.metadata().GetMovie, &metadatav1.GetMovieRequest{Id: other.GetId()})
}

func batchByItself(t *trial) {
	good, bad, better := t.film(word(10)), t.film(""), t.film(word(10))
	for _, m := range []*metadatav1.Movie{good, bad, better} {
		t.forgetFilm(m.GetId())
	}
	results := ask(t, t.door.metadata().BatchPutMovies, &metadatav1.BatchPutMoviesRequest{
		Movies: []*metadatav1.Movie{good, bad, better}, Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE,
	}).GetResults()
	same(t, "the number of results", len(results), 3)
	same(t, "the outcome of the first", results[0].GetOutcome(), metadatav1.BatchPutMoviesResponse_OUTCOME_CREATED)
	same(t, "the outcome of the one without a title", results[1].GetOutcome(), metadatav1.BatchPutMoviesResponse_OUTCOME_REFUSED)
	t.has("its reason", results[1].GetReason(), "title")
	same(t, "the outcome of the third", results[2].GetOutcome(), metadatav1.BatchPutMoviesResponse_OUTCOME_CREATED)
	t.getFilm(t.door, better.GetId())
}

func batchFills(t *trial) {
	m := t.film(word(10))
	m.Director = ""
	t.put(m)
	year := int32(2001)
	more := &metadatav1.Movie{Id: m.GetId(), Title: word(9), Year: &year, Director: "Filled In", Genres: []string{t.genre() + " II"}}
	results := ask(t, t.door.metadata().BatchPutMovies, &metadatav1.BatchPutMoviesRequest{
		Movies: []*metadatav1.Movie{more}, Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL,
	}).GetResults()
	same(t, "the outcome", results[0].GetOutcome(), metadatav1.BatchPutMoviesResponse_OUTCOME_UPDATED)
	got := t.getFilm(t.door, m.GetId())
	same(t, "the title", got.GetTitle(), m.GetTitle())
	same(t, "the year", got.GetYear(), m.GetYear())
	same(t, "the director", got.GetDirector(), "Filled In")
	same(t, "the genres", got.GetGenres(), []string{t.genre(), t.genre() + " II"})
}

func badFilm(t *trial) {
	year := int32(1492)
	m := &metadatav1.Movie{
		Id: t.name("film"), Title: "", Year: &year, Genres: []string{strings.Repeat("g", 51)},
		ExternalIds: &metadatav1.ExternalIds{Imdb: "0111161"},
	}
	t.forgetFilm(m.GetId())
	refused(t, codes.InvalidArgument, t.door.metadata().PutMovie, &metadatav1.PutMovieRequest{Movie: m}, "title", "year", "genres", "imdb", "1492")
	for _, id := range []string{"", "..", " x", "a\x00b", strings.Repeat("i", 129)} {
		refused(t, codes.InvalidArgument, t.door.metadata().GetMovie, &metadatav1.GetMovieRequest{Id: id}, "id")
	}
}

func filmUnknown(t *trial) {
	id := t.name("none")
	refused(t, codes.NotFound, t.door.metadata().GetMovie, &metadatav1.GetMovieRequest{Id: id}, id)
	refused(t, codes.NotFound, t.door.metadata().DeleteMovie, &metadatav1.DeleteMovieRequest{Id: id}, id)
	refused(t, codes.NotFound, t.door.metadata().LookupMovie, lookupIMDb(imdbID()))
	refused(t, codes.NotFound, t.door.metadata().ListSimilarMovies, &metadatav1.ListSimilarMoviesRequest{Id: id}, id)
}

func batchInOrder(t *trial) {
	a, b, none := t.film(word(10)), t.film(word(10)), t.name("none")
	t.put(a)
	t.put(b)
	got := ask(t, t.door.metadata().BatchGetMovies, &metadatav1.BatchGetMoviesRequest{Ids: []string{b.GetId(), none, a.GetId(), b.GetId()}})
	same(t, "the films", filmIDs(got.GetMovies()), []string{b.GetId(), a.GetId()})
	same(t, "the ids that are missing", got.GetMissingIds(), []string{none})
}

func versionGrows(t *trial) {
	version := func() int64 {
		return ask(t, t.door.metadata().GetCatalogueVersion, &metadatav1.GetCatalogueVersionRequest{}).GetMovies()
	}
	before := version()
	t.put(t.film(word(10)))
	put := version()
	t.must(put > before, fmt.Sprintf("above %d after a film was put", before), "%d", put)
	t.within(findable, func() {
		v := ask(t, t.door.metadata().GetCatalogueVersion, &metadatav1.GetCatalogueVersionRequest{})
		t.must(v.GetIndexedMovies() >= put, fmt.Sprintf("the search index has reached version %d", put), "%d", v.GetIndexedMovies())
	})
}

func filmIDs(films []*metadatav1.Movie) []string {
	ids := make([]string, len(films))
	for i, m := range films {
		ids[i] = m.GetId()
	}
	return ids
}

// catalogueWalkScenarios are about lists of films.
func catalogueWalkScenarios() []Scenario {
	return []Scenario{
		{Area: AreaMetadata, Door: Metadata, Promise: "A walk over the pages of a list shows every film once, in each of its orders.", ask: catalogueWalk},
		{Area: AreaMetadata, Door: Metadata, Promise: "A walk shows every unchanged film once, whatever is put and deleted meanwhile.", ask: catalogueWalkChanging},
		{Area: AreaMetadata, Door: Metadata, Promise: "A page token that was altered, or that belongs to another query, is refused by name.", ask: catalogueTokens},
		{Area: AreaMetadata, Door: Metadata, Promise: "A ranking of another service is filtered by genre and year and keeps its order.", ask: selectInOrder},
	}
}

// shelf puts films of the trial's genre whose titles sort otherwise than their bytes do, and returns their ids by title.
func (t *trial) shelf() (byTitle []string, years map[string]int32) {
	years = map[string]int32{}
	for i, title := range []string{"Ábel", "the bear", "A Cat", "dog", "École", "The Fox", "goat"} {
		m := t.film(title)
		year := int32(1950 + (i*37)%50)
		m.Year = &year
		t.put(m)
		byTitle = append(byTitle, m.GetId())
		years[m.GetId()] = year
	}
	return byTitle, years
}

func (t *trial) walkFilms(order metadatav1.MovieOrder, each func(page int)) (ids []string) {
	filter := &metadatav1.MovieFilter{Genre: strings.ToUpper(t.genre())}
	for token, page := "", 1; ; page++ {
		answer := ask(t, t.door.metadata().ListMovies, &metadatav1.ListMoviesRequest{Filter: filter, Order: order, PageSize: 3, PageToken: token})
		t.must(len(answer.GetMovies()) <= 3, "at most 3 films on a page", "%d", len(answer.GetMovies()))
		ids = append(ids, filmIDs(answer.GetMovies())...)
		if token = answer.GetNextPageToken(); token == "" {
			return ids
		}
		t.must(page < 20, "an end of the pages", "%d pages of %d films", page, len(ids))
		if each != nil {
			each(page)
		}
	}
}

func catalogueWalk(t *trial) {
	byTitle, years := t.shelf()
	same(t, "the films by title", t.walkFilms(metadatav1.MovieOrder_MOVIE_ORDER_TITLE, nil), byTitle)
	byYear := slices.SortedStableFunc(slices.Values(byTitle), func(a, b string) int { return cmp.Compare(years[a], years[b]) })
	same(t, "the films by year", t.walkFilms(metadatav1.MovieOrder_MOVIE_ORDER_YEAR, nil), byYear)
	slices.Reverse(byYear)
	same(t, "the films by year, newest first", t.walkFilms(metadatav1.MovieOrder_MOVIE_ORDER_YEAR_DESC, nil), byYear)
}

func catalogueWalkChanging(t *trial) {
	stay, _ := t.shelf()
	early := t.film("aardvark")
	t.put(early)
	got := t.walkFilms(metadatav1.MovieOrder_MOVIE_ORDER_TITLE, func(page int) {
		if page == 1 {
			ask(t, t.door.metadata().DeleteMovie, &metadatav1.DeleteMovieRequest{Id: early.GetId()})
			t.put(t.film("aaa"))
			t.put(t.film("zebra"))
		}
	})
	seen := map[string]int{}
	for _, id := range got {
		seen[id]++
	}
	for _, id := range stay {
		same(t, "how often the walk showed "+id, seen[id], 1)
	}
}

func catalogueTokens(t *trial) {
	t.shelf()
	list := t.door.metadata().ListMovies
	q := &metadatav1.ListMoviesRequest{Filter: &metadatav1.MovieFilter{Genre: t.genre()}, PageSize: 3}
	token := ask(t, list, q).GetNextPageToken()
	t.must(token != "", "a next page", "none")
	for _, bad := range []string{alter(token), token[:len(token)-2], "abc"} {
		altered := proto.CloneOf(q)
		altered.PageToken = bad
		refused(t, codes.InvalidArgument, list, altered, "page_token")
	}
	other := proto.CloneOf(q)
	other.PageToken, other.Order = token, metadatav1.MovieOrder_MOVIE_ORDER_YEAR
	refused(t, codes.InvalidArgument, list, other, "page_token")
}

// alter changes one letter in the middle of a token.
func alter(token string) string {
	text := []byte(token)
	middle := len(text) / 2
	if text[middle] == 'x' {
		text[middle] = 'y'
	} else {
		text[middle] = 'x'
	}
	return string(text)
}

func selectInOrder(t *trial) {
	byTitle, years := t.shelf()
	ids := slices.Clone(byTitle)
	slices.Reverse(ids)
	from := int32(1970)
	var want []string
	for _, id := range ids {
		if years[id] >= from {
			want = append(want, id)
		}
	}
	var got []string
	answer := ask(t, t.door.metadata().SelectMovies, &metadatav1.SelectMoviesRequest{
		Ids: append(ids, t.name("none")), Filter: &metadatav1.MovieFilter{Genre: t.genre(), MinYear: &from},
	})
	for _, m := range answer.GetMatches() {
		got = append(got, m.GetId())
	}
	same(t, "the ids that match", got, want)
}
