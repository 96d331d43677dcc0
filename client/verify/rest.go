package verify

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// restFilmScenarios are about films over REST. What was written there shows at once where one movie service answers; where there are several
// behind the gateway, another one may answer the next read, and it has what it knows for up to half a second.
func restFilmScenarios() []Scenario {
	return []Scenario{
		{Area: AreaREST, Door: Gateway, Promise: "A film that was PUT is what GET answers within 2 s, with the etag of the body in its ETag.", ask: restRoundTrip},
		{Area: AreaREST, Door: Gateway, Promise: "A read with the ETag in If-None-Match is answered with 304 and no body until something changes.", ask: restNotModified},
		{Area: AreaREST, Door: Gateway, Promise: "A PUT or DELETE with an old version in If-Match is answered with 412 and changes nothing; one with the newest succeeds.", ask: restIfMatch},
		{Area: AreaREST, Door: Gateway, Promise: "Of several creations of a film with If-None-Match: * one succeeds, and the others are answered with 412.", ask: restIfNoneMatch},
		{Area: AreaREST, Door: Gateway, Promise: "An unknown film is 404, and a deleted one within 2 s; the problem says which.", ask: restGone},
		{Area: AreaREST, Door: Gateway, Promise: "A bad film is 400, with every wrong field in errors.", ask: restBadFilm},
		{Area: AreaREST, Door: Gateway, Promise: "Every id works in a path: with slashes, spaces, percent signs and letters of all scripts.", ask: restAnyID},
		{Area: AreaREST, Door: Gateway, Promise: "Films can be read in batches and by external id.", ask: restBatchAndLookup},
	}
}

func (t *trial) filmBody(title string) string {
	return fmt.Sprintf(`{"title":%q,"year":1994,"genres":[%q],"director":"Verify Director"}`, title, t.genre())
}

func restRoundTrip(t *trial) {
	id := t.name("film")
	for range 3 {
		title := word(9) + " é 電影"
		t.putFilm(id, t.filmBody(title)).is(http.StatusOK)
		t.within(visible, func() {
			a := t.get(moviePath(id))
			var m restMovie
			a.decode(&m)
			same(t, "the film", []string{m.ID, m.Title, m.Director, m.RatingStatus}, []string{id, title, "Verify Director", "unrated"})
			t.must(m.RatingSummary == nil, "no ratingSummary", "%v", m.RatingSummary)
			t.must(m.ETag != "" && strings.Contains(a.tag(), m.ETag), "an ETag with "+m.ETag, "%s", a.tag())
		})
	}
}

func restNotModified(t *trial) {
	id := t.name("film")
	t.putFilm(id, t.filmBody(word(9))).is(http.StatusOK)
	tag := t.get(moviePath(id)).tag()
	same(t, "the ETag of a second read", t.get(moviePath(id)).tag(), tag)
	not := t.send(http.MethodGet, moviePath(id), "", `If-None-Match: "other", `+tag).is(http.StatusNotModified)
	same(t, "the length of its body", len(not.body), 0)
	same(t, "its ETag", not.tag(), tag)
	t.putFilm(id, t.filmBody(word(9))).is(http.StatusOK)
	var changed *answer
	t.within(visible, func() {
		changed = t.get(moviePath(id), "If-None-Match: "+tag)
		t.must(changed.tag() != tag, "another ETag", "%s again", tag)
	})
	t.rateHTTP(id, t.name("user"), 8)
	t.get(moviePath(id), "If-None-Match: "+changed.tag())
}

func restIfMatch(t *trial) {
	id, second := t.name("film"), word(9)
	old := t.putFilm(id, t.filmBody(word(9))).is(http.StatusOK).tag()
	now := t.putFilm(id, t.filmBody(second), "If-Match: "+old).is(http.StatusOK).tag()
	p := t.putFilm(id, t.filmBody(word(9)), "If-Match: "+old).refuses(http.StatusPreconditionFailed, "If-Match")
	t.has("the type", p.Type, "precondition-failed")
	t.send(http.MethodDelete, moviePath(id), "", "If-Match: "+old).refuses(http.StatusPreconditionFailed, "If-Match")
	t.within(visible, func() { same(t, "the title", t.readFilm(id).Title, second) })
	none := t.name("none")
	t.putFilm(none, t.filmBody(word(9)), "If-Match: *").refuses(http.StatusPreconditionFailed, "If-Match")
	t.send(http.MethodDelete, moviePath(id), "", "If-Match: "+now).is(http.StatusOK)
	t.within(visible, func() { t.send(http.MethodGet, moviePath(id), "").is(http.StatusNotFound) })
}

func restIfNoneMatch(t *trial) {
	id := t.name("film")
	doors := t.sys.reachable(Gateway)
	t.forgetFilm(id)
	var created atomic.Int32
	t.parallel(6, func(t *trial, i int) {
		a := t.request(doors[i%len(doors)], http.MethodPut, moviePath(id), t.filmBody(fmt.Sprint("By ", i)), "If-None-Match: *")
		if a.status == http.StatusOK {
			created.Add(1)
			return
		}
		a.refuses(http.StatusPreconditionFailed, "If-None-Match")
	})
	t.asking("PUT %s with If-None-Match: * six times at once", moviePath(id))
	same(t, "the number of those who created the film", created.Load(), 1)
}

func restGone(t *trial) {
	none := t.name("none")
	p := t.send(http.MethodGet, moviePath(none), "").refuses(http.StatusNotFound)
	t.has("the detail", p.Detail, none)
	same(t, "the code", p.Code, "NOT_FOUND")
	t.send(http.MethodDelete, moviePath(none), "").refuses(http.StatusNotFound)
	id := t.name("film")
	t.putFilm(id, t.filmBody(word(9))).is(http.StatusOK)
	t.get(moviePath(id))
	t.send(http.MethodDelete, moviePath(id), "").is(http.StatusOK)
	t.within(visible, func() { t.send(http.MethodGet, moviePath(id), "").refuses(http.StatusNotFound) })
}

func restBadFilm(t *trial) {
	id := t.name("film")
	t.putFilm(id, `{"title":"","year":1492,"genres":["`+strings.Repeat("g", 51)+`"]}`).refuses(http.StatusBadRequest, "title", "year", "genres")
	t.putFilm(id, `{"title":7,"years":1994,"genres":"Drama"}`).refuses(http.StatusBadRequest, "title", "years", "genres")
	t.putFilm(id, `{"title":"A"`).refuses(http.StatusBadRequest)
	t.putFilm(id, t.filmBody("A")[:1]+`"id":"another",`+t.filmBody("A")[1:]).refuses(http.StatusBadRequest, "id")
	t.send(http.MethodGet, moviePath(id), "").is(http.StatusNotFound)
}

func restAnyID(t *trial) {
	for _, tail := range []string{"/a/b", " c", "%2F", "é電", "?x=1&y#z", ":search", "..", "+"} {
		id := t.id + tail
		t.putFilm(id, t.filmBody("With "+tail)).is(http.StatusOK)
		same(t, "the id", t.readFilm(id).ID, id)
	}
}

func restBatchAndLookup(t *trial) {
	a, none, imdb := t.name("film"), t.name("none"), imdbID()
	t.putFilm(a, fmt.Sprintf(`{"title":%q,"externalIds":{"imdb":%q}}`, word(9), imdb)).is(http.StatusOK)
	var batch struct {
		Movies     []restMovie
		MissingIDs []string
	}
	t.send(http.MethodPost, "/v1/movies:batchGet", fmt.Sprintf(`{"ids":[%q,%q]}`, none, a)).is(http.StatusOK).decode(&batch)
	t.must(len(batch.Movies) == 1 && batch.Movies[0].ID == a, "the film", "%v", batch.Movies)
	same(t, "missingIds", batch.MissingIDs, []string{none})
	var m restMovie
	t.get("/v1/movies:lookup?imdb_id=" + imdb).decode(&m)
	same(t, "the id", m.ID, a)
	t.send(http.MethodGet, "/v1/movies:lookup?imdb_id="+imdbID(), "").refuses(http.StatusNotFound)
	t.send(http.MethodGet, "/v1/movies:lookup", "").refuses(http.StatusBadRequest)
}

// restRatingScenarios are about ratings over REST.
func restRatingScenarios() []Scenario {
	return []Scenario{
		{Area: AreaREST, Door: Gateway, Promise: "A rating through the gateway shows in the next read of the film, or the film is marked as stale.", ask: readYourRating},
		{Area: AreaREST, Door: Gateway, Promise: "A rating through one gateway shows at every other within 2 s.", ask: ratingShowsElsewhere},
		{Area: AreaREST, Door: Gateway, Promise: "A rating over REST is read back, listed under its record and its user, summed up, and gone when it was deleted.", ask: restRating},
		{Area: AreaREST, Door: Gateway, Promise: "A bad rating is 400 with the field and what is allowed.", ask: restBadRating},
	}
}

func readYourRating(t *trial) {
	id, user := t.name("film"), t.name("user")
	t.putFilm(id, t.filmBody(word(9))).is(http.StatusOK)
	same(t, "ratingStatus before", t.readFresh(id).RatingStatus, "unrated")
	for i := range 15 {
		value := 1 + (i*3)%10
		t.rateHTTP(id, user, value)
		m := t.readFresh(id)
		t.must(m.RatingSummary != nil && m.RatingSummary.Votes == 1 && m.RatingSummary.Mean == float64(value),
			fmt.Sprintf("1 vote with mean %d", value), "%s, %+v", m.RatingStatus, m.RatingSummary)
	}
	t.send(http.MethodDelete, ratingPath("movie", id, user), "").is(http.StatusOK)
	same(t, "ratingStatus after the rating was deleted", t.readFresh(id).RatingStatus, "unrated")
}

// readFresh reads a film until its numbers are said to be those of the moment: the first answer that says so counts.
func (t *trial) readFresh(id string) (m restMovie) {
	t.eventually(func() {
		m = t.readFilm(id)
		t.must(m.RatingStatus == "fresh" || m.RatingStatus == "unrated", "a ratingStatus of fresh or unrated", "%s", m.RatingStatus)
	})
	return m
}

func ratingShowsElsewhere(t *trial) {
	id := t.name("film")
	t.putFilm(id, t.filmBody(word(9))).is(http.StatusOK)
	t.rateHTTP(id, t.name("user"), 8)
	for _, d := range t.sys.reachable(Gateway) {
		t.within(visible, func() {
			var m restMovie
			t.request(d, http.MethodGet, moviePath(id), "").is(http.StatusOK).decode(&m)
			t.must(m.RatingSummary != nil && m.RatingSummary.Votes == 1, "1 vote", "%s, %+v at %s", m.RatingStatus, m.RatingSummary, d.addr)
		})
	}
}

func restRating(t *trial) {
	record, user := t.name("film"), t.name("user")
	t.rateHTTP(record, user, 9)
	var one struct {
		RecordID, UserID string
		Value            int
	}
	t.get(ratingPath("movie", record, user)).decode(&one)
	same(t, "the value", one.Value, 9)
	var list struct {
		Ratings []struct{ RecordID, UserID string }
	}
	t.get(recordPath("movie", record) + "/ratings").decode(&list)
	t.must(len(list.Ratings) == 1 && list.Ratings[0].UserID == user, "one rating, by "+user, "%v", list.Ratings)
	t.get("/v1/users/" + segment(user) + "/ratings").decode(&list)
	t.must(len(list.Ratings) == 1 && list.Ratings[0].RecordID == record, "one rating, of "+record, "%v", list.Ratings)
	var sum restSummary
	t.get(recordPath("movie", record) + "/ratingSummary").decode(&sum)
	t.must(sum.Votes == 1 && sum.Mean == 9 && slices.Equal(sum.Histogram, []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 0}), "1 vote of 9", "%+v", sum)
	t.get(recordPath("movie", record) + "/ratingHistory").has(`"votes":1`)
	t.send(http.MethodDelete, ratingPath("movie", record, user), "").is(http.StatusOK)
	t.send(http.MethodGet, ratingPath("movie", record, user), "").refuses(http.StatusNotFound)
	t.send(http.MethodGet, recordPath("movie", record)+"/ratingSummary", "").refuses(http.StatusNotFound)
}

func restBadRating(t *trial) {
	record, user := t.name("film"), t.name("user")
	path := ratingPath("movie", record, user)
	t.forgetRating("movie", record, user)
	for _, body := range []string{`{"value":0}`, `{"value":11}`, `{"value":7.5}`, `{"value":"high"}`, `{}`} {
		t.send(http.MethodPut, path, body).refuses(http.StatusBadRequest, "value")
	}
	t.send(http.MethodPut, path, `{"value":5,"stars":3}`).refuses(http.StatusBadRequest, "stars")
	t.send(http.MethodPut, ratingPath("Movie!", record, user), `{"value":5}`).refuses(http.StatusBadRequest)
	t.send(http.MethodGet, recordPath("movie", record)+"/ratingSummary", "").is(http.StatusNotFound)
}

// restReadScenarios are about lists, charts, searches and numbers over REST.
func restReadScenarios() []Scenario {
	return []Scenario{
		{Area: AreaREST, Door: Gateway, Promise: "A walk along the Link headers of a list shows every film once.", ask: restWalk},
		{Area: AreaREST, Door: Gateway, Promise: "A page token that was altered, or that belongs to another query, is 400 and named.", ask: restTokens},
		{Area: AreaREST, Door: Gateway, Promise: "A film that was PUT is found, suggested and similar to others of its genre within 2 s.", ask: restFound},
		{Area: AreaREST, Door: Gateway, Promise: "The top chart over REST is ranked by what it says: m, C and the formula.", ask: restChart},
		{Area: AreaREST, Door: Gateway, Promise: "fields= masks answers to what it names, and refuses what it cannot name.", ask: restFields},
		{Area: AreaREST, Door: Gateway, Promise: "The system's totals are available, with an as-of time.", ask: restStats},
	}
}

func restWalk(t *trial) {
	var want []string
	for _, title := range []string{"Ábel", "the bear", "A Cat", "dog", "École"} {
		id := t.name("film")
		t.putFilm(id, t.filmBody(title)).is(http.StatusOK)
		want = append(want, id)
	}
	t.within(visible, func() {
		var got []string
		for path := "/v1/movies?page_size=2&genre=" + url.QueryEscape(t.genre()); path != ""; {
			a := t.get(path)
			var page struct{ Movies []restMovie }
			a.decode(&page)
			for _, m := range page.Movies {
				got = append(got, m.ID)
			}
			t.must(len(got) <= len(want), "an end of the pages", "%d films", len(got))
			path = ""
			if link := a.header.Get("Link"); link != "" {
				target, rel, _ := strings.Cut(link, ">")
				t.has("the Link", rel, `rel="next"`)
				path = strings.TrimPrefix(target, "<")
			}
		}
		same(t, "the films", got, want)
	})
}

func restTokens(t *trial) {
	for range 3 {
		t.putFilm(t.name("film"), t.filmBody(word(9))).is(http.StatusOK)
	}
	list := "/v1/movies?page_size=2&genre=" + url.QueryEscape(t.genre())
	var page struct{ NextPageToken string }
	t.within(visible, func() {
		t.get(list).decode(&page)
		t.must(page.NextPageToken != "", "a next page of three films", "none")
	})
	t.get(list + "&page_token=" + page.NextPageToken)
	t.send(http.MethodGet, list+"&page_token="+alter(page.NextPageToken), "").refuses(http.StatusBadRequest, "page_token")
	t.send(http.MethodGet, list+"&order_by=year&page_token="+page.NextPageToken, "").refuses(http.StatusBadRequest, "page_token")
}

func restFound(t *trial) {
	a, b, title := t.name("film"), t.name("film"), word(11)
	t.putFilm(a, t.filmBody(title)).is(http.StatusOK)
	t.putFilm(b, t.filmBody(word(9))).is(http.StatusOK)
	t.within(findable, func() { t.get("/v1/movies:search?q="+title).has(`"total":1`, a, `"match":"exact"`) })
	t.within(findable, func() { t.get("/v1/movies:search?q="+title[:4]+"q"+title[5:]).has(a, `"match":"spelling"`) })
	t.within(findable, func() { t.get("/v1/movies:suggest?q=" + title[:9]).has(a) })
	t.within(findable, func() { t.get(moviePath(a) + "/similar").has(b) })
	t.send(http.MethodGet, "/v1/movies:search", "").refuses(http.StatusBadRequest, "q")
}

func restChart(t *trial) {
	var c struct {
		MinVotes                int
		GlobalMean              float64
		AsOfTime, NextPageToken string
		Entries                 []struct {
			Rank  int
			Score float64
			Movie restMovie
		}
	}
	t.get("/v1/charts/top?page_size=50").decode(&c)
	t.must(c.MinVotes >= 1 && c.AsOfTime != "", "m and an as-of time", "m %d, %q", c.MinVotes, c.AsOfTime)
	for i, e := range c.Entries {
		same(t, "the rank", e.Rank, i+1)
		t.must(i == 0 || c.Entries[i-1].Score >= e.Score, "best first", "%g before %g", c.Entries[max(0, i-1)].Score, e.Score)
		s := e.Movie.RatingSummary
		t.must(s != nil, "numbers for each film", "none for %s", e.Movie.ID)
		if s.AsOfTime != c.AsOfTime {
			continue // newer numbers than those that it was ranked by
		}
		v, m := float64(s.Votes), float64(c.MinVotes)
		t.must(v >= m, fmt.Sprintf("at least %g votes", m), "%g of %s", v, e.Movie.ID)
		t.near(fmt.Sprintf("the score of rank %d", e.Rank), e.Score, v/(v+m)*s.Mean+m/(v+m)*c.GlobalMean, 1e-6)
	}
	t.send(http.MethodGet, "/v1/charts/best", "").refuses(http.StatusBadRequest, "chart")
}

func restFields(t *trial) {
	id, title := t.name("film"), word(9)
	t.putFilm(id, t.filmBody(title)).is(http.StatusOK)
	same(t, "the masked film", string(t.get(moviePath(id)+"?fields=title,year").body), fmt.Sprintf(`{"title":%q,"year":1994}`, title))
	t.send(http.MethodGet, moviePath(id)+"?fields=titel", "").refuses(http.StatusBadRequest, "fields")
}

func restStats(t *trial) {
	var s struct {
		Movies, Ratings, MinVotes *int
		PriorMean                 *float64
		AsOfTime                  string
	}
	t.get("/v1/stats").decode(&s)
	t.must(s.Movies != nil && s.Ratings != nil && s.MinVotes != nil && *s.MinVotes >= 1 && s.PriorMean != nil && s.AsOfTime != "", "movies, ratings, minVotes, priorMean and asOfTime", "%+v", s)
}
