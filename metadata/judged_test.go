package metadata_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"google.golang.org/protobuf/proto"

	"movieexample.com/data"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/movielens"
)

// Two processes on one database answer the judged queries as well as the engine alone does: the
// tables, the feed and the API lose nothing.
func TestJudgedQueriesThroughTheDoor(t *testing.T) {
	url := sqltest.URL(t)
	one, two := openCatalogue(t, url, nil), openCatalogue(t, url, nil)
	one.run(t)
	two.run(t)
	judgeSearch(t, one, two)
}

// judgeSearch writes the MovieLens catalogue and its numbers of ratings through the first process, sends
// the judged queries (internal/search/testdata) to every process, and checks for the shares that the engine
// promises and for equal answers, which it returns. It does nothing without the data set.
func judgeSearch(t *testing.T, processes ...*catalogue) (answers []string) {
	t.Helper()
	movies, votes := lensCatalogue(t)
	if movies == nil {
		return nil
	}
	put := func(mode metadatav1.BatchPutMode, movies []*metadatav1.Movie) {
		for batch := range slices.Chunk(movies, 200) {
			resp, err := processes[0].BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{Movies: batch, Mode: mode})
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range resp.GetResults() {
				if r.GetOutcome() == refused {
					t.Fatalf("%v: %s", batch[i], r.GetReason())
				}
			}
		}
	}
	put(metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE, movies)
	put(metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL, demoFilms(t, movies))
	after, ids := "", slices.Sorted(maps.Keys(votes))
	for part := range slices.Chunk(ids, 5_000) {
		req := &metadatav1.SyncVotesRequest{AfterId: after, ThroughId: part[len(part)-1]}
		for _, id := range part {
			req.Votes = append(req.Votes, &metadatav1.SyncVotesRequest_MovieVotes{MovieId: id, Votes: votes[id]})
		}
		if resp, err := processes[0].SyncVotes(t.Context(), req); err != nil || int(resp.GetChanged()) != len(part) {
			t.Fatalf("sync votes: %v, %v; want %d changed", resp, err, len(part))
		}
		after = req.GetThroughId()
	}

	judged := judgements(t)
	ask := func(process metadatav1.MetadataServiceClient) (answers []string, first, five int, err error) {
		for _, j := range judged {
			query := []rune(j.Query)
			query = query[:min(len(query), 200)] // the engine cuts longer ones, and the service refuses them
			resp, err := process.SearchMovies(t.Context(), &metadatav1.SearchMoviesRequest{Query: string(query), PageSize: 5})
			if err != nil {
				return nil, 0, 0, fmt.Errorf("search %q: %w", j.Query, err)
			}
			got := hitIDs(resp)
			answers = append(answers, fmt.Sprint(j.Query, " ", got, " ", resp.GetTotal(), " ", resp.GetGenres(), " ", resp.GetDecades()))
			right := len(got) > 0 && got[0] == j.Want || len(got) == 0 && j.Want == ""
			if right {
				first++
			}
			if right || slices.Contains(got, j.Want) {
				five++
			}
		}
		return answers, first, five, nil
	}
	for i, process := range processes {
		process.settle(t)
		got, first, five, err := ask(process)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("process %d: %d queries, first hit %.1f %%, first five %.1f %%", i, len(judged), 100*float64(first)/float64(len(judged)), 100*float64(five)/float64(len(judged)))
		if 100*first < 97*len(judged) || 100*five < 99*len(judged) {
			t.Errorf("process %d: of %d queries, %d find the wanted film first, %d among the first five", i, len(judged), first, five)
		}
		if i == 0 {
			answers = got
		}
		for n := range got {
			if got[n] != answers[n] {
				t.Errorf("process %d answers %s\n\tprocess 0 %s", i, got[n], answers[n])
			}
		}
	}
	return answers
}

// judgement is a line of internal/search/testdata/judged.jsonl, with the fields that this test needs.
type judgement struct {
	Query string `json:"query"`
	Want  string `json:"want"` // the film's id, "" if none should be found
}

func judgements(t *testing.T) []judgement {
	t.Helper()
	file, err := os.Open("internal/search/testdata/judged.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []judgement
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var j judgement
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			t.Fatalf("judged.jsonl, line %d: %v", len(all)+1, err)
		}
		all = append(all, j)
	}
	if err := lines.Err(); err != nil || len(all) < 120 {
		t.Fatalf("%d judged queries, %v", len(all), err)
	}
	return all
}

// lensCatalogue is ml-latest-small as imported, with the number of ratings of each film. Its licence forbids
// redistribution, so MOVIELENS_DIR says where it is; without it the result is empty.
func lensCatalogue(t *testing.T) (movies []*metadatav1.Movie, votes map[string]int32) {
	t.Helper()
	path := os.Getenv("MOVIELENS_DIR")
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("MOVIELENS_DIR is not set, and this is CI")
		}
		t.Log("MOVIELENS_DIR is not set: the judged queries were not checked")
		return nil, nil
	}
	dir, err := movielens.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[int64]string{}
	for f, err := range dir.Catalogue(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		m := &metadatav1.Movie{
			Id: f.ImportID(), Title: f.Title, OriginalTitle: f.OriginalTitle, AlternativeTitles: f.AlternativeTitles, Genres: f.Genres,
			ExternalIds: &metadatav1.ExternalIds{Imdb: f.IMDb, Movielens: strconv.FormatInt(f.ID, 10)},
		}
		if f.Year != 0 {
			m.Year = proto.Int32(int32(f.Year))
		}
		ids[f.ID] = m.GetId()
		movies = append(movies, m)
	}
	votes = map[string]int32{}
	for r, err := range dir.Ratings(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		votes[ids[r.MovieID]]++
	}
	return movies, votes
}

// demoFilms are those films of the demo catalogue that are among the movies.
func demoFilms(t *testing.T, movies []*metadatav1.Movie) []*metadatav1.Movie {
	t.Helper()
	known := map[string]bool{}
	for _, m := range movies {
		known[m.GetId()] = true
	}
	films, err := data.Films()
	if err != nil {
		t.Fatal(err)
	}
	var out []*metadatav1.Movie
	for _, f := range films {
		if known[f.ID] {
			out = append(out, &metadatav1.Movie{Id: f.ID, Title: f.Title, OriginalTitle: f.OriginalTitle, Director: f.Director})
		}
	}
	return out
}
