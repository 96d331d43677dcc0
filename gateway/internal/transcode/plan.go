package transcode

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unsafe"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The JSON of every answer is protobuf's JSON mapping (https://protobuf.dev/programming-guides/json/) in camelCase, default values
// and empty lists included, absent messages and absent optional fields left out, no white space.
//
// Answers are written along plans, one per message type, made at start. protojson takes many times as long, and adds white space at
// random so that clients do not rely on its bytes. Here the same answer has the same bytes from every build, because an ETag is a hash of
// them. A test compares the two.
//
// A plan reads the fields of the generated structs by their offset. Protobuf's own reflection looks each field up and allocates for
// lists; package reflect takes 2.5 times as long (docs/adr/028).

// plans are the plans that were made.
type plans map[protoreflect.FullName]*Plan

// Plan says how a message is written, or a part of it.
type Plan struct {
	typ    reflect.Type // of the struct
	fields []field
}

type field struct {
	name     string  // in JSON's spelling
	proto    string  // in the contract's spelling
	prefix   string  // what precedes the value: a comma, the name in quotes, a colon
	offset   uintptr // in the Go struct
	pointer  bool    // left out where it is nil: a message, or an optional value
	list     bool
	volatile bool  // says when something was read: not part of an ETag
	inner    *Plan // of a message
	write    writer
}

// writer appends the value that p points to. It reports false for a value that JSON cannot express.
type writer func(o *Buffer, p unsafe.Pointer) bool

// of returns the plan for a message, and makes it if there is none. It fails for a field of a kind that no answer had so far.
func (ps plans) of(d protoreflect.MessageDescriptor) (*Plan, error) {
	if p, ok := ps[d.FullName()]; ok {
		return p, nil
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil, fmt.Errorf("find the Go type of %s: %w", d.FullName(), err)
	}
	p := &Plan{typ: reflect.TypeOf(kind.Zero().Interface()).Elem()}
	ps[d.FullName()] = p // before the fields: a message may contain itself
	offsets := structFields(p.typ)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		offset, ok := offsets[f.Number()]
		if !ok {
			return nil, fmt.Errorf("%s has no field in its Go struct: a plan reads open structs without oneofs", f.FullName())
		}
		to := field{
			name:     f.JSONName(),
			proto:    string(f.Name()),
			prefix:   "," + strconv.Quote(f.JSONName()) + ":",
			offset:   offset,
			pointer:  f.HasPresence(),
			list:     f.IsList(),
			volatile: strings.HasSuffix(string(f.Name()), "as_of_time"),
		}
		switch message := f.Message(); {
		case f.IsMap():
		case message == nil && f.IsList():
			to.write = listWriters[f.Kind()]
		case message == nil:
			to.write = writers[f.Kind()]
		case message.FullName() == "google.protobuf.Timestamp" && !f.IsList():
			to.write = writeTime
		default:
			inner, err := ps.of(message)
			if err != nil {
				return nil, err
			}
			to.setInner(inner)
		}
		if to.write == nil {
			return nil, fmt.Errorf("%s: no answer had a field of kind %s so far: add a writer for it", f.FullName(), f.Kind())
		}
		p.fields = append(p.fields, to)
	}
	return p, nil
}

// setInner has messages written along a plan.
func (f *field) setInner(p *Plan) {
	f.inner, f.write = p, p.object
	if f.list {
		f.write = p.list
	}
}

// structFields finds the offsets of the fields of a generated struct by field number, the second part of the protobuf tag.
func structFields(t reflect.Type) map[protoreflect.FieldNumber]uintptr {
	offsets := map[protoreflect.FieldNumber]uintptr{}
	for i := range t.NumField() {
		parts := strings.Split(t.Field(i).Tag.Get("protobuf"), ",")
		if len(parts) < 2 {
			continue
		}
		if n, err := strconv.Atoi(parts[1]); err == nil {
			offsets[protoreflect.FieldNumber(n)] = t.Field(i).Offset
		}
	}
	return offsets
}

var errNoJSON = errors.New("the answer cannot be written as JSON: it has a string that is not UTF-8, or a time out of range")

// Append writes m, which must be of the plan's type.
func (p *Plan) Append(o *Buffer, m proto.Message) error {
	v := reflect.ValueOf(m)
	if v.Kind() != reflect.Pointer || v.Type().Elem() != p.typ {
		return fmt.Errorf("write a %T along the plan for %s", m, p.typ)
	}
	if v.IsNil() {
		return fmt.Errorf("the answer has no %s", p.typ)
	}
	if !p.object(o, v.UnsafePointer()) {
		return errNoJSON
	}
	return nil
}

// object writes the message that m points to.
func (p *Plan) object(o *Buffer, m unsafe.Pointer) bool {
	o.Bytes = append(o.Bytes, '{')
	comma := 1 // of the prefix to leave out
	for i := range p.fields {
		f := &p.fields[i]
		v := unsafe.Add(m, f.offset)
		if f.pointer {
			if v = *(*unsafe.Pointer)(v); v == nil {
				continue
			}
		}
		o.Bytes = append(o.Bytes, f.prefix[comma:]...)
		comma = 0
		start := len(o.Bytes)
		if !f.write(o, v) {
			return false
		}
		if f.volatile {
			o.volatile = append(o.volatile, span{start, len(o.Bytes)})
			if f.pointer {
				o.saw((*timestamppb.Timestamp)(v))
			}
		}
	}
	o.Bytes = append(o.Bytes, '}')
	return true
}

// list writes a list of messages: all slices of pointers have one layout.
func (p *Plan) list(o *Buffer, at unsafe.Pointer) bool {
	o.Bytes = append(o.Bytes, '[')
	for i, m := range *(*[]unsafe.Pointer)(at) {
		if i > 0 {
			o.Bytes = append(o.Bytes, ',')
		}
		if m == nil || !p.object(o, m) {
			return false // protobuf has no absent elements
		}
	}
	o.Bytes = append(o.Bytes, ']')
	return true
}
