package bench_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"movieexample.com/app"
	"movieexample.com/client"
	"movieexample.com/movielens"
)

// The load on the front door: so many kept-alive connections, each with its own sequence of requests.
const (
	frontDoorClients  = 4
	frontDoorSequence = 2000 // requests drawn for a connection; it begins again at their end
	frontDoorRounds   = 6
	// A round is several times as long as anything is kept: while the other side has its turn, ours gets cold.
	frontDoorRound = 2 * time.Second
)

// BenchmarkFrontDoor compares what viewers and applications ask for, in one process, warm, with a bare handler that looks the
// path up in a map and writes the same bytes. The catalogue is made up and has the shape of MovieLens: 9,742 films, 100,000
// ratings. Films are chosen by Zipf's law over their rank by votes.
func BenchmarkFrontDoor(b *testing.B) {
	system := startApp(b)
	loadCatalogue(b, system)
	ours := hostOf(system.Gateway)
	films := popularFilms(b, ours)
	for _, kind := range []struct {
		key, name, accept string
		least             float64
		path              func(films []listed, pick func() listed, r *rand.Rand) string
	}{
		{"details", "GET /v1/movies/{id}", "application/json", 0.5, func(_ []listed, pick func() listed, _ *rand.Rand) string {
			return "/v1/movies/" + pick().ID
		}},
		{"list", "GET /v1/movies, 50 films a page", "application/json", 0.3, func(_ []listed, pick func() listed, r *rand.Rand) string {
			f := pick()
			query := url.Values{"page_size": {"50"}}
			if len(f.Genres) > 0 {
				query.Set("genre", f.Genres[r.IntN(len(f.Genres))])
			}
			if r.IntN(2) == 0 {
				query.Set("order_by", "year desc")
			}
			if r.IntN(2) == 0 && f.Year > 0 {
				query.Set("min_year", fmt.Sprint(f.Year))
			}
			return "/v1/movies?" + query.Encode()
		}},
		{"chart", "GET /v1/charts/{chart}, 50 films a page", "application/json", 0.5, func(_ []listed, pick func() listed, r *rand.Rand) string {
			f := pick()
			query := url.Values{"page_size": {"50"}}
			if len(f.Genres) > 0 && r.IntN(2) == 0 {
				query.Set("genre", f.Genres[r.IntN(len(f.Genres))])
			}
			if r.IntN(4) == 0 && f.Year > 0 {
				query.Set("decade", fmt.Sprint(f.Year/10*10))
			}
			return "/v1/charts/" + []string{"top", "popular", "trending"}[r.IntN(3)] + "?" + query.Encode()
		}},
		{"search", "GET /v1/movies:search, 20 hits a page", "application/json", 0.2, func(_ []listed, pick func() listed, r *rand.Rand) string {
			return "/v1/movies:search?" + url.Values{"page_size": {"20"}, "q": {typed(pick().Title, r)}}.Encode()
		}},
		{"page", "the HTML page of a movie", "text/html", 0.3, func(_ []listed, pick func() listed, _ *rand.Rand) string {
			return "/movies/" + pick().ID
		}},
	} {
		b.Run(kind.key, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			pick := zipf(films, r)
			sequences := make([][]string, frontDoorClients)
			known := map[string][]byte{}
			first := newWebClient(b, ours)
			first.accept = kind.accept
			bytesInAll, requests := 0, 0
			for c := range sequences {
				for range frontDoorSequence {
					path := kind.path(films, pick, r)
					sequences[c] = append(sequences[c], path)
					if known[path] == nil {
						body, err := first.get(path)
						if err != nil {
							b.Fatalf("GET %s: %v", path, err)
						}
						known[path] = bytes.Clone(body)
					}
					bytesInAll += len(known[path])
					requests++
				}
			}
			bare := startBare(b, &knownBodies{contentType: kind.accept, bodies: known})
			latencies := [2][]time.Duration{}
			side := func(which int, addr string) func() float64 {
				clients := make([]*webClient, frontDoorClients)
				for i := range clients {
					clients[i] = newWebClient(b, addr)
					clients[i].accept = kind.accept
				}
				next := make([]int, frontDoorClients)
				return func() float64 {
					took := make([][]time.Duration, frontDoorClients)
					rate := loaded(b, frontDoorClients, frontDoorRound, func(c int) error {
						path := sequences[c][next[c]%frontDoorSequence]
						next[c]++
						began := time.Now()
						got, err := clients[c].get(path)
						took[c] = append(took[c], time.Since(began))
						if err == nil && len(got) == 0 {
							err = errors.New("an empty answer")
						}
						if err != nil {
							return fmt.Errorf("GET %s: %w", path, err)
						}
						return nil
					})
					for _, t := range took {
						latencies[which] = append(latencies[which], t...)
					}
					return rate
				}
			}
			for b.Loop() {
				sides := []func() float64{side(0, ours), side(1, bare)}
				inTurns(2, sides...) // warm
				latencies[0], latencies[1] = nil, nil
				m := inTurns(frontDoorRounds, sides...)
				name := fmt.Sprintf("%s (%d paths, %.1f kB), p99 %s / %s", kind.name, len(known),
					float64(bytesInAll)/float64(requests)/1000, p99(latencies[0]), p99(latencies[1]))
				against(b, kind.key, name, "requests", m[0], m[1], kind.least)
			}
		})
	}
}

// loadCatalogue imports a made-up data set.
func loadCatalogue(b *testing.B, system app.Addresses) {
	b.Helper()
	dir := b.TempDir()
	if _, err := movielens.Generate(b.Context(), dir, movielens.GenerateOptions{Users: 610, Ratings: 100_000, Movies: 9742, Seed: 1}); err != nil {
		b.Fatal(err)
	}
	c, err := client.Connect(client.Addresses{Metadata: system.Metadata, Rating: system.Rating, Brokers: []string{system.Kafka}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	done, err := c.ImportMovieLens(b.Context(), dir, client.ImportOptions{})
	if err != nil {
		b.Fatal(err)
	}
	if done.Rejected != 0 || !done.Waited {
		b.Fatalf("the import is not whole: %+v", done)
	}
}

// listed is what the requests are made of.
type listed struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Year   int      `json:"year"`
	Genres []string `json:"genres"`
}

// popularFilms returns all films that have ratings, the most rated first.
func popularFilms(b *testing.B, addr string) []listed {
	b.Helper()
	var films []listed
	c := newWebClient(b, addr)
	for token := ""; ; {
		body, err := c.get("/v1/charts/popular?page_size=200&page_token=" + url.QueryEscape(token))
		if err != nil {
			b.Fatal(err)
		}
		var answer struct {
			Entries []struct {
				Movie listed `json:"movie"`
			} `json:"entries"`
			NextPageToken string `json:"nextPageToken"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			b.Fatal(err)
		}
		for _, e := range answer.Entries {
			films = append(films, e.Movie)
		}
		if token = answer.NextPageToken; token == "" {
			break
		}
	}
	if len(films) < 5000 {
		b.Fatalf("the popular chart has %d films: the catalogue is not there", len(films))
	}
	return films
}

// zipf returns a choice among films in which the one of rank k comes 1/k as often as the first.
func zipf(films []listed, r *rand.Rand) func() listed {
	sums := make([]float64, len(films))
	sum := 0.0
	for i := range films {
		sum += 1 / float64(i+1)
		sums[i] = sum
	}
	return func() listed { return films[min(sort.SearchFloat64s(sums, r.Float64()*sum), len(films)-1)] }
}

// typed is what a user types to find the title: half of the time the beginning of it, sometimes a word of it, sometimes
// all of it, sometimes with two letters exchanged.
func typed(title string, r *rand.Rand) string {
	letters := []rune(title)
	switch r.IntN(8) {
	case 0, 1, 2, 3:
		letters = letters[:min(len(letters), 2+r.IntN(6))]
	case 4:
		words := strings.Fields(title)
		letters = []rune(words[r.IntN(len(words))])
	case 5:
		if n := len(letters); n > 5 {
			i := 1 + r.IntN(n-3)
			letters = slices.Clone(letters)
			letters[i], letters[i+1] = letters[i+1], letters[i]
		}
	}
	if text := strings.TrimSpace(string(letters)); text != "" {
		return text
	}
	return title
}

func p99(of []time.Duration) time.Duration {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[len(of)*99/100].Round(10 * time.Microsecond)
}

// knownBodies answers each path with the bytes it is known to have.
type knownBodies struct {
	contentType string
	bodies      map[string][]byte
}

func (h *knownBodies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, ok := h.bodies[r.RequestURI]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header()["Content-Type"] = []string{h.contentType}
	w.Header()["Content-Length"] = []string{fmt.Sprint(len(body))}
	_, _ = w.Write(body) // a client that has gone is its own affair
}
