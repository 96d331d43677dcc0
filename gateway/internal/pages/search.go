package pages

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	searchPageSize = 20
	maxQuery       = 200 // characters, as the contract has it
)

// searchPage is what search.html shows.
type searchPage struct {
	Head     head
	Query    string // empty: the page shows the search form
	Found    found
	Near     []hit // those of Found.Hits that match by another spelling
	Hits     []hit // the others
	Filter   filter
	Genres   []choice
	Decades  []choice
	Next     string
	First    string
	Wide     string // address of the search without a filter, where there is one
	Stale    *time.Time
	Outdated bool
}

func (p *Pages) search(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	text := strings.TrimSpace(query.Get("q"))
	page := searchPage{Query: text, Head: p.head("Search", "Search films by title, original title, director and year.")}
	page.Head.Bare = true
	if text == "" {
		page.Head.Canonical = p.absolute(r, "/search")
		p.show(w, r, http.StatusOK, "search", page)
		return
	}
	f, token, complaint := readFilter(query)
	switch {
	case complaint != "":
	case utf8.RuneCountInString(text) > maxQuery:
		complaint = "A search may have up to 200 characters, and this one has " + thousands(utf8.RuneCountInString(text)) + ": shorten it."
	}
	if complaint != "" {
		p.refuse(w, r, http.StatusBadRequest, complaint)
		return
	}
	var err error
	if page.Found, err = p.movies.search(r.Context(), text, f, searchPageSize, token); err != nil {
		p.fail(w, r, err)
		return
	}
	page.Filter = f
	films := make([]film, 0, len(page.Found.Hits))
	for _, h := range page.Found.Hits {
		films = append(films, h.Film)
		if h.Spelling {
			page.Near = append(page.Near, h)
		} else {
			page.Hits = append(page.Hits, h)
		}
	}
	page.Genres, page.Decades = choices(f, page.Found.Genres, page.Found.Decades, func(f filter) string { return findHref(text, f, "") })
	if page.Found.Next != "" {
		page.Next = findHref(text, f, page.Found.Next)
	}
	if token != "" {
		page.First = findHref(text, f, "")
	}
	if f.Genre != "" || f.HasDecade {
		page.Wide = findHref(text, filter{}, "")
	}
	page.Stale, page.Outdated = stale(films, p.now()), outdated(films)
	page.Head.Title = "“" + text + "”"
	page.Head.Description = "Films found for “" + text + "”."
	// Every query makes an address here: the films that it finds are indexed at their own addresses, and all plain searches are one
	// page for search engines. A token, besides, does not live long.
	page.Head.NoIndex = token != "" || page.Wide != "" || len(page.Found.Hits) == 0
	if !page.Head.NoIndex {
		page.Head.Canonical = p.absolute(r, "/search")
	}
	p.show(w, r, http.StatusOK, "search", page)
}

// suggestPage is what suggest.html shows: a fragment for the script, no page.
type suggestPage struct {
	Query string
	List  []suggestion
}

func (p *Pages) suggest(w http.ResponseWriter, r *http.Request) {
	text := strings.TrimSpace(r.URL.Query().Get("q"))
	page := suggestPage{Query: text}
	if text != "" && utf8.RuneCountInString(text) <= maxQuery {
		var err error
		if page.List, err = p.movies.suggest(r.Context(), text); err != nil {
			p.fail(w, r, err)
			return
		}
	}
	p.show(w, r, http.StatusOK, "suggest", page)
}
