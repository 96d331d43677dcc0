// Package gateway is the system's front door: HTTP with JSON outside, gRPC inside.
//
// This package is wiring: settings, the server, and the rooms below it. internal/edge answers requests, internal/transcode turns
// them into calls by the descriptors of the services, internal/upstream is the connections to these, internal/respcache caches
// responses, internal/coding compresses, internal/problem is what errors say; internal/pages and internal/apidocs are the web pages
// and the API's description. Which routes there are, what they take and what they answer is defined in the protos
// (google.api.http): a route that is added there is served, and checked as strictly as the others.
//
// On every route below /v1 it promises:
//
//   - Nothing that a client sends is ignored. An unknown query parameter or JSON field, a parameter given twice, a value of a wrong
//     type, an unexpected body: 400 with a text that names it and says what is allowed. Query parameters and JSON fields may
//     be spelled in camelCase, as answers are, or as in the proto (page_size). A parameter without a value (?genre=) counts as left
//     out, regardless of its type, because HTML forms send such parameters.
//   - A read has an ETag and must be validated before it is used again (Cache-Control: no-cache); If-None-Match answers 304. Writes of
//     films keep If-Match and If-None-Match: *, and answer with the new ETag; other entity tags on writes are refused with 400.
//     Conditions with dates are ignored, the one exception, because RFC 9110 requires it where nothing has a Last-Modified; and
//     only documents support Range.
//   - fields= selects fields of every answer. If there is a next page, the header Link has it.
//   - HEAD is GET without the body; OPTIONS and 405 name the methods in Allow. Other origins may read and write only if they are
//     configured.
//   - Every error is an RFC 9457 problem, those of the HTTP layer (404, 405, 408, 412, 413, 415, 500) included, and its type is the
//     address of a page that explains it.
//   - A path segment is decoded once, so every id works: "a/b" is written a%2Fb.
//   - A request ends after RequestTimeout, and with it the calls that it made, unless other requests wait for the same response.
//   - A response that many clients request is composed once per AnswerTTL. A cached response is younger than that, never from before
//     a write through this gateway, and its rating_status is still true (internal/respcache).
//   - A client that rates, writes or deletes a film through this gateway sees that in the next read that names the film: the film,
//     batches with it, its page (internal/upstream), whichever instance of the movie service answers. Lists, charts, searches and
//     similar films show it within two seconds, as they do all ratings and films; the order of search as soon as its index has it.
//
// GET /v1 is an index of the API. Everything else is documents: the API's description (/openapi.json, /docs) and the web pages.
// Documents without an ETag get one here; a client other than a browser gets a problem instead of a 404 page.
//
// A gateway that listens on a loopback address takes writes only for hosts that no other site can be reached by: addresses,
// localhost and names below it, the host of PublicURL, and AllowedHosts. A proxy in front of it that passes its own name on needs
// one of the last two.
//
// Every response has X-Request-Id (the client's own, if it is 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-", else a new one; the same id is
// in the logs of every service that took part), nosniff and Referrer-Policy, and is compressed with gzip or zstd where the client
// accepts it.
//
// It does not compose or decide: the same request over gRPC gets the same answer. It keeps no state but its own responses and the
// times of recent writes.
package gateway
