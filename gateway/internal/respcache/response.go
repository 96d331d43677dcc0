package gateway

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// representation is the whole answer to a read, but for what each request gets anew: its id, and what depends on its own header.
// Once it is kept, nothing of it changes but the coded forms, which are added.
type representation struct {
	route       *route // nil for a page
	metrics     *routeMetrics
	body        []byte
	contentType []string
	control     []string // Cache-Control
	more        []line   // of a page
	// Header values, each as the list of one that a header takes. Empty: the header is left out.
	tag, link, length [1]string

	// Of a kept one; see answers.
	key          answerKey
	scope        *atomic.Uint64
	stamp        uint64
	began, until time.Time

	coding sync.Mutex // held to make a coded form
	forms  [codings]atomic.Pointer[form]
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

// size is what it takes to keep it, roughly: the structs are counted by a constant.
func (r *representation) size() int {
	n := 768 + len(r.body) + len(r.link[0])
	for i := range r.forms {
		if f := r.forms[i].Load(); f != nil {
			n += 64 + len(f.body)
		}
	}
	return n
}

// form returns a kept body as it was chosen, or nil where plain is better. It is made once, however many ask.
func (e *edge) form(r *representation, as choice) *form {
	if as.coding == plain || len(r.body) < minCompressed && !as.always || len(r.contentType) == 0 || !isCompressible(r.contentType[0]) {
		return nil
	}
	f := r.forms[as.coding].Load()
	if f == nil {
		f = e.encode(r, as.coding)
	}
	if len(f.body) >= len(r.body) && !as.always {
		return nil
	}
	return f
}

func (e *edge) encode(r *representation, as coding) *form {
	r.coding.Lock()
	defer r.coding.Unlock()
	if f := r.forms[as].Load(); f != nil {
		return f
	}
	f := &form{body: e.compressor.compress(r.body, as)}
	f.length[0] = strconv.Itoa(len(f.body))
	r.forms[as].Store(f)
	e.answers.weigh(r)
	return f
}

// reply answers a read.
func (e *edge) reply(x *exchange, r *representation) {
	h := x.Header()
	for _, l := range r.more {
		h[l.name] = l.values
	}
	h["Cache-Control"] = r.control
	h["Etag"] = r.tag[:]
	if r.route != nil && !x.matches(r.tag[0]) {
		return
	}
	if r.link[0] != "" {
		h["Link"] = r.link[:]
	}
	if unmodified(x.header, r.tag[0]) {
		delete(h, "Content-Type") // the generated code sets one
		x.WriteHeader(http.StatusNotModified)
		return
	}
	if r.contentType != nil {
		h["Content-Type"] = r.contentType
	}
	body, length := r.body, r.length[:]
	if !r.until.IsZero() {
		if f := e.form(r, x.coded); f != nil {
			h["Content-Encoding"] = encodings[x.coded.coding]
			body, length = f.body, f.length[:]
		}
	}
	h["Content-Length"] = length
	_, _ = x.Write(body) // a client that is gone is logged by its context
	x.bytes = len(r.body)
}
