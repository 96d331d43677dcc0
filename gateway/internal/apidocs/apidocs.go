package apidocs

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the files
	"encoding/base64"
	"net/http"
	"time"
)

var (
	//go:embed openapi.json
	document []byte
	//go:embed docs.html
	page []byte
	//go:embed docs.css
	style []byte
)

// Document returns the OpenAPI document as JSON.
func Document() []byte { return bytes.Clone(document) }

// policy of the page: it has one style sheet and a picture for the tab, and sends nothing anywhere.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler answers GET and HEAD of /openapi.json, /docs and /docs/docs.css, and nothing else: a path that is not its own is 404, and
// another method 405, in plain text. Answers have an ETag, and conditional and range requests are understood.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /openapi.json", file("application/json", document, nil))
	mux.Handle("GET /docs", file("text/html; charset=utf-8", page, map[string]string{
		"Content-Security-Policy": policy,
		"Referrer-Policy":         "no-referrer",
	}))
	mux.Handle("GET /docs/{$}", http.RedirectHandler("/docs", http.StatusPermanentRedirect))
	mux.Handle("GET /docs/docs.css", file("text/css; charset=utf-8", style, nil))
	return mux
}

// file answers with one file.
func file(contentType string, content []byte, headers map[string]string) http.Handler {
	sum := sha256.Sum256(content)
	// Weak, because whoever compresses the answer later does not change what it says.
	etag := `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("ETag", etag)
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Content-Type-Options", "nosniff")
		for name, value := range headers {
			h.Set(name, value)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}
