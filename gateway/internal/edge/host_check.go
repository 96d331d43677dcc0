package edge

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"

	"movieexample.com/gateway/internal/problem"
)

// hostCheck protects a gateway that listens on loopback against pages of other sites in the browser of the machine's user. A page
// cannot write to another origin that does not allow it (CORS); but the owner of a name can make it resolve to 127.0.0.1 after the
// page was loaded ("DNS rebinding"), and then the browser takes this gateway for the page's own origin. It still sends the name in
// Host. Addresses, and names that only this machine has, cannot be rebound.
//
// Reads are not checked: they show nothing that is not public.
type hostCheck struct {
	guarded atomic.Bool
	names   map[string]bool // in lower case
}

func newHostCheck(publicURL string, allowed []string) *hostCheck {
	h := &hostCheck{names: map[string]bool{}}
	for _, name := range allowed {
		h.names[strings.ToLower(name)] = true
	}
	if u, err := url.Parse(publicURL); err == nil && u.Host != "" {
		h.names[strings.ToLower(u.Hostname())] = true
	}
	return h
}

// listen turns the check on if only this machine can reach the address.
func (h *hostCheck) listen(at net.Addr) {
	if tcp, ok := at.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		h.guarded.Store(true)
	}
}

// mayWrite reports whether writes for the host are accepted. A request without a Host is from no browser.
func (h *hostCheck) mayWrite(host string) bool {
	if host == "" || !h.guarded.Load() {
		return true
	}
	name := nameOf(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || h.names[name]
}

// validHost reports whether a Host header has only characters of names, addresses and ports.
func validHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-_:[]", c) >= 0) {
			return false
		}
	}
	return host != "" && len(host) <= 261 // a name of 255, and a port
}

// nameOf is the name or address in a Host header, in lower case.
func nameOf(host string) string {
	u := url.URL{Host: host}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}

// check refuses a write for a host that may be another site's.
func (h *hostCheck) check(host string) error {
	if h.mayWrite(host) {
		return nil
	}
	return problem.HostNotAllowed.Error("this gateway is only for its own machine and takes no writes for the host %s, by which a web page could reach it: "+
		"use localhost or 127.0.0.1, or set gateway.public_url or gateway.allowed_hosts to that name if it is yours", problem.Quote(nameOf(host)))
}

// WrongHosts says what is wrong with a list of names; "" where nothing is.
func WrongHosts(names []string) string {
	for _, name := range names {
		if !validHost(name) || strings.ContainsAny(name, ":[]") {
			return fmt.Sprintf("must be host names without a port, such as films.local, got %q", name)
		}
	}
	return ""
}
