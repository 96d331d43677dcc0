package edge

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"movieexample.com/gateway/internal/upstream"
)

// Entity tags (RFC 9110 §8.8.3) of the API are weak: two answers that differ only in when their numbers were read, or in how they
// were compressed, have one tag. A movie's is W/"version.hash": the version of its metadata, which is the etag in the JSON, and a
// hash of the whole answer except as-of times. Everything else has W/"hash".
//
// If-None-Match compares whole tags weakly (RFC 9110). If-Match, which requires the strong comparison, under which no weak tag would
// ever match, compares the part before the dot: a write replaces the metadata and nothing else, and two versions of a film never
// share that part. See docs/adr/009.

// etag is the tag of a version, "" where there is none, and a hash.
func etag(version string, hash uint64) string {
	const hex = "0123456789abcdef"
	if strings.Contains(version, ".") || !opaque(version) {
		version = "" // no etag of ours; the hash alone still names the representation
	}
	out := make([]byte, 0, 64)
	out = append(out, `W/"`...)
	if version != "" {
		out = append(append(out, version...), '.')
	}
	for shift := 60; shift >= 0; shift -= 4 {
		out = append(out, hex[hash>>shift&15])
	}
	return string(append(out, '"'))
}

// etagOf is the tag of a body.
func etagOf(body []byte) string { return etag("", xxhash.Sum64(body)) }

// opaque reports whether text is allowed between the quotes of a tag (etagc of RFC 9110 §8.8.3).
func opaque(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c == '"' || c == 0x7f {
			return false
		}
	}
	return true
}

// tagList is a list of tags in a header: "*", or the texts between the quotes. Both of our comparisons ignore whether they are weak.
type tagList struct {
	any  bool
	tags []string
}

// parseTags reads all lines of a header. It reports false where they are not what RFC 9110 §13.1 allows.
func parseTags(lines []string) (tagList, bool) {
	if len(lines) == 1 && strings.Trim(lines[0], " \t") == "*" {
		return tagList{any: true}, true
	}
	var list tagList
	for _, rest := range lines {
		for {
			rest = strings.TrimLeft(rest, " \t,") // a list may have empty elements (RFC 9110 §5.6.1.2)
			if rest == "" {
				break
			}
			tag, ok := strings.CutPrefix(strings.TrimPrefix(rest, "W/"), `"`)
			if !ok {
				return tagList{}, false
			}
			end := strings.IndexByte(tag, '"')
			if end < 0 || !opaque(tag[:end]) {
				return tagList{}, false
			}
			list.tags = append(list.tags, tag[:end])
			rest = strings.TrimLeft(tag[end+1:], " \t")
			if rest != "" && rest[0] != ',' {
				return tagList{}, false
			}
		}
	}
	return list, len(list.tags) > 0
}

// has reports whether the list has the tag, which is one of ours, compared weakly.
func (l tagList) has(tag string) bool {
	tag = strings.Trim(strings.TrimPrefix(tag, "W/"), `"`)
	for _, t := range l.tags {
		if t == tag {
			return true
		}
	}
	return l.any
}

// versions are the versions of the tags, each once: the part before the dot, or all of it, because the etag in the JSON is a
// version too. Tags that are not ours and that the services would not take for a version, or that cannot be sent to them (obs-text of
// RFC 9110 that is not UTF-8), are left out: as tags they match nothing.
func (l tagList) versions() []string {
	var versions []string
	seen := map[string]bool{}
	for _, t := range l.tags {
		version := t
		if dot := strings.LastIndexByte(t, '.'); dot >= 0 {
			version = t[:dot]
		}
		if version != "" && utf8.ValidString(version) && version != upstream.AnyETag && version != upstream.NoETag && !seen[version] {
			seen[version] = true
			versions = append(versions, version)
		}
	}
	return versions
}

// ifMatch reports whether a read may be answered with what has the tag. Dates are ignored: no response has a Last-Modified, and RFC
// 9110 (§13.1.3, §13.1.4) requires it then. So is Range (§14.2): answers are pages already.
func ifMatch(header http.Header, tag string) bool {
	lines := header["If-Match"]
	if len(lines) == 0 {
		return true
	}
	list, ok := parseTags(lines)
	return ok && list.has(tag)
}

// unmodified reports whether the client already has this response, so that the answer is 304. A header that is not a list of tags
// matches nothing: a full response is never wrong.
func unmodified(header http.Header, tag string) bool {
	lines := header["If-None-Match"]
	if len(lines) == 0 {
		return false
	}
	list, ok := parseTags(lines)
	return ok && list.has(tag)
}
