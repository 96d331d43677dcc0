package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// This file protects the admin listener from requests of others.

// hosts guards against pages of other sites in an operator's browser. The owner of a name can point it to this machine's
// address after the page was loaded ("DNS rebinding"), and the browser then takes this listener for the page's own origin; but it
// still sends the name in Host. Addresses cannot be redirected in this way, and localhost is this machine.
type hosts map[string]bool

func newHosts(listen string, allowed []string) hosts {
	h := hosts{"localhost": true}
	if host, _, err := net.SplitHostPort(listen); err == nil {
		h[strings.ToLower(host)] = true
	}
	for _, name := range allowed {
		h[strings.ToLower(name)] = true
	}
	return h
}

// allows reports whether a request for the host is answered. A request without Host does not come from a browser.
func (h hosts) allows(host string) bool {
	name := strings.ToLower(strings.TrimSuffix((&url.URL{Host: host}).Hostname(), "."))
	if _, err := netip.ParseAddr(name); err == nil || host == "" {
		return true
	}
	return h[name] || strings.HasSuffix(name, ".localhost")
}

// guard refuses requests for other hosts, and profiles that would take too long.
func (h hosts) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if !h.allows(r.Host) {
			writeText(w, http.StatusForbidden, fmt.Sprintf("the admin listener is not reached by the name %s, which a web page could choose: "+
				"use an address or localhost, or add the name to admin_allowed_hosts if it is yours\n", strconv.QuoteToASCII(shorten(r.Host))))
			return
		}
		if text := r.URL.Query().Get("seconds"); text != "" && strings.HasPrefix(r.URL.Path, "/debug/pprof/") {
			if n, err := strconv.ParseFloat(text, 64); err != nil || !(n > 0 && n <= maxProfileSeconds) {
				writeText(w, http.StatusBadRequest, fmt.Sprintf("seconds must be a number above 0 and at most %d, got %s\n", maxProfileSeconds, strconv.QuoteToASCII(shorten(text))))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// maxProfileSeconds bounds profiles and traces.
const maxProfileSeconds = 60

func shorten(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// commandLine answers with the program without its arguments, which may contain passwords.
func commandLine(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, os.Args[0]) }

// scrapeLog is the error log of the metrics handler. Scrapers that hang up are logged on debug level only.
type scrapeLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) {
	level := slog.LevelError
	for _, part := range v {
		if err, ok := part.(error); ok && hungUp(err) {
			level = slog.LevelDebug
		}
	}
	l.log.Log(context.Background(), level, "metrics not sent", "error", strings.TrimSpace(fmt.Sprintln(v...)))
}

// hungUp reports whether the other end of a connection has gone, or does not read.
func hungUp(err error) bool {
	for _, gone := range []error{syscall.EPIPE, syscall.ECONNRESET, net.ErrClosed, os.ErrDeadlineExceeded, http.ErrHandlerTimeout} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}
