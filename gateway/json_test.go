package gateway

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// Answers written along a plan are the bytes that protojson writes, for every message any route answers with.
func TestPlansWriteWhatProtojsonWrites(t *testing.T) {
	files := []protoreflect.FileDescriptor{moviev1.File_movieexample_movie_v1_movie_proto, ratingv1.File_movieexample_rating_v1_rating_proto}
	codec := newJSON(answersOf(files))
	random := rand.New(rand.NewPCG(1, 2))
	planned := 0
	for d, p := range codec.plans {
		if p == nil {
			t.Errorf("%s has no plan", d.FullName())
			continue
		}
		kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			m := kind.New()
			fill(random, m)
			got, err := codec.Marshal(m.Interface())
			if err != nil {
				t.Fatal(err)
			}
			want, err := generic(m.Interface())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%s:\ngot  %s\nwant %s", d.FullName(), got, want)
			}
			if _, ok := p.append(nil, m); ok {
				planned++
			}
		}
	}
	if planned < 300 {
		t.Errorf("only %d messages went along their plan", planned)
	}
}

// generic is the way without plans.
func generic(m proto.Message) ([]byte, error) {
	loose, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var tight bytes.Buffer
	err = json.Compact(&tight, loose)
	return tight.Bytes(), err
}

// fill sets some of the fields to values that are hard to write.
func fill(random *rand.Rand, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if random.IntN(4) == 0 {
			continue
		}
		if f.IsList() {
			list := m.Mutable(f).List()
			for range random.IntN(4) {
				if f.Message() != nil {
					fill(random, list.AppendMutable().Message())
				} else {
					list.Append(scalar(random, f))
				}
			}
			continue
		}
		if f.Message() != nil {
			fill(random, m.Mutable(f).Message())
			continue
		}
		m.Set(f, scalar(random, f))
	}
}

func scalar(random *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		texts := []string{"", "plain", "Amélie", "日本", `say "hi" \o/`, "a\nb\tc\r\b\f\x00\x1f\x7f", "<&>\u2028\u2029", "\U0001F3AC", "\uFFFD"}
		return protoreflect.ValueOfString(texts[random.IntN(len(texts))])
	case protoreflect.DoubleKind:
		numbers := []float64{0, math.Copysign(0, -1), 1, -1, 7.0031140, 1e-6, 9.9e-7, 1e21, 1e20, -1e-9, math.MaxFloat64, math.NaN(), math.Inf(1), 1.0 / 3}
		return protoreflect.ValueOfFloat64(numbers[random.IntN(len(numbers))])
	case protoreflect.Int32Kind:
		if f.FullName() == "google.protobuf.Timestamp.nanos" {
			nanos := []int32{0, 1, 1_000, 1_000_000, 120_000_000, 999_999_999, 500_000}
			return protoreflect.ValueOfInt32(nanos[random.IntN(len(nanos))])
		}
		return protoreflect.ValueOfInt32(int32(random.Uint32()))
	case protoreflect.Int64Kind:
		if f.FullName() == "google.protobuf.Timestamp.seconds" {
			return protoreflect.ValueOfInt64(random.Int64N(253_402_300_799+62_135_596_800) - 62_135_596_800)
		}
		return protoreflect.ValueOfInt64(int64(random.Uint64()))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(random.IntN(2) == 0)
	}
	return f.Default()
}
