package metadata_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/sqldb/faultdriver"
	"movieexample.com/internal/sqldb/sqltest"
)

// Whichever database operation fails, and however it fails: the tables agree with each other, a failed call
// wrote nothing, and a retry succeeds with the right result. A lost connection and an
// unconfirmed commit are not failures: the service finds out whether the write was stored.
func TestEveryOperationMayFail(t *testing.T) {
	imdb := func(m *metadatav1.Movie, id string) *metadatav1.Movie {
		m.ExternalIds = &metadatav1.ExternalIds{Imdb: id}
		return m
	}
	scenarios := map[string]struct {
		call  func(t *testing.T, c *catalogue) error
		want  []*metadatav1.Movie // the catalogue afterwards
		votes map[string]int32    // and the votes, before which there are {"other": 1}
	}{
		"create": {
			func(t *testing.T, c *catalogue) error {
				_, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: imdb(film("new", "New"), "tt0000003")})
				return err
			},
			[]*metadatav1.Movie{matrix(), imdb(film("new", "New"), "tt0000003"), film("other", "Other")},
			nil,
		},
		"replace": {
			func(t *testing.T, c *catalogue) error {
				_, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: with(matrix(), func(m *metadatav1.Movie) {
					m.Title, m.Year, m.Genres, m.ExternalIds = "The Matrix", proto.Int32(2000), []string{"Drama", "Action"}, &metadatav1.ExternalIds{Tmdb: "604"}
				})})
				return err
			},
			[]*metadatav1.Movie{with(matrix(), func(m *metadatav1.Movie) {
				m.Title, m.OriginalTitle, m.Year = "The Matrix", "", proto.Int32(2000)
				m.Genres, m.ExternalIds = []string{"Drama", "Action"}, &metadatav1.ExternalIds{Tmdb: "604"}
			}), film("other", "Other")},
			nil,
		},
		"batch": {
			func(t *testing.T, c *catalogue) error {
				_, err := c.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{
					Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL,
					Movies: []*metadatav1.Movie{
						film("a", "A"), film("tt0133093", "Matriks"), imdb(film("other", "Other"), "tt0000009"), imdb(film("b", "B"), "tt0133093"), film("c", "C"),
					},
				})
				return err
			},
			[]*metadatav1.Movie{film("a", "A"), film("c", "C"), with(matrix(), func(m *metadatav1.Movie) {
				m.AlternativeTitles = append(m.AlternativeTitles, "Matriks")
			}), imdb(film("other", "Other"), "tt0000009")},
			nil,
		},
		"book": {
			func(t *testing.T, c *catalogue) error {
				_, err := c.book.PutMetadata(t.Context(), &book.PutMetadataRequest{Metadata: &book.Metadata{Id: "other", Title: "Others"}})
				return err
			},
			[]*metadatav1.Movie{matrix(), film("other", "Others")},
			nil,
		},
		"delete": {
			func(t *testing.T, c *catalogue) error {
				_, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "tt0133093"})
				return err
			},
			[]*metadatav1.Movie{film("other", "Other")},
			nil,
		},
		"read": {
			func(t *testing.T, c *catalogue) error {
				if _, err := c.GetMovie(t.Context(), &metadatav1.GetMovieRequest{Id: "other"}); err != nil {
					return err
				}
				if _, err := c.BatchGetMovies(t.Context(), &metadatav1.BatchGetMoviesRequest{Ids: []string{"other", "none"}}); err != nil {
					return err
				}
				if _, err := c.SelectMovies(t.Context(), &metadatav1.SelectMoviesRequest{Ids: []string{"other", "none"}}); err != nil {
					return err
				}
				if _, err := c.LookupMovie(t.Context(), &metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_TmdbId{TmdbId: "603"}}); err != nil {
					return err
				}
				if _, err := c.SearchMovies(t.Context(), &metadatav1.SearchMoviesRequest{Query: "other"}); err != nil {
					return err
				}
				if _, err := c.SuggestMovies(t.Context(), &metadatav1.SuggestMoviesRequest{Query: "other"}); err != nil {
					return err
				}
				if _, err := c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{Id: "other"}); err != nil {
					return err
				}
				_, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{Order: byYearDesc, PageSize: 1})
				return err
			},
			[]*metadatav1.Movie{matrix(), film("other", "Other")},
			nil,
		},
		"votes": {
			func(t *testing.T, c *catalogue) error {
				_, err := c.SyncVotes(t.Context(), &metadatav1.SyncVotesRequest{
					AfterId: "a", Votes: []*metadatav1.SyncVotesRequest_MovieVotes{{MovieId: "none", Votes: 3}, {MovieId: "tt0133093", Votes: 278}},
				})
				return err
			},
			[]*metadatav1.Movie{matrix(), film("other", "Other")},
			map[string]int32{"none": 3, "tt0133093": 278},
		},
	}
	template := storedBefore(t)
	votesBefore := map[string]int32{"other": 1}
	for name, sc := range scenarios {
		if sc.votes == nil {
			sc.votes = votesBefore
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, n, failed, settled := template.Copies(t), 0, 0, 0
			for plan := range faultdriver.Sweep(faultdriver.Modes()...) {
				n++
				t.Run(fmt.Sprint(n), func(t *testing.T) { // closes the database at its end
					c := openCatalogue(t, next(), plan.Wrap)
					before := stateOf(t, c)

					plan.Start()
					err := sc.call(t, c)
					plan.Stop()

					checkTables(t, c.db)
					after := stateOf(t, c)
					checkFeed(t, before, after)
					switch code := status.Code(err); {
					case err == nil:
						wantCatalogue(t, plan, c, sc.want, sc.votes)
						if strings.Contains(plan.String(), ": commit") {
							settled++
						}
					case code == codes.Unavailable || code == codes.Internal:
						failed++
						if !before.equal(after) {
							t.Errorf("%v: the call failed with %v, but changed the catalogue", plan, err)
						}
					default:
						t.Errorf("%v: the call failed with %v", plan, err)
					}
					if err != nil {
						if err := sc.call(t, c); err != nil {
							t.Errorf("%v: calling again: %v", plan, err)
						}
						wantCatalogue(t, plan, c, sc.want, sc.votes)
					}
				})
				if t.Failed() {
					return
				}
			}
			writes := name != "read"
			if failed < 10 || writes && settled != len(faultdriver.Modes()) || n < 20 {
				t.Errorf("%d runs, %d failed calls, %d commits that were settled: the faults did not hit", n, failed, settled)
			}
		})
	}
}

// The visible effect of an unconfirmed commit may not be on disk yet: a server that is killed then has lost it. So a write is
// acknowledged only after a later commit was confirmed.
func TestLostAnswerIsConfirmedByACommit(t *testing.T) {
	for _, mode := range []faultdriver.Mode{faultdriver.ErrorAfter, faultdriver.LostAfter} {
		t.Run(mode.String(), func(t *testing.T) {
			plan := &faultdriver.Plan{N: 1, Mode: mode, Ops: []faultdriver.Op{faultdriver.Commit}, Writer: true}
			c := openCatalogue(t, sqltest.URL(t), plan.Wrap)
			plan.Start()
			_, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: matrix()})
			plan.Stop()
			if err != nil || !plan.Fired() {
				t.Fatalf("put: %v; fired %v", err, plan.Fired())
			}
			changes, last := feed(t, c.db)
			if number := changes[matrix().GetId()]; number == 0 || last <= number {
				t.Errorf("the film has the number %d, the last one is %d: nothing was written after the commit without an answer", number, last)
			}
		})
	}
}

// storedBefore is a catalogue with two films: copying it is faster than writing it.
func storedBefore(t *testing.T) *sqltest.Template {
	t.Helper()
	return sqltest.NewTemplate(t, func(url string) {
		t.Run("prepare", func(t *testing.T) { // closes the database at its end
			c := openCatalogue(t, url, nil)
			wantOutcomes(t, c.replace(t, matrix(), film("other", "Other")), created, created)
			if _, err := c.SyncVotes(t.Context(), &metadatav1.SyncVotesRequest{Votes: []*metadatav1.SyncVotesRequest_MovieVotes{{MovieId: "other", Votes: 1}}}); err != nil {
				t.Fatal(err)
			}
		})
	})
}

func snapshot(t *testing.T, c *catalogue) []*metadatav1.Movie {
	t.Helper()
	resp, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{PageSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetMovies()
}

// state is what a catalogue has stored.
type state struct {
	movies  map[string]*metadatav1.Movie
	votes   map[string]int32
	changes map[string]int64
	last    int64
}

func stateOf(t *testing.T, c *catalogue) state {
	t.Helper()
	s := state{movies: map[string]*metadatav1.Movie{}, votes: votes(t, c.db)}
	for _, m := range snapshot(t, c) {
		s.movies[m.GetId()] = m
	}
	s.changes, s.last = feed(t, c.db)
	return s
}

// equal ignores the feed, which checkFeed checks.
func (s state) equal(o state) bool {
	return maps.Equal(s.votes, o.votes) && maps.EqualFunc(s.movies, o.movies, func(a, b *metadatav1.Movie) bool { return proto.Equal(a, b) })
}

// checkFeed checks that the feed has every changed film, and no other.
func checkFeed(t *testing.T, before, after state) {
	t.Helper()
	all := maps.Clone(before.changes)
	maps.Copy(all, after.changes)
	for id := range all {
		changed := !proto.Equal(before.movies[id], after.movies[id])
		if number := after.changes[id]; changed && number <= before.last || !changed && number != before.changes[id] {
			t.Errorf("%q: changed: %t; number before %d, now %d; the last one before was %d", id, changed, before.changes[id], number, before.last)
		}
	}
}

func wantCatalogue(t *testing.T, plan *faultdriver.Plan, c *catalogue, want []*metadatav1.Movie, wantVotes map[string]int32) {
	t.Helper()
	checkTables(t, c.db)
	if diff := cmp.Diff(wantVotes, votes(t, c.db)); diff != "" {
		t.Errorf("%v: votes (-want +got):\n%s", plan, diff)
	}
	got := snapshot(t, c)
	if len(got) != len(want) {
		t.Errorf("%v: the catalogue has %v", plan, ids(got))
		return
	}
	for i := range want {
		wantMovie(t, got[i], want[i])
	}
	if t.Failed() {
		t.Errorf("after %v", plan)
	}
}
