package discovery_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"movieexample.com/internal/discovery"
)

// A file that cannot be used changes nothing and is complained about once; the next
// good one counts, however it was written.
func TestStaticFileChanges(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "services.yaml")
	replace(t, file, "rating: ['127.0.0.1:1']")
	w := resolve(t, "static:"+file, discovery.Options{})
	log := w.log
	instances := func(what string, want float64) {
		t.Helper()
		eventually(t, what, func() bool { return w.metric(t, "movieexample_discovery_instances") == want })
	}
	overwrite := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	instances("as opened", 1)

	for i, row := range []struct {
		name, content, complaint string
		instances                float64
	}{
		{"JSON", `{"rating": ["127.0.0.1:1", "127.0.0.1:2"], "movie": ["127.0.0.1:3"]}`, "", 2},
		{"half of it", `{"rating": ["127.0.0.1:1", "127.0`, "cannot be used", 2},
		{"YAML", "rating:\n- 127.0.0.1:1\n- 127.0.0.1:2\n- 127.0.0.1:3\n- 127.0.0.1:3\n", "", 3},
		{"emptied", "", "the file is empty", 3},
		{"as before", "rating:\n- 127.0.0.1:1\n- 127.0.0.1:2\n- 127.0.0.1:3\n- 127.0.0.1:3\n", "", 3},
		{"no services", "{}", "", 0},
		{"a wrong address", "rating: [everywhere]", `address \"everywhere\"`, 0},
		{"back", "rating: ['127.0.0.1:9']", "", 1},
	} {
		write := overwrite
		if i%2 == 0 {
			write = func(content string) { t.Helper(); replace(t, file, content) }
		}
		good := log.count("can be used again")
		stale := w.metric(t, "movieexample_discovery_stale")
		write(row.content)
		if row.complaint != "" {
			log.expect(t, row.complaint)
			eventually(t, row.name, func() bool { return w.metric(t, "movieexample_discovery_stale") == 1 })
		} else if stale == 1 {
			eventually(t, row.name, func() bool {
				return log.count("can be used again") == good+1 && w.metric(t, "movieexample_discovery_stale") == 0
			})
		}
		instances(fmt.Sprint("after ", row.name), row.instances)
	}
	if got := log.count("cannot be used"); got != 3 {
		t.Errorf("%d complaints about three bad files", got)
	}
}

// Nothing is taken from instances that say they are there: the file says who is.
func TestRegisterOnStaticDoesNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "services.yaml")
	replace(t, file, "{}")
	reg := open(t, "static:"+file, discovery.Options{})
	deregister, err := reg.Register(t.Context(), "rating", "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := deregister(t.Context()); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "{}" {
		t.Errorf("the file is %q, %v", content, err)
	}
}
