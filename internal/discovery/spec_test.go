package discovery_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"movieexample.com/internal/discovery"
)

func TestSpecs(t *testing.T) {
	for _, spec := range []string{
		"memory",
		"static:services.yaml",
		"static:/etc/movieexample/services.json",
		"dns:///{service}.movies.svc.cluster.local:8080",
		"dns:///{service}.movies.svc.cluster.local.",
		"dns:///_grpc._tcp.{service}.example?interval=1s",
		"dns://127.0.0.1/{service}:80",
		"dns://[::1]:8053/movies-{service}.example:8080?interval=1m",
		"consul://127.0.0.1:8500",
		"consul://[::1]:8500/?datacenter=dc2",
		"consul://consul.example:8501?tls=true&ca_file=ca.pem&cert_file=c.pem&key_file=k.pem&server_name=x&token_file=/run/secrets/token",
	} {
		if err := discovery.Validate(spec); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	for _, row := range []struct{ spec, want string }{
		{"", "want memory, static:FILE, dns:///NAME or consul://HOST:PORT"},
		{"etcd://127.0.0.1", "unknown kind: want memory, static:FILE"},
		{"Memory", "unknown kind"},
		{"memory:", "memory has no parameters"},
		{"static", "the file is missing: want static:FILE"},
		{"static:", "the file is missing"},
		{"dns", "want // after the colon"},
		{"dns:{service}", "want // after the colon"},
		{"dns:///movies.example:80", `name "movies.example:80": want {service} where the service's name goes`},
		{"dns://{service}.example:80", "the name is missing: want dns:///NAME, with three slashes"},
		{"dns:///{service}.example:http", "want a port from 1 to 65535"},
		{"dns:///{service}.example:0", "want a port from 1 to 65535"},
		{"dns:///_grpc._tcp.{service}.example:80", "write it without"},
		{"dns:///{service}..example:80", `"" is no part of a name`},
		{"dns:///{service}/example", `"service/example" is no part of a name`},
		{"dns://host:0/{service}:80", `name server: address "host:0"`},
		{"dns:///{service}:80?interval=10ms", "interval=10ms: want a duration from 1s to 1m"},
		{"dns:///{service}:80?interval=soon", "interval=soon: want a duration"},
		{"dns:///{service}:80?every=1s", "parameter every is unknown: want interval"},
		{"dns:///{service}:80?interval=1s&interval=2s", "parameter interval is given 2 times"},
		{"dns:///{service}:80?%zz", "want name=value"},
		{"consul:127.0.0.1:8500", "want // after the colon"},
		{"consul://", "want HOST:PORT of a Consul agent's HTTP interface, like 127.0.0.1:8500"},
		{"consul://127.0.0.1", "want HOST:PORT"},
		{"consul://user:secret@127.0.0.1:8500", "give an ACL token by token_file"},
		{"consul://127.0.0.1:8500/v1", `path "v1": want nothing after the address`},
		{"consul://127.0.0.1:8500?tls=yes", "tls=yes: want true or false"},
		{"consul://127.0.0.1:8500?ca_file=x", "ca_file requires tls=true"},
		{"consul://127.0.0.1:8500?token_file=", "token_file is empty"},
		{"consul://127.0.0.1:8500?tls=true&cert_file=x", "cert_file and key_file must be given together"},
		{"consul://127.0.0.1:8500?token=x", "parameter token is unknown: want tls, ca_file"},
	} {
		err := discovery.Validate(row.spec)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want an error that says %q", row.spec, err, row.want)
		}
		if _, opened := discovery.Open(t.Context(), row.spec, discovery.Options{}); err != nil && (opened == nil || opened.Error() != err.Error()) {
			t.Errorf("%s: Open says %v, Validate %v", row.spec, opened, err)
		}
	}
	if err := discovery.Validate("consul://user:secret@127.0.0.1:8500"); strings.Contains(err.Error(), "secret") {
		t.Errorf("%v tells the password", err)
	}
}

// What only a look at the files can tell is told by Open, before anything starts.
func TestOpenLooksAtTheFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	missing, empty, prose := filepath.Join(dir, "missing"), file("empty", "\n"), file("prose", "hello")
	const consul = "consul://127.0.0.1:1?tls=true&"
	for _, row := range []struct{ spec, want string }{
		{"static:" + missing, "no such file"},
		{"static:" + empty, "the file is empty: want a list of host:port for each service, or {}"},
		{"static:" + prose, "want a list of host:port for each service, like rating: [127.0.0.1:8082]"},
		{"static:" + file("comment", "# nothing\n"), "the file has no content"},
		{"static:" + file("address", "rating: ['127.0.0.1:1', '127.0.0.1']"), `service rating, entry 2: address "127.0.0.1": want host:port`},
		{"static:" + file("name", "a/b: []"), `service "a/b"`},
		{"static:" + file("twice", "rating: []\nrating: []"), `mapping key "rating" already defined at line 1`},
		{"static:" + file("two", "rating: []\n---\nmovie: []\n"), "the file has more than one YAML document"},
		{"static:" + file("great", strings.Repeat("#", 1<<20+1)), "more than 1048576 bytes"},
		{consul + "token_file=" + missing, "token_file: open"},
		{consul + "token_file=" + empty, "is empty: want an ACL token"},
		{consul + "ca_file=" + missing, "ca_file: open"},
		{consul + "ca_file=" + prose, "no certificate found: want PEM"},
		{consul + "cert_file=" + prose + "&key_file=" + prose, "cert_file " + prose},
	} {
		if err := discovery.Validate(row.spec); err != nil {
			t.Errorf("%s: Validate says %v and should not look", row.spec, err)
		}
		reg, err := discovery.Open(t.Context(), row.spec, discovery.Options{})
		if err == nil {
			_ = reg.Close()
		}
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want an error that says %q", row.spec, err, row.want)
		}
	}
}
