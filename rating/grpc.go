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

// Bounds of requests.
const (
	defaultPage  = 50
	maxPage      = 200
	maxBatch     = 200
	maxChartPage = 5000
	maxTieSlack  = 5000
	defaultAudit = 1000
	maxAuditPage = 10_000
	// A page of an audit ends with the record that brings it to maxDifferences: there are at most 11 more.
	maxDifferences = 5000
	maxPartitions  = 10_000
	maxDeadAtOnce  = 200

	defaultSummaries = 1000
	maxSummaries     = 5000
	defaultExport    = 1000
	maxExport        = 10_000
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
	r, err := g.s.put(ctx, key(req.GetRecordType(), req.GetRecordId(), req.GetUserId()), int(req.GetValue()))
	if err != nil {
		return nil, err
	}
	return &ratingv1.PutRatingResponse{Rating: toProto(r)}, nil
}

func (g *server) GetRating(ctx context.Context, req *ratingv1.GetRatingRequest) (*ratingv1.GetRatingResponse, error) {
	k := key(req.GetRecordType(), req.GetRecordId(), req.GetUserId())
	if err := k.validate(); err != nil {
		return nil, err
	}
	r, err := g.s.store.read(ctx, k)
	if err != nil {
		return nil, err
	}
	if r.Deleted() {
		return nil, fault.NotFound("user %q has not rated %s %q", k.User, k.Type, k.ID)
	}
	return &ratingv1.GetRatingResponse{Rating: toProto(r)}, nil
}

func (g *server) DeleteRating(ctx context.Context, req *ratingv1.DeleteRatingRequest) (*ratingv1.DeleteRatingResponse, error) {
	k := key(req.GetRecordType(), req.GetRecordId(), req.GetUserId())
	if err := k.validate(); err != nil {
		return nil, err
	}
	if _, err := g.s.store.put(ctx, k, tombstone); err != nil {
		return nil, err
	}
	return &ratingv1.DeleteRatingResponse{}, nil
}

func (g *server) ListRecordRatings(ctx context.Context, req *ratingv1.ListRecordRatingsRequest) (*ratingv1.ListRecordRatingsResponse, error) {
	rec := Record{Type: req.GetRecordType(), ID: req.GetRecordId()}
	if err := rec.validate(); err != nil {
		return nil, err
	}
	size, err := page.Size(req.GetPageSize(), defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	query := fmt.Sprintf("record ratings %q %q", rec.Type, rec.ID)
	var after string
	if t := req.GetPageToken(); t != "" {
		if err := page.Decode(t, query, &after); err != nil {
			return nil, err
		}
	}
	rows, err := g.s.store.byRecord(ctx, rec, after, size+1)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ListRecordRatingsResponse{}
	if len(rows) > size {
		rows = rows[:size]
		resp.NextPageToken = page.Encode(query, rows[size-1].User)
	}
	resp.Ratings = toProtos(rows)
	return resp, nil
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
	size, err := page.Size(req.GetPageSize(), defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	query := fmt.Sprintf("user ratings %q %q", req.GetUserId(), req.GetRecordType())
	var place *userPlace
	if t := req.GetPageToken(); t != "" {
		place = &userPlace{}
		if err := page.Decode(t, query, place); err != nil {
			return nil, err
		}
	}
	rows, err := g.s.store.byUser(ctx, req.GetUserId(), req.GetRecordType(), place, size+1)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ListUserRatingsResponse{}
	if len(rows) > size {
		rows = rows[:size]
		last := rows[size-1]
		resp.NextPageToken = page.Encode(query, userPlace{At: last.At, Type: last.Type, ID: last.ID})
	}
	resp.Ratings = toProtos(rows)
	return resp, nil
}

func (g *server) GetRatingSummary(ctx context.Context, req *ratingv1.GetRatingSummaryRequest) (*ratingv1.GetRatingSummaryResponse, error) {
	rec := Record{Type: req.GetRecordType(), ID: req.GetRecordId()}
	a, asOf, err := g.s.aggregate(ctx, rec)
	if err != nil {
		return nil, err
	}
	prior, err := g.s.prior(ctx, rec.Type)
	if err != nil {
		return nil, err
	}
	return &ratingv1.GetRatingSummaryResponse{Summary: summary(rec, a, prior, asOf)}, nil
}

func (g *server) BatchGetRatingSummaries(ctx context.Context, req *ratingv1.BatchGetRatingSummariesRequest) (*ratingv1.BatchGetRatingSummariesResponse, error) {
	ids, err := uniqueIDs("record_ids", req.GetRecordIds(), maxBatch)
	if err != nil {
		return nil, err
	}
	if err := fault.RecordType("record_type", req.GetRecordType()); err != nil {
		return nil, err
	}
	asOf := timestamppb.New(g.s.now())
	found := make(map[string]Aggregate, len(ids))
	err = g.s.store.aggregates(ctx, req.GetRecordType(), ids, func(id string, a Aggregate) { found[id] = a })
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return &ratingv1.BatchGetRatingSummariesResponse{}, nil // of a type, perhaps, that nothing need be known of
	}
	prior, err := g.s.prior(ctx, req.GetRecordType())
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.BatchGetRatingSummariesResponse{}
	for _, id := range ids {
		if a := found[id]; a.Votes > 0 {
			resp.Summaries = append(resp.Summaries, summary(Record{Type: req.GetRecordType(), ID: id}, a, prior, asOf))
		}
	}
	return resp, nil
}

func (g *server) ListChart(ctx context.Context, req *ratingv1.ListChartRequest) (*ratingv1.ListChartResponse, error) {
	recordType := req.GetRecordType()
	if err := fault.RecordType("record_type", recordType); err != nil {
		return nil, err
	}
	size, err := page.Size(req.GetPageSize(), defaultPage, maxChartPage)
	if err != nil {
		return nil, err
	}
	start, err := chartStart(req.GetStart())
	if err != nil {
		return nil, err
	}
	switch req.GetChart() {
	case ratingv1.Chart_CHART_TOP, ratingv1.Chart_CHART_POPULAR, ratingv1.Chart_CHART_TRENDING:
	default:
		return nil, fault.Invalid("chart", "must be CHART_TOP, CHART_POPULAR or CHART_TRENDING, got %s", req.GetChart())
	}
	basis, err := chartBasisOf(req.GetBasis())
	if err != nil {
		return nil, err
	}
	b, err := g.s.board(ctx, recordType)
	if err != nil {
		return nil, err
	}
	asOf := timestamppb.New(b.asOf)
	var entries []chartEntry
	var since *timestamppb.Timestamp
	if req.GetChart() == ratingv1.Chart_CHART_TRENDING {
		t, err := g.s.trending(ctx, recordType, basis.since)
		if err != nil {
			return nil, err
		}
		b, entries, asOf, since = t.board, t.entries, timestamppb.New(t.asOf), timestamp(t.since)
	}
	prior := b.prior
	if basis.mean != nil {
		prior.Mean = *basis.mean
	}
	switch req.GetChart() {
	case ratingv1.Chart_CHART_TOP:
		entries = b.top(prior)
	case ratingv1.Chart_CHART_POPULAR:
		entries = b.popular()
	}
	entries, next := window(entries, start, size, maxTieSlack)
	read := timestamppb.New(b.asOf)
	resp := &ratingv1.ListChartResponse{
		Entries:    make([]*ratingv1.ListChartResponse_Entry, len(entries)),
		MinVotes:   int32(prior.MinVotes),
		GlobalMean: prior.Mean,
		AsOfTime:   asOf,
		Basis:      &ratingv1.ChartBasis{GlobalMean: &prior.Mean, SinceTime: since},
	}
	for i, e := range entries {
		resp.Entries[i] = &ratingv1.ListChartResponse_Entry{
			Score: e.score, SortKey: e.sortKey,
			Summary: summary(Record{Type: recordType, ID: e.id}, *e.agg, prior, read),
		}
	}
	if next != nil {
		resp.Next = &ratingv1.ChartPosition{SortKey: next.sortKey, Votes: clamp32(next.votes), AfterRecordId: next.afterID}
	}
	return resp, nil
}

// chartStart reads where a chart's page begins; nil is the best place.
func chartStart(p *ratingv1.ChartPosition) (*chartPlace, error) {
	if p == nil {
		return nil, nil
	}
	const repeat = "take start unchanged from next of the answer before"
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

// chartBasis is a chart's basis as a request tells it.
type chartBasis struct {
	mean  *float64 // nil: that of now
	since Micros   // 0: as of now
}

func chartBasisOf(p *ratingv1.ChartBasis) (b chartBasis, err error) {
	const repeat = "take basis unchanged from the first answer"
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
	b, err := g.s.board(ctx, req.GetRecordType())
	if err != nil {
		return nil, err
	}
	n, err := g.s.countedUsers(ctx, req.GetRecordType(), b)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.GetTotalsResponse{
		Records: b.totals.Records, Ratings: b.totals.Ratings, Sum: b.totals.Sum,
		GlobalMean: b.prior.Mean, MinVotes: int32(b.prior.MinVotes), AsOfTime: timestamppb.New(b.asOf),
		VotesDigest: int64(b.votes), Users: n.users,
	}
	if !n.asOf.IsZero() {
		resp.UsersAsOfTime = timestamppb.New(n.asOf)
	}
	return resp, nil
}

func (g *server) ListRatingHistory(ctx context.Context, req *ratingv1.ListRatingHistoryRequest) (*ratingv1.ListRatingHistoryResponse, error) {
	h, err := g.s.history(ctx, Record{Type: req.GetRecordType(), ID: req.GetRecordId()})
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
	size, err := page.Size(req.GetPageSize(), defaultSummaries, maxSummaries)
	if err != nil {
		return nil, err
	}
	query := fmt.Sprintf("rating summaries %q", recordType)
	var after string
	if t := req.GetPageToken(); t != "" {
		if err := page.Decode(t, query, &after); err != nil {
			return nil, err
		}
	}
	prior, err := g.s.prior(ctx, recordType)
	if err != nil {
		return nil, err
	}
	asOf := timestamppb.New(g.s.now())
	found, err := g.s.store.aggregatesAfter(ctx, recordType, after, size+1)
	if err != nil {
		return nil, err
	}
	resp := &ratingv1.ListRatingSummariesResponse{}
	if len(found) > size {
		found = found[:size]
		resp.NextPageToken = page.Encode(query, found[size-1].ID)
	}
	for _, d := range found {
		resp.Summaries = append(resp.Summaries, summary(d.Record, d.Aggregate, prior, asOf))
	}
	return resp, nil
}

// put checks and stores a rating that a user gives now.
func (s *Service) put(ctx context.Context, k Key, value int) (Rating, error) {
	if err := k.validate(); err != nil {
		return Rating{}, err
	}
	if err := validValue(value); err != nil {
		return Rating{}, err
	}
	return s.store.put(ctx, k, value)
}

// aggregate returns a record's aggregate and when it was read. A record without ratings is NotFound.
func (s *Service) aggregate(ctx context.Context, rec Record) (Aggregate, *timestamppb.Timestamp, error) {
	if err := rec.validate(); err != nil {
		return Aggregate{}, nil, err
	}
	asOf := timestamppb.New(s.now())
	a, err := s.store.aggregate(ctx, rec)
	if err == nil && a.Votes == 0 {
		err = noRatings(rec)
	}
	return a, asOf, err
}

func key(recordType, recordID, user string) Key {
	return Key{Record: Record{Type: recordType, ID: recordID}, User: user}
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

func summary(rec Record, a Aggregate, prior Prior, asOf *timestamppb.Timestamp) *ratingv1.RatingSummary {
	out := &ratingv1.RatingSummary{
		RecordType: rec.Type, RecordId: rec.ID, Mean: a.Mean(), Votes: clamp32(a.Votes), Weighted: prior.Weighted(a),
		Histogram: make([]int32, Highest), AsOfTime: asOf,
	}
	for i, n := range a.Counts {
		out.Histogram[i] = clamp32(n)
	}
	return out
}

// clamp32 narrows a counter to the wire's 32 bits, which JSON shows as a number where 64 bits would be a string.
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

// bookServer is the book API's RatingService.
type bookServer struct {
	book.UnimplementedRatingServiceServer
	s *Service
}

func (g *bookServer) GetAggregatedRating(ctx context.Context, req *book.GetAggregatedRatingRequest) (*book.GetAggregatedRatingResponse, error) {
	a, _, err := g.s.aggregate(ctx, Record{Type: req.GetRecordType(), ID: req.GetRecordId()})
	if err != nil {
		return nil, err
	}
	return &book.GetAggregatedRatingResponse{RatingValue: a.Mean()}, nil
}

func (g *bookServer) PutRating(ctx context.Context, req *book.PutRatingRequest) (*book.PutRatingResponse, error) {
	k := key(req.GetRecordType(), req.GetRecordId(), req.GetUserId())
	if err := k.validate(); err != nil {
		return nil, err
	}
	// The book API has its own name for the value.
	if v := req.GetRatingValue(); v < Lowest || v > Highest {
		return nil, fault.Invalid("rating_value", "must be an integer from %d to %d, got %d", Lowest, Highest, v)
	}
	if _, err := g.s.store.put(ctx, k, int(req.GetRatingValue())); err != nil {
		return nil, err
	}
	return &book.PutRatingResponse{}, nil
}

// timestamp is nil for a time that is not known.
func timestamp(m Micros) *timestamppb.Timestamp {
	if m == 0 {
		return nil
	}
	return timestamppb.New(m.Time())
}
