package pages

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

// errorPage is what error.html shows.
type errorPage struct {
	Head      head
	Status    int
	Title     string
	Text      string
	Remedy    string
	RequestID string
	Words     string // what the address said; searched for
	Hits      []hit
	Ways      []way // that lead on
}

// way is a link that leads on from a page that is none.
type way struct{ Label, Href string }

// Error answers with the page of a problem. It is for the gateway's own errors (a panic, a request it refuses) where
// the client wants a page.
func (p *Pages) Error(w http.ResponseWriter, r *http.Request, problem fault.Problem) {
	p.explain(w, r, problem, words(r.URL))
}

// explain answers with the page of a problem. said is what the address said, for the search.
func (p *Pages) explain(w http.ResponseWriter, r *http.Request, problem fault.Problem, said string, ways ...way) {
	title, remedy := "That did not work", "The address may be mistyped. Search for a film, or start from the first page."
	switch problem.Status {
	case http.StatusNotFound:
		title, remedy = "Not on the programme", "Perhaps the search finds what you were looking for."
	case http.StatusServiceUnavailable:
		title, remedy = "Back shortly", "A part of the system is unavailable. Nothing is lost; reload the page in a moment."
		w.Header().Set("Retry-After", "2")
	case http.StatusGatewayTimeout:
		title, remedy = "That took too long", "The system is busy. Reload the page in a moment."
	case http.StatusMethodNotAllowed:
		title, remedy = "Only for reading", "Open the address in a browser, or use the API: its documentation is at /docs."
	case http.StatusInternalServerError:
		title, remedy = "The film tore", "That is a defect of ours. Reload the page; if it happens again, tell the operator the request id below."
	}
	page := errorPage{Head: p.head(title, title), Status: problem.Status, Title: title, Text: complaint(&problem), Remedy: remedy, Ways: ways}
	if len(ways) > 0 {
		page.Remedy = ""
	}
	if page.RequestID = w.Header().Get("X-Request-Id"); page.RequestID == "" {
		page.RequestID = rpc.RequestID(r.Context())
	}
	page.Head.Bare, page.Head.NoIndex = true, true
	if problem.Status == http.StatusNotFound {
		page.Words = said
		page.Hits = p.guess(r.Context(), said)
	}
	p.show(w, r, problem.Status, "error", page)
}

// fail answers with the page of a service's error.
func (p *Pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	problem := fault.ToProblem(fault.Status(err))
	if problem.Status == http.StatusInternalServerError {
		p.log.LogAttrs(r.Context(), slog.LevelError, "page failed", slog.String("path", r.URL.Path), slog.Any("error", err), slog.String("request_id", rpc.RequestID(r.Context())))
	}
	problem.Detail = reason(err)
	if namesField(&problem, tokenField) {
		p.explain(w, r, problem, "", way{"The first page of this list", firstPage(r.URL)})
		return
	}
	p.Error(w, r, problem)
}

// tokenField is the field that a place in a list is in, by the wire's name and the address's.
const tokenField = "page_token"

func namesField(problem *fault.Problem, name string) bool {
	return slices.ContainsFunc(problem.Errors, func(f fault.Field) bool { return f.Name == name })
}

// firstPage is the address of the same list from its beginning.
func firstPage(u *url.URL) string {
	query := u.Query()
	query.Del(tokenField)
	if len(query) == 0 {
		return u.EscapedPath()
	}
	return u.EscapedPath() + "?" + query.Encode()
}

// complaint says in sentences what is wrong. A service names fields as in the proto, which readers of a page do not know.
func complaint(problem *fault.Problem) string {
	if namesField(problem, tokenField) {
		return "This address names a place in a list that is not known: such addresses are good for three days and for the same filter, and this one is older, or was changed or cut off on the way."
	}
	if len(problem.Errors) == 0 {
		return sentence(problem.Detail)
	}
	var list []string
	for _, f := range problem.Errors {
		name := f.Name
		switch name {
		case "q":
			name = "the search"
		case "id":
			name = "the film’s id"
		case "user_id":
			name = "the person’s name"
		case "genre", "decade", "chart":
			name = "the " + name
		}
		list = append(list, sentence(name+" "+f.Reason))
	}
	return strings.Join(list, " ")
}

// refuse answers with an error of the request itself.
func (p *Pages) refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	p.Error(w, r, fault.Problem{Status: status, Title: http.StatusText(status), Detail: text})
}

// nowhere answers for an address without a page.
func (p *Pages) nowhere(w http.ResponseWriter, r *http.Request, text string) {
	p.refuse(w, r, http.StatusNotFound, text)
}

// guess searches for what an address said. An address says more than a title, so what finds nothing is tried with less.
func (p *Pages) guess(ctx context.Context, text string) []hit {
	if text == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*p.cfg.ExtrasTimeout)
	defer cancel()
	list := strings.Fields(text)
	longest := slices.MaxFunc(list, func(a, b string) int { return len(a) - len(b) })
	tries := []string{text}
	if len(list) > 2 {
		tries = append(tries, strings.Join(list[:len(list)-1], " "))
	}
	if len(list) > 1 {
		tries = append(tries, longest)
	}
	for _, try := range tries {
		var result found
		err := p.breakers.call(ctx, "guess", func() (err error) {
			result, err = p.movies.search(ctx, try, filter{}, 6, "")
			return err
		})
		if err != nil {
			return nil
		}
		if len(result.Hits) > 0 {
			return result.Hits
		}
	}
	return nil
}

// words are the words of an address that may name a film.
func words(u *url.URL) string {
	path := u.Path
	if i := strings.LastIndexByte(path, '.'); i > 0 && len(path)-i <= 6 {
		path = path[:i] // .html, .php
	}
	list := strings.FieldsFunc(path, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' && r != '’' })
	list = slices.DeleteFunc(list, func(w string) bool {
		switch strings.ToLower(w) {
		case "movies", "movie", "films", "film", "title", "titles", "charts", "users", "user", "problems", "assets", "search", "index", "v1", "api":
			return true
		}
		return !utf8.ValidString(w)
	})
	return shortened(strings.Join(list[:min(len(list), 8)], " "))
}
