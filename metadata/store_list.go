package metadata

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"movieexample.com/internal/sqldb"
)

// list returns the first n films after the position (nil: from the beginning), and the position
// of the last of them if there are more.
func (s *store) list(ctx context.Context, f Filter, order Order, after *position, n int) ([]Movie, *position, error) {
	var (
		movies []Movie
		more   *position
	)
	// One snapshot, or a film that is renamed between the two queries could be shown where it
	// is not.
	err := s.db.Snapshot(ctx, func(ctx context.Context, q sqldb.Queryer) error {
		w := walk{ctx: ctx, q: q, genreKey: f.Genre}
		found := w.page(f, order, after, n+1) // one more tells whether there are more
		if w.err != nil {
			return w.err
		}
		if len(found) > n {
			found = found[:n]
			more = &found[n-1]
		}
		ids := make([]string, len(found))
		for i, p := range found {
			ids[i] = idOfTitleKey(p.TitleKey)
		}
		rows, err := s.movies(ctx, q, ids)
		movies = ordered(ids, rows)
		if n := fitting(movies); n < len(movies) && len(movies) == len(found) {
			movies, more = movies[:n], &found[n-1]
		}
		return err
	})
	if err != nil {
		return nil, nil, explain(ctx, "list movies", err)
	}
	return movies, more, nil
}

// pageBytes bounds the movies of one page: an answer must stay far under what gRPC takes, and movies may have texts of 150 KB.
const pageBytes = 2 << 20

// fitting returns how many of the movies a page has room for: one at least, where there is one.
func fitting(movies []Movie) int {
	size := 0
	for i, m := range movies {
		if size += m.bytes(); size > pageBytes && i > 0 {
			return i
		}
	}
	return len(movies)
}

// bytes is about what the movie takes in a message.
func (m Movie) bytes() int {
	n := 200 + len(m.ID) + len(m.Title) + len(m.OriginalTitle) + len(m.Director) + len(m.Description)
	for _, list := range [][]string{m.AlternativeTitles, m.Genres} {
		for _, text := range list {
			n += 4 + len(text)
		}
	}
	return n
}

// walk finds positions in the list of one genre, or of all films. Every query of it reads a run
// of neighbours in one index, no more of them than are wanted, and sorts nothing: that is what
// makes a page cost the same wherever it is. After an error it finds nothing.
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
// films of 1895; instead the years are covered by at most 40 whole decades and single years, and
// each of them is a run by title of its own.
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

// byYear reads the rest of the year it is in, then the years that follow.
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

// byYearDesc is byYear backwards, in which the films of one year must still come forwards. Read
// backwards, the index tells which years the next films are from. All of these years but the
// last are complete and only need sorting; of the last one the wrong end was read, so its
// beginning is read again.
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
// the column of the year, or "0" where nobody needs it and the index has it not.
func (w *walk) run(year, condition string, n int, args ...any) []position {
	if w.err != nil {
		return nil
	}
	args = append(append([]any{w.genreKey}, args...), n)
	rows, err := w.q.QueryContext(w.ctx, "SELECT title_key, "+year+" FROM movie_listings WHERE genre_key = ? AND "+condition+" LIMIT ?", args...)
	if err != nil {
		w.err = err
		return nil
	}
	defer rows.Close()
	var found []position
	for rows.Next() {
		var p position
		if w.err = rows.Scan(&p.TitleKey, &p.Year); w.err != nil {
			return nil
		}
		found = append(found, p)
	}
	w.err = rows.Err()
	return found
}

// titleOf is the title key to go on after; every title key is greater than "".
func titleOf(after *position) string {
	if after == nil {
		return ""
	}
	return after.TitleKey
}

// decadeOf is the first year of a year's decade, 0 for an unknown year.
func decadeOf(year int) int { return year - year%10 }

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
		if err := s.addMatches(ctx, found, query, append(args, bounds...)); err != nil {
			return nil, explain(ctx, "select movies", err)
		}
	}
	return found, nil
}

// selectChunk is how many ids one query of a selection has. The last chunk's text differs from
// request to request and is parsed each time; the other texts are always the same.
const selectChunk = 500

func (s *store) addMatches(ctx context.Context, found map[string]Match, query string, args []any) error {
	rows, err := s.db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			m   Match
			key string
		)
		if err := rows.Scan(&m.ID, &m.Title, &key); err != nil {
			return err
		}
		m.SortKey = sortKeyOf(key)
		found[m.ID] = m
	}
	return rows.Err()
}
