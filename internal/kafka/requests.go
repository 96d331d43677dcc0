package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kinds of requests that the guard treats in a special way.
const (
	kindProduce     = int16(kmsg.Produce)
	kindAPIVersions = int16(kmsg.ApiVersions)
)

// rule says which requests of one kind are served.
type rule struct {
	// min and max are the versions: from the oldest that Apache Kafka 4 serves, to the newest that the library serves
	// without the trouble that a comment names.
	min, max int16
	// limit is the size of a request in bytes; that of Produce is in Limits.
	limit int64
	// cost is how many bytes of memory a byte of a request may take when it is decoded.
	cost int64
}

// ruleOf lists what is served: what the clients of this system and the common ones (franz-go, the Java client and its
// tools, librdkafka, kafka-python) need to publish, consume and look after topics and groups. The library has more, which
// clients cannot reach: share groups, groups of KIP-848, ACLs, quotas, logins.
func ruleOf(kind int16) (rule, bool) {
	const decoded = 64 // a topic of two bytes becomes a structure of more than 50
	small := func(lo, hi int16) (rule, bool) { return rule{lo, hi, smallRequest, decoded}, true }
	large := func(lo, hi int16) (rule, bool) { return rule{lo, hi, largeRequest, decoded}, true }
	switch kmsg.Key(kind) {
	case kmsg.Produce:
		return rule{3, 12, 0, 2}, true // 13 names topics by id: two unknown ones make the library panic
	case kmsg.Fetch:
		return large(4, 18)
	case kmsg.ListOffsets:
		return large(1, 10)
	case kmsg.Metadata:
		return small(0, 13)
	case kmsg.OffsetCommit:
		return large(2, 9)
	case kmsg.OffsetFetch:
		return large(1, 9)
	case kmsg.FindCoordinator:
		return small(0, 5)
	case kmsg.JoinGroup:
		return rule{2, 9, 256 << 10, decoded}, true
	case kmsg.Heartbeat:
		return small(0, 4)
	case kmsg.LeaveGroup:
		return small(0, 5)
	case kmsg.SyncGroup:
		return rule{0, 5, largeRequest, 8}, true
	case kmsg.DescribeGroups:
		return small(0, 5)
	case kmsg.ListGroups:
		return small(0, 4)
	case kmsg.ApiVersions:
		return small(0, 4)
	case kmsg.CreateTopics:
		return small(2, 4) // from 5 the library answers null for the settings of a topic, on which the Java client fails
	case kmsg.DeleteTopics:
		return small(1, 6)
	case kmsg.DeleteRecords:
		return large(0, 2)
	case kmsg.InitProducerID:
		return small(0, 5)
	case kmsg.AddPartitionsToTxn:
		return large(0, 3) // 4 is for brokers
	case kmsg.AddOffsetsToTxn:
		return small(0, 4)
	case kmsg.EndTxn:
		return small(0, 5)
	case kmsg.TxnOffsetCommit:
		return large(0, 5)
	case kmsg.OffsetForLeaderEpoch:
		return large(3, 4)
	case kmsg.DescribeConfigs:
		return small(1, 4)
	case kmsg.CreatePartitions:
		return small(0, 3)
	case kmsg.DeleteGroups:
		return small(0, 2)
	case kmsg.IncrementalAlterConfigs:
		return small(0, 1)
	case kmsg.OffsetDelete:
		return large(0, 0)
	case kmsg.DescribeCluster:
		return small(0, 1)
	}
	return rule{}, false
}

// isKafka reports whether Kafka has a request of that kind and version.
func isKafka(kind, version int16) bool {
	return kind >= 0 && version >= 0 && kmsg.RequestForKey(kind) != nil
}

func kindName(kind int16) string { return kmsg.NameForKey(kind) }

// request is one request as received.
type request struct {
	kind, version int16
	correlation   int32
	frame         []byte // all of it, with its size
	body          int    // where in frame the head ends
}

const maxClientID = 1024 // bytes; it becomes part of member ids

var errMalformed = errors.New("it ends too early, or a length in it is wrong")

// readHead finds the end of the head: kind, version, correlation, client id and, in newer versions, tags.
func (r *request) readHead() error {
	b := kbin.Reader{Src: r.frame[12:]}
	id := b.UnsafeNullableString()
	k := kmsg.RequestForKey(r.kind)
	k.SetVersion(r.version)
	if k.IsFlexible() {
		kmsg.SkipTags(&b)
	}
	if !b.Ok() || id != nil && (len(*id) > maxClientID || !utf8.ValidString(*id)) {
		return errMalformed
	}
	r.body = len(r.frame) - len(b.Src)
	return nil
}

// decode reads the body.
func (r *request) decode() (kmsg.Request, error) {
	k := kmsg.RequestForKey(r.kind)
	k.SetVersion(r.version)
	return k, k.ReadFrom(r.frame[r.body:])
}

// encode makes the frame that of k, with the head that it had.
func (r *request) encode(k kmsg.Request) {
	r.frame = k.AppendTo(r.frame[:r.body:r.body])
	binary.BigEndian.PutUint32(r.frame, uint32(len(r.frame)-4))
}

// answer is the frame of a response to the request.
func (r *request) answer(k kmsg.Response) []byte {
	b := make([]byte, 8, 256)
	if k.IsFlexible() && k.Key() != kindAPIVersions {
		b = append(b, 0) // no tags
	}
	b = k.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	binary.BigEndian.PutUint32(b[4:], uint32(r.correlation))
	return b
}

// verdict is the decision on a request after which the connection stays open.
type verdict struct {
	answer []byte                              // the guard's own; nil: the library answers
	amend  func(answer []byte) ([]byte, error) // see handed
	after  func()
	silent bool // the library does not answer
}

// apiVersions lists the requests that are served. The library would list more.
func apiVersions(r *request, rule rule) ([]byte, error) {
	resp := kmsg.NewPtrApiVersionsResponse()
	if r.version > rule.max { // KIP-511: answered in version 0, so that the client can ask again
		resp.ErrorCode = kerr.UnsupportedVersion.Code
		resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: kindAPIVersions, MinVersion: rule.min, MaxVersion: rule.max}}
		return r.answer(resp), nil
	}
	k, err := r.decode()
	if err != nil {
		return nil, err
	}
	resp.Version = k.GetVersion()
	for kind := range int16(kmsg.MaxKey + 1) {
		if of, ok := ruleOf(kind); ok {
			key := kmsg.NewApiVersionsResponseApiKey()
			key.ApiKey, key.MinVersion, key.MaxVersion = kind, of.min, of.max
			resp.ApiKeys = append(resp.ApiKeys, key)
		}
	}
	return r.answer(resp), nil
}

func few(what string, n int) error {
	if n > maxEntries {
		return fmt.Errorf("it names %d %s; at most %d are allowed", n, what, maxEntries)
	}
	return nil
}

func fewWrites(what string, n int) error {
	if n > maxWrites {
		return fmt.Errorf("it writes for %d %s; at most %d are allowed", n, what, maxWrites)
	}
	return nil
}

// each checks that no name occurs twice: the library answers each occurrence, and an answer can be thousands of times as long.
func each[T any](what string, list []T, name func(T) string) error {
	if err := few(what+"s", len(list)); err != nil {
		return err
	}
	seen := make(map[string]struct{}, len(list))
	for _, e := range list {
		n := name(e)
		if _, ok := seen[n]; ok {
			return fmt.Errorf("it names a %s twice", what)
		}
		seen[n] = struct{}{}
	}
	return nil
}

func validName(s string) bool { return len(s) <= maxName && utf8.ValidString(s) }

// validComment reports whether an offset may have the comment.
func validComment(s *string) bool {
	return s == nil || len(*s) <= maxOffsetComment && utf8.ValidString(*s)
}

// Bounds of the content of requests.
const (
	maxEntries       = 10_000 // of lists in a request: partitions, members, groups
	maxWrites        = 1000   // of those for each of which the library waits for the disk, with all others behind it
	maxTimeLookups   = 100    // partitions in which a request looks for a time: for each one a batch is decompressed
	maxName          = 249    // bytes of a group, a member or an instance id; Kafka's bound for topics
	maxProtocols     = 32     // of a member of a group
	maxOffsetComment = 4096   // Kafka's offset.metadata.max.bytes
)

// total sums up the sizes of the elements of a list.
func total[T any](list []T, size func(T) int) (n int) {
	for _, e := range list {
		n += size(e)
	}
	return n
}
