package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
)

// hosts guards a gateway that listens on loopback, for the one who sits at the machine, against pages of other sites in their
// browser. A page cannot write to another origin that does not allow it (CORS); but whoever owns a name can let it mean 127.0.0.1
// after the page came ("DNS rebinding"), and then the browser takes this gateway for the page's own origin. It still sends the
// name in Host. What only this machine can be called, and addresses, which nobody can let mean something else, are no such names.
//
// Reads stay open: they show nothing that is not shown to everybody.
type hosts struct {
	guarded atomic.Bool
	names   map[string]bool // in lower case
}

func newHosts(cfg Config) *hosts {
	h := &hosts{names: map[string]bool{}}
	for _, name := range cfg.AllowedHosts {
		h.names[strings.ToLower(name)] = true
	}
	if u, err := url.Parse(cfg.PublicURL); err == nil && u.Host != "" {
		h.names[strings.ToLower(u.Hostname())] = true
	}
	return h
}

// listen begins to guard where the address is one that only this machine reaches.
func (h *hosts) listen(at net.Addr) {
	if tcp, ok := at.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		h.guarded.Store(true)
	}
}

// mayWrite reports whether writes that came for the host are taken. No Host at all is no browser.
func (h *hosts) mayWrite(host string) bool {
	if host == "" || !h.guarded.Load() {
		return true
	}
	name := nameOf(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || h.names[name]
}

// nameOf is the name or address in a Host header, in lower case.
func nameOf(host string) string {
	u := url.URL{Host: host}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}

// takesWrites answers the request, and returns false, if it is a write for a host that may be another site's.
func (e *edge) takesWrites(x *exchange, host string) bool {
	if e.hosts.mayWrite(host) {
		return true
	}
	name := nameOf(host)
	x.refuseHTTP(hostNotAllowed, "this gateway is only for its own machine and takes no writes for the host %s, by which a web page could reach it: "+
		"use localhost or 127.0.0.1, or set gateway.public_url or gateway.allowed_hosts to that name if it is yours", quote(name))
	return false
}

// wrongHosts says what is wrong with a list of names; "" where nothing is.
func wrongHosts(names []string) string {
	for _, name := range names {
		if !validHost(name) || strings.ContainsAny(name, ":[]") {
			return fmt.Sprintf("must be host names without a port, such as films.local, got %q", name)
		}
	}
	return ""
}
