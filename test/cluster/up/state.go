//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"movieexample.com/test/cluster"
)

// state is where everything of a running cluster is: the file cluster.json.
type state struct {
	PID       int             `json:"pid"` // of up run
	Targets   cluster.Targets `json:"targets"`
	MariaDB   string          `json:"mariadb"`
	Consul    string          `json:"consul,omitempty"`
	Processes []process       `json:"processes"`
}

type process struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	Address string `json:"address"`
	Admin   string `json:"admin,omitempty"`
	Log     string `json:"log"`
	Program string `json:"program"` // as the kernel has it, so that another process under the pid is not taken for this one
}

func stateFile(dir string) string { return filepath.Join(dir, "cluster.json") }

// addressFile is for commands that take --addresses.
func addressFile(dir string) string { return filepath.Join(dir, "addresses.json") }

// targetFile has the addresses of all instances, for commands that take --addresses and ask each.
func targetFile(dir string) string { return filepath.Join(dir, "targets.json") }

func describe(c *cluster.Cluster) state {
	s := state{PID: os.Getpid(), Targets: c.Targets(), MariaDB: c.MariaDB.Address()}
	add := func(name, address, admin, log string, pid int) {
		s.Processes = append(s.Processes, process{Name: name, PID: pid, Address: address, Admin: admin, Log: log, Program: program(pid)})
	}
	add("mariadb", c.MariaDB.Address(), "", c.MariaDB.LogFile(), c.MariaDB.PID())
	for _, b := range c.Kafka.Brokers {
		add(fmt.Sprintf("kafka-%d", b.NodeID), b.Address(), "", b.LogFile(), b.PID())
	}
	if c.Consul != nil {
		s.Consul = c.Consul.Address()
		add("consul", c.Consul.Address(), "", c.Consul.LogFile(), c.Consul.PID())
	}
	for _, p := range c.Processes() {
		add(p.Name, p.Address, p.Admin, p.LogFile(), p.PID())
	}
	return s
}

// program is the name the kernel has for a process; empty where there is none.
func program(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// lives reports whether the process is there.
func (p process) lives() bool { return p.Program != "" && program(p.PID) == p.Program }

// write writes the state, and the addresses as the commands of the binary take them.
func (s state) write(dir string) error {
	all := func(list []string) string { return strings.Join(list, ",") }
	addresses := map[string]string{
		"gateway": all(s.Targets.Gateways), "metadata": all(s.Targets.Metadata), "rating": all(s.Targets.Rating),
		"movie": all(s.Targets.Movie), "kafka": all(s.Targets.Brokers),
	}
	if err := writeJSON(addressFile(dir), addresses); err != nil {
		return err
	}
	if err := writeJSON(targetFile(dir), s.Targets); err != nil {
		return err
	}
	return writeJSON(stateFile(dir), s)
}

func writeJSON(file string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func readState(dir string) (s state, err error) {
	text, err := os.ReadFile(stateFile(dir))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

// print says where everything is and what to try.
func (s state) print(w io.Writer, dir string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROCESS\tPID\tADDRESS\tHEALTH AND METRICS\tLOG")
	for _, p := range s.Processes {
		address, admin := p.Address, "-"
		if strings.HasPrefix(p.Name, "gateway") {
			address = "http://" + address
		}
		if p.Admin != "" {
			admin = "http://" + p.Admin
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\n", p.Name, p.PID, address, admin, p.Log)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
Try:
  bin/movieexample generate movielens %[4]s --users 1000 --ratings 100000
  bin/movieexample import movielens %[4]s --addresses %[1]s
  bin/movieexample ingestion list --addresses %[1]s
  bin/movieexample audit --addresses %[1]s
  bin/movieexample verify --addresses %[5]s
  %[2]s in a browser, and the same through the other gateway
  kill -9 %[3]d     (rating-1: rating-2 takes over, and two seconds later it is started again)
Stop it with make cluster-down.
`, addressFile(dir), s.Targets.Gateways[0], s.pid("rating-1"), filepath.Join(dir, "made-up"), targetFile(dir))
	return err
}

func (s state) pid(name string) int {
	for _, p := range s.Processes {
		if p.Name == name {
			return p.PID
		}
	}
	return 0
}
