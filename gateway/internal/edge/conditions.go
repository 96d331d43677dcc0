package edge

import (
	"fmt"
	"net/http"
	"strings"

	"movieexample.com/gateway/internal/problem"
	"movieexample.com/gateway/internal/transcode"
	"movieexample.com/gateway/internal/upstream"
	"movieexample.com/internal/fault"
)

// maxVersions bounds the tags in an If-Match: each may cost a call.
const maxVersions = 8

// preconditionOf reads the conditions in the header of a write; nil for none. It refuses a condition that the route cannot keep: to
// ignore it would let a client that relies on it overwrite what it never saw. Conditions with dates are ignored, because RFC 9110
// requires that where no response has a date of modification (§13.1.3, §13.1.4). Reads check their conditions when their response is
// written.
func preconditionOf(r *transcode.Route, header http.Header) (*upstream.Precondition, error) {
	if r.Method == http.MethodGet {
		return nil, nil
	}
	var p *upstream.Precondition
	var fields []fault.Field
	refuse := func(name, format string, args ...any) {
		fields = append(fields, fault.Field{Name: name, Reason: fmt.Sprintf(format, args...)})
	}
	keeps := r.Conditional
	for _, name := range [...]string{"If-Match", "If-None-Match"} {
		lines := header[name]
		if len(lines) == 0 {
			continue
		}
		match, none := name == "If-Match", name == "If-None-Match"
		if !(match && keeps || none && keeps && r.Method == http.MethodPut) {
			instead := "send the request without it"
			if keeps {
				instead = "send the ETag that you read in If-Match"
			}
			refuse(name, "this header is not supported by %s %s: %s", r.Method, r.Pattern, instead)
			continue
		}
		list, ok := parseTags(lines)
		switch {
		case none && !(ok && list.any):
			refuse(name, `must be "*" on %s %s (write only what is not there yet), got %s`, r.Method, r.Pattern, shown(lines))
			continue
		case !ok:
			refuse(name, `must be * or entity tags in double quotes, such as "v1" or W/"v1.5c2f", got %s`, shown(lines))
			continue
		}
		if p == nil {
			p = &upstream.Precondition{}
		}
		if none {
			p.Absent = true
			continue
		}
		p.Exists, p.Versions = list.any, list.versions()
		if len(p.Versions) > maxVersions {
			refuse(name, "must be at most %d entity tags, got %d", maxVersions, len(p.Versions))
		}
	}
	if p != nil && p.Absent && len(header["If-Match"]) > 0 && len(fields) == 0 {
		refuse("If-None-Match", "must not be combined with If-Match: one requires that the movie does not exist, the other that it does")
	}
	if len(fields) > 0 {
		return nil, problem.Invalid(fields...)
	}
	return p, nil
}

// shown is a header's value for a message. It contains quotes, so none are added.
func shown(lines []string) string {
	return problem.Shorten(strings.ToValidUTF8(strings.Join(lines, ", "), "\uFFFD"))
}
