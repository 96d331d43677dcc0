package events_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"movieexample.com/api/events"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
)

// compatible is the value that the original system's producers send.
const compatible = `{"userId":"105","recordId":"1","recordType":"movie","value":5,"providerId":"test-provider","eventType":"put"}`

func TestDecodeAcceptsTheCompatibleForm(t *testing.T) {
	got, err := events.Decode("", []byte(compatible))
	if err != nil {
		t.Fatal(err)
	}
	want := events.Event{UserID: "105", RecordID: "1", RecordType: "movie", Value: 5, ProviderID: "test-provider"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("decoded event (-want +got):\n%s", d)
	}
	if k := string(got.Key()); k != "movie:1" {
		t.Errorf("key = %q, want movie:1", k)
	}
	again, err := got.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != compatible {
		t.Errorf("encoded again:\n got %s\nwant %s", again, compatible)
	}
}

// Each row changes one thing in an event that is accepted, and is accepted.
func TestDecodeJSONAccepts(t *testing.T) {
	base := events.Event{UserID: "u", RecordID: "r", RecordType: "movie", Value: 7}
	with := func(f func(*events.Event)) events.Event { e := base; f(&e); return e }
	for _, tt := range []struct {
		name, value string
		want        events.Event
	}{
		{"no event type", `{"userId":"u","recordId":"r","recordType":"movie","value":7}`, base},
		{"empty event type", `{"userId":"u","recordId":"r","recordType":"movie","value":7,"eventType":""}`, base},
		{"null for what is optional", `{"userId":"u","recordId":"r","recordType":"movie","value":7,"eventType":null,"providerId":null,"ratedAt":null}`, base},
		{"white space everywhere", " {\r\n\t\"userId\" : \"u\" , \"recordId\":\"r\",\"recordType\":\"movie\",\"value\": 7 } \n", base},
		{"unknown names", `{"userId":"u","x":{"userId":[1,{"y":null}],"s":"\u00e9\ud800"},"recordId":"r","recordType":"movie","value":7,"x":-1.5e+3}`, base},
		{"escapes in names and values", `{"user\u0049d":"\u0075","recordId":"r","record\u0054ype":"mov\u0069e","value":7}`, base},
		{
			"a pair of surrogates", `{"userId":"\ud83c\udfac\/\"\\","recordId":"r","recordType":"movie","value":7}`,
			with(func(e *events.Event) { e.UserID = `🎬/"\` }),
		},
		{"a whole number with a fraction", `{"userId":"u","recordId":"r","recordType":"movie","value":7.0}`, base},
		{"a whole number with an exponent", `{"userId":"u","recordId":"r","recordType":"movie","value":70e-1}`, base},
		{
			"delete", `{"userId":"u","recordId":"r","recordType":"movie","eventType":"delete"}`,
			with(func(e *events.Event) { e.Type, e.Value = events.Delete, 0 }),
		},
		{
			"delete with any number", `{"userId":"u","recordId":"r","recordType":"movie","eventType":"delete","value":99.5}`,
			with(func(e *events.Event) { e.Type, e.Value = events.Delete, 0 }),
		},
		{
			"time in UTC", `{"userId":"u","recordId":"r","recordType":"movie","value":7,"ratedAt":"2024-05-01T18:30:00Z"}`,
			with(func(e *events.Event) { e.RatedAt = time.Date(2024, 5, 1, 18, 30, 0, 0, time.UTC) }),
		},
		{
			"time with zone, cut to microseconds", `{"userId":"u","recordId":"r","recordType":"movie","value":7,"ratedAt":"2024-05-01T20:30:00.123456789+02:00"}`,
			with(func(e *events.Event) { e.RatedAt = time.Date(2024, 5, 1, 18, 30, 0, 123456000, time.UTC) }),
		},
		{
			"the first moment", `{"userId":"u","recordId":"r","recordType":"movie","value":7,"ratedAt":"1970-01-01T00:00:00Z"}`,
			with(func(e *events.Event) { e.RatedAt = time.Unix(0, 0).UTC() }),
		},
		{
			"ids of any script, with spaces inside", `{"userId":"Zoë 42","recordId":"r","recordType":"movie","value":7}`,
			with(func(e *events.Event) { e.UserID = "Zoë 42" }),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, ct := range []string{"", "application/json", "Application/JSON; charset=utf-8"} {
				got, err := events.Decode(ct, []byte(tt.value))
				if err != nil {
					t.Fatalf("content type %q: %v", ct, err)
				}
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Errorf("decoded event (-want +got):\n%s", d)
				}
			}
		})
	}
}

// Each row changes one thing in an event that is accepted; the whole message a
// user gets is part of the test.
func TestDecodeJSONRefuses(t *testing.T) {
	const base = `{"userId":"u","recordId":"r","recordType":"movie","value":7}`
	replace := func(old, with string) string {
		if !strings.Contains(base, old) {
			t.Fatalf("base has no %s", old)
		}
		return strings.Replace(base, old, with, 1)
	}
	add := func(member string) string { return replace(`7}`, `7,`+member+`}`) }
	long := strings.Repeat("x", 200)

	for _, tt := range []struct{ name, value, class, message string }{
		{"empty", "", "empty", `event: is empty: an event is a JSON object or a Protobuf message; to take a rating back, send one with eventType "delete"`},
		{"blank", " \n", "empty", `event: is empty: must be a JSON object, got only white space`},
		{"too large", add(`"x":"` + strings.Repeat("x", events.MaxSize) + `"`), "too-large", `event: must be at most 16384 bytes, got 16451`},
		{"not UTF-8", replace(`"u"`, "\"\xff\""), "bad-utf8", `event: must be valid UTF-8`},
		{"half a surrogate pair", replace(`"u"`, `"a\ud83c"`), "bad-utf8", `userId: must be valid Unicode, got half of a surrogate pair in "a\ud83c"`},
		{"other text", "userId=1", "not-json", `event: must be a JSON object, got "userId=1" (a Protobuf value needs the header content-type: application/protobuf)`},
		{"cut off", base[:20], "not-json", `event: must be valid JSON: it ends at byte 20 where a closing quote should be`},
		{"cut off behind a colon", base[:10], "not-json", `event: must be valid JSON: it ends at byte 10 where a value should be`},
		{"trailing comma", replace(`7}`, `7,}`), "not-json", `event: must be valid JSON: a name in double quotes should be at byte 61, got "}"`},
		{"no comma", replace(`,"value"`, `"value"`), "not-json", `event: must be valid JSON: a comma or a closing brace should be at byte 50, got "\"value\":7}"`},
		{"no colon", replace(`"value":`, `"value"`), "not-json", `event: must be valid JSON: a colon should be at byte 58, got "7}"`},
		{"single quotes", replace(`"u"`, `'u'`), "not-json", `event: must be valid JSON: a value should be at byte 11, got "'u',\"recordId\":\""`},
		{"leading zero", replace(`7`, `07`), "not-json", `event: must be valid JSON: a comma or a closing brace should be at byte 60, got "7}"`},
		{"leading plus", replace(`7`, `+7`), "not-json", `event: must be valid JSON: a value should be at byte 59, got "+7}"`},
		{"a line break in a string", replace(`"u"`, "\"a\nb\""), "not-json", `event: must be valid JSON: no control character in a string should be at byte 13, got "\nb\",\"recordId\":\""`},
		{"bad escape", replace(`"u"`, `"\x41"`), "not-json", `event: must be valid JSON: a valid escape should be at byte 13, got "x41\",\"recordId\":"`},
		{"bad hexadecimal escape", replace(`"u"`, `"\u00g0"`), "not-json", `event: must be valid JSON: four hexadecimal digits should be at byte 13, got "u00g0\",\"recordId"`},
		{"an array", "[" + base + "]", "not-an-object", `event: must be a JSON object, got an array`},
		{"a string", `"put"`, "not-an-object", `event: must be a JSON object, got the text "put"`},
		{"null", `null`, "not-an-object", `event: must be a JSON object, got null`},
		{"two objects", base + base, "trailing-data", `event: must be one JSON object and nothing behind it, got "{\"userId\":\"u\",\"recordId\":\"r\",\"recordType\":\"movie\",\"value\":7}" at byte 61`},
		{"too deep", add(`"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), "too-deep", `event: must not be nested deeper than 32 levels`},
		{"twice", add(`"value":8`), "duplicate-name", `value: must be given once, got it twice`},
		{"twice, once escaped", add(`"\u0076alue":8`), "duplicate-name", `value: must be given once, got it twice`},
		{"snake case", add(`"event_type":"delete"`), "misspelled-name", `eventType: must be spelled "eventType", got "event_type"`},
		{"upper case", add(`"EventType":"delete"`), "misspelled-name", `eventType: must be spelled "eventType", got "EventType"`},
		{"lower case", replace(`userId`, `userid`), "misspelled-name", `userId: must be spelled "userId", got "userid"`},
		{"kebab case", add(`"RATED-AT":"x"`), "misspelled-name", `ratedAt: must be spelled "ratedAt", got "RATED-AT"`},
		{"a number as id", replace(`"u"`, `105`), "wrong-type", `userId: must be text in quotes, got the number 105`},
		{"an object as id", replace(`"r"`, `{"a":1}`), "wrong-type", `recordId: must be text in quotes, got an object`},
		{"an array as event type", add(`"eventType":["put"]`), "wrong-type", `eventType: must be text in quotes, got an array`},
		{"a truth value as time", add(`"ratedAt":true`), "wrong-type", `ratedAt: must be text in quotes, got true`},
		{"a number as time", add(`"ratedAt":1714588200`), "wrong-type", `ratedAt: must be text in quotes, got the number 1714588200`},
		{"a quoted value", replace(`7`, `"7"`), "wrong-type", `value: must be a whole number from 1 to 10, got the text "7"; write the number without quotes`},
		{"text as value", replace(`7`, `"good"`), "wrong-type", `value: must be a whole number from 1 to 10, got the text "good"`},
		{"false as value", replace(`7`, `false`), "wrong-type", `value: must be a whole number from 1 to 10, got false`},
		{"text as value of a delete", replace(`7`, `"","eventType":"delete"`), "wrong-type", `value: must be a whole number from 1 to 10, got the text ""`},
		{"no user", `{"recordId":"r","recordType":"movie","value":7}`, "missing-field", `userId: is required: 1 to 128 bytes`},
		{"empty user", replace(`"u"`, `""`), "missing-field", `userId: is required: 1 to 128 bytes`},
		{"null user", replace(`"u"`, `null`), "missing-field", `userId: is required and must be text in quotes, got null`},
		{"no record", replace(`"recordId":"r",`, ``), "missing-field", `recordId: is required: 1 to 128 bytes`},
		{"no record type", replace(`"recordType":"movie",`, ``), "missing-field", `recordType: is required: must be a lower-case letter followed by at most 31 of a-z, 0-9, "_" and "-", for example "movie"`},
		{"no value", replace(`,"value":7`, ``), "missing-field", `value: is required: a whole number from 1 to 10`},
		{"null value", replace(`7`, `null`), "missing-field", `value: is required: a whole number from 1 to 10, got null`},
		{"an empty object", `{}`, "missing-field", `userId: is required: 1 to 128 bytes`},
		{"a dot as the record", replace(`"r"`, `"."`), "bad-id", `recordId: must not be "." or "..", which URLs give another meaning, got "."`},
		{"two dots as the user", replace(`"u"`, `".."`), "bad-id", `userId: must not be "." or "..", which URLs give another meaning, got ".."`},
		{"long user", replace(`"u"`, `"`+long+`"`), "bad-id", `userId: must be 1 to 128 bytes, got 200`},
		{"spaces around the record", replace(`"r"`, `" r "`), "bad-id", `recordId: must not start or end with white space, got " r "`},
		{"a control character in the user", replace(`"u"`, `"a\u0000b"`), "bad-id", `userId: must not contain control characters, got "a\x00b"`},
		{"upper-case record type", replace(`"movie"`, `"Movie"`), "bad-record-type", `recordType: must be a lower-case letter followed by at most 31 of a-z, 0-9, "_" and "-", for example "movie"; got "Movie"`},
		{"other event type", add(`"eventType":"update"`), "bad-event-type", `eventType: must be "put" or "delete" or absent, got "update"`},
		{"event type in upper case", add(`"eventType":"DELETE"`), "bad-event-type", `eventType: must be "put" or "delete" or absent, got "DELETE"`},
		{"long event type", add(`"eventType":"` + long + `"`), "bad-event-type", `eventType: must be "put" or "delete" or absent, got "` + long[:64] + `"…`},
		{"a fraction", replace(`7`, `4.5`), "value-not-integer", `value: must be a whole number from 1 to 10, got 4.5; half stars are sent times two`},
		{"zero", replace(`7`, `0`), "value-out-of-range", `value: must be a whole number from 1 to 10, got 0`},
		{"minus zero", replace(`7`, `-0`), "value-out-of-range", `value: must be a whole number from 1 to 10, got -0`},
		{"eleven", replace(`7`, `11`), "value-out-of-range", `value: must be a whole number from 1 to 10, got 11`},
		{"negative", replace(`7`, `-5`), "value-out-of-range", `value: must be a whole number from 1 to 10, got -5`},
		{"beyond 64 bits", replace(`7`, `18446744073709551623`), "value-out-of-range", `value: must be a whole number from 1 to 10, got 18446744073709551623`},
		{"long provider", add(`"providerId":"` + long + `"`), "bad-provider-id", `providerId: must be at most 128 bytes, got 200`},
		{"a control character in the provider", add(`"providerId":"a\tb"`), "bad-provider-id", `providerId: must not contain control characters, got "a\tb"`},
		{"a day as time", add(`"ratedAt":"2024-05-01"`), "bad-time", `ratedAt: must be an RFC 3339 time with zone, for example "2024-05-01T18:30:00Z", got "2024-05-01"`},
		{"a time without zone", add(`"ratedAt":"2024-05-01T18:30:00"`), "bad-time", `ratedAt: must be an RFC 3339 time with zone, for example "2024-05-01T18:30:00Z", got "2024-05-01T18:30:00"`},
		{"a time with a comma", add(`"ratedAt":"2024-05-01T18:30:00,5Z"`), "bad-time", `ratedAt: must be an RFC 3339 time with zone, for example "2024-05-01T18:30:00Z", got "2024-05-01T18:30:00,5Z"`},
		{"before 1970", add(`"ratedAt":"1969-12-31T23:59:59Z"`), "time-out-of-range", `ratedAt: must be in the years 1970 to 9999, got "1969-12-31T23:59:59Z"`},
		{"the year one", add(`"ratedAt":"0001-01-01T00:00:00Z"`), "time-out-of-range", `ratedAt: must be in the years 1970 to 9999, got "0001-01-01T00:00:00Z"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := events.Decode("", []byte(tt.value))
			checkRefused(t, err, tt.class, tt.message)
			if got != (events.Event{}) {
				t.Errorf("a refused event is %+v, want nothing", got)
			}
		})
	}
}

func TestDecodeRefusesOtherContentTypes(t *testing.T) {
	for ct, message := range map[string]string{
		"application/avro": `content-type: must be application/json, application/protobuf or absent, got "application/avro"`,
		"json":             `content-type: must be application/json, application/protobuf or absent, got "json"`,
		";":                `content-type: must be application/json, application/protobuf or absent, got ";"`,
	} {
		_, err := events.Decode(ct, []byte(compatible))
		checkRefused(t, err, "bad-content-type", message)
	}
}

func TestDecodeProtobuf(t *testing.T) {
	at := time.Date(2024, 5, 1, 18, 30, 0, 123456789, time.UTC)
	base := func() *ratingv1.RatingEvent {
		return &ratingv1.RatingEvent{UserId: "u", RecordId: "r", RecordType: "movie", Value: 7, ProviderId: "p", RatedAt: timestamppb.New(at)}
	}
	want := events.Event{UserID: "u", RecordID: "r", RecordType: "movie", Value: 7, ProviderID: "p", RatedAt: at.Truncate(time.Microsecond)}
	for _, tt := range []struct {
		name    string
		change  func(*ratingv1.RatingEvent)
		want    func(*events.Event)
		class   string
		message string
	}{
		{name: "unspecified is put", change: func(*ratingv1.RatingEvent) {}},
		{name: "put", change: func(m *ratingv1.RatingEvent) { m.EventType = ratingv1.EventType_EVENT_TYPE_PUT }},
		{
			name: "delete", change: func(m *ratingv1.RatingEvent) { m.EventType = ratingv1.EventType_EVENT_TYPE_DELETE },
			want: func(e *events.Event) { e.Type, e.Value = events.Delete, 0 },
		},
		{name: "no time", change: func(m *ratingv1.RatingEvent) { m.RatedAt = nil }, want: func(e *events.Event) { e.RatedAt = time.Time{} }},
		{
			name: "other type", change: func(m *ratingv1.RatingEvent) { m.EventType = 7 },
			class: "bad-event-type", message: `event_type: must be EVENT_TYPE_PUT (1), EVENT_TYPE_DELETE (2) or unset, got 7`,
		},
		{
			name: "no value", change: func(m *ratingv1.RatingEvent) { m.Value = 0 },
			class: "value-out-of-range", message: `value: must be a whole number from 1 to 10, got 0`,
		},
		{
			name: "no user", change: func(m *ratingv1.RatingEvent) { m.UserId = "" },
			class: "missing-field", message: `userId: is required: 1 to 128 bytes`,
		},
		{
			name: "before 1970", change: func(m *ratingv1.RatingEvent) { m.RatedAt.Seconds = -1 },
			class: "time-out-of-range", message: `rated_at: must be in the years 1970 to 9999, got 1969-12-31T23:59:59Z`,
		},
		{
			name: "the zero time", change: func(m *ratingv1.RatingEvent) { m.RatedAt = timestamppb.New(time.Time{}) },
			class: "time-out-of-range", message: `rated_at: must be in the years 1970 to 9999, got 0001-01-01T00:00:00Z`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := base()
			tt.change(m)
			b, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, ct := range []string{"application/protobuf", "application/x-protobuf"} {
				got, err := events.Decode(ct, b)
				if tt.class != "" {
					checkRefused(t, err, tt.class, tt.message)
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				want := want
				if tt.want != nil {
					tt.want(&want)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("decoded event (-want +got):\n%s", d)
				}
				again, err := got.Protobuf()
				if err != nil {
					t.Fatal(err)
				}
				if back, err := events.Decode(ct, again); err != nil || back != got {
					t.Errorf("decoded again: %+v, %v; want %+v", back, err, got)
				}
			}
		})
	}

	_, err := events.Decode("application/protobuf", []byte(compatible))
	if events.Class(err) != "not-protobuf" || !strings.HasPrefix(err.Error(), "event: must be a Protobuf message movieexample.rating.v1.RatingEvent, as its content-type says: ") {
		t.Errorf("JSON as Protobuf: class %q, %v", events.Class(err), err)
	}
}

func TestEncodersValidate(t *testing.T) {
	valid := events.Event{UserID: "u", RecordID: "r", RecordType: "movie", Value: 7}
	for _, tt := range []struct {
		name, class string
		change      func(*events.Event)
	}{
		{"value", "value-out-of-range", func(e *events.Event) { e.Value = 11 }},
		{"type", "bad-event-type", func(e *events.Event) { e.Type = 9 }},
		{"user", "bad-id", func(e *events.Event) { e.UserID = "\xff" }},
		{"provider", "bad-utf8", func(e *events.Event) { e.ProviderID = "\xff" }},
		{"time", "time-out-of-range", func(e *events.Event) { e.RatedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
	} {
		e := valid
		tt.change(&e)
		_, jerr := e.JSON()
		_, perr := e.Protobuf()
		if events.Class(jerr) != tt.class || events.Class(perr) != tt.class {
			t.Errorf("%s: JSON refuses with %v, Protobuf with %v, want class %s", tt.name, jerr, perr, tt.class)
		}
	}
}

func TestCheckTime(t *testing.T) {
	now := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	e := events.Event{UserID: "u", RecordID: "r", RecordType: "movie", Value: 7}
	for _, ok := range []time.Time{{}, now, now.Add(24 * time.Hour)} {
		e.RatedAt = ok
		if err := e.CheckTime(now); err != nil {
			t.Errorf("rated at %v: %v", ok, err)
		}
	}
	e.RatedAt = now.Add(24*time.Hour + time.Microsecond)
	checkRefused(t, e.CheckTime(now), "time-out-of-range",
		`ratedAt: must be at most 24 hours ahead of now (2024-05-01T12:00:00Z), got 2024-05-02T12:00:00Z`)
}

// The README is the contract: a class that is not in it does not exist for users.
func TestREADMENamesEveryClass(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	classes := events.Classes()
	if len(classes) < 12 || len(slices.Compact(slices.Sorted(slices.Values(classes)))) != len(classes) {
		t.Errorf("%d classes with repetitions? %q", len(classes), classes)
	}
	for _, c := range classes {
		if !strings.Contains(string(readme), "| `"+c+"` |") {
			t.Errorf("README.md has no row for class %s", c)
		}
	}
	if !strings.Contains(string(readme), compatible) {
		t.Error("README.md does not show the compatible form")
	}
}

// The schema is for other languages; what can be compared with the Go code is.
func TestSchemaAgrees(t *testing.T) {
	b, err := os.ReadFile("rating-event.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Required   []string
		Properties map[string]any
		Examples   []json.RawMessage
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(schema.Properties))
	if want := []string{"eventType", "providerId", "ratedAt", "recordId", "recordType", "userId", "value"}; !slices.Equal(names, want) {
		t.Errorf("properties %q, want %q", names, want)
	}
	if want := []string{"userId", "recordId", "recordType"}; !slices.Equal(schema.Required, want) {
		t.Errorf("required %q, want %q", schema.Required, want)
	}
	if len(schema.Examples) != 2 {
		t.Errorf("%d examples, want 2", len(schema.Examples))
	}
	for _, ex := range schema.Examples {
		if _, err := events.Decode("", ex); err != nil {
			t.Errorf("example %s: %v", ex, err)
		}
	}
}

func TestClassOfOtherErrors(t *testing.T) {
	if c := events.Class(errors.New("x")); c != "" {
		t.Errorf("class = %q, want none", c)
	}
	if c := events.Class(nil); c != "" {
		t.Errorf("class of nil = %q, want none", c)
	}
}

func checkRefused(t *testing.T, err error, class, message string) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted, want class %s: %s", class, message)
	}
	if got := events.Class(err); got != class {
		t.Errorf("class = %q, want %q", got, class)
	}
	if err.Error() != message {
		t.Errorf("message:\n got %s\nwant %s", err, message)
	}
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.KindInvalid || len(f.Fields) != 1 {
		t.Errorf("fault = %+v, want Invalid with one field", f)
	}
	if fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("kind = %v, want Invalid", fault.KindOf(err))
	}
	if !slices.Contains(events.Classes(), class) {
		t.Errorf("class %s is not in Classes", class)
	}
}

// TestIdentifierRule: the quick check of identifiers accepts what the rule of all services does, and nothing else.
func TestIdentifierRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(
			rapid.StringMatching(`[.]{0,4}`), rapid.StringMatching(`[ -~]{0,5}`), rapid.String(), rapid.StringN(120, 140, 140),
		).Draw(t, "id")
		e := events.Event{UserID: id, RecordID: "r", RecordType: "movie", Value: 5}
		if got, want := e.Validate() == nil, fault.ID("userId", id) == nil; got != want {
			t.Fatalf("user id %q: the event is accepted %v, the rule says %v", id, got, want)
		}
	})
}
