package kafka

import (
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	panics "movieexample.com/internal/guard"
)

// Bounds of a batch that a consumer decompresses.
const (
	meterBytes   = maxDecompress // in memory at once; a batch that begins below may end above
	meterRecords = 1 << 18       // of one batch; those of a legal event have some 60 bytes at least
	recordBytes  = 256           // that the client library takes for a record besides its contents
)

// ErrNoRoom is the error of a batch that a [Meter] did not decompress. The client fetches it again; there is nothing to do.
var ErrNoRoom = errors.New("earlier batches must be handled before this one is decompressed")

// Meter decompresses the record batches of a consumer and bounds the memory that they take together. The client library
// decompresses all batches of an answer before anyone sees the first, and 4 KiB of one can be 32 MiB. With a Meter the answer
// ends before the batch for which there is no room. If that is the first of its partition, the poll has [ErrNoRoom].
//
// A batch with more than 32 MiB, or more than 262,144 records, is kgo.ErrMaxDecompress. Use one for each client: kgo.WithDecompressor.
type Meter struct{ held atomic.Int64 }

var _ kgo.Decompressor = (*Meter)(nil)

// Decompress implements kgo.Decompressor.
func (m *Meter) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if codec == kgo.CodecNone {
		return src, nil
	}
	if m.held.Load() >= meterBytes {
		return nil, ErrNoRoom
	}
	// It runs in a goroutine of the library, where a panic of a decoder would end the process.
	out, err := panics.Catch("decompress a record batch", func() ([]byte, error) { return decompress(src, uint16(codec), maxDecompress) })
	if errors.Is(err, errTooLarge) {
		return nil, kgo.ErrMaxDecompress
	}
	if err != nil {
		return nil, err
	}
	n := countRecords(out)
	if n > meterRecords {
		return nil, kgo.ErrMaxDecompress
	}
	m.held.Add(int64(cap(out)) + int64(n)*recordBytes)
	return out, nil
}

// Handled makes room. Call it when the client has nothing buffered and all of its records are handled.
func (m *Meter) Handled() { m.held.Store(0) }

// countRecords counts the records of a batch, up to the first with a wrong length.
func countRecords(b []byte) (n int) {
	for len(b) > 0 {
		length, used := binary.Varint(b)
		if used <= 0 || length < 0 || length > int64(len(b)-used) {
			break
		}
		b = b[int64(used)+length:]
		n++
	}
	return n
}
