package pages

import (
	"context"
	"net/http"
	"slices"
)

// aboutPage is what about.html shows.
type aboutPage struct {
	Head      head
	Stats     *stats
	Old       bool // the numbers are not current
	Endpoints []Endpoint
}

func (p *Pages) about(w http.ResponseWriter, r *http.Request) {
	page := aboutPage{
		Head:      p.head("About", "What MovieExample is, where its data comes from, under which licences, and how to use it from a program."),
		Endpoints: p.endpoints,
	}
	page.Head.Section = "about"
	page.Head.Canonical = p.absolute(r, "/about")
	p.together(r.Context(), p.cfg.ExtrasTimeout, part{"stats", func(ctx context.Context) error { return keep(&page.Stats)(p.movies.stats(ctx)) }})
	page.Old = page.Stats != nil && page.Stats.AsOf.Before(p.old())
	p.show(w, r, http.StatusOK, "about", page)
}

// problemsPage is what problems.html shows.
type problemsPage struct {
	Head     head
	Problems []Problem
}

func (p *Pages) problemList(w http.ResponseWriter, r *http.Request) {
	page := problemsPage{Head: p.head("Problem types", "The errors that the API answers with, what each means, and what to do about it."), Problems: p.problems}
	page.Head.Canonical = p.absolute(r, "/problems")
	p.show(w, r, http.StatusOK, "problems", page)
}

// problemPage is what problem.html shows.
type problemPage struct {
	Head head
	Problem
}

func (p *Pages) problem(w http.ResponseWriter, r *http.Request, slug string) {
	i := slices.IndexFunc(p.problems, func(one Problem) bool { return one.Slug == slug })
	if i < 0 {
		p.nowhere(w, r, "There is no problem type of that name. All of them are listed at /problems.")
		return
	}
	page := problemPage{Problem: p.problems[i]}
	page.Head = p.head("Problem: "+page.Title, page.Meaning)
	page.Head.Canonical = p.absolute(r, "/problems/"+slug)
	p.show(w, r, http.StatusOK, "problem", page)
}
