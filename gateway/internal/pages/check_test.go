package pages_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// get asks for a page.
func (s *site) get(t testing.TB, path string) *httptest.ResponseRecorder {
	t.Helper()
	return s.getWith(t.Context(), path)
}

func (s *site) getWith(ctx context.Context, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "request-1") // as the gateway does
	s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
	return w
}

// escaped is a text as an element of a path.
func escaped(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// page asks for a page, wants that status, and parses and checks the page.
func (s *site) page(t testing.TB, path string, status int) *html.Node {
	t.Helper()
	w := s.get(t, path)
	if w.Code != status {
		t.Fatalf("GET %s: %d, want %d\n%s", path, w.Code, status, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("GET %s: Content-Type %q", path, got)
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("GET %s: the policy lacks %q: %s", path, want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("GET %s: the policy %s", path, policy)
	}
	doc, err := html.Parse(strings.NewReader(w.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	checkPage(t, path, doc)
	return doc
}

// attr returns an attribute's value, or "".
func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

// elements returns the elements of those names in the order of the document; all where no name is given.
func elements(doc *html.Node, names ...string) []*html.Node {
	var list []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && (len(names) == 0 || slices.Contains(names, n.Data)) {
			list = append(list, n)
		}
	}
	return list
}

// text returns the text of a node, with single spaces.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// mainText returns what the main part of a page says.
func mainText(t testing.TB, doc *html.Node) string {
	t.Helper()
	list := elements(doc, "main")
	if len(list) != 1 {
		t.Fatalf("the page has %d main elements", len(list))
	}
	return text(list[0])
}

// checkPage checks what holds on every page.
func checkPage(t testing.TB, path string, doc *html.Node) {
	t.Helper()
	bad := func(format string, args ...any) {
		t.Helper()
		t.Errorf("GET %s: "+format, append([]any{path}, args...)...)
	}
	ids := map[string]int{}
	level, firsts := 0, 0
	for _, n := range elements(doc) {
		if id := attr(n, "id"); id != "" {
			ids[id]++
		}
		checkElement(n, bad)
		if len(n.Data) == 2 && n.Data[0] == 'h' && n.Data[1] >= '1' && n.Data[1] <= '6' {
			next := int(n.Data[1] - '0')
			if next > level+1 {
				bad("heading %q is h%d below h%d", text(n), next, level)
			}
			if level = next; next == 1 {
				firsts++
			}
			if text(n) == "" {
				bad("an empty heading")
			}
		}
	}
	if firsts != 1 {
		bad("%d h1", firsts)
	}
	for id, n := range ids {
		if n > 1 {
			bad("the id %q is given %d times", id, n)
		}
	}
	for _, n := range elements(doc) {
		for _, name := range []string{"aria-labelledby", "for", "aria-controls"} {
			if of := attr(n, name); of != "" && ids[of] == 0 {
				bad("%s names no element: %q", name, of)
			}
		}
		if href := attr(n, "href"); strings.HasPrefix(href, "#") && ids[href[1:]] == 0 {
			bad("the link %s leads nowhere", href)
		}
	}
	if list := elements(doc, "html"); attr(list[0], "lang") != "en" {
		bad("no language")
	}
	if list := elements(doc, "title"); len(list) == 0 || text(list[0]) == "" {
		bad("no title")
	}
	for _, name := range []string{"main", "header", "footer"} {
		if name != "header" && len(elements(doc, name)) != 1 {
			bad("%d %s elements", len(elements(doc, name)), name)
		}
	}
	for _, form := range elements(doc, "form") {
		if attr(form, "method") != "get" || attr(form, "action") != "/search" {
			bad("a form that is no GET of /search")
		}
	}
	for _, table := range elements(doc, "table") {
		if len(elements(table, "caption")) != 1 {
			bad("a table without a caption")
		}
		for _, th := range elements(table, "th") {
			if attr(th, "scope") == "" {
				bad("a th without a scope: %q", text(th))
			}
		}
	}
}

// checkElement finds what the policy forbids and what would load from elsewhere.
func checkElement(n *html.Node, bad func(string, ...any)) {
	if n.Data == "style" && n.Namespace == "" {
		bad("a style element")
	}
	if n.Data == "script" && attr(n, "type") != "application/ld+json" && (n.FirstChild != nil || !strings.HasPrefix(attr(n, "src"), "/assets/")) {
		bad("a script that is not ours")
	}
	for _, a := range n.Attr {
		switch {
		case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
			bad("the attribute %s=%q", a.Key, a.Val)
		case a.Key == "src" || a.Key == "srcset" || a.Key == "action" || a.Key == "href" && n.Data != "a":
			if n.Data == "link" && attr(n, "rel") == "canonical" {
				continue
			}
			if !strings.HasPrefix(a.Val, "/") || strings.HasPrefix(a.Val, "//") {
				bad("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		case a.Key == "href":
			u, err := url.Parse(a.Val)
			if err != nil {
				bad("the link %q: %v", a.Val, err)
				continue
			}
			if u.Scheme != "" && (u.Scheme != "https" || !strings.Contains(attr(n, "rel"), "noreferrer")) {
				bad("the link %q", a.Val)
			}
			if u.Scheme == "" && u.Host != "" {
				bad("the link %q leads to another host", a.Val)
			}
		}
	}
}
