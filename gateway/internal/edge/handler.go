// Package edge is the HTTP edge: it sends each request to the REST API, to the documents or to the response cache, and writes what
// comes back: headers, ETags, conditions, compression, CORS, problems, the log line and the metrics.
package edge

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/cors"
	"google.golang.org/protobuf/reflect/protoreflect"

	"movieexample.com/gateway/internal/coding"
	"movieexample.com/gateway/internal/respcache"
	"movieexample.com/gateway/internal/transcode"
	"movieexample.com/gateway/internal/upstream"
	"movieexample.com/internal/rpc"
)

// Options are what the edge is made of.
type Options struct {
	Transcoder *transcode.Transcoder
	// FilmService is the service whose routes are about films; the others are about ratings.
	FilmService protoreflect.FullName
	// Name and Version are those of the API, for its index.
	Name, Version string
	// Pages and Docs serve all that is not below /v1.
	Pages, Docs http.Handler
	Recent      *upstream.RecentWrites
	Cache       respcache.Config
	// PublicURL, AllowedHosts and CORSOrigins are settings of the gateway.
	PublicURL    string
	AllowedHosts []string
	CORSOrigins  []string
	Timeout      time.Duration // of a request
	Logger       *slog.Logger
	Metrics      prometheus.Registerer
}

// Handler answers every request. It is safe for concurrent use.
type Handler struct {
	Options
	routes     map[*transcode.Route]*route
	index      *response // of the API
	pages      mount
	docs       mount
	cache      *respcache.Cache[*response] // nil for none
	hosts      *hostCheck
	compressor *coding.Compressor // of what is cached
	compressed http.Handler       // serve, with compression around it
	alwaysOn   http.Handler       // the same, but small responses are compressed too
	cors       *cors.Cors         // nil where no other origin may read
	buffers    transcode.Buffers
	other      *routeMetrics // requests for no route
}

// New returns a handler.
func New(o Options) (*Handler, error) {
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, err
	}
	h := &Handler{
		Options: o,
		routes:  map[*transcode.Route]*route{},
		pages:   pageMount(o.Pages, m),
		docs:    docsMount(o.Docs, m),
		hosts:   newHostCheck(o.PublicURL, o.AllowedHosts),
		cors:    newCORS(o.CORSOrigins),
		other:   m.of("", "other"),
	}
	for _, r := range o.Transcoder.Routes() {
		h.routes[r] = &route{Route: r, ofFilms: r.Service == o.FilmService, metrics: m.of(r.Method, r.Pattern)}
	}
	if h.index, err = newIndex(o.Name, o.Version, o.Transcoder, m); err != nil {
		return nil, err
	}
	if h.cache, err = respcache.New[*response](o.Cache); err != nil {
		return nil, err
	}
	if h.compressor, err = coding.NewCompressor(); err != nil {
		return nil, err
	}
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x, _ := r.Context().Value(stateKey{}).(*requestState)
		x.ResponseWriter = w
		h.serve(r.Context(), x, r)
	})
	if h.compressed, err = coding.Handler(serve, coding.MinSize); err != nil {
		return nil, err
	}
	h.alwaysOn, err = coding.Handler(serve, 0)
	return h, err
}

// Listen tells the handler which address it is served on: on a loopback address it checks the hosts of writes.
func (h *Handler) Listen(at net.Addr) { h.hosts.listen(at) }

// stateKey is the context key under which a *requestState goes through the compressing handler.
type stateKey struct{}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := rpc.WithRequestID(r.Context(), sentID(r.Header))
	x := newRequestState(w, r, rpc.RequestID(ctx), h.other)
	if h.cache.Accepts(r) {
		e, rest, done := h.shared(ctx, x, r)
		if e != nil {
			h.serveCached(ctx, x, r, e)
			return
		}
		defer done()
		ctx = rest
	}
	if x.method == http.MethodHead {
		// From here on it is a GET, so that both have the same headers, those of compression included; the server below us drops
		// the body.
		get := *r
		get.Method = http.MethodGet
		if len(get.Header["Range"]) > 0 { // which is for GET only (RFC 9110 §14.2)
			get.Header = maps.Clone(get.Header)
			delete(get.Header, "Range")
		}
		r = &get
	}
	if x.coding.Coding == coding.Plain {
		w.Header()["Vary"] = varyEncoding
		h.serve(ctx, x, r)
		return
	}
	r = r.WithContext(context.WithValue(ctx, stateKey{}, x))
	r.Header = maps.Clone(r.Header)
	r.Header["Accept-Encoding"] = coding.Names[x.coding.Coding]
	if x.coding.Always {
		h.alwaysOn.ServeHTTP(w, r)
		return
	}
	h.compressed.ServeHTTP(w, r) // both set Vary too
}

// shared returns a response that was, or is just being, composed for another request. Where there is none it returns the context to
// compose one in, and what to call at the end.
func (h *Handler) shared(ctx context.Context, x *requestState, r *http.Request) (e *respcache.Entry[*response], rest context.Context, done func()) {
	key, refused := h.cache.KeyOf(r), respcache.Refused(r.Header)
	if !refused {
		if e := h.cache.Find(key); e != nil {
			return e, nil, nil
		}
	}
	scope, ok := h.cacheScope(x.path)
	switch {
	case !ok:
		return nil, ctx, func() {}
	case refused:
		x.flight = h.cache.Alone(key, scope)
		return nil, ctx, func() {}
	}
	f, leads, e := h.cache.Join(key, scope)
	if e != nil {
		return e, nil, nil
	}
	if leads {
		x.flight = f
		ctx, done = f.Lead(ctx)
		return nil, ctx, done
	}
	ctx, cancel := context.WithDeadline(ctx, x.start.Add(h.Timeout))
	if e = f.Wait(ctx); e != nil {
		cancel()
	}
	return e, ctx, cancel // without an entry the request is composed in what is left of its time
}

// cacheScope returns what the response to a read depends on, and whether it is one to cache.
func (h *Handler) cacheScope(path string) (scope respcache.Scope, ok bool) {
	switch {
	case isAPI(path):
		found, values, _ := h.Transcoder.Find(http.MethodGet, path)
		// What the rating service itself answers must show each rating at once, and costs one look-up.
		if r := h.routes[found]; r == nil || !r.ofFilms {
			return nil, false
		}
		if id, ok := values["id"]; ok {
			scope = h.cache.Film(id)
		}
		return scope, true
	case isDocs(path), // they are in memory, and know about ranges
		strings.HasPrefix(path, "/users/"): // a user's ratings, from the rating service
		return nil, false
	}
	if id, ok := strings.CutPrefix(path, "/movies/"); ok {
		if decoded, err := url.PathUnescape(id); err == nil {
			id = decoded
		}
		scope = h.cache.Film(id)
	}
	return scope, true
}

// serveCached answers a request with a cached response.
func (h *Handler) serveCached(ctx context.Context, x *requestState, r *http.Request, e *respcache.Entry[*response]) {
	x.metrics = e.Response.metrics
	x.Header()["Vary"] = varyEncoding
	if h.cors != nil && e.Response.api {
		h.cors.HandlerFunc(x, r)
	}
	h.reply(x, e.Response, e)
	x.report(ctx, h.Logger, r.RemoteAddr)
}

// serve answers a request that is not answered from the cache.
func (h *Handler) serve(ctx context.Context, x *requestState, r *http.Request) {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	defer func() { x.report(ctx, h.Logger, r.RemoteAddr) }() // also when panicked panics again
	defer func() {
		if v := recover(); v != nil {
			h.panicked(ctx, x, v)
		}
	}()
	h.dispatch(x, r.WithContext(ctx))
}

// panicked answers a request whose handling panicked.
func (h *Handler) panicked(ctx context.Context, x *requestState, v any) {
	h.Logger.LogAttrs(ctx, slog.LevelError, "panic",
		slog.String("method", x.method), slog.String("path", x.path), slog.String("request_id", x.requestID),
		slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	if x.status != 0 {
		panic(http.ErrAbortHandler) // half a response must not look like a whole one
	}
	x.fail(fmt.Errorf("panic: %v", v))
}

// dispatch sends a request to what answers it.
func (h *Handler) dispatch(x *requestState, r *http.Request) {
	api := isAPI(x.path)
	if h.cors != nil && (api || x.path == descriptionPath) {
		h.cors.HandlerFunc(x, r)
		if x.status != 0 {
			return // a preflight request
		}
	}
	switch {
	case x.path == indexPath:
		h.serveIndex(x, r)
	case api:
		h.serveAPI(x, r)
	case isDocs(x.path):
		h.docs.serve(h, x, r)
	default:
		h.pages.serve(h, x, r)
	}
}

const (
	indexPath       = "/v1"
	descriptionPath = "/openapi.json"
	docsPath        = "/docs"
)

func isAPI(path string) bool { return path == indexPath || strings.HasPrefix(path, "/v1/") }

func isDocs(path string) bool {
	return path == descriptionPath || path == docsPath || strings.HasPrefix(path, "/docs/")
}
