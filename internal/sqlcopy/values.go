package sqlcopy

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"movieexample.com/internal/sqldb"
)

// valueKind is the kind of a column according to SQLite's schema. The numbers are those of [Checksum].
type valueKind byte

const (
	nullValue valueKind = iota // of a value, never of a column
	integerValue
	textValue
	blobValue
)

func (k valueKind) String() string {
	return [...]string{"NULL", "an integer", "a text", "a blob"}[k]
}

// Checksum is a checksum of the rows of a table that does not depend on their order: the sum of the SHA-256 of each row, modulo 2^64
// for each of its four words. A row is encoded as its columns in the order of their names. Each column is one byte for the kind and
// then the value: 0 NULL; 1 integer, 8 bytes, two's complement, big endian; 2 text and 3 blob, the length in 8 bytes, then the bytes.
// SQLite's schema decides on every engine what is text and what is a blob.
type Checksum [4]uint64

func (s *Checksum) add(o Checksum) {
	for i := range s {
		s[i] += o[i]
	}
}

// String returns 64 hexadecimal digits.
func (s Checksum) String() string {
	return fmt.Sprintf("%016x%016x%016x%016x", s[0], s[1], s[2], s[3])
}

func (s *Checksum) parse(text string) error {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 8*len(s) {
		return fmt.Errorf("%q is no checksum", text)
	}
	*s = checksumOf([32]byte(b))
	return nil
}

// value converts a driver's value to the column's kind. On MySQL the type of the column decides. On SQLite each value has a type of
// its own, and a value of another kind than the column would not survive the copy.
func (k valueKind) value(v any, of sqldb.Dialect) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case int64:
		if k == integerValue {
			return v, nil
		}
		return nil, fmt.Errorf("holds an integer where the schema has %s", k)
	case string:
		if k == textValue {
			return v, nil
		}
		return nil, fmt.Errorf("holds a text where the schema has %s", k)
	case []byte:
		switch {
		case k == textValue && of == sqldb.MySQL:
			return string(v), nil
		case k != blobValue:
			return nil, fmt.Errorf("holds a blob where the schema has %s", k)
		case v == nil:
			return []byte{}, nil // not nil, which the driver would take for NULL
		}
		return v, nil
	}
	return nil, fmt.Errorf("holds a %T, which is not an integer, text or blob", v)
}

func checksumOf(sum [32]byte) (s Checksum) {
	for i := range s {
		s[i] = binary.BigEndian.Uint64(sum[8*i:])
	}
	return s
}

// encodeValues appends values as [Checksum] describes it.
func encodeValues(dst []byte, values []any) []byte {
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			dst = append(dst, byte(nullValue))
		case int64:
			dst = binary.BigEndian.AppendUint64(append(dst, byte(integerValue)), uint64(v))
		case string:
			dst = binary.BigEndian.AppendUint64(append(dst, byte(textValue)), uint64(len(v)))
			dst = append(dst, v...)
		case []byte:
			dst = binary.BigEndian.AppendUint64(append(dst, byte(blobValue)), uint64(len(v)))
			dst = append(dst, v...)
		}
	}
	return dst
}

// decodeValues reads what encodeValues wrote.
func decodeValues(b []byte) (values []any, err error) {
	for len(b) > 0 {
		kind := valueKind(b[0])
		b = b[1:]
		if kind == nullValue {
			values = append(values, nil)
			continue
		}
		if len(b) < 8 || kind > blobValue {
			return nil, errBadKey
		}
		n := binary.BigEndian.Uint64(b)
		b = b[8:]
		if kind == integerValue {
			values = append(values, int64(n))
			continue
		}
		if n > uint64(len(b)) {
			return nil, errBadKey
		}
		if kind == textValue {
			values = append(values, string(b[:n]))
		} else {
			values = append(values, b[:n:n])
		}
		b = b[n:]
	}
	return values, nil
}

var errBadKey = errors.New("the recorded key of the last copied row is damaged")
