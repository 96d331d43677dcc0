package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"movieexample.com/client"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
	"movieexample.com/movielens"
)

// oddities is a data set with every quirk of the original, and with rows that cannot go in.
func oddities(t testing.TB) string {
	crlf := func(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }
	return writeFiles(t, map[string]string{
		"movies.csv": crlf(
			`movieId,title,genres`,
			`1,"Matrix, The (1999)",Action|Sci-Fi`,
			`2,"City of Lost Children, The (Cité des enfants perdus, La) (1995)",Fantasy`,
			`3,"""Great Performances"" Cats (1998)",Musical`,
			`4,Babylon 5,Sci-Fi`,
			``,
			`5,Emma (1996) ,Comedy|Romance`,
			`6,Emma (1996),(no genres listed)`,
			`7,Seven (a.k.a. Se7en) (1995),Mystery`,
			`x,Bad id (2000),Drama`,
			`1,Once more (2001),Drama`,
			`8,`+strings.Repeat("Long ", 101)+`(1999),Drama`,
		),
		"links.csv": crlf(
			`movieId,imdbId,tmdbId`,
			`1,0133093,603`,
			`2,0112682,902`,
			`3,0173714,`,
			`4,,`,
			`5,0116191,603`,
			`7,0114369,807`,
		),
		"ratings.csv": crlf(
			`userId,movieId,rating,timestamp`,
			`1,1,4.0,964982703`,
			`1,2,0.5,964982704`,
			``,
			`2,1,5.0,964982705`,
			`2,99,3.0,964982706`,
			`3,8,3.0,964982707`,
			`3,1,9.9,964982708`,
			`3,3,3.5,9999999999`,
			`610,7,2.5,0`,
		),
	})
}

// listed collects what an import tells about rows.
type listed struct{ rejected, noted []string }

func (l *listed) options() client.ImportOptions {
	return client.ImportOptions{
		Rejected: func(bad *movielens.RowError) { l.rejected = append(l.rejected, bad.Error()) },
		Noted:    func(odd *movielens.RowError) { l.noted = append(l.noted, odd.Error()) },
	}
}

// timeless leaves out of a comparison what differs from run to run.
func timeless() cmp.Option {
	return cmpopts.IgnoreFields(client.ImportSummary{}, "Seconds", "Directory")
}

func TestImportMovieLens(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	dir := oddities(t)
	var l listed
	got, err := c.ImportMovieLens(t.Context(), dir, l.options())
	if err != nil {
		t.Fatal(err)
	}
	want := client.ImportSummary{
		Films:    client.FilmCounts{Read: 8, Created: 7, Refused: 1},
		Ratings:  client.RatingCounts{Read: 7, Published: 4, Rejected: 4},
		Rejected: 7,
		Before:   &client.Totals{},
		Noted:    1,
		After:    &client.Totals{Records: 3, Ratings: 4, Sum: 24, GlobalMean: 6},
		Waited:   true,
	}
	if diff := cmp.Diff(want, got, timeless()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	wantRejected := []string{
		`movies.csv line 10: movieId "x": must be a whole number of at least 1`,
		`movies.csv line 11: movieId "1": is on line 2 already; the first one counts`,
		`movies.csv line 12: movieId "8": title: must be at most 500 characters, got 504`,
		`ratings.csv line 6: movieId "99": is not among the films of movies.csv that could be read`,
		`ratings.csv line 7: movieId "8": is the film of movies.csv line 12, which was refused`,
		`ratings.csv line 8: rating "9.9": must be one of 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0`,
		`ratings.csv line 9: timestamp "9999999999": is 2286-11-20T17:46:39Z, in the future`,
	}
	if diff := cmp.Diff(wantRejected, l.rejected); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	wantNoted := []string{`movies.csv line 7: movieId "5": links.csv gives it the TMDb id 603 of movieId 1; the film went in without it`}
	if diff := cmp.Diff(wantNoted, l.noted); diff != "" {
		t.Errorf("noted (-want +got):\n%s", diff)
	}
	s.wantOddities(t)

	// Again: nothing changes, and the summary says so.
	got, err = c.ImportMovieLens(t.Context(), dir, client.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want.Films = client.FilmCounts{Read: 8, Unchanged: 7, Refused: 1}
	want.Before, want.NothingChanged = want.After, true
	if diff := cmp.Diff(want, got, timeless()); diff != "" {
		t.Errorf("summary of the second import (-want +got):\n%s", diff)
	}
	s.wantOddities(t)
}

// wantOddities checks what oddities must have become.
func (s *system) wantOddities(t *testing.T) {
	t.Helper()
	year := proto.Int32
	ext := func(imdb, tmdb, movielens string) *metadatav1.ExternalIds {
		return &metadatav1.ExternalIds{Imdb: imdb, Tmdb: tmdb, Movielens: movielens}
	}
	want := []*metadatav1.Movie{
		{Id: "tt0133093", Title: "The Matrix", Year: year(1999), Genres: []string{"Action", "Sci-Fi"}, ExternalIds: ext("tt0133093", "603", "1")},
		{
			Id: "tt0112682", Title: "The City of Lost Children", OriginalTitle: "La Cité des enfants perdus", Year: year(1995),
			Genres: []string{"Fantasy"}, ExternalIds: ext("tt0112682", "902", "2"),
		},
		{Id: "tt0173714", Title: `"Great Performances" Cats`, Year: year(1998), Genres: []string{"Musical"}, ExternalIds: ext("tt0173714", "", "3")},
		{Id: "ml-4", Title: "Babylon 5", Genres: []string{"Sci-Fi"}, ExternalIds: ext("", "", "4")},
		{Id: "tt0116191", Title: "Emma", Year: year(1996), Genres: []string{"Comedy", "Romance"}, ExternalIds: ext("tt0116191", "", "5")},
		{Id: "ml-6", Title: "Emma", Year: year(1996), ExternalIds: ext("", "", "6")},
		{Id: "tt0114369", Title: "Seven", AlternativeTitles: []string{"Se7en"}, Year: year(1995), Genres: []string{"Mystery"}, ExternalIds: ext("tt0114369", "807", "7")},
	}
	ids := []string{"ml-8"}
	for _, m := range want {
		ids = append(ids, m.GetId())
	}
	resp, err := s.metadata.BatchGetMovies(t.Context(), &metadatav1.BatchGetMoviesRequest{Ids: ids})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, resp.GetMovies(), protocmp.Transform(),
		protocmp.IgnoreFields(&metadatav1.Movie{}, "etag", "create_time", "update_time")); diff != "" {
		t.Errorf("films (-want +got):\n%s", diff)
	}
	for _, r := range []struct {
		user, movie string
		value       int32
		at          int64
	}{
		{"1", "tt0133093", 8, 964982703},
		{"1", "tt0112682", 1, 964982704},
		{"2", "tt0133093", 10, 964982705},
		{"610", "tt0114369", 5, 0},
	} {
		resp, err := s.ratings.GetRating(t.Context(), &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: r.movie, UserId: r.user})
		if err != nil {
			t.Errorf("rating of %s by %s: %v", r.movie, r.user, err)
			continue
		}
		if got := resp.GetRating(); got.GetValue() != r.value || !got.GetRatedAt().AsTime().Equal(time.Unix(r.at, 0)) {
			t.Errorf("rating of %s by %s is %v; want %d at %d", r.movie, r.user, got, r.value, r.at)
		}
	}
}

// TestImportMeetsOtherFilms: what the catalogue has stays, and an id elsewhere that is taken keeps no film out.
func TestImportMeetsOtherFilms(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	for _, m := range []*metadatav1.Movie{
		{Id: "tt0133093", Title: "Matrix", Director: "Lana Wachowski, Lilly Wachowski", ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0133093"}},
		{Id: "mine", Title: "Mine", ExternalIds: &metadatav1.ExternalIds{Tmdb: "902"}},
		{Id: "other", Title: "Other", ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0114369", Movielens: "7"}},
		{Id: `a "third"`, Title: "Third", ExternalIds: &metadatav1.ExternalIds{Tmdb: "807"}},
	} {
		if _, err := s.metadata.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: m}); err != nil {
			t.Fatal(err)
		}
	}
	var l listed
	got, err := c.ImportMovieLens(t.Context(), oddities(t), l.options())
	if err != nil {
		t.Fatal(err)
	}
	if want := (client.FilmCounts{Read: 8, Created: 6, Updated: 1, Refused: 1}); got.Films != want {
		t.Errorf("films %+v, want %+v", got.Films, want)
	}
	if want := (client.RatingCounts{Read: 7, Published: 4, Rejected: 4}); got.Ratings != want {
		t.Errorf("ratings %+v, want %+v: those of a film without a contested id go in", got.Ratings, want)
	}
	wantNoted := []string{
		`movies.csv line 3: movieId "2": TMDb id 902 belongs to the film "mine"; the film went in without it`,
		`movies.csv line 7: movieId "5": links.csv gives it the TMDb id 603 of movieId 1; the film went in without it`,
		`movies.csv line 9: movieId "7": IMDb id tt0114369 belongs to the film "other", TMDb id 807 belongs to the film "a \"third\"", MovieLens id 7 belongs to the film "other"; the film went in without them`,
	}
	if diff := cmp.Diff(wantNoted, l.noted); diff != "" {
		t.Errorf("noted (-want +got):\n%s", diff)
	}
	if got := s.summary(t, "tt0114369"); got.GetVotes() != 1 {
		t.Errorf("the film whose ids are taken has the aggregate %v", got)
	}
	resp, err := s.metadata.GetMovie(t.Context(), &metadatav1.GetMovieRequest{Id: "tt0133093"})
	if err != nil {
		t.Fatal(err)
	}
	if m := resp.GetMovie(); m.GetTitle() != "Matrix" || m.GetDirector() == "" || m.GetYear() != 1999 || m.GetExternalIds().GetMovielens() != "1" {
		t.Errorf("the film that was there became %v", m)
	}
}

// generated is a data set of some size, and its number of ratings and their sum.
func generated(t testing.TB, ratings int) (dir string, n, sum int64) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "ml")
	if _, err := movielens.Generate(t.Context(), dir, movielens.GenerateOptions{Users: ratings / 50, Ratings: ratings, Movies: 450, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	d, err := movielens.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range d.Ratings(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n, sum = n+1, sum+int64(r.Value)
	}
	return dir, n, sum
}

// insertLine puts a line into the middle of a file.
func insertLine(t testing.TB, path, line string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	lines = slices.Insert(lines, len(lines)/2, line+"\n")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestImportInterrupted(t *testing.T) {
	for _, file := range []string{"movies.csv", "ratings.csv"} {
		t.Run(file, func(t *testing.T) {
			s := startSystem(t)
			c := connect(t, s.addresses)
			dir, n, sum := generated(t, 4_000)
			// A row that is rejected tells the test when it is time to interrupt.
			insertLine(t, filepath.Join(dir, file), "stop")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			got, err := c.ImportMovieLens(ctx, dir, client.ImportOptions{Rejected: func(*movielens.RowError) { cancel() }})
			if !errors.Is(err, context.Canceled) || !got.Interrupted || got.Waited {
				t.Fatalf("interrupted import: %+v, error %v", got, err)
			}
			if !strings.HasPrefix(err.Error(), "interrupted: ") || !strings.Contains(err.Error(), fmt.Sprintf(" %d ratings went in; run it again", got.Ratings.Published)) {
				t.Errorf("error %q", err)
			}
			if file == "ratings.csv" && (got.Ratings.Published == 0 || got.Ratings.Published == n || got.Ratings.Published != got.Ratings.Read) {
				t.Errorf("%+v of %d ratings: what was read must have been flushed", got.Ratings, n)
			}
			got, err = c.ImportMovieLens(t.Context(), dir, client.ImportOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got.After == nil || got.After.Ratings != n || got.After.Sum != sum || got.NothingChanged || got.Rejected != 1 {
				t.Errorf("completed import: %+v, after %+v; want %d ratings with the sum %d", got, got.After, n, sum)
			}
			audited, err := c.Audit(t.Context(), func(d client.Difference) { t.Errorf("difference %+v", d) })
			if err != nil || audited.Ratings != n {
				t.Errorf("audit: %+v, error %v", audited, err)
			}
		})
	}
}

func TestImportProgress(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	dir, n, _ := generated(t, 4_000)
	last := map[client.Phase]client.Progress{}
	var order []client.Phase
	got, err := c.ImportMovieLens(t.Context(), dir, client.ImportOptions{Progress: func(p client.Progress) {
		before, seen := last[p.Phase]
		if !seen {
			order = append(order, p.Phase)
		}
		if p.Rows < before.Rows || p.Done < before.Done || p.Done > p.Total {
			t.Errorf("progress went from %+v to %+v", before, p)
		}
		last[p.Phase] = p
	}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []client.Phase{client.PhaseFilms, client.PhaseRatings, client.PhaseIngest}; !slices.Equal(order, want) {
		t.Errorf("phases %v, want %v", order, want)
	}
	for phase, rows := range map[client.Phase]int64{client.PhaseFilms: got.Films.Read, client.PhaseRatings: n, client.PhaseIngest: n} {
		if p := last[phase]; p.Rows != rows || p.Done != p.Total {
			t.Errorf("%s ended with %+v, want %d rows and all of it", phase, p, rows)
		}
	}
}

func TestImportNoWait(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	got, err := c.ImportMovieLens(t.Context(), oddities(t), client.ImportOptions{NoWait: true})
	if err != nil || got.Waited || got.After != nil || got.NothingChanged || got.Ratings.Published != 4 {
		t.Errorf("%+v, error %v", got, err)
	}
}

func TestImportNoDataSet(t *testing.T) {
	c := connect(t, client.Addresses{})
	_, err := c.ImportMovieLens(t.Context(), t.TempDir(), client.ImportOptions{})
	if fault.KindOf(err) != fault.KindInvalid || !strings.Contains(err.Error(), "has no movies.csv, no links.csv, no ratings.csv") {
		t.Errorf("error %v", err)
	}
}

// standstill is a rating service whose ingestion does not move.
type standstill struct {
	ratingv1.UnimplementedRatingServiceServer
	ratingv1.UnimplementedRatingAdminServiceServer
	partition *ratingv1.IngestPartition
}

func (s *standstill) GetTotals(context.Context, *ratingv1.GetTotalsRequest) (*ratingv1.GetTotalsResponse, error) {
	return &ratingv1.GetTotalsResponse{}, nil
}

func (s *standstill) ListIngestPartitions(context.Context, *ratingv1.ListIngestPartitionsRequest) (*ratingv1.ListIngestPartitionsResponse, error) {
	return &ratingv1.ListIngestPartitionsResponse{Partitions: []*ratingv1.IngestPartition{s.partition}}, nil
}

func TestImportStandsStill(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*ratingv1.IngestPartition)
		want   string
		kind   fault.Kind
	}{
		"slow": {
			func(p *ratingv1.IngestPartition) { p.NextOffset = 2 },
			"ingestion has not moved for 2s: partition 0 is at offset 2 of 3; all events are in Kafka and will be ingested when ingestion resumes", fault.KindUnavailable,
		},
		"halted": {
			func(p *ratingv1.IngestPartition) { p.Halted = "the log was truncated" },
			`partition 0 of topic "ratings" is halted at offset 0 of 3: the log was truncated`, fault.KindUnavailable,
		},
		"another topic": {
			func(p *ratingv1.IngestPartition) { p.TopicId, p.NextOffset = strings.Repeat("0", 32), 100 },
			"ingestion has not moved for 2s: partition 0 has not started;", fault.KindUnavailable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startSystem(t)
			broker := startBroker(t)
			topic := makeTopic(t, broker.Addr())
			stub := &standstill{partition: &ratingv1.IngestPartition{Topic: "ratings", TopicId: fmt.Sprintf("%x", topic.ID), NextOffset: 0}}
			tc.change(stub.partition)
			addr, _ := serve(t, "rating", stub.register)
			c := connect(t, client.Addresses{Metadata: s.addresses.Metadata, Rating: addr, Brokers: []string{broker.Addr()}})
			// Longer than a busy disk keeps the broker from answering.
			got, err := c.ImportMovieLens(t.Context(), oddities(t), client.ImportOptions{StallTimeout: 2 * time.Second})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v\nwant … %s", err, tc.want)
			}
			if fault.KindOf(err) != tc.kind || errors.As(err, new(*client.UnreachableError)) {
				t.Errorf("error %#v: its kind should be %s, and the service was reached", err, tc.kind)
			}
			if got.Ratings.Published != 4 || got.Waited {
				t.Errorf("summary %+v", got)
			}
		})
	}
}

// TestImportInterruptedWhileWaiting: the ratings are in Kafka, and the message says how many.
func TestImportInterruptedWhileWaiting(t *testing.T) {
	s := startSystem(t)
	broker := startBroker(t)
	topic := makeTopic(t, broker.Addr())
	addr, _ := serve(t, "rating", (&standstill{partition: &ratingv1.IngestPartition{Topic: "ratings", TopicId: fmt.Sprintf("%x", topic.ID)}}).register)
	c := connect(t, client.Addresses{Metadata: s.addresses.Metadata, Rating: addr, Brokers: []string{broker.Addr()}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got, err := c.ImportMovieLens(ctx, oddities(t), client.ImportOptions{Progress: func(p client.Progress) {
		if p.Phase == client.PhaseIngest {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "7 films and 4 ratings went in") || !got.Interrupted || got.Waited {
		t.Errorf("summary %+v, error %v", got, err)
	}
}

// makeTopic makes the topic of a broker that no rating service uses.
func makeTopic(t testing.TB, broker string) kafka.Topic {
	t.Helper()
	cl, err := kafka.NewClient(kafka.Config{Brokers: []string{broker}})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	topic, err := kafka.EnsureTopic(t.Context(), cl, kafka.TopicConfig{Name: "ratings"})
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

func (s *standstill) register(r grpc.ServiceRegistrar) {
	ratingv1.RegisterRatingServiceServer(r, s)
	ratingv1.RegisterRatingAdminServiceServer(r, s)
}

// saved returns the data set with its links as a program saves them again that knows only fractions, and with what is behind id made
// unreadable by breaks.
func saved(t testing.TB, dir string, again func(imdb, tmdb string) (string, string)) string {
	t.Helper()
	out := t.TempDir()
	for _, name := range []string{"movies.csv", "links.csv", "ratings.csv"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "links.csv" {
			var b strings.Builder
			for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
				fields := strings.Split(strings.TrimSuffix(line, "\r"), ",")
				if i > 0 {
					fields[1], fields[2] = again(fields[1], fields[2])
				}
				b.WriteString(strings.Join(fields, ",") + "\n")
			}
			text = []byte(b.String())
		}
		if err := os.WriteFile(filepath.Join(out, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// floats is what pandas makes of links.csv: an integer column with one empty cell becomes one of fractions.
func floats(imdb, tmdb string) (string, string) {
	if tmdb != "" {
		tmdb += ".0"
	}
	return strings.TrimLeft(imdb, "0") + ".0", tmdb
}

// TestImportMovieLensSavedAgain: links that pandas has saved, and links that cannot be read, make no film a second time, and ratings stay
// with their film.
func TestImportMovieLensSavedAgain(t *testing.T) {
	const films = 450
	dir, ratings, sum := generated(t, 600)
	for name, tc := range map[string]struct {
		again func(imdb, tmdb string) (string, string)
		noted func(*client.ImportSummary) bool
	}{
		"as fractions":         {floats, func(s *client.ImportSummary) bool { return s.NothingChanged && s.Noted == 0 }},
		"tmdbId is unreadable": {func(imdb, _ string) (string, string) { return imdb, "7.7E+04" }, func(s *client.ImportSummary) bool { return s.Noted == films }},
		"imdbId is unreadable": {func(_, tmdb string) (string, string) { return "1.1E+05", tmdb }, func(s *client.ImportSummary) bool { return s.Noted >= films }},
		"both are unreadable":  {func(string, string) (string, string) { return "#REF!", "nan" }, func(s *client.ImportSummary) bool { return s.Noted >= 2*films }},
		"both are empty":       {func(string, string) (string, string) { return "", "" }, func(s *client.ImportSummary) bool { return s.Noted > 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			s := startSystem(t)
			c := connect(t, s.addresses)
			first, err := c.ImportMovieLens(t.Context(), dir, client.ImportOptions{})
			if err != nil || first.Films.Created != films {
				t.Fatalf("%+v, error %v", first, err)
			}
			got, err := c.ImportMovieLens(t.Context(), saved(t, dir, tc.again), client.ImportOptions{})
			if err != nil || got.Films.Created != 0 || got.Films.Read != films || got.Rejected != 0 {
				t.Errorf("%+v, error %v; want no film created", got, err)
			}
			if got.After == nil || got.After.Ratings != ratings || got.After.Sum != sum || *got.After != *got.Before {
				t.Errorf("after %+v, before %+v: the ratings went elsewhere", got.After, got.Before)
			}
			if !tc.noted(&got) {
				t.Errorf("%d rows noted; %+v", got.Noted, got)
			}
			if n := s.countFilms(t); n != films {
				t.Errorf("%d films, want %d", n, films)
			}
		})
	}
}

// TestImportMovieLensMeetsByTMDb: a film whose IMDb id cannot be read, and that MovieLens's id does not tell, is the one with its TMDb id.
func TestImportMovieLensMeetsByTMDb(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	s.put(t, &metadatav1.Movie{Id: "tt9900001", Title: "Harbour", ExternalIds: &metadatav1.ExternalIds{Imdb: "tt9900001", Tmdb: "77001"}})
	var l listed
	got, err := c.ImportMovieLens(t.Context(), writeFiles(t, map[string]string{
		"movies.csv": "movieId,title,genres\n900001,Harbour (2001),Drama\n", "links.csv": "movieId,imdbId,tmdbId\n900001,9900001?,77001.0\n",
		"ratings.csv": "userId,movieId,rating,timestamp\n1,900001,4.0,964982703\n",
	}), l.options())
	if err != nil || got.Films != (client.FilmCounts{Read: 1, Updated: 1}) {
		t.Errorf("%+v, error %v", got, err)
	}
	want := []string{
		`links.csv line 2: imdbId "9900001?": must be the 1 to 10 digits of an IMDb id, as 0114709, or empty; the row went in without it`,
		`movies.csv line 2: movieId "900001": the film "tt9900001" has the TMDb id 77001; the two were merged`,
	}
	if diff := cmp.Diff(want, l.noted); diff != "" || len(l.rejected) > 0 {
		t.Errorf("noted (-want +got):\n%s; rejected %q", diff, l.rejected)
	}
	if m := s.catalogue(t)["tt9900001"]; m.GetExternalIds().GetMovielens() != "900001" || m.GetYear() != 2001 {
		t.Errorf("%v", m)
	}
	if votes := s.summary(t, "tt9900001").GetVotes(); votes != 1 {
		t.Errorf("the film has %d ratings, want 1", votes)
	}
}
