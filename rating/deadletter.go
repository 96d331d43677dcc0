package rating

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// deadLetter is an event that could not be applied, whole.
type deadLetter struct {
	partition
	Offset      int64
	Class       string // stable, for machines: "value-out-of-range"
	Reason      string // for a person
	RecordKey   []byte
	Payload     []byte
	ContentType string
	RecordTime  Micros // the Kafka record's timestamp, see letterTime; 0 where it had none
	Created     Micros // when it was written
}

// id is the record's place in the log, in a form that sorts as the log does.
func (d *deadLetter) id() string {
	return fmt.Sprintf("%s-%05d-%019d", d.TopicID, d.Number, d.Offset)
}

// reduced is the letter without anything that the sender chose, for a database that refuses the whole letter: the class says what was
// wrong with the event, the reason what is missing and why.
func (d deadLetter) reduced(cause error) deadLetter {
	reason := fmt.Sprintf("The database refused this dead letter with its key of %d and its payload of %d bytes (%v). The event is in Kafka as long as the topic keeps it.",
		len(d.RecordKey), len(d.Payload), cause)
	// Plain ASCII: the reason itself may be refused.
	d.Reason = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, reason)
	d.RecordKey, d.Payload, d.ContentType, d.RecordTime = nil, nil, "", 0
	return d
}

// size is the letter's size in bytes for the bound: key and payload, and the rest of the row.
func (d *deadLetter) size() int64 { return int64(len(d.RecordKey)+len(d.Payload)) + letterOverhead }

// letterOverhead estimates the rest of a dead letter's row in bytes: place, class, reason, two indexes.
const letterOverhead = 512

// classStoreRefused is the class of a valid event that the database refused. The other classes are those of api/events.
const classStoreRefused = "store-refused"

// classUndecodable is the class of an undecodable batch of records. Its dead letter has the offset of the first record, and the whole
// batch as payload.
const classUndecodable = "undecodable-batch"

// letterTime converts a record's timestamp in milliseconds: exactly, to 0 if there is none, or to the nearest possible value, which is
// out of range too.
func letterTime(millis int64) Micros {
	const most = math.MaxInt64 / 1000
	if millis == -1 {
		return 0
	}
	return Micros(min(max(millis, -most), most) * 1000)
}

// millisOf reverses letterTime.
func millisOf(m Micros) int64 {
	if m == 0 {
		return -1
	}
	return int64(m) / 1000
}

// deadPlace is a place in the list of dead letters: the letter before it.
type deadPlace struct {
	Created Micros `json:"c"`
	ID      string `json:"i"`
}

var errNoDeadLetter = errors.New("there is no dead letter with this id; it may have been replayed or dropped")
