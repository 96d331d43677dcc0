package clients_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"movieexample.com/test/clients/goclient"
)

// testWriters has many clients write one film at the same moment, each under the same condition: the services decide it where they
// write, so one of them succeeds, and what is there afterwards is what that one wrote.
func testWriters(t *testing.T, gateway string) {
	ctx := t.Context()
	c, err := goclient.NewClientWithResponses(gateway)
	if err != nil {
		t.Fatal(err)
	}
	const rounds, writers = 10, 12
	for round := range rounds {
		id := fmt.Sprint("client/written by many ", round)
		// put has all write under the condition, and returns the answer to the one who succeeded.
		put := func(what string, params goclient.PutMovieParams) *goclient.PutMovieResponse {
			t.Helper()
			answers := together(t, writers, func(w int) (*goclient.PutMovieResponse, error) {
				return c.PutMovieWithResponse(ctx, id, &params, goclient.MovieInput{Title: fmt.Sprint(what, " ", w)})
			})
			var winner *goclient.PutMovieResponse
			for w, a := range answers {
				switch {
				case a.JSON200 != nil && winner == nil && a.JSON200.Title == fmt.Sprint(what, " ", w):
					winner = a
				case a.ApplicationproblemJSON412 == nil:
					t.Fatalf("%s, writer %d: %d %s, want 412 for all but one", what, w, a.StatusCode(), a.Body)
				}
			}
			if winner == nil || winner.Headers200.ETag == nil {
				t.Fatalf("%s: no writer succeeded", what)
			}
			got, err := c.GetMovieWithResponse(ctx, id, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.JSON200 == nil || got.JSON200.Title != winner.JSON200.Title || got.JSON200.Etag != winner.JSON200.Etag {
				t.Fatalf("%s: there is %s, acknowledged was %s", what, got.Body, winner.Body)
			}
			return winner
		}
		created := put("create", goclient.PutMovieParams{IfNoneMatch: ptr("*")})
		put("replace", goclient.PutMovieParams{IfMatch: created.Headers200.ETag})

		deleted := 0
		for w, a := range together(t, writers, func(int) (*goclient.DeleteMovieResponse, error) {
			return c.DeleteMovieWithResponse(ctx, id, &goclient.DeleteMovieParams{IfMatch: ptr("*")})
		}) {
			switch a.StatusCode() {
			case http.StatusOK:
				deleted++
			case http.StatusNotFound:
			default:
				t.Errorf("delete, writer %d: %d %s", w, a.StatusCode(), a.Body)
			}
		}
		if deleted != 1 {
			t.Errorf("%d of %d deleted the film", deleted, writers)
		}
		late, err := c.PutMovieWithResponse(ctx, id, &goclient.PutMovieParams{IfMatch: ptr("*")}, goclient.MovieInput{Title: "late"})
		if err != nil {
			t.Fatal(err)
		}
		if late.ApplicationproblemJSON412 == nil {
			t.Errorf("replace what was deleted: %d %s, want 412", late.StatusCode(), late.Body)
		}
	}
}

// together makes n calls that begin at the same moment, and returns what they answered.
func together[A any](t *testing.T, n int, call func(i int) (A, error)) []A {
	t.Helper()
	var ready, done sync.WaitGroup
	ready.Add(n)
	answers, errs := make([]A, n), make([]error, n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			answers[i], errs[i] = call(i)
		})
	}
	done.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return answers
}
