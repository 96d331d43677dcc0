package clients_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"movieexample.com/test/clients/goclient"
)

func ptr[T any](v T) *T { return &v }

// testGoClient does what an application does first, with the generated client and nothing else.
func testGoClient(t *testing.T, gateway string) {
	ctx := t.Context()
	c, err := goclient.NewClientWithResponses(gateway)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("read", func(t *testing.T) {
		got, err := c.GetMovieWithResponse(ctx, "tt0133093", nil)
		if err != nil {
			t.Fatal(err)
		}
		m := got.JSON200
		if m == nil || m.Title != "The Matrix" || m.Year == nil || *m.Year != 1999 || m.ExternalIds.Imdb != "tt0133093" {
			t.Fatalf("got %d %+v", got.StatusCode(), m)
		}
		if m.RatingStatus != goclient.MovieRatingStatusFresh || m.RatingSummary == nil || len(m.RatingSummary.Histogram) != 10 {
			t.Errorf("rating: %q %+v", m.RatingStatus, m.RatingSummary)
		}
	})

	t.Run("not modified", func(t *testing.T) {
		first, err := c.GetMovieWithResponse(ctx, "tt0110912", nil)
		if err != nil {
			t.Fatal(err)
		}
		if first.Headers200 == nil || first.Headers200.ETag == nil {
			t.Fatalf("got %d without an ETag", first.StatusCode())
		}
		again, err := c.GetMovieWithResponse(ctx, "tt0110912", &goclient.GetMovieParams{IfNoneMatch: first.Headers200.ETag})
		if err != nil {
			t.Fatal(err)
		}
		if again.StatusCode() != http.StatusNotModified || len(again.Body) != 0 {
			t.Errorf("with If-None-Match: %d with %d bytes, want 304 without a body", again.StatusCode(), len(again.Body))
		}
	})

	t.Run("search", func(t *testing.T) {
		got, err := c.SearchMoviesWithResponse(ctx, &goclient.SearchMoviesParams{Q: "matirx"})
		if err != nil {
			t.Fatal(err)
		}
		if got.JSON200 == nil || len(got.JSON200.Hits) == 0 {
			t.Fatalf("matirx finds nothing: %d %s", got.StatusCode(), got.Body)
		}
		hit := got.JSON200.Hits[0]
		var title strings.Builder
		for _, piece := range hit.TitlePieces {
			title.WriteString(piece.Text)
		}
		if hit.Movie.Title != "The Matrix" || title.String() != hit.Movie.Title || hit.Match != goclient.SearchHitMatchSpelling {
			t.Errorf("matirx finds %q (%q) by %q", hit.Movie.Title, title.String(), hit.Match)
		}
	})

	t.Run("pages", func(t *testing.T) {
		seen := map[string]bool{}
		params := &goclient.ListMoviesParams{PageSize: ptr(int32(50)), OrderBy: ptr(goclient.ListMoviesParamsOrderByYearDesc)}
		for pages := 0; ; pages++ {
			got, err := c.ListMoviesWithResponse(ctx, params)
			if err != nil {
				t.Fatal(err)
			}
			if got.JSON200 == nil || pages > 20 {
				t.Fatalf("page %d: %d %s", pages, got.StatusCode(), got.Body)
			}
			for _, m := range got.JSON200.Movies {
				if seen[m.Id] {
					t.Fatalf("%s is on two pages", m.Id)
				}
				seen[m.Id] = true
			}
			next := got.JSON200.NextPageToken
			if link := got.Headers200.Link; (link != nil) != (next != "") || link != nil && !strings.Contains(*link, `rel="next"`) {
				t.Errorf("page %d: next page token %q, Link %v", pages, next, link)
			}
			if next == "" {
				break
			}
			params.PageToken = &next
		}
		if len(seen) < films {
			t.Errorf("the pages show %d films, the demo has %d", len(seen), films)
		}
	})

	t.Run("rate", func(t *testing.T) {
		const user = "a client/1 ü"
		put, err := c.PutRatingWithResponse(ctx, "movie", "tt0133093", user, nil, goclient.PutRatingRequest{Value: 8})
		if err != nil {
			t.Fatal(err)
		}
		if put.JSON200 == nil || put.JSON200.Value != 8 || put.JSON200.UserId != user {
			t.Fatalf("put: %d %s", put.StatusCode(), put.Body)
		}
		got, err := c.GetRatingWithResponse(ctx, "movie", "tt0133093", user, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.JSON200 == nil || *got.JSON200 != *put.JSON200 {
			t.Fatalf("read back %+v, put %+v", got.JSON200, put.JSON200)
		}
		if gone, err := c.DeleteRatingWithResponse(ctx, "movie", "tt0133093", user); err != nil || gone.StatusCode() != http.StatusOK {
			t.Fatalf("delete: %v %s", err, gone.Body)
		}
		after, err := c.GetRatingWithResponse(ctx, "movie", "tt0133093", user, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p := after.ApplicationproblemJSON404; p == nil || p.Type != "/problems/not-found" || p.Detail == "" {
			t.Errorf("after the delete: %d %s", after.StatusCode(), after.Body)
		}
	})

	t.Run("bad request", func(t *testing.T) {
		got, err := c.PutRatingWithResponse(ctx, "movie", "tt0133093", "u", nil, goclient.PutRatingRequest{Value: 11})
		if err != nil {
			t.Fatal(err)
		}
		p := got.ApplicationproblemJSON400
		if p == nil || p.Type != "/problems/invalid-argument" || p.Errors == nil || (*p.Errors)[0].Field != "value" {
			t.Errorf("a rating of 11: %d %s", got.StatusCode(), got.Body)
		}
	})

	t.Run("concurrent change", func(t *testing.T) {
		put := func(title string, params *goclient.PutMovieParams) *goclient.PutMovieResponse {
			t.Helper()
			got, err := c.PutMovieWithResponse(ctx, "client/film 1", params, goclient.MovieInput{Title: title})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		first := put("First", &goclient.PutMovieParams{IfNoneMatch: ptr("*")})
		if first.JSON200 == nil || first.Headers200.ETag == nil {
			t.Fatalf("create: %d %s", first.StatusCode(), first.Body)
		}
		if second := put("First", &goclient.PutMovieParams{IfNoneMatch: ptr("*")}); second.ApplicationproblemJSON412 == nil {
			t.Errorf("create again: %d %s, want 412", second.StatusCode(), second.Body)
		}
		if third := put("Second", &goclient.PutMovieParams{IfMatch: first.Headers200.ETag}); third.JSON200 == nil || third.JSON200.Title != "Second" {
			t.Errorf("replace: %d %s", third.StatusCode(), third.Body)
		}
		late := put("Third", &goclient.PutMovieParams{IfMatch: first.Headers200.ETag})
		if p := late.ApplicationproblemJSON412; p == nil || p.Type != "/problems/precondition-failed" || p.Status != http.StatusPreconditionFailed {
			t.Errorf("replace what was replaced: %d %s, want 412", late.StatusCode(), late.Body)
		}
		if gone, err := c.DeleteMovieWithResponse(ctx, "client/film 1", nil); err != nil || gone.StatusCode() != http.StatusOK {
			t.Errorf("delete: %v %s", err, gone.Body)
		}
	})

	t.Run("fields", func(t *testing.T) {
		got, err := c.ListChartWithResponse(ctx, goclient.Top, &goclient.ListChartParams{PageSize: ptr(int32(3)), Fields: ptr("entries.rank,entries.movie.title")})
		if err != nil {
			t.Fatal(err)
		}
		if got.JSON200 == nil || len(got.JSON200.Entries) != 3 || strings.Contains(string(got.Body), "nextPageToken") {
			t.Fatalf("got %d %s", got.StatusCode(), got.Body)
		}
		if !slices.IsSortedFunc(got.JSON200.Entries, func(a, b goclient.ChartEntry) int { return int(a.Rank - b.Rank) }) || got.JSON200.Entries[0].Movie.Title == "" {
			t.Errorf("entries: %+v", got.JSON200.Entries)
		}
	})
}
