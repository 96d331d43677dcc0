package verify

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

// findable is how soon search knows of a write, whichever instance it was made through.
const findable = 2 * time.Second

func searchScenarios() []Scenario {
	return []Scenario{
		{Area: AreaMetadata, Door: Metadata, Promise: "A film that was put is found by its title at every instance within 2 s.", ask: foundByTitle},
		{Area: AreaMetadata, Door: Metadata, Promise: "A film is found with one typo in a word of five letters, two in one of nine.", ask: foundWithTypo},
		{Area: AreaMetadata, Door: Metadata, Promise: "A film is found with and without its leading article.", ask: foundByArticle},
		{Area: AreaMetadata, Door: Metadata, Promise: "A film is found without the accents of its title, and with accents that it does not have.", ask: foundByFolding},
		{Area: AreaMetadata, Door: Metadata, Promise: "A film is found by its director, and by an alternative title.", ask: foundByNames},
		{Area: AreaMetadata, Door: Metadata, Promise: "A film is suggested while its title is being typed.", ask: suggested},
		{Area: AreaMetadata, Door: Metadata, Promise: "A film with a new title is found by that, and no longer by the old one, within 2 s.", ask: foundChanged},
		{Area: AreaMetadata, Door: Metadata, Promise: "A deleted film is no longer found within 2 s.", ask: foundDeleted},
		{Area: AreaMetadata, Door: Metadata, Promise: "A walk over the pages of a search shows every hit once, as many as the total says, counted by genre and decade.", ask: searchWalk},
		{Area: AreaMetadata, Door: Metadata, Promise: "A search without a query, with an invalid filter, or with an altered token is refused by name.", ask: badSearch},
	}
}

// hits searches at an instance.
func (t *trial) hits(d *door, query string) []*metadatav1.SearchMoviesResponse_Hit {
	return ask(t, d.metadata().SearchMovies, &metadatav1.SearchMoviesRequest{Query: query}).GetHits()
}

// found ends the trial unless the query finds the film, and returns the hit.
func (t *trial) found(d *door, query string, m *metadatav1.Movie) *metadatav1.SearchMoviesResponse_Hit {
	hits := t.hits(d, query)
	for _, h := range hits {
		if h.GetMovie().GetId() == m.GetId() {
			return h
		}
	}
	t.fail("the film "+m.GetTitle()+" is among the hits", "%d hits without it at %s", len(hits), d.addr)
	return nil
}

// findAll puts a film and ends the trial unless every instance finds it by every query in time.
func (t *trial) findAll(m *metadatav1.Movie, queries ...string) {
	t.put(m)
	for _, d := range t.sys.reachable(Metadata) {
		for _, q := range queries {
			t.within(findable, func() { t.found(d, q, m) })
		}
	}
}

func foundByTitle(t *trial) {
	m := t.film(word(9) + " " + word(7))
	t.put(m)
	for _, d := range t.sys.reachable(Metadata) {
		t.within(findable, func() {
			h := t.found(d, strings.ToLower(m.GetTitle()), m)
			same(t, "the kind of match", h.GetKind(), metadatav1.MatchKind_MATCH_KIND_EXACT)
			title := ""
			for _, piece := range h.GetTitle() {
				title += piece.GetText()
			}
			same(t, "the title's pieces, joined", title, m.GetTitle())
			same(t, "the title of the film in the hit", h.GetMovie().GetTitle(), m.GetTitle())
		})
	}
}

func foundWithTypo(t *trial) {
	short, long := word(7), word(11)
	m := t.film(short + " " + long)
	swap := func(w string, i int) string { return w[:i] + w[i+1:i+2] + w[i:i+1] + w[i+2:] }
	t.findAll(m,
		short+" "+long[:5]+"q"+long[6:],               // another letter
		short[:3]+short[4:]+" "+long,                  // one too few
		swap(short, 2)+" "+long,                       // two in the wrong order
		short+" "+long[:3]+"q"+long[4:8]+"q"+long[9:], // two in a long word
	)
}

func foundByArticle(t *trial) {
	name := word(9)
	with := t.film("The " + name)
	t.findAll(with, name, "the "+name)
	without := t.film(word(9))
	t.findAll(without, "the "+without.GetTitle())
}

func foundByFolding(t *trial) {
	w := word(8)
	m := t.film(w + "é " + "Ðø" + w)
	t.findAll(m, w+"e", strings.ToUpper(w)+"É", w+"è")
}

func foundByNames(t *trial) {
	m := t.film(word(9))
	m.Director, m.AlternativeTitles = word(8)+" "+word(10), []string{word(10)}
	t.findAll(m, m.GetDirector(), m.GetAlternativeTitles()[0], m.GetDirector()+" "+m.GetTitle())
	same(t, "the kind of match", t.found(t.door, m.GetDirector(), m).GetKind(), metadatav1.MatchKind_MATCH_KIND_DIRECTOR)
}

func suggested(t *trial) {
	m := t.film(word(11))
	t.put(m)
	for _, d := range t.sys.reachable(Metadata) {
		for _, typed := range []string{m.GetTitle()[:8], m.GetTitle()} {
			t.within(findable, func() {
				list := ask(t, d.metadata().SuggestMovies, &metadatav1.SuggestMoviesRequest{Query: typed}).GetSuggestions()
				t.must(slices.ContainsFunc(list, func(s *metadatav1.SuggestMoviesResponse_Suggestion) bool { return s.GetId() == m.GetId() }),
					"the film is among the suggestions", "%d without it at %s", len(list), d.addr)
			})
		}
	}
}

func foundChanged(t *trial) {
	m := t.film(word(10))
	t.findAll(m, m.GetTitle())
	old := m.GetTitle()
	changed := proto.CloneOf(m)
	changed.Title = word(10)
	t.findAll(changed, changed.GetTitle())
	for _, d := range t.sys.reachable(Metadata) {
		t.within(findable, func() { t.foundNot(d, old, m.GetId()) })
	}
}

func (t *trial) foundNot(d *door, query, id string) {
	for _, h := range t.hits(d, query) {
		t.must(h.GetMovie().GetId() != id, "the film is not among the hits", "it is, as %q, at %s", h.GetMovie().GetTitle(), d.addr)
	}
}

func foundDeleted(t *trial) {
	m := t.film(word(10))
	t.findAll(m, m.GetTitle())
	ask(t, t.door.metadata().DeleteMovie, &metadatav1.DeleteMovieRequest{Id: m.GetId()})
	for _, d := range t.sys.reachable(Metadata) {
		t.within(findable, func() { t.foundNot(d, m.GetTitle(), m.GetId()) })
	}
}

func searchWalk(t *trial) {
	name := word(10)
	var want []string
	for i, tail := range []string{"", " alpha", " beta", " gamma", " delta"} {
		m := t.film(name + tail)
		year := int32(1980 + 5*i) // two decades and one year of a third
		m.Year = &year
		t.put(m)
		want = append(want, m.GetId())
	}
	slices.Sort(want)
	t.within(findable, func() {
		var got []string
		for token := ""; ; {
			page := ask(t, t.door.metadata().SearchMovies, &metadatav1.SearchMoviesRequest{Query: name, PageSize: 2, PageToken: token})
			same(t, "the total", page.GetTotal(), int32(len(want)))
			same(t, "the counts by genre", len(page.GetGenres()), 1)
			same(t, "the count of the genre", page.GetGenres()[0].GetCount(), int32(len(want)))
			var decades []int32
			for _, d := range page.GetDecades() {
				decades = append(decades, d.GetDecade(), d.GetCount())
			}
			same(t, "the decades and their counts", decades, []int32{1980, 2, 1990, 2, 2000, 1})
			for _, h := range page.GetHits() {
				got = append(got, h.GetMovie().GetId())
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
			t.must(len(got) <= len(want), "an end of the pages", "%d hits", len(got))
		}
		same(t, "the first hit, whose whole title it is", got[0], want[0])
		slices.Sort(got)
		same(t, "the hits", got, want)
	})
}

func badSearch(t *trial) {
	search := t.door.metadata().SearchMovies
	decade := int32(1995)
	refused(t, codes.InvalidArgument, search, &metadatav1.SearchMoviesRequest{Query: "  "}, "query")
	refused(t, codes.InvalidArgument, search, &metadatav1.SearchMoviesRequest{Query: strings.Repeat("q", 201)}, "query")
	refused(t, codes.InvalidArgument, search, &metadatav1.SearchMoviesRequest{Query: "a", Decade: &decade}, "decade")
	refused(t, codes.InvalidArgument, search, &metadatav1.SearchMoviesRequest{Query: "a", PageToken: "abc"}, "page_token")
}
