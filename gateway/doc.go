// Package gateway is the street door: HTTP with JSON outside, gRPC inside.
//
// It owns the HTTP edge and nothing behind it. Which routes there are, what they take and what they answer is written
// in the protos (google.api.http); grpc-gateway's generated code translates, and the router here is derived from the
// same descriptors at start, so a route that is added there is there, checked as strictly as the others.
//
// It promises, on every route:
//
//   - Nothing a client sends is ignored in silence. An unknown query parameter or JSON field, a parameter given twice,
//     a value of a wrong type, a body where none belongs: 400 with a text that names it and says what is allowed.
//     Query parameters and JSON fields may be spelled in camelCase, as answers are, or as in the proto (page_size).
//   - Every error is an RFC 9457 problem, those of the HTTP layer (404, 405, 413, 415, 500) included.
//   - Every answer carries X-Request-Id: the client's own, if it is 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-",
//     else a new one. The same id is in the logs of every service that took part.
//   - A path segment is decoded once, so every id works: "a/b" is written a%2Fb.
//   - A request ends after RequestTimeout, and what it asked of the services ends with it.
//
// It refuses to compose, cache or decide: the same request over gRPC gets the same answer.
package gateway
