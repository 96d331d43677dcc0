package rating

import (
	"cmp"
	"fmt"
)

// partition is one partition of one topic. The topic's id is part of its identity: a topic that was deleted and created again under
// the same name has other records at the same offsets.
type partition struct {
	Topic   string
	TopicID string // 32 hexadecimal digits
	Number  int32
}

func (p partition) String() string { return fmt.Sprintf("%s[%d]", p.Topic, p.Number) }

// ingestOffset is what the database has of a partition.
type ingestOffset struct {
	partition
	next   int64
	halted string // the halt reason; empty if the partition is not halted
	// moved is when an operator moved the partition, until its owner has resumed there; 0 otherwise.
	moved Micros
}

func (o ingestOffset) compare(b ingestOffset) int {
	return cmp.Or(cmp.Compare(o.Topic, b.Topic), cmp.Compare(o.TopicID, b.TopicID), cmp.Compare(o.Number, b.Number))
}

// halt is why an owned partition is halted.
type halt struct {
	reason string
	// lasting: only an operator ends the halt; otherwise it ends with its cause.
	lasting bool
	// known: the partition was ingested before under this topic id.
	known bool
	// recorded: the database has the halt.
	recorded bool
}

// resumption moves a partition at an operator's request.
type resumption struct {
	partition
	// known: the database has the partition, at from; otherwise it must still be unknown.
	known    bool
	from, to int64
	// partitions is how many the topic has.
	partitions int
}
