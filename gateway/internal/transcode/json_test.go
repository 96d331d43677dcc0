package transcode

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// Answers written along a plan are the bytes that protojson writes, for every message any route answers with.
func TestPlansWriteWhatProtojsonWrites(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	written := 0
	for name, p := range allPlans(t) {
		kind, err := protoregistry.GlobalTypes.FindMessageByName(name)
		if err != nil {
			t.Fatal(err)
		}
		o := &Buffer{second: noSecond}
		for range 300 {
			m := kind.New()
			fill(random, m)
			o.Bytes, o.volatile = o.Bytes[:0], o.volatile[:0]
			if err := p.Append(o, m.Interface()); err != nil {
				t.Fatal(err)
			}
			want, err := generic(m.Interface())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(o.Bytes, want) {
				t.Fatalf("%s:\ngot  %s\nwant %s", name, o.Bytes, want)
			}
			times := len(o.volatile)
			written++
			if len(p.fields) == 0 {
				continue
			}
			// So does a mask of all fields.
			all, wrong := p.masked(strings.ReplaceAll(p.names(""), ", ", ","))
			if wrong != nil {
				t.Fatal(wrong)
			}
			o.Bytes, o.volatile = o.Bytes[:0], o.volatile[:0]
			if err := all.Append(o, m.Interface()); err != nil || !bytes.Equal(o.Bytes, want) || len(o.volatile) != times {
				t.Fatalf("%s, field by field (%v):\ngot  %s\nwant %s", name, err, o.Bytes, want)
			}
		}
	}
	if written < 300*20 {
		t.Errorf("only %d messages were compared", written)
	}
}

func allPlans(t testing.TB) plans {
	t.Helper()
	all := plans{}
	for _, file := range []protoreflect.FileDescriptor{moviev1.File_movieexample_movie_v1_movie_proto, ratingv1.File_movieexample_rating_v1_rating_proto} {
		methods := file.Services().Get(0).Methods()
		for i := range methods.Len() {
			if _, err := all.of(methods.Get(i).Output()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// What JSON cannot express is an error, never half an answer.
func TestWhatJSONCannotSay(t *testing.T) {
	movie := allPlans(t)["movieexample.movie.v1.Movie"]
	for name, m := range map[string]proto.Message{
		"not UTF-8":    &moviev1.Movie{Title: "a\xff"},
		"time":         &moviev1.Movie{RatingSummary: &moviev1.RatingSummary{AsOfTime: &timestamppb.Timestamp{Seconds: 1 << 60}}},
		"nothing":      (*moviev1.Movie)(nil),
		"another type": &moviev1.RatingSummary{},
	} {
		if err := movie.Append(&Buffer{}, m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// generic writes without plans.
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
					list.Append(randomScalar(random, f))
				}
			}
			continue
		}
		if f.Message() != nil {
			fill(random, m.Mutable(f).Message())
			continue
		}
		m.Set(f, randomScalar(random, f))
	}
}

func randomScalar(random *rand.Rand, f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		texts := []string{"", "plain", "twenty-four plain bytes!", "sixteen, a\nquote", "sixteen, one \\ slash", "a longer text that ends in é", "Amélie", "日本", `say "hi" \o/`, "a\nb\tc\r\b\f\x00\x1f\x7f", "<&>\u2028\u2029", "\U0001F3AC", "\uFFFD"}
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

// BenchmarkWrite is what writing and tagging an answer costs, without anything around it.
func BenchmarkWrite(b *testing.B) {
	list := &moviev1.ListMoviesResponse{NextPageToken: "next"}
	for range 50 {
		year := int32(1994)
		list.Movies = append(list.Movies, &moviev1.Movie{
			Id: "tt0111161", Title: "The Shawshank Redemption", Year: &year, Genres: []string{"Crime", "Drama"}, Director: "Frank Darabont",
			ExternalIds: &moviev1.ExternalIds{Imdb: "tt0111161", Tmdb: "278", Movielens: "318"},
			RatingSummary: &moviev1.RatingSummary{
				Mean: 8.858044164037855, Votes: 317, Weighted: 8.7224, Histogram: []int32{0, 2, 0, 4, 0, 24, 15, 72, 49, 153},
				AsOfTime: timestamppb.Now(),
			},
			RatingStatus: "fresh", Etag: "0123456789abcdef",
		})
	}
	p := allPlans(b)["movieexample.movie.v1.ListMoviesResponse"]
	o := &Buffer{second: noSecond}
	write := func() {
		o.Bytes, o.volatile = o.Bytes[:0], o.volatile[:0]
		if err := p.Append(o, list); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			write()
		}
		b.SetBytes(int64(len(o.Bytes)))
	})
	b.Run("hash", func(b *testing.B) {
		for b.Loop() {
			o.Hash()
		}
		b.SetBytes(int64(len(o.Bytes)))
	})
}
