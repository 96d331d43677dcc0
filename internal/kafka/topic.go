package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"movieexample.com/internal/fault"
)

// TopicConfig describes a topic. Retention is always set on the topic, because a
// broker's default may delete data unexpectedly.
type TopicConfig struct {
	// Name of the topic. Required.
	Name string
	// Partitions is the number of partitions; default 1. It is fixed when the topic is created.
	Partitions int32
	// Replication is the number of copies; default: the broker's default.
	Replication int16
	// MinInSync is how many replicas must have a record before it is acknowledged (min.insync.replicas); default: the
	// broker's default. One less than Replication lets one broker fail without a stop.
	MinInSync int16
	// Retention is how long a record is kept, counted from the record's own
	// timestamp; default: forever. A limit is dangerous on a topic whose
	// records carry old timestamps: an imported event of 1998 is expired on arrival.
	Retention time.Duration
	// RetentionBytes is the size that each partition may reach before its oldest
	// records are dropped; default: no limit. Unlike Retention it never empties a partition.
	RetentionBytes int64
	// Logger gets a warning if an existing topic differs from this. Default: none.
	Logger *slog.Logger
}

// Topic is a topic as the brokers have it.
type Topic struct {
	Name string
	// ID is the topic's identity: a topic that was deleted and recreated under
	// the same name has another one, and its offsets mean other records.
	ID         [16]byte
	Partitions int32
	// Replication is the number of copies that each partition has, at least.
	Replication int16
}

// EnsureTopic creates the topic if it does not exist, and returns it. It is safe
// to call from several processes at once. An existing topic is never altered; where it
// differs from what tc sets, a warning is logged, and the existing settings are kept. A user
// without the right to create topics gets an existing one. ctx bounds the wait for the brokers,
// which is at most 15 s per request.
//
// Errors are faults: Invalid for a name or number that Kafka refuses,
// Unavailable when no broker answers.
func EnsureTopic(ctx context.Context, cl *kgo.Client, tc TopicConfig) (Topic, error) {
	if tc.Logger == nil {
		tc.Logger = slog.New(slog.DiscardHandler)
	}
	tc.Partitions = max(tc.Partitions, 1)
	replication := tc.Replication
	if replication <= 0 {
		replication = -1
	}
	want := topicConfig(tc)
	adm := kadm.NewClient(cl)
	resp, err := adm.CreateTopic(ctx, tc.Partitions, replication, want, tc.Name)
	switch {
	case err == nil:
		tc.Logger.Info("topic created", "topic", tc.Name, "partitions", tc.Partitions, "replication", replication,
			"retention.ms", *want["retention.ms"], "retention.bytes", *want["retention.bytes"])
		return awaitTopic(ctx, cl, tc.Name)
	case errors.Is(err, kerr.TopicAlreadyExists), existsForbidden(ctx, cl, tc.Name, err):
		t, err := awaitTopic(ctx, cl, tc.Name)
		if err != nil {
			return Topic{}, err
		}
		if t.Partitions != tc.Partitions {
			tc.Logger.Warn("topic has another number of partitions than configured; using it as it is",
				"topic", tc.Name, "partitions", t.Partitions, "configured", tc.Partitions)
		}
		if replication > 0 && t.Replication != replication {
			tc.Logger.Warn("topic has another number of replicas than configured; using it as it is",
				"topic", tc.Name, "replication", t.Replication, "configured", replication)
		}
		warnConfig(ctx, adm, tc, want)
		return t, nil
	case isRefusal(err):
		reason := resp.ErrMessage
		if reason == "" {
			reason = err.Error()
		}
		return Topic{}, fault.Invalid("topic", "%q with %d partitions%s is refused by the broker: %s", tc.Name, tc.Partitions, spellReplication(replication), reason)
	default:
		return Topic{}, fmt.Errorf("create topic %q: %w", tc.Name, unreachable(cl, err))
	}
}

// DescribeTopic returns the topic, or a fault of kind NotFound that says what to
// do, or of kind Unavailable when no broker answers.
func DescribeTopic(ctx context.Context, cl *kgo.Client, name string) (Topic, error) {
	t, err := topicMetadata(ctx, cl, name)
	if err != nil {
		return Topic{}, fmt.Errorf("look up topic %q: %w", name, unreachable(cl, err))
	}
	switch err := kerr.ErrorForCode(t.ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return Topic{}, fault.NotFound("topic %q does not exist at %s: start the service that owns it, or create it, then try again", name, seeds(cl))
	case isForbidden(err):
		return Topic{}, fmt.Errorf("look up topic %q: %w", name, unreachable(cl, err))
	case err != nil:
		return Topic{}, fault.Unavailable(err, "topic %q at %s is currently not usable", name, seeds(cl))
	}
	return topicOf(name, t), nil
}

// topicMetadata asks a broker for one topic. The functions of kadm answer from the client's cache, which may be as old as its
// MetadataMinAge: a topic that was recreated would have its former id.
func topicMetadata(ctx context.Context, cl *kgo.Client, name string) (kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return kmsg.MetadataResponseTopic{}, err
	}
	if len(resp.Topics) != 1 {
		return kmsg.MetadataResponseTopic{}, fmt.Errorf("the broker answered with %d topics, want 1", len(resp.Topics))
	}
	return resp.Topics[0], nil
}

func topicOf(name string, d kmsg.MetadataResponseTopic) Topic {
	t := Topic{Name: name, ID: d.TopicID, Partitions: int32(len(d.Partitions))}
	for _, p := range d.Partitions {
		if n := int16(len(p.Replicas)); t.Replication == 0 || n < t.Replication {
			t.Replication = n
		}
	}
	return t
}

// HexID is the topic's identity as text: 32 hexadecimal digits.
func (t Topic) HexID() string { return hex.EncodeToString(t.ID[:]) }

// awaitTopic waits until the topic that exists is in the metadata with a leader
// for every partition: the brokers of a cluster learn about a new topic one after the other.
func awaitTopic(ctx context.Context, cl *kgo.Client, name string) (Topic, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		t, err := topicMetadata(ctx, cl, name)
		if err == nil {
			err = kerr.ErrorForCode(t.ErrorCode)
		}
		if err == nil && len(t.Partitions) > 0 && led(t) {
			return topicOf(name, t), nil
		}
		select {
		case <-ctx.Done():
			return Topic{}, fault.Unavailable(err, "topic %q at %s has no leader for every partition yet: try again", name, seeds(cl))
		case <-tick.C:
		}
	}
}

func led(t kmsg.MetadataResponseTopic) bool {
	for _, p := range t.Partitions {
		if p.ErrorCode != 0 || p.Leader < 0 {
			return false
		}
	}
	return true
}

// topicConfig spells both limits of retention out; -1 is Kafka's word for no limit.
func topicConfig(tc TopicConfig) map[string]*string {
	ms, size := "-1", "-1"
	if tc.Retention > 0 {
		ms = strconv.FormatInt(tc.Retention.Milliseconds(), 10)
	}
	if tc.RetentionBytes > 0 {
		size = strconv.FormatInt(tc.RetentionBytes, 10)
	}
	want := map[string]*string{"retention.ms": &ms, "retention.bytes": &size}
	if tc.MinInSync > 0 {
		least := strconv.Itoa(int(tc.MinInSync))
		want[minInSync] = &least
	}
	return want
}

const minInSync = "min.insync.replicas"

func spellReplication(n int16) string {
	if n < 0 {
		return ""
	}
	return fmt.Sprintf(" and %d replicas", n)
}

// warnConfig compares and changes nothing: a topic that differs was changed on purpose.
func warnConfig(ctx context.Context, adm *kadm.Client, tc TopicConfig, want map[string]*string) {
	got, err := adm.DescribeTopicConfigs(ctx, tc.Name)
	if ctx.Err() != nil {
		return // the program is stopping
	}
	if err != nil {
		tc.Logger.Warn("cannot compare the topic's settings with the configured ones", "topic", tc.Name, "error", err)
		return
	}
	for _, rc := range got {
		for _, c := range rc.Configs {
			w, ok := want[c.Key]
			if !ok || c.MaybeValue() == *w {
				continue
			}
			if c.Key == minInSync {
				tc.Logger.Warn("topic has another min.insync.replicas than configured; using it as it is",
					"topic", tc.Name, "setting", c.Key, "value", c.MaybeValue(), "configured", *w)
				continue
			}
			keeps, setting, value := spellRetention(c.Key, c.MaybeValue())
			tc.Logger.Warn(fmt.Sprintf("the topic keeps %s, which differs from the configuration: to change the topic, alter its %s; to keep it, set %s to %s",
				keeps, c.Key, setting, value),
				"topic", tc.Name, "setting", c.Key, "value", c.MaybeValue(), "configured", *w)
		}
	}
}

// spellRetention says what a value of a topic's configuration means, and which
// setting of its owner, see [TopicConfig], would be the same.
func spellRetention(key, value string) (keeps, setting, same string) {
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case key == "retention.ms" && err == nil && n > 0 && n <= math.MaxInt64/int64(time.Millisecond):
		d := time.Duration(n) * time.Millisecond
		return fmt.Sprintf("records for %s", d), "retention", d.String()
	case key == "retention.ms":
		return "records of any age", "retention", "0"
	case err == nil && n > 0:
		return fmt.Sprintf("at most %d bytes in each partition", n), "retention_bytes", value
	}
	return "records without limit of size", "retention_bytes", "0"
}

// isRefusal reports whether a broker refused the request, as opposed to not answering.
func isRefusal(err error) bool {
	var ke *kerr.Error
	return errors.As(err, &ke) && !ke.Retriable && !isRefusedLogin(err) && !isForbidden(err)
}

// existsForbidden reports whether err is that this user may not create topics, and the topic exists: another user has
// created it, which is common with an authorizer. Kafka checks the permission first.
func existsForbidden(ctx context.Context, cl *kgo.Client, name string, err error) bool {
	if !isForbidden(err) {
		return false
	}
	_, err = DescribeTopic(ctx, cl, name)
	return err == nil
}
