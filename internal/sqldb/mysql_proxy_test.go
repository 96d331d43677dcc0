//go:build servers

package sqldb_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// breakage is where in COMMIT the proxy resets the connection.
type breakage int

const (
	whole        breakage = iota
	beforeCommit          // the server never gets it
	amidCommit            // the server gets the first half
	afterCommit           // the server gets it, the client never gets the answer
)

func (b breakage) String() string {
	return [...]string{"whole", "before", "amid", "after"}[b]
}

// proxy stands between client and server and knows packets: each begins with three bytes
// of length and one of sequence.
type proxy struct {
	ln     net.Listener
	server string

	mu     sync.Mutex
	next   breakage // what happens to the next COMMIT
	broken int
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, server: server}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", p.server)
			if err != nil {
				_ = client.Close()
				continue
			}
			wg.Go(func() { p.serve(client.(*net.TCPConn), server.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() { // after the database was closed, which ends its connections
		_ = ln.Close()
		wg.Wait()
	})
	return p
}

func (p *proxy) Addr() string { return p.ln.Addr().String() }

// Break lets the next COMMIT break its connection.
func (p *proxy) Break(how breakage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.broken = how, 0
}

// Broken is how many connections were broken since Break.
func (p *proxy) Broken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken
}

func (p *proxy) take() breakage {
	p.mu.Lock()
	defer p.mu.Unlock()
	how := p.next
	if p.next = whole; how != whole {
		p.broken++
	}
	return how
}

func (p *proxy) serve(client, server *net.TCPConn) {
	var once sync.Once
	reset := func() {
		once.Do(func() {
			_ = client.SetLinger(0) // RST instead of FIN
			_ = client.Close()
			_ = server.Close()
		})
	}
	defer reset()
	answer := make(chan struct{}) // closed: the server's next bytes are the answer that is lost
	go func() {
		defer reset()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			select {
			case <-answer:
				return
			default:
			}
			if _, writeErr := client.Write(buf[:n]); err != nil || writeErr != nil {
				return
			}
		}
	}()
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		packet := append(head, make([]byte, binary.LittleEndian.Uint32(append(head[:3:3], 0)))...)
		if _, err := io.ReadFull(client, packet[4:]); err != nil {
			return
		}
		if bytes.Equal(packet[4:], []byte("\x03COMMIT")) {
			switch p.take() {
			case beforeCommit:
				return
			case amidCommit:
				_, _ = server.Write(packet[:len(packet)/2])
				return
			case afterCommit:
				close(answer)
			}
		}
		if _, err := server.Write(packet); err != nil {
			return
		}
	}
}
