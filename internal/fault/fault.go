package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/status"
)

// Field is one complaint about one input field.
type Field struct {
	// Name is the field in the wire's spelling, e.g. "movie.year" or "ids[3]".
	Name string `json:"field"`
	// Reason says what is allowed and what was given.
	Reason string `json:"reason"`
}

// Error is an error of a known kind. Its message is written for the user who
// meets it; Err, the cause, is written for the log and never leaves the process.
type Error struct {
	Kind Kind
	// Msg is the message for the user. When empty, the Fields are the message.
	Msg string
	// Fields names the input fields that are wrong; usually only for KindInvalid.
	Fields []Field
	// Err is the cause, or nil.
	Err error
}

// Error returns the message and, behind it, the cause: the text for a log.
func (e *Error) Error() string {
	msg := e.Message()
	if e.Err == nil {
		return msg
	}
	cause := e.Err.Error()
	if cause == msg || strings.HasPrefix(cause, msg+": ") {
		return cause // two layers said the same
	}
	return msg + ": " + cause
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Message returns the text for the user: Msg, else "field: reason" of every
// field joined by "; ", else a sentence that fits the kind. It contains nothing
// of the cause.
func (e *Error) Message() string {
	switch {
	case e.Msg != "":
		return e.Msg
	case len(e.Fields) > 0:
		return joinFields(e.Fields)
	}
	return e.Kind.row().detail
}

// GRPCStatus makes the error a gRPC status error, so that it keeps its
// code even on a server without our interceptors. It is the same as [Status].
func (e *Error) GRPCStatus() *status.Status { return Status(e) }

func joinFields(fields []Field) string {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.Name)
		b.WriteString(": ")
		b.WriteString(f.Reason)
	}
	return b.String()
}

// Invalid complains about one input field. Name it in the wire's spelling, and
// let the reason say what is allowed and what was given:
//
//	fault.Invalid("value", "must be 1 to 10, got %d", v)
func Invalid(field, format string, args ...any) *Error {
	return InvalidFields([]Field{{Name: field, Reason: fmt.Sprintf(format, args...)}})
}

// InvalidFields complains about several input fields at once.
func InvalidFields(fields []Field) *Error { return &Error{Kind: KindInvalid, Fields: fields} }

// NotFound says that the requested thing does not exist; name it.
func NotFound(format string, args ...any) *Error { return newf(KindNotFound, nil, format, args) }

// Conflict says that the version the caller expected is not the current one.
func Conflict(format string, args ...any) *Error { return newf(KindConflict, nil, format, args) }

// Exists says that what was to be created is already there.
func Exists(format string, args ...any) *Error { return newf(KindExists, nil, format, args) }

// Precondition says what must be done first.
func Precondition(format string, args ...any) *Error {
	return newf(KindPrecondition, nil, format, args)
}

// Exhausted says which limit was met, and what it is.
func Exhausted(format string, args ...any) *Error { return newf(KindExhausted, nil, format, args) }

// Unavailable says what cannot be reached now. err is the cause for the log, or nil.
func Unavailable(err error, format string, args ...any) *Error {
	return newf(KindUnavailable, err, format, args)
}

// Deadline says what took too long. err is the cause for the log, or nil.
func Deadline(err error, format string, args ...any) *Error {
	return newf(KindDeadline, err, format, args)
}

// Canceled says what was given up because the caller went away. err is the cause for the log, or nil.
func Canceled(err error, format string, args ...any) *Error {
	return newf(KindCanceled, err, format, args)
}

// Unauthenticated says which credential is missing or not accepted.
func Unauthenticated(format string, args ...any) *Error {
	return newf(KindUnauthenticated, nil, format, args)
}

// Denied says what the caller may not do.
func Denied(format string, args ...any) *Error { return newf(KindDenied, nil, format, args) }

// Unimplemented says what this server does not have.
func Unimplemented(format string, args ...any) *Error {
	return newf(KindUnimplemented, nil, format, args)
}

// Internal marks a defect. Neither the message nor err leaves the process; both
// are for the log. An error that is not an *Error is internal already, so this
// is needed only to stop an inner kind from showing, e.g. when another service's
// NotFound means that our own data is broken.
func Internal(err error, format string, args ...any) *Error {
	return newf(KindInternal, err, format, args)
}

func newf(k Kind, err error, format string, args []any) *Error {
	return &Error{Kind: k, Msg: fmt.Sprintf(format, args...), Err: err}
}

// All joins the results of several input checks: nil if all are nil, one invalid
// *Error with every field if all complaints are KindInvalid, else the first
// error that is of another kind, unchanged. A user learns of all mistakes at once:
//
//	return fault.All(fault.ID("movie.id", m.ID), fault.Text("movie.title", m.Title, 500, true))
func All(errs ...error) error {
	var fields []Field
	for _, err := range errs {
		if err == nil {
			continue
		}
		e := classify(err)
		if e.Kind != KindInvalid || len(e.Fields) == 0 {
			return err
		}
		fields = append(fields, e.Fields...)
	}
	if fields == nil {
		return nil
	}
	return InvalidFields(fields)
}

// KindOf returns the kind of the outermost error in err's tree that has one:
// an *[Error], a context error or a gRPC status error. Everything else, nil
// included, is [KindInternal].
func KindOf(err error) Kind {
	if k := classify(err).Kind; int(k) < len(table) {
		return k
	}
	return KindInternal
}

// classify finds the outermost error of a known kind, depth first in the order
// of errors.As. It never returns nil: an unknown error is internal.
func classify(err error) *Error {
	if e, _ := find(err); e != nil {
		return e
	}
	return &Error{Kind: KindInternal, Err: err}
}

// find returns nil if nothing in err's tree has a kind. Where the kind came from
// a gRPC status, it returns that status too.
func find(err error) (*Error, *status.Status) {
	for err != nil {
		switch {
		case err == context.Canceled: //nolint:errorlint // this loop is the unwrapping
			return &Error{Kind: KindCanceled, Err: err}, nil
		case err == context.DeadlineExceeded: //nolint:errorlint // this loop is the unwrapping
			return &Error{Kind: KindDeadline, Err: err}, nil
		}
		if e, ok := err.(*Error); ok { //nolint:errorlint // this loop is the unwrapping
			return e, nil
		}
		if s, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
			st := s.GRPCStatus()
			return fromStatus(st, err), st
		}
		switch u := err.(type) { //nolint:errorlint // this loop is the unwrapping
		case interface{ Unwrap() error }:
			err = u.Unwrap()
		case interface{ Unwrap() []error }:
			for _, inner := range u.Unwrap() {
				if e, st := find(inner); e != nil {
					return e, st
				}
			}
			return nil, nil
		default:
			// Some errors only claim to be a context's, by an Is method.
			if errors.Is(err, context.Canceled) {
				return &Error{Kind: KindCanceled, Err: err}, nil
			}
			if errors.Is(err, context.DeadlineExceeded) {
				return &Error{Kind: KindDeadline, Err: err}, nil
			}
			return nil, nil
		}
	}
	return nil, nil
}
