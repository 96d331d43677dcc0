package sqldb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// TableSum stands for all rows of a table: equal sums, equal rows.
type TableSum struct {
	Rows     int64
	Checksum Checksum
}

// TableCheck is what is known about the copy of a table.
type TableCheck struct {
	Table string
	// Copied is the sum of the rows when they were read to be copied; Source and Target are the sums of those that the two
	// databases have after the copy.
	Copied, Source, Target TableSum
}

// Same reports whether all three agree.
func (c TableCheck) Same() bool { return c.Copied == c.Source && c.Source == c.Target }

// DifferenceError says that a copy is none: some table of the two databases is not the same.
type DifferenceError struct {
	Source, Target string // what messages call the databases
	// Changed are the tables of the source that were written to during the copy, Differ the others.
	Changed, Differ []string
}

// Error says what happened and what to do.
func (e *DifferenceError) Error() string {
	var parts []string
	if len(e.Changed) > 0 {
		parts = append(parts, fmt.Sprintf("database %s was written to while it was copied (%s): stop the service that uses it, and copy again with --start-over",
			e.Source, strings.Join(e.Changed, ", ")))
	}
	if len(e.Differ) > 0 {
		parts = append(parts, fmt.Sprintf("database %s does not have what was copied to it (%s): stop whatever else writes to it, and copy again with --start-over",
			e.Target, strings.Join(e.Differ, ", ")))
	}
	return strings.Join(parts, "; ")
}

// Verify reads all rows of both databases and compares. The checks are of all tables, in the order of their names; if
// there is any difference, the error is a [*DifferenceError].
//
// The rows of the source were counted and summed up when they were copied, by whichever runs, and are so once more here: a
// source that was written to meanwhile is recognised as such.
func (c *Copy) Verify(ctx context.Context) ([]TableCheck, error) {
	var lock sync.Mutex
	rows, total := int64(0), 2*c.rows
	report := func(n int) {
		lock.Lock()
		defer lock.Unlock()
		rows += int64(n)
		c.opt.Progress(CopyProgress{Verifying: true, Rows: rows, Total: max(total, rows)})
	}
	report(0)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sums := func(db *DB) ([]TableSum, error) {
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
			return nil, err // the other one only says that it was stopped
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	wrong := &DifferenceError{Source: c.from.name, Target: c.to.name}
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
