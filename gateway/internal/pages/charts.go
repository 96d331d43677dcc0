package pages

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
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
		{"popular", "Most rated", "The films that most people have an opinion about, whatever that opinion is."},
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
	Head    head
	Kind    chartKind
	Kinds   []choice
	Title   string
	Chart   chart
	Filter  filter
	Genres  []choice
	Decades []choice
	Next    string // address of the next page
	First   string // address of the first page, where this is not it
	All     string // address of the chart without a filter, where there is one
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
		p.together(r.Context(), p.cfg.ExtrasTimeout, part{"the statistics", func(ctx context.Context) error { return keep(&counts)(p.movies.stats(ctx)) }})
	}()
	page.Chart, err = p.movies.chart(r.Context(), name, f, chartPageSize, token)
	<-done
	if err != nil {
		p.fail(w, r, err)
		return
	}
	page.Filter, page.Title = f, chartTitle(page.Kind, f)
	for _, k := range chartKinds() {
		page.Kinds = append(page.Kinds, choice{Label: k.Title, Href: chartHref(k.Name, f, ""), Current: k.Name == name})
	}
	address := func(f filter) string { return chartHref(name, f, "") }
	if counts != nil {
		page.Genres, page.Decades = choices(f, counts.Genres, counts.Decades, address)
	} else {
		page.Genres, page.Decades = choices(f, nil, nil, address)
	}
	if page.Chart.Next != "" {
		page.Next = chartHref(name, f, page.Chart.Next)
	}
	if token != "" {
		page.First = chartHref(name, f, "")
	}
	if f.Genre != "" || f.HasDecade {
		page.All = chartHref(name, filter{}, "")
	}
	page.Head = p.head(page.Title, page.Kind.Lead)
	page.Head.Section = name
	page.Head.NoIndex = token != "" // the token in the address does not live long
	if token == "" {
		page.Head.Canonical = p.absolute(r, chartHref(name, f, ""))
	}
	p.show(w, r, http.StatusOK, "chart", page)
}

// readFilter reads what narrows a list, and the place to go on from. A complaint says what is wrong with the address.
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
