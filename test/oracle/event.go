package oracle

import (
	"encoding/json"
	"time"
)

// Key names one user's rating of one record.
type Key struct{ RecordType, RecordID, UserID string }

// Record is that of which the rating is.
func (k Key) Record() Record { return Record{k.RecordType, k.RecordID} }

// Record names what is rated.
type Record struct{ Type, ID string }

// Row is the state of a rating.
type Row struct {
	Value int   // from 1 to 10; 0 where it was taken back
	At    int64 // the version, in microseconds since 1970
}

// Event is the JSON form of a rating event, by hand: a test does not trust the code that it tests.
type Event struct {
	UserID     string `json:"userId"`
	RecordID   string `json:"recordId"`
	RecordType string `json:"recordType"`
	Value      int    `json:"value,omitempty"`
	ProviderID string `json:"providerId"`
	EventType  string `json:"eventType,omitempty"`
	RatedAt    string `json:"ratedAt,omitempty"`
}

// JSON is the event as a record's value.
func (e Event) JSON() []byte {
	value, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return value
}

// Meaning decodes a good event. sent is the record's timestamp, the version of an event that says no time.
func Meaning(value []byte, sent time.Time) (Key, Row, error) {
	var e Event
	if err := json.Unmarshal(value, &e); err != nil {
		return Key{}, Row{}, err
	}
	at := sent
	if e.RatedAt != "" {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, e.RatedAt); err != nil {
			return Key{}, Row{}, err
		}
	}
	r := Row{Value: e.Value, At: at.UnixMicro()}
	if e.EventType == "delete" {
		r.Value = 0
	}
	return Key{e.RecordType, e.RecordID, e.UserID}, r, nil
}
