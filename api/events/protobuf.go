package events

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// decodeProtobuf reads a movieexample.rating.v1.RatingEvent. Unknown fields are
// ignored; a missing value is 0 and so out of range for a put.
func decodeProtobuf(value []byte) (Event, error) {
	var m ratingv1.RatingEvent
	if err := proto.Unmarshal(value, &m); err != nil {
		return Event{}, refuse(classNotProtobuf, "event", "must be a Protobuf message movieexample.rating.v1.RatingEvent, as its content-type says: %v", err)
	}
	e := Event{
		UserID: m.GetUserId(), RecordID: m.GetRecordId(), RecordType: m.GetRecordType(),
		Value: int(m.GetValue()), ProviderID: m.GetProviderId(),
	}
	switch t := m.GetEventType(); t {
	case ratingv1.EventType_EVENT_TYPE_UNSPECIFIED, ratingv1.EventType_EVENT_TYPE_PUT:
	case ratingv1.EventType_EVENT_TYPE_DELETE:
		e.Type, e.Value = Delete, 0
	default:
		return Event{}, refuse(classEventType, "event_type", "must be EVENT_TYPE_PUT (1), EVENT_TYPE_DELETE (2) or unset, got %d", int32(t))
	}
	if ts := m.GetRatedAt(); ts != nil {
		if err := ts.CheckValid(); err != nil {
			return Event{}, refuse(classTime, "rated_at", "must be a valid timestamp: %v", err)
		}
		e.RatedAt = ts.AsTime().Truncate(time.Microsecond)
		if e.RatedAt.Before(epoch()) { // also keeps the zero time, which means "none", out
			return Event{}, refuse(classTimeRange, "rated_at", "must be in the years 1970 to 9999, got %s", e.RatedAt.Format(time.RFC3339))
		}
	}
	if err := e.Validate(); err != nil {
		return Event{}, err
	}
	return e, nil
}

// Protobuf returns the event as the value of a Kafka record with content-type
// [ContentTypeProtobuf], or Validate's error.
func (e *Event) Protobuf() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	m := ratingv1.RatingEvent{
		UserId: e.UserID, RecordId: e.RecordID, RecordType: e.RecordType, ProviderId: e.ProviderID,
		EventType: ratingv1.EventType_EVENT_TYPE_PUT,
	}
	if e.Type == Delete {
		m.EventType = ratingv1.EventType_EVENT_TYPE_DELETE
	} else {
		m.Value = int32(e.Value)
	}
	if !e.RatedAt.IsZero() {
		m.RatedAt = timestamppb.New(e.RatedAt.Truncate(time.Microsecond))
	}
	return proto.Marshal(&m)
}
