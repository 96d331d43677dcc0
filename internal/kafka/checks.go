package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// check checks the content of a request. Its error closes the connection.
func (g *guard) check(c *guardConn, r *request, rule rule) (verdict, error) {
	switch r.kind {
	case kindAPIVersions:
		answer, err := apiVersions(r, rule)
		return verdict{answer: answer}, err
	case kindProduce:
		return g.checkProduce(c, r)
	}
	k, err := r.decode()
	if err != nil {
		return verdict{}, errMalformed
	}
	switch k := k.(type) {
	case *kmsg.FetchRequest:
		return verdict{}, checkFetch(r, k)
	case *kmsg.ListOffsetsRequest:
		return verdict{}, checkListOffsets(k)
	case *kmsg.OffsetForLeaderEpochRequest:
		return verdict{}, few("partitions", total(k.Topics, func(t kmsg.OffsetForLeaderEpochRequestTopic) int { return len(t.Partitions) }))
	case *kmsg.MetadataRequest:
		return verdict{}, few("topics", len(k.Topics))
	case *kmsg.FindCoordinatorRequest:
		return verdict{}, few("keys", len(k.CoordinatorKeys))
	case *kmsg.JoinGroupRequest:
		return g.checkJoin(r, k)
	case *kmsg.SyncGroupRequest:
		return verdict{}, few("assignments", len(k.GroupAssignment))
	case *kmsg.LeaveGroupRequest:
		return verdict{}, fewWrites("members", len(k.Members))
	case *kmsg.DescribeGroupsRequest:
		return verdict{}, each("group", k.Groups, func(s string) string { return s })
	case *kmsg.DeleteGroupsRequest:
		return verdict{}, each("group", k.Groups, func(s string) string { return s })
	case *kmsg.OffsetFetchRequest:
		return verdict{}, each("group", k.Groups, func(rg kmsg.OffsetFetchRequestGroup) string { return rg.Group })
	case *kmsg.OffsetCommitRequest:
		return g.checkCommit(r, k)
	case *kmsg.InitProducerIDRequest:
		return g.checkInitProducer(r, k), nil
	case *kmsg.AddPartitionsToTxnRequest:
		return g.checkAddPartitions(r, k)
	case *kmsg.AddOffsetsToTxnRequest:
		return g.checkAddOffsets(r, k), nil
	case *kmsg.TxnOffsetCommitRequest:
		return g.checkTransactionCommit(r, k)
	case *kmsg.EndTxnRequest:
		return g.checkEndTransaction(r, k), nil
	case *kmsg.DeleteRecordsRequest:
		return verdict{}, fewWrites("partitions", total(k.Topics, func(t kmsg.DeleteRecordsRequestTopic) int { return len(t.Partitions) }))
	case *kmsg.OffsetDeleteRequest:
		return verdict{}, fewWrites("partitions", total(k.Topics, func(t kmsg.OffsetDeleteRequestTopic) int { return len(t.Partitions) }))
	case *kmsg.CreateTopicsRequest:
		return g.checkCreateTopics(r, k), nil
	case *kmsg.CreatePartitionsRequest:
		return g.checkCreatePartitions(r, k), nil
	case *kmsg.DeleteTopicsRequest:
		return verdict{}, few("topics", len(k.Topics)+len(k.TopicNames))
	case *kmsg.DescribeConfigsRequest:
		return verdict{}, each("resource", k.Resources, func(rr kmsg.DescribeConfigsRequestResource) string {
			return fmt.Sprint(rr.ResourceType, " ", rr.ResourceName)
		})
	case *kmsg.IncrementalAlterConfigsRequest:
		return checkAlterConfigs(r, k), nil
	}
	return verdict{}, nil
}

// checkFetch bounds the answer and the wait: the library would put a whole log into one answer, and keep the request of a
// client that is long gone. Like a Kafka without room for one, it keeps no sessions: a session grows with each request.
func checkFetch(r *request, k *kmsg.FetchRequest) error {
	type place struct {
		topic     string
		id        [16]byte
		partition int32
	}
	seen := make(map[place]struct{})
	for ti := range k.Topics {
		t := &k.Topics[ti]
		for pi := range t.Partitions {
			p := &t.Partitions[pi]
			at := place{t.Topic, t.TopicID, p.Partition}
			if _, ok := seen[at]; ok {
				return errors.New("it names a partition twice")
			}
			seen[at] = struct{}{}
			p.PartitionMaxBytes = min(max(p.PartitionMaxBytes, 0), fetchBytes)
		}
	}
	if err := few("partitions", len(seen)); err != nil {
		return err
	}
	k.MaxBytes = min(max(k.MaxBytes, 0), fetchBytes)
	k.MaxWaitMillis = min(max(k.MaxWaitMillis, 0), int32(parkedFetch/time.Millisecond))
	k.MinBytes = min(k.MinBytes, fetchBytes)
	k.ForgottenTopics = nil
	if k.SessionEpoch == 0 {
		k.SessionID, k.SessionEpoch = 0, -1
	}
	r.encode(k)
	return nil
}

func checkListOffsets(k *kmsg.ListOffsetsRequest) error {
	n, times := 0, 0
	for _, t := range k.Topics {
		n += len(t.Partitions)
		for _, p := range t.Partitions {
			if p.Timestamp >= 0 || p.Timestamp == -3 {
				times++
			}
		}
	}
	if times > maxTimeLookups {
		return fmt.Errorf("it looks for a time in %d partitions; at most %d are allowed", times, maxTimeLookups)
	}
	return few("partitions", n)
}

// checkJoin refuses a request that makes the library panic: it counts a member that names a protocol twice as two, and then no
// protocol has as many supporters as there are members.
func (g *guard) checkJoin(r *request, k *kmsg.JoinGroupRequest) (verdict, error) {
	refuse := func(code *kerr.Error) (verdict, error) {
		resp := k.ResponseKind().(*kmsg.JoinGroupResponse)
		resp.ErrorCode, resp.MemberID, resp.Generation = code.Code, k.MemberID, -1
		return verdict{answer: r.answer(resp)}, nil
	}
	instance := ""
	if k.InstanceID != nil {
		instance = *k.InstanceID
	}
	if k.Group == "" || !validName(k.Group) || !validName(instance) || !validName(k.ProtocolType) {
		return refuse(kerr.InvalidGroupID)
	}
	names := make(map[string]struct{}, len(k.Protocols))
	for _, p := range k.Protocols {
		names[p.Name] = struct{}{}
		if !validName(p.Name) {
			return refuse(kerr.InconsistentGroupProtocol)
		}
	}
	if len(names) != len(k.Protocols) || len(names) == 0 || len(names) > maxProtocols {
		return refuse(kerr.InconsistentGroupProtocol)
	}
	if !g.knowsGroup(k.Group) {
		return refuse(kerr.PolicyViolation)
	}
	if k.MemberID == "" && !g.admission.member.take() {
		g.log("a consumer group member must wait: too many join at once", "group", k.Group)
		return refuse(kerr.CoordinatorLoadInProgress)
	}
	if wait := int32(rebalanceLimit / time.Millisecond); k.RebalanceTimeoutMillis < 0 || k.RebalanceTimeoutMillis > wait {
		k.RebalanceTimeoutMillis = wait
		r.encode(k)
	}
	return verdict{}, nil
}

func (g *guard) checkCommit(r *request, k *kmsg.OffsetCommitRequest) (verdict, error) {
	code := (*kerr.Error)(nil)
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
	case !validName(k.Group) || !validName(k.MemberID):
		code = kerr.InvalidGroupID
	case code == nil && n > 0 && !g.knowsGroup(k.Group):
		code = kerr.PolicyViolation
	}
	if code == nil {
		return verdict{}, nil
	}
	resp := k.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, t := range k.Topics {
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetCommitResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return verdict{answer: r.answer(resp)}, nil
}
