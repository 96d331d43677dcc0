package rating

import (
	"context"
	"fmt"

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
	list, brokersErr, err := g.s.watch.partitions(ctx, req.GetAskBrokers())
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ListIngestPartitionsResponse{}
	if others := len(list) - maxPartitions; others > 0 {
		list, resp.OtherPartitions = list[:maxPartitions], int32(others)
	}
	if brokersErr != nil {
		resp.BrokersError = reason(brokersErr)
		if silent := g.s.watch.brokersSilentFor(); silent > 0 {
			seconds := silent.Seconds()
			resp.BrokersSilentSeconds = &seconds
		}
	}
	for _, o := range list {
		p := &ratingv1.IngestPartition{
			Topic: o.Topic, TopicId: o.TopicID, Partition: o.Number, NextOffset: o.next, Halted: o.halted,
		}
		if k := o.lag; k != nil {
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
	r := resumeRequest{topic: req.GetTopic(), number: req.GetPartition(), offset: req.GetOffset(), dryRun: req.GetValidateOnly(), force: req.GetForce()}
	switch req.GetFrom() {
	case ratingv1.ResumeIngestPartitionRequest_FROM_EARLIEST:
		r.from = fromEarliest
	case ratingv1.ResumeIngestPartitionRequest_FROM_END:
		r.from = fromEnd
	case ratingv1.ResumeIngestPartitionRequest_FROM_OFFSET:
		r.from = fromOffset
	default:
		return nil, fault.Invalid("from", "is required: FROM_EARLIEST, FROM_OFFSET or FROM_END")
	}
	if r.offset != 0 && r.from != fromOffset {
		return nil, fault.Invalid("offset", "belongs to FROM_OFFSET; got %d with %s", r.offset, req.GetFrom())
	}
	plan, err := g.s.resumePartition(ctx, r)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ResumeIngestPartitionResponse{
		TopicId: plan.TopicID, NewOffset: plan.to, SkippedRecords: plan.skipped, LostRecords: plan.lost, RepeatedRecords: plan.repeated,
		GivenUp: plan.givenUp, Halted: plan.halted, TakenUp: plan.resumed,
	}
	if plan.known {
		resp.OldOffset = &plan.from
	}
	return resp, nil
}

// recordPlace is where an audit's page begins: after that record.
type recordPlace struct {
	Type string `json:"t"`
	ID   string `json:"i"`
}

func (g *adminServer) AuditAggregates(ctx context.Context, req *ratingv1.AuditAggregatesRequest) (*ratingv1.AuditAggregatesResponse, error) {
	const query = "audit"
	var place recordPlace
	size, err := readPage(req, query, defaultAudit, maxAuditPage, &place)
	if err != nil {
		return nil, err
	}
	found, next, err := g.s.audit(ctx, Record(place), size)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.AuditAggregatesResponse{}
	for i, a := range found {
		if len(resp.GetDifferences()) >= maxDifferences {
			next = &found[i-1].Record // the others are for the next page
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
		resp.NextPageToken = page.Encode(query, recordPlace(*next))
	}
	return resp, nil
}

// ratingPlace is where an export's page begins: after that rating.
type ratingPlace struct {
	Type string `json:"t"`
	ID   string `json:"i"`
	User string `json:"u"`
}

func (g *adminServer) ListRatings(ctx context.Context, req *ratingv1.ListRatingsRequest) (*ratingv1.ListRatingsResponse, error) {
	recordType := req.GetRecordType()
	if recordType != "" {
		if err := fault.RecordType("record_type", recordType); err != nil {
			return nil, err
		}
	}
	query := fmt.Sprintf("ratings %q", recordType)
	place := ratingPlace{Type: recordType}
	size, err := readPage(req, query, defaultExport, maxExport, &place)
	if err != nil {
		return nil, err
	}
	rows, err := g.s.all(ctx, recordType, Key{Record{place.Type, place.ID}, place.User}, size+1)
	if err != nil {
		return nil, err
	}
	rows, next := cutPage(rows, size, query, func(last Rating) any { return ratingPlace{Type: last.Type, ID: last.ID, User: last.User} })
	return &ratingv1.ListRatingsResponse{Ratings: toProtos(rows), NextPageToken: next}, nil
}

func (g *adminServer) ListDeadLetters(ctx context.Context, req *ratingv1.ListDeadLettersRequest) (*ratingv1.ListDeadLettersResponse, error) {
	const query = "dead letters"
	var place *deadPlace
	size, err := readPage(req, query, defaultPage, maxPage, &place)
	if err != nil {
		return nil, err
	}
	found, more, total, err := g.s.listDead(ctx, place, size)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ListDeadLettersResponse{Total: total}
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
	replayed, refused, err := g.s.replayDead(ctx, ids)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ReplayDeadLettersResponse{Replayed: replayed}
	for _, r := range refused {
		resp.Refused = append(resp.Refused, &ratingv1.ReplayDeadLettersResponse_Refusal{Id: r.id, Reason: reason(r.cause)})
	}
	return resp, nil
}

func (g *adminServer) DropDeadLetters(ctx context.Context, req *ratingv1.DropDeadLettersRequest) (*ratingv1.DropDeadLettersResponse, error) {
	ids, err := uniqueIDs("ids", req.GetIds(), maxDeadAtOnce)
	if err != nil {
		return nil, err
	}
	n, err := g.s.dropDead(ctx, ids)
	if err != nil {
		return nil, err
	}
	return &ratingv1.DropDeadLettersResponse{Dropped: n}, nil
}
