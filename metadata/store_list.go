package metadata

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"movieexample.com/internal/sqldb"
)

// list returns the first n films after the position (nil: from the start), their positions, and whether more follow.
func (s *store) list(ctx context.Context, f Filter, order Order, after *position, n int) (movies []Movie, found []position, more bool, err error) {
	// One snapshot, or a film that is renamed between the two queries could be shown in the wrong place.
	err = s.db.Snapshot(ctx, func(ctx context.Context, q sqldb.Queryer) error {
		w := walk{ctx: ctx, q: q, genreKey: f.Genre}
		found = w.page(f, order, after, n+1) // one more shows whether there are more
		if w.err != nil {
			return w.err
		}
		more = len(found) > n
		found = found[:min(n, len(found))]
		ids := make([]string, len(found))
		for i, p := range found {
			_, ids[i] = splitTitleKey(p.TitleKey)
		}
		byID, err := s.movies(ctx, q, ids)
		for _, id := range ids {
			if m, ok := byID[id]; ok {
				movies = append(movies, m)
			}
		}
		return err
	})
	if err != nil {
		return nil, nil, false, explain(ctx, "list movies", err)
	}
	return movies, found, more, nil
}

// walk finds positions in the list of one genre, or of all films. Each of its queries reads a range
// of one index, no more rows than needed, and sorts nothing, so all pages cost the same.
// After an error it finds nothing.
type walk struct {
	ctx      context.Context
	q        sqldb.Queryer
	genreKey string
	err      error
}

func (w *walk) page(f Filter, order Order, after *position, n int) []position {
	first, last := f.MinYear, f.MaxYear
	if last == 0 {
		last = math.MaxInt16
		if first == 0 && order == ByTitle {
			return w.byTitle(after, n)
		}
	} else if first == 0 {
		first = MinYear // a film of unknown year never matches a year filter
	}
	switch order {
	case ByYear:
		return w.byYear(first, last, after, n)
	case ByYearDesc:
		return w.byYearDesc(first, last, after, n)
	}
	return w.byTitleInYears(first, last, after, n)
}

// byTitle reads the list itself.
func (w *walk) byTitle(after *position, n int) []position {
	return w.run("0", "title_key > ? ORDER BY title_key", n, titleOf(after))
}

// byTitleInYears merges runs. Filtering the list by year would read all of it to find the three
// films of 1895; instead at most 40 whole decades and single years cover the years, and
// each of them is a run by title.
func (w *walk) byTitleInYears(first, last int, after *position, n int) []position {
	var found []position
	for year := first; year <= min(last, MaxYear); {
		if year%10 == 0 && year+9 <= last {
			found = append(found, w.run("0", "decade = ? AND title_key > ? ORDER BY title_key", n, year, titleOf(after))...)
			year += 10
		} else {
			found = append(found, w.run("release_year", "release_year = ? AND title_key > ? ORDER BY title_key", n, year, titleOf(after))...)
			year++
		}
	}
	slices.SortFunc(found, func(a, b position) int { return strings.Compare(a.TitleKey, b.TitleKey) })
	return found[:min(n, len(found))]
}

// byYear reads the rest of the current year, then the years that follow.
func (w *walk) byYear(first, last int, after *position, n int) []position {
	var found []position
	if after != nil {
		found = w.run("release_year", "release_year = ? AND title_key > ? ORDER BY title_key", n, after.Year, after.TitleKey)
		first = after.Year + 1
	}
	if len(found) < n {
		found = append(found, w.run("release_year", "release_year >= ? AND release_year <= ? ORDER BY release_year, title_key", n-len(found), first, last)...)
	}
	return found
}

// byYearDesc is byYear backwards, except that the films of one year still come in forward order. Read
// backwards, the index shows which years the next films are from. All of these years but the
// last are complete and only need sorting; of the last one the wrong end was read, so its
// start is read again.
func (w *walk) byYearDesc(first, last int, after *position, n int) []position {
	var found []position
	if after != nil {
		found = w.run("release_year", "release_year = ? AND title_key > ? ORDER BY title_key", n, after.Year, after.TitleKey)
		last = after.Year - 1
	}
	wanted := n - len(found)
	if wanted <= 0 {
		return found
	}
	back := w.run("release_year", "release_year >= ? AND release_year <= ? ORDER BY release_year DESC, title_key DESC", wanted, first, last)
	if len(back) == wanted {
		year := back[wanted-1].Year
		back = slices.DeleteFunc(back, func(p position) bool { return p.Year == year })
		back = append(back, w.run("release_year", "release_year = ? AND title_key > ? ORDER BY title_key", wanted-len(back), year, "")...)
	}
	slices.SortFunc(back, func(a, b position) int {
		return cmp.Or(cmp.Compare(b.Year, a.Year), strings.Compare(a.TitleKey, b.TitleKey))
	})
	return append(found, back...)
}

// run reads at most n positions that meet a condition, in the order that comes with it. year is
// the column of the year, or "0" where it is not needed and the index does not have it.
func (w *walk) run(year, condition string, n int, args ...any) (found []position) {
	if w.err != nil {
		return nil
	}
	query := "SELECT title_key, " + year + " FROM movie_listings WHERE genre_key = ? AND " + condition + " LIMIT ?"
	args = append(append([]any{w.genreKey}, args...), n)
	w.err = each(w.ctx, w.q, query, args, func(scan func(...any) error) error {
		var p position
		err := scan(&p.TitleKey, &p.Year)
		found = append(found, p)
		return err
	})
	return found
}

// titleOf is the title key to continue after; every title key is greater than "".
func titleOf(after *position) string {
	if after == nil {
		return ""
	}
	return after.TitleKey
}

// selectChunk is how many ids one query of a selection has. The text of a request's last chunk varies
// and is parsed each time; the other texts are always the same.
const selectChunk = 500

// matches returns those of the movies that exist and match the filter, by id.
func (s *store) matches(ctx context.Context, ids []string, f Filter) (map[string]Match, error) {
	condition, bounds := "", []any(nil)
	if f.MinYear != 0 || f.MaxYear != 0 {
		condition += " AND release_year >= ? AND release_year <= ?"
		bounds = append(bounds, max(f.MinYear, MinYear), cmp.Or(f.MaxYear, MaxYear))
	}
	if f.Genre != "" {
		condition += " AND INSTR(genre_keys, ?) > 0"
		bounds = append(bounds, joinKeys([]string{f.Genre}))
	}
	found := make(map[string]Match, len(ids))
	for chunk := range slices.Chunk(ids, selectChunk) {
		args := make([]any, 0, len(chunk)+len(bounds))
		for _, id := range chunk {
			args = append(args, id)
		}
		query := "SELECT id, title, title_key FROM movies WHERE id IN " + s.db.Dialect().Placeholders(len(chunk), 1) + condition
		err := each(ctx, s.db.Read(), query, append(args, bounds...), func(scan func(...any) error) error {
			var (
				m   Match
				key string
			)
			err := scan(&m.ID, &m.Title, &key)
			m.SortKey, _ = splitTitleKey(key)
			found[m.ID] = m
			return err
		})
		if err != nil {
			return nil, explain(ctx, "select movies", err)
		}
	}
	return found, nil
}
