//go:build servers

package rating_test

import (
	"os"
	"testing"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
)

// The file for operators gives the rights that it says. The service's own user cannot change tables: with it the service
// refuses an empty database, starts on one that the other user has migrated, and works there.
func TestInstalledUsers(t *testing.T) {
	server := sqltest.MySQL(t)
	grants, urls := server.Install(t, "../deploy/mysql/rating.sql")
	want, err := os.ReadFile("../deploy/mysql/rating.grants")
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
	if _, err := rating.New(t.Context(), rating.Config{}, rating.Deps{DB: own}); err == nil {
		t.Error("the service's user can make tables")
	} else {
		t.Logf("on an empty database: %v", err)
	}
	if err := migrating.Migrate(t.Context(), rating.Schema()); err != nil {
		t.Fatal(err)
	}
	f := start(t, urls[0], rating.Config{}, nil)
	f.put(t, "1", "a", 5)
	if v := f.value(t, "1", "a"); v != 5 {
		t.Errorf("value %d, want 5", v)
	}
}
