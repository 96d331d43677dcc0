package events

import (
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"movieexample.com/internal/fault"
)

// Limits of an event.
const (
	// MaxSize is the largest value of a Kafka record that is read, in bytes.
	MaxSize = 16 << 10
	// MinValue and MaxValue bound a rating. Half stars are rated times two.
	MinValue = 1
	MaxValue = 10
	// MaxProviderID is the greatest length of a provider id, in bytes.
	MaxProviderID = 128
	// MaxAhead is how far in the future an event may lie, for clocks that differ.
	// An event further ahead would win over every rating made until then.
	MaxAhead = 24 * time.Hour
)

// Values of the Kafka record header "content-type".
const (
	// ContentTypeHeader is the name of the header.
	ContentTypeHeader = "content-type"
	// ContentTypeJSON is what a missing header means.
	ContentTypeJSON = "application/json"
	// ContentTypeProtobuf says that the value is a movieexample.rating.v1.RatingEvent.
	ContentTypeProtobuf = "application/protobuf"
)

// Type is what an event does.
type Type uint8

// The types of event. The zero value is Put, as in the contract a missing type is.
const (
	// Put rates a record, or changes the rating.
	Put Type = iota
	// Delete takes the rating back.
	Delete
)

// String returns the type as the contract spells it: "put" or "delete".
func (t Type) String() string {
	switch t {
	case Put:
		return "put"
	case Delete:
		return "delete"
	}
	return "Type(" + strconv.Itoa(int(t)) + ")"
}

// Event says that a user rated a record, or took the rating back.
type Event struct {
	// UserID and RecordID are identifiers as [fault.ID] describes them.
	UserID   string
	RecordID string
	// RecordType is the kind of record, for example "movie"; see [fault.RecordType].
	RecordType string
	// Value is the rating, MinValue to MaxValue. A Delete has none: 0.
	Value int
	// Type is what the event does.
	Type Type
	// ProviderID says who sent the event; optional, at most MaxProviderID bytes.
	ProviderID string
	// RatedAt is when the user did it, in UTC to the microsecond, not before 1970.
	// The zero time means the timestamp of the Kafka record.
	RatedAt time.Time
}

// Decode reads the value of a Kafka record. contentType is the record's header
// of that name: empty or application/json for JSON, application/protobuf or
// application/x-protobuf for Protobuf; parameters such as charset=utf-8 are
// ignored. A *fault.Error of kind Invalid is in every error, and a class, see [Class].
func Decode(contentType string, value []byte) (Event, error) {
	if len(value) == 0 {
		return Event{}, refuse(classEmpty, "event", "is empty: an event is a JSON object or a Protobuf message; to take a rating back, send one with eventType \"delete\"")
	}
	if len(value) > MaxSize {
		return Event{}, refuse(classTooLarge, "event", "must be at most %d bytes, got %d", MaxSize, len(value))
	}
	switch contentType {
	case "":
		return decodeJSON(value, " (a Protobuf value needs the header "+ContentTypeHeader+": "+ContentTypeProtobuf+")")
	case ContentTypeJSON:
		return decodeJSON(value, "")
	case ContentTypeProtobuf:
		return decodeProtobuf(value)
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media = ""
	}
	switch media {
	case ContentTypeJSON:
		return decodeJSON(value, "")
	case ContentTypeProtobuf, "application/x-protobuf":
		return decodeProtobuf(value)
	}
	return Event{}, refuse(classContentType, ContentTypeHeader, "must be %s, %s or absent, got %s",
		ContentTypeJSON, ContentTypeProtobuf, show(contentType))
}

// epoch is the earliest time a rating can have.
func epoch() time.Time { return time.Unix(0, 0) }

// Validate checks everything but the time's upper bound (see [Event.CheckTime]).
// It returns nil or an error with a class and a *fault.Error of kind Invalid.
func (e *Event) Validate() error {
	if err := e.validateSubject(); err != nil {
		return err
	}
	return e.validateAct()
}

// validateSubject checks who rates what.
func (e *Event) validateSubject() error {
	if err := checkID("userId", e.UserID); err != nil {
		return err
	}
	if err := checkID("recordId", e.RecordID); err != nil {
		return err
	}
	if err := fault.RecordType("recordType", e.RecordType); err != nil {
		class := classRecordType
		if e.RecordType == "" {
			class = classMissing
		}
		return classify(class, err)
	}
	return nil
}

// validateAct checks the type and value, the provider, and the time.
func (e *Event) validateAct() error {
	switch e.Type {
	case Put:
		if e.Value < MinValue || e.Value > MaxValue {
			return refuse(classValueRange, "value", "must be a whole number from %d to %d, got %d", MinValue, MaxValue, e.Value)
		}
	case Delete:
	default:
		return refuse(classEventType, "eventType", "must be \"put\" or \"delete\", got %s", e.Type)
	}
	if err := checkProvider(e.ProviderID); err != nil {
		return err
	}
	if !e.RatedAt.IsZero() && (e.RatedAt.Before(epoch()) || e.RatedAt.UTC().Year() > 9999) {
		return refuse(classTimeRange, "ratedAt", "must be in the years 1970 to 9999, got %s", e.RatedAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// CheckTime refuses an event whose time is more than [MaxAhead] after now.
func (e *Event) CheckTime(now time.Time) error {
	if latest := now.Add(MaxAhead); e.RatedAt.After(latest) {
		return refuse(classTimeRange, "ratedAt", "must be at most %d hours ahead of now (%s), got %s", int(MaxAhead.Hours()),
			now.UTC().Format(time.RFC3339), e.RatedAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// Key is the key of the Kafka record: "<record type>:<record id>". It keeps the
// events of one record in one partition; results are right without it too.
func (e *Event) Key() []byte {
	return append(append(append(make([]byte, 0, len(e.RecordType)+1+len(e.RecordID)), e.RecordType...), ':'), e.RecordID...)
}

func checkID(field, v string) error {
	// Most identifiers are plain ASCII; the general check costs ten times as much. A test holds the two against each other.
	if len(v) > 0 && len(v) <= fault.MaxID && plain(v) && v[0] != '.' {
		return nil
	}
	err := fault.ID(field, v)
	switch {
	case err == nil:
		return nil
	case v == "":
		return classify(classMissing, err)
	}
	return classify(classID, err)
}

// plain reports whether v is printable ASCII without spaces.
func plain(v string) bool {
	for i := range len(v) {
		if v[i] <= ' ' || v[i] >= 0x7f {
			return false
		}
	}
	return true
}

func checkProvider(v string) error {
	switch {
	case v == "" || len(v) <= MaxProviderID && plain(v):
		return nil
	case len(v) > MaxProviderID:
		return refuse(classProviderID, "providerId", "must be at most %d bytes, got %d", MaxProviderID, len(v))
	case !utf8.ValidString(v):
		return refuse(classUTF8, "providerId", "must be valid UTF-8, got %s", show(v))
	case strings.IndexFunc(v, unicode.IsControl) >= 0:
		return refuse(classProviderID, "providerId", "must not contain control characters, got %s", show(v))
	}
	return nil
}
