package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"movieexample.com/client"
	"movieexample.com/client/formats"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/fault"
)

// hostileFilms are films with what formats trip over, and more of them than fit on a page.
func hostileFilms() []*metadatav1.Movie {
	films := []*metadatav1.Movie{
		{Id: `=cmd|' /C calc'!A0`, Title: `=HYPERLINK("x")`, Description: "one,\n\ntwo \"quoted\"\n\tthree | four \\"},
		{Id: `a,"b"`, Title: `"`, OriginalTitle: "-1", AlternativeTitles: []string{`a|b`, `\`, `\|`, `,`, `"a","b"`}, Genres: []string{`R|B`, "Sci-Fi", "\\"}},
		{Id: "映画", Title: "七人の侍 🎬", OriginalTitle: "Ame\u0301lie\u2028x", Director: "A, B | C", Year: proto.Int32(1870), RuntimeMinutes: proto.Int32(6000)},
		{Id: "null", Title: "null", Description: "<script>&amp;</script>", ExternalIds: &metadatav1.ExternalIds{Tmdb: "1"}},
		{Id: "#x", Title: "\\N", Director: "@x"},
		{Id: "all", Title: "All", ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0000001", Tmdb: "2", Movielens: "3"}},
		{Id: "long", Title: strings.Repeat("é", 500), Description: strings.Repeat("\"\n", 4999) + "x"},
	}
	for i := range 250 {
		films = append(films, &metadatav1.Movie{Id: fmt.Sprintf("x%d", i), Title: "The same", Year: proto.Int32(int32(1900 + i%100))})
	}
	return films
}

func (s *system) put(t testing.TB, films ...*metadatav1.Movie) {
	t.Helper()
	for len(films) > 0 {
		n := min(len(films), 200)
		resp, err := s.metadata.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE, Movies: films[:n]})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range resp.GetResults() {
			if r.GetCode() != 0 {
				t.Fatalf("%v: %s", films[i], r.GetReason())
			}
		}
		films = films[n:]
	}
}

func exportMovies(t testing.TB, c *client.Client, f formats.Format) string {
	t.Helper()
	var b bytes.Buffer
	s, err := c.ExportMovies(t.Context(), &b, client.ExportOptions{Format: f})
	if err != nil || s.Bytes != int64(b.Len()) {
		t.Fatalf("%+v, %d bytes, error %v", s, b.Len(), err)
	}
	return b.String()
}

// TestMoviesRoundTrip: out, into an empty system, and out again: the same bytes, in each format and from one to the other.
func TestMoviesRoundTrip(t *testing.T) {
	source := startSystem(t)
	source.put(t, hostileFilms()...)
	from := connect(t, source.addresses)
	first := map[formats.Format]string{}
	for _, f := range []formats.Format{formats.CSV, formats.JSONL} {
		first[f] = exportMovies(t, from, f)
		if again := exportMovies(t, from, f); again != first[f] {
			t.Errorf("%s: two exports of the same differ", f)
		}
	}
	for _, f := range []formats.Format{formats.CSV, formats.JSONL} {
		empty := startSystem(t)
		c := connect(t, empty.addresses)
		opt := client.FileOptions{Format: f, Name: "f", Rejected: func(bad *formats.RowError) { t.Errorf("%s: %v", f, bad) }}
		got, err := c.ImportMovies(t.Context(), strings.NewReader(first[f]), opt)
		if n := int64(len(hostileFilms())); err != nil || got.Films != (client.FilmCounts{Read: n, Created: n}) || got.NothingChanged {
			t.Errorf("%s: %+v, error %v", f, got, err)
		}
		for other, want := range first {
			if diff := cmp.Diff(want, exportMovies(t, c, other)); diff != "" {
				t.Errorf("imported from %s, exported as %s (-first +second):\n%.2000s", f, other, diff)
			}
		}
		if again, err := c.ImportMovies(t.Context(), strings.NewReader(first[f]), opt); err != nil || !again.NothingChanged {
			t.Errorf("%s again: %+v, error %v", f, again, err)
		}
	}
}

// TestImportMoviesModes: replacing takes away what the file has not; filling takes away nothing.
func TestImportMoviesModes(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	was := &metadatav1.Movie{Id: "x", Title: "Old", Director: "Jane Doe", Genres: []string{"Drama"}}
	s.put(t, was, &metadatav1.Movie{Id: "taken", Title: "Taken", ExternalIds: &metadatav1.ExternalIds{Tmdb: "5"}})
	const file = `{"id":"x","title":"New","year":1999,"genres":["War"]}` + "\n"
	if _, err := c.ImportMovies(t.Context(), strings.NewReader(file), client.FileOptions{Fill: true}); err != nil {
		t.Fatal(err)
	}
	if m := s.catalogue(t)["x"]; m.GetTitle() != "Old" || m.GetDirector() != "Jane Doe" || m.GetYear() != 1999 || len(m.GetGenres()) != 2 {
		t.Errorf("filled: %v", m)
	}
	if _, err := c.ImportMovies(t.Context(), strings.NewReader(file), client.FileOptions{}); err != nil {
		t.Fatal(err)
	}
	if m, want := s.catalogue(t)["x"], (&metadatav1.Movie{Id: "x", Title: "New", Year: proto.Int32(1999), Genres: []string{"War"}}); !proto.Equal(m, want) {
		t.Errorf("replaced: %v, want %v", m, want)
	}

	// Rejected in the order of the file, whether by the reader or by the service; the last of two rows with one id counts.
	var rejected []string
	opt := client.FileOptions{Name: "movies.jsonl", Rejected: func(bad *formats.RowError) { rejected = append(rejected, bad.Error()) }}
	got, err := c.ImportMovies(t.Context(), strings.NewReader(`{"id":"a","title":"First"}
rubbish
{"id":"b","title":""}
{"id":"c","title":"C","year":0}
{"id":"d","title":"D","externalIds":{"tmdb":"5"}}
{"id":"a","title":"Last"}
`), opt)
	if err != nil {
		t.Fatal(err)
	}
	want := client.MoviesSummary{Films: client.FilmCounts{Read: 5, Created: 2, Updated: 1, Refused: 2}, Rejected: 3, Noted: 1}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(client.MoviesSummary{}, "Seconds")); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	wantRejected := []string{
		`movies.jsonl line 2: must be a JSON object, got "rubbish"`,
		`movies.jsonl line 3: "b": title: is required: 1 to 500 characters`,
		`movies.jsonl line 5: "d": external_ids.tmdb: "5" belongs to the movie "taken"; an external id belongs to one movie: change that one first, or write to it`,
	}
	if diff := cmp.Diff(wantRejected, rejected); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	if m := s.catalogue(t)["a"]; m.GetTitle() != "Last" {
		t.Errorf("of two rows with one id the last one counts, but the film is %v", m)
	}
	_, err = c.ImportMovies(t.Context(), strings.NewReader("id,title\nx,X\n"), client.FileOptions{Name: "movies.csv", Format: formats.CSV})
	if err == nil || !strings.Contains(err.Error(), "read movies.csv: the columns originalTitle, alternativeTitles, year, ") {
		t.Errorf("a CSV file without columns would replace movies by less: %v", err)
	}
}

// TestOptionalFieldsOfMovies: a field that the reader or the service does not take costs only itself, and takes nothing away from a film that
// is replaced.
func TestOptionalFieldsOfMovies(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	var noted []string
	opt := client.FileOptions{
		Name: "f", Rejected: func(bad *formats.RowError) { t.Errorf("rejected: %v", bad) },
		Noted: func(odd *formats.RowError) { noted = append(noted, odd.Error()) },
	}
	s.put(t, &metadatav1.Movie{
		Id: "x", Title: "Old", Year: proto.Int32(1999), RuntimeMinutes: proto.Int32(90), Director: "Ann", Genres: []string{"Drama"},
		ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0000007", Tmdb: "7"},
	})
	long := strings.Repeat("g", 51)
	got, err := c.ImportMovies(t.Context(), strings.NewReader(`{"id":"x","title":"New","year":"?","director":"Bob","runtimeMinutes":0,"externalIds":{"imdb":"tt0000008","tmdb":8}}
{"id":"y","title":"Y","year":1500,"genres":["War","`+long+`","Drama","`+long+`"],"director":"a; title: \"; id: b\u0000","externalIds":{"imdb":"0000009","tmdb":"9"}}
`), opt)
	if err != nil || got.Films != (client.FilmCounts{Read: 2, Created: 1, Updated: 1}) || got.Noted != 4 || got.Rejected != 0 {
		t.Errorf("%+v, error %v", got, err)
	}
	want := map[string]*metadatav1.Movie{
		"x": {
			Id: "x", Title: "New", Year: proto.Int32(1999), RuntimeMinutes: proto.Int32(90), Director: "Bob",
			ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0000008", Tmdb: "7"},
		},
		"y": {Id: "y", Title: "Y", Genres: []string{"War", "Drama"}, ExternalIds: &metadatav1.ExternalIds{Tmdb: "9"}},
	}
	if diff := cmp.Diff(want, s.catalogue(t), protocmp.Transform()); diff != "" {
		t.Errorf("catalogue (-want +got):\n%s", diff)
	}
	wantNoted := []string{
		`f line 1: "x": year: must be a whole number without quotes, got the text "?"; the film went in without that`,
		`f line 1: "x": externalIds.tmdb: must be text in quotes, got the number 8; the film went in without that`,
		`f line 1: "x": runtime_minutes: must be 1 to 6000 minutes, or absent where not known; got 0; the film went in without that`,
	}
	if len(noted) != 4 {
		t.Fatalf("noted %q", noted)
	}
	if diff := cmp.Diff(wantNoted, noted[:3]); diff != "" {
		t.Errorf("noted (-want +got):\n%s", diff)
	}
	if !strings.Contains(noted[3], "year: must be 1870 to 2100") || !strings.Contains(noted[3], "genres[3]: ") || !strings.Contains(noted[3], "director: ") || !strings.Contains(noted[3], "external_ids.imdb: ") {
		t.Errorf("noted %q", noted[3])
	}
}

// rate sends ratings as events of a user.
func (s *system) rate(t testing.TB, c *client.Client, lines ...string) {
	t.Helper()
	got, err := c.ImportRatings(t.Context(), strings.NewReader(strings.Join(lines, "\n")), client.FileOptions{
		Rejected: func(bad *formats.RowError) { t.Error(bad) },
	})
	if err != nil || !got.Waited || got.Ratings.Published != int64(len(lines)) {
		t.Fatalf("%+v, error %v", got, err)
	}
}

func exportRatings(t testing.TB, c *client.Client, opt client.ExportOptions) string {
	t.Helper()
	var b bytes.Buffer
	if s, err := c.ExportRatings(t.Context(), &b, opt); err != nil || s.Bytes != int64(b.Len()) {
		t.Fatalf("%+v, %d bytes, error %v", s, b.Len(), err)
	}
	return b.String()
}

// TestRatingsRoundTrip is TestMoviesRoundTrip for ratings. What is exported, publish takes too.
func TestRatingsRoundTrip(t *testing.T) {
	source := startSystem(t)
	from := connect(t, source.addresses)
	source.rate(t, from,
		`{"userId":"=1+1","recordId":"a,\"b\"","recordType":"movie","value":10,"providerId":"p","ratedAt":"2024-05-01T18:30:00.000001Z"}`,
		`{"userId":"🎬|\\","recordId":"a,\"b\"","recordType":"movie","value":1,"ratedAt":"1970-01-01T00:00:00Z"}`,
		`{"userId":"-","recordId":"A","recordType":"movie","value":5,"ratedAt":"2024-05-01T20:30:00.120+02:00"}`,
		`{"userId":"u","recordId":"a,\"b\"","recordType":"book","value":7,"ratedAt":"2024-05-01T18:30:00Z"}`,
		`{"userId":"gone","recordId":"A","recordType":"movie","value":5,"ratedAt":"2024-05-01T18:30:00Z"}`,
		`{"userId":"gone","recordId":"A","recordType":"movie","eventType":"delete","ratedAt":"2024-05-02T18:30:00Z"}`,
	)
	want := `recordType,recordId,userId,value,ratedAt
book,"a,""b""",u,7,2024-05-01T18:30:00Z
movie,A,-,5,2024-05-01T18:30:00.12Z
movie,"a,""b""",=1+1,10,2024-05-01T18:30:00.000001Z
movie,"a,""b""",🎬|\,1,1970-01-01T00:00:00Z
`
	csv := exportRatings(t, from, client.ExportOptions{Format: formats.CSV})
	if diff := cmp.Diff(want, csv); diff != "" {
		t.Errorf("export (-want +got):\n%s", diff)
	}
	if got := exportRatings(t, from, client.ExportOptions{Format: formats.CSV, RecordType: "book"}); strings.Count(got, "\n") != 2 {
		t.Errorf("ratings of books: %s", got)
	}
	jsonl := exportRatings(t, from, client.ExportOptions{Format: formats.JSONL})
	for name, load := range map[string]func(*client.Client) error{
		"csv": func(c *client.Client) error {
			_, err := c.ImportRatings(t.Context(), strings.NewReader(csv), client.FileOptions{Format: formats.CSV})
			return err
		},
		"jsonl": func(c *client.Client) error {
			_, err := c.ImportRatings(t.Context(), strings.NewReader(jsonl), client.FileOptions{})
			return err
		},
		"publish": func(c *client.Client) error {
			if _, err := c.PublishFile(t.Context(), strings.NewReader(jsonl), client.PublishOptions{}); err != nil {
				return err
			}
			_, err := c.ImportRatings(t.Context(), strings.NewReader(jsonl), client.FileOptions{}) // again, to wait for it
			return err
		},
	} {
		empty := startSystem(t)
		c := connect(t, empty.addresses)
		if err := load(c); err != nil {
			t.Fatal(err)
		}
		for format, want := range map[formats.Format]string{formats.CSV: csv, formats.JSONL: jsonl} {
			if diff := cmp.Diff(want, exportRatings(t, c, client.ExportOptions{Format: format})); diff != "" {
				t.Errorf("by %s, exported as %s (-first +second):\n%s", name, format, diff)
			}
		}
	}
}

// TestManyRatingsRoundTrip has more than a page of them, the summary with its numbers, and again, which changes nothing.
func TestManyRatingsRoundTrip(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	dir, n, sum := generated(t, 6_000)
	if _, err := c.ImportMovieLens(t.Context(), dir, client.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	first := exportRatings(t, c, client.ExportOptions{})
	other := startSystem(t)
	to := connect(t, other.addresses)
	for range 2 {
		got, err := to.ImportRatings(t.Context(), strings.NewReader(first), client.FileOptions{Size: int64(len(first))})
		if err != nil || got.Ratings != (client.RatingCounts{Read: n, Published: n}) || got.After.Ratings != n || got.After.Sum != sum || !got.Waited {
			t.Errorf("%+v, error %v", got, err)
		}
		if exportRatings(t, to, client.ExportOptions{}) != first {
			t.Error("the second export differs from the first")
		}
	}
}

func TestImportRatingsRejects(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	var rejected []string
	opt := client.FileOptions{
		Name: "r.csv", Format: formats.CSV, NoWait: true,
		Rejected: func(bad *formats.RowError) { rejected = append(rejected, bad.Error()) },
	}
	future := time.Now().UTC().Add(48 * time.Hour).Format(time.RFC3339)
	got, err := c.ImportRatings(t.Context(), strings.NewReader("userId,recordId,recordType,value,ratedAt\n1,r,movie,11,2024-05-01T18:30:00Z\n1,r,movie,5,"+future+"\n1,r,movie,5,2024-05-01T18:30:00Z\n"), opt)
	if err != nil || got.Ratings != (client.RatingCounts{Read: 2, Published: 1, Rejected: 2}) || got.Rejected != 2 || got.Waited || got.After != nil {
		t.Errorf("%+v, error %v", got, err)
	}
	if len(rejected) != 2 || rejected[0] != `r.csv line 2: value: must be a whole number from 1 to 10, got "11"` || !strings.HasPrefix(rejected[1], "r.csv line 3: ratedAt: must be at most 24 hours ahead of now") {
		t.Errorf("rejected %q", rejected)
	}
	if _, err := c.ImportRatings(t.Context(), strings.NewReader("a,b\n"), opt); err == nil || !strings.Contains(err.Error(), `read r.csv: there is no column "a"`) {
		t.Errorf("no such file: %v", err)
	}
	nowhere := connect(t, client.Addresses{Rating: "127.0.0.1:1"})
	if _, err := nowhere.ImportRatings(t.Context(), strings.NewReader(""), opt); !errors.As(err, new(*client.UnreachableError)) {
		t.Errorf("no system: %v", err)
	}
}

// silent is a pipe without a writer; it tells when it is read.
type silent struct{ reading chan struct{} }

func (s silent) Read([]byte) (int, error) {
	close(s.reading)
	select {}
}

// TestImportOfSilentPipe: what waits for a pipe can be interrupted.
func TestImportOfSilentPipe(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	for name, load := range map[string]func(context.Context, io.Reader) error{
		"movies": func(ctx context.Context, r io.Reader) error {
			_, err := c.ImportMovies(ctx, r, client.FileOptions{})
			return err
		},
		"ratings": func(ctx context.Context, r io.Reader) error {
			_, err := c.ImportRatings(ctx, r, client.FileOptions{})
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		pipe := silent{make(chan struct{})}
		go func() {
			<-pipe.reading
			cancel()
		}()
		if err := load(ctx, pipe); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "interrupted: 0 ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// failing is a destination that is full after some bytes.
type failing struct{ left int }

var errFull = errors.New("the disk is full")

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestExportFails(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	s.put(t, hostileFilms()...)
	s.rate(t, c, `{"userId":"u","recordId":"r","recordType":"movie","value":7,"ratedAt":"2024-05-01T18:30:00Z"}`)
	for _, export := range []func(context.Context, io.Writer, client.ExportOptions) (client.ExportSummary, error){c.ExportMovies, c.ExportRatings} {
		if _, err := export(t.Context(), &failing{}, client.ExportOptions{}); !errors.Is(err, errFull) {
			t.Errorf("a destination that is full: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := export(ctx, io.Discard, client.ExportOptions{}); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "interrupted after 0 ") {
			t.Errorf("interrupted: %v", err)
		}
	}
	if _, err := c.ExportRatings(t.Context(), io.Discard, client.ExportOptions{RecordType: "Movie"}); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("a wrong record type: %v", err)
	}
	nowhere := connect(t, client.Addresses{})
	if _, err := nowhere.ExportMovies(t.Context(), io.Discard, client.ExportOptions{}); !errors.As(err, new(*client.UnreachableError)) {
		t.Errorf("no system: %v", err)
	}
}
