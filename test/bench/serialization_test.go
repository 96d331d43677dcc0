package bench_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"movieexample.com/gen/book"
)

// Metadata is the film as the teaching system writes it in text formats. encoding/xml takes the element's name from the
// type's, and the names of its parts from the fields', as there are no tags for XML there either.
type Metadata struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Director    string `json:"director"`
}

const (
	sampleID, sampleTitle               = "123", "The Movie 2"
	sampleDescription, sampleDirectedBy = "Sequel of the legendary The Movie", "Foo Bars"
)

// format is one way to write the film.
type format struct {
	name   string
	size   int // of the sample, in bytes
	encode func() ([]byte, error)
	decode func([]byte) (id string, err error)
}

func formats() []format {
	text := Metadata{ID: sampleID, Title: sampleTitle, Description: sampleDescription, Director: sampleDirectedBy}
	message := &book.Metadata{Id: sampleID, Title: sampleTitle, Description: sampleDescription, Director: sampleDirectedBy}
	return []format{
		{
			"JSON", 106,
			func() ([]byte, error) { return json.Marshal(text) },
			func(b []byte) (string, error) {
				var m Metadata
				err := json.Unmarshal(b, &m)
				return m.ID, err
			},
		},
		{
			"XML", 148,
			func() ([]byte, error) { return xml.Marshal(text) },
			func(b []byte) (string, error) {
				var m Metadata
				err := xml.Unmarshal(b, &m)
				return m.ID, err
			},
		},
		{
			"Protobuf", 63,
			func() ([]byte, error) { return proto.Marshal(message) },
			func(b []byte) (string, error) {
				var m book.Metadata
				err := proto.Unmarshal(b, &m)
				return m.GetId(), err
			},
		},
	}
}

func TestSerializedSizes(t *testing.T) {
	for _, f := range formats() {
		wire, err := f.encode()
		if err != nil {
			t.Fatal(err)
		}
		if len(wire) != f.size {
			t.Errorf("%s: %d bytes, want %d: %q", f.name, len(wire), f.size, wire)
		}
		if id, err := f.decode(wire); err != nil || id != sampleID {
			t.Errorf("%s: decoding gives the id %q and error %v, want %q", f.name, id, err, sampleID)
		}
	}
}

// BenchmarkSerialization measures how long each format takes to write and read the film.
func BenchmarkSerialization(b *testing.B) {
	for b.Loop() {
		for _, f := range formats() {
			wire, err := f.encode()
			if err != nil {
				b.Fatal(err)
			}
			side := func(do func() error) func() float64 {
				return func() float64 {
					const times = 20_000
					began := time.Now()
					for range times {
						if err := do(); err != nil {
							b.Fatal(err)
						}
					}
					return float64(time.Since(began).Nanoseconds()) / times
				}
			}
			m := inTurns(9,
				side(func() error { _, err := f.encode(); return err }),
				side(func() error { _, err := f.decode(wire); return err }))
			encode, decode := median(m[0]), median(m[1])
			row{
				name: "one Metadata as " + f.name + ": size, encode, decode",
				ours: fmt.Sprintf("%d bytes, %.0f ns, %.0f ns", len(wire), encode, decode), ratio: math.NaN(), target: fmt.Sprintf("%d bytes", f.size),
				holds: len(wire) == f.size,
			}.print(b)
			b.ReportMetric(float64(len(wire)), f.name+"-bytes")
			b.ReportMetric(encode, f.name+"-encode-ns")
			b.ReportMetric(decode, f.name+"-decode-ns")
		}
		b.ReportMetric(0, "ns/op")
	}
}
