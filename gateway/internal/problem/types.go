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
// under whatever name the client uses.
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
		meaning: "The request did not arrive whole within the time that the server waits for it. Nothing was done.",
		remedy:  "Send it again, over a better connection if it was a slow one. A client that announces more bytes in Content-Length than it sends gets this too.",
		detail:  "the body did not arrive in time: send the request again",
		path:    "/v1/movies/heat-1995",
	},
	PreconditionFailed: {
		slug: "precondition-failed", title: "Precondition failed", status: http.StatusPreconditionFailed,
		meaning: "The request has the header If-Match or If-None-Match, and what it demands is not so: the film was changed since you read it, it does not exist, or it exists already. Nothing was written.",
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
		meaning: "The body is not said to be JSON in UTF-8, or it is compressed.",
		remedy:  "Send Content-Type: application/json and no Content-Encoding.",
		detail:  `the body must be JSON in UTF-8: send Content-Type application/json, got "text/plain"`,
		path:    "/v1/movies/heat-1995",
	},
	HostNotAllowed: {
		slug: "host-not-allowed", title: "Host not allowed", status: http.StatusForbidden,
		meaning: "The gateway listens only for its own machine, and the request is a write for a name that could be any site's: a web page whose owner lets its name mean this machine (DNS rebinding) would write by it. Nothing was done.",
		remedy:  "Use localhost or 127.0.0.1. If the name is yours, set gateway.public_url to the address that has it, or put the name into gateway.allowed_hosts.",
		detail:  `this gateway is only for its own machine and takes no writes for the host "films.lan", by which a web page could reach it: use localhost or 127.0.0.1, or set gateway.public_url or gateway.allowed_hosts to that name if it is yours`,
		path:    "/v1/movies/heat-1995",
	},
}

// kindTypes explains the problems that services answer with, by kind.
var kindTypes = map[fault.Kind]explained{
	fault.KindInvalid: {
		meaning: "Something in the request is wrong, and would be wrong at any time: a parameter or field that is not known, a value of a wrong type or out of its range, a page token of another query. Nothing was done.",
		remedy:  "Correct what detail and errors name; they say what is allowed and what was given.",
		detail:  `value: must be 1 to 10, got 11`, path: "/v1/records/movie/heat-1995/ratings/ann",
		fields: []fault.Field{{Name: "value", Reason: "must be 1 to 10, got 11"}},
	},
	fault.KindNotFound: {
		meaning: "The address is right, but what it names does not exist: no film with this id, no rating of this person.",
		remedy:  "Check the id, byte by byte: upper and lower case count. Search finds films by title: /v1/movies:search?q=. What was deleted is gone.",
		detail:  `no movie has the id "heat-1996"`, path: "/v1/movies/heat-1996",
	},
	fault.KindConflict: {
		meaning: "The film is not what the etag in the request demands: it was changed, created or deleted since you read it. Nothing was written.",
		remedy:  "Read it again, apply your change to what you read, and send that with the new etag.",
		detail:  `etag: the movie "heat-1995" has the etag "9f1c2a77d0b3e645" now, not "0c6d5e4f3a2b1908": read it again, then retry`, path: "/v1/movies/heat-1995",
		fields: []fault.Field{{Name: "etag", Reason: `the movie "heat-1995" has the etag "9f1c2a77d0b3e645" now, not "0c6d5e4f3a2b1908": read it again, then retry`}},
	},
	fault.KindExists: {
		meaning: "What must be unique belongs to another film already, such as an IMDb id. Nothing was written.",
		remedy:  "Look up the film that has it, /v1/movies:lookup?imdb_id=, and change that one, or correct the id.",
		detail:  `externalIds.imdb: "tt0113277" belongs to the movie "heat-1995"`, path: "/v1/movies/heat",
		fields: []fault.Field{{Name: "externalIds.imdb", Reason: `"tt0113277" belongs to the movie "heat-1995"`}},
	},
	fault.KindPrecondition: {
		meaning: "The request is right, but the state of the system does not allow it until something else was done.",
		remedy:  "Do first what detail says, then send the request again.",
		detail:  "the partition is not being read yet: try again when it is", path: "/v1/stats",
	},
	fault.KindExhausted: {
		meaning: "A limit is reached: too many requests at a time, or too much in one.",
		remedy:  "Wait a little and send the request again, less often or smaller, as detail says.",
		detail:  "too many requests are in progress: try again later", path: "/v1/movies",
	},
	fault.KindUnavailable: {
		meaning: "A service that the answer needs cannot be reached at the moment. Of a write it is not known whether it was done.",
		remedy:  "Try again after the seconds in the header Retry-After. Writes of this API may be sent again: the same request twice has the effect of one. If it stays, tell the operator of the system the requestId.",
		detail:  "the metadata service cannot be reached: try again later", path: "/v1/movies/heat-1995",
	},
	fault.KindDeadline: {
		meaning: "The answer was not ready in time, because the service that detail names was slow or did not answer at all. Of a write it is not known whether it was done.",
		remedy:  "Try again after the seconds in the header Retry-After. After a write, read what is there, or send the same request again. If it stays, tell the operator of the system the requestId.",
		detail:  "the rating service did not answer in time: try again later", path: "/v1/charts/top",
	},
	fault.KindCanceled: {
		meaning: "The client went away before the answer was ready. You see this only in logs, or behind a proxy that gave up.",
		remedy:  "Send the request again. If a proxy gave up, give it more time than the request may take.",
		detail:  "the caller canceled the call", path: "/v1/charts/top",
	},
	fault.KindUnauthenticated: {
		meaning: "The request does not say who is asking, or not in a way that is accepted.",
		remedy:  "Send the credentials that this address requires.",
		detail:  "authentication is required", path: "/v1/stats",
	},
	fault.KindDenied: {
		meaning: "It is known who is asking, and that they may not do this.",
		remedy:  "Ask the operator of the system for the right to do it.",
		detail:  "not permitted", path: "/v1/stats",
	},
	fault.KindUnimplemented: {
		meaning: "The address is right, but the service behind it does not have this operation: most likely it runs an older version than the gateway.",
		remedy:  "Ask the operator of the system to bring all services to one version.",
		detail:  "not implemented", path: "/v1/stats",
	},
	fault.KindInternal: {
		meaning: "Something is broken here, and not in your request. The log says what exactly, the answer does not.",
		remedy:  "Tell the operator of the system the requestId: it finds the log lines of every service that took part.",
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

// problem returns a problem of that type, without a detail. Only that of an unknown path has a gRPC code.
func (t Type) problem() fault.Problem {
	e := &httpTypes[t]
	p := fault.Problem{Type: base + e.slug, Title: e.title, Status: e.status}
	if t == NoSuchRoute {
		p.Code = ofKind(fault.KindNotFound).Code
	}
	return p
}

// OfStatus returns the problem that an HTTP status stands for, and whether there is one.
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
