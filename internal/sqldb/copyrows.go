package sqldb

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// valueKind is what a column holds, as SQLite's schema says. The numbers are those of [Checksum].
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

// pageBytes bounds what a page holds in memory, but for its last row. Two pages are there at the same time, and their
// arguments once more in the driver.
const pageBytes = 4 << 20

// page is some rows of a table, in the order of their keys.
type page struct {
	rows [][]any // values in the order of the columns: nil, int64, string or []byte
	sum  Checksum
}

// eachPage calls do for all rows behind a key, those of a page at a time, while the next page is read.
func (t *copyTable) eachPage(ctx context.Context, db *DB, after []any, limit int, do func(page) error) error {
	ctx, cancel := context.WithCancel(ctx)
	type read struct {
		page
		err error
	}
	pages := make(chan read)
	go func() {
		defer close(pages)
		size := limit
		for {
			p, err := t.page(ctx, db, after, size)
			if err != nil {
				err = db.explain(fmt.Errorf("read %s of database %s: %w", t.name, db.name, err))
			} else if len(p.rows) == 0 {
				return
			} else {
				after = t.keyOf(p.rows[len(p.rows)-1])
			}
			select {
			case pages <- read{p, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
			// A page that became too large was cut off, which costs a connection on MySQL: ask for fewer rows, then for
			// more again.
			if len(p.rows) < size {
				size = len(p.rows)
			} else {
				size = min(2*size, limit)
			}
		}
	}()
	var err error
	for p := range pages {
		if err == nil {
			if err = p.err; err == nil {
				err = do(p.page)
			}
			if err != nil {
				cancel()
			}
		}
	}
	ended := ctx.Err() // the reader may have ended with it, without a word
	cancel()
	if err == nil {
		err = ended
	}
	return err
}

// page reads at most limit rows behind a key.
func (t *copyTable) page(ctx context.Context, db *DB, after []any, limit int) (p page, err error) {
	text := "SELECT " + strings.Join(t.names(), ",") + " FROM " + t.name
	var args []any
	if after != nil {
		var where string
		where, args = db.dialect.behind(t.keyNames(), after)
		text += " WHERE " + where
	}
	rows, err := db.readers.QueryContext(ctx, text+" ORDER BY "+strings.Join(t.keyNames(), ",")+" LIMIT ?", append(args, limit)...)
	if err != nil {
		return page{}, err
	}
	defer rows.Close()
	var encoded []byte
	dest := make([]any, len(t.columns))
	for size := 0; size < pageBytes && rows.Next(); {
		row := make([]any, len(t.columns))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return page{}, err
		}
		for i, c := range t.columns {
			if row[i], err = c.value(row[i], db.dialect); err != nil {
				return page{}, fmt.Errorf("the row with %s: column %s %w", t.describe(row), c.name, err)
			}
		}
		encoded = encodeValues(encoded[:0], row)
		p.sum.add(checksumOf(sha256.Sum256(encoded)))
		p.rows = append(p.rows, row)
		const overhead = 16 // of a value in memory
		size += len(encoded) + overhead*len(row)
	}
	return p, rows.Err()
}

// value makes a driver's value that of the column's kind. On MySQL the type of the column decides; on SQLite each value has
// its own, and one of another kind would be lost on the way there and back.
func (c copyColumn) value(v any, of Dialect) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case int64:
		if c.kind == integerValue {
			return v, nil
		}
		return nil, fmt.Errorf("holds an integer where the schema has %s", c.kind)
	case string:
		if c.kind == textValue {
			return v, nil
		}
		return nil, fmt.Errorf("holds a text where the schema has %s", c.kind)
	case []byte:
		switch {
		case c.kind == textValue && of == MySQL:
			return string(v), nil
		case c.kind != blobValue:
			return nil, fmt.Errorf("holds a blob where the schema has %s", c.kind)
		case v == nil:
			return []byte{}, nil // an empty one, which the driver would take for NULL
		}
		return v, nil
	}
	return nil, fmt.Errorf("holds a %T, which is none of integer, text and blob", v)
}

// behind is the condition for rows behind a key. As one comparison of tuples SQLite finds the place in its index, and as
// alternatives MySQL does; each reads the whole table for the other's.
func (d Dialect) behind(key []string, after []any) (text string, args []any) {
	mustBeNames(key...)
	if d == SQLite {
		return "(" + strings.Join(key, ",") + ") > " + d.Placeholders(len(key), 1), after
	}
	var b strings.Builder
	for i := range key {
		if i > 0 {
			b.WriteString(" OR ")
		}
		b.WriteString("(")
		for j := range i {
			b.WriteString(key[j] + " = ? AND ")
		}
		b.WriteString(key[i] + " > ?)")
		args = append(args, after[:i+1]...)
	}
	return b.String(), args
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

var errBadKey = errors.New("the key that the copy stands at is damaged")
