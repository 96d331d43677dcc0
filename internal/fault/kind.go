package fault

import (
	"net/http"

	"google.golang.org/grpc/codes"
)

// Kind says what a caller can do about an error. The zero value is
// [KindInternal], so that an unclassified error is never shown to a user.
type Kind uint8

// The kinds. The comment names the gRPC code and the HTTP status.
const (
	// KindInternal: a defect or an unclassified failure; the text stays in the log. INTERNAL, 500.
	KindInternal Kind = iota
	// KindInvalid: the request is wrong whatever the state of the system. INVALID_ARGUMENT, 400.
	KindInvalid
	// KindNotFound: the requested thing does not exist. NOT_FOUND, 404.
	KindNotFound
	// KindConflict: a version or etag is not the current one; read again, then retry. ABORTED, 409.
	KindConflict
	// KindExists: what was to be created is already there. ALREADY_EXISTS, 409.
	KindExists
	// KindPrecondition: the system's state forbids it until something else is done first. FAILED_PRECONDITION, 400.
	KindPrecondition
	// KindExhausted: too large, too many or too often. RESOURCE_EXHAUSTED, 429.
	KindExhausted
	// KindUnavailable: not reachable now; the same call may succeed later. UNAVAILABLE, 503.
	KindUnavailable
	// KindDeadline: the deadline passed; the outcome is unknown. DEADLINE_EXCEEDED, 504.
	KindDeadline
	// KindCanceled: the caller went away. CANCELLED, 499.
	KindCanceled
	// KindUnauthenticated: who is asking is not known. UNAUTHENTICATED, 401.
	KindUnauthenticated
	// KindDenied: who is asking is known and may not. PERMISSION_DENIED, 403.
	KindDenied
	// KindUnimplemented: this server has no such method or option. UNIMPLEMENTED, 501.
	KindUnimplemented
)

// StatusClientClosedRequest is the HTTP status of [KindCanceled]. It has no name
// in RFC 9110; nginx introduced it and grpc-gateway uses it too.
const StatusClientClosedRequest = 499

// mapping is one row of the table that the whole package runs on.
type mapping struct {
	code   codes.Code
	name   string // the code's name in google.rpc.Code, for Problem.Code
	http   int
	slug   string // last element of Problem.Type, and Kind.String
	title  string // Problem.Title: constant per kind (RFC 9457 §3.1.3)
	detail string // the message when an error brings none
}

// table is indexed by Kind and never changes.
var table = [...]mapping{
	KindInternal:        {codes.Internal, "INTERNAL", http.StatusInternalServerError, "internal", "Internal error", "internal error"},
	KindInvalid:         {codes.InvalidArgument, "INVALID_ARGUMENT", http.StatusBadRequest, "invalid-argument", "Invalid argument", "the request is not valid"},
	KindNotFound:        {codes.NotFound, "NOT_FOUND", http.StatusNotFound, "not-found", "Not found", "not found"},
	KindConflict:        {codes.Aborted, "ABORTED", http.StatusConflict, "conflict", "Conflict", "changed in the meantime: read it again, then retry"},
	KindExists:          {codes.AlreadyExists, "ALREADY_EXISTS", http.StatusConflict, "already-exists", "Already exists", "already exists"},
	KindPrecondition:    {codes.FailedPrecondition, "FAILED_PRECONDITION", http.StatusBadRequest, "failed-precondition", "Failed precondition", "not possible in the current state"},
	KindExhausted:       {codes.ResourceExhausted, "RESOURCE_EXHAUSTED", http.StatusTooManyRequests, "resource-exhausted", "Limit exceeded", "a limit is exceeded"},
	KindUnavailable:     {codes.Unavailable, "UNAVAILABLE", http.StatusServiceUnavailable, "unavailable", "Unavailable", "unavailable, try again later"},
	KindDeadline:        {codes.DeadlineExceeded, "DEADLINE_EXCEEDED", http.StatusGatewayTimeout, "deadline-exceeded", "Deadline exceeded", "the deadline passed before the answer was ready"},
	KindCanceled:        {codes.Canceled, "CANCELLED", StatusClientClosedRequest, "canceled", "Canceled", "the caller canceled the call"},
	KindUnauthenticated: {codes.Unauthenticated, "UNAUTHENTICATED", http.StatusUnauthorized, "unauthenticated", "Unauthenticated", "authentication is required"},
	KindDenied:          {codes.PermissionDenied, "PERMISSION_DENIED", http.StatusForbidden, "permission-denied", "Permission denied", "not permitted"},
	KindUnimplemented:   {codes.Unimplemented, "UNIMPLEMENTED", http.StatusNotImplemented, "unimplemented", "Not implemented", "not implemented"},
}

// row returns k's mapping; a Kind out of range counts as KindInternal.
func (k Kind) row() *mapping {
	if int(k) >= len(table) {
		k = KindInternal
	}
	return &table[k]
}

// String returns the kind as one lower-case word with dashes, e.g.
// "invalid-argument". It is stable: logs, metrics and problem types use it.
func (k Kind) String() string { return k.row().slug }

// Code returns the gRPC code of the kind.
func (k Kind) Code() codes.Code { return k.row().code }

// HTTPStatus returns the HTTP status code of the kind.
func (k Kind) HTTPStatus() int { return k.row().http }

// ofCode is the inverse of Kind.Code. Codes that no kind produces fold into the
// kind that asks the same of a caller; what is left is internal.
func ofCode(c codes.Code) Kind {
	for k := range table {
		if table[k].code == c {
			return Kind(k)
		}
	}
	if c == codes.OutOfRange {
		return KindInvalid
	}
	return KindInternal // Unknown, DataLoss, and codes of the future
}
