// Package sqlcopy copies a database into an empty one, of either engine, and proves that both have the same rows:
//
//	c, err := sqlcopy.New(ctx, from, to, schema, opt) // begins, or resumes what an earlier run began
//	err = c.Run(ctx)                                  // copies the rows
//	checks, err := c.Verify(ctx)                      // compares them
//	err = c.Finish(ctx)                               // allows the target to be used
//
// Rows are copied in the order of their primary keys, in batches of one transaction each. The same transaction records the position
// in a table of the target, so that a copy that was killed at any moment resumes after its last batch. While that table has rows,
// [sqldb.DB.Migrate] refuses the database: no service starts on half of the data.
//
// Rows are inserted, never replaced. A row that exists already was not copied, and is an error.
//
// The source must not change during a copy. [Copy.Verify] detects a change.
package sqlcopy
