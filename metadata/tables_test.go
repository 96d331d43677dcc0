package metadata_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/internal/sqldb"
)

// checkTables reads all tables and checks that the two indexes agree with the movies, and that the
// change feed has every movie. It
// knows the schema and not the code that writes it: genre keys are compared by their number and
// by the lower case of plain ASCII genres.
func checkTables(t testing.TB, db *sqldb.DB) {
	t.Helper()
	type listing struct {
		Genre, ID    string
		Year, Decade int
	}
	wantListings, gotListings := map[listing]bool{}, map[listing]bool{}
	wantIDs, gotIDs := map[[3]string]bool{}, map[[3]string]bool{}

	each(t, db, "SELECT id, release_year, genres, imdb_id, tmdb_id, movielens_id FROM movies", func(rows *sql.Rows) error {
		var id, genres, imdb, tmdb, movielens string
		var year int
		if err := rows.Scan(&id, &year, &genres, &imdb, &tmdb, &movielens); err != nil {
			return err
		}
		var list []string
		if genres != "" {
			if err := json.Unmarshal([]byte(genres), &list); err != nil {
				return err
			}
		}
		for _, g := range append(list, "") {
			wantListings[listing{strings.ToLower(g), id, year, year / 10 * 10}] = true
		}
		for source, x := range map[string]string{"imdb": imdb, "tmdb": tmdb, "movielens": movielens} {
			if x != "" {
				wantIDs[[3]string{source, x, id}] = true
			}
		}
		return nil
	})
	each(t, db, "SELECT genre_key, title_key, release_year, decade FROM movie_listings", func(rows *sql.Rows) error {
		var l listing
		var key string
		if err := rows.Scan(&l.Genre, &key, &l.Year, &l.Decade); err != nil {
			return err
		}
		_, l.ID, _ = strings.Cut(key, "\x01")
		if gotListings[l] {
			t.Errorf("%v is listed twice", l)
		}
		gotListings[l] = true
		return nil
	})
	each(t, db, "SELECT source, external_id, movie_id FROM external_ids", func(rows *sql.Rows) error {
		var x [3]string
		err := rows.Scan(&x[0], &x[1], &x[2])
		gotIDs[x] = true
		return err
	})
	changes, last := feed(t, db)
	for id, number := range changes {
		if number < 1 || number > last {
			t.Errorf("%q was changed by number %d; the last one is %d", id, number, last)
		}
	}
	for l := range wantListings {
		if changes[l.ID] == 0 {
			t.Errorf("the change feed lacks %q", l.ID)
		}
	}
	each(t, db, "SELECT movie_id, votes, v.seq, last_number FROM movie_votes v JOIN sequences ON name = 'votes'", func(rows *sql.Rows) error {
		var id string
		var votes, number, last int64
		err := rows.Scan(&id, &votes, &number, &last)
		if votes < 0 || number < 1 || number > last {
			t.Errorf("%q has %d votes by number %d; the last one is %d", id, votes, number, last)
		}
		return err
	})
	if diff := cmp.Diff(wantListings, gotListings); diff != "" {
		t.Errorf("movie_listings against movies (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantIDs, gotIDs); diff != "" {
		t.Errorf("external_ids against movies (-want +got):\n%s", diff)
	}
}

// feed is the number of each film's last change, and the last number that was given out.
func feed(t testing.TB, db *sqldb.DB) (changes map[string]int64, last int64) {
	t.Helper()
	changes = map[string]int64{}
	each(t, db, "SELECT movie_id, seq FROM movie_changes", func(rows *sql.Rows) error {
		var id string
		var number int64
		err := rows.Scan(&id, &number)
		changes[id] = number
		return err
	})
	each(t, db, "SELECT last_number FROM sequences WHERE name = 'movies'", func(rows *sql.Rows) error { return rows.Scan(&last) })
	return changes, last
}

// votes are the stored numbers of ratings, apart from those that are 0.
func votes(t testing.TB, db *sqldb.DB) map[string]int32 {
	t.Helper()
	stored := map[string]int32{}
	each(t, db, "SELECT movie_id, votes FROM movie_votes WHERE votes <> 0", func(rows *sql.Rows) error {
		var id string
		var n int32
		err := rows.Scan(&id, &n)
		stored[id] = n
		return err
	})
	return stored
}

func each(t testing.TB, db *sqldb.DB, query string, do func(*sql.Rows) error) {
	t.Helper()
	rows, err := db.Read().QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// exec runs a statement that the service does not use.
func (c *catalogue) exec(t testing.TB, statement string) error {
	t.Helper()
	return c.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, statement)
		return err
	})
}
