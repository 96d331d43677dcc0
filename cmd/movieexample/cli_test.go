package main

import (
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

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
		"dead-letters replay", "dead-letters drop", "ingestion list", "ingestion resume", "healthcheck", "completion", "help", "version",
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
	movieexample(t.Context(), "", "version").want(t, exitOK, o.stdout)
	// A test binary has no stamp; a build in a checkout has the commit and its day.
	form := `^movieexample (devel|v\d\S*) \((unknown revision|revision [0-9a-f]{12}(, \d{4}-\d\d-\d\d)?(, modified)?), go1\.\d+\S* \w+/\w+\)\n$`
	if o.code != 0 || o.stderr != "" || !regexp.MustCompile(form).MatchString(o.stdout) {
		t.Errorf("%+v", o)
	}
}

// TestHelpShowsWhatIsRead: commands that take the flags of serve but read only some of them show only those.
func TestHelpShowsWhatIsRead(t *testing.T) {
	for command, want := range map[string]string{
		"healthcheck":    "config help listen-admin live",
		"migrate up":     "config data database databases-metadata databases-rating help log-format log-level",
		"migrate status": "config data database databases-metadata databases-rating help log-format log-level",
	} {
		help := movieexample(t.Context(), "", append(strings.Fields(command), "--help")...).stdout
		var got []string
		for _, m := range regexp.MustCompile(`(?m)^ +(?:-\w, +)?--([a-z-]+)`).FindAllStringSubmatch(help, -1) {
			got = append(got, m[1])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("the help of %s shows the flags %v, want %s", command, got, want)
		}
	}
}

// TestUsageErrors: each mistake has exit code 2, one message on standard error that says what is wrong, and nothing on
// standard output.
func TestUsageErrors(t *testing.T) {
	for args, parts := range map[string][]string{
		"films":                             {`no command "films"; see 'movieexample --help'`},
		"verfiy":                            {`no command "verfiy" (did you mean "verify"?)`},
		"ingestion lst":                     {`no command "ingestion lst" (did you mean "list"?)`, "movieexample ingestion --help"},
		"help serv":                         {`no command "serv" (did you mean "serve"?)`},
		"serve --listen-gatway x":           {`unknown flag: --listen-gatway (did you mean "--listen-gateway"?)`, "movieexample serve --help"},
		"verify --gateway http://a":         {"unknown flag: --gateway; its name is --gateway-addr now"},
		"verify --admin=http://a":           {"unknown flag: --admin; its name is --admin-addr now"},
		"audit --gateway http://a":          {"unknown flag: --gateway; see"},
		"help films":                        {`no command "films"`},
		"config films":                      {`no command "config films"`, "movieexample config --help"},
		"demo films":                        {`demo takes no arguments, got "films"`},
		"--films":                           {"unknown flag: --films; see 'movieexample --help'"},
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
	if o := start(t, nil, "audit", "--rating-addr", taken, "--wait", "0").wait(t); o.code != exitUnreachable || o.stdout != "" || !strings.Contains(o.stderr, taken) {
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
  kafka: {sasl_mechanism: PLAIN, user: rating}
`)
	password := write(t, filepath.Join(dir, "password"), "hunter2\n")
	env := []string{
		"XDG_DATA_HOME=/xdg", "MOVIEEXAMPLE_DATABASES_METADATA=mysql://m:hunter2@db.example/m", "MOVIEEXAMPLE_DATABASES_RATING=mysql://r:hunter2@db.example/r",
		"MOVIEEXAMPLE_RATING_KAFKA_PASSWORD_FILE=" + password, "MOVIEEXAMPLE_LOG_LEVEL=warn", "MOVIEEXAMPLE_RATING_CHART_MIN_VOTES=60",
	}
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
		`# password: "********" # environment MOVIEEXAMPLE_RATING_KAFKA_PASSWORD_FILE`,
	} {
		if !strings.Contains(regexp.MustCompile(` +`).ReplaceAllString(got, " "), want+"\n") {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
	// What it prints is a file that says the same, beside the same secrets. The variable names the file as the flag does.
	again := start(t, append(env[1:4:4], "MOVIEEXAMPLE_CONFIG="+write(t, filepath.Join(dir, "printed.yaml"), o.stdout)), "config", "print").wait(t)
	values := func(s string) string { return regexp.MustCompile(` *#.*`).ReplaceAllString(s, "") }
	if diff := cmp.Diff(values(o.stdout), values(again.stdout)); diff != "" || again.code != 0 {
		t.Errorf("read back, exit code %d (-want +got):\n%s", again.code, diff)
	}
	for line := range strings.Lines(again.stdout) {
		if strings.HasSuffix(line, "# default\n") && !strings.HasPrefix(strings.TrimSpace(line), "#") {
			t.Errorf("all values came from the file, but: %s", line)
		}
	}
	if !strings.Contains(again.stdout, "printed.yaml:") || strings.Contains(o.stdout+again.stdout, "hunter2") {
		t.Errorf("values do not come from the file, or a secret is shown:\n%s", again.stdout)
	}
	valid := start(t, env, "config", "validate", "--config", file).wait(t)
	valid.want(t, 0, "the configuration is valid\n")
}

// An empty secret was never written. It must not mean "none", or a process of a system on a server would use its own file; nor may
// it do so when the variable is missing.
func TestNoProcessOfASystemFallsBackToAFile(t *testing.T) {
	dir := t.TempDir()
	empty, newline := write(t, filepath.Join(dir, "empty"), ""), write(t, filepath.Join(dir, "newline"), "\n")
	lines := write(t, filepath.Join(dir, "lines"), "mysql://a:b@db/ratings\nmysql://a:c@db/ratings\n")
	inCompany := []string{"XDG_DATA_HOME=" + dir, "MOVIEEXAMPLE_DISCOVERY=consul://127.0.0.1:1", "MOVIEEXAMPLE_RATING_BROKERS=127.0.0.1:1"}
	alone := inCompany[:1]
	for name, tc := range map[string]struct {
		env  []string
		want string
	}{
		"an empty file":                {append(alone[:1:1], "MOVIEEXAMPLE_DATABASE_FILE="+empty), `database (MOVIEEXAMPLE_DATABASE_FILE): file "` + empty + `" holds no secret`},
		"a newline":                    {append(alone[:1:1], "MOVIEEXAMPLE_DATABASES_RATING_FILE="+newline), `databases.rating (MOVIEEXAMPLE_DATABASES_RATING_FILE): file "` + newline + `" holds no secret`},
		"an empty variable":            {append(alone[:1:1], "MOVIEEXAMPLE_DATABASE="), "database (MOVIEEXAMPLE_DATABASE): must not be empty"},
		"nothing, with Consul":         {inCompany[:3:3], "databases.rating: is not set, and neither is database, but discovery says that this process works with others"},
		"nothing, with Kafka alone":    {append(alone[:1:1], inCompany[2]), "databases.rating: is not set, and neither is database, but rating.brokers says"},
		"two secrets in a file":        {append(alone[:1:1], "MOVIEEXAMPLE_DATABASE_FILE="+lines), `database (MOVIEEXAMPLE_DATABASE_FILE): file "` + lines + `" holds more than one line`},
		"an empty name of a file":      {append(alone[:1:1], "MOVIEEXAMPLE_CONFIG="), "MOVIEEXAMPLE_CONFIG: must not be empty"},
		"an empty file of settings":    {append(alone[:1:1], "MOVIEEXAMPLE_CONFIG="+newline), `the configuration file "` + newline + `" is empty`},
		"an empty Kafka password file": {append(alone[:1:1], "MOVIEEXAMPLE_RATING_KAFKA_PASSWORD_FILE="+newline), `rating.kafka.password (MOVIEEXAMPLE_RATING_KAFKA_PASSWORD_FILE): file "` + newline + `" holds no secret`},
	} {
		for _, args := range [][]string{{"config", "validate", "rating"}, {"serve", "rating", "--listen-rating", "127.0.0.1:0", "--listen-admin", "127.0.0.1:0"}} {
			if o := start(t, tc.env, args...).wait(t); o.code != exitUsage || !strings.Contains(o.stderr, tc.want) {
				t.Errorf("%s: %q: %+v, want %q", name, args, o, tc.want)
			}
		}
	}
	if found, err := filepath.Glob(filepath.Join(dir, "movieexample", "*")); err != nil || len(found) > 0 {
		t.Errorf("it made %q, %v", found, err)
	}
	// All that is wrong is told at once, also when something cannot even be read.
	o := start(t, append(alone[:1:1], "MOVIEEXAMPLE_RATING_PARTITIONS=many", "MOVIEEXAMPLE_SHUTDOWN_TIMEOUT=1h"), "config", "validate").wait(t)
	if o.code != exitUsage || !strings.Contains(o.stderr, "rating.partitions (MOVIEEXAMPLE_RATING_PARTITIONS)") || !strings.Contains(o.stderr, "shutdown_timeout (MOVIEEXAMPLE_SHUTDOWN_TIMEOUT): must be from 100ms to 5m") {
		t.Errorf("%+v", o)
	}
}
