package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"movieexample.com/internal/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// system has a setting of every kind, in the shape in which a program nests one config per service.
type system struct {
	Log     logging `yaml:"log"`
	Rating  rating  `yaml:"rating"`
	Data    string  `yaml:"data" flag:"data" placeholder:"dir" usage:"directory of everything that is stored"`
	Secrets secrets `yaml:"secrets"`
	ignored int
	Skipped func() `yaml:"-"`
}

type logging struct {
	Level string `yaml:"level" usage:"least important lines to write"`
	Quiet bool   `yaml:"quiet" usage:"write nothing"`
}

type rating struct {
	Addr          string        `yaml:"addr" placeholder:"host:port" usage:"address of the gRPC listener"`
	ChartMinVotes int           `yaml:"chart_min_votes" usage:"votes a record needs to enter the top chart"`
	Port          uint16        `yaml:"port" usage:"a number with an upper end"`
	Shift         int8          `yaml:"shift" usage:"a number with two ends"`
	Offset        uint64        `yaml:"offset" usage:"a number, 0 or more"`
	Weight        float64       `yaml:"weight" usage:"a number"`
	Timeout       time.Duration `yaml:"timeout" usage:"longest wait"`
	MaxBody       config.Bytes  `yaml:"max_body" usage:"largest request"`
	Seeds         []string      `yaml:"seeds" usage:"brokers to ask first"`
	Kafka         kafka         `yaml:"kafka"`
}

type kafka struct {
	Topic string `yaml:"topic" usage:"topic of the rating events"`
}

type secrets struct {
	Password string `yaml:"password" usage:"password of the database" secret:"true"`
}

func defaults() *system {
	return &system{
		Log: logging{Level: "info"},
		Rating: rating{
			Addr: "127.0.0.1:8082", ChartMinVotes: 25, Port: 8080, Shift: -1, Offset: 7, Weight: 0.5,
			Timeout: 1500 * time.Millisecond, MaxBody: 64 << 10, Seeds: []string{"a:9092", "b:9092"}, Kafka: kafka{Topic: "ratings"},
		},
		Data:    "/var/lib/movieexample",
		ignored: 1,
	}
}

// sources is one program start.
type sources struct {
	file  string // content; "" for no file
	env   []string
	flags []string
	opts  config.LoadOptions
}

// load runs the way of a program: declare, parse flags, load. The configuration file is called config.yaml in messages.
func load(t testing.TB, dst any, src sources) (*config.Set, error) {
	t.Helper()
	set, err := config.New(dst)
	if err != nil {
		t.Fatalf("declare settings: %v", err)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	set.AddFlags(flags)
	if err := flags.Parse(src.flags); err != nil {
		return set, err
	}
	opts := src.opts
	opts.Environ = src.env
	if src.file != "" {
		opts.File = filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(opts.File, []byte(src.file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return set, set.Load(opts)
}

// message is the error's text without the test's directory.
func message(err error) string {
	if err == nil {
		return ""
	}
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		if at := strings.Index(line, os.TempDir()); at >= 0 {
			if end := strings.Index(line[at:], "config.yaml"); end >= 0 {
				lines[i] = line[:at] + line[at+end:]
			}
		}
	}
	return strings.Join(lines, "\n")
}

func setting(t *testing.T, set *config.Set, path string) config.Setting {
	t.Helper()
	for _, s := range set.Settings() {
		if s.Path == path {
			return s
		}
	}
	t.Fatalf("there is no setting %s", path)
	return config.Setting{}
}

func TestDefaultsStandWhenNothingIsGiven(t *testing.T) {
	got := defaults()
	if _, err := load(t, got, sources{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(), got, cmp.AllowUnexported(system{})); diff != "" {
		t.Errorf("defaults changed (-want +got):\n%s", diff)
	}
}

// TestEverySourceSetsEveryKind gives the same texts by file, environment and flag and expects the same struct.
func TestEverySourceSetsEveryKind(t *testing.T) {
	want := &system{
		Log: logging{Level: "debug", Quiet: true},
		Rating: rating{
			Addr: ":0", ChartMinVotes: -3, Port: 65535, Shift: -128, Offset: 1 << 63, Weight: 1e-9,
			Timeout: 90 * time.Minute, MaxBody: 10 << 20, Seeds: []string{"x:1", "y:2"}, Kafka: kafka{Topic: "012"},
		},
		Data:    "",
		Secrets: secrets{Password: "12345"},
		ignored: 1,
	}
	for name, src := range map[string]sources{
		"file": {file: `
log: {level: debug, quiet: true}
rating:
  addr: ":0"
  chart_min_votes: -3
  port: 65535
  shift: -128
  offset: 9223372036854775808
  weight: 1e-9
  timeout: 1h30m
  max_body: 10MiB
  seeds:
    - x:1
    - y:2
  kafka:
    topic: 012
data: ""
secrets:
  password: 12345
`},
		"environment": {env: []string{
			"MOVIEEXAMPLE_LOG_LEVEL=debug", "MOVIEEXAMPLE_LOG_QUIET=true", "MOVIEEXAMPLE_RATING_ADDR=:0",
			"MOVIEEXAMPLE_RATING_CHART_MIN_VOTES=-3", "MOVIEEXAMPLE_RATING_PORT=65535", "MOVIEEXAMPLE_RATING_SHIFT=-128",
			"MOVIEEXAMPLE_RATING_OFFSET=9223372036854775808", "MOVIEEXAMPLE_RATING_WEIGHT=1e-9", "MOVIEEXAMPLE_RATING_TIMEOUT=1h30m",
			"MOVIEEXAMPLE_RATING_MAX_BODY=10MiB", "MOVIEEXAMPLE_RATING_SEEDS=x:1, y:2", "MOVIEEXAMPLE_RATING_KAFKA_TOPIC=012",
			"MOVIEEXAMPLE_DATA=", "MOVIEEXAMPLE_SECRETS_PASSWORD=12345", "HOME=/root", "MOVIEEXAMPLE=1",
		}},
		"flags": {flags: []string{
			"--log-level=debug", "--log-quiet", "--rating-addr=:0", "--rating-chart-min-votes=-3", "--rating-port=65535", "--rating-shift", "-128",
			"--rating-offset=9223372036854775808", "--rating-weight=1e-9", "--rating-timeout=1h30m", "--rating-max-body=10MiB", "--rating-seeds=x:1",
			"--rating-seeds=y:2", "--rating-kafka-topic=012", "--data=", "--secrets-password=12345",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := defaults()
			if _, err := load(t, got, src); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(system{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPrecedence(t *testing.T) {
	file, env, flags := "\n\nrating:\n  chart_min_votes: 1\n", []string{"MOVIEEXAMPLE_RATING_CHART_MIN_VOTES=2"}, []string{"--rating-chart-min-votes=3"}
	for name, row := range map[string]struct {
		src    sources
		value  int
		source config.Source
		origin string
	}{
		"nothing":              {sources{}, 25, config.SourceDefault, ""},
		"file":                 {sources{file: file}, 1, config.SourceFile, "config.yaml:4"},
		"environment":          {sources{env: env}, 2, config.SourceEnvironment, "MOVIEEXAMPLE_RATING_CHART_MIN_VOTES"},
		"flag":                 {sources{flags: flags}, 3, config.SourceFlag, "--rating-chart-min-votes"},
		"file and environment": {sources{file: file, env: env}, 2, config.SourceEnvironment, "MOVIEEXAMPLE_RATING_CHART_MIN_VOTES"},
		"file and flag":        {sources{file: file, flags: flags}, 3, config.SourceFlag, "--rating-chart-min-votes"},
		"environment and flag": {sources{env: env, flags: flags}, 3, config.SourceFlag, "--rating-chart-min-votes"},
		"all":                  {sources{file: file, env: env, flags: flags}, 3, config.SourceFlag, "--rating-chart-min-votes"},
		"the first of two variables, as in os.Getenv": {
			sources{env: append(env, "MOVIEEXAMPLE_RATING_CHART_MIN_VOTES=9")}, 2, config.SourceEnvironment, "MOVIEEXAMPLE_RATING_CHART_MIN_VOTES",
		},
		"the last of two flags": {sources{flags: append(flags, "--rating-chart-min-votes=4")}, 4, config.SourceFlag, "--rating-chart-min-votes"},
	} {
		t.Run(name, func(t *testing.T) {
			got := defaults()
			set, err := load(t, got, row.src)
			if err != nil {
				t.Fatal(err)
			}
			s := setting(t, set, "rating.chart_min_votes")
			if got.Rating.ChartMinVotes != row.value || s.Source != row.source || filepath.Base(s.Origin) != filepath.Base(row.origin) {
				t.Errorf("got %d from %s %q, want %d from %s %q", got.Rating.ChartMinVotes, s.Source, s.Origin, row.value, row.source, row.origin)
			}
		})
	}
}

func TestSettingsAreListedInStructOrder(t *testing.T) {
	set, err := load(t, defaults(), sources{})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, s := range set.Settings() {
		paths = append(paths, s.Path)
	}
	want := []string{
		"log.level", "log.quiet", "rating.addr", "rating.chart_min_votes", "rating.port", "rating.shift", "rating.offset", "rating.weight",
		"rating.timeout", "rating.max_body", "rating.seeds", "rating.kafka.topic", "data", "secrets.password",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantAddr := config.Setting{
		Path: "rating.addr", Flag: "rating-addr", Env: "MOVIEEXAMPLE_RATING_ADDR", Usage: "address of the gRPC listener",
		Placeholder: "host:port", Value: "127.0.0.1:8082", Source: config.SourceDefault,
	}
	if diff := cmp.Diff(wantAddr, setting(t, set, "rating.addr")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestYAMLPrintsValuesWithTheirOrigin(t *testing.T) {
	const file = "rating:\n  addr: ':8082'\n  timeout: 90s\n  seeds: ['a,b', 'yes', plain, \"tab\\t\"]\ndata: 'two\n\n  lines # no comment'\n"
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := load(t, defaults(), sources{
		opts:  config.LoadOptions{File: path},
		env:   []string{"MOVIEEXAMPLE_RATING_CHART_MIN_VOTES=50", "MOVIEEXAMPLE_SECRETS_PASSWORD=hunter2", "MOVIEEXAMPLE_RATING_KAFKA_TOPIC=null"},
		flags: []string{"--log-level=debug"},
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "effective.yaml", strings.ReplaceAll(printed(t, set), path, "config.yaml"))
}

func TestFlagsHelp(t *testing.T) {
	set, err := config.New(defaults())
	if err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.SortFlags = false
	set.AddFlags(flags)
	golden(t, "flags.txt", flags.FlagUsages())
}

func printed(t testing.TB, set *config.Set) string {
	t.Helper()
	var out strings.Builder
	if err := set.YAML(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); if this is meant, run with -update:\n%s", name, diff)
	}
}

func TestLoadAgainStartsFromTheDefaults(t *testing.T) {
	got := defaults()
	set, err := load(t, got, sources{env: []string{"MOVIEEXAMPLE_RATING_PORT=1"}, flags: []string{"--data=/srv"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Rating.Port != 1 {
		t.Fatalf("port %d after the first load, want 1", got.Rating.Port)
	}
	got.Rating.Seeds[0] = "changed by the program"
	if err := set.Load(config.LoadOptions{}); err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Data = "/srv" // flags were parsed once and count in every load
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(system{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFailedLoadChangesNothing(t *testing.T) {
	got := defaults()
	set, err := load(t, got, sources{file: "rating: {chart_min_votes: 1, weight: heavy}", flags: []string{"--data=/srv"}})
	if err == nil {
		t.Fatal("a wrong weight was accepted")
	}
	if diff := cmp.Diff(defaults(), got, cmp.AllowUnexported(system{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s := setting(t, set, "rating.chart_min_votes"); s.Source != config.SourceDefault {
		t.Errorf("source is %s after a failed load", s.Source)
	}
}

func TestNewRefusesWrongDeclarations(t *testing.T) {
	for name, row := range map[string]struct {
		dst  any
		want string
	}{
		"no pointer": {system{}, "settings must be a pointer to a struct, not config_test.system"},
		"nil":        {(*system)(nil), "settings must be a pointer to a struct, not *config_test.system"},
		"no key": {&struct {
			A int `usage:"u"`
		}{}, `field A needs a yaml tag with a lower_snake_case key and no options, not ""`},
		"camel case": {&struct {
			A int `yaml:"maxAge" usage:"u"`
		}{}, `field A needs a yaml tag with a lower_snake_case key and no options, not "maxAge"`},
		"key twice": {&struct {
			A int `yaml:"a" usage:"u"`
			B int `yaml:"a" usage:"u"`
		}{}, `field B repeats the yaml key "a"`},
		"no usage": {&struct {
			A int `yaml:"a"`
		}{}, `setting a needs a usage tag`},
		"unexported": {&struct {
			a int `yaml:"a" usage:"u"`
		}{}, `field a has a yaml key but is not exported`},
		"type": {&struct {
			A struct {
				B map[string]int `yaml:"b" usage:"u"`
			} `yaml:"a"`
		}{}, `field a.B has type map[string]int, which is no kind of setting`},
		"secret number": {&struct {
			A int `yaml:"a" usage:"u" secret:"true"`
		}{}, `setting a is secret, so it must be a string, not int`},
		"secret tag": {&struct {
			A string `yaml:"a" usage:"u" secret:"yes"`
		}{}, `setting a has the tag secret:"yes"; allowed is true or false`},
		"one variable for two": {&struct {
			AB struct {
				C int `yaml:"c" usage:"u"`
			} `yaml:"a_b"`
			A struct {
				BC int `yaml:"b_c" usage:"u" flag:"other"`
			} `yaml:"a"`
		}{}, `settings a_b.c and a.b_c share the name MOVIEEXAMPLE_A_B_C`},
		"one flag for two": {&struct {
			A int `yaml:"a" usage:"u"`
			B int `yaml:"b" usage:"u" flag:"a"`
		}{}, `settings a and b share the name --a`},
		"a secret's file": {&struct {
			A string `yaml:"a" usage:"u" secret:"true"`
			B string `yaml:"a_file" usage:"u"`
		}{}, `settings a and a_file share the name MOVIEEXAMPLE_A_FILE`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.New(row.dst)
			if err == nil || !strings.HasSuffix(err.Error(), row.want) {
				t.Errorf("got error %v\nwant …%s", err, row.want)
			}
		})
	}
}
