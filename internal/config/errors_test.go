package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/internal/config"
)

// validFile is the one file that the rows below spoil, one change each.
const validFile = `log:
  level: info
rating:
  addr: 127.0.0.1:8082
  chart_min_votes: 25
  port: 1
  shift: 0
  offset: 1
  weight: 0.5
  timeout: 1500ms
  max_body: 64KiB
  seeds: [a, b]
  kafka:
    topic: ratings
data: /srv
secrets:
  password: hunter2
`

func TestFileProblems(t *testing.T) {
	if _, err := load(t, defaults(), sources{file: validFile}); err != nil {
		t.Fatalf("the file before any change: %v", err)
	}
	const ratingKeys = "addr, chart_min_votes, port, shift, offset, weight, timeout, max_body, seeds, kafka"
	for name, row := range map[string]struct{ old, new, want string }{
		"typo":                  {"chart_min_votes:", "chart_min_vote:", `rating.chart_min_vote (config.yaml:5): unknown key; did you mean rating.chart_min_votes?`},
		"swapped letters":       {"  level", "  lveel", `log.lveel (config.yaml:2): unknown key; did you mean log.level?`},
		"camel case":            {"chart_min_votes:", "chartMinVotes:", `rating.chartMinVotes (config.yaml:5): unknown key; did you mean rating.chart_min_votes?`},
		"typo in a section":     {"secrets:", "secret:", `secret (config.yaml:16): unknown key; did you mean secrets?`},
		"wrong section":         {"log:\n", "chart_min_votes: 25\nlog:\n", `chart_min_votes (config.yaml:1): unknown key; did you mean rating.chart_min_votes?`},
		"nothing near":          {"log:\n", "zzz: 25\nlog:\n", `zzz (config.yaml:1): unknown key; the keys here are log, rating, data, secrets`},
		"key with line break":   {"log:\n", "\"a\\nb\": 25\nlog:\n", `"a\nb" (config.yaml:1): unknown key; the keys here are log, rating, data, secrets`},
		"empty key":             {"log:\n", "\"\": 25\nlog:\n", `"" (config.yaml:1): unknown key; the keys here are log, rating, data, secrets`},
		"list as key":           {"log:\n", "? [a]\n: b\nlog:\n", `config.yaml:1: a list given as a key, want one of the keys log, rating, data, secrets`},
		"key below a value":     {"topic: ratings", "topic: {name: ratings}", `rating.kafka.topic (config.yaml:14): a mapping given, want one value`},
		"value for a section":   {"  kafka:\n    topic: ratings\n", "  kafka: ratings\n", `rating.kafka (config.yaml:13): a single value given, want this section to hold the keys topic`},
		"list for a section":    {"rating:\n", "rating: [1]\nx:\n", "rating (config.yaml:3): a list given, want this section to hold the keys " + ratingKeys + "\nx (config.yaml:4): unknown key; the keys here are log, rating, data, secrets"},
		"twice":                 {"  port: 1\n", "  port: 1\n  addr: :1\n", `rating.addr (config.yaml:7): given twice, first in line 4: keep one`},
		"section twice":         {"data: /srv", "log: {level: warn}", `log (config.yaml:15): given twice, first in line 1: keep one`},
		"no value":              {"chart_min_votes: 25", "chart_min_votes:", `rating.chart_min_votes (config.yaml:5): the key has no value: give one, or remove the key to keep the default`},
		"no value, text":        {"data: /srv", "data:", `data (config.yaml:15): the key has no value: give one, or remove the key to keep the default (an empty text is written "")`},
		"no value, list":        {"seeds: [a, b]", "seeds: ~", `rating.seeds (config.yaml:12): the key has no value: give one, or remove the key to keep the default (an empty list is written [])`},
		"int":                   {"votes: 25", "votes: many", `rating.chart_min_votes (config.yaml:5): "many" given, want a whole number`},
		"int with fraction":     {"votes: 25", "votes: 25.5", `rating.chart_min_votes (config.yaml:5): "25.5" given, want a whole number`},
		"int too large":         {"votes: 25", "votes: 9223372036854775808", `rating.chart_min_votes (config.yaml:5): "9223372036854775808" given, want a whole number`},
		"int8":                  {"shift: 0", "shift: 128", `rating.shift (config.yaml:7): "128" given, want a whole number from -128 to 127`},
		"uint16":                {"port: 1", "port: 65536", `rating.port (config.yaml:6): "65536" given, want a whole number from 0 to 65535`},
		"uint64":                {"offset: 1", "offset: -1", `rating.offset (config.yaml:8): "-1" given, want a whole number, 0 or more`},
		"float":                 {"weight: 0.5", "weight: .inf", `rating.weight (config.yaml:9): ".inf" given, want a number such as 3 or 0.25`},
		"float overflow":        {"weight: 0.5", "weight: 1e999", `rating.weight (config.yaml:9): "1e999" given, want a number such as 3 or 0.25`},
		"duration without unit": {"timeout: 1500ms", "timeout: 30", `rating.timeout (config.yaml:10): "30" given, want a duration with its unit, such as 500ms, 30s or 1h30m`},
		"size":                  {"max_body: 64KiB", "max_body: 64kb", `rating.max_body (config.yaml:11): "64kb" given, want a size such as 512, 64KiB, 10MiB or 1GiB`},
		"bool":                  {"level: info", "quiet: sometimes", `log.quiet (config.yaml:2): "sometimes" given, want true or false`},
		"list as one value":     {"seeds: [a, b]", "seeds: a,b", `rating.seeds (config.yaml:12): a single value given, want a list such as [a, b]`},
		"list in list":          {"seeds: [a, b]", "seeds: [a, [b]]", `rating.seeds (config.yaml:12): the list contains a list, want one value for each element`},
		"null in list":          {"seeds: [a, b]", "seeds: [a, ~]", `rating.seeds (config.yaml:12): the list contains an empty value, want one value for each element`},
		"empty element":         {"seeds: [a, b]", `seeds: [a, ""]`, `rating.seeds (config.yaml:12): want a list without empty elements, such as a,b,c`},
		"tag":                   {"data: /srv", "data: !env HOME", `data (config.yaml:15): a value with the tag !env given, want one value`},
		"masked secret":         {"hunter2", `"********"`, `secrets.password (config.yaml:17): it is the mask that stands for a secret in printed settings, not a secret: give the secret itself, or leave it out here and set MOVIEEXAMPLE_SECRETS_PASSWORD_FILE`},
		"empty secret":          {"hunter2", `""`, `secrets.password (config.yaml:17): must not be empty: give the secret, or leave it out where there is none`},
		"blank secret":          {"hunter2", `"  "`, `secrets.password (config.yaml:17): must not be empty: give the secret, or leave it out where there is none`},
		"several documents":     {"data: /srv", "---\ndata: /srv", `config.yaml: the file holds more than one YAML document (a line ---): keep one`},
		"broken":                {"log:\n", "log: [\n", `config.yaml:2: not valid YAML: did not find expected ',' or ']'`},
		"broken second":         {"data: /srv", "---\n[", `config.yaml:15: not valid YAML: did not find expected ',' or ']'`},
		"unknown anchor":        {"data: /srv", "data: *nowhere", `config.yaml: not valid YAML: unknown anchor 'nowhere' referenced`},
		"merge of a value":      {"  port: 1", "  <<: 1", `rating (config.yaml:6): a single value given for the merge key <<, want a mapping or a list of mappings`},
		"unknown merged":        {"  port: 1", "  <<: {potr: 1}", `rating.potr (config.yaml:6): unknown key; did you mean rating.port?`},
		"document is a list":    {validFile, "- a\n", `config.yaml:1: a list given, want the file to hold the keys log, rating, data, secrets`},
		"document is a value":   {validFile, "a", `config.yaml:1: a single value given, want the file to hold the keys log, rating, data, secrets`},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(validFile, row.old, row.new, 1)
			if changed == validFile {
				t.Fatalf("the row changes nothing: %q is not in the file", row.old)
			}
			_, err := load(t, defaults(), sources{file: changed})
			if got := message(err); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

// TestFileQuirks are files that look odd and are right.
func TestFileQuirks(t *testing.T) {
	for name, row := range map[string]struct {
		file string
		want func(*system)
	}{
		"comments only":    {"# nothing\n", func(*system) {}},
		"document marker":  {"---\ndata: /x\n...\n", func(s *system) { s.Data = "/x" }},
		"byte order mark":  {"\ufeffdata: /x\n", func(s *system) { s.Data = "/x" }},
		"CRLF":             {"log:\r\n  level: warn\r\ndata: /x\r\n", func(s *system) { s.Log.Level, s.Data = "warn", "/x" }},
		"empty section":    {"rating:\n  # addr: x\ndata: /x\n", func(s *system) { s.Data = "/x" }},
		"null document":    {"~", func(*system) {}},
		"alias of a value": {"log: {level: &v warn}\ndata: *v\n", func(s *system) { s.Log.Level, s.Data = "warn", "warn" }},
		"alias of a key":   {"log: {level: &k data}\n*k : /x\n", func(s *system) { s.Log.Level, s.Data = "data", "/x" }},
		"merge: own keys win, then the first of the list": {
			"rating:\n  <<: [{addr: one, port: 1}, {port: 2, shift: 2}]\n  addr: own\n",
			func(s *system) { s.Rating.Addr, s.Rating.Port, s.Rating.Shift = "own", 1, 2 },
		},
		"merge into itself": {"rating: &r\n  port: 5\n  <<: *r\n", func(s *system) { s.Rating.Port = 5 }},
		"quoted bool":       {"log: {quiet: 'true'}", func(s *system) { s.Log.Quiet = true }},
		"empty list":        {"rating: {seeds: []}", func(s *system) { s.Rating.Seeds = []string{} }},
		"date as text":      {"data: 2001-02-03", func(s *system) { s.Data = "2001-02-03" }},
	} {
		t.Run(name, func(t *testing.T) {
			got, want := defaults(), defaults()
			if _, err := load(t, got, sources{file: row.file}); err != nil {
				t.Fatal(err)
			}
			row.want(want)
			sameValues(t, want, got)
		})
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	large, blank := filepath.Join(dir, "large.yaml"), filepath.Join(dir, "blank.yaml")
	if err := errors.Join(os.WriteFile(large, make([]byte, 1<<20+1), 0o600), os.WriteFile(blank, []byte("\n \n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): fmt.Sprintf("read the configuration file: there is no file %q", filepath.Join(dir, "none.yaml")),
		dir:                             fmt.Sprintf("read the configuration file: read %s: is a directory", dir),
		large:                           fmt.Sprintf("read the configuration file: file %q is larger than 1MiB", large),
		blank:                           fmt.Sprintf("the configuration file %q is empty: write the settings into it, or name no file", blank),
	} {
		_, err := load(t, defaults(), sources{opts: config.LoadOptions{File: path}})
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestEnvironmentProblems(t *testing.T) {
	for name, row := range map[string]struct{ env, want string }{
		"wrong value":          {"MOVIEEXAMPLE_RATING_TIMEOUT=30", `rating.timeout (MOVIEEXAMPLE_RATING_TIMEOUT): "30" given, want a duration with its unit, such as 500ms, 30s or 1h30m`},
		"empty value":          {"MOVIEEXAMPLE_RATING_PORT=", `rating.port (MOVIEEXAMPLE_RATING_PORT): "" given, want a whole number from 0 to 65535`},
		"empty element":        {"MOVIEEXAMPLE_RATING_SEEDS=a,,b", `rating.seeds (MOVIEEXAMPLE_RATING_SEEDS): "a,,b" given, want a list without empty elements, such as a,b,c`},
		"not UTF-8":            {"MOVIEEXAMPLE_DATA=\xff", `data (MOVIEEXAMPLE_DATA): "\xff" given, want text in UTF-8`},
		"typo":                 {"MOVIEEXAMPLE_RATING_CHART_MINVOTE=1", `MOVIEEXAMPLE_RATING_CHART_MINVOTE: unknown variable; did you mean MOVIEEXAMPLE_RATING_CHART_MIN_VOTES?`},
		"lower case":           {"MOVIEEXAMPLE_rating_addr=:1", `MOVIEEXAMPLE_rating_addr: unknown variable; did you mean MOVIEEXAMPLE_RATING_ADDR?`},
		"nothing near":         {"MOVIEEXAMPLE_XYZZY=1", `MOVIEEXAMPLE_XYZZY: unknown variable; every variable that begins with MOVIEEXAMPLE_ must be a setting: remove or rename it`},
		"section":              {"MOVIEEXAMPLE_RATING_KAFKA=1", `MOVIEEXAMPLE_RATING_KAFKA: unknown variable; every variable that begins with MOVIEEXAMPLE_ must be a setting: remove or rename it`},
		"file for no secret":   {"MOVIEEXAMPLE_RATING_ADDR_FILE=/x", `MOVIEEXAMPLE_RATING_ADDR_FILE: unknown variable: only secrets can be read from a file, and rating.addr is none; set MOVIEEXAMPLE_RATING_ADDR`},
		"secret's file":        {"MOVIEEXAMPLE_SECRETS_PASSWORD_FIEL=/x", `MOVIEEXAMPLE_SECRETS_PASSWORD_FIEL: unknown variable; did you mean MOVIEEXAMPLE_SECRETS_PASSWORD_FILE?`},
		"port, not Kubernetes": {"MOVIEEXAMPLE_MOVIE_PORT=1", `MOVIEEXAMPLE_MOVIE_PORT: unknown variable; every variable that begins with MOVIEEXAMPLE_ must be a setting: remove or rename it`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, defaults(), sources{env: []string{row.env}})
			if got := message(err); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestForeignVariablesArePassedOver(t *testing.T) {
	_, err := load(t, defaults(), sources{
		opts: config.LoadOptions{IgnoreEnv: []string{"MOVIEEXAMPLE_CONFIG"}},
		env: []string{
			"MOVIEEXAMPLE_CONFIG=/etc/movieexample.yaml", "PATH=/bin", "=odd", "novalue",
			// What Kubernetes sets for a Service named movieexample-movie with a port named grpc.
			"MOVIEEXAMPLE_MOVIE_SERVICE_HOST=10.0.0.1", "MOVIEEXAMPLE_MOVIE_SERVICE_PORT=8083", "MOVIEEXAMPLE_MOVIE_SERVICE_PORT_GRPC=8083",
			"MOVIEEXAMPLE_MOVIE_PORT=tcp://10.0.0.1:8083", "MOVIEEXAMPLE_MOVIE_PORT_8083_TCP=tcp://10.0.0.1:8083",
			"MOVIEEXAMPLE_MOVIE_PORT_8083_TCP_PROTO=tcp", "MOVIEEXAMPLE_MOVIE_PORT_8083_TCP_PORT=8083", "MOVIEEXAMPLE_MOVIE_PORT_8083_TCP_ADDR=10.0.0.1",
		},
	})
	if err != nil {
		t.Error(err)
	}
}

func TestFlagProblems(t *testing.T) {
	for flag, want := range map[string]string{
		"--rating-chart-min-votes=x": `invalid argument "x" for "--rating-chart-min-votes" flag: want a whole number`,
		"--rating-port=65536":        `invalid argument "65536" for "--rating-port" flag: want a whole number from 0 to 65535`,
		"--log-quiet=perhaps":        `invalid argument "perhaps" for "--log-quiet" flag: want true or false`,
		"--rating-seeds=a,,b":        `invalid argument "a,,b" for "--rating-seeds" flag: want a list without empty elements, such as a,b,c`,
		"--rating-adr=:1":            `unknown flag: --rating-adr`,
	} {
		_, err := load(t, defaults(), sources{flags: []string{flag}})
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestAllProblemsAreReportedTogether(t *testing.T) {
	_, err := load(t, defaults(), sources{
		file: "rating:\n  adr: x\n  port: x\n  seeds: 1\n",
		env:  []string{"MOVIEEXAMPLE_Z=1", "MOVIEEXAMPLE_A=1", "MOVIEEXAMPLE_LOG_QUIET=x"},
	})
	want := []string{"rating.adr", "rating.port", "rating.seeds", "log.quiet", "MOVIEEXAMPLE_A", "MOVIEEXAMPLE_Z"}
	lines := strings.Split(message(err), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%v", len(lines), len(want), err)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("problem %d is about %q, want %s", i, lines[i], want[i])
		}
	}
	var p *config.Problem
	if !errors.As(err, &p) || p.Path != "rating.adr" || filepath.Base(p.Origin) != "config.yaml:2" {
		t.Errorf("the first problem is %+v", p)
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const file, plain = "MOVIEEXAMPLE_SECRETS_PASSWORD_FILE=", "MOVIEEXAMPLE_SECRETS_PASSWORD="
	for name, row := range map[string]struct {
		env    []string
		want   string
		origin string
	}{
		"variable":               {[]string{plain + "hunter2"}, "hunter2", "MOVIEEXAMPLE_SECRETS_PASSWORD"},
		"file":                   {[]string{file + write("plain", "hunter2")}, "hunter2", "MOVIEEXAMPLE_SECRETS_PASSWORD_FILE"},
		"file with newline":      {[]string{file + write("newline", "hunter2\n")}, "hunter2", "MOVIEEXAMPLE_SECRETS_PASSWORD_FILE"},
		"file with CRLF":         {[]string{file + write("crlf", "hunter2\r\n")}, "hunter2", "MOVIEEXAMPLE_SECRETS_PASSWORD_FILE"},
		"file with two newlines": {[]string{file + write("two", " hunter2\n\n")}, " hunter2", "MOVIEEXAMPLE_SECRETS_PASSWORD_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			got := defaults()
			set, err := load(t, got, sources{file: "secrets: {password: weaker}", env: row.env})
			if err != nil {
				t.Fatal(err)
			}
			if got.Secrets.Password != row.want {
				t.Errorf("password %q, want %q", got.Secrets.Password, row.want)
			}
			s := setting(t, set, "secrets.password")
			if s.Value != config.Mask || !s.Secret || s.Origin != row.origin {
				t.Errorf("shown as %+v", s)
			}
			if text := printed(t, set); strings.Contains(text, "hunter2") {
				t.Errorf("the secret is printed:\n%s", text)
			}
		})
	}

	missing := filepath.Join(dir, "missing")
	for name, row := range map[string]struct {
		src  sources
		want string
	}{
		"both": {
			sources{env: []string{plain + "hunter2", file + write("both", "hunter2")}},
			`secrets.password (MOVIEEXAMPLE_SECRETS_PASSWORD): MOVIEEXAMPLE_SECRETS_PASSWORD and MOVIEEXAMPLE_SECRETS_PASSWORD_FILE are both set: keep one of them`,
		},
		"missing": {
			sources{env: []string{file + missing}},
			fmt.Sprintf(`secrets.password (MOVIEEXAMPLE_SECRETS_PASSWORD_FILE): read the secret: there is no file %q`, missing),
		},
		"too large": {
			sources{env: []string{file + write("large", strings.Repeat("x", 64<<10+1))}},
			fmt.Sprintf(`secrets.password (MOVIEEXAMPLE_SECRETS_PASSWORD_FILE): read the secret: file %q is larger than 64KiB`, filepath.Join(dir, "large")),
		},
		"empty": {
			sources{env: []string{file + write("empty", "")}},
			fmt.Sprintf(`secrets.password (MOVIEEXAMPLE_SECRETS_PASSWORD_FILE): file %q holds no secret, it is empty: write the secret into it, or name no file`, filepath.Join(dir, "empty")),
		},
		"nothing but a newline": {
			sources{env: []string{file + write("blank", "\n")}},
			fmt.Sprintf(`secrets.password (MOVIEEXAMPLE_SECRETS_PASSWORD_FILE): file %q holds no secret, it is empty: write the secret into it, or name no file`, filepath.Join(dir, "blank")),
		},
		"nothing but white space": {
			sources{env: []string{file + write("white", " \t\r\n\n")}},
			fmt.Sprintf(`secrets.password (MOVIEEXAMPLE_SECRETS_PASSWORD_FILE): file %q holds no secret, it is empty: write the secret into it, or name no file`, filepath.Join(dir, "white")),
		},
		"two lines": {
			sources{env: []string{file + write("lines", "hunter2\nhunter3\n")}},
			fmt.Sprintf(`secrets.password (MOVIEEXAMPLE_SECRETS_PASSWORD_FILE): file %q holds more than one line: keep the one that is the secret`, filepath.Join(dir, "lines")),
		},
		"no file named": {
			sources{env: []string{file}},
			`secrets.password (MOVIEEXAMPLE_SECRETS_PASSWORD_FILE): no file is named: name the one that holds the secret`,
		},
		"empty variable": {
			sources{env: []string{plain}},
			`secrets.password (MOVIEEXAMPLE_SECRETS_PASSWORD): must not be empty: give the secret, or leave it out where there is none`,
		},
		"empty flag": {
			sources{flags: []string{"--secrets-password", ""}},
			`invalid argument "" for "--secrets-password" flag: must not be empty: give the secret, or leave it out where there is none`,
		},
		"not UTF-8, and not shown": {
			sources{env: []string{plain + "hunter2\xff"}},
			`secrets.password (MOVIEEXAMPLE_SECRETS_PASSWORD): want text in UTF-8`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, defaults(), row.src)
			if got := message(err); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

// What cannot be read and what makes no sense is told together, but a setting that cannot be read is not told of twice, and the
// struct stays as it was.
func TestReadingAndMeaningAreReportedTogether(t *testing.T) {
	got := defaults()
	_, err := load(t, got, sources{env: []string{"MOVIEEXAMPLE_RATING_PORT=x", "MOVIEEXAMPLE_RATING_CHART_MIN_VOTES=-1"}, opts: config.LoadOptions{
		Validate: func() error {
			if got.Rating.ChartMinVotes != -1 {
				t.Errorf("validated with %d votes", got.Rating.ChartMinVotes)
			}
			return errors.Join(
				&config.Problem{Path: "rating.port", Reason: "told already"},
				&config.Problem{Path: "rating.chart_min_votes", Reason: "must be 1 or more"})
		},
	}})
	want := `rating.port (MOVIEEXAMPLE_RATING_PORT): "x" given, want a whole number from 0 to 65535
rating.chart_min_votes (MOVIEEXAMPLE_RATING_CHART_MIN_VOTES): must be 1 or more`
	if message(err) != want {
		t.Errorf("got:\n%s\nwant:\n%s", message(err), want)
	}
	if diff := cmp.Diff(defaults(), got, cmp.AllowUnexported(system{})); diff != "" {
		t.Errorf("after the error (-want +got):\n%s", diff)
	}
}

// A secret that was replaced in its file can be read again; one that came otherwise cannot.
func TestRereadSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	set, err := load(t, defaults(), sources{env: []string{"MOVIEEXAMPLE_SECRETS_PASSWORD_FILE=" + file}})
	if err != nil {
		t.Fatal(err)
	}
	write("new\n")
	if text, err := set.Reread("secrets.password")(); text != "new" || err != nil {
		t.Errorf("read again: %q, %v", text, err)
	}
	write("")
	if text, err := set.Reread("secrets.password")(); err == nil {
		t.Errorf("an empty file is read as %q", text)
	}
	set, err = load(t, defaults(), sources{env: []string{"MOVIEEXAMPLE_SECRETS_PASSWORD=x"}})
	if err != nil || set.Reread("secrets.password") != nil || set.Reread("data") != nil {
		t.Errorf("%v: only a secret from a file can be read again", err)
	}
}

// TestValidationSpeaksInTheSameVoice is how a program checks meaning after Load.
func TestValidationSpeaksInTheSameVoice(t *testing.T) {
	set, err := load(t, defaults(), sources{env: []string{"MOVIEEXAMPLE_RATING_PORT=0"}})
	if err != nil {
		t.Fatal(err)
	}
	inner := errors.Join(&config.Problem{Path: "port", Reason: "0 given, want 1 or more"}, errors.New("no broker can be reached"))
	outer := errors.Join(config.Under("rating", inner), config.Under("log", nil), config.Under("rating.kafka", &config.Problem{Path: "topic", Reason: "too long"}))
	want := `rating.port (MOVIEEXAMPLE_RATING_PORT): 0 given, want 1 or more
rating: no broker can be reached
rating.kafka.topic: too long`
	if got := message(set.Locate(outer)); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if err := set.Locate(nil); err != nil {
		t.Errorf("nil became %v", err)
	}
}
