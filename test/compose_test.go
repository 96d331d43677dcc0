package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"movieexample.com/app"
	"movieexample.com/internal/config"
	"movieexample.com/test/system"
)

// composeFile is the part of a Compose file (https://compose-spec.io) that this test looks at. Unknown members are errors, so
// that a misspelled one is found.
type composeFile struct {
	Name     string
	Services map[string]composeService
	Networks map[string]struct{ Internal bool }
	Volumes  map[string]struct{}
	Secrets  map[string]struct{ File string }
	// Extensions, which the services use.
	Extensions map[string]any `yaml:",inline"`
}

type composeService struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	Command     []string
	Environment map[string]string
	Secrets     []string
	Ports       []string
	Volumes     []string
	Networks    []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct {
		Test              []string
		Interval, Timeout string
		StartPeriod       string `yaml:"start_period"`
		Disable           bool
	}
	Restart         string
	StopGracePeriod string   `yaml:"stop_grace_period"`
	ReadOnly        bool     `yaml:"read_only"`
	CapDrop         []string `yaml:"cap_drop"`
	SecurityOpt     []string `yaml:"security_opt"`
}

// ours reports whether the service is this program, and whether it serves.
func (s composeService) ours() (ours, serves bool) {
	return s.Image == "movieexample:local", len(s.Command) > 0 && s.Command[0] == "serve"
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	f, err := os.Open("../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var c composeFile
	decoder := yaml.NewDecoder(f)
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		t.Fatalf("read deploy/compose.yaml: %v", err)
	}
	for name := range c.Extensions {
		if !strings.HasPrefix(name, "x-") {
			t.Errorf("deploy/compose.yaml: unknown member %q", name)
		}
	}
	return c
}

// TestComposeFile checks what can be checked without an engine: that everything which is named exists, that images are
// pinned, that nothing of ours is open to the world, and who has which secret.
func TestComposeFile(t *testing.T) {
	c := readCompose(t)
	count := make(map[string]int)
	published := make(map[string]string)
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:[0-9]+\.[0-9]+\.[0-9]+$`)
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		s := c.Services[name]
		bad := func(format string, args ...any) { t.Errorf("service "+name+": "+format, args...) }
		ours, serves := s.ours()
		if !ours && !pinned.MatchString(s.Image) {
			bad("image %q is not pinned to a version", s.Image)
		}
		if ours {
			if _, err := os.Stat(filepath.Join("..", "deploy", s.Build.Context, s.Build.Dockerfile)); err != nil {
				bad("%v", err)
			}
			if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				bad("it has more rights than it needs")
			}
		}
		if serves {
			count[s.Command[1]]++
			if s.StopGracePeriod != "30s" || s.Restart != "unless-stopped" {
				bad("stop_grace_period %s, restart %s: an orderly stop takes up to 25 s, and what ends is started again", s.StopGracePeriod, s.Restart)
			}
		}
		if !ours && len(s.Healthcheck.Test) == 0 {
			bad("it has no health check")
		}
		for _, other := range s.Networks {
			if _, ok := c.Networks[other]; !ok {
				bad("there is no network %q", other)
			}
		}
		if !slices.Contains(s.Networks, "inside") {
			bad("it is not on the network of the others")
		}
		for other, d := range s.DependsOn {
			on, ok := c.Services[other]
			healthy := len(on.Healthcheck.Test) > 0 && d.Condition == "service_healthy"
			if done := on.Restart == "on-failure" && d.Condition == "service_completed_successfully"; !ok || !healthy && !done {
				bad("it depends on %s being %s, which cannot come true", other, d.Condition)
			}
		}
		for _, secret := range s.Secrets {
			if _, ok := c.Secrets[secret]; !ok {
				bad("there is no secret %q", secret)
			}
		}
		for key, value := range s.Environment {
			if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok && !slices.Contains(s.Secrets, secret) {
				bad("%s names a secret that it does not have: %s", key, value)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, ".") {
				if _, err := os.Stat(filepath.Join("..", "deploy", from)); err != nil {
					bad("volume %s: %v", v, err)
				}
			} else if _, ok := c.Volumes[from]; !ok {
				bad("there is no volume %q", from)
			}
		}
		for _, p := range s.Ports {
			host, rest, _ := strings.Cut(p, ":")
			if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
				bad("port %s is open to more than this machine", p)
			}
			port, _, _ := strings.Cut(rest, ":")
			if other, taken := published[port]; taken {
				bad("port %s is that of %s", port, other)
			}
			published[port] = name
			if !slices.Contains(s.Networks, "outside") {
				bad("it publishes a port and is on the internal network only")
			}
		}
	}
	for _, service := range []string{"metadata", "rating", "movie", "gateway"} {
		if count[service] != 2 {
			t.Errorf("%d processes of %s, want two", count[service], service)
		}
	}
	if !c.Networks["inside"].Internal {
		t.Error("the network inside has a way out")
	}
}

// TestComposeRuns gives the real binary the command line and the environment of each service, and the secrets that deploy/secrets.sh
// makes: it takes each, and the health check of the image finds the listener.
func TestComposeRuns(t *testing.T) {
	c, bin := readCompose(t), system.Build(t)
	secrets := filepath.Join(t.TempDir(), "secrets")
	for range 2 { // the second changes nothing
		before := readSecrets(t, secrets)
		if out, err := exec.CommandContext(t.Context(), "../deploy/secrets.sh", secrets).CombinedOutput(); err != nil {
			t.Fatalf("make secrets: %v\n%s", err, out)
		}
		if after := readSecrets(t, secrets); len(before) > 0 && !maps.Equal(before, after) {
			t.Error("a second run of secrets.sh has changed secrets")
		}
	}
	made := readSecrets(t, secrets)
	for name, s := range c.Secrets {
		if _, ok := made[filepath.Base(s.File)]; !ok || filepath.Dir(s.File) != "secrets" {
			t.Errorf("secret %s: secrets.sh does not make %s", name, s.File)
		}
	}
	image := imageEnvironment(t)
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		s := c.Services[name]
		ours, serves := s.ours()
		if !ours {
			continue
		}
		t.Run(name, func(t *testing.T) {
			env := []string{"PATH=" + os.Getenv("PATH")}
			both := maps.Clone(image)
			maps.Copy(both, s.Environment)
			for key, value := range both {
				env = append(env, key+"="+strings.Replace(value, "/run/secrets", secrets, 1))
			}
			program := func(args ...string) (string, error) {
				cmd := exec.CommandContext(t.Context(), bin, args...)
				cmd.Env = env
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			if out, err := program(append(slices.Clone(s.Command), "--help")...); err != nil {
				t.Errorf("the command line %v is wrong: %v\n%s", s.Command, err, out)
			}
			if !serves { // it migrates
				cfg := app.DefaultConfig()
				set, err := config.New(&cfg)
				if err == nil {
					err = errors.Join(set.Load(config.LoadOptions{Environ: env}), cfg.ValidateData(s.Command[2:]))
				}
				if err != nil || !strings.HasPrefix(cfg.Database, "mysql://movieexample_"+s.Command[2]+"_migrate:") {
					t.Errorf("the settings are wrong: %v, database %s", err, cfg.Database)
				}
				return
			}
			if out, err := program(append([]string{"config", "validate"}, s.Command[1:]...)...); err != nil {
				t.Errorf("the settings are wrong: %v\n%s", err, out)
			}
			if out, err := program("healthcheck"); err == nil || !strings.Contains(out, "127.0.0.1:8090") {
				t.Errorf("the health check asks elsewhere: %v\n%s", err, out)
			}
		})
	}
}

func readSecrets(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = string(text)
	}
	return all
}

// imageEnvironment is what the Dockerfile sets, and checks what else matters of it: no shell, the user nobody, a health check.
func imageEnvironment(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, final, _ := strings.Cut(string(text), "\nFROM scratch\n")
	final = strings.ReplaceAll(final, "\\\n", " ")
	env := make(map[string]string)
	forms := map[string]bool{}
	for line := range strings.Lines(final) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		forms[word] = true
		switch word {
		case "ENV":
			for _, pair := range strings.Fields(rest) {
				key, value, _ := strings.Cut(pair, "=")
				env[key] = value
			}
		case "ENTRYPOINT", "CMD":
			if err := json.Unmarshal([]byte(rest), new([]string)); err != nil {
				t.Errorf("deploy/Dockerfile: %s needs a shell, which the image does not have: %v", line, err)
			}
		case "RUN":
			t.Errorf("deploy/Dockerfile: %s cannot run in an image without a shell", line)
		case "USER":
			var uid, gid int
			if n, _ := fmt.Sscanf(rest, "%d:%d", &uid, &gid); n != 2 || uid == 0 || gid == 0 {
				t.Errorf("deploy/Dockerfile: user %s: want numbers other than root's", rest)
			}
		}
	}
	for _, want := range []string{"USER", "ENTRYPOINT", "HEALTHCHECK", "ENV"} {
		if !forms[want] {
			t.Errorf("deploy/Dockerfile has no %s", want)
		}
	}
	return env
}
