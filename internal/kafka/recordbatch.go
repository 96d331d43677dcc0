package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kerr"
)

// batchHead is the number of bytes before the records in a record batch (KIP-98).
const batchHead = 61

// batchError is why a batch is refused: Kafka's error code and a message.
type batchError struct {
	code *kerr.Error
	text string
}

func (e *batchError) Error() string { return e.text }

func corrupt(format string, args ...any) error {
	return &batchError{kerr.CorruptMessage, fmt.Sprintf(format, args...)}
}

func invalidRecord(format string, args ...any) error {
	return &batchError{kerr.InvalidRecord, fmt.Sprintf(format, args...)}
}

// origin says whose a batch is.
type origin struct {
	producer      int64 // -1: of a producer without an id
	epoch         int16
	transactional bool
}

// checkBatch reads a record batch as a consumer would: every consumer can read the batches that it accepts, with no more than limit
// bytes of memory. The library, like Kafka, checks only the head.
func checkBatch(b []byte, limit int) (of origin, err error) {
	if len(b) < batchHead {
		return of, corrupt("a record batch has %d bytes at least, got %d", batchHead, len(b))
	}
	if len(b) > maxBatch {
		return of, &batchError{kerr.MessageTooLarge, fmt.Sprintf("a record batch of %d bytes; at most %d are allowed", len(b), maxBatch)}
	}
	var (
		baseOffset = int64(binary.BigEndian.Uint64(b))
		length     = int64(int32(binary.BigEndian.Uint32(b[8:])))
		magic      = b[16]
		sum        = binary.BigEndian.Uint32(b[17:])
		attributes = binary.BigEndian.Uint16(b[21:])
		lastDelta  = int32(binary.BigEndian.Uint32(b[23:]))
		sequence   = int32(binary.BigEndian.Uint32(b[53:]))
		count      = int32(binary.BigEndian.Uint32(b[57:]))
	)
	of = origin{
		producer:      int64(binary.BigEndian.Uint64(b[43:])),
		epoch:         int16(binary.BigEndian.Uint16(b[51:])),
		transactional: attributes&0x10 != 0,
	}
	switch {
	case magic != 2:
		return of, corrupt("message format %d; this broker takes version 2", magic)
	case length != int64(len(b))-12:
		return of, corrupt("a record batch says that it has %d bytes and has %d: one partition takes one batch in a request", length+12, len(b))
	case sum != crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)):
		return of, corrupt("the checksum of the record batch does not match")
	case baseOffset != 0:
		return of, corrupt("the first offset of a record batch must be 0, got %d", baseOffset)
	case count <= 0:
		return of, invalidRecord("a record batch must have records, and says %d", count)
	case lastDelta != count-1:
		return of, invalidRecord("a record batch of %d records has the last offset %d", count, lastDelta)
	case attributes&0x20 != 0:
		return of, invalidRecord("a control batch does not come from a client")
	case attributes&0x08 != 0:
		return of, &batchError{kerr.InvalidTimestamp, "a client cannot say when a record is appended to the log (timestamp type LogAppendTime)"}
	case of.producer >= 0 && sequence < 0:
		return of, invalidRecord("a producer with an id must number its records from 0, got %d", sequence)
	}
	records, err := decompress(b[batchHead:], attributes&7, limit)
	if errors.Is(err, errTooLarge) {
		return of, &batchError{kerr.MessageTooLarge, fmt.Sprintf("a record batch of %d bytes decompresses to more than %d", len(b), limit)}
	}
	if err != nil {
		return of, corrupt("the records of a batch cannot be decompressed: %v", err)
	}
	if err := checkRecords(records, count); err != nil {
		return of, err
	}
	return of, nil
}

var errTooLarge = errors.New("too large")

// decompress undoes the compression of a batch. It uses what the client library uses, with a bound that the client library
// has for consumers only.
func decompress(src []byte, codec uint16, limit int) ([]byte, error) {
	switch codec {
	case 0:
		return src, nil
	case 1:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		return readBounded(r, limit)
	case 2:
		return unsnappy(src, limit)
	case 3:
		return readBounded(lz4.NewReader(bytes.NewReader(src)), limit)
	case 4:
		d, err := zstd.NewReader(nil, zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(limit)))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		out, err := d.DecodeAll(src, nil)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			err = errTooLarge
		}
		return out, err
	}
	return nil, fmt.Errorf("compression %d does not exist", codec)
}

func readBounded(r io.Reader, limit int) ([]byte, error) {
	var out bytes.Buffer
	n, err := out.ReadFrom(io.LimitReader(r, int64(limit)+1))
	if err == nil && n > int64(limit) {
		err = errTooLarge
	}
	return out.Bytes(), err
}

// unsnappy reads one block of snappy, or the blocks of the frame that Java clients write: a head of 16 bytes, then each
// block after its size.
func unsnappy(src []byte, limit int) ([]byte, error) {
	if len(src) <= 16 || !bytes.HasPrefix(src, []byte("\x82SNAPPY\x00")) {
		return snappyBlock(src, limit)
	}
	var out []byte
	for src = src[16:]; len(src) > 0; {
		if len(src) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		size := int64(binary.BigEndian.Uint32(src))
		if src = src[4:]; size > int64(len(src)) {
			return nil, io.ErrUnexpectedEOF
		}
		block, err := snappyBlock(src[:size], limit-len(out))
		if err != nil {
			return nil, err
		}
		out, src = append(out, block...), src[size:]
	}
	return out, nil
}

func snappyBlock(src []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, errTooLarge
	}
	return s2.Decode(nil, src)
}

// checkRecords checks that there are count records, each with its stated length, numbered from 0.
func checkRecords(b []byte, count int32) error {
	for i := range int64(count) {
		length, n := binary.Varint(b)
		if n <= 0 || length < 0 || length > int64(len(b)-n) {
			return invalidRecord("record %d of %d in a batch is not as long as it says", i, count)
		}
		if err := checkRecord(b[n:int64(n)+length], i); err != nil {
			return invalidRecord("record %d of %d in a batch: %v", i, count, err)
		}
		b = b[int64(n)+length:]
	}
	if len(b) > 0 {
		return invalidRecord("a batch says that it has %d records, and %d bytes follow them", count, len(b))
	}
	return nil
}

// checkRecord reads a record: attributes, timestamp, offset, key, value, headers.
func checkRecord(b []byte, offset int64) error {
	short := errors.New("a length in it is wrong")
	number := func() (v int64, ok bool) {
		v, n := binary.Varint(b)
		if n <= 0 {
			return 0, false
		}
		b = b[n:]
		return v, true
	}
	field := func(null bool) bool {
		n, ok := number()
		if !ok || n > int64(len(b)) || n < 0 && (!null || n != -1) {
			return false
		}
		b = b[max(n, 0):]
		return true
	}
	if len(b) == 0 {
		return short
	}
	b = b[1:]
	if _, ok := number(); !ok {
		return short
	}
	switch at, ok := number(); {
	case !ok:
		return short
	case at != offset:
		return fmt.Errorf("its offset is %d", at)
	}
	for range 2 { // key and value
		if !field(true) {
			return short
		}
	}
	headers, ok := number()
	if !ok || headers < 0 || headers > int64(len(b)) {
		return short
	}
	for range headers {
		if !field(false) || !field(true) {
			return short
		}
	}
	if len(b) > 0 {
		return errors.New("there are bytes after its headers")
	}
	return nil
}
