package metadata_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

// find returns the ids of the first page of hits.
func (c *catalogue) find(t testing.TB, query string) []string {
	t.Helper()
	resp, err := c.SearchMovies(t.Context(), &metadatav1.SearchMoviesRequest{Query: query, PageSize: 200})
	if err != nil {
		t.Fatalf("search %q: %v", query, err)
	}
	return hitIDs(resp)
}

func hitIDs(resp *metadatav1.SearchMoviesResponse) []string {
	found := []string{}
	for _, h := range resp.GetHits() {
		found = append(found, h.GetMovie().GetId())
	}
	return found
}

// untilFound waits until a search finds the wanted films.
func (c *catalogue) untilFound(t testing.TB, query string, want ...string) {
	t.Helper()
	until(t, fmt.Sprintf("search %q", query), func() error {
		if got := c.find(t, query); !slices.Equal(got, want) {
			return fmt.Errorf("found %q, want %q", got, want)
		}
		return nil
	})
}

// quick finds changes of other processes as fast as the configuration allows.
func quick() metadata.Config { return metadata.Config{SearchRefresh: 50 * time.Millisecond} }

func TestSearchRefreshIsChecked(t *testing.T) {
	for _, d := range []time.Duration{-1, time.Millisecond, 49 * time.Millisecond, 2001 * time.Millisecond} {
		_, err := metadata.New(t.Context(), metadata.Config{SearchRefresh: d}, metadata.Deps{})
		if err == nil || !strings.Contains(err.Error(), "search_refresh: must be from 50ms to 2s, got "+d.String()) {
			t.Errorf("%v: got %v", d, err)
		}
	}
	if err := metadata.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if err := (metadata.Config{}).Validate(); err == nil {
		t.Error("an explicit zero is accepted")
	}
}

// A catalogue of the release before the change feed is followed from the first moment.
func TestMigrationOfAnEarlierCatalogue(t *testing.T) {
	url := sqltest.URL(t)
	t.Run("earlier release", func(t *testing.T) {
		db, err := sqldb.Open(t.Context(), url, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		first, err := fs.ReadFile(metadata.Schema(), "sqlite/00001_init.sql")
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(t.Context(), fstest.MapFS{"00001_init.sql": {Data: first}}); err != nil {
			t.Fatal(err)
		}
		old := &catalogue{db: db}
		for _, id := range []string{"a", "b"} {
			for _, statement := range []string{
				`INSERT INTO movies VALUES ('%[1]s', 'Alien %[1]s', 1979, '', 'alien %[1]s` + "\x01" + `%[1]s', 'e', 0, 0, 0, '', '', '', '', '', '', '', '')`,
				`INSERT INTO movie_listings VALUES ('', 'alien %[1]s` + "\x01" + `%[1]s', 1979, 1970)`,
			} {
				if err := old.exec(t, fmt.Sprintf(statement, id)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	c := openCatalogue(t, url, nil)
	checkTables(t, c.db)
	changes, last := feed(t, c.db)
	if len(changes) != 2 || last < 1 {
		t.Errorf("the feed has %v, its last number is %d", changes, last)
	}
	if got := c.find(t, "alien"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("found %q", got)
	}
}

// A process finds the writes of another one on the same database within two seconds.
func TestSearchFollowsOtherProcesses(t *testing.T) {
	url := sqltest.URL(t)
	one, two := openCatalogue(t, url, nil), openCatalogue(t, url, nil)
	one.run(t)
	two.run(t)
	within := func(query string, want ...string) {
		t.Helper()
		began := time.Now()
		two.untilFound(t, query, want...)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("search %q: took %v", query, took)
		}
	}
	one.replace(t, film("a", "Alien"), film("b", "Alien: Covenant"), film("c", "Alien: Resurrection"))
	within("alien", "a", "b", "c")
	one.sync(t, "", "", map[string]int32{"c": 5, "d": 9})
	within("alien", "a", "c", "b")
	one.put(t, film("d", "Alien 3")) // its votes were there before it
	within("alien", "a", "d", "c", "b")
	one.put(t, film("b", "Prometheus"))
	within("prometheus", "b")
	within("alien", "a", "d", "c")
	if _, err := one.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "d"}); err != nil {
		t.Fatal(err)
	}
	within("alien", "a", "c")
	one.sync(t, "", "", nil)
	one.sync(t, "", "", map[string]int32{"a": 1})
	one.put(t, film("d", "Alien 3")) // its votes have gone
	within("alien", "a", "d", "c")
}

// Each write that changes something moves the catalogue's version, through any process, and nothing else does;
// a search answers as of the indexed version.
func TestCatalogueVersion(t *testing.T) {
	url := sqltest.URL(t)
	one, two := openCatalogue(t, url, nil), openCatalogue(t, url, nil)
	two.run(t) // the first one does not run: only its stored numbers move
	version := func(c *catalogue) *metadatav1.GetCatalogueVersionResponse {
		t.Helper()
		v, err := c.GetCatalogueVersion(t.Context(), &metadatav1.GetCatalogueVersionRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := version(one)
	for _, write := range []struct {
		name          string
		movies, votes int64
		do            func()
	}{
		{"nothing", 0, 0, func() {}},
		{"a new film", 1, 0, func() { one.put(t, film("a", "Alien")) }},
		{"the same film", 0, 0, func() { one.put(t, film("a", "Alien")) }},
		{"votes", 0, 1, func() { one.sync(t, "", "", map[string]int32{"a": 3}) }},
		{"the same votes", 0, 0, func() { one.sync(t, "", "", map[string]int32{"a": 3}) }},
		{"another title", 1, 0, func() { one.put(t, film("a", "Aliens")) }},
		{"a deletion", 1, 0, func() {
			if _, err := one.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "a"}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		write.do()
		after := version(two)
		if after.GetMovies() != before.GetMovies()+write.movies || after.GetVotes() != before.GetVotes()+write.votes {
			t.Errorf("%s: %v became %v", write.name, before, after)
		}
		until(t, write.name+" is indexed", func() error {
			if v := version(two); v.GetIndexedMovies() != after.GetMovies() || v.GetIndexedVotes() != after.GetVotes() {
				return fmt.Errorf("the version is %v", v)
			}
			return nil
		})
		if v := version(one); v.GetIndexedMovies() > v.GetMovies() || v.GetIndexedVotes() > v.GetVotes() {
			t.Errorf("%s: the index is ahead of what is stored: %v", write.name, v)
		}
		before = after
	}
}

// A process finds its own writes long before it next looks at the feed.
func TestSearchFindsOwnWritesAtOnce(t *testing.T) {
	c := openWith(t, sqltest.URL(t), nil, metadata.Config{SearchRefresh: 2 * time.Second}, metadata.Deps{})
	c.run(t)
	began := time.Now()
	for i := range 20 {
		title := fmt.Sprintf("Number %03d", i)
		c.put(t, film("x", title))
		c.untilFound(t, title, "x")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("20 changes took %v to be found", took)
	}
}

// A client that writes a film and searches for it finds it, even under constant writes; at worst a moment
// later.
func TestSearchFindsOwnWritesUnderLoad(t *testing.T) {
	c := openWith(t, sqltest.URL(t), nil, metadata.Config{SearchRefresh: 2 * time.Second}, metadata.Deps{})
	c.run(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				movies := batchOf(1_000*w+i*50%1_000, 50)
				for _, m := range movies {
					m.Title += fmt.Sprint(" in its version ", i)
				}
				_, _ = c.BatchPutMovies(ctx, &metadatav1.BatchPutMoviesRequest{Movies: movies})
			}
		})
	}
	const films = 60
	var took []time.Duration
	missed := 0
	for i := range films {
		title := fmt.Sprintf("Needle %03d", i)
		c.put(t, film("needle", title))
		began := time.Now()
		if !slices.Equal(c.find(t, title), []string{"needle"}) {
			missed++
			c.untilFound(t, title, "needle")
		}
		took = append(took, time.Since(began))
	}
	cancel()
	wg.Wait()
	slices.Sort(took)
	t.Logf("of %d films %d were missed by the first search; half were found in %v, the last in %v", films, missed, took[films/2], took[films-1])
	if missed > films/4 {
		t.Errorf("the first search missed %d of %d films", missed, films)
	}
	if took[films*9/10] > time.Second { // on a busy machine; the pause between two looks is 2 s
		t.Errorf("a tenth of the films took more than %v to be found", took[films*9/10])
	}
}

// A film that the index does not have yet is read from the database.
func TestSimilarToANewFilm(t *testing.T) {
	c := openCatalogue(t, sqltest.URL(t), nil) // does not run: only the call itself can look
	drama := func(id string, year int32) *metadatav1.Movie {
		return with(film(id, id), func(m *metadatav1.Movie) { m.Year, m.Genres = &year, []string{"Drama"} })
	}
	c.replace(t, drama("a", 1990), drama("b", 1990), drama("c", 2000))
	resp, err := c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{Id: "a"})
	want := &metadatav1.ListSimilarMoviesResponse{Movies: []*metadatav1.ListSimilarMoviesResponse_SimilarMovie{{Id: "b", Similarity: 1}, {Id: "c", Similarity: 0.5}}}
	if diff := cmp.Diff(want, resp, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "a"}); err != nil {
		t.Fatal(err)
	}
	_, err = c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{Id: "a"})
	wantError(t, err, codes.NotFound, `no movie has the id "a"`)
}

// A hit whose film was deleted, or no longer matches the query, is left out; one whose names have changed is
// shown with the new ones, and with how the query matches them.
func TestSearchShowsMoviesAsTheyAreNow(t *testing.T) {
	c := openCatalogue(t, sqltest.URL(t), nil)
	c.replace(t, film("a", "Alien"), film("b", "Alien"), film("c", "Alien: Resurrection"), film("d", "Aliens"))
	_, _ = c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{Id: "c"}) // brings the index up to date, for the last time
	if _, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "a"}); err != nil {
		t.Fatal(err)
	}
	c.put(t, film("b", "Covenant (Alien)"))
	c.put(t, film("c", "Prometheus"))
	c.put(t, with(film("d", "Prometheus"), func(m *metadatav1.Movie) { m.AlternativeTitles = []string{"Alien"} }))
	const want = "b MATCH_KIND_TITLE Covenant ([Alien]) |  | d MATCH_KIND_EXACT Prometheus | [Alien]"
	var got []string
	req := &metadatav1.SearchMoviesRequest{Query: "alien", PageSize: 1}
	for pages := 1; ; pages++ {
		resp, err := c.SearchMovies(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range resp.GetHits() {
			got = append(got, fmt.Sprintf("%s %v %s | %s", h.GetMovie().GetId(), h.GetKind(), marked(h.GetTitle()), marked(h.GetMatchedName())))
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			if pages != 4 {
				t.Errorf("%d pages, want one for each film that the index knows", pages)
			}
			break
		}
	}
	if got := strings.Join(got, " | "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	suggested, err := c.SuggestMovies(t.Context(), &metadatav1.SuggestMoviesRequest{Query: "alien"})
	if err != nil || len(suggested.GetSuggestions()) != 2 {
		t.Fatalf("got %v, %v", suggested, err)
	}
	for i, want := range []string{"Covenant ([Alien]) | ", "Prometheus | [Alien]"} {
		if s := suggested.GetSuggestions()[i]; marked(s.GetTitle())+" | "+marked(s.GetMatchedName()) != want {
			t.Errorf("got %v, want %s", s, want)
		}
	}
}

// marked are pieces as text, with the matches in brackets.
func marked(pieces []*metadatav1.TextPiece) string {
	var b strings.Builder
	for _, p := range pieces {
		if p.GetMatched() {
			b.WriteString("[" + p.GetText() + "]")
		} else {
			b.WriteString(p.GetText())
		}
	}
	return b.String()
}

func joined(pieces []*metadatav1.TextPiece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.GetText())
	}
	return b.String()
}

// answers are an index's answers to queries that cover all films of a test.
func answers(t testing.TB, c *catalogue, queries ...string) string {
	t.Helper()
	var b strings.Builder
	for _, q := range queries {
		fmt.Fprintln(&b, q, c.find(t, q))
	}
	stats, err := c.GetCatalogueStats(t.Context(), &metadatav1.GetCatalogueStatsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&b, stats.GetMovies(), stats.GetGenres(), stats.GetDecades())
	return b.String()
}

// Several processes write to one database at the same time. Afterwards each of them
// answers as a newly started one does.
func TestIndexesOfAllProcessesAgree(t *testing.T) {
	url := sqltest.URL(t)
	processes := make([]*catalogue, 3)
	for i := range processes {
		processes[i] = openWith(t, url, nil, quick(), metadata.Deps{})
		processes[i].run(t)
	}
	var wg sync.WaitGroup
	for p, c := range processes {
		wg.Go(func() {
			for i := range 40 {
				n := i*7 + p
				id := fmt.Sprintf("film %d", n%23)
				switch n % 4 {
				case 0:
					_, _ = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: id}) // there may be none
				case 1:
					c.sync(t, "film", "film 9", map[string]int32{id: int32(1 + n%5), "film 8": int32(1 + p)})
				default:
					c.put(t, with(film(id, fmt.Sprintf("Story %d of %d", n%3, n)), func(m *metadatav1.Movie) {
						m.Year, m.Genres = proto.Int32(int32(1950+n%40)), []string{fmt.Sprint("Genre ", n%3)}
					}))
				}
			}
		})
	}
	wg.Wait()
	queries := []string{"story", "story 0", "s", "of", "1951"}
	want := answers(t, openCatalogue(t, url, nil), queries...)
	if !strings.Contains(want, "film 1") {
		t.Fatalf("nothing is found: %s", want)
	}
	for p, c := range processes {
		until(t, fmt.Sprint("process ", p), func() error {
			if diff := cmp.Diff(want, answers(t, c, queries...)); diff != "" {
				return errors.New(diff)
			}
			return nil
		})
	}
	checkTables(t, processes[0].db)
}
