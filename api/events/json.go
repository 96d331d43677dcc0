package events

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// field is a known name of the JSON form.
type field uint8

const (
	fieldUserID field = iota
	fieldRecordID
	fieldRecordType
	fieldValue
	fieldProviderID
	fieldEventType
	fieldRatedAt
	fieldUnknown
)

// fieldOf finds the field of a name as it must be spelled.
func fieldOf(name string) field {
	switch name {
	case "userId":
		return fieldUserID
	case "recordId":
		return fieldRecordID
	case "recordType":
		return fieldRecordType
	case "value":
		return fieldValue
	case "providerId":
		return fieldProviderID
	case "eventType":
		return fieldEventType
	case "ratedAt":
		return fieldRatedAt
	}
	return fieldUnknown
}

// meant returns the known name that name differs from only in case, "_" and "-".
func meant(name string) (known string, ok bool) {
	if len(name) > 32 {
		return "", false
	}
	folded := strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
	for _, k := range [...]string{"userId", "recordId", "recordType", "value", "providerId", "eventType", "ratedAt"} {
		if folded == strings.ToLower(k) {
			return k, true
		}
	}
	return "", false
}

// given is what a field's value was, for the checks that need all fields first.
type given struct {
	kind kind
	text string // a string's content, or the literal
}

// decodeJSON reads the JSON form with a scanner of its own: encoding/json takes
// five times as long and lets through what the contract refuses (names in any case,
// duplicates, invalid UTF-8, null). A fuzz test holds it against encoding/json.
func decodeJSON(value []byte, hint string) (Event, error) {
	if !utf8.Valid(value) {
		return Event{}, refuse(classUTF8, "event", "must be valid UTF-8")
	}
	// One copy; the event's strings point into it.
	s := scanner{text: string(value), hint: hint}
	var vals [fieldUnknown]given
	if err := s.object(&vals); err != nil {
		return Event{}, err
	}
	e := Event{}
	if err := e.fill(&vals); err != nil {
		return Event{}, err
	}
	if len(value) > 1024 {
		// A small event must not hold on to the large value that it came in.
		e.UserID, e.RecordID = strings.Clone(e.UserID), strings.Clone(e.RecordID)
		e.RecordType, e.ProviderID = strings.Clone(e.RecordType), strings.Clone(e.ProviderID)
	}
	return e, nil
}

// fill takes over what the scanner found, and validates it.
func (e *Event) fill(vals *[fieldUnknown]given) error {
	var err error
	if e.UserID, err = vals[fieldUserID].asText("userId", true); err != nil {
		return err
	}
	if e.RecordID, err = vals[fieldRecordID].asText("recordId", true); err != nil {
		return err
	}
	if e.RecordType, err = vals[fieldRecordType].asText("recordType", true); err != nil {
		return err
	}
	if err := e.validateSubject(); err != nil {
		return err
	}
	typ, err := vals[fieldEventType].asText("eventType", false)
	if err != nil {
		return err
	}
	switch typ {
	case "", "put":
	case "delete":
		e.Type = Delete
	default:
		return refuse(classEventType, "eventType", "must be \"put\" or \"delete\" or absent, got %s", show(typ))
	}
	if e.Value, err = vals[fieldValue].asRating(e.Type); err != nil {
		return err
	}
	if e.ProviderID, err = vals[fieldProviderID].asText("providerId", false); err != nil {
		return err
	}
	if e.RatedAt, err = vals[fieldRatedAt].asTime(); err != nil {
		return err
	}
	return e.validateAct()
}

// asText returns a string field; "" when it is absent. That null means absent
// is for producers that write every field; where a field is required it is an error of its own.
func (g given) asText(name string, required bool) (string, error) {
	switch {
	case g.kind == kindString:
		return g.text, nil
	case g.kind == kindNull && required:
		return "", refuse(classMissing, name, "is required and must be text in quotes, got null")
	case g.kind == kindAbsent, g.kind == kindNull:
		return "", nil
	}
	return "", refuse(classWrongType, name, "must be text in quotes, got %s", g.describe())
}

// asRating returns the value of a put. A delete's value is of no interest, but
// must be a number, since something else means that the sender meant something else.
func (g given) asRating(t Type) (int, error) {
	switch g.kind {
	case kindNumber:
	case kindAbsent, kindNull:
		if t == Delete {
			return 0, nil
		}
		got := ""
		if g.kind == kindNull {
			got = ", got null"
		}
		return 0, refuse(classMissing, "value", "is required: a whole number from %d to %d%s", MinValue, MaxValue, got)
	case kindString:
		hint := ""
		if _, err := strconv.ParseFloat(g.text, 64); err == nil {
			hint = "; write the number without quotes"
		}
		return 0, refuse(classWrongType, "value", "must be a whole number from %d to %d, got %s%s", MinValue, MaxValue, g.describe(), hint)
	default:
		return 0, refuse(classWrongType, "value", "must be a whole number from %d to %d, got %s", MinValue, MaxValue, g.describe())
	}
	if t == Delete {
		return 0, nil
	}
	if strings.ContainsAny(g.text, ".eE") {
		hint := ""
		if f, err := strconv.ParseFloat(g.text, 64); err == nil && f != math.Trunc(f) && 2*f == math.Trunc(2*f) {
			hint = "; half stars are sent times two"
		}
		return 0, refuse(classNotInteger, "value", "must be a whole number from %d to %d without fraction or exponent, got %s%s", MinValue, MaxValue, shorten(g.text), hint)
	}
	n, err := strconv.Atoi(g.text)
	if err != nil || n < MinValue || n > MaxValue {
		return 0, refuse(classValueRange, "value", "must be a whole number from %d to %d, got %s", MinValue, MaxValue, shorten(g.text))
	}
	return n, nil
}

func (g given) asTime() (time.Time, error) {
	text, err := g.asText("ratedAt", false)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	var t time.Time
	// Not time.Parse, which is laxer than RFC 3339; both let a comma pass for the point.
	if err := t.UnmarshalText([]byte(text)); err != nil || strings.Contains(text, ",") {
		return time.Time{}, refuse(classTime, "ratedAt", "must be an RFC 3339 time with zone, for example \"2024-05-01T18:30:00Z\", got %s", show(text))
	}
	t = t.UTC().Truncate(time.Microsecond)
	if t.Before(epoch()) { // also keeps the zero time, which means "none", out
		return time.Time{}, refuse(classTimeRange, "ratedAt", "must be in the years 1970 to 9999, got %s", show(text))
	}
	return t, nil
}

// describe names what was given, for a message.
func (g given) describe() string {
	switch g.kind {
	case kindString:
		return "the text " + show(g.text)
	case kindNumber:
		return "the number " + shorten(g.text)
	case kindObject:
		return "an object"
	case kindArray:
		return "an array"
	}
	return g.text // true, false, null
}

func shorten(literal string) string {
	if len(literal) > 64 {
		return literal[:64] + "…"
	}
	return literal
}

// JSON returns the event as the value of a Kafka record, or Validate's error.
func (e *Event) JSON() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return e.AppendJSON(make([]byte, 0, 160+len(e.UserID)+len(e.RecordID)+len(e.ProviderID))), nil
}

// AppendJSON appends the event's JSON form to dst. It does not validate: it is
// for events that were.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `{"userId":`...), e.UserID)
	dst = appendString(append(dst, `,"recordId":`...), e.RecordID)
	dst = appendString(append(dst, `,"recordType":`...), e.RecordType)
	if e.Type != Delete {
		dst = strconv.AppendInt(append(dst, `,"value":`...), int64(e.Value), 10)
	}
	if e.ProviderID != "" {
		dst = appendString(append(dst, `,"providerId":`...), e.ProviderID)
	}
	dst = appendString(append(dst, `,"eventType":`...), e.Type.String())
	if !e.RatedAt.IsZero() {
		dst = append(dst, `,"ratedAt":"`...)
		dst = e.RatedAt.UTC().Truncate(time.Microsecond).AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

// appendString appends s as a JSON string. s is valid UTF-8.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"')
}
