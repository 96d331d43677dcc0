package gateway

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

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
	if x.flight != nil {
		o.horizon = e.answers.now(time.Now()).Add(-freshFor).UnixNano()
	}
	if err := x.plan.append(o, body); err != nil {
		x.fail(fmt.Errorf("%s %s: %w", x.route.method, x.route.pattern, err))
		return
	}
	if x.route.method == http.MethodGet {
		e.read(x, o, body)
		return
	}
	h := x.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	if x.route.method == http.MethodPut {
		// The body is what a GET would answer now, and Content-Location says so: without it the tag would promise that what was sent
		// was stored byte by byte (RFC 9110 §9.3.4, §8.7).
		x.set("Etag", tagOf(o, versionOf(body)))
		x.set("Content-Location", x.target())
	}
	x.set("Content-Length", strconv.Itoa(len(o.buf)))
	_, _ = x.Write(o.buf) // a client that is gone is logged by its context
}

// read answers a read with body, which was written into o.
func (e *edge) read(x *exchange, o *jsonOut, body proto.Message) {
	r := &representation{
		route: x.route, metrics: x.metrics, body: o.buf, contentType: jsonType, control: revalidate,
		tag: [1]string{tagOf(o, versionOf(body))}, length: [1]string{strconv.Itoa(len(o.buf))},
	}
	if paged, ok := body.(interface{ GetNextPageToken() string }); ok && paged.GetNextPageToken() != "" {
		r.link[0] = "<" + x.next(paged.GetNextPageToken()) + `>; rel="next"`
	}
	if x.flight != nil {
		r.body = bytes.Clone(o.buf) // o is used again
		e.answers.keep(x.flight, r, e.oldest(x, o, body))
	}
	e.reply(x, r)
}

// oldest is the oldest as-of time of an answer that calls what it dates fresh; zero for none.
func (e *edge) oldest(x *exchange, o *jsonOut, body proto.Message) time.Time {
	if x.plan != x.route.answer {
		// What was not asked for may be what dates the rest: the whole answer has it.
		whole := e.json.get()
		defer e.json.put(whole)
		whole.horizon = o.horizon
		if x.route.answer.append(whole, body) != nil {
			return time.Unix(0, o.horizon) // cannot be, after a part of it was written; nothing as old is kept
		}
		o = whole
	}
	if o.oldest == math.MaxInt64 {
		return time.Time{}
	}
	return time.Unix(0, o.oldest)
}

// versionOf is the version of what a write would replace, "" where there is none.
func versionOf(body proto.Message) string {
	if versioned, ok := body.(interface{ GetEtag() string }); ok {
		return versioned.GetEtag()
	}
	return ""
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
