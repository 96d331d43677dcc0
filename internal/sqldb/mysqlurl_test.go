package sqldb_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"movieexample.com/internal/sqldb"
)

// A wrong URL is refused before anything is sent: the message names the part, says what
// is allowed, and shows nothing of the password.
func TestMySQLURLRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		url  string
		want []string
	}{
		"no slashes":        {"mysql:u:secret@h/d", []string{"two slashes", "mysql://user:password@host:3306/database"}},
		"no user":           {"mysql://h/d", []string{"no user"}},
		"empty user":        {"mysql://:secret@h/d", []string{"user is empty"}},
		"question mark":     {"mysql://u:sec?ret@h/d", []string{"%3F"}},
		"percent":           {"mysql://u:secret%zz@h/d", []string{"the password", "%25"}},
		"percent in user":   {"mysql://u%zz:secret@h/d", []string{"the user", "%25"}},
		"no host":           {"mysql://u:secret@/d", []string{"no host"}},
		"bare IPv6":         {"mysql://u:secret@::1/d", []string{`"::1"`, "brackets"}},
		"port":              {"mysql://u:secret@h:99999/d", []string{`port "99999"`, "1 to 65535"}},
		"port word":         {"mysql://u:secret@h:mysql/d", []string{`port "mysql"`}},
		"no database":       {"mysql://u:secret@h", []string{"no database"}},
		"empty database":    {"mysql://u:secret@h/", []string{"no database"}},
		"two databases":     {"mysql://u:secret@h/a/b", []string{`"a/b"`, "slashes"}},
		"quoted database":   {"mysql://u:secret@h/a%60b", []string{"quotes"}},
		"parameter":         {"mysql://u:secret@h/d?timeout=1s", []string{`"timeout" is unknown`, "conn_idle_time, conn_lifetime, dial_timeout, lock_timeout, read_conns, read_timeout, tls, tls_ca, write_conns, write_timeout"}},
		"parameter twice":   {"mysql://u:secret@h/d?read_conns=1&read_conns=2", []string{"read_conns is given 2 times"}},
		"parameter escape":  {"mysql://u:secret@h/d?read_conns=%zz", []string{"parameters"}},
		"connections":       {"mysql://u:secret@h/d?read_conns=0", []string{`read_conns="0"`, "from 1 to"}},
		"connections text":  {"mysql://u:secret@h/d?write_conns=many", []string{`write_conns="many"`}},
		"time without unit": {"mysql://u:secret@h/d?read_timeout=30", []string{`read_timeout="30"`, "500ms, 30s or 10m"}},
		"no time":           {"mysql://u:secret@h/d?lock_timeout=0s", []string{"at least 1ms"}},
		"tls":               {"mysql://u:secret@h/d?tls=yes", []string{`tls="yes"`, "true, skip-verify, preferred or false"}},
		"ca unchecked":      {"mysql://u:secret@h/d?tls=skip-verify&tls_ca=" + empty, []string{"tls_ca", "use tls=true"}},
		"ca unused":         {"mysql://u:secret@h/d?tls=false&tls_ca=" + empty, []string{"tls_ca", "use tls=true"}},
		"ca missing":        {"mysql://u:secret@h/d?tls_ca=" + empty + ".no", []string{"tls_ca", "no such file"}},
		"ca empty":          {"mysql://u:secret@h/d?tls_ca=" + empty, []string{empty, "no certificate"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sqldb.Open(t.Context(), tc.url, sqldb.Options{})
			if err == nil {
				t.Fatal("opened")
			}
			for _, want := range append(tc.want, "open MySQL database") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "sec") {
				t.Errorf("message %q shows a part of the password", err)
			}
			if sqldb.Unreachable(err) {
				t.Errorf("%v is called unreachable: waiting does not help", err)
			}
		})
	}
}

// A server that is not there is worth waiting for, and is named without the password.
func TestMySQLUnreachable(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, through the kernel, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		url  string
		want []string
	}{
		"no listener": {"mysql://u%40x:secret@" + gone + "/films", []string{"u@x@" + gone + "/films", "no server can be reached at " + gone}},
		"no address":  {"mysql://u:secret@no..such.host/films", []string{"u@no..such.host:3306/films", "no..such.host has no address"}},
		"no answer":   {"mysql://u:secret@" + silent.Addr().String() + "/films?read_timeout=50ms", []string{"ended the connection"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sqldb.Open(t.Context(), tc.url, sqldb.Options{})
			if !sqldb.Unreachable(err) || !sqldb.Transient(err) {
				t.Fatalf("%v: want unreachable and transient", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("message %q shows the password", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqldb.Open(ctx, "mysql://u:secret@"+silent.Addr().String()+"/films", sqldb.Options{}); !errors.Is(err, context.Canceled) || sqldb.Unreachable(err) {
		t.Errorf("a caller who gave up: %v", err)
	}
}
