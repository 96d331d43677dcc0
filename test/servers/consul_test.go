//go:build servers

package servers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"movieexample.com/test/servers"
)

// TestConsul takes a server with tokens and encryption through its faults.
func TestConsul(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	began := time.Now()
	s, err := servers.StartConsul(ctx, servers.ConsulConfig{ACL: true, TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, s)
	t.Logf("a new Consul answers after %s", time.Since(began))

	token, err := s.NewToken(ctx, `key_prefix "films/" { policy = "write" }`)
	if err != nil {
		t.Fatal(err)
	}
	client := func(token string) *api.Client {
		t.Helper()
		c, err := api.NewClient(&api.Config{
			Address: s.Address(), Scheme: "https", Token: token, TLSConfig: api.TLSConfig{CAFile: s.TLS.CAFile},
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	put := func(c *api.Client, key string) error {
		_, err := c.KV().Put(&api.KVPair{Key: key, Value: []byte("kept")}, (&api.WriteOptions{}).WithContext(ctx))
		return err
	}
	if err := put(client(token), "films/1"); err != nil {
		t.Error(err)
	}
	if err := put(client(token), "other/1"); err == nil || !strings.Contains(err.Error(), "Permission denied") {
		t.Errorf("a token may write where its policy does not allow it: %v", err)
	}
	if err := put(client(""), "films/2"); err == nil {
		t.Error("a client without a token may write")
	}

	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("back %s after a kill", time.Since(began))
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, _, err := s.Client().KV().Get("films/1", (&api.QueryOptions{}).WithContext(short)); err == nil {
		t.Error("a paused server answers")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	pair, _, err := client(token).KV().Get("films/1", (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if pair == nil || string(pair.Value) != "kept" {
		t.Errorf("after all that the key is %v", pair)
	}
}
