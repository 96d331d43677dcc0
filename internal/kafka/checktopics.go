package kafka

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// count returns the topics and the number of their partitions. The caller holds g.topics.
func (g *guard) count() (map[string]int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), stuckAfter)
	defer cancel()
	k := kmsg.NewPtrMetadataRequest()
	k.Version = 9
	resp, err := g.inside.ask(ctx, k)
	if err != nil {
		return nil, err
	}
	topics := make(map[string]int)
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		if t.Topic != nil {
			topics[*t.Topic] = len(t.Partitions)
		}
	}
	return topics, nil
}

// refusal is Kafka's error code with a message.
type refusal struct {
	code *kerr.Error
	text string
}

func refused(code *kerr.Error, format string, args ...any) *refusal {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// refuseAll refuses every part of a request if any part is refused: a request is carried out completely or not. It returns false
// if nothing is refused.
func refuseAll(why []*refusal, rest string) bool {
	if !slices.ContainsFunc(why, func(r *refusal) bool { return r != nil }) {
		return false
	}
	for i := range why {
		if why[i] == nil {
			why[i] = refused(kerr.InvalidRequest, "%s", rest)
		}
	}
	return true
}

// checkCreateTopics makes the broker refuse names that Apache Kafka refuses (the library makes a directory of any name, so
// that a topic called "../x" would be outside the data directory), settings that it does not have, and more topics than
// Limits allow. If one topic of a request is refused, none is created.
func (g *guard) checkCreateTopics(r *request, k *kmsg.CreateTopicsRequest) verdict {
	g.topics <- struct{}{}
	release := func() { <-g.topics }
	why := make([]*refusal, len(k.Topics))
	there, err := g.count()
	for i, t := range k.Topics {
		switch {
		case err != nil:
			why[i] = refused(kerr.CoordinatorNotAvailable, "the broker does not answer: try again")
		default:
			why[i] = g.checkTopic(&t, there)
		}
		if why[i] == nil {
			there[t.Topic] = max(int(t.NumPartitions), 1)
		}
	}
	if !refuseAll(why, "nothing is created because another topic of the same request is refused") {
		return verdict{after: release}
	}
	resp := k.ResponseKind().(*kmsg.CreateTopicsResponse)
	for i, t := range k.Topics {
		rt := kmsg.NewCreateTopicsResponseTopic()
		rt.Topic = t.Topic
		rt.ErrorCode, rt.ErrorMessage = why[i].code.Code, &why[i].text
		resp.Topics = append(resp.Topics, rt)
	}
	return verdict{answer: r.answer(resp), after: release}
}

func (g *guard) checkTopic(t *kmsg.CreateTopicsRequestTopic, there map[string]int) *refusal {
	if !validTopic(t.Topic) {
		return refused(kerr.InvalidTopicException, `a topic name must be 1 to 249 of a-z, A-Z, 0-9, ".", "_" and "-", and not "." or ".."`)
	}
	if _, ok := there[t.Topic]; ok {
		return refused(kerr.TopicAlreadyExists, "there is a topic %q", t.Topic)
	}
	if len(there) >= g.limits.Topics {
		return refused(kerr.PolicyViolation, "this broker has %d topics, and may not have more", g.limits.Topics)
	}
	if len(t.ReplicaAssignment) > 0 {
		return refused(kerr.InvalidReplicaAssignment, "this broker is the only one: leave the assignment of replicas to it")
	}
	if t.NumPartitions != -1 && t.NumPartitions < 1 {
		return refused(kerr.InvalidPartitions, "a topic must have a partition at least, got %d", t.NumPartitions)
	}
	if t.ReplicationFactor != -1 && t.ReplicationFactor != 1 {
		return refused(kerr.InvalidReplicationFactor, "this broker is the only one: the replication factor must be 1 or -1 (its default), got %d", t.ReplicationFactor)
	}
	for _, c := range t.Configs {
		if why := checkTopicSetting(c.Name, c.Value); why != nil {
			return why
		}
	}
	return g.checkPartitions(int(t.NumPartitions), there)
}

// checkPartitions checks whether that many more partitions are allowed, in a topic that would have n.
func (g *guard) checkPartitions(n int, there map[string]int) *refusal {
	if n > g.limits.TopicPartitions {
		return refused(kerr.InvalidPartitions, "a topic may have at most %d partitions, got %d", g.limits.TopicPartitions, n)
	}
	all := max(n, 1)
	for _, p := range there {
		all += p
	}
	if all > g.limits.Partitions {
		return refused(kerr.PolicyViolation, "this broker may have at most %d partitions in all, and would have %d", g.limits.Partitions, all)
	}
	return nil
}

func (g *guard) checkCreatePartitions(r *request, k *kmsg.CreatePartitionsRequest) verdict {
	g.topics <- struct{}{}
	release := func() { <-g.topics }
	there, err := g.count()
	why := make([]*refusal, len(k.Topics))
	for i, t := range k.Topics {
		had, ok := there[t.Topic]
		switch {
		case err != nil:
			why[i] = refused(kerr.CoordinatorNotAvailable, "the broker does not answer: try again")
		case !ok:
			why[i] = refused(kerr.UnknownTopicOrPartition, "there is no topic of that name")
		case int(t.Count) <= had:
			why[i] = refused(kerr.InvalidPartitions, "the topic has %d partitions already; partitions cannot be taken away", had)
		case len(t.Assignment) > 0:
			why[i] = refused(kerr.InvalidReplicaAssignment, "this broker is the only one: leave the assignment of replicas to it")
		default:
			delete(there, t.Topic)
			if why[i] = g.checkPartitions(int(t.Count), there); why[i] == nil {
				had = int(t.Count)
			}
			there[t.Topic] = had
		}
	}
	if !refuseAll(why, "nothing is changed because another topic of the same request is refused") {
		return verdict{after: release}
	}
	resp := k.ResponseKind().(*kmsg.CreatePartitionsResponse)
	for i, t := range k.Topics {
		rt := kmsg.NewCreatePartitionsResponseTopic()
		rt.Topic = t.Topic
		rt.ErrorCode, rt.ErrorMessage = why[i].code.Code, &why[i].text
		resp.Topics = append(resp.Topics, rt)
	}
	return verdict{answer: r.answer(resp), after: release}
}

// checkAlterConfigs allows changes of the topic settings that checkTopicSetting knows, and none of broker settings.
func checkAlterConfigs(r *request, k *kmsg.IncrementalAlterConfigsRequest) verdict {
	why := make([]*refusal, len(k.Resources))
	for i, rr := range k.Resources {
		switch {
		case rr.ResourceType != kmsg.ConfigResourceTypeTopic:
			why[i] = refused(kerr.InvalidConfig, "only settings of topics can be changed")
		default:
			for _, c := range rr.Configs {
				switch c.Op {
				case kmsg.IncrementalAlterConfigOpSet:
					why[i] = checkTopicSetting(c.Name, c.Value)
				case kmsg.IncrementalAlterConfigOpDelete:
					if !slices.Contains(topicSettings(), c.Name) {
						why[i] = unknownSetting(c.Name)
					}
				default:
					why[i] = refused(kerr.InvalidConfig, "%s is no list: it can be set or deleted", c.Name)
				}
				if why[i] != nil {
					break
				}
			}
		}
	}
	if !refuseAll(why, "nothing is changed because another part of the same request is refused") {
		return verdict{}
	}
	resp := k.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	for i, rr := range k.Resources {
		res := kmsg.NewIncrementalAlterConfigsResponseResource()
		res.ResourceType, res.ResourceName = rr.ResourceType, rr.ResourceName
		res.ErrorCode, res.ErrorMessage = why[i].code.Code, &why[i].text
		resp.Resources = append(resp.Resources, res)
	}
	return verdict{answer: r.answer(resp)}
}

// topicSettings are the settings that a topic may have. Others would have no effect, or a bad one: the library accepts any value
// for any name.
func topicSettings() []string {
	return []string{"retention.ms", "retention.bytes", "segment.bytes", "max.message.bytes", "min.insync.replicas", "cleanup.policy", "compression.type", "message.timestamp.type"}
}

func unknownSetting(name string) *refusal {
	return refused(kerr.InvalidConfig, "this broker has no setting %.100q for topics; it has %s", name, strings.Join(topicSettings(), ", "))
}

func checkTopicSetting(name string, value *string) *refusal {
	got := ""
	if value != nil {
		got = *value
	}
	number := func(least, most int64) *refusal {
		if n, err := strconv.ParseInt(got, 10, 64); err != nil || n < least || n > most {
			return refused(kerr.InvalidConfig, "%s must be a whole number from %d to %d, got %.100q", name, least, most, got)
		}
		return nil
	}
	only := func(want string) *refusal {
		if got != want {
			return refused(kerr.InvalidConfig, "%s must be %s, got %.100q", name, want, got)
		}
		return nil
	}
	switch name {
	case "retention.ms", "retention.bytes":
		return number(-1, 1<<62)
	case "segment.bytes":
		return number(1<<20, 1<<30)
	case "max.message.bytes":
		return number(0, maxBatch)
	case "min.insync.replicas":
		return number(1, 1)
	case "cleanup.policy":
		return only("delete")
	case "compression.type":
		return only("producer")
	case "message.timestamp.type":
		return only("CreateTime")
	}
	return unknownSetting(name)
}

// validTopic is Apache Kafka's rule for topic names (org.apache.kafka.common.internals.Topic).
func validTopic(name string) bool {
	if name == "" || len(name) > 249 || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
