package syntax

import (
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// ComplaintKind is what is wrong with a member of an object.
type ComplaintKind uint8

// The kinds of complaint.
const (
	// Wrong: the value is not of the field's type.
	Wrong ComplaintKind = iota
	// Unknown: there is no such field.
	Unknown
	// Twice: the field was there before, in this or its other spelling.
	Twice
)

// Complaint is about one member of an object.
type Complaint struct {
	Kind ComplaintKind
	// Field is the path of the member in JSON's spelling: "externalIds.imdb", "genres[2]".
	Field string
	// Reason says what is wrong and what is allowed.
	Reason string
}

// Decoder reads JSON objects beside a protobuf message. It exists besides protojson because that stops at the first mistake, names
// neither the field nor what is allowed, changes its texts from build to build on purpose, and takes texts for numbers.
type Decoder struct {
	// Message is what is read.
	Message protoreflect.MessageDescriptor
	// Unknown returns the reason to refuse a member that the message does not have, in the object at prefix ("" or "externalIds."); "" if the
	// member is to be passed over.
	Unknown func(prefix, name string, of protoreflect.MessageDescriptor) string
	// Also returns a reason to refuse the value of a field, which is of the right type, or "". It may be nil.
	Also func(field string, v Value) string
}

// Decode returns text as JSON for protojson, and what is wrong with it. The JSON has the members without a complaint, with
// numbers and times in their usual spelling. The error is an *[Error]; then nothing is known of the members.
//
// Names are those of protobuf's JSON mapping, in camel case or as in the contract. Null counts as absent.
func (d Decoder) Decode(text string) ([]byte, []Complaint, error) {
	r := reading{Decoder: d}
	if err := r.in.Open(text); err != nil {
		return nil, nil, err
	}
	if err := r.object("", d.Message); err != nil {
		return nil, nil, err
	}
	if err := r.in.End(); err != nil {
		return nil, nil, err
	}
	return r.out, r.complaints, nil
}

// reading is one text on its way.
type reading struct {
	Decoder
	in         Scanner
	out        []byte
	complaints []Complaint
}

func (r *reading) complain(kind ComplaintKind, field, reason string) {
	r.complaints = append(r.complaints, Complaint{kind, field, reason})
}

// object reads the members of an object that was entered.
func (r *reading) object(prefix string, d protoreflect.MessageDescriptor) error {
	r.out = append(r.out, '{')
	empty := len(r.out)
	seen := map[protoreflect.FieldNumber]bool{}
	for {
		key, ok, err := r.in.Member()
		if err != nil {
			return err
		}
		if !ok {
			r.out = append(r.out, '}')
			return nil
		}
		f := d.Fields().ByJSONName(key)
		if f == nil {
			f = d.Fields().ByName(protoreflect.Name(key))
		}
		switch {
		case f == nil:
			if reason := r.Unknown(prefix, key, d); reason != "" {
				r.complain(Unknown, prefix+key, reason)
			}
		case seen[f.Number()]:
			r.complain(Twice, prefix+f.JSONName(), "must be given once, got it twice")
		default:
			seen[f.Number()] = true
			before := len(r.out)
			if before > empty {
				r.out = append(r.out, ',')
			}
			r.out = append(append(append(r.out, '"'), f.JSONName()...), `":`...)
			taken, err := r.field(prefix+f.JSONName(), f)
			if err != nil {
				return err
			}
			if !taken {
				r.out = r.out[:before]
			}
			continue
		}
		if _, err := r.in.Value(); err != nil {
			return err
		}
	}
}

// field reads the value of a field, and reports whether it was written.
func (r *reading) field(name string, f protoreflect.FieldDescriptor) (taken bool, err error) {
	kind := r.in.Next()
	switch {
	case kind == Null:
		_, err := r.in.Value()
		return false, err
	case !f.IsList():
		return r.value(name, f)
	case kind != Array:
		return false, r.wrong(name, "must be a list")
	}
	if err := r.in.Enter(); err != nil {
		return false, err
	}
	r.out = append(r.out, '[')
	taken = true
	for i := 0; ; i++ {
		ok, err := r.in.Element()
		if err != nil {
			return false, err
		}
		if !ok {
			r.out = append(r.out, ']')
			return taken, nil
		}
		if i > 0 {
			r.out = append(r.out, ',')
		}
		one, err := r.value(name+"["+strconv.Itoa(i)+"]", f)
		if err != nil {
			return false, err
		}
		taken = taken && one
	}
}

// wrong skips a value that is not valid for the field, and records a complaint.
func (r *reading) wrong(name, must string) error {
	v, err := r.in.Value()
	if err == nil {
		r.complain(Wrong, name, must+", got "+v.Describe())
	}
	return err
}

// value reads one value, which must not be null, and reports whether it was written.
func (r *reading) value(name string, f protoreflect.FieldDescriptor) (taken bool, err error) {
	if m := f.Message(); m != nil && m.FullName() != "google.protobuf.Timestamp" {
		if r.in.Next() != Object {
			return false, r.wrong(name, "must be an object")
		}
		if err := r.in.Enter(); err != nil {
			return false, err
		}
		return true, r.object(name+".", m)
	}
	start := r.in.Offset()
	v, err := r.in.Value()
	if err != nil {
		return false, err
	}
	literal := r.in.Since(start)
	reason := r.scalar(f, v, literal)
	if reason != "" {
		reason += ", got " + v.Describe()
	} else if v.Half {
		reason = "must be valid Unicode, got half of a surrogate pair in " + shorten(literal)
	} else if r.Also != nil {
		reason = r.Also(name, v)
	}
	if reason != "" {
		r.complain(Wrong, name, reason)
	}
	return reason == "", nil
}

// scalar writes a value other than an object, or returns what it must be.
func (r *reading) scalar(f protoreflect.FieldDescriptor, v Value, literal string) string {
	switch {
	case f.Message() != nil:
		t, err := Time(v.Text)
		switch {
		case v.Kind != String:
			return errTime.Error()
		case err != nil:
			return err.Error()
		}
		r.out = append(t.AppendFormat(append(r.out, '"'), time.RFC3339Nano), '"')
		return ""
	case f.Kind() == protoreflect.StringKind:
		if v.Kind != String {
			return "must be text in quotes"
		}
	case f.Kind() == protoreflect.BoolKind:
		if v.Kind != Bool {
			return "must be true or false"
		}
	case f.Kind() == protoreflect.Int32Kind:
		if v.Kind != Number {
			return "must be a whole number without quotes"
		}
		n, err := Integer(v.Text)
		if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
			return "must be a whole number of at most 32 bits"
		}
		r.out = strconv.AppendInt(r.out, n, 10)
		return ""
	case f.Kind() == protoreflect.DoubleKind:
		// Beyond what a double holds there is an error.
		if _, err := strconv.ParseFloat(v.Text, 64); v.Kind != Number || err != nil {
			return "must be a number"
		}
	}
	r.out = append(r.out, literal...)
	return ""
}
