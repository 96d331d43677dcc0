package verify

import (
	"context"
	"fmt"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// film is one for the trial, with its own id and genre.
func (t *trial) film(title string) *metadatav1.Movie {
	year := int32(1994)
	return &metadatav1.Movie{Id: t.name("film"), Title: title, Year: &year, Genres: []string{t.genre()}, Director: "Verify Director"}
}

// put writes a film through a metadata instance and has it deleted afterwards.
func (t *trial) put(m *metadatav1.Movie) *metadatav1.Movie {
	t.forgetFilm(m.GetId())
	return ask(t, t.at(Metadata).metadata().PutMovie, &metadatav1.PutMovieRequest{Movie: m}).GetMovie()
}

// forgetFilm deletes a film at the end of the trial, through any part that is reachable.
func (t *trial) forgetFilm(id string) {
	t.after(func(ctx context.Context) error {
		var err error
		switch {
		case len(t.sys.reachable(Metadata)) > 0:
			_, err = t.at(Metadata).metadata().DeleteMovie(ctx, &metadatav1.DeleteMovieRequest{Id: id})
		case len(t.sys.reachable(Movie)) > 0:
			_, err = t.at(Movie).movies().DeleteMovie(ctx, &moviev1.DeleteMovieRequest{Id: id})
		default:
			return errLeft("film "+id, t.deleteHTTP(ctx, "/v1/movies/"+segment(id)))
		}
		if status.Code(err) == codes.NotFound {
			return nil
		}
		return errLeft("film "+id, err)
	})
}

// rate rates through a rating instance, and has the rating taken back afterwards.
func (t *trial) rate(recordType, record, user string, value int32) *ratingv1.Rating {
	t.forgetRating(recordType, record, user)
	return t.rerate(recordType, record, user, value)
}

// rerate is rate for a rating that is taken back already.
func (t *trial) rerate(recordType, record, user string, value int32) *ratingv1.Rating {
	return ask(t, t.at(Rating).ratings().PutRating, &ratingv1.PutRatingRequest{
		RecordType: recordType, RecordId: record, UserId: user, Value: &value,
	}).GetRating()
}

// unrate takes a rating back.
func (t *trial) unrate(recordType, record, user string) {
	ask(t, t.at(Rating).ratings().DeleteRating, &ratingv1.DeleteRatingRequest{RecordType: recordType, RecordId: record, UserId: user})
}

// forgetRating deletes a rating at the end of the trial, through any part that is reachable.
func (t *trial) forgetRating(recordType, record, user string) {
	what := "rating of " + recordType + " " + record + " by " + user
	t.after(func(ctx context.Context) error {
		if len(t.sys.reachable(Rating)) > 0 {
			_, err := t.at(Rating).ratings().DeleteRating(ctx, &ratingv1.DeleteRatingRequest{RecordType: recordType, RecordId: record, UserId: user})
			return errLeft(what, err)
		}
		return errLeft(what, t.deleteHTTP(ctx, ratingPath(recordType, record, user)))
	})
}

// summary is a record's aggregate at a rating instance.
func (t *trial) summary(recordType, record string) *ratingv1.RatingSummary {
	return ask(t, t.at(Rating).ratings().GetRatingSummary, &ratingv1.GetRatingSummaryRequest{RecordType: recordType, RecordId: record}).GetSummary()
}

// summed ends the trial unless a record's aggregate is exactly that of these values.
func (t *trial) summed(recordType, record string, values ...int32) {
	s := t.summary(recordType, record)
	votes, sum, histogram := int32(len(values)), int32(0), make([]int32, 10)
	for _, v := range values {
		sum += v
		histogram[v-1]++
	}
	same(t, "votes", s.GetVotes(), votes)
	same(t, "histogram", s.GetHistogram(), histogram)
	t.near("mean", s.GetMean(), float64(sum)/float64(votes), 1e-9)
}

// unrated ends the trial if the record has ratings.
func (t *trial) unrated(recordType, record string) {
	refused(t, codes.NotFound, t.at(Rating).ratings().GetRatingSummary, &ratingv1.GetRatingSummaryRequest{RecordType: recordType, RecordId: record})
}

// rated returns one user's rating.
func (t *trial) rated(recordType, record, user string) *ratingv1.Rating {
	return ask(t, t.at(Rating).ratings().GetRating, &ratingv1.GetRatingRequest{RecordType: recordType, RecordId: record, UserId: user}).GetRating()
}

// deleteHTTP deletes what may be gone already.
func (t *trial) deleteHTTP(ctx context.Context, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, t.at(Gateway).base+path, nil)
	if err != nil {
		return err
	}
	resp, err := t.sys.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotFound {
		return fmt.Errorf("DELETE %s: %s", path, resp.Status)
	}
	return nil
}

// restMovie is a film as REST shows it, as far as scenarios look at it.
type restMovie struct {
	ID, Title, Director, RatingStatus, ETag string
	Year                                    int
	Genres                                  []string
	RatingSummary                           *restSummary
}

type restSummary struct {
	Mean, Weighted float64
	Votes          int
	Histogram      []int
	AsOfTime       string
}

// putFilm writes a film over REST and has it deleted afterwards.
func (t *trial) putFilm(id, body string, headers ...string) *answer {
	t.forgetFilm(id)
	return t.send(http.MethodPut, moviePath(id), body, headers...)
}

// rateHTTP rates over REST and has the rating taken back afterwards.
func (t *trial) rateHTTP(record, user string, value int) {
	t.forgetRating("movie", record, user)
	t.send(http.MethodPut, ratingPath("movie", record, user), fmt.Sprintf(`{"value":%d}`, value)).is(http.StatusOK)
}

// readFilm reads a film over REST.
func (t *trial) readFilm(id string) (m restMovie) {
	t.get(moviePath(id)).decode(&m)
	return m
}
