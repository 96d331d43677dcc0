package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"movieexample.com/app"
)

// asProgram makes the test binary be the program: what tests start is main as it is, signals and exit codes included.
const asProgram = "TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// program is a process of the program.
type program struct {
	cmd            *exec.Cmd
	stdout, stderr output
	exited         chan struct{}
}

// output is what a process writes, read while it writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// prepare makes the command, in an environment that has nothing of ours but env and asks for colours.
func prepare(bin string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(bin, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MOVIEEXAMPLE_") && !strings.HasPrefix(v, "NO_COLOR=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, asProgram+"=1", "TERM=xterm-256color", "CLICOLOR_FORCE=1", "FORCE_COLOR=1")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// start starts the program. The test's end kills it if it still runs.
func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	return startBinary(t, os.Args[0], env, args...)
}

func startBinary(t *testing.T, bin string, env []string, args ...string) *program {
	t.Helper()
	p := &program{cmd: prepare(bin, env, args...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended is asked of ProcessState
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // fails only when it has ended
		<-p.exited
		if t.Failed() {
			t.Logf("movieexample %s: %s\nstandard output:\n%s\nstandard error:\n%s", strings.Join(args, " "), p.cmd.ProcessState, &p.stdout, &p.stderr)
		}
	})
	return p
}

// patience bounds waiting in tests; it is no measurement.
const patience = time.Minute

// await waits until the condition holds, and fails when the program ends before.
func (p *program) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		select {
		case <-p.exited:
			if holds() {
				return
			}
			t.Fatalf("ended (%s) before: %s", p.cmd.ProcessState, what)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func (p *program) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait waits for the end. Whatever was written to something that is no terminal has no escape sequences.
func (p *program) wait(t *testing.T) outcome {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("still running after %s", patience)
	}
	o := outcome{p.cmd.ProcessState.ExitCode(), p.stdout.String(), p.stderr.String()}
	if strings.ContainsAny(o.stdout+o.stderr, "\x1b\r") {
		t.Errorf("escape sequences without a terminal: %q %q", o.stdout, o.stderr)
	}
	return o
}

// freePorts are the flags that make every listener take a free port.
func freePorts() []string {
	var args []string
	for _, name := range []string{"gateway", "metadata", "rating", "movie", "kafka", "admin"} {
		args = append(args, "--listen-"+name, "127.0.0.1:0")
	}
	return args
}

// startSystemProcess starts serve or demo on free ports and returns it with its addresses when it is ready.
func startSystemProcess(t *testing.T, env []string, args ...string) (*program, app.Addresses) {
	t.Helper()
	return startSystemBinary(t, os.Args[0], env, args...)
}

func startSystemBinary(t *testing.T, bin string, env []string, args ...string) (*program, app.Addresses) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "addresses.json")
	p := startBinary(t, bin, env, slices.Concat(args, freePorts(), []string{"--addresses", file})...)
	var a app.Addresses
	p.await(t, "the file with the addresses", func() bool {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &a); err != nil { // it is there whole or not at all
			t.Fatalf("%v in %s", err, text)
		}
		return true
	})
	return p, a
}

// TestEveryCommandExplainsItself walks all commands there are.
func TestEveryCommandExplainsItself(t *testing.T) {
	var paths []string
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		if c.Hidden {
			return
		}
		path := c.CommandPath()
		paths = append(paths, path)
		if c.Short == "" {
			t.Errorf("%s has no short help", path)
		}
		if !c.HasSubCommands() && (c.Long == "" || c.Example == "") {
			t.Errorf("%s has no long help or no examples", path)
		}
		for line := range strings.Lines(c.Example) {
			if !strings.Contains(line, "movieexample ") {
				t.Errorf("%s: an example that is no command: %s", path, line)
			}
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s has no description", path, f.Name)
			}
		})
		args := append(strings.Fields(path)[1:], "--help")
		o := movieexample(t.Context(), "", args...)
		if o.code != 0 || o.stderr != "" || !strings.Contains(o.stdout, "Usage:\n") || strings.Contains(o.stdout, "\x1b") {
			t.Errorf("%s --help: exit code %d, standard error %q, standard output\n%s", path, o.code, o.stderr, o.stdout)
		}
		byHelp := movieexample(t.Context(), "", append([]string{"help"}, strings.Fields(path)[1:]...)...)
		if diff := cmp.Diff(o, byHelp, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("help of %s differs from its --help:\n%s", path, diff)
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(newRootCommand())
	for _, want := range []string{
		"demo", "serve", "config print", "config validate", "import movielens", "import imdb", "import movies", "import ratings",
		"export movies", "export ratings", "publish", "generate movielens", "generate imdb", "audit", "dead-letters list",
		"dead-letters replay", "dead-letters drop", "completion", "help",
	} {
		if !slices.Contains(paths, "movieexample "+want) {
			t.Errorf("there is no command %q", want)
		}
	}
	help := movieexample(t.Context(), "", "--help").stdout
	for _, code := range []int{exitOK, exitFailed, exitUsage, exitRefused, exitUnreachable, exitInterrupted} {
		if !regexp.MustCompile(`(?m)^  ` + strconv.Itoa(code) + ` +\w`).MatchString(help) {
			t.Errorf("the help does not explain exit code %d", code)
		}
	}
	if o := start(t, nil).wait(t); o.code != 0 || o.stdout != help {
		t.Errorf("without arguments: exit code %d and %q", o.code, o.stdout)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		o := movieexample(t.Context(), "", "completion", shell)
		if o.code != 0 || o.stderr != "" || len(o.stdout) < 1000 || !strings.Contains(o.stdout, "__complete") {
			t.Errorf("%s: exit code %d, %d bytes, standard error %q", shell, o.code, len(o.stdout), o.stderr)
		}
		if shell != "bash" {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-n")
		cmd.Stdin = strings.NewReader(o.stdout)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("bash does not read its script: %v\n%s", err, out)
		}
	}
	for _, args := range [][]string{{}, {"tcsh"}, {"bash", "zsh"}} {
		o := movieexample(t.Context(), "", append([]string{"completion"}, args...)...)
		if o.code != exitUsage || !strings.Contains(o.stderr, "bash, zsh, fish, powershell") || o.stdout != "" {
			t.Errorf("completion %v: %+v", args, o)
		}
	}
}

// TestCompletes asks what shells ask.
func TestCompletes(t *testing.T) {
	for args, want := range map[string]string{
		"serve ":                     "metadata rating movie gateway",
		"serve rating gateway ":      "metadata movie",
		"config print ":              "metadata rating movie gateway",
		"serve --log-level ":         "debug info warn error",
		"demo --log-format ":         "text json",
		"demo ":                      "",
		"completion ":                "bash zsh fish powershell",
		"help dead-":                 "dead-letters",
		"help dead-letters ":         "drop list replay",
		"audit -o ":                  "text json",
		"config validate --listen-g": "--listen-gateway",
		"import movies ":             "csv jsonl json", // the shell offers files that end so
		"import movies x ":           "",
		"import movies --mode ":      "replace fill",
		"export ratings --format ":   "csv jsonl",
	} {
		o := movieexample(t.Context(), "", append([]string{"__complete"}, strings.Split(args, " ")...)...)
		var got []string
		for line := range strings.Lines(o.stdout) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			if !strings.HasPrefix(word, ":") {
				got = append(got, word)
			}
		}
		if args == "help dead-" { // cobra leaves it to the shell to filter
			got = slices.DeleteFunc(got, func(s string) bool { return !strings.HasPrefix(s, "dead-") })
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q completes to %v, want %q", args, got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	o := start(t, nil, "--version").wait(t)
	// A test binary has no stamp; a build in a checkout has the commit and its day.
	form := `^movieexample (devel|v\d\S*) \((unknown revision|revision [0-9a-f]{12}(, \d{4}-\d\d-\d\d)?(, modified)?), go1\.\d+\S* \w+/\w+\)\n$`
	if o.code != 0 || o.stderr != "" || !regexp.MustCompile(form).MatchString(o.stdout) {
		t.Errorf("%+v", o)
	}
}

// TestUsageErrors: each mistake has exit code 2, one message on standard error that says what is wrong, and nothing on
// standard output.
func TestUsageErrors(t *testing.T) {
	for args, parts := range map[string][]string{
		"films":                             {`no command "films"`, "movieexample --help"},
		"help films":                        {`no command "films"`},
		"config films":                      {`no command "config films"`, "movieexample config --help"},
		"demo films":                        {`demo takes no arguments, got "films"`},
		"--films":                           {"--films", "movieexample --help"},
		"serve --films":                     {"--films", "movieexample serve --help"},
		"serve --data":                      {"--data", "movieexample serve --help"},
		"serve films":                       {`no service "films"`, "metadata, rating, movie, gateway"},
		"serve movie movie":                 {`"movie" is named twice`},
		"serve movie":                       {"connect.metadata:", "--connect-metadata host:port", "connect.rating:"},
		"serve rating":                      {"rating.brokers:", "--rating-brokers host:port"},
		"config validate gateway":           {"connect.movie:"},
		"serve --shutdown-timeout soon":     {"--shutdown-timeout", `"soon"`, "30s"},
		"serve --listen-gateway :8080":      {"listen.gateway (--listen-gateway)", "no authentication", "--insecure-no-auth"},
		"demo --log-level loud":             {"log.level (--log-level)", `"loud"`, "debug, info, warn or error"},
		"serve --config /nowhere/x.yaml":    {`"/nowhere/x.yaml"`},
		"serve --addresses /nowhere/x":      {"--addresses", "no directory /nowhere"},
		"config validate --connect-movie x": {"connect.movie (--connect-movie)", `"x"`},
	} {
		o := movieexample(t.Context(), "", strings.Fields(args)...)
		if o.code != exitUsage || o.stdout != "" || !strings.HasPrefix(o.stderr, "movieexample: ") {
			t.Errorf("%s: exit code %d, standard output %q, standard error %q", args, o.code, o.stdout, o.stderr)
		}
		for _, part := range parts {
			if !strings.Contains(o.stderr, part) {
				t.Errorf("%s: the message lacks %q: %s", args, part, o.stderr)
			}
		}
	}
}

// TestExitCodes has the codes that the other tests of this package have not: 1 and 4 without a system. 3 and 130 are in
// TestServe and in the tests of demo.
func TestExitCodes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := ln.Addr().String()
	o := start(t, []string{"TMPDIR=" + t.TempDir()}, append(append([]string{"demo"}, freePorts()...), "--listen-movie", taken)...).wait(t)
	want := "movieexample: start movie: address " + taken + " for movie is taken by another program: stop that one, or choose another address with --listen-movie host:port (port 0 picks a free one)\n"
	if o.code != exitFailed || o.stdout != "" || o.stderr != want {
		t.Errorf("a port that is taken: %+v", o)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if o := start(t, nil, "audit", "--rating-addr", taken).wait(t); o.code != exitUnreachable || o.stdout != "" || !strings.Contains(o.stderr, taken) {
		t.Errorf("audit of a system that is not there: %+v", o)
	}
}

// TestConfigPrint takes values from every place, and reads back what is printed.
func TestConfigPrint(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "movieexample.yaml"), `listen:
  gateway: 127.0.0.1:9000
log:
  level: debug
rating:
  chart_min_votes: 50
  brokers: [10.0.0.1:9092, 10.0.0.2:9092]
`)
	env := []string{"XDG_DATA_HOME=/xdg", "MOVIEEXAMPLE_LOG_LEVEL=warn", "MOVIEEXAMPLE_RATING_CHART_MIN_VOTES=60"}
	o := start(t, env, "config", "print", "--config", file, "--rating-chart-min-votes", "70").wait(t)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	got := strings.ReplaceAll(o.stdout, dir, "DIR")
	for _, want := range []string{
		"data_dir: /xdg/movieexample # default",
		"gateway: 127.0.0.1:9000 # file DIR/movieexample.yaml:2",
		"metadata: 127.0.0.1:8081 # default",
		"format: text # default",
		"level: warn # environment MOVIEEXAMPLE_LOG_LEVEL",
		"chart_min_votes: 70 # flag --rating-chart-min-votes",
		"brokers: [10.0.0.1:9092, 10.0.0.2:9092] # file DIR/movieexample.yaml:7",
		"group: rating # default",
	} {
		if !strings.Contains(regexp.MustCompile(` +`).ReplaceAllString(got, " "), want+"\n") {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
	// What it prints is a file that says the same. The variable names the file as the flag does.
	again := start(t, []string{"MOVIEEXAMPLE_CONFIG=" + write(t, filepath.Join(dir, "printed.yaml"), o.stdout)}, "config", "print").wait(t)
	values := func(s string) string { return regexp.MustCompile(` *#.*`).ReplaceAllString(s, "") }
	if diff := cmp.Diff(values(o.stdout), values(again.stdout)); diff != "" || again.code != 0 {
		t.Errorf("read back, exit code %d (-want +got):\n%s", again.code, diff)
	}
	if !strings.Contains(again.stdout, "printed.yaml:") || strings.Contains(again.stdout, "# default") {
		t.Errorf("all values came from the file, but:\n%s", again.stdout)
	}
	valid := start(t, env, "config", "validate", "--config", file).wait(t)
	valid.want(t, 0, "the configuration is valid\n")
}

// TestServe runs the services in the user's data directory and stops them as service managers do.
func TestServe(t *testing.T) {
	home := t.TempDir()
	for name, tc := range map[string]struct{ xdg, data string }{
		"XDG_DATA_HOME": {filepath.Join(home, "xdg"), filepath.Join(home, "xdg", "movieexample")},
		"HOME":          {"", filepath.Join(home, ".local", "share", "movieexample")},
	} {
		t.Run(name, func(t *testing.T) {
			env := []string{"HOME=" + home, "XDG_DATA_HOME=" + tc.xdg}
			p, a := startSystemProcess(t, env, "serve")
			if a.Data != tc.data || a.PID != p.cmd.Process.Pid {
				t.Errorf("addresses: %+v, want data in %s by process %d", a, tc.data, p.cmd.Process.Pid)
			}
			for _, file := range []string{"metadata/metadata.db", "rating/rating.db", "broker/movieexample.lock"} {
				if _, err := os.Stat(filepath.Join(tc.data, file)); err != nil {
					t.Error(err)
				}
			}
			second := start(t, env, append([]string{"serve", "--log-level", "warn"}, freePorts()...)...).wait(t)
			if second.code != exitFailed || strings.Count(second.stderr, "\n") != 1 || !strings.Contains(second.stderr, "in use by process "+strconv.Itoa(a.PID)) {
				t.Errorf("a second process: %+v", second)
			}
			events := write(t, filepath.Join(t.TempDir(), "events.json"),
				`[{"userId":"1","recordId":"1","recordType":"movie","value":5},{"userId":"1","recordId":"1","recordType":"movie","value":11}]`)
			if o := start(t, nil, "publish", events, "--kafka-brokers", a.Kafka).wait(t); o.code != exitRefused {
				t.Errorf("publishing an event that is refused: %+v", o)
			}
			p.signal(t, unix.SIGTERM)
			o := p.wait(t)
			if o.code != 0 {
				t.Errorf("exit code %d after SIGTERM", o.code)
			}
			for _, where := range []string{a.Gateway, a.Metadata, a.Rating, a.Movie, a.Kafka, a.Admin, a.Data} {
				if where == "" || !strings.Contains(o.stdout, " "+where+"\n") {
					t.Errorf("standard output lacks the address %q", where)
				}
			}
			if strings.Contains(o.stdout, "level=") || !strings.Contains(o.stderr, `msg=stopping cause="terminated signal received"`) {
				t.Errorf("the log is not on standard error alone")
			}
		})
	}
}

// TestServeOneService: a process without data needs no home, and shows none.
func TestServeOneService(t *testing.T) {
	p, a := startSystemProcess(t, []string{"HOME=", "XDG_DATA_HOME="}, "serve", "movie", "--connect-metadata", "127.0.0.1:1", "--connect-rating", "127.0.0.1:1")
	p.signal(t, unix.SIGINT)
	o := p.wait(t)
	want := "MovieExample is ready.\n" + line("gRPC movie", a.Movie) + line("Health and metrics", a.Admin)
	if o.code != 0 || o.stdout != want {
		t.Errorf("exit code %d, standard output\n%swant\n%s", o.code, o.stdout, want)
	}
	if diff := cmp.Diff(app.Addresses{Movie: a.Movie, Admin: a.Admin, PID: a.PID}, a); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

// line is a line of a banner.
func line(what, where string) string {
	return "  " + what + strings.Repeat(" ", 23-len(what)) + where + "\n"
}

// TestOldAddressesFile: who waits for the file does not find that of an earlier run, and a process that may not run
// leaves the file of the one that does.
func TestOldAddressesFile(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "addresses.json"), "old")
	args := slices.Concat([]string{"serve", "--data", filepath.Join(dir, "data"), "--addresses", file}, freePorts())
	p := start(t, nil, args...)
	p.await(t, "new addresses", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && string(text) != "old"
	})
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if o := start(t, nil, args...).wait(t); o.code != exitFailed {
		t.Errorf("a second process: %+v", o)
	}
	if text, err := os.ReadFile(file); err != nil || !bytes.Equal(text, first) {
		t.Errorf("the second process left the file as %q, %v", text, err)
	}
}

// TestSecondSignal: while an orderly stop waits for a request, a second Ctrl-C ends the process at once.
func TestSecondSignal(t *testing.T) {
	p, a := startSystemProcess(t, nil, "serve", "--data", t.TempDir(), "--shutdown-timeout", "5m")
	conn, err := net.Dial("tcp", strings.TrimPrefix(a.Gateway, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := "PUT /v1/records/movie/1/ratings/a HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n"
	if _, err := conn.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 12)); err != nil { // the body is asked for: the request is in flight
		t.Fatal(err)
	}
	p.signal(t, unix.SIGINT)
	p.await(t, "the stop to begin", func() bool { return strings.Contains(p.stderr.String(), "msg=stopping") })
	// Between the first signal and its being let through again there is a moment; another signal does no harm.
	p.await(t, "the end", func() bool {
		select {
		case <-p.exited:
			return true
		default:
			_ = p.cmd.Process.Signal(unix.SIGINT) // fails when it has just ended
			return false
		}
	})
	<-p.exited
	if status, ok := p.cmd.ProcessState.Sys().(interface{ Signal() unix.Signal }); !ok || status.Signal() != unix.SIGINT {
		t.Errorf("ended with %s, want by the signal", p.cmd.ProcessState)
	}
}
