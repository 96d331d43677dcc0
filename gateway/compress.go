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

// newCompressed puts compression around a handler, of answers of at least size bytes. ETags are weak and stay as they are.
func newCompressed(h http.Handler, size int) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(size), gzhttp.ContentTypeFilter(isCompressible))
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

// What is kept is compressed here, once for all who take the coding; what is not kept goes through gzhttp. Which coding it is, is
// decided in one place, before either: gzhttp gets to see no header but one that names it.

// coding is a content coding of an answer.
type coding int

const (
	zstdCoding coding = iota
	gzipCoding
	codings
	plain coding = -1
)

// encodings are the values of Content-Encoding, and of the Accept-Encoding that chooses it.
var encodings = [codings][]string{{"zstd"}, {"gzip"}}

// choice is how an answer is to be coded.
type choice struct {
	coding coding
	always bool // although it gains nothing: the client refuses what is not coded
}

// choose reads Accept-Encoding (RFC 9110 §12.5.3), all lines of it. What the client weighs most is taken: where it likes them alike,
// what is coded before what is not, and zstd before gzip, but gzip before what only a * allows, because more know it. A client that
// refuses everything gets what it would get without the header, as the RFC allows.
func choose(header http.Header) choice {
	lines := header["Accept-Encoding"]
	if len(lines) == 0 || len(lines) == 1 && (lines[0] == "" || lines[0] == "identity") {
		return choice{coding: plain} // nearly all who do not want any
	}
	w := weights(lines)
	of := func(name int) float64 {
		if w[name] == unsaid {
			return w[anyName]
		}
		return w[name]
	}
	asIs, gzip, zstd := of(identityName), of(gzipName), of(zstdName)
	best, most := gzipCoding, gzip
	if zstd > gzip || zstd == gzip && w[zstdName] != unsaid {
		best, most = zstdCoding, zstd
	}
	always := asIs == 0
	switch {
	case most > 0 && most >= asIs:
		return choice{best, always}
	case always && gzip == unsaid: // what is not named is not refused
		return choice{gzipCoding, always}
	case always && zstd == unsaid:
		return choice{zstdCoding, always}
	}
	return choice{coding: plain}
}

// What Accept-Encoding may name, but for what we do not have.
const (
	zstdName = iota
	gzipName
	identityName
	anyName
	names

	unsaid = -1.0 // the weight of what is not named
)

// weights are the weights that the client gives, 0 to 1. Of what it names twice, the first word is taken.
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

// weight reads q from a coding's parameters; what is no number is 0.
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
