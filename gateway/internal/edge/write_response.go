package edge

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"movieexample.com/gateway/internal/coding"
	"movieexample.com/gateway/internal/problem"
	"movieexample.com/gateway/internal/respcache"
)

// A response to a read may be stored by any cache, and must be validated before it is used: "no-cache". Nothing here can prove a
// max-age: a film may be edited and rated at any time, a write must be seen by the next read of the client who wrote, and
// revalidation is cheap, because a 304 has no body. Responses to writes and problems are not stored at all.

// Header values that do not change are shared between responses; net/http only reads them.
var (
	noStore      = []string{"no-store"}
	revalidate   = []string{"no-cache"}
	varyEncoding = []string{"Accept-Encoding"}
	jsonType     = []string{"application/json"}
	retryAfter   = []string{"1"} // seconds
)

// response is the whole response to a read, except for the request id and what depends on the request's headers.
// Once it is cached, nothing of it changes but the coded forms, which are added.
type response struct {
	api         bool // not a page
	metrics     *routeMetrics
	body        []byte
	contentType []string
	control     []string // Cache-Control
	more        []line   // of a page
	// Header values, each as the list of one that a header takes. Empty: the header is left out.
	tag, link, length [1]string

	coding sync.Mutex // held to make a coded form
	forms  [coding.Codings]atomic.Pointer[form]
}

// line is a header line.
type line struct {
	name   string
	values []string
}

// form is a body in a coding.
type form struct {
	body   []byte
	length [1]string
}

// Size implements respcache.Response, roughly: the structs are counted by a constant.
func (r *response) Size() int {
	n := 768 + len(r.body) + len(r.link[0])
	for i := range r.forms {
		if f := r.forms[i].Load(); f != nil {
			n += 64 + len(f.body)
		}
	}
	return n
}

// replyAndCache answers the read that leads a composition, and caches the response. oldest is its oldest as-of time; zero for none.
func (h *Handler) replyAndCache(x *requestState, r *response, oldest time.Time) {
	r.body = bytes.Clone(r.body) // its memory is that of a buffer
	r.length[0] = strconv.Itoa(len(r.body))
	h.reply(x, r, x.flight.Cache(r, oldest))
}

// reply answers a read. e is the cache's entry of the response; nil for none.
func (h *Handler) reply(x *requestState, r *response, e *respcache.Entry[*response]) {
	header := x.Header()
	for _, l := range r.more {
		header[l.name] = l.values
	}
	header["Cache-Control"] = r.control
	header["Etag"] = r.tag[:]
	if r.api && !ifMatch(x.header, r.tag[0]) {
		delete(header, "Etag")
		x.fail(problem.PreconditionFailed.Error("If-Match: what is here now has the ETag %s: leave If-Match out to read it", r.tag[0]))
		return
	}
	if r.link[0] != "" {
		header["Link"] = r.link[:]
	}
	if unmodified(x.header, r.tag[0]) {
		x.WriteHeader(http.StatusNotModified)
		return
	}
	if r.contentType != nil {
		header["Content-Type"] = r.contentType
	}
	body := r.body
	if f := h.form(x, r, e); f != nil {
		header["Content-Encoding"] = coding.Names[x.coding.Coding]
		header["Content-Length"], body = f.length[:], f.body
	} else if e != nil {
		header["Content-Length"] = r.length[:]
	} else {
		x.set("Content-Length", strconv.Itoa(len(body)))
	}
	_, _ = x.Write(body) // a client that is gone is logged by its context
	x.bytes = len(r.body)
}

// form returns the body of a cached response in the coding that the client wants, or nil where plain is better. Each form is made
// once.
func (h *Handler) form(x *requestState, r *response, e *respcache.Entry[*response]) *form {
	as, always := x.coding.Coding, x.coding.Always
	if e == nil || as == coding.Plain || len(r.body) < coding.MinSize && !always || len(r.contentType) == 0 || !coding.Compressible(r.contentType[0]) {
		return nil
	}
	f := r.forms[as].Load()
	if f == nil {
		f = h.encode(r, e, as)
	}
	if len(f.body) >= len(r.body) && !always {
		return nil
	}
	return f
}

func (h *Handler) encode(r *response, e *respcache.Entry[*response], as coding.Coding) *form {
	r.coding.Lock()
	defer r.coding.Unlock()
	if f := r.forms[as].Load(); f != nil {
		return f
	}
	f := &form{body: h.compressor.Compress(r.body, as)}
	f.length[0] = strconv.Itoa(len(f.body))
	r.forms[as].Store(f)
	h.cache.Grew(e)
	return f
}
