//go:build servers

package metadata_test

import (
	"testing"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

// The file for operators grants the documented rights: the service's own user can do everything except change tables.
func TestInstalledUsers(t *testing.T) {
	var svc *metadata.Service
	sqltest.MySQL(t).CheckInstall(t, "../deploy/mysql/metadata", metadata.Schema(), func(own *sqldb.DB) (err error) {
		svc, err = metadata.New(t.Context(), metadata.Config{}, metadata.Deps{DB: own})
		return err
	})
	if _, _, err := svc.Put(t.Context(), metadata.Movie{ID: "a", Title: "A"}, ""); err != nil {
		t.Error(err)
	}
	if err := svc.Delete(t.Context(), "a", ""); err != nil {
		t.Error(err)
	}
}
