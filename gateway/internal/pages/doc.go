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
//   - Data from the catalogue is always escaped, in attributes and in JSON-LD too, because every page goes through
//     html/template. The only HTML made elsewhere is that of posters and plots, which escape it themselves.
//   - A number that is not known is never shown as 0, and a page says how old its numbers are. Optional parts
//     (history, similar films, counts) have a short timeout, and the page says which are missing. A part that has just
//     failed is not requested again for a second, so a hanging service delays at most one page per second.
//   - Every error page says what to do next, and carries the request id that finds it in the logs.
//
// It writes nothing, does not identify viewers, and caches nothing without a bound.
package pages
