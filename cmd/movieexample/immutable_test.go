//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A file of a database that cannot be written any more while the process runs, as by chattr +i: writes of that service are answered
// with 503 and a text that names the file and what to do, /readyz says the same, the other service writes on, and when the file can be
// written again, everything resumes automatically. Other than a file's mode, that holds for files that are open, and for root.
func TestDataThatBecomesUnwritable(t *testing.T) {
	dir := t.TempDir()
	p, addresses := startSystemProcess(t, nil, "serve", "--data", dir)
	ask := func(method, url, body string) (int, string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	users := 0
	rate := func() (int, string) {
		users++
		return ask(http.MethodPut, fmt.Sprintf("%s/v1/records/movie/film/ratings/user-%d", addresses.Gateway, users), `{"value": 7}`)
	}
	film := func() (int, string) {
		return ask(http.MethodPut, addresses.Gateway+"/v1/movies/film", fmt.Sprintf(`{"title": "Film %d"}`, users))
	}
	ready := func() (int, string) { return ask(http.MethodGet, addresses.Admin+"/readyz", "") }
	rating, metadata := filepath.Join(dir, "rating", "rating.db"), filepath.Join(dir, "metadata", "metadata.db")
	for name, tc := range map[string]struct {
		files         []string
		write, others func() (int, string)
	}{
		"the ratings' log":   {[]string{rating + "-wal"}, rate, film},
		"the ratings' files": {[]string{rating, rating + "-wal"}, rate, film},
		"the films' log":     {[]string{metadata + "-wal"}, film, rate},
	} {
		t.Run(name, func(t *testing.T) {
			for _, write := range []func() (int, string){film, rate, ready} {
				if code, body := write(); code != http.StatusOK {
					t.Fatalf("before: %d %s", code, body)
				}
			}
			for _, file := range tc.files {
				setImmutable(t, file, true)
			}
			last := tc.files[0]
			if code, body := tc.write(); code != http.StatusServiceUnavailable || !strings.Contains(body, last) || !strings.Contains(body, "chattr -i") {
				t.Errorf("a write is answered with %d %s; want 503 with %s and what to do", code, body, last)
			}
			if code, body := ready(); code != http.StatusServiceUnavailable || !strings.Contains(body, last) || !strings.Contains(body, "chattr -i") {
				t.Errorf("/readyz is %d %s; want 503 with %s and what to do", code, body, last)
			}
			if code, body := tc.others(); code != http.StatusOK {
				t.Errorf("the other service answers %d %s", code, body)
			}
			for _, file := range tc.files {
				setImmutable(t, file, false)
			}
			if code, body := tc.write(); code != http.StatusOK {
				t.Errorf("a write afterwards: %d %s", code, body)
			}
			p.await(t, "ready again", func() bool { code, _ := ready(); return code == http.StatusOK })
		})
	}
}

// immutable is FS_IMMUTABLE_FL of <linux/fs.h>.
const immutable = 0x10

// setImmutable is chattr +i or -i, which the end of the test takes back. Only root may, and not on every file system: there the test
// is skipped.
func setImmutable(t *testing.T, file string, on bool) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		if flags &^= immutable; on {
			flags |= immutable
			t.Cleanup(func() { setImmutable(t, file, false) })
		}
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags))
	}
	if err != nil && on && os.Getenv("CI") == "" { // there it has to be possible
		t.Skipf("%s cannot be made immutable by this user, or on this file system: %v", file, err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
