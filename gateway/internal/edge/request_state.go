package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/protobuf/proto"
)

// exchange is one request on its way to its answer.
type exchange struct {
	http.ResponseWriter
	method    string      // as it was sent: HEAD is answered as GET
	header    http.Header // of the request
	path      string      // escaped
	query     url.Values  // what was asked; empty parameters are not in it
	form      url.Values  // of these, what goes to the service
	route     *route      // nil for no route
	metrics   *routeMetrics
	requestID string
	status    int           // 0 until the header is written
	bytes     int           // of the body, before compression
	problem   string        // why it was refused or failed
	plan      *jsonPlan     // how the answer is written
	depends   *precondition // of a write; nil for none
	flight    *flight       // that is to bring what is answered; nil for none
	coded     choice        // how what is kept is sent
	// values is the memory of header values: net/http keeps them until the answer is out, so it lives as long as the exchange.
	values [6]string
	used   int
}

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

// conn is the connection's own writer, beneath a compressing one.
func (x *exchange) conn() http.ResponseWriter {
	w := x.ResponseWriter
	for {
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = inner.Unwrap()
	}
}

// set sets a header of the answer. Its name is in canonical form.
func (x *exchange) set(name, value string) {
	if x.used == len(x.values) {
		x.Header()[name] = []string{value}
		return
	}
	at := x.used
	x.used++
	x.values[at] = value
	x.Header()[name] = x.values[at : at+1 : at+1]
}

// report counts and logs one answered request.
func (e *edge) report(ctx context.Context, x *exchange, remote string, took time.Duration) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	x.metrics.observe(x.status, took)

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
	skipped := 0
	if level > slog.LevelDebug { // who wants to see every request gets to see it
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

// capture is what the generated code writes to: it keeps the message that a service answered, or the error, and lets nothing out.
type capture struct {
	x       *exchange
	message proto.Message
	err     error
}

// Header implements http.ResponseWriter: the Content-Type that the generated code sets is the answer's.
func (c *capture) Header() http.Header { return c.x.Header() }

// Write implements http.ResponseWriter.
func (c *capture) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements http.ResponseWriter.
func (c *capture) WriteHeader(int) {}
