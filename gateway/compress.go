package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// minCompressed is the size in bytes from which on answers are compressed: less fits into one packet anyway.
const minCompressed = 1 << 10

// compressible are the media types worth compressing; fonts and pictures are compressed already.
var compressible = [...]string{
	"application/json", "application/problem+json", "application/ld+json", "application/manifest+json", "application/javascript",
	"application/xml", "image/svg+xml",
}

// newCompressed puts compression around a handler: gzip or zstd, whichever the client weighs more, zstd where it likes both alike. ETags
// are weak and stay as they are.
func newCompressed(h http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(minCompressed), gzhttp.ContentTypeFilter(func(kind string) bool {
		kind, _, _ = strings.Cut(kind, ";")
		kind = strings.TrimSpace(kind)
		return strings.HasPrefix(kind, "text/") || slices.Contains(compressible[:], kind)
	}))
	if err != nil {
		return nil, fmt.Errorf("configure compression: %w", err)
	}
	return wrap(h), nil
}

// acceptsCoding reports whether it is worth looking at what codings a client takes.
func acceptsCoding(header http.Header) bool {
	lines := header["Accept-Encoding"]
	return len(lines) > 0 && lines[0] != "" && lines[0] != "identity"
}
