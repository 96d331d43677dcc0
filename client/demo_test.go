package client_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/client"
	"movieexample.com/data"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

func TestLoadDemo(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	films, err := data.Films()
	if err != nil {
		t.Fatal(err)
	}
	n := int64(len(films))
	phases := map[client.Phase]client.Progress{}
	got, err := c.LoadDemo(t.Context(), client.DemoOptions{Progress: func(p client.Progress) { phases[p.Phase] = p }})
	if err != nil {
		t.Fatal(err)
	}
	if want := (client.FilmCounts{Read: n, Created: n}); got.Films != want || got.Ratings != 100_000 || got.AlreadyLoaded {
		t.Errorf("first load: %+v", got)
	}
	if got.Totals.Ratings != 100_000 || got.Totals.Records != n || got.Totals.GlobalMean < 6 || got.Totals.GlobalMean > 9 {
		t.Errorf("totals %+v", got.Totals)
	}
	if p := phases[client.PhaseRatings]; p.Rows != 100_000 || p.Done != p.Total {
		t.Errorf("progress of the ratings ended with %+v", p)
	}
	if audited, err := c.Audit(t.Context(), func(d client.Difference) { t.Errorf("difference %+v", d) }); err != nil || audited.Ratings != 100_000 {
		t.Errorf("audit %+v, error %v", audited, err)
	}
	// A film with many ratings has about its level.
	for _, f := range films {
		if sum := s.summary(t, f.ID); sum.GetVotes() >= 300 && (sum.GetMean() < f.Level-0.2 || sum.GetMean() > f.Level+0.2) {
			t.Errorf("%s has mean %.2f of %d ratings, and level %.2f", f.Title, sum.GetMean(), sum.GetVotes(), f.Level)
		}
	}
	resp, err := s.metadata.GetMovie(t.Context(), &metadatav1.GetMovieRequest{Id: films[0].ID})
	if err != nil {
		t.Fatal(err)
	}
	if m := resp.GetMovie(); m.GetTitle() != films[0].Title || m.GetDescription() != films[0].Description || m.GetDirector() != films[0].Director ||
		int(m.GetYear()) != films[0].Year || int(m.GetRuntimeMinutes()) != films[0].RuntimeMinutes || m.GetExternalIds().GetImdb() != films[0].ID {
		t.Errorf("film %v", m)
	}

	again, err := c.LoadDemo(t.Context(), client.DemoOptions{})
	if err != nil || !again.AlreadyLoaded || again.Films != (client.FilmCounts{Read: n, Unchanged: n}) {
		t.Errorf("second load: %+v, error %v", again, err)
	}

	// Once a demo rating is gone, the demo is loaded again; but what its user has done since then stays.
	rating := firstRating(t, s, films[0].ID)
	if _, err := s.ratings.DeleteRating(t.Context(), &ratingv1.DeleteRatingRequest{RecordType: "movie", RecordId: films[0].ID, UserId: rating.GetUserId()}); err != nil {
		t.Fatal(err)
	}
	again, err = c.LoadDemo(t.Context(), client.DemoOptions{})
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
