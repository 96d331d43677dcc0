package rating

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/page"
)

// Bounds of requests.
const (
	defaultPage  = 50
	maxPage      = 200
	maxBatch     = 200
	maxChartPage = 5000
	maxTieSlack  = 5000
	defaultAudit = 1000
	// A page of an audit ends with the record that brings it to maxDifferences: there are at most 11 more.
	maxDifferences = 5000
	maxPartitions  = 10_000
	maxDeadAtOnce  = 200

	defaultSummaries = 1000
	maxSummaries     = 5000
	defaultExport    = 1000
	maxExport        = 10_000
)

// readPage reads the size of a page, and into place where it begins; without a token place stays as it is.
func readPage(req interface {
	GetPageSize() int32
	GetPageToken() string
}, query string, standard, most int32, place any,
) (size int, err error) {
	if size, err = page.Size(req.GetPageSize(), standard, most); err == nil && req.GetPageToken() != "" {
		err = page.Decode(req.GetPageToken(), query, place)
	}
	return size, err
}

// cutPage cuts rows to size, and returns the token of the next page if that leaves any; place is where that begins.
func cutPage[T any](rows []T, size int, query string, place func(last T) any) (cut []T, next string) {
	if len(rows) <= size {
		return rows, ""
	}
	return rows[:size], page.Encode(query, place(rows[size-1]))
}

// recordOf returns the record that a request is about.
func recordOf(req interface {
	GetRecordType() string
	GetRecordId() string
},
) Record {
	return Record{Type: req.GetRecordType(), ID: req.GetRecordId()}
}

// keyOf returns the rating that a request is about.
func keyOf(req interface {
	GetRecordType() string
	GetRecordId() string
	GetUserId() string
},
) Key {
	return Key{Record: recordOf(req), User: req.GetUserId()}
}

func toProto(r Rating) *ratingv1.Rating {
	return &ratingv1.Rating{
		RecordType: r.Type, RecordId: r.ID, UserId: r.User, Value: int32(r.Value), RatedAt: timestamppb.New(r.At.Time()),
	}
}

func toProtos(rows []Rating) []*ratingv1.Rating {
	out := make([]*ratingv1.Rating, len(rows))
	for i, r := range rows {
		out[i] = toProto(r)
	}
	return out
}

func toSummaries(found summaryList) []*ratingv1.RatingSummary {
	asOf := timestamppb.New(found.asOf)
	out := make([]*ratingv1.RatingSummary, len(found.records))
	for i := range found.records {
		d := &found.records[i]
		out[i] = toSummary(d.Record, &d.Aggregate, found.prior, asOf)
	}
	return out
}

func toSummary(rec Record, a *Aggregate, prior Prior, asOf *timestamppb.Timestamp) *ratingv1.RatingSummary {
	out := &ratingv1.RatingSummary{
		RecordType: rec.Type, RecordId: rec.ID, Mean: a.Mean(), Votes: clamp32(a.Votes), Weighted: prior.Weighted(*a),
		Histogram: make([]int32, Highest), AsOfTime: asOf,
	}
	for i, n := range a.Counts {
		out.Histogram[i] = clamp32(n)
	}
	return out
}

// clamp32 narrows a counter to the wire's 32 bits, which JSON shows as a number; 64 bits would be a string.
func clamp32(n int64) int32 { return int32(min(n, 1<<31-1)) }

// uniqueIDs checks a list of ids and removes repetitions, order kept.
func uniqueIDs(field string, ids []string, most int) ([]string, error) {
	if len(ids) == 0 || len(ids) > most {
		return nil, fault.Invalid(field, "must have 1 to %d ids, got %d", most, len(ids))
	}
	seen := make(map[string]bool, len(ids))
	out := make([]string, 0, len(ids))
	for i, id := range ids {
		if err := fault.ID(fmt.Sprintf("%s[%d]", field, i), id); err != nil {
			return nil, err
		}
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out, nil
}

// timestamp is nil for an unknown time.
func timestamp(m Micros) *timestamppb.Timestamp {
	if m == 0 {
		return nil
	}
	return timestamppb.New(m.Time())
}

// recordTimestamp is a dead letter's record time for the wire, which has no times outside the years 1 to 9999; the letter's reason
// names those.
func recordTimestamp(m Micros) *timestamppb.Timestamp {
	if t := m.Time(); t.Year() < 1 || t.Year() > 9999 {
		return nil
	}
	return timestamp(m)
}

// reason is an error's text for the user.
func reason(err error) string {
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		return f.Message()
	}
	return err.Error()
}
