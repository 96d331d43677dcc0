//go:build servers

package metadata_test

import (
	"os"
	"testing"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

// The file for operators gives the rights that it says. The service's own user cannot change tables: with it the service
// refuses an empty database, starts on one that the other user has migrated, and works there.
func TestInstalledUsers(t *testing.T) {
	server := sqltest.MySQL(t)
	grants, urls := server.Install(t, "../deploy/mysql/metadata.sql")
	want, err := os.ReadFile("../deploy/mysql/metadata.grants")
	if err != nil {
		t.Fatal(err)
	}
	if grants != string(want) {
		t.Errorf("SHOW GRANTS says\n%swant\n%s", grants, want)
	}
	if len(urls) != 2 {
		t.Fatalf("%d users, want the service's and one who migrates", len(urls))
	}
	open := func(url string) *sqldb.DB {
		db, err := sqldb.Open(t.Context(), url, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	own, migrating := open(urls[0]), open(urls[1])
	if _, err := metadata.New(t.Context(), metadata.Config{}, metadata.Deps{DB: own}); err == nil {
		t.Error("the service's user can make tables")
	} else {
		t.Logf("on an empty database: %v", err)
	}
	if err := migrating.Migrate(t.Context(), metadata.Schema()); err != nil {
		t.Fatal(err)
	}
	svc, err := metadata.New(t.Context(), metadata.Config{}, metadata.Deps{DB: own})
	if err != nil {
		t.Fatalf("on a migrated database: %v", err)
	}
	if _, _, err := svc.Put(t.Context(), metadata.Movie{ID: "a", Title: "A"}, ""); err != nil {
		t.Error(err)
	}
	if err := svc.Delete(t.Context(), "a", ""); err != nil {
		t.Error(err)
	}
}
