//go:build servers

package discovery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// consulEnv names the variable with the path of a Consul binary.
const consulEnv = "MOVIEEXAMPLE_TEST_CONSUL_BIN"

// agent is a real Consul agent on loopback.
type agent struct {
	dir    string
	ports  map[string]int
	config map[string]any // besides ports and addresses
	args   []string
	client *http.Client
	token  string // for the test's own requests
	cmd    *exec.Cmd
	ended  chan struct{}
}

// newAgent returns an agent that does not run yet.
func newAgent(t *testing.T, args ...string) *agent {
	t.Helper()
	a := &agent{dir: t.TempDir(), args: args, config: map[string]any{}, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	// Ports that are free now, all held until all are chosen.
	a.ports = map[string]int{"grpc": -1, "grpc_tls": -1, "dns": -1, "https": -1}
	for _, name := range []string{"http", "server", "serf_lan", "serf_wan"} {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close()
		_, a.ports[name] = split(t, lis.Addr().String())
	}
	return a
}

func (a *agent) addr() string {
	port := a.ports["http"]
	if port < 0 {
		port = a.ports["https"]
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func (a *agent) url() string {
	if a.ports["http"] < 0 {
		return "https://" + a.addr()
	}
	return "http://" + a.addr()
}

// start runs the agent until it has a leader. Its data is what its directory has.
func (a *agent) start(t *testing.T) {
	t.Helper()
	bin := os.Getenv(consulEnv)
	if bin == "" {
		t.Fatalf("%s is not set: give the path of a consul binary", consulEnv)
	}
	cfg := map[string]any{
		"ports": a.ports, "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1", "log_level": "warn", "disable_update_check": true,
		"performance": map[string]any{"raft_multiplier": 1},
	}
	for k, v := range a.config {
		cfg[k] = v
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(a.dir, "agent.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	a.cmd = exec.Command(bin, append([]string{"agent", "-config-file", file}, a.args...)...)
	a.cmd.Stdout, a.cmd.Stderr = &log, &log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	a.ended = ended
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait()
		close(ended)
	}(a.cmd)
	t.Cleanup(func() { a.kill() })
	eventually(t, "Consul has a leader", func() bool {
		select {
		case <-ended:
			t.Fatalf("Consul ended: %v\n%s", a.cmd.ProcessState, log.String())
		default:
		}
		status, body, err := a.request(t.Context(), http.MethodGet, "/v1/status/leader", nil)
		return err == nil && status == http.StatusOK && len(strings.Trim(body, "\"\n")) > 0
	})
}

func (a *agent) kill() {
	_ = a.cmd.Process.Kill()
	<-a.ended
}

// request asks the agent, for the test.
func (a *agent) request(ctx context.Context, method, path string, body any) (status int, answer string, err error) {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, "", err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.url()+path, in)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("X-Consul-Token", a.token)
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// ask is request, of what must succeed, decoded into answer.
func (a *agent) ask(t *testing.T, method, path string, body, answer any) {
	t.Helper()
	status, text, err := a.request(t.Context(), method, path, body)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s %s: %d %s %v", method, path, status, text, err)
	}
	if answer != nil {
		if err := json.Unmarshal([]byte(text), answer); err != nil {
			t.Fatal(err)
		}
	}
}

// registeredInstance is what a test looks at in Consul's answer.
type registeredInstance struct {
	Service struct {
		ID, Address string
		Port        int
		Tags        []string
	}
	Checks []registeredCheck
}

type registeredCheck struct {
	CheckID, ServiceID, Type, Status, Output string
}

func (a *agent) instances(t *testing.T) []registeredInstance {
	t.Helper()
	var list []registeredInstance
	a.ask(t, http.MethodGet, "/v1/health/service/rating", nil, &list)
	return list
}

// output returns what the check of an instance said last.
func (a *agent) output(t *testing.T, id string) string {
	t.Helper()
	var checks map[string]registeredCheck
	a.ask(t, http.MethodGet, "/v1/agent/checks", nil, &checks)
	return checks[id].Output
}
