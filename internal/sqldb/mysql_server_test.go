//go:build servers

package sqldb_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/sqldb"
	"movieexample.com/test/servers"
)

// ownServer starts a server for a test that does things to it which others must not meet,
// and returns the URL of a database for a user with the least rights.
func ownServer(t *testing.T, config servers.MariaDBConfig) (*servers.MariaDB, string) {
	t.Helper()
	server, err := servers.StartMariaDB(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	at, err := server.CreateDatabase(t.Context(), "films", "service", "pass word",
		"GRANT "+strings.Join(sqldb.Rights(), ", ")+" ON films.* TO 'service'@'%'")
	if err != nil {
		t.Fatal(err)
	}
	return server, at
}

func run(t *testing.T, server *servers.MariaDB, text string) {
	t.Helper()
	if err := server.Exec(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

func TestMySQLReadOnlyServer(t *testing.T) {
	server, at := ownServer(t, servers.MariaDBConfig{})
	db := openURL(t, at, sqldb.Options{}, accounts)
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Fatal(err)
	}
	run(t, server, "SET GLOBAL read_only = 1")
	err := set(t.Context(), db, "a", 2)
	if kindsOf(err) != (kinds{readOnly: true}) || !strings.Contains(err.Error(), "the server is read-only: name the primary server") {
		t.Errorf("%v is %+v, want read-only", err, kindsOf(err))
	}
	if got := fault.KindOf(sqldb.Fault(err)); got != fault.KindUnavailable {
		t.Errorf("a client gets %v, want unavailable", got)
	}
	if open := db.Stats().Writer.OpenConnections; open != 0 {
		t.Errorf("%d connections to the server that is read-only are kept", open)
	}
	if n, sum := count(t, db.Read()); n != 1 || sum != 1 {
		t.Errorf("%d accounts, sum %d", n, sum)
	}
	run(t, server, "SET GLOBAL read_only = 0")
	if err := set(t.Context(), db, "a", 2); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestMySQLWithoutConnectionsToSpare(t *testing.T) {
	server, at := ownServer(t, servers.MariaDBConfig{Args: []string{"--max-connections=10"}})
	db := openURL(t, at, sqldb.Options{}, accounts)
	var all []*sqldb.DB
	var err error
	for len(all) < 10 && err == nil {
		var more *sqldb.DB
		if more, err = sqldb.Open(t.Context(), at, sqldb.Options{}); err == nil {
			all = append(all, more)
		}
	}
	if !sqldb.Unreachable(err) || !strings.Contains(err.Error(), "raise its max_connections, or lower write_conns and read_conns") {
		t.Errorf("one client too many: %v", err)
	}
	// A pool that has to grow right now.
	if err := db.Write(t.Context(), func(ctx context.Context, _ *sqldb.Tx) error { return set(ctx, db, "a", 1) }); !sqldb.Transient(err) ||
		!strings.Contains(err.Error(), "the server has no connection left") {
		t.Errorf("a second writer: %v", err)
	}
	for _, more := range all {
		if err := more.Close(); err != nil {
			t.Error(err)
		}
	}
	run(t, server, "SET GLOBAL max_prepared_stmt_count = 3")
	for i := range 50 {
		var got int
		if err := db.Read().QueryRowContext(t.Context(), fmt.Sprintf("SELECT ? + %d", i), 1).Scan(&got); err != nil || got != i+1 {
			t.Fatalf("text %d with few prepared statements: %d, %v", i, got, err)
		}
	}
}

// The server dies, is down for a while, and restarts: the same DB continues to work.
func TestMySQLRestart(t *testing.T) {
	server, at := ownServer(t, servers.MariaDBConfig{})
	db := openURL(t, at, sqldb.Options{}, accounts)
	if err := set(t.Context(), db, "kept", 1); err != nil {
		t.Fatal(err)
	}
	kills := map[string]func() error{"killed": server.Kill, "stopped": server.Stop}
	for name, end := range kills {
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			if err := setIn(ctx, tx, "lost", 100); err != nil {
				return err
			}
			return end()
		})
		if kindsOf(err) != (kinds{transient: true}) {
			t.Errorf("%s in a transaction: %v is %+v, want transient", name, err, kindsOf(err))
		}
		err = set(t.Context(), db, "lost", 100)
		if kindsOf(err) != (kinds{transient: true}) || !sqldb.Unreachable(err) {
			t.Errorf("%s: %v is %+v, want transient and unreachable", name, err, kindsOf(err))
		}
		if err := db.Check(t.Context()); !sqldb.Unreachable(err) || !strings.Contains(err.Error(), db.Name()) {
			t.Errorf("%s: readiness says %v", name, err)
		}
		if _, err := sqldb.Open(t.Context(), at, sqldb.Options{}); !sqldb.Unreachable(err) {
			t.Errorf("%s: open: %v", name, err)
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Check(t.Context()), set(t.Context(), db, "kept", 1)); err != nil {
			t.Errorf("%s and started again: %v", name, err)
		}
		if n, sum := count(t, db.Read()); n != 1 || sum != 1 {
			t.Errorf("%s: %d accounts, sum %d", name, n, sum)
		}
	}
}

// A server that says nothing any more: a statement's wait ends with its context, that of
// COMMIT with the read timeout.
func TestMySQLPaused(t *testing.T) {
	server, at := ownServer(t, servers.MariaDBConfig{})
	db := openURL(t, at+"?read_timeout=300ms", sqldb.Options{}, accounts)
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Fatal(err)
	}
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		if err := setIn(ctx, tx, "a", 2); err != nil {
			return err
		}
		return server.Pause()
	})
	if unknown := (*sqldb.CommitError)(nil); !errors.As(err, &unknown) {
		t.Errorf("COMMIT without an answer: %v, want a CommitError", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := db.Check(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a query without an answer: %v, want its deadline", err)
	}
	if err := set(t.Context(), db, "a", 3); !sqldb.Transient(err) {
		t.Errorf("a transaction that could not begin: %v", err)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	for set(t.Context(), db, "b", 1) != nil && t.Context().Err() == nil {
		continue
	}
	if n, sum := count(t, db.Read()); n != 2 || sum != 2 && sum != 3 {
		t.Errorf("%d accounts, sum %d; want 2 and 2 or 3: the outcome was unknown, the rest was not written", n, sum)
	}
}

// A full disk is an error that says what to do, and only that; with room again, the same
// DB continues. The rows are small: MariaDB 10.11 needs room to roll back an insert of large
// ones, finds none, and aborts ("Out of disk space in rollback").
func TestMySQLDiskFull(t *testing.T) {
	disk, err := servers.NewSmallDisk(160 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the server was closed
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	_, at := ownServer(t, servers.MariaDBConfig{DataDir: filepath.Join(disk.Dir(), "data"), BufferPool: 16 << 20})
	db := openURL(t, at, sqldb.Options{}, `-- +goose Up
CREATE TABLE notes (id BIGINT NOT NULL, note VARBINARY(500) NOT NULL, PRIMARY KEY (id));
`)
	const batch = 64
	stored := 0
	put := func() error {
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.ExecRows(ctx, batch,
				func(rows int) string { return tx.Dialect().Insert("notes", []string{"id", "note"}, rows) },
				func(i int, dst []any) []any { return append(dst, stored+i, make([]byte, 500)) })
		})
		if err == nil {
			stored += batch
		}
		return err
	}
	if err := errors.Join(put(), disk.Fill()); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil && stored < 1_000_000; {
		err = put()
	}
	if kindsOf(err) != (kinds{full: true}) || !strings.Contains(err.Error(), "the server's disk is full: free space there and retry") {
		t.Fatalf("after %d rows: %v is %+v, want full", stored, err, kindsOf(err))
	}
	if err := disk.Free(); err != nil {
		t.Fatal(err)
	}
	if err := put(); err != nil {
		t.Errorf("after space was freed: %v", err)
	}
	var n int
	if err := db.Read().QueryRowContext(t.Context(), "SELECT count(*) FROM notes").Scan(&n); err != nil || n != stored {
		t.Errorf("%d rows, %v; want the %d that were acknowledged", n, err, stored)
	}
}

func TestMySQLTLS(t *testing.T) {
	authority, cert, key := certificates(t)
	_, at := ownServer(t, servers.MariaDBConfig{Args: []string{"--ssl-cert=" + cert, "--ssl-key=" + key}})
	if _, err := sqldb.Open(t.Context(), at+"?tls=true", sqldb.Options{}); err == nil || sqldb.Unreachable(err) ||
		!strings.Contains(err.Error(), "certificate is not trusted: name the authority's certificate with tls_ca") {
		t.Errorf("an unknown authority: %v", err)
	}
	byName := strings.Replace(at, "127.0.0.1", "localhost", 1)
	if _, err := sqldb.Open(t.Context(), byName+"?tls_ca="+authority, sqldb.Options{}); err == nil || sqldb.Unreachable(err) {
		t.Errorf("a certificate for another name: %v", err)
	}
	for query, encrypted := range map[string]bool{
		"": false, "?tls=false": false, "?tls=preferred": true, "?tls=skip-verify": true,
		"?tls_ca=" + authority: true, "?tls=true&tls_ca=" + authority: true,
	} {
		db := openURL(t, at+query, sqldb.Options{}, accounts)
		var name, cipher string
		if err := db.Read().QueryRowContext(t.Context(), "SHOW STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher); err != nil || (cipher != "") != encrypted {
			t.Errorf("%s: cipher %q, %v", query, cipher, err)
		}
		for i := range 50 { // a live connection is never taken for a dead one before COMMIT
			if err := set(t.Context(), db, "a", i); err != nil {
				t.Fatalf("%s: write %d: %v", query, i, err)
			}
		}
	}
}

// certificates returns the files of an authority, and of a server at 127.0.0.1 that it has
// signed.
func certificates(t *testing.T) (authority, cert, key string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sqldb-tls")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the server runs as another user
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sign := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = own
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &own.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, own
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, caKey := sign(ca, ca, nil)
	leafDER, leafKey := sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test server"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca, caKey)
	keyDER, err := x509.MarshalECPrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return write("ca.pem", "CERTIFICATE", caDER), write("server.pem", "CERTIFICATE", leafDER), write("server.key", "EC PRIVATE KEY", keyDER)
}
