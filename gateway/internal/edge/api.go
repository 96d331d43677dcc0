package edge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"google.golang.org/protobuf/proto"

	"movieexample.com/gateway/internal/problem"
	"movieexample.com/gateway/internal/respcache"
	"movieexample.com/gateway/internal/transcode"
	"movieexample.com/gateway/internal/upstream"
)

// route is a route of the API.
type route struct {
	*transcode.Route
	ofFilms bool // it is the movie service's
	metrics *routeMetrics
}

// serveAPI answers a request to the API: it is checked, a service is called, and the answer is written.
func (h *Handler) serveAPI(x *requestState, r *http.Request) {
	found, values, allow := h.Transcoder.Find(r.Method, x.path)
	switch {
	case found == nil && len(allow) > 0:
		x.notAllowed(allow)
		return
	case found == nil:
		x.fail(problem.NoSuchRoute.Error("the API has nothing at this path; its routes are described at %s and in %s", docsPath, descriptionPath))
		return
	}
	x.route, x.metrics = h.routes[found], h.routes[found].metrics
	req, ctx, err := h.read(x, r, values)
	if err == nil {
		var answer proto.Message
		if answer, err = h.call(ctx, x.route, req, values); err == nil {
			err = h.write(x, req, answer)
		}
	}
	if err != nil {
		x.fail(err)
	}
}

// read checks a request and reads it. The context is that of its call.
func (h *Handler) read(x *requestState, r *http.Request, values map[string]string) (*transcode.Request, context.Context, error) {
	if !x.route.ReadOnly {
		if err := h.hosts.check(r.Host); err != nil {
			return nil, nil, err
		}
	}
	if err := x.route.CheckPath(values); err != nil {
		return nil, nil, err
	}
	condition, err := preconditionOf(x.route.Route, x.header)
	if err != nil {
		return nil, nil, err
	}
	ctx := r.Context()
	if condition != nil {
		ctx = upstream.WithPrecondition(ctx, condition)
	}
	req, err := x.route.Read(x.conn(), r, values)
	return req, ctx, err
}

// call makes the call. Cached responses from before a write are invalid when it begins, and again when it ends, failed or not: a
// write that failed may have been done.
func (h *Handler) call(ctx context.Context, rt *route, req *transcode.Request, values map[string]string) (proto.Message, error) {
	if rt.ReadOnly {
		return rt.Call(ctx, req.Message)
	}
	var scope respcache.Scope // all, for films
	film := ""
	if !rt.ofFilms && values["record_type"] == "movie" {
		film = values["record_id"]
	}
	if id, ok := values["record_id"]; ok && !rt.ofFilms {
		scope = h.cache.Film(id)
	}
	done := h.cache.Write(scope)
	defer func() {
		if film != "" {
			h.Recent.Rated(film) // before done: what is composed after it must know
		}
		done()
	}()
	return rt.Call(ctx, req.Message)
}

// write answers with the message of a service.
func (h *Handler) write(x *requestState, req *transcode.Request, answer proto.Message) error {
	o := h.buffers.Get()
	defer h.buffers.Put(o)
	if x.flight != nil {
		o.Since = x.flight.Since().UnixNano()
	}
	if err := req.Answer.Append(o, answer); err != nil {
		return fmt.Errorf("%s %s: %w", x.route.Method, x.route.Pattern, err)
	}
	tag := etag(versionOf(answer), o.Hash())
	if x.route.Method == http.MethodGet {
		h.writeRead(x, req, answer, o, tag)
		return nil
	}
	header := x.Header()
	header["Content-Type"], header["Cache-Control"] = jsonType, noStore
	if x.route.Method == http.MethodPut {
		// The body is what a GET would answer now, and Content-Location says so: without it the tag would promise that the request's
		// body was stored byte by byte (RFC 9110 §9.3.4, §8.7).
		x.set("Etag", tag)
		location := x.path
		if len(req.Query) > 0 {
			location += "?" + req.Query.Encode()
		}
		x.set("Content-Location", location)
	}
	x.set("Content-Length", strconv.Itoa(len(o.Bytes)))
	_, _ = x.Write(o.Bytes) // a client that is gone is logged by its context
	return nil
}

// writeRead answers a GET with answer, which was written into o.
func (h *Handler) writeRead(x *requestState, req *transcode.Request, answer proto.Message, o *transcode.Buffer, tag string) {
	r := &response{api: true, metrics: x.metrics, body: o.Bytes, contentType: jsonType, control: revalidate, tag: [1]string{tag}}
	if paged, ok := answer.(interface{ GetNextPageToken() string }); ok && paged.GetNextPageToken() != "" {
		r.link[0] = "<" + x.path + "?" + nextQuery(req.Query, paged.GetNextPageToken()) + `>; rel="next"`
	}
	if x.flight == nil {
		h.reply(x, r, nil)
		return
	}
	oldest := o.Oldest()
	if full := x.route.FullAnswer(); req.Answer != full {
		// A field that was left out may be what dates the rest.
		whole := h.buffers.Get()
		defer h.buffers.Put(whole)
		whole.Since = o.Since
		if full.Append(whole, answer) != nil {
			h.reply(x, r, nil)
			return // cannot happen, after a part of it was written
		}
		oldest = whole.Oldest()
	}
	h.replyAndCache(x, r, oldest)
}

// versionOf is the version of what a write would replace; "" where there is none.
func versionOf(answer proto.Message) string {
	if versioned, ok := answer.(interface{ GetEtag() string }); ok {
		return versioned.GetEtag()
	}
	return ""
}

// nextQuery is the query of the next page: the same with another token.
func nextQuery(query url.Values, token string) string {
	next := make(url.Values, len(query)+1)
	for name, values := range query {
		if name != "pageToken" {
			next[name] = values
		}
	}
	next["page_token"] = []string{token}
	return next.Encode()
}
