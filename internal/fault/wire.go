package fault

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A gRPC status travels in HTTP/2 trailers. Many clients and proxies accept only
// 8 KiB of those, and a status that does not fit reaches the user as a protocol
// error without any text. So a message is cut, and so is a list of fields: a client that
// sent two hundred bad ids learns enough from the first sixteen.
const (
	maxMessage = 896 // bytes
	maxFields  = 16
	maxName    = 64  // bytes
	maxReason  = 160 // bytes
)

// Status maps an error to the gRPC status that a caller may see. It is the one
// place where a kind becomes a code. Fields become a google.rpc.BadRequest
// detail, and are in the message too, for readers who see only that. For
// KindInternal the text is replaced by "internal error" and there are no
// details: log err itself. A gRPC status error that is not internal keeps its
// status as it is, with whatever details it has. nil gives nil, which is OK.
func Status(err error) *status.Status {
	if err == nil {
		return nil
	}
	e, given := find(err)
	if e == nil || e.Kind.Code() == codes.Internal {
		return status.New(codes.Internal, KindInternal.row().detail)
	}
	if given != nil {
		return given
	}
	row := e.Kind.row()
	st := status.New(row.code, cut(e.Message(), maxMessage))
	if len(e.Fields) == 0 {
		return st
	}
	shown := e.Fields
	if len(shown) > maxFields {
		shown = shown[:maxFields]
	}
	detail := &errdetails.BadRequest{FieldViolations: make([]*errdetails.BadRequest_FieldViolation, 0, len(shown))}
	for _, f := range shown {
		detail.FieldViolations = append(detail.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field:       cut(f.Name, maxName),
			Description: cut(f.Reason, maxReason),
		})
	}
	full, err := st.WithDetails(detail)
	if err != nil {
		// Cannot happen: the code is not OK and cut leaves valid UTF-8. The message
		// says everything anyway.
		return st
	}
	return full
}

// FromRPC turns what a gRPC call returned into an *[Error] with kind, message and
// fields. A Canceled or Deadline error still matches context.Canceled or
// context.DeadlineExceeded. nil gives nil; an error that is no status error is
// wrapped with the kind that [KindOf] gives it.
func FromRPC(err error) error {
	if err == nil {
		return nil
	}
	return classify(err)
}

// fromStatus is the inverse of Status. err is the error the status came in.
func fromStatus(st *status.Status, err error) *Error {
	e := &Error{Kind: ofCode(st.Code()), Msg: st.Message(), Fields: fieldsOf(st)}
	switch e.Kind {
	case KindInternal:
		e.Err = err // for the log: it has the original code in its text
	case KindCanceled:
		e.Err = context.Canceled
	case KindDeadline:
		e.Err = context.DeadlineExceeded
	}
	return e
}

func fieldsOf(st *status.Status) []Field {
	var fields []Field
	for _, d := range st.Details() {
		bad, ok := d.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for _, v := range bad.GetFieldViolations() {
			fields = append(fields, Field{Name: v.GetField(), Reason: v.GetDescription()})
		}
	}
	return fields
}

// cut makes s valid UTF-8 of at most limit bytes. Protobuf refuses to encode
// other strings, and an input check may quote whatever bytes it was given.
func cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	const more = "…"
	end := limit - len(more)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + more
}

// ProblemType is the media type of a [Problem] in JSON (RFC 9457 §3).
const ProblemType = "application/problem+json"

// Problem is a problem details object (RFC 9457) with three extension members:
// code, requestId and errors.
type Problem struct {
	// Type is a relative URI that names the kind, e.g. "/problems/invalid-argument".
	Type string `json:"type"`
	// Title is the same for every problem of a type.
	Title string `json:"title"`
	// Status is the HTTP status code.
	Status int `json:"status"`
	// Detail is the message for this occurrence.
	Detail string `json:"detail,omitempty"`
	// Instance is the URI of the request; the gateway fills it in.
	Instance string `json:"instance,omitempty"`
	// Code is the name of the gRPC code, as in google.rpc.Code, e.g. "NOT_FOUND"; empty for a problem of the HTTP layer
	// that none stands for.
	Code string `json:"code,omitempty"`
	// RequestID finds the request in the logs; the gateway fills it in.
	RequestID string `json:"requestId,omitempty"`
	// Errors lists the input fields that are wrong.
	Errors []Field `json:"errors,omitempty"`
}

// ToProblem maps a gRPC status to a problem. It is the one place where a code
// becomes an HTTP status, by grpc-gateway's convention; nothing internal shows
// its text. A nil or OK status is a defect of the caller and gives an internal
// problem.
func ToProblem(st *status.Status) Problem {
	kind := ofCode(st.Code())
	row := kind.row()
	p := Problem{
		Type:   "/problems/" + row.slug,
		Title:  row.title,
		Status: row.http,
		Detail: row.detail,
		Code:   row.name,
	}
	if kind == KindInternal {
		return p
	}
	if m := st.Message(); m != "" {
		p.Detail = m
	}
	p.Errors = fieldsOf(st)
	return p
}

// String shows the problem in one line, for logs and test failures.
func (p Problem) String() string {
	return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail)
}
