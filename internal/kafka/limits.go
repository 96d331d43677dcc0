package kafka

import "time"

// Limits bounds the resources that clients of an embedded broker can occupy. The zero value of a field is its default.
type Limits struct {
	// Connections is how many there may be at once, and PerAddress how many from one IP address. Above that, the connection
	// that has been idle longest is closed; if none is idle, the new one is. Defaults 1,000 and 256.
	Connections, PerAddress int
	// Idle is how long a connection may be open without a request. Default 10 minutes, as Kafka's connections.max.idle.ms.
	Idle time.Duration
	// Request is how long a client may take to send a request that it has begun, and Answer to take an answer; each
	// 4 MiB add a second. Defaults 10 and 30 seconds.
	Request, Answer time.Duration
	// RequestBytes is the memory for the requests of all connections together, and AnswerBytes that for answers that clients
	// have not read yet. Above that, the connection that holds most is closed. Defaults 256 MiB and 128 MiB.
	RequestBytes, AnswerBytes int64
	// ProduceBytes is the size of a Produce request. Default 32 MiB.
	ProduceBytes int64
	// BatchBytes is the size of a decompressed batch of records. Default 16 MiB.
	BatchBytes int
	// Topics, TopicPartitions and Partitions are how many topics there may be, how many partitions one may have, and how
	// many all have together. Defaults 1,000, 1,000 and 10,000.
	Topics, TopicPartitions, Partitions int
	// Groups is how many consumer groups there may be. Default 1,000.
	Groups int
}

const (
	parkedRequest  = 6 * time.Minute  // the longest wait for an answer: a group that rebalances takes 5 at most
	parkedFetch    = 5 * time.Second  // the longest that a fetch waits for records
	rebalanceLimit = 5 * time.Minute  // the longest that a group waits for its members
	fetchBytes     = 4 << 20          // the most that one answer to a fetch carries, but for a single larger batch
	maxBatch       = 1<<20 + 12       // a batch as it is sent: the default of Kafka's max.message.bytes
	smallRequest   = 64 << 10         // requests of the kinds that need no more
	largeRequest   = 1 << 20          // requests that may name each partition
	maxProduce     = 32 << 20         // a Produce request, with a full batch for each of 32 partitions
	maxDecompress  = 32 << 20         // see NewClient
	stuckAfter     = 15 * time.Second // a broker that does not answer itself for so long is ended
)

func (l Limits) withDefaults() Limits {
	orDefault(&l.Connections, 1000)
	orDefault(&l.PerAddress, 256)
	orDefault(&l.Idle, 10*time.Minute)
	orDefault(&l.Request, 10*time.Second)
	orDefault(&l.Answer, 30*time.Second)
	orDefault(&l.RequestBytes, 256<<20)
	orDefault(&l.AnswerBytes, 128<<20)
	orDefault(&l.ProduceBytes, maxProduce)
	orDefault(&l.BatchBytes, 16<<20)
	orDefault(&l.Topics, 1000)
	orDefault(&l.TopicPartitions, 1000)
	orDefault(&l.Partitions, 10_000)
	orDefault(&l.Groups, 1000)
	return l
}

// orDefault sets a value that is not above 0.
func orDefault[T int | int32 | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
