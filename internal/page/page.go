package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"movieexample.com/internal/fault"
)

// A token is base64url without padding of
//
//	version (1 byte) | query fingerprint (8) | checksum (4) | hour it was made in (4) | key as JSON
//
// Both hashes are SHA-256, cut off: the fingerprint over the query, the checksum over
// the version, the fingerprint, the hour and the key. The hour is a big-endian number of
// hours since 1970. Another version may change what follows the checksum (version 1 had
// no hour there); a format with another head would look like no token to this one.
const (
	version     = 2
	queryLen    = 8
	checksumLen = 4
	headerLen   = 1 + queryLen + checksumLen
	hourLen     = 4

	// maxToken bounds the work on a token that is not ours. The longest key of our own
	// is two identifiers and a title, well under 2 KiB.
	maxToken = 8 << 10
)

// lifetime is how long a token is good: at least so long, and up to an hour more, because
// only the hour is kept.
const lifetime = 72 * time.Hour

// field is the wire's name of the parameter that carries a token.
const field = "page_token"

// again ends every message: there is only one thing that helps.
const again = "; leave page_token out to begin at the first page"

// encoding is strict: with the usual one, texts that differ in unused bits would
// decode to the same token.
var encoding = base64.RawURLEncoding.Strict()

// Encode returns the token for the page after key. query is any text that is equal
// exactly when two requests list the same rows in the same order: the name of the
// list, its filter, its order, but not the page size. key is a small struct with
// exported fields whose texts are valid UTF-8 (JSON has no other); a key that JSON
// cannot hold is a programming error, and panics.
func Encode(query string, key any) string { return encode(query, key, hourOf(time.Now())) }

func encode(query string, key any, hour uint32) string {
	body, err := json.Marshal(key)
	if err != nil {
		panic(fmt.Sprintf("page: the key %T cannot be a token: %v", key, err))
	}
	raw := make([]byte, 0, headerLen+hourLen+len(body))
	raw = append(raw, version)
	raw = append(raw, fingerprint(query)...)
	rest := append(binary.BigEndian.AppendUint32(make([]byte, 0, hourLen+len(body)), hour), body...)
	raw = append(raw, checksum(raw, rest)...)
	return encoding.EncodeToString(append(raw, rest...))
}

// Decode reads into key, a pointer to the struct that was given to [Encode], the key of
// a token that Encode made for the same query within the last 72 hours. Any other token
// is a *fault.Error of kind Invalid on the field "page_token" that says what is wrong with
// it: not a token, cut off or altered, of another version, of another query, expired. The
// empty token means the first page and has no key: the caller asks for it before Decode.
// After an error key may hold anything.
func Decode(token, query string, key any) error { return decode(token, query, key, time.Now()) }

func decode(token, query string, key any, now time.Time) error {
	if len(token) > maxToken {
		return fault.Invalid(field, "is no token of this service: it has %d characters, ours have at most %d%s", len(token), maxToken, again)
	}
	raw, err := encoding.DecodeString(token)
	if err != nil || bytes.ContainsAny([]byte(token), "\r\n") { // the decoder skips line ends
		return notOurs()
	}
	// Only what the checksum vouches for is a token, and only of a token can be said
	// which version made it: the first byte of arbitrary text means nothing.
	if len(raw) < headerLen {
		if len(raw) > 0 && raw[0] == version {
			return fault.Invalid(field, "was cut off: it must be next_page_token (nextPageToken in JSON) of an earlier answer, unchanged%s", again)
		}
		return notOurs()
	}
	head, sum, rest := raw[:1+queryLen], raw[1+queryLen:headerLen], raw[headerLen:]
	switch intact := bytes.Equal(sum, checksum(head, rest)); {
	case !intact && raw[0] == version, intact && raw[0] == version && len(rest) < hourLen:
		return fault.Invalid(field, "was altered or cut off: it must be next_page_token (nextPageToken in JSON) of an earlier answer, unchanged%s", again)
	case !intact:
		return notOurs()
	case raw[0] != version:
		return fault.Invalid(field, "was made by another version of this service (format %d, this one reads %d)%s", raw[0], version, again)
	}
	if !bytes.Equal(head[1:], fingerprint(query)) {
		return fault.Invalid(field, "belongs to another query: filter and order must stay the same from page to page%s", again)
	}
	hour := binary.BigEndian.Uint32(rest)
	if made := time.Unix(int64(hour)*secondsPerHour, 0).UTC(); now.Sub(made) >= lifetime+time.Hour {
		return fault.Invalid(field, "has expired: it was made on %s UTC, and tokens are good for %d hours (AIP-158)%s",
			made.Format("2006-01-02 at 15:00"), int(lifetime.Hours()), again)
	}
	// What Encode makes of the key must be this token again: then no spelling of JSON,
	// no field too many and none too few can be read as something it is not.
	if err := json.Unmarshal(rest[hourLen:], key); err != nil || encode(query, key, hour) != token {
		return fault.Invalid(field, "was made by another version of this service (its key differs)%s", again)
	}
	return nil
}

const secondsPerHour = 3600

// hourOf counts hours since 1970: enough for half a million years.
func hourOf(t time.Time) uint32 { return uint32(t.Unix() / secondsPerHour) }

func notOurs() error {
	return fault.Invalid(field, "is no token of this service: it must be next_page_token (nextPageToken in JSON) of an earlier answer, unchanged%s", again)
}

// Size returns how many rows a page has: requested, but def when nothing was requested
// (0), and no more than limit. A negative number is a *fault.Error of kind Invalid on
// the field "page_size". (AIP-158.)
func Size(requested, def, limit int32) (int, error) {
	switch {
	case requested < 0:
		return 0, fault.Invalid("page_size", "must be between 0 and %d, 0 meaning %d; got %d", math.MaxInt32, def, requested)
	case requested == 0:
		return int(min(def, limit)), nil
	default:
		return int(min(requested, limit)), nil
	}
}

func fingerprint(query string) []byte {
	sum := sha256.Sum256([]byte(query))
	return sum[:queryLen]
}

func checksum(head, body []byte) []byte {
	h := sha256.New()
	h.Write(head)
	h.Write(body)
	return h.Sum(nil)[:checksumLen]
}
