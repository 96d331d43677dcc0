package gateway

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// jsonCodec is the JSON of every answer: protobuf's JSON mapping (https://protobuf.dev/programming-guides/json/) in
// camelCase, default values and empty lists included, absent messages and absent optional fields left out, no white space.
//
// Answers are written along plans, one per message type, made at start. protojson does the same work in four times the time, and
// puts white space where it likes, to keep anybody from relying on its bytes; we want the same answer to have the same bytes
// from every build. What a plan does not cover, protojson writes; a test holds both to the same bytes.
type jsonCodec struct {
	runtime.JSONPb
	plans map[protoreflect.MessageDescriptor]*jsonPlan
}

// newJSON returns a codec with plans for the messages and what they contain.
func newJSON(messages []protoreflect.MessageDescriptor) *jsonCodec {
	c := &jsonCodec{
		JSONPb: runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{EmitDefaultValues: true}},
		plans:  map[protoreflect.MessageDescriptor]*jsonPlan{},
	}
	for _, d := range messages {
		c.plan(d)
	}
	return c
}

// Marshal implements runtime.Marshaler.
func (c *jsonCodec) Marshal(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		message := m.ProtoReflect()
		if p := c.plans[message.Descriptor()]; p != nil && message.IsValid() {
			if out, ok := p.append(make([]byte, 0, 1024), message); ok {
				return out, nil
			}
		}
	}
	loose, err := c.JSONPb.Marshal(v)
	if err != nil {
		return nil, err
	}
	var tight bytes.Buffer
	tight.Grow(len(loose))
	if err := json.Compact(&tight, loose); err != nil {
		return nil, err
	}
	return tight.Bytes(), nil
}

// jsonPlan says how a message is written.
type jsonPlan struct{ fields []jsonField }

type jsonField struct {
	desc     protoreflect.FieldDescriptor
	name     string // with quotes and colon
	presence bool   // left out where absent
	list     bool
	write    jsonWriter
}

// jsonWriter appends one value, or reports false for a value that it leaves to protojson.
type jsonWriter func(out []byte, v protoreflect.Value) ([]byte, bool)

// plan returns the plan for a message, making it if there is none yet; nil where a field is of a kind that no answer has.
func (c *jsonCodec) plan(d protoreflect.MessageDescriptor) *jsonPlan {
	if p, ok := c.plans[d]; ok {
		return p
	}
	p := &jsonPlan{}
	c.plans[d] = p // before the fields: a message may contain itself
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		write := c.writer(f)
		if write == nil {
			c.plans[d] = nil
			return nil
		}
		p.fields = append(p.fields, jsonField{
			desc:     f,
			name:     strconv.Quote(f.JSONName()) + ":",
			presence: f.HasPresence(),
			list:     f.IsList(),
			write:    write,
		})
	}
	return p
}

func (c *jsonCodec) writer(f protoreflect.FieldDescriptor) jsonWriter {
	if f.IsMap() || f.ContainingOneof() != nil && !f.HasOptionalKeyword() {
		return nil
	}
	switch f.Kind() {
	case protoreflect.StringKind:
		return func(out []byte, v protoreflect.Value) ([]byte, bool) { return appendText(out, v.String()) }
	case protoreflect.Int32Kind:
		return func(out []byte, v protoreflect.Value) ([]byte, bool) {
			return strconv.AppendInt(out, v.Int(), 10), true
		}
	case protoreflect.Int64Kind:
		// A string, because JavaScript's numbers have 53 bits.
		return func(out []byte, v protoreflect.Value) ([]byte, bool) {
			return append(strconv.AppendInt(append(out, '"'), v.Int(), 10), '"'), true
		}
	case protoreflect.DoubleKind:
		return func(out []byte, v protoreflect.Value) ([]byte, bool) { return appendNumber(out, v.Float()) }
	case protoreflect.BoolKind:
		return func(out []byte, v protoreflect.Value) ([]byte, bool) { return strconv.AppendBool(out, v.Bool()), true }
	case protoreflect.MessageKind:
		if f.Message().FullName() == "google.protobuf.Timestamp" {
			return appendTime
		}
		inner := c.plan(f.Message())
		if inner == nil {
			return nil
		}
		return func(out []byte, v protoreflect.Value) ([]byte, bool) { return inner.append(out, v.Message()) }
	}
	return nil
}

func (p *jsonPlan) append(out []byte, m protoreflect.Message) ([]byte, bool) {
	out = append(out, '{')
	first := true
	for i := range p.fields {
		f := &p.fields[i]
		if f.presence && !m.Has(f.desc) {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(out, f.name...)
		ok := false
		if v := m.Get(f.desc); f.list {
			out, ok = f.appendList(out, v.List())
		} else {
			out, ok = f.write(out, v)
		}
		if !ok {
			return nil, false
		}
	}
	return append(out, '}'), true
}

func (f *jsonField) appendList(out []byte, list protoreflect.List) ([]byte, bool) {
	out = append(out, '[')
	for i := range list.Len() {
		if i > 0 {
			out = append(out, ',')
		}
		var ok bool
		if out, ok = f.write(out, list.Get(i)); !ok {
			return nil, false
		}
	}
	return append(out, ']'), true
}

// appendText writes a string. Only what JSON demands is escaped.
func appendText(out []byte, s string) ([]byte, bool) {
	const hex = "0123456789abcdef"
	if !utf8.ValidString(s) {
		return nil, false
	}
	out = append(out, '"')
	plain := 0 // start of what needs no escape
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, s[plain:i]...)
		plain = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\b':
			out = append(out, `\b`...)
		case '\f':
			out = append(out, `\f`...)
		case '\n':
			out = append(out, `\n`...)
		case '\r':
			out = append(out, `\r`...)
		case '\t':
			out = append(out, `\t`...)
		default:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(out, s[plain:]...), '"'), true
}

// appendNumber writes numbers of ordinary size as decimal fractions; the others are left to protojson.
func appendNumber(out []byte, n float64) ([]byte, bool) {
	if size := math.Abs(n); size != 0 && !(size >= 1e-6 && size < 1e21) {
		return nil, false // NaN too
	}
	return strconv.AppendFloat(out, n, 'f', -1, 64), true
}

// appendTime writes a time in RFC 3339 with 0, 3, 6 or 9 fractional digits.
func appendTime(out []byte, v protoreflect.Value) ([]byte, bool) {
	ts, ok := v.Message().Interface().(*timestamppb.Timestamp)
	if !ok || ts.CheckValid() != nil {
		return nil, false
	}
	form := `"2006-01-02T15:04:05`
	switch n := ts.GetNanos(); {
	case n == 0:
	case n%1_000_000 == 0:
		form += ".000"
	case n%1_000 == 0:
		form += ".000000"
	default:
		form += ".000000000"
	}
	return append(ts.AsTime().AppendFormat(out, form), `Z"`...), true
}
