package edge

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"movieexample.com/gateway/internal/problem"
	"movieexample.com/gateway/internal/transcode"
	"movieexample.com/gateway/internal/upstream"
	"movieexample.com/internal/fault"
)

// mount is a handler of documents (pages, assets, the API's description), which are read-only.
type mount struct {
	handler http.Handler
	counted func(path string) *routeMetrics
	slashes bool // a path with a slash at its end is redirected to the path without
}

// pageMount mounts the pages. Each kind of page has its own metrics.
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
func (m mount) serve(h *Handler, x *requestState, r *http.Request) {
	if r.Method != http.MethodGet {
		x.notAllowed([]string{http.MethodGet})
		return
	}
	x.metrics = m.counted(x.path)
	if !validHost(r.Host) {
		// Pages name themselves by it (rel=canonical, the sitemap) if no public address is set. Nothing else uses it.
		x.fail(problem.Invalid(fault.Field{Name: "Host", Reason: "must be a host name or address, with a port or without, got " + problem.Quote(r.Host)}))
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
	d := &document{x: x, header: http.Header{"X-Frame-Options": deny}, out: h.buffers.Get(), wantsPage: prefersHTML(x.header)}
	defer h.buffers.Put(d.out)
	m.handler.ServeHTTP(d, r.WithContext(upstream.WithFailures(r.Context(), &d.failures)))
	d.finish(h)
}

var deny = []string{"DENY"}

// maxDocument is the size up to which a document is buffered, to give it an ETag and a length.
const maxDocument = 512 << 10

// document is the http.ResponseWriter of a document. It adds a missing ETag, answers 304, and turns an error page into a
// problem for clients other than browsers.
type document struct {
	x         *requestState
	header    http.Header       // its own, beside that which every answer has
	out       *transcode.Buffer // its memory
	wantsPage bool
	status    int
	sent      bool // the header is sent: the document is too long for the buffer
	failures  upstream.Failures
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
	case len(d.out.Bytes)+len(p) <= maxDocument:
		d.out.Bytes = append(d.out.Bytes, p...)
		return len(p), nil
	}
	d.sent = true
	d.begin()
	if _, err := d.x.Write(d.out.Bytes); err != nil {
		return 0, err
	}
	return d.x.Write(p)
}

// isProblem reports whether the document is an error page that is sent as a problem, because the client is not a browser.
func (d *document) isProblem() bool {
	_, known := problem.OfStatus(d.status)
	return known && !d.wantsPage
}

// fail answers with the problem that the page shows, in the words of the service that it came from.
func (d *document) fail(because error) {
	d.x.Header()["X-Frame-Options"] = deny
	p, _ := problem.OfStatus(d.status)
	if because != nil {
		p = fault.ToProblem(fault.Status(because))
	}
	d.x.writeProblem(p)
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

// finish sends what was buffered.
func (d *document) finish(h *Handler) {
	if d.sent {
		return
	}
	d.WriteHeader(http.StatusOK)
	if d.status == http.StatusOK {
		d.read(h)
		return
	}
	because := d.failures.Of(d.status)
	if d.isProblem() {
		d.fail(because)
	} else {
		if problem.Retryable(d.status) && d.header["Retry-After"] == nil {
			d.header["Retry-After"] = retryAfter
		}
		if len(d.out.Bytes) > 0 && d.header.Get("Content-Length") == "" {
			d.header.Set("Content-Length", strconv.Itoa(len(d.out.Bytes)))
		}
		d.begin()
		_, _ = d.x.Write(d.out.Bytes) // errors mean that the client is gone
	}
	if because != nil {
		d.x.because(because)
	}
}

// read answers with a complete document.
func (d *document) read(h *Handler) {
	r := &response{
		metrics: d.x.metrics, body: d.out.Bytes, contentType: d.header["Content-Type"], control: d.header["Cache-Control"],
		tag: [1]string{d.header.Get("Etag")},
	}
	if r.tag[0] == "" {
		r.tag[0] = etagOf(r.body)
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
	if d.x.flight != nil && d.isShareable(r) {
		h.replyAndCache(d.x, r, time.Time{})
		return
	}
	h.reply(d.x, r, nil)
}

// isShareable reports whether the document's own header lets a shared cache keep it.
func (d *document) isShareable(r *response) bool {
	control := strings.Join(r.control, ",")
	for _, name := range [...]string{"Set-Cookie", "Vary", "Content-Encoding"} {
		if len(d.header[name]) > 0 {
			return false
		}
	}
	return !strings.Contains(control, "no-store") && !strings.Contains(control, "private")
}

// prefersHTML reports whether a client accepts HTML by name, and prefers it to JSON: a browser that opens an address does, scripts
// and curl do not.
func prefersHTML(header http.Header) bool {
	html, json := 0.0, 0.0
	for part := range strings.SplitSeq(strings.Join(header["Accept"], ","), ",") {
		kind, params, _ := strings.Cut(part, ";")
		q := 1.0
		for param := range strings.SplitSeq(params, ";") {
			name, v, _ := strings.Cut(param, "=")
			if strings.EqualFold(strings.TrimSpace(name), "q") {
				q, _ = strconv.ParseFloat(strings.TrimSpace(v), 64) // 0 if it is not a number
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
