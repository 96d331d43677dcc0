// Package coding compresses responses: it chooses the content coding that a client wants, compresses whole bodies, and puts
// compression around a handler.
package coding

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

// MinSize is the size in bytes from which on responses are compressed: less fits into one packet anyway.
const MinSize = 1 << 10

var compressible = [...]string{
	"application/json", "application/problem+json", "application/ld+json", "application/manifest+json", "application/javascript",
	"application/xml", "image/svg+xml",
}

// Handler puts compression around a handler, of responses of at least size bytes. ETags are weak and stay as they are.
func Handler(h http.Handler, size int) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(size), gzhttp.ContentTypeFilter(Compressible))
	if err != nil {
		return nil, fmt.Errorf("configure compression: %w", err)
	}
	return wrap(h), nil
}

// Compressible reports whether a media type is worth compressing; fonts and pictures are compressed already.
func Compressible(kind string) bool {
	kind, _, _ = strings.Cut(kind, ";")
	kind = strings.TrimSpace(kind)
	return strings.HasPrefix(kind, "text/") || slices.Contains(compressible[:], kind)
}

// Coding is a content coding.
type Coding int

// The codings, and how many there are. Plain is none of them.
const (
	Zstd Coding = iota
	Gzip
	Codings
	Plain Coding = -1
)

// Names are the values of Content-Encoding, and of the Accept-Encoding that selects the coding.
var Names = [Codings][]string{{"zstd"}, {"gzip"}}

// Choice is how a response is coded.
type Choice struct {
	Coding Coding
	Always bool // even where it saves nothing: the client refuses an uncompressed response
}

// Choose reads all lines of Accept-Encoding (RFC 9110 §12.5.3) and takes what has the highest weight. Among equals, compressed goes
// before plain and zstd before gzip, but gzip before what only a * allows, because more clients know it. A client that refuses
// everything gets what it would get without the header, as the RFC allows.
func Choose(header http.Header) Choice {
	lines := header["Accept-Encoding"]
	if len(lines) == 0 || len(lines) == 1 && (lines[0] == "" || lines[0] == "identity") {
		return Choice{Coding: Plain} // most clients that want none
	}
	w := weights(lines)
	of := func(name int) float64 {
		if w[name] == unsaid {
			return w[anyName]
		}
		return w[name]
	}
	asIs, gzip, zstd := of(identityName), of(gzipName), of(zstdName)
	best, most := Gzip, gzip
	if zstd > gzip || zstd == gzip && w[zstdName] != unsaid {
		best, most = Zstd, zstd
	}
	always := asIs == 0
	switch {
	case most > 0 && most >= asIs:
		return Choice{best, always}
	case always && gzip == unsaid: // what is not named is not refused
		return Choice{Gzip, always}
	case always && zstd == unsaid:
		return Choice{Zstd, always}
	}
	return Choice{Coding: Plain}
}

// What Accept-Encoding may name; other codings are ignored.
const (
	zstdName = iota
	gzipName
	identityName
	anyName
	names

	unsaid = -1.0 // the weight of a coding that is not named
)

// weights are the weights that the client gives, 0 to 1. If it names a coding twice, the first one counts.
func weights(lines []string) (w [names]float64) {
	for i := range w {
		w[i] = unsaid
	}
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			name, params, weighed := strings.Cut(part, ";")
			i := anyName
			switch name = strings.TrimSpace(name); {
			case name == "*":
			case strings.EqualFold(name, "zstd"):
				i = zstdName
			case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"): // one and the same (RFC 9110 §8.4.1.3)
				i = gzipName
			case strings.EqualFold(name, "identity"):
				i = identityName
			default:
				continue
			}
			if w[i] != unsaid {
				continue
			}
			if w[i] = 1; weighed {
				w[i] = weight(params)
			}
		}
	}
	return w
}

// weight reads q from a coding's parameters; it returns 0 if q is not a number.
func weight(params string) float64 {
	q := 1.0
	for param := range strings.SplitSeq(params, ";") {
		name, v, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "q") {
			q, _ = strconv.ParseFloat(v, 64)
		}
	}
	if !(q > 0) { // no number is NaN too
		return 0
	}
	return min(q, 1)
}

// Compressor compresses whole bodies. It is safe for concurrent use.
type Compressor struct {
	zstd *zstd.Encoder
	gzip sync.Pool
}

// NewCompressor returns a compressor.
func NewCompressor() (*Compressor, error) {
	// The level of gzhttp: better ones cost several times as much, and a response is cached for a moment only.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("configure compression: %w", err)
	}
	return &Compressor{zstd: encoder, gzip: sync.Pool{New: func() any { return gzip.NewWriter(nil) }}}, nil
}

// Compress returns body in a coding.
func (c *Compressor) Compress(body []byte, as Coding) []byte {
	if as == Zstd {
		return bytes.Clone(c.zstd.EncodeAll(body, make([]byte, 0, len(body)/2))) // of the right capacity, because it is cached
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
