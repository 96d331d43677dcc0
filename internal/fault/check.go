package fault

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxID is the greatest length of an identifier, in bytes.
const MaxID = 128

// maxRecordType is the greatest length of a record type, in bytes.
const maxRecordType = 32

// ID checks an identifier of a movie, a record or a user: 1 to [MaxID] bytes of
// valid UTF-8 without control characters, without characters that do not show (see
// hidden), without white space at either end,
// and not "." or "..", which browsers, curl and proxies remove from the path of a
// URL (RFC 3986 §5.2.4): no client could request it. Identifiers are compared byte by
// byte: case and accents count. It returns nil or an *Error of KindInvalid on field.
func ID(field, v string) error {
	switch {
	case v == "":
		return Invalid(field, "is required: 1 to %d bytes", MaxID)
	case len(v) > MaxID:
		return Invalid(field, "must be 1 to %d bytes, got %d", MaxID, len(v))
	case !utf8.ValidString(v):
		return Invalid(field, "must be valid UTF-8, got %s", quote(v))
	case strings.IndexFunc(v, unicode.IsControl) >= 0:
		return Invalid(field, "must not contain control characters, got %s", quote(v))
	case strings.TrimSpace(v) != v:
		return Invalid(field, "must not start or end with white space, got %s", quote(v))
	case strings.IndexFunc(v, hidden) >= 0:
		at := strings.IndexFunc(v, hidden)
		r, _ := utf8.DecodeRuneInString(v[at:])
		return Invalid(field, "must not contain characters that do not show, got %U at byte %d of %s", r, at, quoteASCII(v))
	case v == "." || v == "..":
		return Invalid(field, `must not be "." or "..", which URLs give another meaning, got %s`, quote(v))
	}
	return nil
}

// RecordType checks the type of a rated record: a lower-case letter, then up to
// 31 of a-z, 0-9, "_" and "-". It returns nil or an *Error of KindInvalid on field.
func RecordType(field, v string) error {
	const allowed = `must be a lower-case letter followed by at most 31 of a-z, 0-9, "_" and "-", for example "movie"`
	if v == "" {
		return Invalid(field, "is required: "+allowed)
	}
	ok := len(v) <= maxRecordType && v[0] >= 'a' && v[0] <= 'z'
	for i := 1; ok && i < len(v); i++ {
		c := v[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
	}
	if !ok {
		return Invalid(field, allowed+"; got %s", quote(v))
	}
	return nil
}

// Text checks free text: valid UTF-8, no control characters but newline and tab,
// at most maxRunes characters (code points); when required, with one that shows
// something. It returns nil or an *Error of KindInvalid on field.
func Text(field, v string, maxRunes int, required bool) error {
	if !utf8.ValidString(v) {
		return Invalid(field, "must be valid UTF-8, got %s", quote(v))
	}
	if n := utf8.RuneCountInString(v); n > maxRunes {
		return Invalid(field, "must be at most %d characters, got %d", maxRunes, n)
	}
	if required && !Visible(v) {
		got := ""
		if strings.TrimSpace(v) != "" {
			got = ", got only characters that do not show: " + quoteASCII(v)
		}
		return Invalid(field, "is required: 1 to %d characters%s", maxRunes, got)
	}
	for i, r := range v {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return Invalid(field, "must not contain control characters other than newline and tab, got %U at byte %d", r, i)
		}
	}
	return nil
}

// quote shows a refused value in a message: printable, and not longer than a
// line, because the sender knows what it sent and the message must stay readable.
func quote(v string) string {
	const limit = 40
	if len(v) <= limit {
		return strconv.Quote(v)
	}
	return strconv.Quote(v[:limit]) + "…"
}

// quoteASCII is quote with an escape for each character that the screen would not show as itself.
func quoteASCII(v string) string {
	const limit = 40
	if len(v) <= limit {
		return strconv.QuoteToASCII(v)
	}
	return strconv.QuoteToASCII(v[:limit]) + "…"
}
