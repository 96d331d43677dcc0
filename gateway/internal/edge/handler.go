package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/cors"

	"movieexample.com/internal/rpc"
)

// edge answers every request.
type edge struct {
	router     router
	pages      mount
	docs       mount
	answers    *answers // nil where none are kept
	recent     *recent
	hosts      *hosts
	compressor *compressor  // of what is kept
	compressed http.Handler // serve, with compression around it
	coded      http.Handler // the same, but that small answers are compressed too
	cors       *cors.Cors   // nil where no other origin may read
	json       jsonBuffers
	timeout    time.Duration
	log        *slog.Logger
	other      *routeMetrics // requests for no route
}

// Header values that do not change are shared between answers; net/http only reads them.
var (
	noStore      = []string{"no-store"}
	revalidate   = []string{"no-cache"}
	noSniff      = []string{"nosniff"}
	noReferrer   = []string{"no-referrer"}
	varyEncoding = []string{"Accept-Encoding"}
	jsonType     = []string{"application/json"}
	retryAfter   = []string{"1"} // seconds

	noHeader = http.Header{}
)

// requestIDHeader carries the request id both ways.
const requestIDHeader = "X-Request-Id"

// passage is what a request takes along on its way in.
type passage struct {
	method string // as it was sent: HEAD is answered as GET
	start  time.Time
	flight *flight // that this request leads; nil for none
	coded  choice
}

// passageKey is the context key under which a *passage goes through the compressing handler.
type passageKey struct{}

// passageOf returns the passage of a request that went through the compressing handler.
func passageOf(r *http.Request) *passage {
	p, _ := r.Context().Value(passageKey{}).(*passage)
	return p
}

// ServeHTTP implements http.Handler.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := &passage{method: r.Method, start: time.Now(), coded: choose(r.Header)}
	if e.answers.canKeep(r) {
		answered, rest, done := e.shared(w, r, p)
		if answered {
			return
		}
		defer done()
		r = rest
	}
	if p.method == http.MethodHead {
		// Everything behind this line answers a GET, so that both have the same headers, those of compression included; the server
		// below us drops the body.
		get := *r
		get.Method = http.MethodGet
		if len(get.Header["Range"]) > 0 { // which is for GET only (RFC 9110 §14.2)
			get.Header = maps.Clone(get.Header)
			delete(get.Header, "Range")
		}
		r = &get
	}
	if p.coded.coding == plain {
		w.Header()["Vary"] = varyEncoding
		e.serve(w, r, p)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), passageKey{}, p))
	r.Header = maps.Clone(r.Header)
	r.Header["Accept-Encoding"] = encodings[p.coded.coding]
	if p.coded.always {
		e.coded.ServeHTTP(w, r)
		return
	}
	e.compressed.ServeHTTP(w, r) // both set Vary too
}

// shared answers a request with what was, or is just being, made for another one. Where there is no such thing it returns the
// request to go on with, and what to call at its end.
func (e *edge) shared(w http.ResponseWriter, r *http.Request, p *passage) (answered bool, rest *http.Request, done func()) {
	a := e.answers
	key, at := a.keyOf(r), a.now(p.start)
	anew := wantsAnew(r.Header)
	if !anew {
		if kept := a.find(key, at); kept != nil {
			a.counts.hit.Inc()
			e.again(w, r, p, kept)
			return true, nil, nil
		}
	}
	scope, keep := e.keeps(r)
	if !keep {
		return false, r, func() {}
	}
	if anew {
		a.counts.anew.Inc()
		p.flight = a.anew(key, scope, at)
		return false, r, func() {}
	}
	f, leads, kept := a.join(key, scope, at)
	switch {
	case kept != nil:
		a.counts.hit.Inc()
		e.again(w, r, p, kept)
		return true, nil, nil
	case leads:
		a.counts.miss.Inc()
		ctx, done := a.lead(r.Context(), f)
		p.flight = f
		return false, r.WithContext(ctx), done
	}
	ctx, cancel := context.WithDeadline(r.Context(), p.start.Add(e.timeout))
	select {
	case <-f.done:
		if f.made != nil {
			cancel()
			a.counts.joined.Inc()
			e.again(w, r, p, f.made)
			return true, nil, nil
		}
		// It cannot be kept, so it is nobody else's: an error names its own request. This one asks for itself, in what is left
		// of its time.
	case <-ctx.Done():
		a.leave(f)
	}
	return false, r.WithContext(ctx), cancel
}

// keeps reports whether the answer to a request is one to keep, and what it depends on.
func (e *edge) keeps(r *http.Request) (*atomic.Uint64, bool) {
	path := r.URL.EscapedPath()
	switch {
	case isAPI(path):
		route, values, _ := e.router.find(http.MethodGet, path)
		return e.answers.scopeOf(route, values)
	case isDocs(path):
		return nil, false // they are in memory as they are, and know about ranges
	}
	return e.answers.scopeOfPage(path)
}

// again answers a request with a kept answer.
func (e *edge) again(w http.ResponseWriter, r *http.Request, p *passage, kept *representation) {
	ctx := rpc.WithRequestID(r.Context(), sentID(r.Header))
	x := e.exchange(w, r, p, rpc.RequestID(ctx))
	x.route, x.metrics = kept.route, kept.metrics
	w.Header()["Vary"] = varyEncoding
	if e.cors != nil && kept.route != nil {
		e.cors.HandlerFunc(x, r)
	}
	e.reply(x, kept)
	e.report(ctx, x, r.RemoteAddr, time.Since(p.start))
}

// sentID is the request id that the client sent, if it is one to take.
func sentID(h http.Header) string {
	if sent := h[requestIDHeader]; len(sent) == 1 && validRequestID(sent[0]) {
		return sent[0]
	}
	return ""
}

// exchange begins an exchange: the headers that every answer has are set.
func (e *edge) exchange(w http.ResponseWriter, r *http.Request, p *passage, id string) *exchange {
	x := &exchange{
		ResponseWriter: w, method: p.method, header: r.Header, path: r.URL.EscapedPath(),
		requestID: id, metrics: e.other, flight: p.flight, coded: p.coded,
	}
	h := w.Header()
	x.set(requestIDHeader, id)
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noReferrer
	return x
}

// serve answers a request that is not answered with a kept answer.
func (e *edge) serve(w http.ResponseWriter, r *http.Request, p *passage) {
	ctx := rpc.WithRequestID(r.Context(), sentID(r.Header))
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	x := e.exchange(w, r, p, rpc.RequestID(ctx))

	defer func() { e.report(ctx, x, r.RemoteAddr, time.Since(p.start)) }() // also when panicked panics again
	defer func() {
		if v := recover(); v != nil {
			e.panicked(ctx, x, v)
		}
	}()
	e.answer(x, r.WithContext(ctx))
}

// panicked answers a request whose handling panicked.
func (e *edge) panicked(ctx context.Context, x *exchange, v any) {
	e.log.LogAttrs(ctx, slog.LevelError, "panic",
		slog.String("method", x.method), slog.String("path", x.path), slog.String("request_id", x.requestID),
		slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	if x.status != 0 {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	x.fail(fmt.Errorf("panic: %v", v))
}

// answer finds out what is asked for and has it answered.
func (e *edge) answer(x *exchange, r *http.Request) {
	api := isAPI(x.path)
	if e.cors != nil && (api || x.path == descriptionPath) {
		e.cors.HandlerFunc(x, r)
		if x.status != 0 {
			return // a preflight request
		}
	}
	switch {
	case api:
		e.call(x, r)
	case isDocs(x.path):
		e.docs.serve(e, x, r)
	default:
		e.pages.serve(e, x, r)
	}
}

func isAPI(path string) bool { return path == "/v1" || strings.HasPrefix(path, "/v1/") }

func isDocs(path string) bool {
	return path == descriptionPath || path == "/docs" || strings.HasPrefix(path, "/docs/")
}

// call answers a request to the API: it is checked, a service is called, and what that says is sent.
func (e *edge) call(x *exchange, r *http.Request) {
	route, values, allow := e.router.find(r.Method, x.path)
	switch {
	case route == nil && len(allow) > 0:
		x.notAllowed(allow)
		return
	case route == nil:
		x.refuseHTTP(noSuchRoute, "the API has nothing at this path; its routes are described at /docs and in "+descriptionPath)
		return
	}
	x.route, x.metrics, x.plan = route, route.metrics, route.answer
	if route.changes && !e.takesWrites(x, r.Host) {
		return
	}
	if fields := route.checkPath(values); len(fields) > 0 {
		x.refuse(fields...)
		return
	}
	if !route.checkConditions(x) || !route.checkQuery(x, r) || !route.takeBody(x, r, values) {
		return
	}
	if x.depends != nil {
		r = r.WithContext(context.WithValue(r.Context(), preconditionKey{}, x.depends))
	}
	// The generated code forwards what it finds in a request as gRPC metadata, takes deadlines and trailers from it, and spends
	// a quarter of its time on that. It gets to see nothing but the query and the body; r is a copy of ours.
	r.Header, r.Host, r.RemoteAddr = noHeader, "", ""
	r.Form, r.PostForm = x.form, noForm
	said := capture{x: x}
	e.invoke(route, &said, r, values)
	switch {
	case said.err != nil:
		x.fail(said.err)
	case said.message == nil:
		x.fail(fmt.Errorf("%s %s: the generated code gave no answer", route.method, route.pattern))
	default:
		e.send(x, said.message)
	}
}

// invoke makes the call. What is kept from before a write is out of date when it begins, and again when it ends: also when it failed
// or panicked, because what failed may have been done.
func (e *edge) invoke(route *route, said *capture, r *http.Request, values map[string]string) {
	if route.changes {
		end := e.answers.writes(route, values)
		defer func() {
			if route.rates(values) {
				e.recent.rated(values["record_id"]) // first: what is composed when what is kept has ended must know
			}
			end()
		}()
	}
	route.handler(said, r, values)
}

// notAllowed answers a method that the path does not have, and OPTIONS, with the methods that it has.
func (x *exchange) notAllowed(allow []string) {
	if slices.Contains(allow, http.MethodGet) {
		allow = append(allow, http.MethodHead)
	}
	allow = append(allow, http.MethodOptions)
	slices.Sort(allow)
	list := strings.Join(slices.Compact(allow), ", ")
	x.set("Allow", list)
	if x.method == http.MethodOptions {
		x.Header()["Cache-Control"] = noStore
		x.WriteHeader(http.StatusNoContent)
		return
	}
	x.refuseHTTP(methodNotAllowed, "%s is not allowed at this path; allowed: %s", shorten(x.method), list)
}
