package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"movieexample.com/gateway/internal/coding"
	"movieexample.com/gateway/internal/problem"
	"movieexample.com/gateway/internal/respcache"
	"movieexample.com/gateway/internal/upstream"
	"movieexample.com/internal/fault"
)

// requestState is a request, and what was answered so far. It is the request's http.ResponseWriter.
type requestState struct {
	http.ResponseWriter
	method    string      // as it was sent: HEAD is answered as GET
	header    http.Header // of the request
	path      string      // escaped
	requestID string
	start     time.Time
	coding    coding.Choice                // how a cached response is sent
	flight    *respcache.Flight[*response] // the composition that this request leads; nil for none
	route     *route                       // nil for no route of the API
	metrics   *routeMetrics
	status    int    // 0 until the header is written
	bytes     int    // of the body, before compression
	problem   string // why it was refused or failed
	// values is the memory of header values: net/http keeps them until the response is out, so it lives as long as the state.
	values [6]string
	used   int
}

var (
	noSniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
)

// requestIDHeader carries the request id both ways.
const requestIDHeader = "X-Request-Id"

// newRequestState also sets the headers that every response has.
func newRequestState(w http.ResponseWriter, r *http.Request, id string, m *routeMetrics) *requestState {
	x := &requestState{
		ResponseWriter: w, method: r.Method, header: r.Header, path: r.URL.EscapedPath(), requestID: id, start: time.Now(),
		coding: coding.Choose(r.Header), metrics: m,
	}
	h := w.Header()
	x.set(requestIDHeader, id)
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noReferrer
	return x
}

// sentID is the request id that the client sent, if it is a valid one.
func sentID(h http.Header) string {
	if sent := h[requestIDHeader]; len(sent) == 1 && validRequestID(sent[0]) {
		return sent[0]
	}
	return ""
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

// fail answers with the problem that an error is: one of the gateway's own, or of a service.
func (x *requestState) fail(err error) {
	var refused *problem.Error
	if errors.As(err, &refused) {
		if refused.HeaderName != "" {
			x.set(refused.HeaderName, refused.HeaderValue)
		}
		x.writeProblem(refused.Problem)
		return
	}
	if unmet := (*upstream.NotMet)(nil); errors.As(err, &unmet) {
		e := problem.PreconditionFailed.Error("%s", unmet.Error())
		e.Errors = []fault.Field{{Name: unmet.Header, Reason: unmet.Reason}}
		x.writeProblem(e.Problem)
		return
	}
	p := fault.ToProblem(fault.Status(err))
	if x.route != nil {
		x.route.renameFields(&p)
		if p.Status == http.StatusGatewayTimeout && !x.route.ReadOnly {
			p.Detail = strings.TrimSuffix(p.Detail, ": try again later") + "; whether the change was made is not known: read it back, or send the same request again"
		}
	}
	x.writeProblem(p)
	x.because(err)
}

// notAllowed answers a method that the path does not have, and OPTIONS, with the methods that it has.
func (x *requestState) notAllowed(allow []string) {
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
	x.fail(problem.MethodNotAllowed.Error("%s is not allowed at this path; allowed: %s", problem.Shorten(x.method), list))
}

// renameFields puts the names of fields, and the message that was made of them, into the client's spelling.
func (r *route) renameFields(p *fault.Problem) {
	if len(p.Errors) == 0 {
		return
	}
	own := make([]fault.Field, len(p.Errors))
	for i, f := range p.Errors {
		own[i] = fault.Field{Name: r.FieldName(f.Name), Reason: f.Reason}
	}
	if strings.HasPrefix(p.Detail, p.Errors[0].Name+": ") {
		p.Detail = fault.InvalidFields(own).Message()
	}
	p.Errors = own
}

// because records the cause of an error response for the log: the response says what happened, the log also why. A kind's default
// sentence adds nothing and is not recorded; an unknown code is, because only the error has it.
func (x *requestState) because(err error) {
	var f *fault.Error
	switch {
	case errors.As(err, &f) && f.Err != nil:
		x.problem = f.Error()
	case fault.KindOf(err) == fault.KindInternal:
		x.problem = err.Error()
	case x.problem == "":
		x.problem = fault.Status(err).Message()
	}
}

// writeProblem answers with a problem. It is the only place that does.
func (x *requestState) writeProblem(p fault.Problem) {
	if x.status != 0 {
		return // the response has begun
	}
	p.Instance = x.path
	p.RequestID = x.requestID
	x.problem = p.Detail
	h := x.Header()
	h["Content-Type"] = []string{fault.ProblemType}
	h["Cache-Control"] = noStore
	for _, name := range [...]string{"Content-Length", "Etag", "Link", "Content-Location"} {
		delete(h, name) // of the response that this one replaces
	}
	if problem.Retryable(p.Status) {
		h["Retry-After"] = retryAfter
	}
	x.WriteHeader(p.Status)
	_, _ = x.Write(problem.JSON(p)) // a client that is gone is logged by its context
}

// report counts and logs one answered request.
func (x *requestState) report(ctx context.Context, log *slog.Logger, remote string) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	took := time.Since(x.start)
	x.metrics.observe(x.status, took)

	level := slog.LevelDebug
	switch {
	case x.status == http.StatusServiceUnavailable || x.status == http.StatusGatewayTimeout:
		level = slog.LevelWarn
	case x.status >= 500:
		level = slog.LevelError
	case x.status == http.StatusNotFound:
		// Normal, as in the services' logs.
	case x.status >= 400:
		level = slog.LevelInfo
	}
	if !log.Enabled(ctx, level) {
		return
	}
	skipped := 0
	if level > slog.LevelDebug { // at level debug every request is logged
		var ok bool
		if skipped, ok = x.metrics.line(x.status, time.Now()); !ok {
			return
		}
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("method", x.method),
		slog.String("path", x.path),
		slog.String("route", x.metrics.route),
		slog.Int("status", x.status),
		slog.Int("bytes", x.bytes),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("request_id", x.requestID),
		slog.String("remote", remote),
	)
	if skipped > 0 {
		attrs = append(attrs, slog.Int("suppressed", skipped)) // lines of this route and kind of status
	}
	if x.problem != "" {
		attrs = append(attrs, slog.String("problem", x.problem))
	}
	log.LogAttrs(ctx, level, "request", attrs...)
}

// WriteHeader implements http.ResponseWriter.
func (x *requestState) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (x *requestState) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(p)
	x.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (x *requestState) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// conn is the connection's own writer, beneath a compressing one.
func (x *requestState) conn() http.ResponseWriter {
	w := x.ResponseWriter
	for {
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = inner.Unwrap()
	}
}

// set sets a header of the response. Its name is in canonical form.
func (x *requestState) set(name, value string) {
	if x.used == len(x.values) {
		x.Header()[name] = []string{value}
		return
	}
	at := x.used
	x.used++
	x.values[at] = value
	x.Header()[name] = x.values[at : at+1 : at+1]
}
