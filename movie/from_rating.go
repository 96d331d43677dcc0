package movie

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
)

// RecordType is what the rating service calls a film.
const RecordType = "movie"

// votesMost is the most numbers of votes in one call, here and to the metadata service.
const votesMost = 5000

// windowMost is the most entries of a chart that one call may ask for.
const windowMost = 5000

// ratings is the rating service.
type ratings struct{ client ratingv1.RatingServiceClient }

func newRatings(conn grpc.ClientConnInterface) ratings {
	return ratings{ratingv1.NewRatingServiceClient(conn)}
}

// summary returns a film's rating, Fresh or Unrated.
func (r ratings) summary(ctx context.Context, id string) (*Rating, error) {
	answer, err := r.client.GetRatingSummary(ctx, &ratingv1.GetRatingSummaryRequest{RecordType: RecordType, RecordId: id})
	if err != nil {
		err = fromRating(err)
		if fault.KindOf(err) == fault.KindNotFound {
			return &Rating{Status: Unrated}, nil
		}
		return nil, err
	}
	return &Rating{Status: Fresh, Summary: summaryOf(answer.GetSummary())}, nil
}

// batch returns the rating of those of up to 200 films that have one.
func (r ratings) batch(ctx context.Context, ids []string) (map[string]*Rating, error) {
	answer, err := r.client.BatchGetRatingSummaries(ctx, &ratingv1.BatchGetRatingSummariesRequest{RecordType: RecordType, RecordIds: ids})
	if err != nil {
		return nil, fromRating(err)
	}
	found := make(map[string]*Rating, len(answer.GetSummaries()))
	for _, s := range answer.GetSummaries() {
		found[s.GetRecordId()] = &Rating{Status: Fresh, Summary: summaryOf(s)}
	}
	return found, nil
}

// chart is a ranking the rating service keeps.
type chart string

const (
	chartTop      chart = "top"
	chartPopular  chart = "popular"
	chartTrending chart = "trending"
)

// tie is what entries that tie have in common.
type tie struct {
	key   float64
	votes int32
}

// position is a place in a chart: before the group of ties, or within a group that is too great for one
// window, behind the entry with the id after.
type position struct {
	tie
	after string
	// until is the last id of the piece that begins after after, where a page has shown a part of it: the rest is the rest of that
	// piece, whatever records have come and gone in the group. Empty: the rating service decides.
	until string
	basis basis
}

// basis is what places in a chart depend on beside a record's own ratings: a walk keeps that of its first page. The zero basis is that
// of now.
type basis struct {
	mean    float64
	hasMean bool
	since   int64 // seconds since 1970; 0: none
}

func basisOf(b *ratingv1.ChartBasis) basis {
	var out basis
	if b != nil && b.GlobalMean != nil {
		out.mean, out.hasMean = b.GetGlobalMean(), true
	}
	out.since = b.GetSinceTime().GetSeconds()
	return out
}

func (b basis) wire() *ratingv1.ChartBasis {
	out := &ratingv1.ChartBasis{}
	if b.hasMean {
		out.GlobalMean = &b.mean
	}
	if b.since != 0 {
		out.SinceTime = &timestamppb.Timestamp{Seconds: b.since}
	}
	return out
}

// chartEntry is a record in a chart.
type chartEntry struct {
	id      string
	score   float64
	tie     tie
	summary *Summary
}

// chartWindow is a piece of a chart that ends with a whole group of ties, unless next.after is set.
type chartWindow struct {
	entries []chartEntry
	next    *position // nil at the chart's end
	prior   prior
	basis   basis
}

// prior is what a chart's numbers rest on.
type prior struct {
	minVotes int32
	mean     float64
	asOf     time.Time
}

// readWindow reads up to size entries, and what is missing to complete the last group of ties, from start; nil is the top.
func (r ratings) readWindow(ctx context.Context, c chart, start *position, size int) (chartWindow, error) {
	req := &ratingv1.ListChartRequest{
		RecordType: RecordType,
		Chart: map[chart]ratingv1.Chart{
			chartTop:      ratingv1.Chart_CHART_TOP,
			chartPopular:  ratingv1.Chart_CHART_POPULAR,
			chartTrending: ratingv1.Chart_CHART_TRENDING,
		}[c],
		PageSize: int32(size),
	}
	if start != nil {
		req.Start = &ratingv1.ChartPosition{SortKey: start.key, Votes: start.votes, AfterRecordId: start.after}
		req.Basis = start.basis.wire()
	}
	answer, err := r.client.ListChart(ctx, req)
	if err != nil {
		return chartWindow{}, fromRating(err)
	}
	w := chartWindow{
		entries: make([]chartEntry, len(answer.GetEntries())),
		prior:   prior{minVotes: answer.GetMinVotes(), mean: answer.GetGlobalMean(), asOf: answer.GetAsOfTime().AsTime()},
		basis:   basisOf(answer.GetBasis()),
	}
	for i, e := range answer.GetEntries() {
		summary := summaryOf(e.GetSummary())
		if e.GetSummary().GetAsOfTime() == nil {
			summary.AsOf = w.prior.asOf
		}
		w.entries[i] = chartEntry{
			id:      e.GetSummary().GetRecordId(),
			score:   e.GetScore(),
			tie:     tie{key: e.GetSortKey(), votes: e.GetSummary().GetVotes()},
			summary: summary,
		}
	}
	if n := answer.GetNext(); n != nil {
		w.next = &position{tie: tie{key: n.GetSortKey(), votes: n.GetVotes()}, after: n.GetAfterRecordId(), basis: w.basis}
	}
	return w, nil
}

// totals are the sums over all films' ratings.
type totals struct {
	films, ratings, sum, users int64
	digest                     int64   // differs whenever a film has another number of ratings; 0: not known
	mean                       float64 // of all ratings; 0 where there are none
	minVotes                   int32
	asOf                       time.Time // of the oldest of the numbers
}

// sameVotes reports whether no film has another number of ratings than at from. A rating service that tells no digest leaves the
// sums, which changes that cancel out do not change.
func (t totals) sameVotes(from totals) bool {
	return t.digest == from.digest && t.films == from.films && t.ratings == from.ratings && (t.digest != 0 || t.sum == from.sum)
}

func (r ratings) totals(ctx context.Context) (totals, error) {
	t, err := r.client.GetTotals(ctx, &ratingv1.GetTotalsRequest{RecordType: RecordType})
	if err != nil {
		return totals{}, fromRating(err)
	}
	asOf := t.GetAsOfTime().AsTime()
	if users := t.GetUsersAsOfTime(); users != nil && users.AsTime().Before(asOf) {
		asOf = users.AsTime()
	}
	return totals{
		films: t.GetRecords(), ratings: t.GetRatings(), sum: t.GetSum(), users: t.GetUsers(), digest: t.GetVotesDigest(),
		mean: t.GetGlobalMean(), minVotes: t.GetMinVotes(), asOf: asOf,
	}, nil
}

// filmVotes is how many ratings a film has.
type filmVotes struct {
	id    string
	votes int32 // at least 1
}

// votesPage returns a page of up to votesMost films with ratings, in the order of their ids compared byte by byte, and the
// token of the next page, empty on the last.
func (r ratings) votesPage(ctx context.Context, token string) ([]filmVotes, string, error) {
	answer, err := r.client.ListRatingSummaries(ctx, &ratingv1.ListRatingSummariesRequest{RecordType: RecordType, PageSize: votesMost, PageToken: token})
	if err != nil {
		return nil, "", fromRating(err)
	}
	page := make([]filmVotes, len(answer.GetSummaries()))
	for i, s := range answer.GetSummaries() {
		page[i] = filmVotes{id: s.GetRecordId(), votes: s.GetVotes()}
	}
	return page, answer.GetNextPageToken(), nil
}

// fromRating turns what a call returned into an error that names the service where the service is the trouble.
func fromRating(err error) error {
	err = fault.FromRPC(err)
	var e *fault.Error
	if !errors.As(err, &e) {
		return err // nil
	}
	switch e.Kind {
	case fault.KindUnavailable:
		return unavailable("rating", err)
	case fault.KindDeadline:
		return fault.Deadline(err, "the rating service did not answer in time: try again later")
	case fault.KindNotFound, fault.KindCanceled:
		return err
	}
	// Our input was checked before; what is left is a misunderstanding between the two services.
	return fault.Internal(err, "call the rating service")
}

func summaryOf(s *ratingv1.RatingSummary) *Summary {
	return &Summary{
		Mean:      s.GetMean(),
		Votes:     s.GetVotes(),
		Weighted:  s.GetWeighted(),
		Histogram: s.GetHistogram(),
		AsOf:      s.GetAsOfTime().AsTime(),
	}
}
