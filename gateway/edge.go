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

	"movieexample.com/internal/rpc"
)

// edge answers every request.
type edge struct {
	router  router
	page    *frontPage
	timeout time.Duration
	log     *slog.Logger
	other   *routeMetrics // requests for no route
}

// exchange is one request on its way to its answer.
type exchange struct {
	http.ResponseWriter
	route     *route // nil for no route
	requestID string
	path      string // escaped
	status    int    // 0 until the header is written
	bytes     int
	problem   string // why it was refused or failed
}

// newProbe returns an exchange whose answer nobody reads.
func newProbe() *exchange { return &exchange{ResponseWriter: nobody{}} }

type nobody struct{}

func (nobody) Header() http.Header         { return http.Header{} }
func (nobody) Write(p []byte) (int, error) { return len(p), nil }
func (nobody) WriteHeader(int)             {}

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(p)
	x.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Header values that do not change are shared between answers; net/http only reads them.
var (
	noStore = []string{"no-store"}
	noCache = []string{"private, no-cache"}
	noSniff = []string{"nosniff"}

	noHeader = http.Header{}
)

// requestIDHeader carries the request id both ways.
const requestIDHeader = "X-Request-Id"

// ServeHTTP implements http.Handler.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	id := ""
	if sent := r.Header[requestIDHeader]; len(sent) == 1 && validRequestID(sent[0]) {
		id = sent[0]
	}
	ctx := rpc.WithRequestID(r.Context(), id)
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	x := &exchange{ResponseWriter: w, requestID: rpc.RequestID(ctx), path: r.URL.EscapedPath()}
	h := w.Header()
	h[requestIDHeader] = []string{x.requestID}
	h["X-Content-Type-Options"] = noSniff

	defer func() { e.report(ctx, x, r, time.Since(start)) }() // also when panicked panics again
	defer func() {
		if v := recover(); v != nil {
			e.panicked(ctx, x, r, v)
		}
	}()
	e.answer(x, r.WithContext(ctx))
}

// panicked answers a request whose handling panicked.
func (e *edge) panicked(ctx context.Context, x *exchange, r *http.Request, v any) {
	e.log.LogAttrs(ctx, slog.LevelError, "panic",
		slog.String("method", r.Method), slog.String("path", x.path), slog.String("request_id", x.requestID),
		slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	if x.status != 0 {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	x.fail(fmt.Errorf("panic: %v", v))
}

// answer finds out what is asked for, checks it, and has it answered.
func (e *edge) answer(x *exchange, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http drops the body
	}
	switch x.path {
	case "/":
		if e.onlyGet(x, method) {
			e.page.serve(x)
		}
		return
	case "/favicon.ico":
		if e.onlyGet(x, method) {
			x.WriteHeader(http.StatusNoContent)
		}
		return
	}
	route, values, allow := e.router.find(method, x.path)
	switch {
	case route == nil && len(allow) > 0:
		e.notAllowed(x, r.Method, allow)
		return
	case route == nil:
		x.refuseHTTP(http.StatusNotFound, "no-such-route", "there is nothing at this path; the routes are listed at /")
		return
	}
	x.route = route
	if fields := route.checkPath(values); len(fields) > 0 {
		x.refuse(fields...)
		return
	}
	if !route.checkConditions(x, r) || !route.checkQuery(x, r) || !route.takeBody(x, r, values) {
		return
	}
	if method == http.MethodGet {
		x.Header()["Cache-Control"] = noCache
	} else {
		x.Header()["Cache-Control"] = noStore
	}
	// The generated code forwards what it finds in a request as gRPC metadata, takes deadlines and trailers from it, and spends
	// a quarter of its time on that. It gets to see nothing but the query and the body; r is a copy of ours.
	r.Header, r.Host, r.RemoteAddr = noHeader, "", ""
	route.handler(x, r, values)
}

func (e *edge) onlyGet(x *exchange, method string) bool {
	if method == http.MethodGet {
		return true
	}
	e.notAllowed(x, method, []string{http.MethodGet})
	return false
}

func (e *edge) notAllowed(x *exchange, method string, allow []string) {
	if slices.Contains(allow, http.MethodGet) {
		allow = append(allow, http.MethodHead)
	}
	allow = append(allow, http.MethodOptions)
	slices.Sort(allow)
	list := strings.Join(slices.Compact(allow), ", ")
	x.Header()["Allow"] = []string{list}
	if method == http.MethodOptions {
		x.WriteHeader(http.StatusNoContent)
		return
	}
	x.refuseHTTP(http.StatusMethodNotAllowed, "method-not-allowed", "%s is not allowed at this path; allowed: %s", shorten(method), list)
}

// report counts and logs one answered request.
func (e *edge) report(ctx context.Context, x *exchange, r *http.Request, took time.Duration) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	metrics, pattern := e.other, ""
	if x.route != nil {
		metrics, pattern = x.route.metrics, x.route.pattern
	}
	metrics.observe(x.status, took)

	level := slog.LevelDebug
	switch {
	case x.status == http.StatusServiceUnavailable || x.status == http.StatusGatewayTimeout:
		level = slog.LevelWarn
	case x.status >= 500:
		level = slog.LevelError
	case x.status == http.StatusNotFound:
		// Normal reading, as in the services' logs.
	case x.status >= 400:
		level = slog.LevelInfo
	}
	if !e.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs,
		slog.String("method", r.Method),
		slog.String("path", x.path),
		slog.String("route", pattern),
		slog.Int("status", x.status),
		slog.Int("bytes", x.bytes),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("request_id", x.requestID),
		slog.String("remote", r.RemoteAddr),
	)
	if x.problem != "" {
		attrs = append(attrs, slog.String("problem", x.problem))
	}
	e.log.LogAttrs(ctx, level, "request", attrs...)
}

func validRequestID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
