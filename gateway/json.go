package gateway

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// jsonCodec is the JSON of every answer: protobuf's JSON mapping (https://protobuf.dev/programming-guides/json/) in
// camelCase, default values and empty lists included, absent messages and absent optional fields left out, no white space.
//
// Answers are written along plans, one per message type, made at start. protojson does the same work in many times the time,
// and puts white space where it likes, to keep anybody from relying on its bytes; we want the same answer to have the same
// bytes from every build, because an ETag is made of them. A test holds both to the same JSON.
//
// A plan reads the exported fields of the generated structs by their index. That is what makes it quick: protobuf's own
// reflection looks each field up and allocates for lists; a field by index is a few nanoseconds and nothing else.
type jsonCodec struct {
	plans map[protoreflect.FullName]*jsonPlan
}

// newJSON returns a codec with plans for the messages and what they contain. It fails for a message with a field of a kind
// that no answer had so far.
func newJSON(messages []protoreflect.MessageDescriptor) (*jsonCodec, error) {
	c := &jsonCodec{plans: map[protoreflect.FullName]*jsonPlan{}}
	for _, d := range messages {
		if _, err := c.plan(d); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// jsonPlan says how a message is written, or the part of it that somebody asked for.
type jsonPlan struct {
	typ    reflect.Type // of the struct
	fields []jsonField
	direct func(o *jsonOut, m any) bool // writes the whole message quicker than field by field; nil for most
}

type jsonField struct {
	name     string // in JSON's spelling
	proto    string // in the contract's spelling
	prefix   string // what stands before the value: the name with quotes and a colon
	index    int    // in the Go struct
	pointer  bool   // left out where it is nil: a message, or a value that is optional
	list     bool
	volatile bool      // tells when something was read and not what: no part of an ETag
	inner    *jsonPlan // of a message; nil where write is set
	write    jsonWriter
}

// jsonWriter appends one value. It reports false for a value that JSON cannot say.
type jsonWriter func(o *jsonOut, v reflect.Value) bool

// jsonOut collects an answer.
type jsonOut struct {
	buf []byte
	// volatile are the parts of buf that hold volatile values, in order.
	volatile []span
	// oldest is the oldest as-of time that is later than horizon, as nanoseconds since 1970; see answers.go.
	horizon, oldest int64
	// The time that was written last, to the second: the films of a list were mostly read within one.
	second     int64
	secondText [20]byte
}

// span is a part of a text: from start to before end.
type span struct{ start, end int }

// jsonBuffers keeps the memory of answers.
type jsonBuffers struct{ pool sync.Pool }

// maxBuffer is the capacity up to which memory is kept: greater answers are rare.
const maxBuffer = 512 << 10

func (b *jsonBuffers) get() *jsonOut {
	if o, ok := b.pool.Get().(*jsonOut); ok {
		o.buf, o.volatile, o.oldest = o.buf[:0], o.volatile[:0], math.MaxInt64
		return o
	}
	return &jsonOut{buf: make([]byte, 0, 4096), second: noSecond, oldest: math.MaxInt64}
}

// saw takes note of an as-of time.
func (o *jsonOut) saw(t *timestamppb.Timestamp) {
	if at := t.GetSeconds()*int64(time.Second) + int64(t.GetNanos()); at > o.horizon && at < o.oldest {
		o.oldest = at
	}
}

func (b *jsonBuffers) put(o *jsonOut) {
	if cap(o.buf) <= maxBuffer {
		b.pool.Put(o)
	}
}

// plan returns the plan for a message, making it if there is none yet.
func (c *jsonCodec) plan(d protoreflect.MessageDescriptor) (*jsonPlan, error) {
	if p, ok := c.plans[d.FullName()]; ok {
		return p, nil
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil, fmt.Errorf("find the Go type of %s: %w", d.FullName(), err)
	}
	p := &jsonPlan{typ: reflect.TypeOf(kind.Zero().Interface()).Elem()}
	p.direct = direct(d.FullName())
	c.plans[d.FullName()] = p // before the fields: a message may contain itself
	indices := structFields(p.typ)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		index, ok := indices[f.Number()]
		if !ok {
			return nil, fmt.Errorf("%s has no field in its Go struct: a plan reads open structs without oneofs", f.FullName())
		}
		field := jsonField{
			name:     f.JSONName(),
			proto:    string(f.Name()),
			prefix:   strconv.Quote(f.JSONName()) + ":",
			index:    index,
			pointer:  f.HasPresence(),
			list:     f.IsList(),
			volatile: strings.HasSuffix(string(f.Name()), "as_of_time"),
		}
		switch {
		case f.IsMap():
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.Timestamp":
			field.write = writeTime
		case f.Message() != nil:
			if field.inner, err = c.plan(f.Message()); err != nil {
				return nil, err
			}
		case f.IsList() && f.Kind() == protoreflect.Int32Kind:
			field.write, field.list = writeInts, false // as one value: ten counters come with every film
		default:
			field.write = writerOf(f.Kind())
		}
		if field.inner == nil && field.write == nil {
			return nil, fmt.Errorf("%s: no answer had a field of kind %s so far: write a jsonWriter for it", f.FullName(), f.Kind())
		}
		p.fields = append(p.fields, field)
	}
	return p, nil
}

// structFields finds the field of a generated struct for each field number: the second part of its protobuf tag.
func structFields(t reflect.Type) map[protoreflect.FieldNumber]int {
	indices := map[protoreflect.FieldNumber]int{}
	for i := range t.NumField() {
		parts := strings.Split(t.Field(i).Tag.Get("protobuf"), ",")
		if len(parts) < 2 {
			continue
		}
		if n, err := strconv.Atoi(parts[1]); err == nil {
			indices[protoreflect.FieldNumber(n)] = i
		}
	}
	return indices
}

// errNoJSON says that an answer has something that JSON cannot say: text that is not UTF-8, or a time out of range.
var errNoJSON = errors.New("the answer cannot be written as JSON: a text that is not UTF-8, or a time out of range")

// append writes m, which must be of the plan's type.
func (p *jsonPlan) append(o *jsonOut, m proto.Message) error {
	v := reflect.ValueOf(m)
	if v.Kind() != reflect.Pointer || v.Type().Elem() != p.typ {
		return fmt.Errorf("write a %T along the plan for %s", m, p.typ)
	}
	if v.IsNil() {
		return fmt.Errorf("the answer has no %s", p.typ)
	}
	if !p.object(o, v) {
		return errNoJSON
	}
	return nil
}

// object writes one message, which v points to.
func (p *jsonPlan) object(o *jsonOut, v reflect.Value) bool {
	if p.direct != nil {
		return p.direct(o, v.Interface())
	}
	m := v.Elem()
	o.buf = append(o.buf, '{')
	empty := len(o.buf)
	for i := range p.fields {
		f := &p.fields[i]
		v := m.Field(f.index)
		if f.pointer && v.IsNil() {
			continue
		}
		if len(o.buf) > empty {
			o.buf = append(o.buf, ',')
		}
		o.buf = append(o.buf, f.prefix...)
		start := len(o.buf)
		ok := false
		if f.list {
			ok = f.appendList(o, v)
		} else {
			ok = f.value(o, v)
		}
		if !ok {
			return false
		}
		if f.volatile {
			o.volatile = append(o.volatile, span{start, len(o.buf)})
			if t, ok := v.Interface().(*timestamppb.Timestamp); ok {
				o.saw(t)
			}
		}
	}
	o.buf = append(o.buf, '}')
	return true
}

// value writes one value that is there.
func (f *jsonField) value(o *jsonOut, v reflect.Value) bool {
	if f.inner == nil {
		return f.write(o, v)
	}
	if v.IsNil() {
		return false // in a list; protobuf has no such thing
	}
	return f.inner.object(o, v)
}

func (f *jsonField) appendList(o *jsonOut, list reflect.Value) bool {
	o.buf = append(o.buf, '[')
	for i := range list.Len() {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		if !f.value(o, list.Index(i)) {
			return false
		}
	}
	o.buf = append(o.buf, ']')
	return true
}
