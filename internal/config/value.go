package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// kind is how one Go type is written as text. Errors of parse say what is allowed; the caller adds what was given.
type kind struct {
	name   string // placeholder in help texts
	list   bool   // a YAML list in the file
	text   bool   // any text: may need quotes in the file
	parse  func(text string, v reflect.Value) error
	format func(v reflect.Value) string
}

// kindOf returns how to read a type, or nil if the type is not a single setting.
func kindOf(t reflect.Type) *kind {
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) &&
		t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return textKind(t)
	case t == reflect.TypeFor[time.Duration]():
		return &kind{name: "duration", parse: parseDuration, format: func(v reflect.Value) string {
			return time.Duration(v.Int()).String()
		}}
	}
	switch t.Kind() {
	case reflect.String:
		return &kind{name: "string", parse: parseString, format: reflect.Value.String}
	case reflect.Bool:
		return &kind{name: "bool", parse: parseBool, format: func(v reflect.Value) string {
			return strconv.FormatBool(v.Bool())
		}}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &kind{name: "int", parse: parseInt, format: func(v reflect.Value) string {
			return strconv.FormatInt(v.Int(), 10)
		}}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &kind{name: "uint", parse: parseUint, format: func(v reflect.Value) string {
			return strconv.FormatUint(v.Uint(), 10)
		}}
	case reflect.Float32, reflect.Float64:
		return &kind{name: "float", parse: parseFloat, format: func(v reflect.Value) string {
			return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
		}}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String {
			return &kind{name: "list", list: true, parse: parseList, format: func(v reflect.Value) string {
				return strings.Join(elements(v), ",")
			}}
		}
	}
	return nil
}

// textKind reads types that know their own text form, such as Bytes or slog.Level.
func textKind(t reflect.Type) *kind {
	return &kind{
		name: strings.ToLower(t.Name()),
		text: true,
		parse: func(text string, v reflect.Value) error {
			return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		},
		format: func(v reflect.Value) string {
			text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
			if err != nil {
				return fmt.Sprintf("%v", v.Interface())
			}
			return string(text)
		},
	}
}

// parseString accepts every text that can be printed back: YAML has no way to write bytes that are not UTF-8.
func parseString(text string, v reflect.Value) error {
	if !utf8.ValidString(text) {
		return errors.New("want text in UTF-8")
	}
	v.SetString(text)
	return nil
}

func parseBool(text string, v reflect.Value) error {
	b, err := strconv.ParseBool(text)
	if err != nil {
		return errors.New("want true or false")
	}
	v.SetBool(b)
	return nil
}

func parseInt(text string, v reflect.Value) error {
	bits := v.Type().Bits()
	n, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		if bits == 64 {
			return errors.New("want a whole number")
		}
		limit := int64(1) << (bits - 1)
		return fmt.Errorf("want a whole number from %d to %d", -limit, limit-1)
	}
	v.SetInt(n)
	return nil
}

func parseUint(text string, v reflect.Value) error {
	bits := v.Type().Bits()
	n, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		if bits == 64 {
			return errors.New("want a whole number, 0 or more")
		}
		return fmt.Errorf("want a whole number from 0 to %d", uint64(1)<<bits-1)
	}
	v.SetUint(n)
	return nil
}

func parseFloat(text string, v reflect.Value) error {
	f, err := strconv.ParseFloat(text, v.Type().Bits())
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return errors.New("want a number such as 3 or 0.25")
	}
	v.SetFloat(f)
	return nil
}

func parseDuration(text string, v reflect.Value) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("want a duration with its unit, such as 500ms, 30s or 1h30m")
	}
	v.SetInt(int64(d))
	return nil
}

// parseList reads comma-separated elements; the empty text is the empty list. An element that contains a comma can
// be given in the file only.
func parseList(text string, v reflect.Value) error {
	if strings.TrimSpace(text) == "" {
		return setElements(v, nil)
	}
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return setElements(v, parts)
}

func elements(v reflect.Value) []string {
	list := make([]string, v.Len())
	for i := range list {
		list[i] = v.Index(i).String()
	}
	return list
}

func setElements(v reflect.Value, list []string) error {
	// Never nil, so that an empty list that was set equals one that was not set.
	out := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, e := range list {
		if e == "" {
			return errors.New("want a list without empty elements, such as a,b,c")
		}
		if err := parseString(e, out.Index(i)); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

// Bytes is a size in bytes, 0 or more, written with a binary unit: "512", "64KiB", "10MiB", "1GiB", "2TiB".
type Bytes int64

// byteUnits is ordered from large to small, so that the first one that divides a size is the shortest way to write it.
func byteUnits() [4]struct {
	name string
	size Bytes
} {
	return [4]struct {
		name string
		size Bytes
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}
}

// String writes the size exactly, with the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range byteUnits() {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText writes the size as String does. It never fails.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a whole number with an optional unit KiB, MiB, GiB, TiB or B. The error says what is allowed.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, factor := strings.TrimSuffix(string(text), "B"), Bytes(1)
	for _, u := range byteUnits() {
		if n, found := strings.CutSuffix(string(text), u.name); found {
			number, factor = n, u.size
			break
		}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 63)
	if err != nil || Bytes(n) > math.MaxInt64/factor {
		return errors.New("want a size such as 512, 64KiB, 10MiB or 1GiB")
	}
	*b = Bytes(n) * factor
	return nil
}
