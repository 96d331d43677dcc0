package kafka

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// endLost writes the end of transactions that a kill has ended. The library takes them for aborted and does not say so in the log:
// a consumer then takes what the same producer commits later for aborted, too, and the next start takes the old for committed.
func (b *Broker) endLost(ctx context.Context) error {
	ask := func(k kmsg.Request) (kmsg.Response, error) {
		ctx, cancel := context.WithTimeout(ctx, stuckAfter)
		defer cancel()
		return b.guard.inside.ask(ctx, k)
	}
	resp, err := ask(kmsg.NewPtrListTransactionsRequest())
	if err != nil {
		return fmt.Errorf("look for transactions that were lost: %w", err)
	}
	producers := resp.(*kmsg.ListTransactionsResponse).TransactionStates
	if len(producers) == 0 {
		return nil // and the log need not be read
	}
	going := make(map[int64]bool)
	for _, p := range producers {
		going[p.ProducerID] = p.TransactionState == "Ongoing"
	}
	topics, err := b.guard.count()
	if err != nil {
		return fmt.Errorf("look for transactions that were lost: %w", err)
	}
	for topic, partitions := range topics {
		for number := range int32(partitions) {
			open, err := openTransactions(ask, topic, number)
			if err != nil {
				return fmt.Errorf("look for transactions that were lost in %s/%d: %w", topic, number, err)
			}
			for producer, epoch := range open {
				if going[producer] {
					continue
				}
				if err := abort(ask, topic, number, producer, epoch); err != nil {
					return fmt.Errorf("end a lost transaction in %s/%d: %w", topic, number, err)
				}
			}
		}
	}
	return nil
}

// openTransactions reads a partition and returns the epochs of the producers whose transaction has no end there.
func openTransactions(ask func(kmsg.Request) (kmsg.Response, error), topic string, number int32) (map[int64]int16, error) {
	open := make(map[int64]int16)
	bounds := kmsg.NewPtrListOffsetsRequest()
	bounds.Version = 4
	bounds.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Partition: number, CurrentLeaderEpoch: -1, Timestamp: -2}}}}
	resp, err := ask(bounds)
	if err != nil {
		return nil, err
	}
	next := resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].Offset
	for {
		k := kmsg.NewPtrFetchRequest()
		k.Version, k.MaxBytes, k.SessionEpoch = 11, fetchBytes, -1
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = number, next, fetchBytes
		k.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
		resp, err := ask(k)
		if err != nil {
			return nil, err
		}
		got := resp.(*kmsg.FetchResponse)
		if len(got.Topics) == 0 || len(got.Topics[0].Partitions) == 0 {
			return open, kerr.ErrorForCode(got.ErrorCode)
		}
		part := got.Topics[0].Partitions[0]
		if err := kerr.ErrorForCode(part.ErrorCode); err != nil {
			return nil, err
		}
		before := next
		for raw := part.RecordBatches; len(raw) >= batchHead; {
			length := int64(binary.BigEndian.Uint32(raw[8:])) + 12
			if length < batchHead || length > int64(len(raw)) {
				break
			}
			producer, attributes := int64(binary.BigEndian.Uint64(raw[43:])), binary.BigEndian.Uint16(raw[21:])
			switch {
			case attributes&0x20 != 0:
				delete(open, producer)
			case attributes&0x10 != 0:
				open[producer] = int16(binary.BigEndian.Uint16(raw[51:]))
			}
			next = int64(binary.BigEndian.Uint64(raw)) + int64(binary.BigEndian.Uint32(raw[23:])) + 1
			raw = raw[length:]
		}
		if next == before {
			return open, nil
		}
	}
}

// abort writes the end of a transaction.
func abort(ask func(kmsg.Request) (kmsg.Response, error), topic string, number int32, producer int64, epoch int16) error {
	k := kmsg.NewPtrWriteTxnMarkersRequest()
	k.Version = 1
	k.Markers = []kmsg.WriteTxnMarkersRequestMarker{{
		ProducerID: producer, ProducerEpoch: epoch,
		Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: topic, Partitions: []int32{number}}},
	}}
	resp, err := ask(k)
	if err != nil {
		return err
	}
	for _, m := range resp.(*kmsg.WriteTxnMarkersResponse).Markers {
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
