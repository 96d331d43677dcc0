package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// produced is the batch of one partition in a Produce request.
type produced struct {
	topic     string
	partition int32
	records   []byte // nil if there are none
	refusal   *batchError
}

// checkProduce reads every batch. It removes invalid batches from the request, so that the library stores the others, and adds
// the reasons to the library's answer.
func (g *guard) checkProduce(c *guardConn, r *request) (verdict, error) {
	acks, transaction, list, err := readProduce(r)
	if err != nil {
		return verdict{}, err
	}
	refused := make(map[int]*batchError)
	for i := range list {
		if err := g.checkProduced(c, transaction, &list[i]); err != nil {
			var be *batchError
			if !errors.As(err, &be) {
				return verdict{}, err
			}
			refused[i], list[i].refusal = be, be
			g.log("the embedded Kafka broker refused a record batch and did not store it", "remote", c.RemoteAddr().String(),
				"topic", list[i].topic, "partition", list[i].partition, "error", be.code.Message, "reason", be.text)
		}
	}
	if len(refused) == 0 {
		return verdict{silent: acks == 0}, nil
	}
	k, err := r.decode()
	if err != nil {
		return verdict{}, errMalformed
	}
	i := 0
	p := k.(*kmsg.ProduceRequest)
	for ti := range p.Topics {
		for pi := range p.Topics[ti].Partitions {
			if refused[i] != nil {
				p.Topics[ti].Partitions[pi].Records = []byte{} // the library calls it corrupt
			}
			i++
		}
	}
	r.encode(p)
	return verdict{silent: acks == 0, amend: func(answer []byte) ([]byte, error) { return amendProduce(r, p, list, answer) }}, nil
}

func (g *guard) checkProduced(c *guardConn, transaction *string, p *produced) error {
	if p.records == nil {
		return invalidRecord("there are no records for the partition")
	}
	select {
	case g.decoding <- struct{}{}:
		defer func() { <-g.decoding }()
	case <-c.closed:
		return errRefused
	}
	of, err := checkBatch(p.records, g.limits.BatchBytes)
	switch {
	case err != nil:
		return err
	case of.transactional && (transaction == nil || of.epoch >= lastEpoch || !g.ownsTransaction(*transaction, of.producer)):
		// Of a producer without a transaction the library never ends it, and nothing behind the batch is committed.
		return &batchError{kerr.InvalidProducerIDMapping, "the batch belongs to a transaction, and its producer has none"}
	case of.producer >= 0 && !g.admission.knowsProducer(of.producer):
		return &batchError{kerr.RequestTimedOut, "too many producers that the broker does not know come at once"}
	}
	return nil
}

// readProduce finds the batches without building anything that is larger than the request.
func readProduce(r *request) (acks int16, transaction *string, list []produced, err error) {
	b := kbin.Reader{Src: r.frame[r.body:]}
	flexible := r.version >= 9
	str, nullable, bytes, array := b.UnsafeString, b.UnsafeNullableString, b.NullableBytes, b.ArrayLen
	if flexible {
		str, nullable, bytes, array = b.UnsafeCompactString, b.UnsafeCompactNullableString, b.CompactNullableBytes, b.CompactArrayLen
	}
	tags := func() {
		if flexible {
			kmsg.SkipTags(&b)
		}
	}
	transaction = nullable()
	acks = b.Int16()
	b.Int32() // how long to wait for replicas
	for range array() {
		topic := str()
		for range array() {
			p := produced{topic: topic, partition: b.Int32()}
			p.records = bytes()
			tags()
			if !b.Ok() {
				return 0, nil, nil, errMalformed
			}
			list = append(list, p)
			if err := fewWrites("partitions", len(list)); err != nil {
				return 0, nil, nil, err
			}
		}
		tags()
		if !b.Ok() {
			return 0, nil, nil, errMalformed
		}
	}
	tags()
	if !b.Ok() {
		return 0, nil, nil, errMalformed
	}
	return acks, transaction, list, each("partition", list, func(p produced) string { return fmt.Sprintf("%d/%s", p.partition, p.topic) })
}

// amendProduce puts the reasons for refusals into the library's answer.
func amendProduce(r *request, k *kmsg.ProduceRequest, list []produced, answer []byte) ([]byte, error) {
	resp := k.ResponseKind().(*kmsg.ProduceResponse)
	head := 8
	if resp.IsFlexible() {
		head = 9
	}
	if len(answer) < head {
		return nil, errMalformed
	}
	if err := resp.ReadFrom(answer[head:]); err != nil {
		return nil, err
	}
	type place struct {
		topic     string
		partition int32
	}
	refused := make(map[place]*batchError)
	for _, p := range list {
		if p.refusal != nil {
			refused[place{p.topic, p.partition}] = p.refusal
		}
	}
	for ti := range resp.Topics {
		t := &resp.Topics[ti]
		for pi := range t.Partitions {
			p := &t.Partitions[pi]
			be := refused[place{t.Topic, p.Partition}]
			if be == nil || p.ErrorCode == kerr.UnknownTopicOrPartition.Code {
				continue
			}
			text := be.text
			p.ErrorCode, p.BaseOffset = be.code.Code, -1
			if r.version >= 8 {
				p.ErrorMessage = &text
			}
		}
	}
	out := append(answer[:head:head], resp.AppendTo(nil)...)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out, nil
}
