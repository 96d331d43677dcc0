package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// readyTimeout is below the shortest probe timeout that is common (a few seconds), so that the prober gets our reasons instead of a timeout.
	readyTimeout = 2 * time.Second
	// writeTimeout bounds the longest answer, which is a profile of maxProfileSeconds.
	writeTimeout = (maxProfileSeconds + 30) * time.Second
	// maxScrapes is the number of scrapes at a time.
	maxScrapes = 8
)

// AdminDeps is what the admin listener shows. A nil Logger discards, a nil Gatherer shows no metrics, a nil Ready is always ready.
type AdminDeps struct {
	Logger   *slog.Logger
	Gatherer prometheus.Gatherer
	Ready    func(context.Context) []Check // see Readiness.Ready
	// Listen is the configured address, host:port; its host is one by which the listener is reached. AllowedHosts are
	// further names, without ports. Addresses and localhost always are; requests for other names are refused.
	Listen       string
	AllowedHosts []string
}

// Admin is the HTTP listener for operators and their machines.
type Admin struct {
	server *http.Server
	ready  func(context.Context) []Check
	logger *slog.Logger
	cancel context.CancelFunc
}

// NewAdmin prepares the listener; nothing runs before Serve.
func NewAdmin(deps AdminDeps) *Admin {
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Gatherer == nil {
		deps.Gatherer = prometheus.NewRegistry()
	}
	if deps.Ready == nil {
		deps.Ready = new(Readiness).Ready
	}
	// Shutdown cancels the base context, which ends requests that would take minutes, above all profiles.
	ctx, cancel := context.WithCancel(context.Background())
	a := &Admin{ready: deps.Ready, logger: deps.Logger, cancel: cancel}
	a.server = &http.Server{
		Handler:           newHosts(deps.Listen, deps.AllowedHosts).guard(a.routes(deps.Gatherer)),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(deps.Logger.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	return a
}

// routes relies on the multiplexer for methods: a pattern with GET answers HEAD too, and everything else with 405 and Allow.
func (a *Admin) routes(g prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", index)
	mux.HandleFunc("GET /livez", livez)
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /buildinfo", a.buildInfo)
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{
		ErrorLog:            scrapeLog{a.logger},
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: maxScrapes,
	}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", commandLine)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol) // go tool pprof posts its addresses
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// ServeHTTP answers one request, for use without a listener.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.server.Handler.ServeHTTP(w, r) }

// Serve answers on ln until Shutdown, and then returns nil; any other end is an error. It closes ln.
func (a *Admin) Serve(ln net.Listener) error {
	if err := a.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin requests on %s: %w", ln.Addr(), err)
	}
	return nil
}

// Shutdown stops listening, ends running profiles, waits for the other requests until ctx ends and then cuts them off. The error
// says that some were cut off.
func (a *Admin) Shutdown(ctx context.Context) error {
	a.cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("stop the admin listener: %w", errors.Join(err, a.server.Close()))
	}
	return nil
}

// index lists the endpoints, for a person who knows only the port.
func index(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, `MovieExample admin listener

/livez          is the process alive: 200 ok
/readyz         should it get traffic: 200 or 503, one line per check; JSON with Accept: application/json
/metrics        for Prometheus
/buildinfo      version, revision and Go version as JSON
/debug/pprof/   profiles for go tool pprof
`)
}

// livez checks nothing: a process that can answer must not be restarted because a dependency is down.
func livez(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") }

func (a *Admin) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	checks := a.ready(ctx)
	status := http.StatusOK
	for _, c := range checks {
		if c.Err != nil && !c.Optional {
			status = http.StatusServiceUnavailable
		}
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		a.writeJSON(w, status, readyDocument(checks))
		return
	}
	var text strings.Builder
	for _, c := range checks {
		outcome := "ok"
		if c.Err != nil {
			outcome = strings.ReplaceAll(c.Err.Error(), "\n", "; ") // joined errors have a line each, and a check has one line
			if c.Optional {
				outcome = "degraded: " + outcome
			}
		}
		fmt.Fprintf(&text, "%s: %s\n", c.Name, outcome)
	}
	if len(checks) == 0 {
		text.WriteString("ok\n")
	}
	writeText(w, status, text.String())
}

type readyJSON struct {
	Ready  bool        `json:"ready"`
	Checks []checkJSON `json:"checks"`
}

type checkJSON struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	// Optional: the process is ready without.
	Optional bool `json:"optional,omitempty"`
}

func readyDocument(checks []Check) readyJSON {
	doc := readyJSON{Ready: true, Checks: []checkJSON{}}
	for _, c := range checks {
		entry := checkJSON{Name: c.Name, OK: c.Err == nil, Optional: c.Optional}
		if c.Err != nil {
			doc.Ready, entry.Error = doc.Ready && c.Optional, c.Err.Error()
		}
		doc.Checks = append(doc.Checks, entry)
	}
	return doc
}

func (a *Admin) buildInfo(w http.ResponseWriter, _ *http.Request) {
	a.writeJSON(w, http.StatusOK, BuildInfo())
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the only failure is a client that left
}

func (a *Admin) writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		a.logger.Error("cannot encode admin response", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the only failure is a client that left
}
