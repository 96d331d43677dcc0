package gateway

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"movieexample.com/internal/fault"
)

// checkPath complains about values that cannot travel as protobuf text. What an id may be is for its service to say.
func (r *route) checkPath(values map[string]string) []fault.Field {
	var fields []fault.Field
	for name, v := range values {
		if !utf8.ValidString(v) {
			fields = append(fields, fault.Field{Name: r.fieldName(name), Reason: "must be valid UTF-8, got " + quote(v)})
		}
	}
	return byName(fields)
}

// checkConditions answers the request, and returns false, if a write depends on a condition in its header. Services know
// conditions only as the field etag: to ignore the header would let a client that believes in it overwrite what it never saw.
// A read that ignores them loses nothing but a shorter answer.
func (r *route) checkConditions(x *exchange, req *http.Request) bool {
	if r.method == http.MethodGet {
		return true
	}
	instead := "send the request without it"
	switch {
	case r.body != nil && r.body.Fields().ByName("etag") != nil:
		instead = "send the etag that you read in the body, as etag"
	case r.params["etag"] != nil:
		instead = "send the etag that you read as the query parameter etag"
	}
	var fields []fault.Field
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if len(req.Header[name]) > 0 {
			fields = append(fields, fault.Field{Name: name, Reason: "this header is not supported by " + r.method + " " + r.pattern + ": " + instead})
		}
	}
	if len(fields) == 0 {
		return true
	}
	x.refuse(fields...)
	return false
}

// byName puts fields that were collected from a map into an order.
func byName(fields []fault.Field) []fault.Field {
	slices.SortFunc(fields, func(a, b fault.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// maxComplaints bounds how many mistakes one answer names: who sent a thousand learns enough from these.
const maxComplaints = 16

// checkQuery answers the request, and returns false, unless its query is exactly what the route takes.
func (r *route) checkQuery(x *exchange, req *http.Request) bool {
	if req.URL.RawQuery == "" {
		return true
	}
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		x.refuseText(`the query string cannot be read (%v): separate parameters by "&" and write other characters as %%XX`, err)
		return false
	}
	given := map[protoreflect.FieldDescriptor]bool{}
	var fields []fault.Field
	for name, values := range query {
		f := r.params[name]
		switch {
		case len(fields) == maxComplaints:
			continue
		case f == nil:
			fields = append(fields, fault.Field{Name: shorten(name), Reason: "is not a parameter of " + r.method + " " + r.pattern + "; " + allowed(r.names)})
			continue
		case f.IsList():
		case len(values) > 1 || given[f]:
			fields = append(fields, fault.Field{Name: string(f.Name()), Reason: "must be given once"})
			continue
		}
		given[f] = true
		for _, v := range values {
			if reason := wrongText(f.Kind(), v); reason != "" {
				fields = append(fields, fault.Field{Name: string(f.Name()), Reason: reason})
				break
			}
		}
	}
	if len(fields) == 0 {
		return true
	}
	x.refuse(byName(fields)...)
	return false
}

// wrongText says why v is not the text of a value of kind; "" where it is.
func wrongText(kind protoreflect.Kind, v string) string {
	if !utf8.ValidString(v) {
		return "must be valid UTF-8, got " + quote(v)
	}
	switch kind {
	case protoreflect.StringKind:
		return ""
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		if _, err := strconv.ParseInt(v, 10, 32); err != nil {
			return "must be a whole number of at most 32 bits, got " + quote(v)
		}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		if _, err := strconv.ParseInt(v, 10, 64); err != nil {
			return "must be a whole number of at most 64 bits, got " + quote(v)
		}
	case protoreflect.BoolKind:
		if v != "true" && v != "false" {
			return "must be true or false, got " + quote(v)
		}
	}
	return "" // the generated code checks the kinds that no route has yet
}

// takeBody reads and checks the body where the route has one, and puts it back for the generated code. It answers the
// request, and returns false, when the body is not what the route takes.
func (r *route) takeBody(x *exchange, req *http.Request, values map[string]string) bool {
	if r.body == nil {
		if req.ContentLength != 0 {
			x.refuseText("%s %s takes no body", r.method, r.pattern)
			return false
		}
		req.Body = http.NoBody
		return true
	}
	if given := req.Header.Get("Content-Type"); !isJSON(given) {
		x.refuseHTTP(http.StatusUnsupportedMediaType, "unsupported-media-type",
			"the body must be JSON in UTF-8: send Content-Type application/json, got %s", quote(given))
		return false
	}
	if given := req.Header.Get("Content-Encoding"); given != "" && !strings.EqualFold(given, "identity") {
		x.refuseHTTP(http.StatusUnsupportedMediaType, "unsupported-media-type",
			"the body must not be encoded: send it without Content-Encoding, got %s", quote(given))
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.ResponseWriter, req.Body, MaxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			x.refuseHTTP(http.StatusRequestEntityTooLarge, "body-too-large", "the body must be at most %d bytes (64 KiB)", MaxBody)
		} else {
			x.refuseText("the body could not be read to its end")
		}
		return false
	}
	if p := checkBody(r, body, values); p != nil {
		if len(p.fields) > 0 {
			x.refuse(p.fields...)
		} else {
			x.refuseText("%s", p.text)
		}
		return false
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	return true
}

// isJSON reports whether a Content-Type says JSON in UTF-8, or nothing.
func isJSON(given string) bool {
	if given == "" {
		return true
	}
	kind, params, err := mime.ParseMediaType(given)
	if err != nil || kind != "application/json" {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}

// quote shows what a client sent, shortened and printable.
func quote(v string) string { return strconv.Quote(shorten(v)) }

func shorten(v string) string {
	const most = 60
	if len(v) <= most {
		return v
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(v[cut]) {
		cut--
	}
	return v[:cut] + "…"
}
