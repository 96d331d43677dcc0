package page

import "time"

// EncodeAt is Encode at another time.
func EncodeAt(made time.Time, query string, key any) string { return encode(query, key, hourOf(made)) }

// DecodeAt is Decode at another time.
func DecodeAt(now time.Time, token, query string, key any) error {
	return decode(token, query, key, now)
}
