// Package faultdriver makes the N-th operation of a database fail, for tests.
//
// It stands between database/sql and a driver (sqldb.Options.Wrap), so that the code
// under test runs unchanged on the real engine. [Sweep] lets a test try every
// operation of a scenario, in every [Mode]:
//
//	for plan := range faultdriver.Sweep(faultdriver.Modes()...) {
//		db, err := sqldb.Open(ctx, url(), sqldb.Options{Wrap: plan.Wrap})
//		// … migrate, fill: not counted yet
//		plan.Start()
//		err = store.Put(ctx, movie) // may fail, but must not lie
//		plan.Stop()
//		// … check the invariants; plan.String() names the operation that failed
//	}
//
// Counted are Begin, Prepare, Exec, Query, Next (each row, and the end), Commit and
// Rollback, over all connections. Connecting, closing and pings are not.
//
// # How database/sql handles the errors
//
// driver.ErrBadConn means "this connection is dead, and the operation did not happen".
// database/sql then repeats an operation for which it chose the connection itself
// (sql.DB.Exec, Query, Begin) on another one: at most twice on pooled connections, then
// on a new one. The caller may never see the error. It does not repeat anything inside
// a transaction or on a sql.Conn. A driver must therefore not return ErrBadConn for an
// operation that may have happened, and [LostAfter] does not.
package faultdriver
