package main

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"

	"movieexample.com/internal/fault"
)

// statusOf is the HTTP status of a gRPC code by its name in the protos; 0 for one that no kind of error has. The mapping is the
// gateway's own, so the document cannot disagree with it.
func statusOf(code string) int {
	var c codes.Code
	if err := c.UnmarshalJSON([]byte(`"` + code + `"`)); err != nil {
		return 0
	}
	for k := fault.Kind(0); k <= fault.KindUnimplemented; k++ {
		if k.Code() == c {
			return k.HTTPStatus()
		}
	}
	return 0
}

func headerRef(name string) *object { return obj(member{"$ref", "#/components/headers/" + name}) }

func sharedHeaders() *object {
	header := func(description, example string) *object {
		return obj(member{"description", description}, member{"schema", obj(member{"type", "string"})}, member{"example", example})
	}
	return obj(
		member{"XRequestId", header("The request's id in the logs: the one that was sent, or a new one.", "9f1c2d3e4b5a69788796a5b4c3d2e1f0")},
		member{"CacheControl", header("`no-cache` with what was read: keep it if you like, and ask again with If-None-Match before you use it. `no-store` with writes and errors: do not keep it.", "no-cache")},
		member{"ETag", header("Names this state of the answer, for If-None-Match; of a movie also for If-Match.", `W/"9f1c2a77d0b3e645.5d41402abc4b2a76"`)},
		member{"ContentLocation", header("The address of what the answer shows, which the ETag belongs to.", "/v1/movies/tt0133093")},
		member{"Link", header("The address of the next page, with rel=\"next\" (RFC 8288); missing on the last page.", `</v1/movies?page_size=2&page_token=AbC>; rel="next"`)},
		member{"AcceptEncoding", header("Only where the coding of the body is what was refused: `identity`, for none.", "identity")},
		member{"RetryAfter", header("Seconds until another try is worth it.", "1")},
	)
}

func sharedParameters() *object {
	header := func(name, description, example string) *object {
		return obj(
			member{"name", name}, member{"in", "header"}, member{"description", description},
			member{"schema", obj(member{"type", "string"})}, member{"example", example},
		)
	}
	return obj(
		member{"IfNoneMatch", header("If-None-Match", "The ETag of an answer that the client has: if nothing has changed the answer is 304, without a body.", `W/"9f1c2a77d0b3e645.5d41402abc4b2a76"`)},
		member{"IfMatch", header("If-Match", "The ETag of the movie as it was read, or its property etag in quotes: change it only if it still is that version, else answer 412. At most eight tags; `*` means any that is there. The gateway compares the version before the dot, so ratings that came in meanwhile do not matter.", `W/"9f1c2a77d0b3e645.5d41402abc4b2a76"`)},
		member{"IfMatchRead", header("If-Match", "The ETag of an answer that the client has: if something has changed the answer is 412. `*` is whatever is there.", `W/"9f1c2a77d0b3e645.5d41402abc4b2a76"`)},
		member{"OnlyNew", header("If-None-Match", "`*`: create the movie, and answer 412 if it is there already. Nothing else is allowed.", "*")},
	)
}

// problemSchema describes fault.Problem.
func problemSchema() *object {
	text := func(description string) *object {
		return obj(member{"type", "string"}, member{"description", description})
	}
	return obj(
		member{"type", "object"},
		member{"description", "A problem (RFC 9457). Every error of the API is one."},
		member{"properties", obj(
			member{"type", obj(member{"type", "string"}, member{"format", "uri-reference"}, member{"description", "The address of the page that explains this kind of problem; the thing to compare in a program."})},
			member{"title", text("The kind of problem in words, the same for every problem of the type.")},
			member{"status", obj(member{"type", "integer"}, member{"format", "int32"}, member{"description", "The HTTP status."})},
			member{"detail", text("What is wrong this time, and what to do about it.")},
			member{"instance", text("The path of the request.")},
			member{"code", text("The gRPC code that stands for it, such as NOT_FOUND; missing where the HTTP layer itself refuses.")},
			member{"requestId", text("The request's id in the logs.")},
			member{"errors", obj(
				member{"type", "array"}, member{"description", "The fields, parameters or headers that are wrong."},
				member{"items", reference("FieldProblem")},
			)},
		)},
		member{"required", []any{"type", "title", "status", "detail", "instance", "requestId"}},
	)
}

// fieldProblemSchema describes fault.Field.
func fieldProblemSchema() *object {
	text := func(description string) *object {
		return obj(member{"type", "string"}, member{"description", description})
	}
	return obj(
		member{"type", "object"},
		member{"description", "What is wrong with one field, parameter or header."},
		member{"properties", obj(
			member{"field", text("Its name, as in `externalIds.imdb` or `ids[3]`.")},
			member{"reason", text("What is allowed, and what was given.")},
		)},
		member{"required", []any{"field", "reason"}},
	)
}

// problems are the error answers.
func (c *completion) problems() (*object, error) {
	out := obj()
	for _, code := range slices.Sorted(maps.Keys(c.supplement.Errors)) {
		e := c.supplement.Errors[code]
		sample, err := example("problem-" + code)
		if err != nil {
			return nil, err
		}
		headers := obj(member{"X-Request-Id", headerRef("XRequestId")}, member{"Cache-Control", headerRef("CacheControl")})
		switch code {
		case "503", "504":
			headers.set("Retry-After", headerRef("RetryAfter"))
		case "415":
			headers.set("Accept-Encoding", headerRef("AcceptEncoding"))
		}
		if p, _ := sample.(*object); fmt.Sprint(p.values["status"]) != code {
			return nil, fmt.Errorf("examples/problem-%s.json has another status", code)
		}
		out.set(e.Name, obj(
			member{"description", e.Description},
			member{"headers", headers},
			member{"content", obj(member{fault.ProblemType, obj(member{"schema", reference("Problem")}, member{"example", sample})})},
		))
	}
	return out, nil
}
