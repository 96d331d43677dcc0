package kafka

import (
	"context"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxTransaction is how long a transaction may be open: until it ends, consumers get no record behind it. It is the default of
	// the Java client.
	maxTransaction = time.Minute
	// forgetTransaction is when the library forgets a transactional id; it looks at all of them after every request.
	forgetTransaction = time.Hour
	// lastEpoch is the epoch at which the library gives a producer another id. If a transaction is open then and times out, the
	// library increments the epoch forever.
	lastEpoch = math.MaxInt16 - 1
)

// ownsTransaction reports whether the producer id belongs to the transactional id: the library accepts any combination.
func (g *guard) ownsTransaction(transaction string, producer int64) bool {
	if g.admission.ownsTransaction(transaction, producer) {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), stuckAfter)
	defer cancel()
	k := kmsg.NewPtrDescribeTransactionsRequest()
	k.TransactionalIDs = []string{transaction}
	resp, err := g.inside.ask(ctx, k)
	if err != nil {
		return false
	}
	for _, t := range resp.(*kmsg.DescribeTransactionsResponse).TransactionStates {
		if t.ErrorCode == 0 && t.TransactionalID == transaction && t.ProducerID == producer {
			g.admission.learnTransaction(transaction, producer)
			return true
		}
	}
	return false
}

// mayChange reports whether a request may change the transaction.
func (g *guard) mayChange(transaction string, producer int64, epoch int16) bool {
	return epoch >= 0 && epoch < lastEpoch && g.ownsTransaction(transaction, producer)
}

func (g *guard) checkInitProducer(r *request, k *kmsg.InitProducerIDRequest) verdict {
	resp := k.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	switch {
	case k.TransactionalID != nil && !validName(*k.TransactionalID):
		resp.ErrorCode = kerr.InvalidRequest.Code
	case k.TransactionalID != nil && k.ProducerID >= 0 && !g.ownsTransaction(*k.TransactionalID, k.ProducerID):
		resp.ErrorCode = kerr.InvalidProducerIDMapping.Code
	case k.TransactionalID != nil && !g.admission.knowsTransaction(*k.TransactionalID),
		k.TransactionalID == nil && !g.admission.producer.take():
		g.log("a producer must wait for its id: too many request one at once")
		resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
	default:
		return verdict{}
	}
	return verdict{answer: r.answer(resp)}
}

func (g *guard) checkAddPartitions(r *request, k *kmsg.AddPartitionsToTxnRequest) (verdict, error) {
	n := total(k.Topics, func(t kmsg.AddPartitionsToTxnRequestTopic) int { return len(t.Partitions) })
	if err := fewWrites("partitions", n); err != nil || g.mayChange(k.TransactionalID, k.ProducerID, k.ProducerEpoch) {
		return verdict{}, err
	}
	resp := k.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	for _, t := range k.Topics {
		rt := kmsg.NewAddPartitionsToTxnResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p, kerr.InvalidProducerIDMapping.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return verdict{answer: r.answer(resp)}, nil
}

func (g *guard) checkAddOffsets(r *request, k *kmsg.AddOffsetsToTxnRequest) verdict {
	if validName(k.Group) && g.mayChange(k.TransactionalID, k.ProducerID, k.ProducerEpoch) {
		return verdict{}
	}
	resp := k.ResponseKind().(*kmsg.AddOffsetsToTxnResponse)
	resp.ErrorCode = kerr.InvalidProducerIDMapping.Code
	return verdict{answer: r.answer(resp)}
}

func (g *guard) checkTransactionCommit(r *request, k *kmsg.TxnOffsetCommitRequest) (verdict, error) {
	var code *kerr.Error
	n := 0
	for _, t := range k.Topics {
		for _, p := range t.Partitions {
			n++
			if !validComment(p.Metadata) {
				code = kerr.OffsetMetadataTooLarge
			}
		}
	}
	if err := fewWrites("partitions", n); err != nil {
		return verdict{}, err
	}
	switch {
	case !validName(k.Group) || k.Group == "":
		code = kerr.InvalidGroupID
	case !g.mayChange(k.TransactionalID, k.ProducerID, k.ProducerEpoch):
		code = kerr.InvalidProducerIDMapping
	case code == nil && !g.knowsGroup(k.Group):
		code = kerr.PolicyViolation
	}
	if code == nil {
		return verdict{}, nil
	}
	resp := k.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	for _, t := range k.Topics {
		rt := kmsg.NewTxnOffsetCommitResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return verdict{answer: r.answer(resp)}, nil
}

func (g *guard) checkEndTransaction(r *request, k *kmsg.EndTxnRequest) verdict {
	if g.ownsTransaction(k.TransactionalID, k.ProducerID) {
		return verdict{}
	}
	resp := k.ResponseKind().(*kmsg.EndTxnResponse)
	resp.ErrorCode = kerr.InvalidProducerIDMapping.Code
	return verdict{answer: r.answer(resp)}
}
