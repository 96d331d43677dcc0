package sqltest

import (
	"io/fs"
	"os"
	"testing"

	"movieexample.com/internal/sqldb"
)

// CheckInstall checks whether a file for administrators, file+".sql", makes what it says: users with the rights that are
// written down in file+".grants", of whom the first, the service's own, cannot change tables, and the second can. With the
// first, start refuses the empty database, and does not once the second has migrated it to schema. It returns the
// database's URL for the first, so that the test can see the service work with no more than that user's rights.
//
// What start opens may run until the test ends; the database handed to it is closed then.
func (s *Server) CheckInstall(tb testing.TB, file string, schema fs.FS, start func(own *sqldb.DB) error) (url string) {
	tb.Helper()
	grants, urls := s.Install(tb, file+".sql")
	want, err := os.ReadFile(file + ".grants")
	if err != nil {
		tb.Fatal(err)
	}
	if grants != string(want) {
		tb.Errorf("SHOW GRANTS says\n%swant\n%s", grants, want)
	}
	if len(urls) != 2 {
		tb.Fatalf("%d users, want the service's and one who migrates", len(urls))
	}
	open := func(url string) *sqldb.DB {
		db, err := sqldb.Open(tb.Context(), url, sqldb.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := db.Close(); err != nil {
				tb.Errorf("close the installed database: %v", err)
			}
		})
		return db
	}
	own, migrating := open(urls[0]), open(urls[1])
	if err := start(own); err == nil {
		tb.Error("the service's user can make tables")
	} else {
		tb.Logf("on an empty database: %v", err)
	}
	if err := migrating.Migrate(tb.Context(), schema); err != nil {
		tb.Fatal(err)
	}
	if err := start(own); err != nil {
		tb.Fatalf("on a migrated database: %v", err)
	}
	return urls[0]
}
