package rating_test

import (
	"bytes"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kbin"

	"movieexample.com/internal/sqldb/sqltest"
)

// heapPeak samples the heap that is in use, garbage included, until the test ends; its result is in bytes.
func heapPeak(t *testing.T) func() int64 {
	var most atomic.Int64
	var sampling sync.WaitGroup
	stop := make(chan struct{})
	sampling.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
		for {
			metrics.Read(s)
			most.Store(max(most.Load(), int64(s[0].Value.Uint64()+s[1].Value.Uint64()))) // HeapInuse
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	end := sync.OnceFunc(func() { close(stop); sampling.Wait() })
	t.Cleanup(end)
	return func() int64 { end(); return most.Load() }
}

// paddedRecord is an event with a header of a size.
func paddedRecord(offset int, value string, padding int) []byte {
	b := []byte{0}
	b = kbin.AppendVarlong(b, 0)
	b = kbin.AppendVarint(b, int32(offset))
	b = kbin.AppendVarint(b, -1) // no key
	b = kbin.AppendVarintBytes(b, []byte(value))
	b = kbin.AppendVarint(b, 1)
	b = kbin.AppendVarintString(b, "padding")
	b = kbin.AppendVarintBytes(b, make([]byte, padding))
	return append(kbin.AppendVarint(nil, int32(len(b))), b...)
}

// Batches that are just small enough, and that one answer of the brokers has by the dozen, are decompressed a few at a time.
func TestMemoryOfManyLargeBatches(t *testing.T) { // not parallel: it measures the heap
	const (
		batches, records = 40, 31
		limit            = 32 << 20 // of one batch
		bound            = 8 * limit
	)
	s := startUnguarded(t)
	id := s.makeTopic(t).ID
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = enc.Close() })
	var raw bytes.Buffer
	at := time.Now().UnixMilli()
	for i := range records {
		raw.Write(paddedRecord(i, eventJSON("padded", string(rune('a'+i%26))+string(rune('a'+i/26)), 7), 1<<20))
	}
	if raw.Len() > limit || raw.Len() < limit-2<<20 {
		t.Fatalf("a batch of %d bytes, want one just below the limit", raw.Len())
	}
	batch := rawBatch(records, 4, at, enc.EncodeAll(raw.Bytes(), nil))
	raw = bytes.Buffer{}
	// One that has far more records than bytes would tell: not even the first is taken.
	var tiny []byte
	for i := range 300_000 {
		tiny = append(tiny, rawRecord(i, 0, "")...)
	}
	crowd := rawBatch(300_000, 4, at, enc.EncodeAll(tiny, nil))
	tiny = nil
	for range batches {
		s.publishRaw(t, id, batch)
	}
	s.publishRaw(t, id, crowd)
	s.publishRaw(t, id, batch)
	const all = (batches+1)*records + 300_000
	peak := heapPeak(t)
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	eventually(t, "all records", func() bool { return f.ingested(t) == all })
	if got := peak(); got > bound {
		t.Errorf("%d MiB of heap at most, want %d", got>>20, bound>>20)
	} else {
		t.Logf("%d MiB of heap at most", got>>20)
	}
	letters := f.deadLetters(t)
	if len(letters) != 1 || letters[0].GetClass() != "undecodable-batch" {
		t.Errorf("dead letters: %d, want the crowded batch alone", len(letters))
	}
	eventually(t, "all events and a dead letter to be counted", func() bool {
		return f.gauge(t, "movieexample_rating_ingest_records_total") == (batches+1)*records+1
	})
	if v := f.value(t, "padded", "eb"); v != 7 {
		t.Errorf("the last event of a batch was not applied: %d", v)
	}
	f.checkAudit(t)
}
