//go:build linux

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"movieexample.com/test/servers"
)

// stopTimeout is how long a process may take to stop when asked: what issue 5 allows.
const stopTimeout = 25 * time.Second

// Process is one process of the system, in all its lives. What servers.Process can do it can: Launch, Start, Kill, Pause,
// Resume, Signal, Running, PID, Log, LogFile.
type Process struct {
	*servers.Process
	// Name is that of the service and a number from 1: rating-1.
	Name string
	// Service is what it runs.
	Service string
	// Address is host:port of its gRPC door, or of HTTP for a gateway.
	Address string
	// Admin is host:port of its admin listener.
	Admin string
	// AddressFile is what it writes when it is ready, for commands that take --addresses.
	AddressFile string
}

// newProcess prepares the number-th process of a service.
func (c *Cluster) newProcess(service string, number int) (*Process, error) {
	p := &Process{Name: service + "-" + strconv.Itoa(number), Service: service}
	dir := filepath.Join(c.room.Dir(), p.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	p.AddressFile = filepath.Join(dir, "addresses.json")
	var err error
	if p.Address, err = c.room.Address(); err != nil {
		return nil, err
	}
	if p.Admin, err = c.room.Address(); err != nil {
		return nil, err
	}
	args := []string{
		"serve", service,
		"--listen-" + service, p.Address,
		"--listen-admin", p.Admin,
		"--addresses", p.AddressFile,
		"--discovery", c.discovery(),
		"--drain-delay", c.config.DrainDelay.String(),
	}
	env := Environment()
	if keepsData(service) {
		file := filepath.Join(dir, "database-url")
		if err := os.WriteFile(file, []byte(c.DatabaseURL(service)), 0o600); err != nil {
			return nil, err
		}
		env = append(env, "MOVIEEXAMPLE_DATABASE_FILE="+file)
	}
	if service == "rating" {
		args = append(args, "--rating-brokers", strings.Join(c.Kafka.Bootstrap(), ","))
		if len(c.Kafka.Brokers) > 1 {
			args = append(args, "--rating-replication", "3", "--rating-min-insync-replicas", "2")
		}
	}
	path := c.binary
	if other := c.config.Binaries[p.Name]; other != "" {
		path = other
	}
	p.Process = servers.NewProcess(servers.Program{
		Name:  p.Name,
		Path:  path,
		Args:  append(args, c.config.Args[service]...),
		Dir:   dir,
		Env:   env,
		Log:   filepath.Join(dir, "log"),
		Ready: p.Ready,
	})
	return p, nil
}

// Environment is this program's without the settings of MovieExample: what a test was told is none of the system's business.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MOVIEEXAMPLE_") })
}

// Stop asks the process to end (SIGTERM) and tells how it did: exit code 0 is an orderly stop. It resumes one that is paused.
// One that still runs after 25 seconds is an error, and keeps running.
func (p *Process) Stop() (servers.End, error) { return p.Terminate(stopTimeout) }

// Restart is Stop, then Start, on the same ports. An end with another code than 0 is an error.
func (p *Process) Restart(ctx context.Context) error {
	end, err := p.Stop()
	if err != nil {
		return err
	}
	if end.Code != 0 || end.Signal != 0 {
		return fmt.Errorf("restart %s: it stopped with %s", p.Name, end)
	}
	return p.Start(ctx)
}

// Ready returns nil when the process has written its addresses and its /readyz says that it is ready, and otherwise what is
// missing.
func (p *Process) Ready(ctx context.Context) error {
	text, err := os.ReadFile(p.AddressFile)
	if err != nil {
		return err
	}
	var written struct{ PID int }
	if err := json.Unmarshal(text, &written); err != nil {
		return fmt.Errorf("read %s: %w", p.AddressFile, err)
	}
	if written.PID != p.PID() {
		return fmt.Errorf("%s is of an earlier life, with pid %d", p.AddressFile, written.PID)
	}
	_, err = p.admin(ctx, "/readyz")
	return err
}

// admin is the answer of the admin listener; another status than 200 is an error with what it says.
func (p *Process) admin(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Admin+path, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true // the next life has other connections
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", p.Name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", p.Name, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s to %s: %s", p.Name, resp.Status, path, bytes.TrimSpace(body))
	}
	return body, nil
}

// RSS is the process's resident memory, in bytes.
func (p *Process) RSS() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("memory of %s: %w", p.Name, err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil && n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("memory of %s: %w", p.Name, errors.New("the kernel does not say"))
}
