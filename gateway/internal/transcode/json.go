package transcode

import (
	"encoding/binary"
	"math"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Buffer collects the JSON of an answer.
type Buffer struct {
	Bytes []byte
	// Since bounds [Buffer.Oldest]: as-of times up to it, in nanoseconds since 1970, are not looked at.
	Since int64

	volatile []span // the parts of Bytes that hold volatile values, in order
	oldest   int64
	// The time that was written last, to the second: the films of a list were mostly read within one.
	second     int64
	secondText [20]byte
}

// span is a part of a text: from start to before end.
type span struct{ start, end int }

// Buffers is a pool of buffers. Its zero value is ready for use.
type Buffers struct{ pool sync.Pool }

// maxBuffer is the capacity up to which memory is kept: larger answers are rare.
const maxBuffer = 512 << 10

// Get returns an empty buffer.
func (b *Buffers) Get() *Buffer {
	o, ok := b.pool.Get().(*Buffer)
	if !ok {
		o = &Buffer{Bytes: make([]byte, 0, 4096), second: noSecond}
	}
	o.Bytes, o.volatile, o.oldest, o.Since = o.Bytes[:0], o.volatile[:0], math.MaxInt64, 0
	return o
}

// Put takes a buffer back.
func (b *Buffers) Put(o *Buffer) {
	if cap(o.Bytes) <= maxBuffer {
		b.pool.Put(o)
	}
}

// Hash is a hash of all that was written but as-of times.
func (o *Buffer) Hash() uint64 {
	var h xxhash.Digest
	h.Reset()
	at := 0
	for _, s := range o.volatile {
		_, _ = h.Write(o.Bytes[at:s.start]) // never fails
		at = s.end
	}
	_, _ = h.Write(o.Bytes[at:])
	return h.Sum64()
}

// Oldest is the oldest as-of time that was written and is later than Since; zero for none.
func (o *Buffer) Oldest() time.Time {
	if o.oldest == math.MaxInt64 {
		return time.Time{}
	}
	return time.Unix(0, o.oldest)
}

// saw takes note of an as-of time.
func (o *Buffer) saw(t *timestamppb.Timestamp) {
	if at := t.GetSeconds()*int64(time.Second) + int64(t.GetNanos()); at > o.Since && at < o.oldest {
		o.oldest = at
	}
}

// writers write the scalar kinds that answers have.
var writers = map[protoreflect.Kind]writer{
	protoreflect.StringKind: func(o *Buffer, p unsafe.Pointer) bool { return o.text(*(*string)(p)) },
	protoreflect.Int32Kind: func(o *Buffer, p unsafe.Pointer) bool {
		o.Bytes = strconv.AppendInt(o.Bytes, int64(*(*int32)(p)), 10)
		return true
	},
	// A string, because JavaScript's numbers have 53 bits.
	protoreflect.Int64Kind: func(o *Buffer, p unsafe.Pointer) bool {
		o.Bytes = append(strconv.AppendInt(append(o.Bytes, '"'), *(*int64)(p), 10), '"')
		return true
	},
	protoreflect.DoubleKind: func(o *Buffer, p unsafe.Pointer) bool {
		o.number(*(*float64)(p))
		return true
	},
	protoreflect.BoolKind: func(o *Buffer, p unsafe.Pointer) bool {
		o.Bytes = strconv.AppendBool(o.Bytes, *(*bool)(p))
		return true
	},
}

// listWriters write lists of them.
var listWriters = map[protoreflect.Kind]writer{
	protoreflect.StringKind: func(o *Buffer, p unsafe.Pointer) bool { return o.texts(*(*[]string)(p)) },
	protoreflect.Int32Kind: func(o *Buffer, p unsafe.Pointer) bool {
		buf := append(o.Bytes, '[')
		for i, n := range *(*[]int32)(p) {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = strconv.AppendInt(buf, int64(n), 10)
		}
		o.Bytes = append(buf, ']')
		return true
	},
}

// text writes a string, and escapes only what JSON requires. It reports false for one that is not UTF-8.
//
// Nearly every string is ASCII without anything to escape. So it is copied first, and the copy is checked eight bytes at a time.
func (o *Buffer) text(s string) bool {
	buf := append(o.Bytes, '"')
	start := len(buf)
	buf = append(buf, s...)
	if !plainText(buf[start:]) {
		if !utf8.ValidString(s) {
			return false
		}
		buf = appendEscaped(buf[:start], s)
	}
	o.Bytes = append(buf, '"')
	return true
}

func (o *Buffer) texts(list []string) bool {
	o.Bytes = append(o.Bytes, '[')
	for i, s := range list {
		if i > 0 {
			o.Bytes = append(o.Bytes, ',')
		}
		if !o.text(s) {
			return false
		}
	}
	o.Bytes = append(o.Bytes, ']')
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

// number writes numbers of ordinary size as decimal fractions, others with an exponent (without a leading zero), and those that
// JSON does not have as strings: protobuf's mapping.
func (o *Buffer) number(n float64) {
	switch size := math.Abs(n); {
	case math.IsNaN(n):
		o.Bytes = append(o.Bytes, `"NaN"`...)
	case math.IsInf(n, 1):
		o.Bytes = append(o.Bytes, `"Infinity"`...)
	case math.IsInf(n, -1):
		o.Bytes = append(o.Bytes, `"-Infinity"`...)
	case size == 0 || size >= 1e-6 && size < 1e21:
		o.Bytes = strconv.AppendFloat(o.Bytes, n, 'f', -1, 64)
	default:
		o.Bytes = strconv.AppendFloat(o.Bytes, n, 'e', -1, 64)
		if end := len(o.Bytes); o.Bytes[end-4] == 'e' && o.Bytes[end-3] == '-' && o.Bytes[end-2] == '0' {
			o.Bytes[end-2] = o.Bytes[end-1]
			o.Bytes = o.Bytes[:end-1]
		}
	}
}

// noSecond is a second that no valid time has.
const noSecond = math.MinInt64

// writeTime writes a time in RFC 3339 with 0, 3, 6 or 9 fractional digits. It reports false for one that is out of range.
func writeTime(o *Buffer, p unsafe.Pointer) bool {
	ts := (*timestamppb.Timestamp)(p)
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
	o.Bytes = append(o.Bytes, o.secondText[:]...)
	if n := int(ts.GetNanos()); n != 0 {
		digits := 9
		for ; n%1000 == 0; n /= 1000 {
			digits -= 3
		}
		o.Bytes = append(o.Bytes, '.')
		at := len(o.Bytes)
		o.Bytes = append(o.Bytes, "000000000"[:digits]...)
		for i := at + digits - 1; n > 0; i-- {
			o.Bytes[i] = byte('0' + n%10)
			n /= 10
		}
	}
	o.Bytes = append(o.Bytes, `Z"`...)
	return true
}
