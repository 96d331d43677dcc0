package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"movieexample.com/internal/fault"
)

// precondition is what the headers of a write demand of what it replaces.
type precondition struct {
	absent   bool     // If-None-Match: *
	exists   bool     // If-Match: *
	versions []string // If-Match with tags: one of these
}

// preconditionKey is the context key of a write's *precondition. It goes to from_movie.go around the generated code.
type preconditionKey struct{}

// preconditionOf returns the write's condition, or nil.
func preconditionOf(ctx context.Context) *precondition {
	p, _ := ctx.Value(preconditionKey{}).(*precondition)
	return p
}

// maxVersions bounds the tags in an If-Match: each may cost a call.
const maxVersions = 8

// checkConditions reads the conditions that the header of a write sets. It answers the request, and returns false, if there is
// one that the route cannot keep: to ignore it would let a client that believes in it overwrite what it never saw. Dates are ignored
// all the same, because RFC 9110 says that they must be: If-Unmodified-Since where nothing has a date of modification (§13.1.4), and
// no answer of ours has one for a client to send, If-Modified-Since with all that is no read (§13.1.3). What a read does with
// conditions stands in answer.go.
func (r *route) checkConditions(x *exchange) bool {
	if r.method == http.MethodGet {
		return true
	}
	var fields []fault.Field
	refuse := func(name, format string, args ...any) {
		fields = append(fields, fault.Field{Name: name, Reason: fmt.Sprintf(format, args...)})
	}
	keeps := r.conditional()
	for _, name := range [...]string{"If-Match", "If-None-Match"} {
		lines := x.header[name]
		if len(lines) == 0 {
			continue
		}
		match, none := name == "If-Match", name == "If-None-Match"
		if !(match && keeps || none && keeps && r.method == http.MethodPut) {
			instead := "send the request without it"
			if keeps {
				instead = "send the ETag that you read in If-Match"
			}
			refuse(name, "this header is not supported by %s %s: %s", r.method, r.pattern, instead)
			continue
		}
		list, ok := parseTags(lines)
		switch {
		case none && !(ok && list.any):
			refuse(name, `must be "*" on %s %s (write only what is not there yet), got %s`, r.method, r.pattern, shown(lines))
			continue
		case !ok:
			refuse(name, `must be * or entity tags in double quotes, such as "v1" or W/"v1.5c2f", got %s`, shown(lines))
			continue
		}
		if x.depends == nil {
			x.depends = &precondition{}
		}
		if none {
			x.depends.absent = true
			continue
		}
		x.depends.exists, x.depends.versions = list.any, list.versions()
		if len(x.depends.versions) > maxVersions {
			refuse(name, "must be at most %d entity tags, got %d", maxVersions, len(x.depends.versions))
		}
	}
	if p := x.depends; p != nil && p.absent && len(x.header["If-Match"]) > 0 && len(fields) == 0 {
		refuse("If-None-Match", "must not stand beside If-Match: the one wants that it does not exist, the other that it does")
	}
	if len(fields) == 0 {
		return true
	}
	x.refuse(fields...)
	return false
}

// shown is a header's value for a message. It has quotes of its own, so none are put around it.
func shown(lines []string) string {
	return shorten(strings.ToValidUTF8(strings.Join(lines, ", "), "\uFFFD"))
}

// conditional reports whether the service behind the route can make a write depend on a version. The movie service can: an etag
// is a part of the request. The rating service cannot, and to read first and then write would promise what a second writer in between
// breaks.
func (r *route) conditional() bool {
	return r.body != nil && r.body.Fields().ByName("etag") != nil || r.params["etag"] != nil
}

// unmet is a write that was not done because its precondition is not met.
type unmet struct{ header, reason string }

// Error implements error.
func (u *unmet) Error() string { return u.header + ": " + u.reason }
