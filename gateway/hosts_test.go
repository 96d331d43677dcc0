package gateway_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"movieexample.com/gateway"
)

// served returns the address of a gateway that serves on a listener.
func served(t *testing.T, cfg gateway.Config, wrap func(net.Listener) net.Listener) string {
	t.Helper()
	g := newGateway(t, cfg, &fakeMovie{}, nil)
	l := listen(t)
	done := make(chan error, 1)
	go func() { done <- g.Serve(wrap(l)) }()
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		if err := g.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// elsewhere is a listener that says that the whole network reaches it.
type elsewhere struct{ net.Listener }

func (elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero, Port: 80} }

// On loopback, a page whose name was made to mean this machine can read what is public, and write nothing.
func TestRebinding(t *testing.T) {
	const allowed, refused = 200, 403
	plain := served(t, gateway.Config{}, func(l net.Listener) net.Listener { return l })
	named := served(t, gateway.Config{PublicURL: "https://Films.example:8443", AllowedHosts: []string{"films.lan", "Other.lan"}}, func(l net.Listener) net.Listener { return l })
	public := served(t, gateway.Config{}, func(l net.Listener) net.Listener { return elsewhere{l} })
	for _, tc := range []struct {
		at, host string
		want     int
	}{
		{plain, "localhost:8080", allowed},
		{plain, "LOCALHOST", allowed},
		{plain, "localhost.", allowed},
		{plain, "films.localhost:1", allowed},
		{plain, "127.0.0.1:8080", allowed},
		{plain, "[::1]:8080", allowed},
		{plain, "192.0.2.1", allowed},
		{plain, "evil.example", refused},
		{plain, "evil.example:8080", refused},
		{plain, "localhost.evil.example", refused},
		{plain, "evillocalhost", refused},
		{plain, "127.0.0.1.evil.example", refused},
		{plain, "127.0.0.1:8080:evil.example", refused},
		{plain, "films.example", refused},
		{named, "films.example", allowed},
		{named, "films.example:8443", allowed},
		{named, "FILMS.LAN:1", allowed},
		{named, "other.lan.", allowed},
		{named, "x.films.example", refused},
		{public, "evil.example", allowed}, // a gateway on a public address has any name
	} {
		for _, q := range []request{
			{method: "PUT", path: "/v1/movies/a", body: `{"title":"T"}`},
			{method: "DELETE", path: "/v1/movies/a"},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value":9}`},
			{method: "GET", path: "/v1/movies/a"},
			{method: "POST", path: "/v1/movies:batchGet", body: `{"ids":["a"]}`},
		} {
			r, err := http.NewRequestWithContext(t.Context(), q.method, "http://"+tc.at+q.path, strings.NewReader(q.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Host = tc.host
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			var body strings.Builder
			_ = resp.Write(&body)
			want := tc.want
			if q.method == "GET" || q.method == "POST" {
				want = allowed
			}
			if resp.StatusCode != want || want == refused && !strings.Contains(body.String(), "/problems/host-not-allowed") {
				t.Errorf("%s %s for %s: %d, want %d: %s", q.method, q.path, tc.host, resp.StatusCode, want, body.String())
			}
		}
	}
	for name, want := range map[string]string{"films.lan": "", "a-b.c": "", "films.lan:80": "without a port", "https://films.lan": "without a port", "": "without a port", "a b": "without a port"} {
		cfg := gateway.DefaultConfig()
		cfg.AllowedHosts = []string{name}
		checkSetting(t, "allowed_hosts", name, cfg.Validate(), want)
	}
}
