//go:build servers

package rating_test

import (
	"testing"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
)

// The file for operators gives the rights that it says: the service's own user cannot change tables, and can all else.
func TestInstalledUsers(t *testing.T) {
	url := sqltest.MySQL(t).CheckInstall(t, "../deploy/mysql/rating", rating.Schema(), func(own *sqldb.DB) error {
		_, err := rating.New(t.Context(), rating.Config{}, rating.Deps{DB: own})
		return err
	})
	f := start(t, url, rating.Config{}, nil)
	f.put(t, "1", "a", 5)
	if v := f.value(t, "1", "a"); v != 5 {
		t.Errorf("value %d, want 5", v)
	}
}
