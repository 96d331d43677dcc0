package apidocs

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the files
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
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

// Title returns the name and the version of the API, as the document has them.
func Title() (name, version string) {
	var d struct {
		Info struct{ Title, Version string }
	}
	if err := json.Unmarshal(document, &d); err != nil {
		panic("apidocs: openapi.json: " + err.Error()) // generated and tested
	}
	return d.Info.Title, d.Info.Version
}

// Options configure the page. The zero value works.
type Options struct {
	// FontURL is the path on this server of League Gothic (WOFF2, with its axis of width) for the masthead and the title. If it is empty,
	// the page loads no font and uses a narrow one of the reader's machine.
	FontURL string
}

// policy of the page: it has one style sheet and a picture for the tab, and makes no requests. withFont lets it load a font too.
const (
	withFont = "; font-src 'self'"
	policy   = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// Handler answers GET and HEAD of /openapi.json, /docs and /docs/docs.css; other paths are 404 and other methods 405, in plain text.
// Responses have an ETag, and conditional and range requests are supported. Of several options the last counts.
func Handler(options ...Options) http.Handler {
	policy, style := policy, style
	for _, o := range options {
		if o.FontURL == "" {
			continue
		}
		policy += withFont
		style = append([]byte(fontFace(o.FontURL)), style...)
	}
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

// fontFace is the rule that loads the font.
func fontFace(path string) string {
	address := url.URL{Path: path} // escapes what would end the text in quotes
	return `@font-face { font-family: "League Gothic"; src: url("` + address.EscapedPath() + `") format("woff2"); font-weight: 400; font-stretch: 75% 100%; font-display: swap; }` + "\n\n"
}

// file answers with one file.
func file(contentType string, content []byte, headers map[string]string) http.Handler {
	sum := sha256.Sum256(content)
	// Weak, because the response may be compressed later.
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
