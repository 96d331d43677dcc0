package edge

import "strings"

// otherPages is the route of all other paths.
const otherPages = "pages-other"

// pageRoutes are the routes of pages and their assets in metrics and logs. Their number is fixed; it does not depend on the paths requested.
var pageRoutes = [...]string{
	"/", "/search", "/search/suggest", "/about", "/problems", "/robots.txt", "/sitemap.xml", "/favicon.ico", "/favicon.svg",
	"/charts/{chart}", "/movies/{id}", "/movies/{id}/poster.svg", "/users/{id}", "/problems/{slug}", "/assets/{file}", "/sitemap-{n}.xml", otherPages,
}

// pageRoute returns the route of an escaped path, whether or not there is a page at it.
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

// withoutSlash removes slashes at the end of a path; it reports false if there is none, or no page without. The result is always one
// of the routes, so never the "//host" that a browser takes for another site.
func withoutSlash(path string) (string, bool) {
	trimmed := strings.TrimRight(path, "/")
	if trimmed == path || pageRoute(trimmed) == otherPages {
		return "", false
	}
	return trimmed, true
}
