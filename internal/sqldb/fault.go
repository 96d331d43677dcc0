package sqldb

import (
	"errors"

	"movieexample.com/internal/fault"
)

// Fault gives an error of this package the kind with which a service answers, so that
// each store need not repeat the rules. Stores first handle what has a meaning of its
// own for them (no row, [Duplicate]), then return Fault(err).
//
//   - [Transient] and [*CommitError]: Unavailable. Everything our services write can be
//     repeated with the same effect, so a client that retries is right in both cases.
//   - [*TroubleError], which is about a file that cannot be written, damage, a missing right or a refused login: Unavailable,
//     with the database and what to do.
//   - [Full]: Unavailable, with a text that says so to the client as well; it is not
//     the client's quota that is exhausted.
//   - a server that is read-only: Unavailable. It is being replaced, or was replaced.
//   - an error that has a kind already, or is about a context: unchanged.
//   - any other: unchanged, which means Internal; its text stays in the log.
func Fault(err error) error {
	var kind *fault.Error
	var unknown *CommitError
	var trouble *TroubleError
	switch {
	case err == nil, errors.As(err, &kind):
		return err
	case Full(err):
		return fault.Unavailable(err, "the database's disk is full; the operator must free space, then the same request succeeds")
	case errors.As(err, &trouble) && refusesWrites(err) && !mysqlReadOnlyServer(err):
		return fault.Unavailable(err, "database %s: %s", trouble.Name, trouble.Hint)
	case errors.As(err, &unknown):
		return fault.Unavailable(err, "the database did not confirm the change; read it back, or repeat the same request")
	case mysqlReadOnlyServer(err):
		return fault.Unavailable(err, "the database takes no writes at the moment; repeat the same request later")
	case Transient(err):
		return fault.Unavailable(err, "the database is busy or was not reached; repeat the same request")
	default:
		return err
	}
}
