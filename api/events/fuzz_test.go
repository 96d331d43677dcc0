package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"movieexample.com/api/events"
)

// FuzzDecodeJSON holds the decoder against encoding/json: what it accepts is
// JSON with the same fields; and against itself: what it accepts is valid and
// comes back the same from both encodings.
func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(compatible))
	f.Add([]byte(`{"userId":"\ud83c\udfac","recordId":"r","recordType":"movie","eventType":"delete","value":1e9,"x":[{}, [1.5e-3, null]]}`))
	f.Add([]byte(`{"userId":"u","recordId":"r","recordType":"m-_9","value":10,"ratedAt":"2024-05-01T20:30:00.123456789+02:00"}`))
	f.Add([]byte(`{"userId":"u","recordId":"r","recordType":"m","value":80.0e-1,"ratedAt":"2016-12-31t23:59:60.5z"}`))
	f.Add([]byte(`{"user\u0049d":" u","recordId":null,"value":07}`))
	f.Add([]byte(`{"userId":"a\u0000","event_type":"delete"}` + "\x00"))
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := events.Decode("", value)
		if err != nil {
			if events.Class(err) == "" {
				t.Fatalf("refused without a class: %v", err)
			}
			return
		}
		if err := e.Validate(); err != nil {
			t.Fatalf("accepted, but not valid: %v", err)
		}
		compareWithStandardLibrary(t, value, e)
		for _, enc := range []struct {
			contentType string
			encode      func() ([]byte, error)
		}{{events.ContentTypeJSON, e.JSON}, {events.ContentTypeProtobuf, e.Protobuf}} {
			b, err := enc.encode()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := events.Decode(enc.contentType, b); err != nil || again != e {
				t.Fatalf("%s: %+v came back as %+v, %v", enc.contentType, e, again, err)
			}
		}
	})
}

func compareWithStandardLibrary(t *testing.T, value []byte, e events.Event) {
	t.Helper()
	var m map[string]any
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("accepted, but encoding/json says: %v", err)
	}
	if dec.More() {
		t.Fatal("accepted, but encoding/json sees more data")
	}
	text := func(name string) string { s, _ := m[name].(string); return s }
	if e.UserID != text("userId") || e.RecordID != text("recordId") || e.RecordType != text("recordType") || e.ProviderID != text("providerId") {
		t.Fatalf("%+v differs from encoding/json: %v", e, m)
	}
	if (e.Type == events.Delete) != (text("eventType") == "delete") {
		t.Fatalf("type %v, but encoding/json has %v", e.Type, m["eventType"])
	}
	if e.Type == events.Put {
		n, _ := m["value"].(json.Number)
		if v, ok := new(big.Rat).SetString(n.String()); !ok || v.Cmp(big.NewRat(int64(e.Value), 1)) != 0 {
			t.Fatalf("value %d, but encoding/json has %v", e.Value, m["value"])
		}
	}
	var at time.Time
	if s := text("ratedAt"); s != "" {
		var err error
		s = strings.Replace(strings.ToUpper(s), ":60", ":59.999999", 1) // what the library does not know: lower case, and leap seconds
		if i := strings.Index(s, ":59.999999."); i >= 0 {
			s = s[:i] + ":59.999999Z"
		}
		if at, err = time.Parse(time.RFC3339Nano, s); err != nil {
			t.Fatalf("time accepted, but: %v", err)
		}
	}
	if !at.Truncate(time.Microsecond).Equal(e.RatedAt) {
		t.Fatalf("time %v, but time.Parse has %v", e.RatedAt, at)
	}
}

// FuzzReadFile reads anything: no panic, positions that grow, and after a good
// item the same event as Decode alone gives.
func FuzzReadFile(f *testing.F) {
	f.Add([]byte(item("a") + "\n" + item("b")))
	f.Add([]byte("\ufeff[" + item("a") + ",\n{\"x\":[}," + item("b") + "]"))
	f.Add([]byte(`["\\\"",[[],{}}]]]`))
	f.Fuzz(func(t *testing.T, file []byte) {
		last := events.Position{Index: -2}
		for it, err := range events.ReadFile(bytes.NewReader(file)) {
			var refused *events.RefusedError
			if err != nil && !errors.As(err, &refused) {
				last.Index = 1 << 62 // nothing may follow
				continue
			}
			pos := it.Position
			if pos.Line < max(last.Line, 1) || pos.Index < 0 && pos.Line == last.Line || pos.Index >= 0 && pos.Index <= last.Index {
				t.Fatalf("position %+v after %+v", pos, last)
			}
			last = pos
			if refused != nil {
				if refused.Position != pos || events.Class(err) == "" || len(refused.Raw) > events.MaxSize {
					t.Fatalf("refusal %+v at %+v", refused, pos)
				}
				continue
			}
			if err := it.Event.Validate(); err != nil {
				t.Fatalf("%s: %v", pos, err)
			}
		}
	})
}

// The ingestion reads hundreds of thousands of events per second; what an event costs
// must not grow unseen.
func TestDecodeJSONAllocations(t *testing.T) {
	value := []byte(compatible)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := events.Decode("", value); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations per event, want 1", n)
	}
	value = []byte(strings.Replace(compatible, "}", `,"ratedAt":"2024-05-01T18:30:00.5Z"}`, 1))
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := events.Decode("", value); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("%v allocations per event with a time, want 2", n)
	}
}

func BenchmarkDecodeJSON(b *testing.B) {
	value := []byte(strings.Replace(compatible, "}", `,"ratedAt":"2024-05-01T18:30:00Z"}`, 1))
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if _, err := events.Decode("", value); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeJSONStandardLibrary is what encoding/json takes for the same value, without any check.
func BenchmarkDecodeJSONStandardLibrary(b *testing.B) {
	value := []byte(strings.Replace(compatible, "}", `,"ratedAt":"2024-05-01T18:30:00Z"}`, 1))
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		var e struct {
			UserID     string    `json:"userId"`
			RecordID   string    `json:"recordId"`
			RecordType string    `json:"recordType"`
			Value      int       `json:"value"`
			ProviderID string    `json:"providerId"`
			EventType  string    `json:"eventType"`
			RatedAt    time.Time `json:"ratedAt"`
		}
		if err := json.Unmarshal(value, &e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeProtobuf(b *testing.B) {
	e := events.Event{UserID: "105", RecordID: "1", RecordType: "movie", Value: 5, ProviderID: "test-provider", RatedAt: time.Unix(1714588200, 0)}
	value, err := e.Protobuf()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if _, err := events.Decode(events.ContentTypeProtobuf, value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	e := events.Event{UserID: "105", RecordID: "1", RecordType: "movie", Value: 5, ProviderID: "test-provider", RatedAt: time.Unix(1714588200, 0)}
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendJSON(buf[:0])
	}
}
