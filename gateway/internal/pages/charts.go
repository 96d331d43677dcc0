package pages

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"movieexample.com/internal/fault"
)

// chartPageSize fills the rows of a wall of two, three, five and six posters.
const chartPageSize = 30

// chartKind is a ranking and its words.
type chartKind struct {
	Name, Title, Lead string
}

func chartKinds() []chartKind {
	return []chartKind{
		{"top", "Top films", "The best rated, weighted so that a handful of enthusiasts cannot lift a film above one that thousands saw."},
		{"popular", "Most rated", "The films that most people have an opinion about, whatever it is."},
		{"trending", "Trending", "The films that people rate now: every rating counts, and counts half as much a week later."},
	}
}

// choice is a link that narrows, widens or shows where one is.
type choice struct {
	Label   string
	Href    string
	Count   int // below 0 where not counted
	Current bool
}

// chartPage is what chart.html shows.
type chartPage struct {
	Head     head
	Kind     chartKind
	Kinds    []choice
	Title    string
	Chart    chart
	Filter   filter
	Genres   []choice
	Decades  []choice
	Places   string // "31–60", where the page is not the first
	Next     string // address of the next page
	First    string // address of the first page, where this is not it
	Ways     []way  // that lead on from a chart without a film
	Years    []way  // searches for the years of the decade, on such a page
	Stale    *time.Time
	Outdated bool
}

func (p *Pages) chart(w http.ResponseWriter, r *http.Request, name string) {
	var page chartPage
	for _, k := range chartKinds() {
		if k.Name == name {
			page.Kind = k
		}
	}
	if page.Kind.Name == "" {
		p.nowhere(w, r, "There is no such chart. The charts are top, popular and trending.")
		return
	}
	query := r.URL.Query()
	f, token, complaint := readFilter(query)
	if complaint != "" {
		p.refuse(w, r, http.StatusBadRequest, complaint)
		return
	}
	var counts *stats
	var err error
	done := make(chan struct{})
	go func() { // the numbers beside the filters come while the chart does
		defer close(done)
		p.together(r.Context(), p.cfg.ExtrasTimeout, part{"stats", func(ctx context.Context) error { return keep(&counts)(p.movies.stats(ctx)) }})
	}()
	err = p.breakers.call(r.Context(), "the chart "+name, func() (err error) {
		page.Chart, err = p.movies.chart(r.Context(), name, f, chartPageSize, token)
		return err
	})
	<-done
	if err != nil {
		p.fail(w, r, err)
		return
	}
	var genres []genreCount
	var decades []decadeCount
	if counts != nil {
		genres, decades = counts.Genres, counts.Decades
	}
	known := canonicalGenre(&f, genres)
	empty := len(page.Chart.Entries) == 0
	if empty && !known && counts != nil && counts.OtherGenres == 0 {
		p.unknownGenre(w, r, name, f, genres)
		return
	}
	// The numbers at hand are of the catalogue. Most of it may not be in the chart, so they stay out.
	for i := range genres {
		genres[i].Count = -1
	}
	for i := range decades {
		decades[i].Count = -1
	}
	page.Filter, page.Title, page.Stale = f, chartTitle(page.Kind, f), stale(page.Chart.films(), p.old())
	page.Outdated = outdated(page.Chart.films())
	for _, k := range chartKinds() {
		page.Kinds = append(page.Kinds, choice{Label: k.Title, Href: chartHref(k.Name, f, ""), Current: k.Name == name})
	}
	page.Genres, page.Decades = choices(f, genres, decades, func(f filter) string { return chartHref(name, f, "") })
	if page.Chart.Next != "" {
		page.Next = chartHref(name, f, page.Chart.Next)
	}
	page.Head = p.head(page.Title, page.Kind.Lead)
	if token != "" {
		page.First = chartHref(name, f, "")
		if !empty {
			page.Places = strconv.Itoa(page.Chart.Entries[0].Rank) + "–" + strconv.Itoa(page.Chart.Entries[len(page.Chart.Entries)-1].Rank)
			page.Head.Title += ", places " + page.Places
		}
	} else if empty {
		page.Ways, page.Years = waysOn(name, f)
	}
	page.Head.Section = name
	// The token in the address does not live long, and a page without a film is nothing to find.
	page.Head.NoIndex = token != "" || empty && len(page.Ways) > 0
	if token == "" {
		page.Head.Canonical = p.absolute(r, chartHref(name, f, ""))
	}
	p.show(w, r, http.StatusOK, "chart", page)
}

// canonicalGenre spells the filter's genre as the catalogue does, so that every spelling of an address is one page, and
// reports whether the catalogue has it.
func canonicalGenre(f *filter, genres []genreCount) bool {
	if f.Genre == "" {
		return true
	}
	for _, g := range genres {
		if strings.EqualFold(g.Genre, f.Genre) {
			f.Genre = g.Genre
			return true
		}
	}
	return false
}

// unknownGenre answers for a chart of a genre that no film has.
func (p *Pages) unknownGenre(w http.ResponseWriter, r *http.Request, name string, f filter, genres []genreCount) {
	text := "No film here has the genre “" + shortened(f.Genre) + "”."
	said := shortened(f.Genre)
	f.Genre = ""
	ways := []way{{"The chart of all genres", chartHref(name, f, "")}}
	for _, g := range genres[:min(len(genres), 40)] {
		f.Genre = g.Genre
		ways = append(ways, way{g.Genre, chartHref(name, f, "")})
	}
	p.explain(w, r, fault.Problem{Status: http.StatusNotFound, Detail: text}, said, ways...)
}

// waysOn are the links from a chart that has no film with this filter: to the same chart with less of a filter, to the
// chart that takes least to be in, and to the films of the decade, rated or not.
func waysOn(name string, f filter) (ways, years []way) {
	if f.Genre != "" && f.HasDecade {
		ways = append(ways, way{f.Genre + " of all decades", chartHref(name, filter{Genre: f.Genre}, "")},
			way{"All genres of the " + strconv.Itoa(f.Decade) + "s", chartHref(name, filter{Decade: f.Decade, HasDecade: true}, "")})
	}
	if f.Genre != "" || f.HasDecade {
		ways = append(ways, way{"The whole chart", chartHref(name, filter{}, "")})
	}
	if name != "popular" {
		ways = append(ways, way{"Most rated, with this filter: one rating is enough to be in", chartHref("popular", f, "")})
	}
	if f.HasDecade {
		for year := f.Decade; year < f.Decade+10; year++ {
			years = append(years, way{strconv.Itoa(year), findHref(strconv.Itoa(year), filter{Genre: f.Genre}, "")})
		}
	}
	return ways, years
}

// readFilter reads what narrows a list, and where the page begins. A complaint says what is wrong with the address.
func readFilter(query url.Values) (f filter, token, complaint string) {
	f.Genre = strings.TrimSpace(query.Get("genre"))
	if d := query.Get("decade"); d != "" {
		n, err := strconv.ParseInt(d, 10, 32)
		if err != nil {
			return f, "", "The decade in this address must be the first year of one, such as 1990."
		}
		f.Decade, f.HasDecade = int(n), true
	}
	return f, query.Get("page_token"), ""
}

func chartTitle(k chartKind, f filter) string {
	var b strings.Builder
	b.WriteString(k.Title)
	if f.Genre != "" {
		b.WriteString(": " + f.Genre)
	}
	if f.HasDecade {
		b.WriteString(", " + strconv.Itoa(f.Decade) + "s")
	}
	return b.String()
}

// choices are the links of the two filters. The filter that is set is among them although nothing was counted for it.
func choices(f filter, genres []genreCount, decades []decadeCount, address func(filter) string) (byGenre, byDecade []choice) {
	all := f
	all.Genre = ""
	byGenre = append(byGenre, choice{Label: "All", Href: address(all), Count: -1, Current: f.Genre == ""})
	seen := f.Genre == ""
	for _, g := range genres {
		one := f
		one.Genre = g.Genre
		current := strings.EqualFold(g.Genre, f.Genre)
		seen = seen || current
		byGenre = append(byGenre, choice{Label: g.Genre, Href: address(one), Count: g.Count, Current: current})
	}
	if !seen {
		byGenre = append(byGenre, choice{Label: f.Genre, Href: address(f), Count: -1, Current: true})
	}
	all = f
	all.HasDecade = false
	byDecade = append(byDecade, choice{Label: "All", Href: address(all), Count: -1, Current: !f.HasDecade})
	seen = !f.HasDecade
	for _, d := range decades {
		one := f
		one.Decade, one.HasDecade = d.Decade, true
		current := f.HasDecade && d.Decade == f.Decade
		seen = seen || current
		byDecade = append(byDecade, choice{Label: strconv.Itoa(d.Decade) + "s", Href: address(one), Count: d.Count, Current: current})
	}
	if !seen {
		byDecade = append(byDecade, choice{Label: strconv.Itoa(f.Decade) + "s", Href: address(f), Count: -1, Current: true})
	}
	return byGenre, byDecade
}
