package movie_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// SearchMovies finds films whose title contains the query, by id, and calls all of it a match of the title.
func (f *fakeMetadata) SearchMovies(ctx context.Context, r *metadatav1.SearchMoviesRequest) (*metadatav1.SearchMoviesResponse, error) {
	if err := f.before.run(ctx, "SearchMovies"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	resp := &metadatav1.SearchMoviesResponse{
		NextPageToken: "after:" + r.GetPageToken(),
		Genres:        []*metadatav1.GenreCount{{Genre: "Drama", Count: 2}, {Genre: "War", Count: 1}},
		Decades:       []*metadatav1.DecadeCount{{Decade: 1990, Count: 2}},
	}
	kinds := []metadatav1.MatchKind{
		metadatav1.MatchKind_MATCH_KIND_EXACT, metadatav1.MatchKind_MATCH_KIND_TITLE,
		metadatav1.MatchKind_MATCH_KIND_DIRECTOR, metadatav1.MatchKind_MATCH_KIND_SPELLING,
	}
	for _, id := range f.sorted() {
		m := f.films[id]
		before, after, ok := strings.Cut(m.GetTitle(), r.GetQuery())
		if !ok || !f.matches(m, &metadatav1.MovieFilter{Genre: r.GetGenre()}) || r.Decade != nil && m.GetYear()/10*10 != r.GetDecade() {
			continue
		}
		resp.Total++
		if len(resp.Hits) < int(r.GetPageSize()) {
			resp.Hits = append(resp.Hits, &metadatav1.SearchMoviesResponse_Hit{
				Movie: m, Kind: kinds[len(resp.Hits)%len(kinds)],
				Title:       []*metadatav1.TextPiece{{Text: before}, {Text: r.GetQuery(), Matched: true}, {Text: after}},
				MatchedName: []*metadatav1.TextPiece{{Text: m.GetDirector(), Matched: true}},
			})
		}
	}
	return resp, nil
}

func (f *fakeMetadata) sorted() []string {
	ids := make([]string, 0, len(f.films))
	for id := range f.films {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// SuggestMovies suggests films whose title begins with the query.
func (f *fakeMetadata) SuggestMovies(ctx context.Context, r *metadatav1.SuggestMoviesRequest) (*metadatav1.SuggestMoviesResponse, error) {
	if err := f.before.run(ctx, "SuggestMovies"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	resp := &metadatav1.SuggestMoviesResponse{}
	for _, id := range f.sorted() {
		m := f.films[id]
		rest, ok := strings.CutPrefix(m.GetTitle(), r.GetQuery())
		if ok && len(resp.Suggestions) < int(r.GetPageSize()) {
			resp.Suggestions = append(resp.Suggestions, &metadatav1.SuggestMoviesResponse_Suggestion{
				Id: id, Year: m.Year, Director: m.GetDirector(),
				Title: []*metadatav1.TextPiece{{Text: r.GetQuery(), Matched: true}, {Text: rest}},
			})
		}
	}
	return resp, nil
}

// ListSimilarMovies answers what the test has set; it names films that do not exist too.
func (f *fakeMetadata) ListSimilarMovies(ctx context.Context, r *metadatav1.ListSimilarMoviesRequest) (*metadatav1.ListSimilarMoviesResponse, error) {
	if err := f.before.run(ctx, "ListSimilarMovies"); err != nil {
		return nil, err
	}
	if _, ok := f.get(r.GetId()); !ok {
		return nil, status.Errorf(codes.NotFound, "no movie has the id %q", r.GetId())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return &metadatav1.ListSimilarMoviesResponse{Movies: f.similar}, nil
}

func (f *fakeMetadata) GetCatalogueStats(ctx context.Context, _ *metadatav1.GetCatalogueStatsRequest) (*metadatav1.GetCatalogueStatsResponse, error) {
	if err := f.before.run(ctx, "GetCatalogueStats"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return &metadatav1.GetCatalogueStatsResponse{
		Movies:   int32(len(f.films)),
		Genres:   []*metadatav1.GenreCount{{Genre: "Drama", Count: 3}},
		Decades:  []*metadatav1.DecadeCount{{Decade: 1980, Count: 1}, {Decade: 1990, Count: 2}},
		AsOfTime: f.asOf,
	}, nil
}

// SyncVotes keeps numbers of ratings as metadata.proto says.
func (f *fakeMetadata) SyncVotes(ctx context.Context, r *metadatav1.SyncVotesRequest) (*metadatav1.SyncVotesResponse, error) {
	if err := f.before.run(ctx, "SyncVotes"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	inside := func(id string) bool { return id > r.GetAfterId() && (r.GetThroughId() == "" || id <= r.GetThroughId()) }
	resp := &metadatav1.SyncVotesResponse{}
	named := map[string]bool{}
	last := r.GetAfterId()
	for _, v := range r.GetVotes() {
		id := v.GetMovieId()
		if !inside(id) || id <= last || v.GetVotes() < 1 {
			return nil, status.Errorf(codes.InvalidArgument, "votes: %q with %d after %q does not belong to (%q, %q]", id, v.GetVotes(), last, r.GetAfterId(), r.GetThroughId())
		}
		last = id
		named[id] = true
		if f.votes[id] != v.GetVotes() {
			resp.Changed++
			f.votes[id] = v.GetVotes()
		}
	}
	for id := range f.votes {
		if inside(id) && !named[id] {
			resp.Changed++
			delete(f.votes, id)
		}
	}
	if resp.Changed > 0 {
		f.version.votes++
	}
	return resp, nil
}

// votesOf returns the votes that the fake received.
func (f *fakeMetadata) votesOf() map[string]int32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]int32{}
	for id, n := range f.votes {
		all[id] = n
	}
	return all
}

func (f *fakeRating) GetTotals(ctx context.Context, r *ratingv1.GetTotalsRequest) (*ratingv1.GetTotalsResponse, error) {
	if err := f.before.run(ctx, "GetTotals"); err != nil {
		return nil, err
	}
	if r.GetRecordType() != "movie" {
		return nil, status.Error(codes.InvalidArgument, "record_type: not a movie")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	resp := &ratingv1.GetTotalsResponse{MinVotes: 25, Users: 7, AsOfTime: f.asOf, UsersAsOfTime: f.usersAsOf}
	var sum float64
	for _, s := range f.summaries {
		resp.Records++
		resp.Ratings += int64(s.GetVotes())
		sum += s.GetMean() * float64(s.GetVotes())
		if !f.noDigest {
			h := fnv.New64a()
			fmt.Fprint(h, s.GetRecordId(), " ", s.GetVotes())
			resp.VotesDigest += int64(h.Sum64())
		}
	}
	resp.Sum = int64(sum)
	if resp.Ratings > 0 {
		resp.GlobalMean = sum / float64(resp.Ratings)
	}
	return resp, nil
}

// ListRatingSummaries has pages of at most three, so that a test needs few films to see several.
func (f *fakeRating) ListRatingSummaries(ctx context.Context, r *ratingv1.ListRatingSummariesRequest) (*ratingv1.ListRatingSummariesResponse, error) {
	if err := f.before.run(ctx, "ListRatingSummaries"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for id := range f.summaries {
		if id > r.GetPageToken() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	resp := &ratingv1.ListRatingSummariesResponse{}
	for i, id := range ids {
		if i == 3 {
			resp.NextPageToken = ids[i-1]
			break
		}
		resp.Summaries = append(resp.Summaries, f.summaries[id])
	}
	return resp, nil
}

// remove takes all ratings of a film away.
func (f *fakeRating) remove(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.summaries, id)
	f.ranked = nil
}

// at sets the as-of times of the totals.
func (f *fakeRating) at(asOf, usersAsOf *timestamppb.Timestamp) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asOf, f.usersAsOf = asOf, usersAsOf
}
