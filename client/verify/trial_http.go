package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// answer is the response to an HTTP request.
type answer struct {
	t      *trial
	status int
	header http.Header
	body   []byte
}

// maxBody bounds what is read of an answer.
const maxBody = 16 << 20

// request is an HTTP request to an instance: a method and a path, a body that is JSON, and headers given as "Name: value".
func (t *trial) request(d *door, method, path, body string, headers ...string) *answer {
	t.asking("%s %s %s%s", method, path, strings.Join(headers, " "), shorten(body))
	ctx, cancel := context.WithTimeout(t.ctx, callTimeout)
	defer cancel()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.base+path, in)
	if err != nil {
		t.fail("an address", "%v", err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, v, _ := strings.Cut(h, ": ")
		req.Header.Set(name, v)
	}
	resp, err := t.sys.http.Do(req)
	if err != nil {
		t.fail("an answer", "%v", err)
	}
	defer resp.Body.Close()
	a := &answer{t: t, status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody)); err != nil {
		t.fail("a whole answer", "%d, broken off: %v", a.status, err)
	}
	return a
}

// send is a request to the gateway of the trial.
func (t *trial) send(method, path, body string, headers ...string) *answer {
	return t.request(t.at(Gateway), method, path, body, headers...)
}

// get reads from the gateway what must be there.
func (t *trial) get(path string, headers ...string) *answer {
	return t.send(http.MethodGet, path, "", headers...).is(http.StatusOK)
}

// page reads a web page as a browser does.
func (t *trial) page(path string) *answer {
	a := t.get(path, "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	t.must(strings.HasPrefix(a.header.Get("Content-Type"), "text/html"), "an HTML page", "Content-Type %q", a.header.Get("Content-Type"))
	return a
}

// is ends the trial unless the answer has the status.
func (a *answer) is(status int) *answer {
	a.t.must(a.status == status, fmt.Sprintf("status %d", status), "status %d: %s", a.status, shorten(string(a.body)))
	return a
}

// has ends the trial unless the body contains each of the texts.
func (a *answer) has(texts ...string) *answer {
	a.t.has("the answer", string(a.body), texts...)
	return a
}

// tag is the answer's ETag; the trial ends if there is none.
func (a *answer) tag() string {
	tag := a.header.Get("ETag")
	a.t.must(tag != "", "an ETag", "none in %v", a.header)
	return tag
}

// decode reads the body as JSON.
func (a *answer) decode(into any) {
	if err := json.Unmarshal(a.body, into); err != nil {
		a.t.fail("JSON", "%v: %s", err, shorten(string(a.body)))
	}
}

// problem is RFC 9457's, with the members of this API.
type problem struct {
	Type, Title, Detail, Instance, Code, RequestID string
	Status                                         int
	Errors                                         []struct{ Field, Reason string }
}

// refuses ends the trial unless the answer is a problem with this status that names the fields.
func (a *answer) refuses(status int, fields ...string) problem {
	a.is(status)
	kind := a.header.Get("Content-Type")
	a.t.must(kind == "application/problem+json", "a problem (application/problem+json)", "Content-Type %q", kind)
	var p problem
	a.decode(&p)
	a.t.must(p.Type != "" && p.Title != "" && p.Status == status && p.Detail != "" && p.RequestID != "",
		"a problem with type, title, status, detail and requestId", "%s", shorten(string(a.body)))
	var named []string
	for _, e := range p.Errors {
		named = append(named, e.Field)
		a.t.must(e.Reason != "", "a reason for each field", "none for %s", e.Field)
	}
	for _, f := range fields {
		a.t.has("the list of fields that are wrong", strings.Join(named, " "), f)
	}
	return p
}

// segment writes an id as a part of a path.
func segment(id string) string { return url.PathEscape(id) }

func moviePath(id string) string { return "/v1/movies/" + segment(id) }

func recordPath(recordType, record string) string {
	return "/v1/records/" + segment(recordType) + "/" + segment(record)
}

func ratingPath(recordType, record, user string) string {
	return recordPath(recordType, record) + "/ratings/" + segment(user)
}
