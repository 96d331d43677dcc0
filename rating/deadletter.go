package rating

import (
	"errors"
	"fmt"
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
	RecordTime  Micros // the Kafka record's timestamp; 0 where it had none
	Created     Micros // when it was buried
}

// id is the record's place in the log, in a form that sorts as the log does.
func (d *deadLetter) id() string {
	return fmt.Sprintf("%s-%05d-%019d", d.TopicID, d.Number, d.Offset)
}

// classStoreRefused is the class of an event that was good by the contract, and that the database would not take. The
// other classes are of api/events.
const classStoreRefused = "store-refused"

// deadPlace is a place in the list of dead letters: the last one before it.
type deadPlace struct {
	Created Micros `json:"c"`
	ID      string `json:"i"`
}

var errNoDeadLetter = errors.New("there is no dead letter with this id; it may have been replayed or dropped")
