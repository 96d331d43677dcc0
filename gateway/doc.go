// Package gateway is the street door: HTTP with JSON outside, gRPC inside.
//
// It owns the HTTP edge and nothing behind it. Which routes there are, what they take and what they answer is written
// in the protos (google.api.http); grpc-gateway's generated code translates, and the router here is derived from the
// same descriptors at start, so a route that is added there is there, checked as strictly as the others.
//
// It promises, on every route below /v1:
//
//   - Nothing a client sends is ignored in silence. An unknown query parameter or JSON field, a parameter given twice,
//     a value of a wrong type, a body where none belongs: 400 with a text that names it and says what is allowed.
//     Query parameters and JSON fields may be spelled in camelCase, as answers are, or as in the proto (page_size).
//     A parameter without a value (?genre=) is as if it were left out, whatever its type: HTML forms send such.
//   - A read has an ETag and is stored by nobody without being asked for again (Cache-Control: no-cache); If-None-Match
//     answers 304. Writes of films keep If-Match and If-None-Match: *, and answer with the new ETag; other entity tags on
//     writes are refused with 400. Conditions with dates are ignored, the one thing that is, because RFC 9110 demands it where
//     nothing has a Last-Modified; and Range is ignored but by documents.
//   - fields= masks every answer. Where there is a next page, Link has it.
//   - HEAD is GET without the body, OPTIONS and 405 name the methods in Allow. Other origins may read and write only if
//     they are configured.
//   - Every error is an RFC 9457 problem, those of the HTTP layer (404, 405, 408, 412, 413, 415, 500) included, and its type
//     is the address of a page that explains it.
//   - A path segment is decoded once, so every id works: "a/b" is written a%2Fb.
//   - A request ends after RequestTimeout, and what it asked of the services ends with it, unless others wait for the same.
//   - What a crowd asks for costs one answer per AnswerTTL. Nobody can tell but by the clock: an answer that is given again is
//     younger than that, never from before a write through this gateway, and its rating_status is still true (answers.go).
//   - Who rates, writes or deletes a film through this gateway sees it with the next read of what names the film: the film, batches with
//     it, its page (recent.go), whichever instance of the movie service answers. In lists, charts, searches and among similar films it
//     shows within two seconds, as everybody's ratings and films do; in search as soon as its index has it.
//
// A gateway that listens on a loopback address takes writes only for hosts that no other site can be called by: addresses, localhost
// and what ends in .localhost, the host of PublicURL, and AllowedHosts (hosts.go). A proxy in front of it that passes its own name on
// needs one of the last two.
//
// Everything else is documents: the API's description (/openapi.json, /docs) and the web pages, which packages of their own
// make. What they leave out gets an ETag here; a client that is no browser gets a problem where a page would say 404.
//
// On every answer: X-Request-Id, the client's own, if it is 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-", else a new one (the
// same id is in the logs of every service that took part); nosniff, Referrer-Policy, and gzip or zstd where the client takes it.
//
// It refuses to compose or decide: the same request over gRPC gets the same answer. What it keeps are its own answers, whole.
package gateway
