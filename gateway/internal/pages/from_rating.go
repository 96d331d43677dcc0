package pages

import (
	"context"

	"google.golang.org/grpc"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
)

// movieType is the record type of films.
const movieType = "movie"

// ratingSource asks the rating service. Its errors are *fault.Error.
type ratingSource struct{ client ratingv1.RatingServiceClient }

func newRatingSource(conn grpc.ClientConnInterface) ratingSource {
	return ratingSource{ratingv1.NewRatingServiceClient(conn)}
}

// history returns a film's ratings by year, oldest first. A film without ratings is a fault.KindNotFound.
func (s ratingSource) history(ctx context.Context, id string) ([]yearOfRatings, error) {
	answer, err := s.client.ListRatingHistory(ctx, &ratingv1.ListRatingHistoryRequest{RecordType: movieType, RecordId: id})
	if err != nil {
		return nil, fault.FromRPC(err)
	}
	years := make([]yearOfRatings, len(answer.GetYears()))
	for i, y := range answer.GetYears() {
		years[i] = yearOfRatings{Year: int(y.GetYear()), Votes: int(y.GetVotes()), Mean: y.GetMean()}
	}
	return years, nil
}

// byPerson returns a page of a person's ratings of films, newest first.
func (s ratingSource) byPerson(ctx context.Context, id string, size int, token string) (ratings []personRating, next string, err error) {
	answer, err := s.client.ListUserRatings(ctx, &ratingv1.ListUserRatingsRequest{
		UserId: id, RecordType: movieType, PageSize: int32(size), PageToken: token,
	})
	if err != nil {
		return nil, "", fault.FromRPC(err)
	}
	ratings = make([]personRating, len(answer.GetRatings()))
	for i, r := range answer.GetRatings() {
		ratings[i] = personRating{FilmID: r.GetRecordId(), Value: int(r.GetValue()), RatedAt: r.GetRatedAt().AsTime()}
	}
	return ratings, answer.GetNextPageToken(), nil
}
