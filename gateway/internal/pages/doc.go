// Package pages is what a viewer sees: the web pages of MovieExample, rendered on the server.
//
// It owns every address of the gateway that answers HTML, and what those pages are made of: the templates, the one
// stylesheet, the one script, the typeface, robots.txt and the sitemaps. It asks the movie and the rating service over
// gRPC as any client does; the wire stops in from_movie.go and from_rating.go.
//
// It promises:
//
//   - Every page is complete without JavaScript: forms are GET, filters are links. The script only adds suggestions.
//   - Nothing comes from another host, and the Content-Security-Policy says so: no inline style, no inline script.
//   - What the catalogue says is text wherever it stands, in attributes and in JSON-LD too, because every page goes
//     through html/template; the only ready-made HTML is the posters' and plots', which are escaped.
//   - A number that is not known is never shown as 0, and a page says how old its numbers are. What a page can do
//     without (history, similar films, counts) is waited for shortly, and where it is missing the page says so. What failed
//     a moment ago is not waited for again: a service that hangs costs one page a second its wait, and the others nothing.
//   - Every error page says what to do next, and carries the request id that finds it in the logs.
//
// It refuses to write anything, to know who is looking, and to keep what it cannot bound.
package pages
