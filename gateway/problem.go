package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"movieexample.com/internal/fault"
)

// fail answers with the problem that a service's error is.
func (x *exchange) fail(err error) {
	if u := (*unmet)(nil); errors.As(err, &u) {
		p := preconditionFailed.problem()
		p.Detail, p.Errors = u.Error(), []fault.Field{{Name: u.header, Reason: u.reason}}
		x.write(p)
		return
	}
	p := fault.ToProblem(fault.Status(err))
	if x.route != nil {
		renameFields(&p, x.route)
	}
	if p.Status == http.StatusGatewayTimeout && x.route != nil && x.route.changes {
		p.Detail = strings.TrimSuffix(p.Detail, ": try again later") + "; whether the change was made is not known: read it back, or send the same request again"
	}
	x.write(p)
	x.because(err)
}

// because notes for the log why the answer is an error. The client reads what happened, the log also why. A kind's own sentence is no
// news; an unknown code is, and is only in the error.
func (x *exchange) because(err error) {
	var f *fault.Error
	switch {
	case errors.As(err, &f) && f.Err != nil:
		x.problem = f.Error()
	case fault.KindOf(err) == fault.KindInternal:
		x.problem = err.Error()
	case x.problem == "":
		x.problem = fault.Status(err).Message()
	}
}

// mayRetry reports whether it is worth to send a request again soon.
func mayRetry(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// refuse answers with what is wrong with the request itself. The fields are in the client's spelling. They do not go through a
// gRPC status, which would shorten lists of what is allowed.
func (x *exchange) refuse(fields ...fault.Field) {
	p := fault.ToProblem(fault.Status(&fault.Error{Kind: fault.KindInvalid}))
	p.Detail, p.Errors = fault.InvalidFields(fields).Message(), fields
	x.write(p)
}

// refuseText is refuse where no single field is wrong.
func (x *exchange) refuseText(format string, args ...any) {
	p := fault.ToProblem(fault.Status(&fault.Error{Kind: fault.KindInvalid}))
	p.Detail = fmt.Sprintf(format, args...)
	x.write(p)
}

// refuseHTTP answers with a problem of the HTTP layer.
func (x *exchange) refuseHTTP(r refusal, format string, args ...any) {
	p := r.problem()
	p.Detail = fmt.Sprintf(format, args...)
	x.write(p)
}

// write answers with a problem. It is the only place that does.
func (x *exchange) write(p fault.Problem) {
	if x.status != 0 {
		return // the answer is under way: nothing can be said any more
	}
	p.Instance = x.path
	p.RequestID = x.requestID
	x.problem = p.Detail
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil { // texts and numbers: cannot happen
		body.Reset()
	}
	h := x.Header()
	h["Content-Type"] = []string{fault.ProblemType}
	h["Cache-Control"] = noStore
	for _, name := range [...]string{"Content-Length", "Etag", "Link", "Content-Location"} {
		delete(h, name) // of the answer that this one is instead of
	}
	if mayRetry(p.Status) {
		h["Retry-After"] = retryAfter
	}
	x.WriteHeader(p.Status)
	_, _ = x.Write(body.Bytes()) // a client that is gone is logged by its context
}

// renameFields puts the names of fields, and the message that was made of them, into the client's spelling.
func renameFields(p *fault.Problem, r *route) {
	if len(p.Errors) == 0 {
		return
	}
	own := make([]fault.Field, len(p.Errors))
	for i, f := range p.Errors {
		own[i] = fault.Field{Name: r.fieldName(f.Name), Reason: f.Reason}
	}
	if strings.HasPrefix(p.Detail, p.Errors[0].Name+": ") {
		p.Detail = fault.InvalidFields(own).Message()
	}
	p.Errors = own
}

// allowed lists names for a message.
func allowed(names []string) string {
	if len(names) == 0 {
		return "none is allowed"
	}
	return "allowed: " + strings.Join(names, ", ")
}
