package gateway

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
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
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(minCompressed), gzhttp.ContentTypeFilter(isCompressible))
	if err != nil {
		return nil, fmt.Errorf("configure compression: %w", err)
	}
	return wrap(h), nil
}

// isCompressible reports whether a Content-Type is one that compression is for.
func isCompressible(kind string) bool {
	kind, _, _ = strings.Cut(kind, ";")
	kind = strings.TrimSpace(kind)
	return strings.HasPrefix(kind, "text/") || slices.Contains(compressible[:], kind)
}

// acceptsCoding reports whether it is worth looking at what codings a client takes.
func acceptsCoding(header http.Header) bool {
	lines := header["Accept-Encoding"]
	return len(lines) > 0 && lines[0] != "" && lines[0] != "identity"
}

// What is kept is compressed here, once for all who take the coding; what is not kept goes through gzhttp. Both choose alike.

// coding is a content coding of an answer.
type coding int

const (
	zstdCoding coding = iota
	gzipCoding
	codings
	plain coding = -1
)

// encodings are the values of Content-Encoding.
var encodings = [codings][]string{{"zstd"}, {"gzip"}}

// codingFor chooses what the client weighs more, zstd where it likes both alike.
func codingFor(header http.Header) coding {
	if !acceptsCoding(header) {
		return plain
	}
	best, most := plain, 0.0
	var seen [codings]bool
	for part := range strings.SplitSeq(header["Accept-Encoding"][0], ",") {
		name, params, weighed := strings.Cut(part, ";")
		c := plain
		switch name = strings.TrimSpace(name); {
		case strings.EqualFold(name, "zstd"):
			c = zstdCoding
		case strings.EqualFold(name, "gzip"):
			c = gzipCoding
		}
		if c == plain || seen[c] {
			continue
		}
		seen[c] = true // whoever says it twice is taken by the first word
		q := 1.0
		if weighed {
			q = weight(params)
		}
		if q > most || q == most && q > 0 && c == zstdCoding {
			best, most = c, q
		}
	}
	return best
}

// weight reads q from a coding's parameters; what is no number is 0.
func weight(params string) float64 {
	q := 1.0
	for param := range strings.SplitSeq(params, ";") {
		name, v, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "q") {
			q, _ = strconv.ParseFloat(v, 64)
		}
	}
	return max(0, min(q, 1))
}

// compressor compresses whole answers. It is safe for concurrent use.
type compressor struct {
	zstd *zstd.Encoder
	gzip sync.Pool
}

func newCompressor() (*compressor, error) {
	// The level of gzhttp: better ones cost several times as much, and what they make lives no longer.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("configure compression: %w", err)
	}
	return &compressor{zstd: encoder, gzip: sync.Pool{New: func() any { return gzip.NewWriter(nil) }}}, nil
}

// compress returns body in a coding.
func (c *compressor) compress(body []byte, as coding) []byte {
	if as == zstdCoding {
		return bytes.Clone(c.zstd.EncodeAll(body, make([]byte, 0, len(body)/2))) // what is kept has no room to spare
	}
	var out bytes.Buffer
	out.Grow(len(body) / 2)
	w := c.gzip.Get().(*gzip.Writer)
	defer c.gzip.Put(w)
	w.Reset(&out)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return bytes.Clone(out.Bytes())
}
