package pages

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"sync"

	"movieexample.com/gateway/internal/pages/poster"
	"movieexample.com/internal/rpc"
)

//go:embed templates
var templateFiles embed.FS

// pagePolicy lets a page load resources of this site only. JSON-LD is a data block, which is not executed and
// so not subject to script-src.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// inertPolicy is for everything but pages.
const inertPolicy = "default-src 'none'; frame-ancestors 'none'"

// head is what the layout needs of a page.
type head struct {
	Title       string // without the site's name
	Description string
	Canonical   string // absolute; empty says none
	NoIndex     bool
	Kind        string // og:type; empty means "website"
	Image       string // absolute; an SVG. Empty says none
	ImageText   string // what the image shows
	Data        template.JS
	// Section marks a place of the masthead as the current page: "top", "popular", "trending" or "about".
	Section string
	// Query is the text in the masthead's search box. Bare omits the box, because the page has a bigger one.
	Query string
	Bare  bool

	Assets *assets
}

// pageNames are the templates that are pages: each is a file that defines "main".
var pageNames = []string{"home", "search", "chart", "film", "person", "about", "problems", "problem", "error"}

func parseTemplates() (map[string]*template.Template, error) {
	funcs := template.FuncMap{
		"thousands": thousands, "decimal": decimal, "minute": minute, "instant": instant, "day": day, "date": date,
		"filmHref": filmHref, "searchHref": searchHref, "genreHref": genreHref, "decadeHref": decadeHref, "personHref": personHref,
		"poster":    func(f film) template.HTML { return drawPoster(&f, poster.Thumb) },
		"bigPoster": func(f film) template.HTML { return drawPoster(&f, poster.Full) },
		"runtime":   runtime, "plural": plural, "searchBox": newSearchBox, "links": links, "paragraphs": paragraphs, "long": long,
	}
	common, err := template.New("layout").Funcs(funcs).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, err
	}
	pages := make(map[string]*template.Template, len(pageNames)+1)
	for _, name := range pageNames {
		t, err := common.Clone()
		if err != nil {
			return nil, err
		}
		if pages[name], err = t.ParseFS(templateFiles, "templates/"+name+".html"); err != nil {
			return nil, err
		}
	}
	if pages["suggest"], err = template.New("suggest.html").Funcs(funcs).ParseFS(templateFiles, "templates/suggest.html"); err != nil {
		return nil, err
	}
	return pages, nil
}

// drawPoster draws a film's poster. Its text is escaped.
func drawPoster(f *film, size poster.Size) template.HTML {
	return poster.SVG(posterFilm(f), size)
}

// posterFilm is what a film's poster shows.
func posterFilm(f *film) poster.Film {
	return poster.Film{ID: f.ID, Title: f.Title, Year: f.Year, Genres: f.Genres, Director: f.Director}
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// execute renders a template whole before a byte is sent, so that a failure can still become an error page.
func (p *Pages) execute(name string, data any, use func([]byte)) error {
	b := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	root := "layout.html"
	if name == "suggest" {
		root = "suggest.html"
	}
	if err := p.templates[name].ExecuteTemplate(b, root, data); err != nil {
		return fmt.Errorf("render the page %s: %w", name, err)
	}
	use(b.Bytes())
	return nil
}

// show answers with a page.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	err := p.execute(name, data, func(body []byte) { sendPage(w, status, body) })
	if err != nil {
		p.failed(w, r, err)
	}
}

// Header values that do not change are shared between answers; net/http only reads them.
var (
	htmlType     = []string{"text/html; charset=utf-8"}
	pagePolicies = []string{pagePolicy}
	revalidate   = []string{"no-cache"}
	notStored    = []string{"no-store"}
	noReferrer   = []string{"same-origin"}
)

func sendPage(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = htmlType
	h["Content-Security-Policy"] = pagePolicies
	h["Referrer-Policy"] = noReferrer
	if status == http.StatusOK {
		h["Cache-Control"] = revalidate
	} else {
		h["Cache-Control"] = notStored
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // errors mean that the client is gone
}

// failed answers when rendering failed. It must not render another page.
func (p *Pages) failed(w http.ResponseWriter, r *http.Request, err error) {
	p.log.LogAttrs(r.Context(), slog.LevelError, "page failed", slog.String("path", r.URL.Path), slog.Any("error", err), slog.String("request_id", rpc.RequestID(r.Context())))
	w.Header().Set("Content-Security-Policy", inertPolicy)
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "The page could not be made: a defect of ours. Request id: "+rpc.RequestID(r.Context()), http.StatusInternalServerError)
}

// searchBox is the search form. Every page has exactly one, so that its ids are unique.
type searchBox struct {
	Query string
	Big   bool
}

func newSearchBox(query string, big bool) searchBox { return searchBox{Query: query, Big: big} }
