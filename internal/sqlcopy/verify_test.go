package sqlcopy_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"movieexample.com/internal/sqlcopy"
	"movieexample.com/internal/sqldb/sqltest"
)

// A source or a target that somebody else writes to is told from a copy.
func TestCopyNoticesChanges(t *testing.T) {
	for name, tc := range map[string]struct {
		source, target  string
		changed, differ []string
	}{
		"nothing":                 {},
		"row changed in source":   {source: "UPDATE odd SET note = 'changed' WHERE n = 0", changed: []string{"odd"}},
		"row gone from source":    {source: "DELETE FROM tags WHERE id = '0'", changed: []string{"tags"}},
		"rows swapped":            {source: "UPDATE odd SET note = CASE n WHEN 0 THEN 'b' ELSE 'a' END WHERE n < 2", changed: []string{"odd"}},
		"row changed in target":   {target: "UPDATE odd SET maybe = 0 WHERE n = 0", differ: []string{"odd"}},
		"row added to the target": {target: "INSERT INTO tags (id, tag) VALUES ('new', 'new')", differ: []string{"tags"}},
		"both":                    {source: "DELETE FROM odd WHERE n = 0", target: "DELETE FROM numbers", changed: []string{"odd"}, differ: []string{"numbers"}},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := source(t, 9), openCopied(t, sqltest.URL(t), false)
			exec(t, from, "UPDATE odd SET note = CASE n WHEN 0 THEN 'a' ELSE 'b' END WHERE n < 2")
			c, err := sqlcopy.New(t.Context(), from, to, copied(), sqlcopy.Options{})
			if err == nil {
				err = c.Run(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			if tc.source != "" {
				exec(t, from, tc.source)
			}
			if tc.target != "" {
				exec(t, to, tc.target)
			}
			checks, err := c.Verify(t.Context())
			if len(checks) != 3 {
				t.Errorf("%d tables checked, want 3", len(checks))
			}
			wrong := (*sqlcopy.DifferenceError)(nil)
			if errors.As(err, &wrong) {
				if !slices.Equal(wrong.Changed, tc.changed) || !slices.Equal(wrong.Differ, tc.differ) {
					t.Errorf("changed %v, different %v; want %v and %v", wrong.Changed, wrong.Differ, tc.changed, tc.differ)
				}
			} else if err != nil || tc.changed != nil || tc.differ != nil {
				t.Errorf("got %v", err)
			}
			for _, check := range checks {
				if bad := slices.Contains(slices.Concat(tc.changed, tc.differ), check.Table); bad == check.Same() {
					t.Errorf("%+v", check)
				}
			}
		})
	}
}

// A checksum is that of the rows, in whatever order and pages they are read: written down, it must mean the same later.
func TestChecksumIsStable(t *testing.T) {
	for _, batch := range []int{1, 2, 100} {
		from, to := source(t, 9), openCopied(t, sqltest.URL(t), false)
		c, err := sqlcopy.New(t.Context(), from, to, copied(), sqlcopy.Options{BatchRows: batch})
		if err == nil {
			err = c.Run(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		checks, err := c.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"numbers 2 2f900f1f5ad3ef3757fc2a4e135cb8c4e803210d78493958ab958758aecd7ce3", "odd 9 1bd704658dc77eba2505e1c505b9593bd8e604fb344852bbdab979a04ae8798f", "tags 9 ca078ce0c3585db20a3df5d31ae10db5eb6df9f22502b446b80066590c48a4d2"}
		for i, check := range checks {
			if got := fmt.Sprint(check.Table, " ", check.Target.Rows, " ", check.Target.Checksum); got != want[i] {
				t.Errorf("batches of %d: %s, want %s", batch, got, want[i])
			}
		}
	}
}
