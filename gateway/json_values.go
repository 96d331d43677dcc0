package gateway

import (
	"encoding/binary"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// writerOf returns the writer for values of a kind; nil where no answer has one.
func writerOf(kind protoreflect.Kind) jsonWriter {
	switch kind {
	case protoreflect.StringKind:
		return func(o *jsonOut, v reflect.Value) bool { return o.text(value(v).String()) }
	case protoreflect.Int32Kind:
		return func(o *jsonOut, v reflect.Value) bool {
			o.buf = strconv.AppendInt(o.buf, value(v).Int(), 10)
			return true
		}
	case protoreflect.Int64Kind:
		// A string, because JavaScript's numbers have 53 bits.
		return func(o *jsonOut, v reflect.Value) bool {
			o.buf = append(strconv.AppendInt(append(o.buf, '"'), value(v).Int(), 10), '"')
			return true
		}
	case protoreflect.DoubleKind:
		return func(o *jsonOut, v reflect.Value) bool {
			o.number(value(v).Float())
			return true
		}
	case protoreflect.BoolKind:
		return func(o *jsonOut, v reflect.Value) bool {
			o.buf = strconv.AppendBool(o.buf, value(v).Bool())
			return true
		}
	}
	return nil
}

// writeInts writes a whole list. It takes the slice itself, through a pointer because that costs no allocation.
func writeInts(o *jsonOut, v reflect.Value) bool {
	list, ok := v.Addr().Interface().(*[]int32)
	if !ok {
		return false
	}
	o.ints(*list)
	return true
}

func (o *jsonOut) ints(list []int32) {
	buf := append(o.buf, '[')
	for i, n := range list {
		if i > 0 {
			buf = append(buf, ',')
		}
		if n >= 0 && n < 10 {
			buf = append(buf, byte('0'+n))
			continue
		}
		buf = strconv.AppendInt(buf, int64(n), 10)
	}
	o.buf = append(buf, ']')
}

// value follows the pointer of an optional value.
func value(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer {
		return v.Elem()
	}
	return v
}

// text writes a string. It reports false for what is not UTF-8.
func (o *jsonOut) text(s string) bool { return o.member(`"`, s) }

// member writes what stands before a string, up to its first quote, and the string; only what JSON demands is escaped. It
// reports false for what is not UTF-8.
//
// Nearly every text is ASCII without anything to escape. So it is copied first, and what was copied is looked at eight bytes
// at a time.
func (o *jsonOut) member(before, s string) bool {
	buf := append(o.buf, before...)
	start := len(buf)
	buf = append(buf, s...)
	if !plainText(buf[start:]) {
		if !utf8.ValidString(s) {
			return false
		}
		buf = appendEscaped(buf[:start], s)
	}
	o.buf = append(buf, '"')
	return true
}

// plainText reports whether b is ASCII without control characters, quotes and backslashes. It may say no of text that is.
func plainText(b []byte) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		// In each term the high bit of a byte is set where the byte is: not ASCII; below a space; a quote; a backslash.
		// A borrow can set a bit above one that is set rightly, never alone.
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		if (x|(x-ones*' ')&^x|(quote-ones)&^quote|(slash-ones)&^slash)&highs != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// appendEscaped writes s with escapes, without the quotes around it.
func appendEscaped(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
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
	return append(out, s[plain:]...)
}

// number writes numbers of ordinary size as decimal fractions, the others with an exponent (which has no leading zero), and
// those that JSON has not as texts: protobuf's mapping.
func (o *jsonOut) number(n float64) {
	switch size := math.Abs(n); {
	case math.IsNaN(n):
		o.buf = append(o.buf, `"NaN"`...)
	case math.IsInf(n, 1):
		o.buf = append(o.buf, `"Infinity"`...)
	case math.IsInf(n, -1):
		o.buf = append(o.buf, `"-Infinity"`...)
	case size == 0 || size >= 1e-6 && size < 1e21:
		o.buf = strconv.AppendFloat(o.buf, n, 'f', -1, 64)
	default:
		o.buf = strconv.AppendFloat(o.buf, n, 'e', -1, 64)
		if end := len(o.buf); o.buf[end-4] == 'e' && o.buf[end-3] == '-' && o.buf[end-2] == '0' {
			o.buf[end-2] = o.buf[end-1]
			o.buf = o.buf[:end-1]
		}
	}
}

// noSecond is a second that no valid time has.
const noSecond = math.MinInt64

func writeTime(o *jsonOut, v reflect.Value) bool {
	ts, ok := v.Interface().(*timestamppb.Timestamp)
	return ok && o.time(ts)
}

// time writes a time in RFC 3339 with 0, 3, 6 or 9 fractional digits. It reports false for one that is out of range.
func (o *jsonOut) time(ts *timestamppb.Timestamp) bool {
	if !ts.IsValid() {
		return false
	}
	if ts.GetSeconds() != o.second {
		text := ts.AsTime().AppendFormat(o.secondText[:0], `"2006-01-02T15:04:05`)
		if len(text) != len(o.secondText) {
			return false // a valid time has four digits of a year
		}
		o.second = ts.GetSeconds()
	}
	o.buf = append(o.buf, o.secondText[:]...)
	if n := int(ts.GetNanos()); n != 0 {
		digits := 9
		for ; n%1000 == 0; n /= 1000 {
			digits -= 3
		}
		o.buf = append(o.buf, '.')
		at := len(o.buf)
		o.buf = append(o.buf, "000000000"[:digits]...)
		for i := at + digits - 1; n > 0; i-- {
			o.buf[i] = byte('0' + n%10)
			n /= 10
		}
	}
	o.buf = append(o.buf, `Z"`...)
	return true
}
