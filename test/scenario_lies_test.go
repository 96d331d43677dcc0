package test

import (
	"cmp"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"movieexample.com/client/verify"
	"movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// lie is a system that breaks one promise, and the scenarios that must notice: all of those, and no others. Each is named by the
// beginning of its promise.
type lie struct {
	name   string
	part   verify.Part
	grpc   grpcLie
	loses  bool // request ids, on gRPC
	asks   func(*http.Request)
	tells  func(*http.Response) error
	broken []string
}

func grpcLies() []lie {
	return []lie{
		{name: "nothing", part: verify.Metadata, grpc: honest},
		{
			name: "a film is not deleted, but said to be", part: verify.Metadata,
			grpc: undone("v1.MetadataService/DeleteMovie", &metadatav1.DeleteMovieResponse{}),
			broken: []string{
				"A film is written over only the version that expected_etag", // which a delete names too
				"A deleted film is gone by id",
				"A missing film is NOT_FOUND",
				"A deleted film is no longer found",
				"A film put, changed or deleted at the metadata service",
			},
		},
		{
			name: "search knows no other spelling", part: verify.Metadata,
			grpc: altered("v1.MetadataService/SearchMovies", func(a *metadatav1.SearchMoviesResponse) {
				a.Hits = slices.DeleteFunc(a.GetHits(), func(h *metadatav1.SearchMoviesResponse_Hit) bool {
					return h.GetKind() == metadatav1.MatchKind_MATCH_KIND_SPELLING
				})
			}),
			broken: []string{"A film is found with one typo"},
		},
		{name: "a bad page token begins at the first page", part: verify.Metadata, grpc: lenientTokens, broken: []string{"A page token that was altered, or that belongs to another query, is refused"}},
		{
			name: "a film loses its description", part: verify.Metadata,
			grpc:   altered("v1.MetadataService/GetMovie", func(a *metadatav1.GetMovieResponse) { a.GetMovie().Description = "" }),
			broken: []string{"A film that was put is read back whole"},
		},
		{
			name: "a service is not serving", part: verify.Metadata,
			grpc: altered("Health/Check", func(a *healthpb.HealthCheckResponse) {
				a.Status = healthpb.HealthCheckResponse_NOT_SERVING
			}),
			broken: []string{"The metadata service says over grpc.health.v1"},
		},
		{name: "request ids are lost", part: verify.Rating, grpc: honest, loses: true, broken: []string{"A request id that is sent to the rating service"}},
		{
			name: "a rating is not taken back, but said to be", part: verify.Rating,
			grpc: undone("v1.RatingService/DeleteRating", &ratingv1.DeleteRatingResponse{}),
			broken: []string{
				"A deleted rating is gone", "Deleting is idempotent", "Ratings of one record id under different record types",
				"The totals of a record type", "A rating acknowledged by one rating instance", "An event that is older than a synchronous rating",
				"A synchronous rating replaces one from the future",
			},
		},
		{
			name: "one vote too many in all", part: verify.Rating,
			grpc:   altered("v1.RatingService/GetTotals", func(a *ratingv1.GetTotalsResponse) { a.Ratings++ }),
			broken: []string{"The totals of a record type", "The top chart has only records", "The charts of films keep their own rule"},
		},
		{name: "times of ratings are those of yesterday's clock", part: verify.Rating, grpc: stoppedClock, broken: []string{
			"An acknowledged rating is read back", "Each rating of a user has a later time", "A synchronous rating replaces one from the future",
		}},
		{
			name: "the order of a record's ratings", part: verify.Rating,
			grpc:   altered("v1.RatingService/ListRecordRatings", func(a *ratingv1.ListRecordRatingsResponse) { slices.Reverse(a.GetRatings()) }),
			broken: []string{"A walk over a record's ratings"},
		},
		{
			name: "another weight of the prior", part: verify.Rating,
			grpc:   altered("v1.RatingService/ListChart", func(a *ratingv1.ListChartResponse) { a.MinVotes++ }),
			broken: []string{"The top chart has only records", "The popular chart ranks", "The charts of films keep their own rule"},
		},
		{
			name: "every dead letter twice", part: verify.Rating,
			grpc: altered("/ListDeadLetters", func(a *ratingv1.ListDeadLettersResponse) {
				a.DeadLetters = append(a.GetDeadLetters(), a.GetDeadLetters()...)
			}),
			broken: []string{"A bad event becomes one dead letter", "A bad event does not block", "A dead letter that is replayed", "A dead letter that is dropped"},
		},
		{
			name: "dead letters without a reason", part: verify.Rating,
			grpc: altered("/ListDeadLetters", func(a *ratingv1.ListDeadLettersResponse) {
				for _, d := range a.GetDeadLetters() {
					d.Reason = ""
				}
			}),
			broken: []string{"A bad event becomes one dead letter"},
		},
		{
			name: "an audit that finds something", part: verify.Rating,
			grpc: altered("/AuditAggregates", func(a *ratingv1.AuditAggregatesResponse) {
				a.Differences = append(a.GetDifferences(), &ratingv1.AuditAggregatesResponse_Difference{Field: "votes", Stored: 2, Recomputed: 1})
			}),
			broken: []string{"Every aggregate equals what its ratings give"},
		},
		{
			name: "no ratings are a 0 in the old API", part: verify.Rating,
			grpc:   unrefused("/RatingService/GetAggregatedRating", codes.NotFound, &book.GetAggregatedRatingResponse{}),
			broken: []string{"Ratings beyond 1 to 10, empty ids"},
		},
		{
			name: "the old API rounds", part: verify.Movie,
			grpc: altered("/MovieService/GetMovieDetails", func(a *book.GetMovieDetailsResponse) {
				a.GetMovieDetails().Rating = math.Round(a.GetMovieDetails().GetRating())
			}),
			broken: []string{"The details of a film are its metadata and its mean"},
		},
		{
			name: "an unrated film has zeros", part: verify.Movie,
			grpc: altered("v1.MovieService/GetMovie", func(a *moviev1.GetMovieResponse) {
				if m := a.GetMovie(); m.GetRatingSummary() == nil {
					m.RatingStatus, m.RatingSummary = "fresh", &moviev1.RatingSummary{}
				}
			}),
			broken: []string{"A film without ratings says so"},
		},
		{
			name: "reflection hides the old API", part: verify.Movie,
			grpc: altered("ServerReflectionInfo", func(a *reflectionpb.ServerReflectionResponse) {
				list := a.GetListServicesResponse()
				list.Service = slices.DeleteFunc(list.GetService(), func(s *reflectionpb.ServiceResponse) bool { return s.GetName() == "MovieService" })
			}),
			broken: []string{"Reflection lists our own and the book API of the movie service"},
		},
		{name: "the numbers of a film stay as they were first", part: verify.Movie, grpc: frozenNumbers(), broken: []string{"A rating acknowledged by one rating instance"}},
	}
}

// lenientTokens starts over if a page token is refused.
func lenientTokens(method string, request []byte, forward func([]byte) ([]byte, error)) ([]byte, error) {
	data, err := forward(request)
	if !strings.HasSuffix(method, "v1.MetadataService/ListMovies") || status.Code(err) != codes.InvalidArgument {
		return data, err
	}
	q := new(metadatav1.ListMoviesRequest)
	if err := proto.Unmarshal(request, q); err != nil {
		return nil, err
	}
	q.PageToken = ""
	if request, err = proto.Marshal(q); err != nil {
		return nil, err
	}
	return forward(request)
}

// stoppedClock says of every rating that it was given at the same moment of this minute.
func stoppedClock(method string, request []byte, forward func([]byte) ([]byte, error)) ([]byte, error) {
	return altered("v1.RatingService/PutRating", func(a *ratingv1.PutRatingResponse) {
		a.GetRating().GetRatedAt().Nanos = 0
		a.GetRating().GetRatedAt().Seconds -= a.GetRating().GetRatedAt().GetSeconds() % 30
	})(method, request, forward)
}

// frozenNumbers answers with the first numbers that a film had.
func frozenNumbers() grpcLie {
	var mu sync.Mutex
	first := map[string]*moviev1.RatingSummary{}
	return altered("v1.MovieService/GetMovie", func(a *moviev1.GetMovieResponse) {
		mu.Lock()
		defer mu.Unlock()
		m := a.GetMovie()
		if first[m.GetId()] == nil {
			first[m.GetId()] = m.GetRatingSummary()
		}
		m.RatingSummary = first[m.GetId()]
	})
}

func httpLies() []lie {
	without := func(name string, when func(*http.Response) bool) func(*http.Response) error {
		return func(r *http.Response) error {
			if when == nil || when(r) {
				r.Header.Del(name)
			}
			return nil
		}
	}
	return []lie{
		{name: "nothing"},
		{name: "no ETags", tells: without("ETag", nil), broken: []string{
			"A film that was PUT is what GET", "A read with the ETag", "A PUT or DELETE with an old version", "gzip and zstd", "A page has an ETag",
		}},
		{name: "If-Match is ignored", asks: func(r *http.Request) { r.Header.Del("If-Match") }, broken: []string{
			"A PUT or DELETE with an old version", "The type of every problem",
		}},
		{name: "If-None-Match is ignored", asks: func(r *http.Request) { r.Header.Del("If-None-Match") }, broken: []string{
			"A read with the ETag", "Of several creations of a film with If-None-Match", "A page has an ETag",
		}},
		{name: "405 without Allow", tells: without("Allow", func(r *http.Response) bool { return r.StatusCode == http.StatusMethodNotAllowed }), broken: []string{"OPTIONS and 405"}},
		{name: "no Link", tells: without("Link", nil), broken: []string{"A walk along the Link headers"}},
		{name: "errors may be cached", tells: func(r *http.Response) error {
			if r.StatusCode == http.StatusNotFound {
				r.Header.Set("Cache-Control", "max-age=60")
			}
			return nil
		}, broken: []string{"Reads are revalidated"}},
		{name: "problems of no type", tells: rewritten(func(_ *http.Response, body string) string {
			return strings.Replace(body, `"type":"/problems/`, `"type":"/trouble/`, 1)
		}), broken: []string{"The type of every problem"}},
		{name: "another request id", tells: func(r *http.Response) error {
			r.Header.Set("X-Request-Id", "always-the-same")
			return nil
		}, broken: []string{"A request id is returned, in errors too, and an invalid one"}},
		{name: "unknown parameters are ignored", asks: func(r *http.Request) {
			q := r.URL.Query()
			q.Del("page_sise")
			r.URL.RawQuery = q.Encode()
		}, broken: []string{"An unknown query parameter"}},
		{name: "pages do not say as of when they are", tells: rewritten(func(_ *http.Response, body string) string {
			return strings.ReplaceAll(body, "As of <time", "Some <time")
		}), broken: []string{"A film's page shows", "The page of the top chart"}},
		{name: "pages do not escape", tells: rewritten(func(r *http.Response, body string) string {
			if strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
				return strings.ReplaceAll(body, "&lt;script", "<script")
			}
			return body
		}), broken: []string{"User input is text"}},
		{name: "who rates sees it later", tells: late(), broken: []string{"A rating through the gateway shows in the next read"}},
		{name: "an operation that is not there", tells: rewritten(func(r *http.Response, body string) string {
			if r.Request.URL.Path == "/openapi.json" {
				return strings.Replace(body, `"/v1/stats"`, `"/v1/statistics"`, 1)
			}
			return body
		}), broken: []string{"/openapi.json is OpenAPI 3.1"}},
	}
}

// late answers a read of a film for a while with what it has answered before, which is what a cache does that knows of no writes.
func late() func(*http.Response) error {
	type answer struct {
		body string
		at   time.Time
	}
	var mu sync.Mutex
	kept := map[string]answer{}
	return rewritten(func(r *http.Response, body string) string {
		if r.Request.Method != http.MethodGet || !strings.HasPrefix(r.Request.URL.Path, "/v1/movies/") || r.StatusCode != http.StatusOK || !strings.Contains(body, `"ratingStatus"`) {
			return body
		}
		mu.Lock()
		defer mu.Unlock()
		before, ok := kept[r.Request.URL.Path]
		sameFilm := ok && beforeRatings(before.body) == beforeRatings(body)
		if sameFilm && time.Since(before.at) < time.Second {
			return before.body
		}
		kept[r.Request.URL.Path] = answer{body, time.Now()}
		return body
	})
}

// beforeRatings is the part of a film that ratings do not change.
func beforeRatings(body string) string {
	before, _, _ := strings.Cut(body, `"rating`)
	_, etag, _ := strings.Cut(body, `"etag":`)
	return before + etag
}

// everyBystander set to anything asks, behind each lie, every scenario that the lie could concern. By default it is the ones that must
// notice and a share of the others, which takes turns from lie to lie: all together they are ten times the whole suite.
const everyBystander = "MOVIEEXAMPLE_TEST_ALL_LIES"

// bystanders is one in how many of the scenarios that must not notice a lie are asked behind it.
const bystanders = 5

// testLies puts the system behind proxies that break one promise each, and wants exactly the scenarios that are about it to fail.
// Much of it is waiting for what does not come, so many are asked at the same time, however few processors there are.
func testLies(t *testing.T, targets verify.Targets) {
	lies := slices.Concat(grpcLies(), httpLies())
	reports := make([]*verify.Report, len(lies))
	slots := make(chan struct{}, liesAtOnce)
	var asked sync.WaitGroup
	for i := range lies {
		l := &lies[i]
		l.part = cmp.Or(l.part, verify.Gateway)
		system := open(t, l.before(t, targets))
		all, turn := len(l.broken) == 0 || os.Getenv(everyBystander) != "", i
		only := func(s verify.Scenario) bool {
			if !s.Touches(l.part) {
				return false
			}
			turn++
			return all || l.breaks(s.Promise) >= 0 || turn%bystanders == 0
		}
		asked.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			reports[i] = system.Run(t.Context(), verify.Options{Only: only, Slack: testSlack, Parallel: 4})
		})
	}
	asked.Wait()
	for i, l := range lies {
		t.Run(string(l.part)+"/"+l.name, func(t *testing.T) { l.judge(t, reports[i]) })
	}
}

// liesAtOnce is how many lies are told at a time.
const liesAtOnce = 8

// before starts the proxy that lies, and returns the addresses of the system behind it.
func (l *lie) before(t *testing.T, targets verify.Targets) verify.Targets {
	t.Helper()
	liar := &grpcLiar{lie: l.grpc, keepIDs: !l.loses}
	switch l.part {
	case verify.Gateway:
		targets.Gateways = []string{httpLiar(t, targets.Gateways[0], l.asks, l.tells)}
	case verify.Metadata:
		targets.Metadata = []string{liar.start(t, targets.Metadata[0])}
	case verify.Rating:
		targets.Rating = []string{liar.start(t, targets.Rating[0])}
	case verify.Movie:
		targets.Movie = []string{liar.start(t, targets.Movie[0])}
	}
	return targets
}

// judge wants the scenarios that are about the lie to fail, each with a text, and the others to hold.
func (l *lie) judge(t *testing.T, report *verify.Report) {
	missed := slices.Clone(l.broken)
	for _, r := range report.Results {
		at := l.breaks(r.Promise)
		switch {
		case r.Outcome == verify.Fails && at >= 0:
			missed[at] = ""
			if f := r.Failure; f.Asked == "" || f.Got == "" || f.Promised == "" {
				t.Errorf("a failure that does not explain itself: %s", describe(r))
			}
		case r.Outcome != verify.Holds:
			t.Errorf("%s: %s", r.Outcome, describe(r))
		}
	}
	for _, m := range missed {
		if m != "" {
			t.Errorf("holds anyway, or does not exist: %s", m)
		}
	}
}

// breaks returns which of the broken promises it is, or -1.
func (l *lie) breaks(promise string) int {
	return slices.IndexFunc(l.broken, func(begin string) bool { return strings.HasPrefix(promise, begin) })
}
