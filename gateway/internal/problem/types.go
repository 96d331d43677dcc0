package problem

import (
	"encoding/json"
	"fmt"
	"net/http"

	"movieexample.com/internal/fault"
)

// Type is a type of problem of the HTTP layer.
type Type int

// The types of problems that no service answers with.

const (
	NoSuchRoute Type = iota
	MethodNotAllowed
	RequestTimeout
	PreconditionFailed
	BodyTooLarge
	UnsupportedMediaType
	HostNotAllowed

	types // how many there are
)

// Explanation is a type of problem as the page at its address explains it.
type Explanation struct {
	Slug   string // the last element of the type's address, /problems/{slug}
	Title  string // as in the API's answers
	Status int    // of HTTP
	// Meaning says what happened, Remedy what to do about it; plain text, paragraphs separated by an empty line.
	Meaning, Remedy string
	Example         string // an answer of that type
}

// base begins the type of every problem. It is a relative reference (RFC 9457 §3.1.1), so it resolves to a page of this system
// under any host name that the client uses.
const base = "/problems/"

// explained is an entry of the tables.
type explained struct {
	title           string
	status          int
	slug            string
	meaning, remedy string
	detail          string // of the example
	path            string // of the example
	fields          []fault.Field
}

// httpTypes explains the problems of the HTTP layer.
var httpTypes = [types]explained{
	NoSuchRoute: {
		slug: "no-such-route", title: "No such route", status: http.StatusNotFound,
		meaning: "There is nothing at this address, regardless of what exists in the catalogue. It is not the answer for a film or a rating that does not exist: that is not-found.",
		remedy:  "Look at the path for a mistake in spelling: upper and lower case count, and a / at the end is another path. In an id, a / must be written %2F. All routes are at /docs.",
		detail:  "the API has nothing at this path; its routes are described at /docs and in /openapi.json",
		path:    "/v1/films",
	},
	MethodNotAllowed: {
		slug: "method-not-allowed", title: "Method not allowed", status: http.StatusMethodNotAllowed,
		meaning: "The address exists, but not for this HTTP method.",
		remedy:  "Use one of the methods in the header Allow of the answer; OPTIONS lists them.",
		detail:  "POST is not allowed at this path; allowed: DELETE, GET, HEAD, OPTIONS, PUT",
		path:    "/v1/movies/heat-1995",
	},
	RequestTimeout: {
		slug: "request-timeout", title: "Request timeout", status: http.StatusRequestTimeout,
		meaning: "The complete request did not arrive within the server's time limit. Nothing was done.",
		remedy:  "Send it again, over a faster connection if possible. A client whose Content-Length is larger than the body it sends gets this error too.",
		detail:  "the body did not arrive in time: send the request again",
		path:    "/v1/movies/heat-1995",
	},
	PreconditionFailed: {
		slug: "precondition-failed", title: "Precondition failed", status: http.StatusPreconditionFailed,
		meaning: "The request has the header If-Match or If-None-Match, and its condition is not met: the film was changed since you read it, it does not exist, or it exists already. Nothing was written.",
		remedy:  "Read the film again, apply your change to what you read, and send it with the new ETag in If-Match. To write unconditionally, leave the header out.",
		detail:  `If-Match: the movie "heat-1995" has the etag "9f1c2a77d0b3e645" now, not "0c6d5e4f3a2b1908": read it again, then retry`,
		path:    "/v1/movies/heat-1995",
		fields:  []fault.Field{{Name: "If-Match", Reason: `the movie "heat-1995" has the etag "9f1c2a77d0b3e645" now, not "0c6d5e4f3a2b1908": read it again, then retry`}},
	},
	BodyTooLarge: {
		slug: "body-too-large", title: "Body too large", status: http.StatusRequestEntityTooLarge,
		meaning: "The body of the request has more than 64 KiB.",
		remedy:  "Send less in one request. Many films or ratings are better loaded with the command-line tool: movieexample import.",
		detail:  "the body must be at most 65536 bytes (64 KiB)",
		path:    "/v1/movies/heat-1995",
	},
	UnsupportedMediaType: {
		slug: "unsupported-media-type", title: "Unsupported media type", status: http.StatusUnsupportedMediaType,
		meaning: "The request does not declare its body as JSON in UTF-8, or the body is compressed.",
		remedy:  "Send Content-Type: application/json and no Content-Encoding.",
		detail:  `the body must be JSON in UTF-8: send Content-Type application/json, got "text/plain"`,
		path:    "/v1/movies/heat-1995",
	},
	HostNotAllowed: {
		slug: "host-not-allowed", title: "Host not allowed", status: http.StatusForbidden,
		meaning: "The gateway listens on a loopback address only, and the request is a write for a host name that another site could own. With DNS rebinding, a web page of that site could write through it. Nothing was done.",
		remedy:  "Use localhost or 127.0.0.1. If the name is yours, set gateway.public_url to an address with that name, or add the name to gateway.allowed_hosts.",
		detail:  `this gateway is only for its own machine and takes no writes for the host "films.lan", by which a web page could reach it: use localhost or 127.0.0.1, or set gateway.public_url or gateway.allowed_hosts to that name if it is yours`,
		path:    "/v1/movies/heat-1995",
	},
}

// kindTypes explains the problems that services answer with, by kind.
var kindTypes = map[fault.Kind]explained{
	fault.KindInvalid: {
		meaning: "The request is invalid, regardless of the state of the system: it has an unknown parameter or field, a value of the wrong type or out of range, or a page token of another query. Nothing was done.",
		remedy:  "Correct what detail and errors name; they say what is allowed and what was given.",
		detail:  `value: must be 1 to 10, got 11`, path: "/v1/records/movie/heat-1995/ratings/ann",
		fields: []fault.Field{{Name: "value", Reason: "must be 1 to 10, got 11"}},
	},
	fault.KindNotFound: {
		meaning: "The address is right, but what it names does not exist: no film with this id, no rating of this person.",
		remedy:  "Check the id: it must match exactly, including case. To find films by title, use /v1/movies:search?q=. The film or rating may have been deleted.",
		detail:  `no movie has the id "heat-1996"`, path: "/v1/movies/heat-1996",
	},
	fault.KindConflict: {
		meaning: "The film does not match the etag in the request: it was changed, created or deleted since you read it. Nothing was written.",
		remedy:  "Read it again, apply your change to what you read, and send that with the new etag.",
		detail:  `etag: the movie "heat-1995" has the etag "9f1c2a77d0b3e645" now, not "0c6d5e4f3a2b1908": read it again, then retry`, path: "/v1/movies/heat-1995",
		fields: []fault.Field{{Name: "etag", Reason: `the movie "heat-1995" has the etag "9f1c2a77d0b3e645" now, not "0c6d5e4f3a2b1908": read it again, then retry`}},
	},
	fault.KindExists: {
		meaning: "A value that must be unique, such as an IMDb id, already belongs to another film. Nothing was written.",
		remedy:  "Look up the film that has it, /v1/movies:lookup?imdb_id=, and change that one, or correct the id.",
		detail:  `externalIds.imdb: "tt0113277" belongs to the movie "heat-1995"`, path: "/v1/movies/heat",
		fields: []fault.Field{{Name: "externalIds.imdb", Reason: `"tt0113277" belongs to the movie "heat-1995"`}},
	},
	fault.KindPrecondition: {
		meaning: "The request is valid, but the current state of the system does not allow it.",
		remedy:  "Do first what detail says, then send the request again.",
		detail:  "the partition is not being read yet: try again when it is", path: "/v1/stats",
	},
	fault.KindExhausted: {
		meaning: "A limit is reached: too many requests at a time, or too much in one.",
		remedy:  "Wait a moment, then retry. Send fewer or smaller requests, as detail says.",
		detail:  "too many requests are in progress: try again later", path: "/v1/movies",
	},
	fault.KindUnavailable: {
		meaning: "A service that is needed for the answer cannot be reached at the moment. If the request is a write, it may or may not have taken effect.",
		remedy:  "Retry after the seconds in the header Retry-After. Writes can be retried safely: sending the same request twice has the effect of one. If the problem persists, give the requestId to the operator of the system.",
		detail:  "the metadata service cannot be reached: try again later", path: "/v1/movies/heat-1995",
	},
	fault.KindDeadline: {
		meaning: "The answer was not ready in time, because the service named in detail was slow or did not answer. If the request is a write, it may or may not have taken effect.",
		remedy:  "Retry after the seconds in the header Retry-After. After a write, read the current state, or send the same request again. If the problem persists, give the requestId to the operator of the system.",
		detail:  "the rating service did not answer in time: try again later", path: "/v1/charts/top",
	},
	fault.KindCanceled: {
		meaning: "The client closed the request before the answer was ready. This appears only in logs, or behind a proxy that timed out.",
		remedy:  "Send the request again. If a proxy timed out, set its timeout to more than a request may take.",
		detail:  "the caller canceled the call", path: "/v1/charts/top",
	},
	fault.KindUnauthenticated: {
		meaning: "The request has no credentials, or credentials that are not accepted.",
		remedy:  "Send the credentials that this address requires.",
		detail:  "authentication is required", path: "/v1/stats",
	},
	fault.KindDenied: {
		meaning: "The caller is authenticated, but does not have permission for this request.",
		remedy:  "Ask the operator of the system for permission.",
		detail:  "not permitted", path: "/v1/stats",
	},
	fault.KindUnimplemented: {
		meaning: "The address exists, but the service that handles it does not have this operation. It probably runs an older version than the gateway.",
		remedy:  "Ask the operator of the system to run all services with the same version.",
		detail:  "not implemented", path: "/v1/stats",
	},
	fault.KindInternal: {
		meaning: "The server failed; your request is not the cause. The details are in the server's log, not in the answer.",
		remedy:  "Give the requestId to the operator of the system. It identifies the log lines of every service involved.",
		detail:  "internal error", path: "/v1/movies/heat-1995",
	},
}

// Explanations lists every type that a problem of the gateway can have, those of the services first.
func Explanations() []Explanation {
	var list []Explanation
	add := func(e explained, p fault.Problem) {
		p.Detail, p.Errors, p.Instance, p.RequestID = e.detail, e.fields, e.path, "0d9f5c1e8a7b4f62"
		example, err := json.MarshalIndent(p, "", "  ")
		if err != nil {
			panic(fmt.Sprintf("problem: example of %s: %v", p.Type, err)) // texts and numbers
		}
		list = append(list, Explanation{
			Slug: p.Type[len(base):], Title: p.Title, Status: p.Status, Meaning: e.meaning, Remedy: e.remedy, Example: string(example),
		})
	}
	for _, kind := range problemKinds {
		add(kindTypes[kind], ofKind(kind))
	}
	for t := range types {
		add(httpTypes[t], t.problem())
	}
	return list
}

// problemKinds are the kinds in the order of the list: what clients meet most comes first.
var problemKinds = [...]fault.Kind{
	fault.KindInvalid, fault.KindNotFound, fault.KindConflict, fault.KindExists, fault.KindPrecondition, fault.KindExhausted,
	fault.KindUnavailable, fault.KindDeadline, fault.KindInternal, fault.KindUnimplemented, fault.KindUnauthenticated,
	fault.KindDenied, fault.KindCanceled,
}

// problem returns a problem of that type, without a detail. Only the type NoSuchRoute has a gRPC code.
func (t Type) problem() fault.Problem {
	e := &httpTypes[t]
	p := fault.Problem{Type: base + e.slug, Title: e.title, Status: e.status}
	if t == NoSuchRoute {
		p.Code = ofKind(fault.KindNotFound).Code
	}
	return p
}

// OfStatus returns the problem for an HTTP status, and whether there is one.
func OfStatus(status int) (fault.Problem, bool) {
	if status == http.StatusNotFound {
		return NoSuchRoute.Error("there is nothing at this address; the API is described at /docs, the pages begin at /").Problem, true
	}
	for _, kind := range problemKinds {
		if kind.HTTPStatus() == status {
			return ofKind(kind), true
		}
	}
	return fault.Problem{}, false
}
