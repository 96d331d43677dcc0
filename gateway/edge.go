package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"

	"movieexample.com/internal/rpc"
)

// edge answers every request.
type edge struct {
	router     router
	pages      mount
	docs       mount
	compressed http.Handler // serve, with compression around it
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

	noHeader = http.Header{}
)

// requestIDHeader carries the request id both ways.
const requestIDHeader = "X-Request-Id"

// ServeHTTP implements http.Handler.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		// Everything behind this line answers a GET, so that both have the same headers, those of compression included; the server
		// below us drops the body.
		get := *r
		get.Method = http.MethodGet
		r = &get
	}
	if !acceptsCoding(r.Header) {
		w.Header()["Vary"] = varyEncoding
		e.serve(w, r, method)
		return
	}
	if method == http.MethodHead {
		r = r.WithContext(context.WithValue(r.Context(), headKey{}, true))
	}
	e.compressed.ServeHTTP(w, r) // sets Vary too
}

// headKey is the context key under which a HEAD request passes through the compressing handler.
type headKey struct{}

// sentMethod is the method that the client sent, of a request that passed through the compressing handler.
func sentMethod(r *http.Request) string {
	if r.Context().Value(headKey{}) != nil {
		return http.MethodHead
	}
	return r.Method
}

// serve answers a request, which was sent with method.
func (e *edge) serve(w http.ResponseWriter, r *http.Request, method string) {
	start := time.Now()
	id := ""
	if sent := r.Header[requestIDHeader]; len(sent) == 1 && validRequestID(sent[0]) {
		id = sent[0]
	}
	ctx := rpc.WithRequestID(r.Context(), id)
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	x := &exchange{
		ResponseWriter: w, method: method, header: r.Header, path: r.URL.EscapedPath(),
		requestID: rpc.RequestID(ctx), metrics: e.other,
	}
	h := w.Header()
	x.set(requestIDHeader, x.requestID)
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noReferrer

	defer func() { e.report(ctx, x, r.RemoteAddr, time.Since(start)) }() // also when panicked panics again
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
	api := x.path == "/v1" || strings.HasPrefix(x.path, "/v1/")
	if e.cors != nil && (api || x.path == descriptionPath) {
		e.cors.HandlerFunc(x, r)
		if x.status != 0 {
			return // a preflight request
		}
	}
	switch {
	case api:
		e.call(x, r)
	case x.path == descriptionPath || x.path == "/docs" || strings.HasPrefix(x.path, "/docs/"):
		e.docs.serve(e, x, r)
	default:
		e.pages.serve(e, x, r)
	}
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
	route.handler(&said, r, values)
	switch {
	case said.err != nil:
		x.fail(said.err)
	case said.message == nil:
		x.fail(fmt.Errorf("%s %s: the generated code gave no answer", route.method, route.pattern))
	default:
		e.send(x, said.message)
	}
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
