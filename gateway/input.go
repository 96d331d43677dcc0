package gateway

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"net"
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

// byName puts fields that were collected from a map into an order.
func byName(fields []fault.Field) []fault.Field {
	slices.SortFunc(fields, func(a, b fault.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// maxComplaints bounds how many mistakes one answer names: who sent a thousand learns enough from these.
const maxComplaints = 16

// Nothing to read in, shared: nobody writes to them.
var noForm = url.Values{}

// checkQuery answers the request, and returns false, unless its query is exactly what the route takes. A parameter without a
// value is as if it were not there: that is what HTML forms send for a field that was left empty.
func (r *route) checkQuery(x *exchange, req *http.Request) bool {
	x.query, x.form = noForm, noForm
	if req.URL.RawQuery == "" {
		return true
	}
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		x.refuseText(`the query string cannot be read (%v): separate parameters by "&" and write other characters as %%XX`, err)
		return false
	}
	given := make(map[protoreflect.FieldDescriptor]bool, len(query))
	var wrong []fault.Field
	complain := func(name, reason string) {
		if len(wrong) < maxComplaints {
			wrong = append(wrong, fault.Field{Name: name, Reason: reason})
		}
	}
	for name, values := range query {
		f := r.params[name]
		switch {
		case name == fieldsParam:
			if len(values) > 1 {
				complain(name, "must be given once: separate paths by commas")
			}
			continue
		case f == nil:
			complain(shorten(name), "is not a parameter of "+r.method+" "+r.pattern+"; "+allowed(r.names))
			continue
		case f.IsList():
		case len(values) > 1 || given[f]:
			complain(string(f.Name()), "must be given once")
			continue
		}
		given[f] = true
		for _, v := range values {
			if v == "" && !f.IsList() {
				delete(query, name)
				continue
			}
			if reason := wrongText(f.Kind(), v); reason != "" {
				complain(string(f.Name()), reason)
				break
			}
		}
	}
	x.query, x.form = query, query
	if paths := query[fieldsParam]; len(paths) == 1 {
		delete(query, fieldsParam)
		if paths[0] != "" {
			var bad []fault.Field
			if x.plan, bad = r.answer.masked(paths[0]); len(bad) > 0 {
				wrong = append(wrong, bad...)
			}
			x.query = maps.Clone(query) // for references to this request; the services get the rest
			x.query[fieldsParam] = paths
		}
	}
	if len(wrong) == 0 {
		return true
	}
	x.refuse(byName(wrong)...)
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

// takeBody reads the body where the route has one, and hands what it says to the generated code. It answers the
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
		x.refuseHTTP(unsupportedMediaType,
			"the body must be JSON in UTF-8: send Content-Type application/json, got %s", quote(given))
		return false
	}
	if given := strings.Join(req.Header["Content-Encoding"], ", "); given != "" && !strings.EqualFold(given, "identity") {
		x.set("Accept-Encoding", "identity") // of bodies: what there is (RFC 9110 §15.5.16)
		x.refuseHTTP(unsupportedMediaType,
			"the body must not be encoded: send it without Content-Encoding, got %s", quote(given))
		return false
	}
	body, err := io.ReadAll(http.MaxBytesReader(x.conn(), req.Body, MaxBody))
	if err != nil {
		var large *http.MaxBytesError
		var network net.Error
		switch {
		case errors.As(err, &large):
			x.refuseHTTP(bodyTooLarge, "the body must be at most %d bytes (64 KiB)", MaxBody)
		case errors.As(err, &network) && network.Timeout():
			x.Header()["Connection"] = []string{"close"} // what still comes is no request
			x.refuseHTTP(requestTimeout, "the body did not arrive in time: send the request again")
		default:
			x.refuseText("the body could not be read to its end")
		}
		return false
	}
	read, p := readBody(r, body, values)
	if p != nil {
		if len(p.fields) > 0 {
			x.refuse(p.fields...)
		} else {
			x.refuseText("%s", p.text)
		}
		return false
	}
	req.Body = io.NopCloser(bytes.NewReader(read))
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
