package edge

import "strings"

// otherPages is the route of what is no page.
const otherPages = "pages-other"

// pageRoutes are the routes of pages and what belongs to them, by which they are counted and logged: few, whatever paths clients
// think of.
var pageRoutes = [...]string{
	"/", "/search", "/search/suggest", "/about", "/problems", "/robots.txt", "/sitemap.xml", "/favicon.ico", "/favicon.svg",
	"/charts/{chart}", "/movies/{id}", "/movies/{id}/poster.svg", "/users/{id}", "/problems/{slug}", "/assets/{file}", "/sitemap-{n}.xml", otherPages,
}

// pageRoute returns the route of an escaped path. That there is something at the path it does not say.
func pageRoute(path string) string {
	for _, route := range pageRoutes {
		before, rest, varies := strings.Cut(route, "{")
		_, after, _ := strings.Cut(rest, "}")
		if !varies {
			if route == path {
				return route
			}
			continue
		}
		if len(path) <= len(before)+len(after) || !strings.HasPrefix(path, before) || !strings.HasSuffix(path, after) {
			continue
		}
		if !strings.Contains(path[len(before):len(path)-len(after)], "/") {
			return route
		}
	}
	return otherPages
}

// withoutSlash returns the path of the page that a path with slashes at its end is meant for; it reports false where there is
// none. What it returns is always one of the routes, so never the "//host" that a browser takes for another site.
func withoutSlash(path string) (string, bool) {
	trimmed := strings.TrimRight(path, "/")
	if trimmed == path || pageRoute(trimmed) == otherPages {
		return "", false
	}
	return trimmed, true
}
