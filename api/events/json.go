package events

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"movieexample.com/internal/syntax"
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

// values are what an event says of the known names.
type values [fieldUnknown]syntax.Value

// decodeJSON reads the JSON form. A fuzz test compares it with encoding/json, which takes five times as long and
// accepts input that the contract refuses.
func decodeJSON(value []byte, hint string) (Event, error) {
	// One copy; the event's strings point into it.
	var vals values
	if err := vals.read(string(value), hint); err != nil {
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

// read reads the whole text, which must be one object. hint is what the sender of something else than JSON should know.
func (vals *values) read(text, hint string) error {
	var s syntax.Scanner
	if err := s.Open(text); err != nil {
		return refuseText(err, hint)
	}
	for {
		name, ok, err := s.Member()
		if err != nil {
			return refuseText(err, "")
		}
		if !ok {
			break
		}
		f := fieldOf(name)
		if f == fieldUnknown {
			if known, ok := meant(name); ok {
				return refuse(classMisspelled, known, "must be spelled %q, got %q", known, name)
			}
		} else if vals[f].Kind != syntax.Absent {
			return refuse(classDuplicate, name, "must be given once, got it twice")
		}
		start := s.Offset()
		v, err := s.Value()
		switch {
		case err != nil:
			return refuseText(err, "")
		case f == fieldUnknown:
		case v.Half:
			return refuse(classUTF8, name, "must be valid Unicode, got half of a surrogate pair in %s", shorten(s.Since(start)))
		default:
			vals[f] = v
		}
	}
	if err := s.End(); err != nil {
		return refuseText(err, "")
	}
	return nil
}

// refuseText refuses a value that cannot be read at all.
func refuseText(err error, hint string) error {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return err
	}
	class := classNotJSON
	switch e.Problem {
	case syntax.NotUTF8:
		class = classUTF8
	case syntax.Empty:
		class = classEmpty
	case syntax.NotObject:
		class = classNotObject
	case syntax.TooDeep:
		class = classTooDeep
	case syntax.Trailing:
		class = classTrailing
	}
	if class != classNotJSON {
		hint = ""
	}
	return refuse(class, "event", "%s%s", e, hint)
}

// fill takes over what the scanner found, and validates it.
func (e *Event) fill(vals *values) error {
	var err error
	if e.UserID, err = asText(vals[fieldUserID], "userId", true); err != nil {
		return err
	}
	if e.RecordID, err = asText(vals[fieldRecordID], "recordId", true); err != nil {
		return err
	}
	if e.RecordType, err = asText(vals[fieldRecordType], "recordType", true); err != nil {
		return err
	}
	if err := e.validateSubject(); err != nil {
		return err
	}
	typ, err := asText(vals[fieldEventType], "eventType", false)
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
	if e.Value, err = asRating(vals[fieldValue], e.Type); err != nil {
		return err
	}
	if e.ProviderID, err = asText(vals[fieldProviderID], "providerId", false); err != nil {
		return err
	}
	if e.RatedAt, err = asTime(vals[fieldRatedAt]); err != nil {
		return err
	}
	return e.validateAct()
}

// asText returns a string field; "" when it is absent. That null means absent
// is for producers that write every field; where a field is required it is its own error.
func asText(v syntax.Value, name string, required bool) (string, error) {
	switch {
	case v.Kind == syntax.String:
		return v.Text, nil
	case v.Kind == syntax.Null && required:
		return "", refuse(classMissing, name, "is required and must be text in quotes, got null")
	case v.Kind == syntax.Absent, v.Kind == syntax.Null:
		return "", nil
	}
	return "", refuse(classWrongType, name, "must be text in quotes, got %s", v.Describe())
}

// asRating returns the value of a put. A delete's value is of no interest, but
// must be a number, since something else means that the sender meant something else.
func asRating(v syntax.Value, t Type) (int, error) {
	switch v.Kind {
	case syntax.Number:
	case syntax.Absent, syntax.Null:
		if t == Delete {
			return 0, nil
		}
		got := ""
		if v.Kind == syntax.Null {
			got = ", got null"
		}
		return 0, refuse(classMissing, "value", "is required: a whole number from %d to %d%s", MinValue, MaxValue, got)
	case syntax.String:
		hint := ""
		if _, err := strconv.ParseFloat(v.Text, 64); err == nil {
			hint = "; write the number without quotes"
		}
		return 0, refuse(classWrongType, "value", "must be a whole number from %d to %d, got %s%s", MinValue, MaxValue, v.Describe(), hint)
	default:
		return 0, refuse(classWrongType, "value", "must be a whole number from %d to %d, got %s", MinValue, MaxValue, v.Describe())
	}
	if t == Delete {
		return 0, nil
	}
	n, err := syntax.Integer(v.Text)
	switch {
	case errors.Is(err, syntax.ErrFraction):
		hint := ""
		if f, err := strconv.ParseFloat(v.Text, 64); err == nil && 2*f == math.Trunc(2*f) {
			hint = "; half stars are sent times two"
		}
		return 0, refuse(classNotInteger, "value", "must be a whole number from %d to %d, got %s%s", MinValue, MaxValue, shorten(v.Text), hint)
	case err != nil, n < MinValue, n > MaxValue:
		return 0, refuse(classValueRange, "value", "must be a whole number from %d to %d, got %s", MinValue, MaxValue, shorten(v.Text))
	}
	return int(n), nil
}

func asTime(v syntax.Value) (time.Time, error) {
	text, err := asText(v, "ratedAt", false)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	t, err := syntax.Time(text)
	if err != nil {
		return time.Time{}, refuse(classTime, "ratedAt", "%v, got %s", err, show(text))
	}
	if t.Before(epoch()) { // also keeps the zero time, which means "none", out
		return time.Time{}, refuse(classTimeRange, "ratedAt", "must be in the years 1970 to 9999, got %s", show(text))
	}
	return t, nil
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
