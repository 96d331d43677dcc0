//go:build servers

package discovery_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"movieexample.com/internal/discovery"
)

// consulKinds are the conformance suite's registries that need a Consul binary.
func consulKinds() map[string]func(*testing.T) kind {
	return map[string]func(*testing.T) kind{
		"forgetful agent": func(t *testing.T) kind { return newAgent(t, "-dev").kind(t) },
		"durable server": func(t *testing.T) kind {
			return newAgent(t, "-server", "-bootstrap-expect=1", "-data-dir", t.TempDir()).kind(t)
		},
	}
}

// kind starts the agent and returns the registry that it is. Instances register
// themselves, also after an outage.
func (a *agent) kind(t *testing.T) kind {
	a.start(t)
	return kind{
		spec: "consul://" + a.addr(),
		down: func(*testing.T) { a.kill() },
		up:   func(t *testing.T, _ []string) { a.start(t) },
	}
}

func TestConsulNoInstanceAndRecovery(t *testing.T) {
	forEachKind(t, consulKinds(), noInstanceAndRecovery)
}

func TestConsulUsableInstances(t *testing.T) { forEachKind(t, consulKinds(), usableInstances) }

func TestConsulInstanceDies(t *testing.T) { forEachKind(t, consulKinds(), instanceDies) }

func TestConsulNewInstanceGetsItsShare(t *testing.T) {
	forEachKind(t, consulKinds(), newInstanceGetsItsShare)
}

func TestConsulRegistryIsDown(t *testing.T) { forEachKind(t, consulKinds(), registryIsDown) }

func TestConsulRegistryIsDownAtTheStart(t *testing.T) {
	forEachKind(t, consulKinds(), registryIsDownAtTheStart)
}

// What others see of an instance in Consul, from its start to its end.
func TestConsulRegistration(t *testing.T) {
	t.Parallel()
	a := newAgent(t, "-dev")
	w := newWorld(t, a.kind(t))
	p := w.start(t)
	host, port := split(t, p.addr)
	var got registeredInstance
	eventually(t, "the agent has checked", func() bool {
		list := a.instances(t)
		if len(list) != 1 {
			t.Fatalf("%d instances, want 1", len(list))
		}
		got = list[0]
		return strings.Contains(a.output(t, got.Service.ID), "success")
	})
	if s := got.Service; s.ID != fmt.Sprintf("rating-%s-%d", host, port) || s.Address != host || s.Port != port || !slices.Equal(s.Tags, []string{"version=v1.2.3"}) {
		t.Errorf("registered as %+v", s)
	}
	i := slices.IndexFunc(got.Checks, func(c registeredCheck) bool { return c.ServiceID == got.Service.ID })
	if i < 0 || got.Checks[i].Type != "grpc" || got.Checks[i].Status != "passing" {
		t.Errorf("checks %+v, want one of type grpc that passes", got.Checks)
	}
	p.stop(t)
	if list := a.instances(t); len(list) != 0 {
		t.Errorf("after the end: %+v, want nothing", list)
	}
}

// What the agent has lost without going away is registered again, and no one who calls
// the others notices.
func TestConsulForgetsAnInstance(t *testing.T) {
	t.Parallel()
	a := newAgent(t, "-dev")
	w := newWorld(t, a.kind(t))
	p, q := w.start(t), w.start(t)
	tr := startTraffic(t, w.reg, 8)
	tr.only(t, "both answer", p, q)
	a.ask(t, http.MethodPut, "/v1/agent/service/deregister/"+a.instances(t)[0].Service.ID, nil, nil)
	eventually(t, "forgotten", func() bool { return w.metric(t, "movieexample_discovery_instances") == 1 })
	eventually(t, "known again", func() bool { return len(a.instances(t)) == 2 })
	tr.only(t, "both answer again", p, q)
}

// An instance that hangs keeps its connections; the agent's check finds it. When
// all hangs, no one is left out.
func TestConsulLeavesOutWhoHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newAgent(t, "-dev").kind(t))
	p, q := w.start(t), w.start(t)
	client := testpb.NewTestServiceClient(dialRating(t, w.reg))
	if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are known", func() bool { return w.metric(t, "movieexample_discovery_instances") == 2 })
	p.signal(t, syscall.SIGSTOP)
	began := time.Now()
	eventually(t, "left out", func() bool { return w.metric(t, "movieexample_discovery_instances") == 1 })
	t.Logf("left out after %v", time.Since(began))
	for range 20 {
		if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
			t.Fatalf("with one that hangs left out: %v", err)
		}
	}
	q.signal(t, syscall.SIGSTOP)
	eventually(t, "no instance is left out", func() bool { return w.metric(t, "movieexample_discovery_instances") == 2 })
	p.signal(t, syscall.SIGCONT)
	q.signal(t, syscall.SIGCONT)
	eventually(t, "both are well", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{})
		return err == nil && w.metric(t, "movieexample_discovery_instances") == 2
	})
}

// An agent that hangs is a registry that is down, which no one notices.
func TestConsulHangs(t *testing.T) {
	t.Parallel()
	a := newAgent(t, "-dev")
	w := newWorld(t, a.kind(t))
	p, q := w.start(t), w.start(t)
	tr := startTraffic(t, w.reg, 8)
	tr.only(t, "both answer", p, q)
	if err := a.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.kill(t)
	tr.only(t, "the other answers", q)
	if err := a.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r := w.start(t)
	tr.only(t, "the new one answers too", q, r)
	eventually(t, "the dead one is left out", func() bool { return w.metric(t, "movieexample_discovery_instances") == 2 })
}

// With ACLs, what a token may do decides, and the token is the one that the file has now.
func TestConsulACL(t *testing.T) {
	t.Parallel()
	a := newAgent(t, "-dev")
	a.token = "11111111-2222-3333-4444-555555555555"
	a.config["acl"] = map[string]any{
		"enabled": true, "default_policy": "deny",
		"tokens": map[string]any{"initial_management": a.token, "agent": a.token},
	}
	a.start(t)
	token := func(name, rules string) string {
		var created struct{ SecretID string }
		eventually(t, "ACLs work", func() bool {
			code, _, err := a.request(t.Context(), http.MethodPut, "/v1/acl/policy", map[string]any{"Name": name, "Rules": rules})
			return err == nil && code == http.StatusOK
		})
		a.ask(t, http.MethodPut, "/v1/acl/token", map[string]any{"Policies": []any{map[string]any{"Name": name}}}, &created)
		return created.SecretID
	}
	nothing := token("nothing", `key "x" { policy = "read" }`)
	enough := token("enough", `service "rating" { policy = "write" } node_prefix "" { policy = "read" }`)

	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	spec := "consul://" + a.addr() + "?token_file=" + file
	replace(t, file, nothing+"\n")
	replace(t, filepath.Join(dir, "other"), enough+"\n")
	log := &lines{}
	w := &world{kind: kind{spec: spec}, metrics: prometheus.NewRegistry()}
	w.reg = open(t, spec, discovery.Options{Logger: log.logger(), Metrics: w.metrics})
	client := testpb.NewTestServiceClient(dialRating(t, w.reg))

	// An instance that may register, and a client that may not see it.
	startProcess(t, "consul://"+a.addr()+"?token_file="+filepath.Join(dir, "other"), "127.0.0.1:0")
	if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); status.Code(err) != codes.Unavailable {
		t.Fatalf("without rights: %v, want UNAVAILABLE", err)
	}
	log.expect(t, "its ACLs hide the answer: give the token service:read for rating and node:read")
	deregister, err := w.reg.Register(t.Context(), "rating", startProcess(t, "memory", "127.0.0.1:0").addr)
	if err != nil {
		t.Fatal(err)
	}
	log.expect(t, "Permission denied")
	if got := w.metric(t, "movieexample_discovery_registered"); got != 0 {
		t.Errorf("movieexample_discovery_registered is %v, want 0", got)
	}

	if err := os.Remove(file); err != nil { // the last one stays, whatever that is worth
		t.Fatal(err)
	}
	log.expect(t, "cannot read the Consul token")
	replace(t, file, enough+"\n")
	eventually(t, "registered", func() bool { return w.metric(t, "movieexample_discovery_registered") == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Fatalf("with rights: %v", err)
	}
	// Rights that are lost lose no one.
	replace(t, file, nothing+"\n")
	eventually(t, "noticed", func() bool { return w.metric(t, "movieexample_discovery_registered") == 0 })
	if _, err := client.UnaryCall(t.Context(), &testpb.SimpleRequest{}); err != nil {
		t.Errorf("after the rights were lost: %v", err)
	}
	replace(t, file, enough+"\n")
	eventually(t, "registered again", func() bool { return w.metric(t, "movieexample_discovery_registered") == 1 })
	if got := len(a.instances(t)); got != 2 {
		t.Errorf("%d instances, want both", got)
	}
	if err := deregister(t.Context()); err != nil {
		t.Error(err)
	}
	if err := deregister(t.Context()); err != nil { // does nothing
		t.Error(err)
	}
	eventually(t, "deregistered", func() bool { return len(a.instances(t)) == 1 })
}
