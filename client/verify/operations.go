package verify

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// operationScenarios are about what operators and their machines see.
func operationScenarios() []Scenario {
	all := []Scenario{
		{Area: AreaOperations, Door: Rating, Promise: "Every aggregate equals what its ratings give (audit, for at most three seconds).", ask: auditClean},
		{Area: AreaOperations, Door: Rating, Promise: "The positions of ingestion are known, and no partition is halted.", ask: ingestionGoesOn},
		{Area: AreaOperations, Door: Rating, Promise: "Ratings are exported in order, page after page.", ask: exportInOrder},
		{Area: AreaOperations, Door: Admin, Promise: "The process is alive and ready, and lists its checks.", ask: adminReady},
		{Area: AreaOperations, Door: Admin, Promise: "There are metrics for Prometheus, and the build has a version.", ask: adminMetrics},
	}
	for _, p := range []Part{Metadata, Rating, Movie} {
		all = append(all,
			Scenario{Area: AreaOperations, Door: p, Promise: "The " + string(p) + " service says over grpc.health.v1 that it serves.", ask: healthServing},
			Scenario{Area: AreaOperations, Door: p, Promise: "Reflection lists our own and the book API of the " + string(p) + " service.", ask: reflectionLists},
			Scenario{Area: AreaOperations, Door: p, Promise: "A request id that is sent to the " + string(p) + " service comes back, in errors too; without one it makes one.", ask: requestIDComesBack},
			Scenario{Area: AreaOperations, Door: p, Promise: "The " + string(p) + " service keeps a caller's deadline: what comes too late is DEADLINE_EXCEEDED at once.", ask: deadlineKept},
		)
	}
	return all
}

func healthServing(t *trial) {
	got := ask(t, healthpb.NewHealthClient(t.door.conn).Check, &healthpb.HealthCheckRequest{})
	same(t, "the status", got.GetStatus(), healthpb.HealthCheckResponse_SERVING)
}

func reflectionLists(t *trial) {
	want := map[Part][]string{
		Metadata: {"movieexample.metadata.v1.MetadataService", "MetadataService"},
		Rating:   {"movieexample.rating.v1.RatingService", "movieexample.rating.v1.RatingAdminService", "RatingService"},
		Movie:    {"movieexample.movie.v1.MovieService", "MovieService"},
	}[t.door.part]
	t.asking("reflection: list the services")
	ctx, cancel := context.WithTimeout(t.ctx, callTimeout)
	defer cancel()
	stream, err := reflectionpb.NewServerReflectionClient(t.door.conn).ServerReflectionInfo(ctx)
	if err == nil {
		err = stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	}
	var answer *reflectionpb.ServerReflectionResponse
	if err == nil {
		answer, err = stream.Recv()
	}
	t.must(err == nil, "an answer", "%v", err)
	var got []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		got = append(got, s.GetName())
	}
	for _, name := range want {
		t.must(slices.Contains(got, name), "the service "+name, "%v", got)
	}
}

// readNothing asks a service for something that does not exist, which costs little.
func (t *trial) readNothing(ctx context.Context, opts ...grpc.CallOption) error {
	id := t.id + "-none"
	var err error
	switch t.door.part {
	case Metadata:
		_, err = t.door.metadata().GetMovie(ctx, &metadatav1.GetMovieRequest{Id: id}, opts...)
	case Movie:
		_, err = t.door.movies().GetMovie(ctx, &moviev1.GetMovieRequest{Id: id}, opts...)
	default:
		_, err = t.door.ratings().GetRatingSummary(ctx, &ratingv1.GetRatingSummaryRequest{RecordType: "movie", RecordId: id}, opts...)
	}
	return err
}

func requestIDComesBack(t *trial) {
	const key = "x-request-id"
	id := t.name("request")
	came := func(ctx context.Context) string {
		t.asking("a film or record that is not there, with x-request-id %q", id)
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		var header, trailer metadata.MD
		err := t.readNothing(ctx, grpc.Header(&header), grpc.Trailer(&trailer))
		values := append(header.Get(key), trailer.Get(key)...)
		t.must(len(values) > 0, "a request id in header or trailer", "none, and %v", err)
		return values[0]
	}
	same(t, "the request id", came(metadata.AppendToOutgoingContext(t.ctx, key, id)), id)
	made := came(t.ctx)
	t.must(made != "" && made != id && made != came(t.ctx), "a new request id for each call without one", "%q", made)
}

// deadlineKept calls by hand, because a gRPC client would give up itself and never see what the server does with the deadline.
func deadlineKept(t *trial) {
	path := map[Part]string{
		Metadata: "/movieexample.metadata.v1.MetadataService/GetCatalogueVersion",
		Rating:   "/movieexample.rating.v1.RatingAdminService/ListIngestPartitions",
		Movie:    "/movieexample.movie.v1.MovieService/GetStats",
	}[t.door.part]
	t.asking("%s with grpc-timeout: 1n, and no bound of the client's", path)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+t.door.addr+path, strings.NewReader("\x00\x00\x00\x00\x00"))
	t.must(err == nil, "a request", "%v", err)
	req.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "Grpc-Timeout": {"1n"}}
	began := time.Now()
	resp, err := transport.RoundTrip(req)
	t.must(err == nil, "an answer", "%v", err)
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the trailer is behind it
	code := resp.Trailer.Get("Grpc-Status") + resp.Header.Get("Grpc-Status")
	same(t, "grpc-status", code, "4")
	took := time.Since(began)
	t.must(took < 2*time.Second, "an answer at once", "after %s", took)
}

// auditTime bounds how much of a great system is audited.
const auditTime = 3 * time.Second

func auditClean(t *trial) {
	until := time.Now().Add(auditTime)
	for token := ""; ; {
		page := ask(t, t.door.admin().AuditAggregates, &ratingv1.AuditAggregatesRequest{PageSize: 500, PageToken: token})
		for _, d := range page.GetDifferences() {
			t.fail(fmt.Sprintf("%s of %s %s is %d", d.GetField(), d.GetRecordType(), d.GetRecordId(), d.GetRecomputed()), "%d", d.GetStored())
		}
		if token = page.GetNextPageToken(); token == "" || time.Now().After(until) {
			return
		}
	}
}

func ingestionGoesOn(t *trial) {
	list := ask(t, t.door.admin().ListIngestPartitions, &ratingv1.ListIngestPartitionsRequest{}).GetPartitions()
	for _, p := range list {
		t.must(p.GetHalted() == "", "no partition is halted", "%s/%d: %s", p.GetTopic(), p.GetPartition(), p.GetHalted())
		t.must(p.GetTopicId() != "" && p.GetNextOffset() >= 0, "a topic id and an offset", "%v", p)
	}
}

func exportInOrder(t *trial) {
	user := t.name("user")
	for i := range 4 {
		t.rate(t.recordType(), fmt.Sprintf("r%d", i), user, 5)
	}
	var got []string
	for token := ""; ; {
		page := ask(t, t.door.admin().ListRatings, &ratingv1.ListRatingsRequest{RecordType: t.recordType(), PageSize: 3, PageToken: token})
		for _, r := range page.GetRatings() {
			got = append(got, r.GetRecordId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
		t.must(len(got) <= 4, "an end of the pages", "%v", got)
	}
	same(t, "the records", got, []string{"r0", "r1", "r2", "r3"})
}

func adminReady(t *trial) {
	t.request(t.door, http.MethodGet, "/livez", "").is(http.StatusOK)
	var ready struct {
		Ready  bool
		Checks []struct {
			Name string
			OK   bool
		}
	}
	t.request(t.door, http.MethodGet, "/readyz", "", "Accept: application/json").is(http.StatusOK).decode(&ready)
	same(t, "ready", ready.Ready, true)
	for _, c := range ready.Checks {
		same(t, "the check "+c.Name, c.OK, true)
	}
}

func adminMetrics(t *trial) {
	t.request(t.door, http.MethodGet, "/metrics", "").is(http.StatusOK).has("# TYPE ", "go_goroutines")
	var build map[string]any
	t.request(t.door, http.MethodGet, "/buildinfo", "").is(http.StatusOK).decode(&build)
	t.must(len(build) > 0, "a version", "%v", build)
}
