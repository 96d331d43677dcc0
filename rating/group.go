package rating

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"movieexample.com/internal/kafka"
)

// This file binds a consumer group to one database (ADR 020). Two systems with different databases in one group would share the
// partitions, and each would silently miss the other's events. So the name of the group's protocol contains the database's identity:
// brokers refuse a member that has no protocol in common with the others. And the offsets committed for display contain it too, for a
// system that comes while the group is empty.

// groupMark begins the metadata of the offsets that we commit; the database's identity follows.
const groupMark = "movieexample database "

// databaseBalancer is the balancer of a group that belongs to one database.
type databaseBalancer struct {
	kgo.GroupBalancer
	database string
}

// ProtocolName contains the database's identity.
func (b databaseBalancer) ProtocolName() string {
	return b.GroupBalancer.ProtocolName() + " of database " + b.database
}

func newBalancer(database string) databaseBalancer {
	return databaseBalancer{GroupBalancer: kgo.CooperativeStickyBalancer(), database: database}
}

// markOffsets makes commits contain the database's identity.
func markOffsets(ctx context.Context, database string) context.Context {
	mark := groupMark + database
	return kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				req.Topics[i].Partitions[j].Metadata = &mark
			}
		}
		return nil
	})
}

// group is what this process knows of the consumer group. It is safe for concurrent use.
type group struct {
	store *store
	gauge prometheus.Gauge

	mu       sync.Mutex
	database string // ours
	reason   string // why this process must stay out; empty if it need not
	lasting  bool   // until an operator decides
}

// stayOut sets why this process stays out of the group; an empty reason says that it need not.
func (g *group) stayOut(reason string, lasting bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reason, g.lasting = reason, lasting
	g.gauge.Set(0)
	if reason != "" {
		g.gauge.Set(1)
	}
}

// ready returns an error while this process stays out until an operator decides.
func (g *group) ready() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lasting && g.reason != "" {
		return errors.New(g.reason)
	}
	return nil
}

// identity is the identity of our database.
func (g *group) identity(ctx context.Context) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.database == "" {
		id, err := g.store.db.Identity(ctx)
		if err == nil && id == "" {
			err = errors.New("the database has no identity: run 'movieexample migrate up rating'")
		}
		if err != nil {
			return "", err
		}
		g.database = id
	}
	return g.database, nil
}

// errForeignGroup ends the assignment of partitions.
var errForeignGroup = errors.New("the consumer group belongs to another database")

// foreignPrefix begins the halt reasons that end with their cause.
const foreignPrefix = "the consumer group"

// foreignReason says that the group belongs to another database.
func foreignReason(groupName, topic, owner, own string) string {
	return fmt.Sprintf("%s %q belongs to another system: its offsets of topic %q are those of database %s, and this process uses database %s. "+
		"To run both, give this one its own topic (rating.topic), or at least its own group (rating.group); if the other system no longer exists, run "+
		"'movieexample ingestion resume --topic %s --all --from earliest'", foreignPrefix, groupName, topic, owner, own, topic)
}

// refusedReason says that the members of the group refused this process.
func refusedReason(groupName, own string) string {
	return fmt.Sprintf("%s %q has members of another database than %s, or of a release that does not check databases: the brokers refuse this process",
		foreignPrefix, groupName, own)
}

// occupiedReason says why the members of a group would refuse this process, or "".
func occupiedReason(d kadm.DescribedGroup, own string) string {
	if len(d.Members) == 0 || d.Protocol == "" || d.Protocol == newBalancer(own).ProtocolName() {
		return ""
	}
	return fmt.Sprintf("%s %q has members with the protocol %q instead of that of this process's database, %s: they belong to another system, or to a release "+
		"that does not check databases. This process waits until they leave; if they belong to another system, give this one its own topic (rating.topic)",
		foreignPrefix, d.Group, d.Protocol, own)
}

// ownerOf returns the identity of another database than ours whose offsets the group has, or "".
func ownerOf(ctx context.Context, client *kgo.Client, groupName, topic, own string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	offsets, err := kadm.NewClient(client).FetchOffsets(ctx, groupName)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look up the database of consumer group %q: %w", groupName, kafka.Explain(client, err))
	}
	for _, o := range offsets[topic] {
		if id, marked := strings.CutPrefix(o.Metadata, groupMark); marked && o.Err == nil && id != own {
			return id, nil
		}
	}
	return "", nil
}

// describeGroup returns the group's members; a group that does not exist has none.
func describeGroup(ctx context.Context, client *kgo.Client, name string) (kadm.DescribedGroup, error) {
	groups, err := kadm.NewClient(client).DescribeGroups(ctx, name)
	if err == nil {
		err = groups[name].Err
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return kadm.DescribedGroup{}, fmt.Errorf("look up the members of consumer group %q: %w", name, kafka.Explain(client, err))
	}
	return groups[name], nil
}
