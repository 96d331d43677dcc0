package gateway

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"movieexample.com/internal/fault"
)

// descriptionPath is where the OpenAPI document is.
const descriptionPath = "/openapi.json"

// mount is a handler of documents (pages, assets, the API's description), which are only read.
type mount struct {
	handler http.Handler
	counted func(path string) *routeMetrics
	slashes bool // a path with a slash at its end leads to the page of the path without
}

// pageMount mounts the pages. Each kind of page is counted by itself.
func pageMount(h http.Handler, m *metrics) mount {
	routes := make(map[string]*routeMetrics, len(pageRoutes))
	for _, route := range pageRoutes {
		routes[route] = m.of(http.MethodGet, route)
	}
	return mount{h, func(path string) *routeMetrics { return routes[pageRoute(path)] }, true}
}

// docsMount mounts the API's description.
func docsMount(h http.Handler, m *metrics) mount {
	all := m.of(http.MethodGet, "docs")
	return mount{h, func(string) *routeMetrics { return all }, false}
}

// serve answers with a document.
func (m mount) serve(e *edge, x *exchange, r *http.Request) {
	if r.Method != http.MethodGet {
		x.notAllowed([]string{http.MethodGet})
		return
	}
	x.metrics = m.counted(x.path)
	if !validHost(r.Host) {
		// Pages name themselves by it (rel=canonical, the sitemap), where no public address is set. Nothing else believes it.
		x.refuse(fault.Field{Name: "Host", Reason: "must be a host name or address, with a port or without, got " + quote(r.Host)})
		return
	}
	if path, ok := withoutSlash(x.path); ok && m.slashes {
		if r.URL.RawQuery != "" {
			path += "?" + r.URL.RawQuery
		}
		x.Header()["Cache-Control"] = revalidate
		http.Redirect(x, r, path, http.StatusPermanentRedirect)
		return
	}
	d := &document{x: x, header: http.Header{"X-Frame-Options": deny}, out: e.json.get(), wantsPage: prefersHTML(x.header)}
	defer e.json.put(d.out)
	m.handler.ServeHTTP(d, r.WithContext(context.WithValue(r.Context(), failuresKey{}, &d.failures)))
	d.finish(e)
}

var deny = []string{"DENY"}

// validHost reports whether a Host header has only what names, addresses and ports have.
func validHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-_:[]", c) >= 0) {
			return false
		}
	}
	return host != "" && len(host) <= 261 // a name of 255, and a port
}

// maxDocument is the size up to which a document is held back until it is whole, to give it an ETag and a length.
const maxDocument = 512 << 10

// document is a document on its way out. It gives what has none an ETag, answers 304, and turns a page that is an error into a
// problem for those who are no browsers.
type document struct {
	x         *exchange
	header    http.Header // its own, beside that which every answer has
	out       *jsonOut    // its memory
	wantsPage bool
	status    int
	sent      bool // the header is out: it was too long to be held back
	failures  failures
}

// Header implements http.ResponseWriter.
func (d *document) Header() http.Header { return d.header }

// WriteHeader implements http.ResponseWriter.
func (d *document) WriteHeader(status int) {
	if d.status == 0 {
		d.status = status
	}
}

// Write implements http.ResponseWriter.
func (d *document) Write(p []byte) (int, error) {
	d.WriteHeader(http.StatusOK)
	switch {
	case d.sent:
		return d.x.Write(p)
	case d.isProblem():
		return len(p), nil
	case len(d.out.buf)+len(p) <= maxDocument:
		d.out.buf = append(d.out.buf, p...)
		return len(p), nil
	}
	d.sent = true
	d.begin()
	if _, err := d.x.Write(d.out.buf); err != nil {
		return 0, err
	}
	return d.x.Write(p)
}

// isProblem reports whether the document is a page for nobody: it is an error that a problem can say too, and the client is no
// browser.
func (d *document) isProblem() bool {
	_, known := problemOf(d.status)
	return known && !d.wantsPage
}

// problemOf returns what a status says by itself.
func problemOf(status int) (fault.Problem, bool) {
	if status == http.StatusNotFound {
		p := noSuchRoute.problem()
		p.Detail = "there is nothing at this address; the API is described at /docs, the pages begin at /"
		return p, true
	}
	for _, kind := range problemKinds {
		if kind.HTTPStatus() == status {
			return fault.ToProblem(fault.Status(&fault.Error{Kind: kind})), true
		}
	}
	return fault.Problem{}, false
}

// fail answers with the problem that the page is, as the service put it where it came from one.
func (d *document) fail(because error) {
	d.x.Header()["X-Frame-Options"] = deny
	p, _ := problemOf(d.status)
	if because != nil {
		p = fault.ToProblem(fault.Status(because))
	}
	d.x.write(p)
}

// begin sends the header.
func (d *document) begin() {
	h := d.x.Header()
	for name, values := range d.header {
		if name == "Vary" {
			values = append(slices.Clip(h[name]), values...)
		}
		h[name] = values
	}
	d.x.WriteHeader(d.status)
}

// finish sends what was held back.
func (d *document) finish(e *edge) {
	if d.sent {
		return
	}
	d.WriteHeader(http.StatusOK)
	if d.status == http.StatusOK {
		d.read(e)
		return
	}
	because := d.failures.of(d.status)
	if d.isProblem() {
		d.fail(because)
	} else {
		if mayRetry(d.status) && d.header["Retry-After"] == nil {
			d.header["Retry-After"] = retryAfter
		}
		if len(d.out.buf) > 0 && d.header.Get("Content-Length") == "" {
			d.header.Set("Content-Length", strconv.Itoa(len(d.out.buf)))
		}
		d.begin()
		_, _ = d.x.Write(d.out.buf) // a client that is gone misses nothing
	}
	if because != nil {
		d.x.because(because)
	}
}

// read answers with a document that is whole and right.
func (d *document) read(e *edge) {
	r := &representation{
		metrics: d.x.metrics, body: d.out.buf, contentType: d.header["Content-Type"], control: d.header["Cache-Control"],
		tag: [1]string{d.header.Get("Etag")}, length: [1]string{strconv.Itoa(len(d.out.buf))},
	}
	if r.tag[0] == "" {
		r.tag[0] = tagText("", xxhash.Sum64(r.body))
	}
	if r.control == nil {
		r.control = revalidate
	}
	for name, values := range d.header {
		switch name {
		case "Content-Type", "Cache-Control", "Etag", "Content-Length":
		case "Vary":
			r.more = append(r.more, line{name, append(slices.Clip(d.x.Header()[name]), values...)})
		default:
			r.more = append(r.more, line{name, slices.Clip(values)})
		}
	}
	if d.x.flight != nil && d.isAnybodys(r) {
		r.body = bytes.Clone(r.body) // the memory is used again
		e.answers.keep(d.x.flight, r, time.Time{})
	}
	e.reply(d.x, r)
}

// isAnybodys reports whether the document's own header lets a shared cache keep it.
func (d *document) isAnybodys(r *representation) bool {
	control := strings.Join(r.control, ",")
	for _, name := range [...]string{"Set-Cookie", "Vary", "Content-Encoding"} {
		if len(d.header[name]) > 0 {
			return false
		}
	}
	return !strings.Contains(control, "no-store") && !strings.Contains(control, "private")
}

// prefersHTML reports whether a client asks for HTML by name, and for JSON less: a browser that goes to an address does, what a
// script fetches and curl do not.
func prefersHTML(header http.Header) bool {
	html, json := 0.0, 0.0
	for part := range strings.SplitSeq(strings.Join(header["Accept"], ","), ",") {
		kind, params, _ := strings.Cut(part, ";")
		q := 1.0
		for param := range strings.SplitSeq(params, ";") {
			name, v, _ := strings.Cut(param, "=")
			if strings.EqualFold(strings.TrimSpace(name), "q") {
				q, _ = strconv.ParseFloat(strings.TrimSpace(v), 64) // what is no number is 0
			}
		}
		switch kind = strings.ToLower(strings.TrimSpace(kind)); kind {
		case "text/html", "application/xhtml+xml":
			html = max(html, q)
		case "application/json", fault.ProblemType:
			json = max(json, q)
		}
	}
	return html > 0 && html >= json
}
