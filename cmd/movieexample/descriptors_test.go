package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"movieexample.com/app"
)

// TestFewDescriptors: with 256 file descriptors and 400 connections that never complete a request on each port, the admin
// listener answers at once, and so do the gateway and the services.
func TestFewDescriptors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addresses.json")
	args := slices.Concat([]string{"-c", `ulimit -n 256 && exec "$0" "$@"`, os.Args[0], "serve", "--data", t.TempDir()}, freePorts(), []string{"--addresses", file})
	p := startBinary(t, "/bin/sh", nil, args...)
	var a app.Addresses
	p.await(t, "the file with the addresses", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(text, &a) == nil
	})
	half := func(addr string) {
		t.Helper()
		for range 400 {
			c, err := net.DialTimeout("tcp", addr, patience)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n"); err != nil && !closedByPeer(err) {
				t.Fatal(err)
			}
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	answers := func(url string) {
		t.Helper()
		resp, err := client.Get(url)
		if err != nil {
			t.Errorf("%s does not answer: %v", url, err)
			return
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s answers %s, %v: %s", url, resp.Status, err, text)
		}
	}
	for _, addr := range []string{strings.TrimPrefix(a.Gateway, "http://"), a.Metadata, a.Rating, a.Movie} {
		half(addr)
		for range 5 {
			answers(a.Admin + "/livez")
			answers(a.Admin + "/readyz")
			answers(a.Gateway + "/v1/stats")
		}
	}
	resp, err := client.Get(a.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `movieexample_server_connections_evicted_total{listener="gateway",reason="descriptors"}`) ||
		strings.Contains(string(text), `movieexample_server_connections_evicted_total{listener="gateway",reason="descriptors"} 0`) {
		t.Error("no connection of the gateway was closed for want of descriptors: nothing was tried")
	}
	if strings.Contains(p.stderr.String(), "too many open files") {
		t.Error("the process ran out of descriptors")
	}
	if out := movieexample(t.Context(), "", "audit", "--addresses", file); out.code != exitOK {
		t.Errorf("a command gets %d: %s", out.code, out.stderr)
	}
}

// closedByPeer reports whether a connection was closed by its other end.
func closedByPeer(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}
