// Package problem is the errors of the HTTP layer: what they say to a client (RFC 9457), and the pages that explain them.
//
// Errors of the services have a [fault.Kind]; what the gateway itself refuses has a [Type]. Both have an entry in the
// tables of types.go, so no problem can have a type without an explanation.
package problem

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"movieexample.com/internal/fault"
)

// Error is a request that the gateway refuses.
type Error struct {
	fault.Problem
	// HeaderName and HeaderValue are a header of the response; empty for most.
	HeaderName, HeaderValue string
}

// Error implements error.
func (e *Error) Error() string { return e.Detail }

// Invalid says what is wrong with fields of a request, in the client's spelling. It does not go through a gRPC status, which
// would shorten lists of what is allowed.
func Invalid(fields ...fault.Field) *Error {
	e := InvalidText("%s", fault.InvalidFields(fields).Message())
	e.Errors = fields
	return e
}

// InvalidText says what is wrong where no single field is.
func InvalidText(format string, args ...any) *Error {
	p := ofKind(fault.KindInvalid)
	p.Detail = fmt.Sprintf(format, args...)
	return &Error{Problem: p}
}

// Error returns an error of the type.
func (t Type) Error(format string, args ...any) *Error {
	p := t.problem()
	p.Detail = fmt.Sprintf(format, args...)
	return &Error{Problem: p}
}

// JSON returns the body of a problem.
func JSON(p fault.Problem) []byte {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if enc.Encode(p) != nil { // strings and numbers: cannot happen
		return nil
	}
	return body.Bytes()
}

// Retryable reports whether a client should repeat a request that was answered with the status.
func Retryable(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// Allowed lists names for a message.
func Allowed(names []string) string {
	if len(names) == 0 {
		return "none is allowed"
	}
	return "allowed: " + strings.Join(names, ", ")
}

// Quote shows what a client sent, shortened and printable.
func Quote(v string) string { return strconv.Quote(Shorten(v)) }

// Shorten cuts a text to what a message has room for.
func Shorten(v string) string {
	const most = 60
	if len(v) <= most {
		return v
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(v[cut]) {
		cut--
	}
	return v[:cut] + "…"
}

func ofKind(kind fault.Kind) fault.Problem {
	return fault.ToProblem(fault.Status(&fault.Error{Kind: kind}))
}
