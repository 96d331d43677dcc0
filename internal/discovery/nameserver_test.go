package discovery_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"movieexample.com/internal/discovery"
)

// nameserver is a DNS server on loopback, UDP and TCP on one port.
type nameserver struct {
	addr string

	mu      sync.Mutex
	records map[string][]dnsmessage.ResourceBody // by lower-case name with the dot
	fail    dnsmessage.RCode                     // when not success, the answer to everything
	overTCP int                                  // answers
	stop    func()                               // nil when it does not run
}

func startNameserver(t *testing.T) *nameserver {
	t.Helper()
	n := &nameserver{records: make(map[string][]dnsmessage.ResourceBody)}
	n.start(t)
	t.Cleanup(n.close)
	return n
}

// start serves, at the same address as before.
func (n *nameserver) start(t *testing.T) {
	t.Helper()
	addr := n.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var udp net.PacketConn
	var tcp net.Listener
	// A port that is free for UDP may be taken for TCP, and one that was free once may
	// be taken for a moment.
	eventually(t, "listen", func() bool {
		var err error
		if udp, err = net.ListenPacket("udp", addr); err != nil {
			return false
		}
		if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err != nil {
			_ = udp.Close()
			return false
		}
		return true
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 1500)
		for {
			size, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := n.answer(buf[:size], 512); answer != nil {
				_, _ = udp.WriteTo(answer, from)
			}
		}
	})
	wg.Go(func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { n.serveTCP(c) })
		}
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addr = udp.LocalAddr().String()
	n.stop = func() {
		_ = udp.Close()
		_ = tcp.Close()
		wg.Wait()
	}
}

func (n *nameserver) close() {
	n.mu.Lock()
	stop := n.stop
	n.stop = nil
	n.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// serveTCP answers one question: RFC 1035 section 4.2.2.
func (n *nameserver) serveTCP(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	var size uint16
	if binary.Read(c, binary.BigEndian, &size) != nil {
		return
	}
	query := make([]byte, size)
	if _, err := io.ReadFull(c, query); err != nil {
		return
	}
	answer := n.answer(query, 1<<16-1)
	n.mu.Lock()
	n.overTCP++
	n.mu.Unlock()
	_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
}

// answer returns the answer to a query, cut off when it is longer than limit.
func (n *nameserver) answer(query []byte, limit int) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	q := m.Questions[0]
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionDesired: m.RecursionDesired, RecursionAvailable: true, RCode: n.fail}
	m.Answers, m.Authorities, m.Additionals = nil, nil, nil
	bodies, ok := n.records[strings.ToLower(q.Name.String())]
	if !ok && n.fail == dnsmessage.RCodeSuccess {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, body := range bodies {
		var typ dnsmessage.Type
		switch body.(type) {
		case *dnsmessage.AResource:
			typ = dnsmessage.TypeA
		case *dnsmessage.AAAAResource:
			typ = dnsmessage.TypeAAAA
		case *dnsmessage.SRVResource:
			typ = dnsmessage.TypeSRV
		}
		if typ == q.Type && m.RCode == dnsmessage.RCodeSuccess {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}, Body: body})
		}
	}
	packed, err := m.Pack()
	if err == nil && len(packed) > limit {
		m.Truncated, m.Answers = true, nil
		packed, err = m.Pack()
	}
	if err != nil {
		panic(err) // the test's own records are wrong
	}
	return packed
}

// set gives a name these records; none at all is a name without records.
func (n *nameserver) set(name string, bodies ...dnsmessage.ResourceBody) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.records[name] = bodies
}

// unset makes a name one that does not exist.
func (n *nameserver) unset(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.records, name)
}

// answers makes code the answer to everything.
func (n *nameserver) answers(code dnsmessage.RCode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail = code
}

func ipRecord(ip string) dnsmessage.ResourceBody {
	a := netip.MustParseAddr(ip)
	if a.Is4() {
		return &dnsmessage.AResource{A: a.As4()}
	}
	return &dnsmessage.AAAAResource{AAAA: a.As16()}
}

func srvRecord(target string, port int) dnsmessage.ResourceBody {
	return &dnsmessage.SRVResource{Priority: 1, Weight: 1, Port: uint16(port), Target: dnsmessage.MustNewName(target)}
}

// srvKind is DNS with SRV records, of a name server of the test's own.
func srvKind(t *testing.T) kind {
	n := startNameserver(t)
	list := func(t *testing.T, addrs []string) {
		records := make([]dnsmessage.ResourceBody, len(addrs))
		for i, addr := range addrs {
			host, port := split(t, addr)
			name := "instance" + strconv.Itoa(port) + ".example."
			n.set(name, ipRecord(host))
			records[i] = srvRecord(name, port)
		}
		n.set("_grpc._tcp.rating.example.", records...)
	}
	k := dnsKind(t, n, list)
	k.spec = "dns://" + n.addr + "/_grpc._tcp.{service}.example.?interval=1s"
	return k
}

// aKind is DNS with A records: each instance has its own address, and all share
// the port.
func aKind(t *testing.T) kind {
	n := startNameserver(t)
	list := func(t *testing.T, addrs []string) {
		records := make([]dnsmessage.ResourceBody, len(addrs))
		for i, addr := range addrs {
			host, _ := split(t, addr)
			records[i] = ipRecord(host)
		}
		n.set("rating.example.", records...)
	}
	k := dnsKind(t, n, list)
	_, port := split(t, n.addr) // free at the other addresses of loopback, as far as anybody knows
	k.spec = fmt.Sprintf("dns://%s/{service}.example.:%d?interval=1s", n.addr, port)
	instances := 1
	k.listen = func() string {
		instances++
		return fmt.Sprintf("127.0.0.%d:%d", instances, port)
	}
	return k
}

func dnsKind(t *testing.T, n *nameserver, list func(*testing.T, []string)) kind {
	list(t, nil)
	return kind{
		list: func(t *testing.T, _ *discovery.Registry, addrs []string) { list(t, addrs) },
		down: func(*testing.T) { n.close() },
		up: func(t *testing.T, addrs []string) {
			list(t, addrs)
			n.start(t)
		},
	}
}

func split(t *testing.T, addr string) (host string, port int) {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	if port, err = strconv.Atoi(text); err != nil {
		t.Fatal(err)
	}
	return host, port
}
