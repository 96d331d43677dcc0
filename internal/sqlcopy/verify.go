package sqlcopy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"movieexample.com/internal/sqldb"
)

// TableCheck is the result for one table.
type TableCheck struct {
	Table string
	// Copied is the sum of the rows as they were copied. Source and Target are the sums of the rows in the two databases after the
	// copy.
	Copied, Source, Target TableSum
}

// Same reports whether all three agree.
func (c TableCheck) Same() bool { return c.Copied == c.Source && c.Source == c.Target }

// DifferenceError says that the two databases differ after the copy.
type DifferenceError struct {
	Source, Target string // what messages call the databases
	// Changed are the tables of the source that were written to during the copy, Differ the others.
	Changed, Differ []string
}

// Error names the tables and what to do.
func (e *DifferenceError) Error() string {
	var parts []string
	if len(e.Changed) > 0 {
		parts = append(parts, fmt.Sprintf("database %s changed during the copy (%s): stop the service that uses it, and copy again with --start-over",
			e.Source, strings.Join(e.Changed, ", ")))
	}
	if len(e.Differ) > 0 {
		parts = append(parts, fmt.Sprintf("database %s does not have the rows that were copied to it (%s): stop all other programs that write to it, and copy again with --start-over",
			e.Target, strings.Join(e.Differ, ", ")))
	}
	return strings.Join(parts, "; ")
}

// Verify reads all rows of both databases and compares their sums. It returns the checks of all tables, in the order of their names,
// and a [*DifferenceError] if any differ.
//
// The sums of the source from the time of the copy are compared with its sums now, to detect writes during the copy.
func (c *Copy) Verify(ctx context.Context) ([]TableCheck, error) {
	var lock sync.Mutex
	rows, total := int64(0), 2*c.rows
	report := func(n int) {
		lock.Lock()
		defer lock.Unlock()
		rows += int64(n)
		c.opt.Progress(Progress{Verifying: true, Rows: rows, Total: max(total, rows)})
	}
	report(0)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sums := func(db *sqldb.DB) ([]TableSum, error) {
		all := make([]TableSum, len(c.tables))
		for i, t := range c.tables {
			err := t.eachPage(ctx, db, nil, defaultBatch, func(p page) error {
				all[i].Rows += int64(len(p.rows))
				all[i].Checksum.add(p.sum)
				report(len(p.rows))
				return nil
			})
			if err != nil {
				cancel()
				return nil, err
			}
		}
		return all, nil
	}
	var source, target []TableSum
	var errs [2]error
	var both sync.WaitGroup
	both.Go(func() { source, errs[0] = sums(c.from) })
	both.Go(func() { target, errs[1] = sums(c.to) })
	both.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return nil, err // the other error only says that the reading was canceled
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	wrong := &DifferenceError{Source: c.from.Name(), Target: c.to.Name()}
	checks := make([]TableCheck, len(c.tables))
	for i, t := range c.tables {
		checks[i] = TableCheck{Table: t.name, Copied: TableSum{t.copied, t.sum}, Source: source[i], Target: target[i]}
		switch {
		case checks[i].Source != checks[i].Copied:
			wrong.Changed = append(wrong.Changed, t.name)
		case !checks[i].Same():
			wrong.Differ = append(wrong.Differ, t.name)
		}
	}
	if len(wrong.Changed)+len(wrong.Differ) > 0 {
		return checks, wrong
	}
	return checks, nil
}
