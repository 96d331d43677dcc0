package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"google.golang.org/protobuf/proto"
)

// What can be read may be stored, by anybody, and must be asked for again before it is used: "no-cache". Nothing here can prove
// a max-age. A film may be edited and rated at any time, a write must be seen by the next read of whoever wrote, and
// revalidation is cheap: the client sends the tag it has, and 304 has no body. Writes and problems are not stored at all.

// send answers with what a service said.
func (e *edge) send(x *exchange, said proto.Message) {
	body := said
	if in, ok := said.(interface{ XXX_ResponseBody() any }); ok {
		// The rule has a response_body.
		if body, ok = in.XXX_ResponseBody().(proto.Message); !ok {
			x.fail(fmt.Errorf("%s %s: its response_body is no message", x.route.method, x.route.pattern))
			return
		}
	}
	o := e.json.get()
	defer e.json.put(o)
	if err := x.plan.append(o, body); err != nil {
		x.fail(fmt.Errorf("%s %s: %w", x.route.method, x.route.pattern, err))
		return
	}
	h := x.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	switch x.route.method {
	case http.MethodGet:
		h["Cache-Control"] = revalidate
		tag := x.tag(o, body)
		if !x.matches(tag) {
			return
		}
		if paged, ok := body.(interface{ GetNextPageToken() string }); ok && paged.GetNextPageToken() != "" {
			x.set("Link", "<"+x.next(paged.GetNextPageToken())+`>; rel="next"`)
		}
		if unmodified(x.header, tag) {
			delete(h, "Content-Type")
			x.WriteHeader(http.StatusNotModified)
			return
		}
	case http.MethodPut:
		// The body is what a GET would answer now, and Content-Location says so: without it the tag would promise that what was sent
		// was stored byte by byte (RFC 9110 §9.3.4, §8.7).
		x.tag(o, body)
		x.set("Content-Location", x.target())
	}
	x.set("Content-Length", strconv.Itoa(len(o.buf)))
	_, _ = x.Write(o.buf) // a client that is gone is logged by its context
}

// tag makes and sets the answer's ETag.
func (x *exchange) tag(o *jsonOut, body proto.Message) string {
	version := ""
	if versioned, ok := body.(interface{ GetEtag() string }); ok {
		version = versioned.GetEtag()
	}
	tag := tagOf(o, version)
	x.set("Etag", tag)
	return tag
}

// matches answers the request, and returns false, if it is a read that must not be answered with another version than it names.
// Dates are not looked at: nothing here has a Last-Modified, and RFC 9110 (§13.1.3, §13.1.4) has them ignored then. Nor is
// Range (§14.2): answers are pages already.
func (x *exchange) matches(tag string) bool {
	lines := x.header["If-Match"]
	if len(lines) == 0 {
		return true
	}
	list, ok := parseTags(lines)
	if ok && list.has(tag) {
		return true
	}
	delete(x.Header(), "Etag")
	x.refuseHTTP(preconditionFailed, "If-Match: what is here now has the ETag %s: leave If-Match out to read it", tag)
	return false
}

// target is the request's path and query, in a form that may stand in a header.
func (x *exchange) target() string {
	if len(x.query) == 0 {
		return x.path
	}
	return x.path + "?" + x.query.Encode()
}

// next is the reference to the next page: the same request with another token.
func (x *exchange) next(token string) string {
	query := make(url.Values, len(x.query)+1)
	for name, values := range x.query {
		if name != "pageToken" {
			query[name] = values
		}
	}
	query["page_token"] = []string{token}
	return x.path + "?" + query.Encode()
}
