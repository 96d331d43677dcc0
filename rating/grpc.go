package rating

import (
	"context"
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/gen/book"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/page"
)

// Register puts the service's contracts on a server: the own API, the operator's API and the book API.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	ratingv1.RegisterRatingServiceServer(r, &server{s: s})
	ratingv1.RegisterRatingAdminServiceServer(r, &adminServer{s: s})
	book.RegisterRatingServiceServer(r, &bookServer{s: s})
}

// server is movieexample.rating.v1.RatingService.
type server struct {
	ratingv1.UnimplementedRatingServiceServer
	s *Service
}

func (g *server) PutRating(ctx context.Context, req *ratingv1.PutRatingRequest) (*ratingv1.PutRatingResponse, error) {
	if req.Value == nil {
		return nil, fault.Invalid("value", "is required: an integer from %d to %d", Lowest, Highest)
	}
	r, err := g.s.put(ctx, keyOf(req), int(req.GetValue()))
	if err != nil {
		return nil, err
	}
	return &ratingv1.PutRatingResponse{Rating: toProto(r)}, nil
}

func (g *server) GetRating(ctx context.Context, req *ratingv1.GetRatingRequest) (*ratingv1.GetRatingResponse, error) {
	r, err := g.s.rating(ctx, keyOf(req))
	if err != nil {
		return nil, err
	}
	return &ratingv1.GetRatingResponse{Rating: toProto(r)}, nil
}

func (g *server) DeleteRating(ctx context.Context, req *ratingv1.DeleteRatingRequest) (*ratingv1.DeleteRatingResponse, error) {
	if err := g.s.remove(ctx, keyOf(req)); err != nil {
		return nil, err
	}
	return &ratingv1.DeleteRatingResponse{}, nil
}

func (g *server) ListRecordRatings(ctx context.Context, req *ratingv1.ListRecordRatingsRequest) (*ratingv1.ListRecordRatingsResponse, error) {
	rec := recordOf(req)
	if err := rec.validate(); err != nil {
		return nil, err
	}
	query := fmt.Sprintf("record ratings %q %q", rec.Type, rec.ID)
	var after string
	size, err := readPage(req, query, defaultPage, maxPage, &after)
	if err != nil {
		return nil, err
	}
	rows, err := g.s.ofRecord(ctx, rec, after, size+1)
	if err != nil {
		return nil, err
	}
	rows, next := cutPage(rows, size, query, func(last Rating) any { return last.User })
	return &ratingv1.ListRecordRatingsResponse{Ratings: toProtos(rows), NextPageToken: next}, nil
}

func (g *server) ListUserRatings(ctx context.Context, req *ratingv1.ListUserRatingsRequest) (*ratingv1.ListUserRatingsResponse, error) {
	if err := fault.ID("user_id", req.GetUserId()); err != nil {
		return nil, err
	}
	if t := req.GetRecordType(); t != "" {
		if err := fault.RecordType("record_type", t); err != nil {
			return nil, err
		}
	}
	query := fmt.Sprintf("user ratings %q %q", req.GetUserId(), req.GetRecordType())
	var place *userPlace
	size, err := readPage(req, query, defaultPage, maxPage, &place)
	if err != nil {
		return nil, err
	}
	rows, err := g.s.ofUser(ctx, req.GetUserId(), req.GetRecordType(), place, size+1)
	if err != nil {
		return nil, err
	}
	rows, next := cutPage(rows, size, query, func(last Rating) any { return userPlace{At: last.At, Type: last.Type, ID: last.ID} })
	return &ratingv1.ListUserRatingsResponse{Ratings: toProtos(rows), NextPageToken: next}, nil
}

func (g *server) GetRatingSummary(ctx context.Context, req *ratingv1.GetRatingSummaryRequest) (*ratingv1.GetRatingSummaryResponse, error) {
	found, err := g.s.summary(ctx, recordOf(req))
	if err != nil {
		return nil, err
	}
	return &ratingv1.GetRatingSummaryResponse{Summary: toSummaries(found)[0]}, nil
}

func (g *server) BatchGetRatingSummaries(ctx context.Context, req *ratingv1.BatchGetRatingSummariesRequest) (*ratingv1.BatchGetRatingSummariesResponse, error) {
	ids, err := uniqueIDs("record_ids", req.GetRecordIds(), maxBatch)
	if err != nil {
		return nil, err
	}
	if err := fault.RecordType("record_type", req.GetRecordType()); err != nil {
		return nil, err
	}
	found, err := g.s.summaries(ctx, req.GetRecordType(), ids)
	if err != nil {
		return nil, err
	}
	return &ratingv1.BatchGetRatingSummariesResponse{Summaries: toSummaries(found)}, nil
}

func (g *server) ListChart(ctx context.Context, req *ratingv1.ListChartRequest) (*ratingv1.ListChartResponse, error) {
	q := chartQuery{recordType: req.GetRecordType(), slack: maxTieSlack}
	if err := fault.RecordType("record_type", q.recordType); err != nil {
		return nil, err
	}
	var err error
	if q.size, err = page.Size(req.GetPageSize(), defaultPage, maxChartPage); err != nil {
		return nil, err
	}
	if q.start, err = chartStart(req.GetStart()); err != nil {
		return nil, err
	}
	switch req.GetChart() {
	case ratingv1.Chart_CHART_TOP:
		q.kind = chartTop
	case ratingv1.Chart_CHART_POPULAR:
		q.kind = chartPopular
	case ratingv1.Chart_CHART_TRENDING:
		q.kind = chartTrending
	default:
		return nil, fault.Invalid("chart", "must be CHART_TOP, CHART_POPULAR or CHART_TRENDING, got %s", req.GetChart())
	}
	if q.basis, err = chartBasisOf(req.GetBasis()); err != nil {
		return nil, err
	}
	p, err := g.s.chart(ctx, q)
	if err != nil {
		return nil, err
	}
	read := timestamppb.New(p.read)
	resp := &ratingv1.ListChartResponse{
		Entries:    make([]*ratingv1.ListChartResponse_Entry, len(p.entries)),
		MinVotes:   int32(p.prior.MinVotes),
		GlobalMean: p.prior.Mean,
		AsOfTime:   timestamppb.New(p.asOf),
		Basis:      &ratingv1.ChartBasis{GlobalMean: &p.prior.Mean, SinceTime: timestamp(p.since)},
	}
	for i, e := range p.entries {
		resp.Entries[i] = &ratingv1.ListChartResponse_Entry{
			Score: e.score, SortKey: e.sortKey,
			Summary: toSummary(Record{Type: q.recordType, ID: e.id}, e.agg, p.prior, read),
		}
	}
	if p.next != nil {
		resp.Next = &ratingv1.ChartPosition{SortKey: p.next.sortKey, Votes: clamp32(p.next.votes), AfterRecordId: p.next.afterID}
	}
	return resp, nil
}

// chartStart converts where a chart's page begins; nil is the best place.
func chartStart(p *ratingv1.ChartPosition) (*chartPlace, error) {
	if p == nil {
		return nil, nil
	}
	const repeat = "send next of the previous response unchanged as start"
	switch {
	case math.IsNaN(p.GetSortKey()):
		return nil, fault.Invalid("start.sort_key", "must be a number, got NaN; "+repeat)
	case p.GetVotes() < 0:
		return nil, fault.Invalid("start.votes", "must not be negative, got %d; "+repeat, p.GetVotes())
	}
	if id := p.GetAfterRecordId(); id != "" {
		if err := fault.ID("start.after_record_id", id); err != nil {
			return nil, err
		}
	}
	return &chartPlace{sortKey: p.GetSortKey(), votes: int64(p.GetVotes()), afterID: p.GetAfterRecordId()}, nil
}

func chartBasisOf(p *ratingv1.ChartBasis) (b chartBasis, err error) {
	const repeat = "send basis of the first response unchanged"
	if p != nil {
		b.mean = p.GlobalMean
	}
	if b.mean != nil && !(*b.mean >= 0 && *b.mean <= Highest) { // NaN is neither
		return b, fault.Invalid("basis.global_mean", "must be from 0 to %d, got %v; "+repeat, Highest, *b.mean)
	}
	if t := p.GetSinceTime(); t != nil {
		b.since = ToMicros(t.AsTime())
		if t.CheckValid() != nil || b.since <= 0 || b.since%day != 0 {
			return b, fault.Invalid("basis.since_time", "must be the beginning of a day in UTC after 1970, got %s; "+repeat, t.AsTime().Format(time.RFC3339Nano))
		}
	}
	return b, nil
}

func (g *server) GetTotals(ctx context.Context, req *ratingv1.GetTotalsRequest) (*ratingv1.GetTotalsResponse, error) {
	if err := fault.RecordType("record_type", req.GetRecordType()); err != nil {
		return nil, err
	}
	t, err := g.s.totalsOf(ctx, req.GetRecordType())
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.GetTotalsResponse{
		Records: t.Records, Ratings: t.Ratings, Sum: t.Sum, GlobalMean: t.prior.Mean, MinVotes: int32(t.prior.MinVotes),
		AsOfTime: timestamppb.New(t.asOf), VotesDigest: int64(t.votes), Users: t.users.users,
	}
	if !t.users.asOf.IsZero() {
		resp.UsersAsOfTime = timestamppb.New(t.users.asOf)
	}
	return resp, nil
}

func (g *server) ListRatingHistory(ctx context.Context, req *ratingv1.ListRatingHistoryRequest) (*ratingv1.ListRatingHistoryResponse, error) {
	h, err := g.s.history(ctx, recordOf(req))
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ListRatingHistoryResponse{AsOfTime: timestamppb.New(h.asOf)}
	for _, y := range h.years {
		resp.Years = append(resp.Years, &ratingv1.ListRatingHistoryResponse_Year{
			Year: int32(y.Year), Votes: clamp32(y.Votes), Mean: y.mean(),
		})
	}
	return resp, nil
}

func (g *server) ListRatingSummaries(ctx context.Context, req *ratingv1.ListRatingSummariesRequest) (*ratingv1.ListRatingSummariesResponse, error) {
	recordType := req.GetRecordType()
	if err := fault.RecordType("record_type", recordType); err != nil {
		return nil, err
	}
	query := fmt.Sprintf("rating summaries %q", recordType)
	var after string
	size, err := readPage(req, query, defaultSummaries, maxSummaries, &after)
	if err != nil {
		return nil, err
	}
	found, err := g.s.summariesAfter(ctx, recordType, after, size+1)
	if err != nil {
		return nil, err
	}
	var next string
	found.records, next = cutPage(found.records, size, query, func(last delta) any { return last.ID })
	return &ratingv1.ListRatingSummariesResponse{Summaries: toSummaries(found), NextPageToken: next}, nil
}

// bookServer is the book API's RatingService.
type bookServer struct {
	book.UnimplementedRatingServiceServer
	s *Service
}

func (g *bookServer) GetAggregatedRating(ctx context.Context, req *book.GetAggregatedRatingRequest) (*book.GetAggregatedRatingResponse, error) {
	a, _, err := g.s.aggregate(ctx, recordOf(req))
	if err != nil {
		return nil, err
	}
	return &book.GetAggregatedRatingResponse{RatingValue: a.Mean()}, nil
}

func (g *bookServer) PutRating(ctx context.Context, req *book.PutRatingRequest) (*book.PutRatingResponse, error) {
	k := keyOf(req)
	if err := k.validate(); err != nil {
		return nil, err
	}
	if err := validValue("rating_value", int(req.GetRatingValue())); err != nil { // the book API's name of the value
		return nil, err
	}
	if _, err := g.s.put(ctx, k, int(req.GetRatingValue())); err != nil {
		return nil, err
	}
	return &book.PutRatingResponse{}, nil
}
