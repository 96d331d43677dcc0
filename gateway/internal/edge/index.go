package edge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"movieexample.com/gateway/internal/problem"
	"movieexample.com/gateway/internal/transcode"
)

// newIndex makes the answer to GET /v1: what the API is, and where to find its description and everything that can be read. The
// links are read from the routes: those with a field in the path are URI templates (RFC 6570).
func newIndex(name, version string, t *transcode.Transcoder, m *metrics) (*response, error) {
	type link struct {
		Operation string `json:"operation"`
		Path      string `json:"path"`
	}
	index := struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		OpenAPI string `json:"openapi"`
		Docs    string `json:"docs"`
		Links   []link `json:"links"`
	}{Name: name, Version: version, OpenAPI: descriptionPath, Docs: docsPath}
	for _, r := range t.Routes() {
		if r.Method == http.MethodGet {
			index.Links = append(index.Links, link{strings.ToLower(r.Name[:1]) + r.Name[1:], r.Pattern}) // the operationId of the description
		}
	}
	body, err := json.Marshal(index)
	if err != nil {
		return nil, fmt.Errorf("write the index of the API: %w", err)
	}
	return &response{
		api: true, metrics: m.of(http.MethodGet, indexPath), body: body, contentType: jsonType, control: revalidate,
		tag: [1]string{etagOf(body)},
	}, nil
}

// serveIndex answers a request for the index.
func (h *Handler) serveIndex(x *requestState, r *http.Request) {
	x.metrics = h.index.metrics
	switch {
	case r.Method != http.MethodGet:
		x.notAllowed([]string{http.MethodGet})
	case r.URL.RawQuery != "":
		x.fail(problem.InvalidText("GET %s takes no parameters", indexPath))
	case r.ContentLength != 0:
		x.fail(problem.InvalidText("GET %s takes no body", indexPath))
	default:
		h.reply(x, h.index, nil)
	}
}
