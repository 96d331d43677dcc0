package rating

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/page"
)

// adminServer is movieexample.rating.v1.RatingAdminService.
type adminServer struct {
	ratingv1.UnimplementedRatingAdminServiceServer
	s *Service
}

func (g *adminServer) ListIngestPartitions(ctx context.Context, req *ratingv1.ListIngestPartitionsRequest) (*ratingv1.ListIngestPartitionsResponse, error) {
	list, brokersErr, err := g.s.ingestion(ctx, req.GetAskBrokers())
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ListIngestPartitionsResponse{}
	if others := len(list) - maxPartitions; others > 0 {
		list, resp.OtherPartitions = list[:maxPartitions], int32(others)
	}
	if brokersErr != nil {
		resp.BrokersError = reason(brokersErr)
		if silent := g.s.ingester.gaps.silentFor(); silent > 0 {
			seconds := silent.Seconds()
			resp.BrokersSilentSeconds = &seconds
		}
	}
	for _, o := range list {
		p := &ratingv1.IngestPartition{
			Topic: o.Topic, TopicId: o.TopicID, Partition: o.Number, NextOffset: o.next, Halted: o.halted,
		}
		if k := o.known; k != nil {
			if k.placed && k.ended {
				records := k.records()
				p.EndOffset, p.LagRecords = &k.end, &records
			}
			if k.placed {
				seconds := k.age.Seconds()
				p.LagSeconds = &seconds
			}
			p.Owner = k.owner
			if k.ownerKnown {
				owned := k.owner != ""
				p.Owned = &owned
			}
		}
		resp.Partitions = append(resp.Partitions, p)
	}
	return resp, nil
}

func (g *adminServer) ResumeIngestPartition(ctx context.Context, req *ratingv1.ResumeIngestPartitionRequest) (*ratingv1.ResumeIngestPartitionResponse, error) {
	w := wish{topic: req.GetTopic(), number: req.GetPartition(), offset: req.GetOffset(), dryRun: req.GetValidateOnly(), force: req.GetForce()}
	switch req.GetFrom() {
	case ratingv1.ResumeIngestPartitionRequest_FROM_EARLIEST:
		w.from = fromEarliest
	case ratingv1.ResumeIngestPartitionRequest_FROM_END:
		w.from = fromEnd
	case ratingv1.ResumeIngestPartitionRequest_FROM_OFFSET:
		w.from = fromOffset
	default:
		return nil, fault.Invalid("from", "is required: FROM_EARLIEST, FROM_OFFSET or FROM_END")
	}
	if w.offset != 0 && w.from != fromOffset {
		return nil, fault.Invalid("offset", "belongs to FROM_OFFSET; got %d with %s", w.offset, req.GetFrom())
	}
	e, err := g.s.resume(ctx, w)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ResumeIngestPartitionResponse{
		TopicId: e.TopicID, NewOffset: e.to, SkippedRecords: e.skipped, LostRecords: e.lost, RepeatedRecords: e.repeated,
		GivenUp: e.givenUp, Halted: e.halted, TakenUp: e.takenUp,
	}
	if e.known {
		resp.OldOffset = &e.from
	}
	return resp, nil
}

// auditPlace is where an audit goes on.
type auditPlace struct {
	Type string `json:"t"`
	ID   string `json:"i"`
}

func (g *adminServer) AuditAggregates(ctx context.Context, req *ratingv1.AuditAggregatesRequest) (*ratingv1.AuditAggregatesResponse, error) {
	size, err := page.Size(req.GetPageSize(), defaultAudit, maxAuditPage)
	if err != nil {
		return nil, err
	}
	const query = "audit"
	var place auditPlace
	if t := req.GetPageToken(); t != "" {
		if err := page.Decode(t, query, &place); err != nil {
			return nil, err
		}
	}
	found, next, err := g.s.store.audit(ctx, Record(place), size)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.AuditAggregatesResponse{}
	for i, a := range found {
		if len(resp.GetDifferences()) >= maxDifferences {
			next = &found[i-1].Record // the rest is for the next page
			break
		}
		resp.Checked++
		resp.Ratings += a.recomputed.Votes
		a.differences(func(field string, stored, recomputed int64) {
			resp.Differences = append(resp.Differences, &ratingv1.AuditAggregatesResponse_Difference{
				RecordType: a.Type, RecordId: a.ID, Field: field, Stored: stored, Recomputed: recomputed,
			})
		})
	}
	if next != nil {
		resp.NextPageToken = page.Encode(query, auditPlace(*next))
	}
	return resp, nil
}

// exportPlace is where an export goes on: behind that rating.
type exportPlace struct {
	Type string `json:"t"`
	ID   string `json:"i"`
	User string `json:"u"`
}

func (g *adminServer) ListRatings(ctx context.Context, req *ratingv1.ListRatingsRequest) (*ratingv1.ListRatingsResponse, error) {
	recordType, list := req.GetRecordType(), g.s.store.everyRatingAfter
	if recordType != "" {
		if err := fault.RecordType("record_type", recordType); err != nil {
			return nil, err
		}
		list = g.s.store.ratingsAfter
	}
	size, err := page.Size(req.GetPageSize(), defaultExport, maxExport)
	if err != nil {
		return nil, err
	}
	query := fmt.Sprintf("ratings %q", recordType)
	place := exportPlace{Type: recordType}
	if t := req.GetPageToken(); t != "" {
		if err := page.Decode(t, query, &place); err != nil {
			return nil, err
		}
	}
	rows, err := list(ctx, key(place.Type, place.ID, place.User), size+1)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ListRatingsResponse{}
	if len(rows) > size {
		rows = rows[:size]
		last := rows[size-1]
		resp.NextPageToken = page.Encode(query, exportPlace{Type: last.Type, ID: last.ID, User: last.User})
	}
	resp.Ratings = toProtos(rows)
	return resp, nil
}

func (g *adminServer) ListDeadLetters(ctx context.Context, req *ratingv1.ListDeadLettersRequest) (*ratingv1.ListDeadLettersResponse, error) {
	size, err := page.Size(req.GetPageSize(), defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	const query = "dead letters"
	var place *deadPlace
	if t := req.GetPageToken(); t != "" {
		place = &deadPlace{}
		if err := page.Decode(t, query, place); err != nil {
			return nil, err
		}
	}
	found, more, err := g.s.store.deadLetters(ctx, place, size)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ListDeadLettersResponse{}
	if resp.Total, err = g.s.store.countDeadLetters(ctx); err != nil {
		return nil, err
	}
	if more {
		last := found[len(found)-1]
		resp.NextPageToken = page.Encode(query, deadPlace{Created: last.Created, ID: last.id()})
	}
	for _, d := range found {
		resp.DeadLetters = append(resp.DeadLetters, &ratingv1.DeadLetter{
			Id: d.id(), Topic: d.Topic, Partition: d.Number, Offset: d.Offset, Class: d.Class, Reason: d.Reason,
			Key: d.RecordKey, Payload: d.Payload, ContentType: d.ContentType,
			RecordTime: recordTimestamp(d.RecordTime), CreateTime: timestamp(d.Created),
		})
	}
	return resp, nil
}

func (g *adminServer) ReplayDeadLetters(ctx context.Context, req *ratingv1.ReplayDeadLettersRequest) (*ratingv1.ReplayDeadLettersResponse, error) {
	ids, err := uniqueIDs("ids", req.GetIds(), maxDeadAtOnce)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ReplayDeadLettersResponse{}
	for _, id := range ids {
		refused, err := g.s.store.replay(ctx, id, func(d deadLetter) (Rating, bool, error) { return redecode(d, g.s.now()) })
		switch {
		case err != nil:
			return nil, err
		case refused != nil:
			resp.Refused = append(resp.Refused, &ratingv1.ReplayDeadLettersResponse_Refusal{Id: id, Reason: reason(refused)})
		default:
			resp.Replayed++
		}
	}
	g.s.letters.soon()
	g.s.log.InfoContext(ctx, "dead letters replayed", "replayed", resp.GetReplayed(), "still_refused", len(resp.GetRefused()))
	return resp, nil
}

func (g *adminServer) DropDeadLetters(ctx context.Context, req *ratingv1.DropDeadLettersRequest) (*ratingv1.DropDeadLettersResponse, error) {
	ids, err := uniqueIDs("ids", req.GetIds(), maxDeadAtOnce)
	if err != nil {
		return nil, err
	}
	n, err := g.s.store.drop(ctx, ids)
	if err != nil {
		return nil, err
	}
	g.s.ingester.metrics.letters.dropped.WithLabelValues(droppedByOperator).Add(float64(n))
	g.s.letters.soon()
	g.s.log.InfoContext(ctx, "dead letters dropped for good", "dropped", n)
	return &ratingv1.DropDeadLettersResponse{Dropped: n}, nil
}

// recordTimestamp is a dead letter's record time for the wire, which has no times outside the years 1 to 9999: the letter's reason
// tells those.
func recordTimestamp(m Micros) *timestamppb.Timestamp {
	if t := m.Time(); m == 0 || t.Year() < 1 || t.Year() > 9999 {
		return nil
	}
	return timestamppb.New(m.Time())
}

// reason is an error's text for the user.
func reason(err error) string {
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		return f.Message()
	}
	return err.Error()
}
