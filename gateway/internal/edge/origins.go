package edge

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/rs/cors"
)

// newCORS lets pages of the origins use the API from a browser; nil if there are none. Credentials are never allowed: the API
// has none that a browser would add automatically, and with "*" they would be open to all.
func newCORS(origins []string) *cors.Cors {
	if len(origins) == 0 {
		return nil // the library's default is all origins
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete},
		AllowedHeaders: []string{"Accept", "Content-Type", "If-Match", "If-None-Match", requestIDHeader},
		ExposedHeaders: []string{"ETag", "Link", "Allow", "Retry-After", requestIDHeader},
		MaxAge:         600, // seconds
	})
}

// WrongOrigins says what is wrong with a list of origins; "" where nothing is.
func WrongOrigins(origins []string) string {
	const allowed = `must be "*", or origins such as https://app.example or http://localhost:3000 (scheme, host, and the port if it is not the scheme's own)`
	for _, o := range origins {
		if o == "*" {
			if len(origins) > 1 {
				return fmt.Sprintf(`has "*", every origin, and others: give one or the other, got %s`, strings.Join(origins, ", "))
			}
			continue
		}
		u, err := url.Parse(o)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Contains(u.Host, "*"):
			return fmt.Sprintf("%s; got %q", allowed, o)
		case o != u.Scheme+"://"+u.Host:
			return fmt.Sprintf("%s; got %q: leave out what follows the host, and write %q", allowed, o, u.Scheme+"://"+u.Host)
		case u.Host != strings.ToLower(u.Host):
			return fmt.Sprintf("%s; got %q: browsers send the host in lower case", allowed, o)
		case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" || strings.HasSuffix(u.Host, ":"):
			return fmt.Sprintf("%s; got %q: browsers leave the scheme's own port out", allowed, o)
		}
	}
	return ""
}

// WrongPublicURL says what is wrong with the public address of the gateway; "" where nothing is.
func WrongPublicURL(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !validHost(u.Host) || strings.TrimSuffix(text, "/") != u.Scheme+"://"+u.Host {
		return fmt.Sprintf("must be an absolute address without a path, such as https://films.example, got %q", text)
	}
	return ""
}
