package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestHealthcheck asks a process that is not ready, is, and is gone.
func TestHealthcheck(t *testing.T) {
	var ready atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/livez", r.URL.Path == "/readyz" && ready.Load():
		case r.URL.Path == "/readyz":
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte("rating-database: the server is down\n"))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	_, port, _ := strings.Cut(addr, ":")
	check := func(code int, part string, args ...string) {
		t.Helper()
		o := movieexample(t.Context(), "", append([]string{"healthcheck"}, args...)...)
		if o.code != code || !strings.Contains(o.stderr, part) || o.stdout != "" {
			t.Errorf("healthcheck %v: %+v, want exit code %d and %q", args, o, code, part)
		}
	}
	check(1, "rating-database: the server is down", "--listen-admin", addr)
	check(0, "", "--listen-admin", addr, "--live")
	ready.Store(true)
	check(0, "", "--listen-admin", addr)
	// As a container listens.
	check(0, "", "--listen-admin", "0.0.0.0:"+port)
	check(0, "", "--listen-admin", ":"+port)
	check(2, "port 0", "--listen-admin", "127.0.0.1:0")
	check(2, "host:port", "--listen-admin", "8090")
	t.Setenv("MOVIEEXAMPLE_LISTEN_ADMIN", addr)
	check(0, "")
	server.Close()
	check(1, "no answer")
}
