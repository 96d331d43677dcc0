package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"html/template"
	"strconv"
	"strings"
)

//go:embed page.html
var pageHTML string

// pageStyle is the page's only style. The content security policy allows it by its hash, and nothing else at all.
const pageStyle = `body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:52rem;padding:0 1rem}` +
	`table{border-collapse:collapse}th,td{text-align:left;padding:.15rem 1rem .15rem 0;vertical-align:top}` +
	`@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}}`

// frontPage is what "/" answers, made once.
type frontPage struct {
	body   []byte
	policy string
}

func newFrontPage(routes []*route, endpoints []Endpoint) (*frontPage, error) {
	type row struct{ Method, Pattern, Params string }
	rows := make([]row, len(routes))
	for i, r := range routes {
		rows[i] = row{Method: r.method, Pattern: r.pattern, Params: strings.Join(r.names, ", ")}
	}
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	err = t.Execute(&body, map[string]any{
		"Style": template.CSS(pageStyle), //nolint:gosec // a constant
		"Examples": []string{
			"/v1/movies",
			"/v1/movies?genre=Drama&order_by=year+desc&page_size=10",
			"/v1/charts/top",
			"/v1/charts/popular?decade=1990",
			"/v1/movies:lookup?imdb_id=tt0111161",
		},
		"Routes":    rows,
		"Endpoints": endpoints,
	})
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(pageStyle))
	return &frontPage{
		body: body.Bytes(),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}, nil
}

func (p *frontPage) serve(x *exchange) {
	h := x.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(p.body)))
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Referrer-Policy", "no-referrer")
	h["Cache-Control"] = noCache
	_, _ = x.Write(p.body) // a client that is gone misses nothing
}
