package client_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/client"
	"movieexample.com/data"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// TestLoadDemo loads the demo as it is. The race detector looks at how, not at how much: a tenth of it, in an eighth of the time,
// is the same code; the command's tests load all of it too, in a program built without the detector.
func TestLoadDemo(t *testing.T) {
	var opt client.DemoOptions
	ratings, often := int64(100_000), int32(300) // a film rated so often has about its level
	if raceDetector {
		ratings, often = 10_000, 60
		opt.Shrink(1_000, int(ratings))
	}
	s := startSystem(t)
	c := connect(t, s.addresses)
	films, err := data.Films()
	if err != nil {
		t.Fatal(err)
	}
	n := int64(len(films))
	phases := map[client.Phase]client.Progress{}
	opt.Progress = func(p client.Progress) { phases[p.Phase] = p }
	got, err := c.LoadDemo(t.Context(), opt)
	opt.Progress = nil
	if err != nil {
		t.Fatal(err)
	}
	if want := (client.FilmCounts{Read: n, Created: n}); got.Films != want || got.Ratings != ratings || got.AlreadyLoaded {
		t.Errorf("first load: %+v", got)
	}
	if got.Totals.Ratings != ratings || got.Totals.Records != n || got.Totals.GlobalMean < 6 || got.Totals.GlobalMean > 9 {
		t.Errorf("totals %+v", got.Totals)
	}
	if p := phases[client.PhaseRatings]; p.Rows != ratings || p.Done != p.Total {
		t.Errorf("progress of the ratings ended with %+v", p)
	}
	if audited, err := c.Audit(t.Context(), func(d client.Difference) { t.Errorf("difference %+v", d) }); err != nil || audited.Ratings != ratings {
		t.Errorf("audit %+v, error %v", audited, err)
	}
	popular := 0
	for _, f := range films {
		sum := s.summary(t, f.ID)
		if sum.GetVotes() < often {
			continue
		}
		popular++
		if spread := 3.5 / math.Sqrt(float64(often)); math.Abs(sum.GetMean()-f.Level) > spread {
			t.Errorf("%s has mean %.2f of %d ratings, and level %.2f", f.Title, sum.GetMean(), sum.GetVotes(), f.Level)
		}
	}
	if popular < 10 {
		t.Errorf("%d films have %d ratings or more", popular, often)
	}
	resp, err := s.metadata.GetMovie(t.Context(), &metadatav1.GetMovieRequest{Id: films[0].ID})
	if err != nil {
		t.Fatal(err)
	}
	if m := resp.GetMovie(); m.GetTitle() != films[0].Title || m.GetDescription() != films[0].Description || m.GetDirector() != films[0].Director ||
		int(m.GetYear()) != films[0].Year || int(m.GetRuntimeMinutes()) != films[0].RuntimeMinutes || m.GetExternalIds().GetImdb() != films[0].ID {
		t.Errorf("film %v", m)
	}

	again, err := c.LoadDemo(t.Context(), opt)
	if err != nil || !again.AlreadyLoaded || again.Films != (client.FilmCounts{Read: n, Unchanged: n}) {
		t.Errorf("second load: %+v, error %v", again, err)
	}

	// Once a demo rating is gone, the demo is loaded again; but what its user has done since then stays.
	rating := firstRating(t, s, films[0].ID)
	if _, err := s.ratings.DeleteRating(t.Context(), &ratingv1.DeleteRatingRequest{RecordType: "movie", RecordId: films[0].ID, UserId: rating.GetUserId()}); err != nil {
		t.Fatal(err)
	}
	again, err = c.LoadDemo(t.Context(), opt)
	if err != nil || again.AlreadyLoaded {
		t.Errorf("third load: %+v, error %v", again, err)
	}
	want := got.Totals
	want.Ratings--
	want.Sum -= int64(rating.GetValue())
	want.GlobalMean = float64(want.Sum) / float64(want.Ratings)
	if diff := cmp.Diff(want, again.Totals); diff != "" {
		t.Errorf("the same events again made a difference (-want +got):\n%s", diff)
	}
}

func firstRating(t testing.TB, s *system, id string) *ratingv1.Rating {
	t.Helper()
	resp, err := s.ratings.ListRecordRatings(t.Context(), &ratingv1.ListRecordRatingsRequest{RecordType: "movie", RecordId: id, PageSize: 1})
	if err != nil || len(resp.GetRatings()) == 0 {
		t.Fatalf("ratings of %s: %v, error %v", id, resp, err)
	}
	return resp.GetRatings()[0]
}
