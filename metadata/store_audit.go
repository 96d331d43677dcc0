package metadata

import (
	"context"
	"fmt"

	"movieexample.com/internal/sqldb"
)

// Audit checks that the tables of a catalogue's database agree: each film is in the list of all films and in the change
// feed, and all rows that name a film name an existing one. It only reads the database, whose schema must be up to
// date. It calls differ with one line for each broken rule, and returns how many films it checked.
func Audit(ctx context.Context, db *sqldb.DB, differ func(text string)) (checked int64, err error) {
	err = db.Snapshot(ctx, func(ctx context.Context, q sqldb.Queryer) error {
		var listed int64
		if err := q.QueryRowContext(ctx, "SELECT COUNT(*) FROM movies").Scan(&checked); err != nil {
			return err
		}
		if err := q.QueryRowContext(ctx, "SELECT COUNT(*) FROM movie_listings WHERE genre_key = ''").Scan(&listed); err != nil {
			return err
		}
		if listed != checked {
			differ(fmt.Sprintf("the list of all films has %d rows for %d films", listed, checked))
		}
		for _, rule := range auditRules() {
			var broken int64
			if err := q.QueryRowContext(ctx, rule.count).Scan(&broken); err != nil {
				return err
			}
			if broken > 0 {
				differ(fmt.Sprintf("%s: %d", rule.broken, broken))
			}
		}
		return nil
	})
	if err != nil {
		return 0, explain(ctx, "audit the catalogue", err)
	}
	return checked, nil
}

// auditRule counts rows that should not exist. Each join uses a primary key.
type auditRule struct{ broken, count string }

func auditRules() []auditRule {
	return []auditRule{
		{"films that are not in the list of all films", `SELECT COUNT(*) FROM movies m
 LEFT JOIN movie_listings l ON l.genre_key = '' AND l.title_key = m.title_key WHERE l.title_key IS NULL`},
		{"films in the list of a genre that are not in the list of all films", `SELECT COUNT(*) FROM movie_listings g
 LEFT JOIN movie_listings l ON l.genre_key = '' AND l.title_key = g.title_key WHERE l.title_key IS NULL`},
		{"ids of other catalogues that belong to no film", `SELECT COUNT(*) FROM external_ids e
 LEFT JOIN movies m ON m.id = e.movie_id WHERE m.id IS NULL`},
		{"films that are not in the change feed", `SELECT COUNT(*) FROM movies m
 LEFT JOIN movie_changes c ON c.movie_id = m.id WHERE c.movie_id IS NULL`},
	}
}
