package loadtest_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"movieexample.com/app"
	"movieexample.com/client"
	"movieexample.com/client/loadtest"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/movielens"
)

// startSystem runs everything in one process, with a small catalogue where wanted.
func startSystem(t *testing.T, films int) loadtest.Targets {
	t.Helper()
	const anyPort = "127.0.0.1:0"
	cfg := app.DefaultConfig()
	cfg.DataDir = t.TempDir()
	cfg.Listen = app.Listen{Gateway: anyPort, Metadata: anyPort, Rating: anyPort, Movie: anyPort, Kafka: anyPort, Admin: anyPort}
	a, err := app.New(t.Context(), cfg, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-a.Ready()
	found := a.Addresses()
	if films > 0 {
		dir := t.TempDir()
		if _, err := movielens.Generate(t.Context(), dir, movielens.GenerateOptions{Users: 20, Ratings: 400, Movies: films, Seed: 1}); err != nil {
			t.Fatal(err)
		}
		c, err := client.Connect(client.Addresses{Metadata: found.Metadata, Rating: found.Rating, Brokers: []string{found.Kafka}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := c.ImportMovieLens(t.Context(), dir, client.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	file := t.TempDir() + "/addresses.json"
	if err := found.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	targets := loadtest.DefaultTargets()
	if err := targets.Locate(file); err != nil {
		t.Fatal(err)
	}
	return targets
}

// TestEveryDoor asks a whole system for every kind of request there is. Each has to have right answers only.
func TestEveryDoor(t *testing.T) {
	targets := startSystem(t, 60)
	var all []string
	for _, k := range loadtest.KindsOfRequests() {
		all = append(all, k.Kind)
		t.Run(k.Kind, func(t *testing.T) {
			targets := targets
			targets.Connections = 2
			if err := targets.Mix.Set(k.Kind); err != nil {
				t.Fatal(err)
			}
			system, err := loadtest.Connect(t.Context(), targets)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := system.Close(); err != nil {
					t.Error(err)
				}
			}()
			if system.Films() != 60 {
				t.Errorf("%d films, want 60", system.Films())
			}
			before := ratings(t, targets)
			plan := loadtest.Plan{Rate: 100, Duration: 400 * time.Millisecond, Arrivals: loadtest.Constant, Patience: 30 * time.Second, Timeout: 30 * time.Second}
			got, err := loadtest.Run(t.Context(), plan, system.Source())
			if err != nil {
				t.Fatal(err)
			}
			if got.All.Due != 39 && got.All.Due != 40 || got.All.Answered != got.All.Due || len(got.Kinds) != 1 || got.Kinds[0].Kind != k.Kind {
				t.Errorf("%+v, want 40 right answers of kind %s", got.All, k.Kind)
			}
			if got.All.Latency.Max <= 0 {
				t.Error("no latency was measured")
			}
			// What writes has to have written, and nothing else.
			if k.Writes {
				for deadline := time.Now().Add(30 * time.Second); ratings(t, targets) == before && time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
				}
			}
			if after := ratings(t, targets); (after > before) != k.Writes {
				t.Errorf("%d ratings before and %d after a kind of request that writes: %t", before, after, k.Writes)
			}
		})
	}
	for _, want := range []string{"grpc-details", "grpc-book", "grpc-rate", "rest-details", "rest-list", "rest-chart", "rest-search", "page", "event"} {
		if !slices.Contains(all, want) {
			t.Errorf("there is no kind of request %q", want)
		}
	}
}

// ratings is how many ratings users of the load have given.
func ratings(t *testing.T, targets loadtest.Targets) int {
	t.Helper()
	conn, err := grpc.NewClient(targets.Rating[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	got, err := ratingv1.NewRatingServiceClient(conn).GetTotals(t.Context(), &ratingv1.GetTotalsRequest{RecordType: "movie"})
	if err != nil {
		t.Fatal(err)
	}
	return int(got.GetRatings())
}

// TestRemoteTargets: nobody is put under load by mistake.
func TestRemoteTargets(t *testing.T) {
	local := loadtest.DefaultTargets()
	if err := local.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*loadtest.Targets){
		"a name":      func(t *loadtest.Targets) { t.Gateways = []string{"http://example.com"} },
		"an address":  func(t *loadtest.Targets) { t.Movie = []string{"127.0.0.1:8083", "192.0.2.1:8083"} },
		"any address": func(t *loadtest.Targets) { t.Gateways = []string{"http://0.0.0.0:8080"} },
		"IPv6":        func(t *loadtest.Targets) { t.Gateways = []string{"http://[2001:db8::1]:8080"} },
		"user info":   func(t *loadtest.Targets) { t.Gateways = []string{"http://127.0.0.1@example.com:8080"} },
	} {
		targets := local
		change(&targets)
		if _, err := loadtest.Connect(t.Context(), targets); !errors.As(err, new(*loadtest.RemoteError)) {
			t.Errorf("%s: %v, want a RemoteError", name, err)
		}
		targets.Remote = true
		if err := targets.Validate(); err != nil {
			t.Errorf("%s, allowed: %v", name, err)
		}
	}
	// An endpoint that is not used may be anywhere.
	local.Metadata = []string{"metadata.example:8081"}
	if err := local.Validate(); err != nil {
		t.Error(err)
	}
}

func TestTargetsValidate(t *testing.T) {
	for name, change := range map[string]func(*loadtest.Targets){
		"connections": func(t *loadtest.Targets) { t.Connections = -1 },
		"films":       func(t *loadtest.Targets) { t.Films = loadtest.MaxFilms + 1 },
		"zipf":        func(t *loadtest.Targets) { t.Zipf = math.NaN() },
		"mix":         func(t *loadtest.Targets) { t.Mix = loadtest.Mix{{Kind: "nothing", Weight: 1}} },
		"gateway":     func(t *loadtest.Targets) { t.Gateways = []string{"127.0.0.1:8080"} },
		"movie":       func(t *loadtest.Targets) { t.Movie = []string{"127.0.0.1"} },
	} {
		targets := loadtest.DefaultTargets()
		change(&targets)
		if _, err := loadtest.Connect(t.Context(), targets); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%s: %v, want an error of kind Invalid", name, err)
		}
	}
}

// TestNobodyThere: each endpoint that does not answer, or whose address is not known, is named.
func TestNobodyThere(t *testing.T) {
	for kind, part := range map[string]string{"rest-list": "gateway", "grpc-details": "movie", "event": "kafka"} {
		targets := loadtest.DefaultTargets()
		targets.Gateways, targets.Movie, targets.Brokers = []string{"http://127.0.0.1:1"}, []string{"127.0.0.1:1"}, []string{"127.0.0.1:1"}
		if err := targets.Mix.Set(kind); err != nil {
			t.Fatal(err)
		}
		_, err := loadtest.Connect(t.Context(), targets)
		gone := (*client.UnreachableError)(nil)
		if !errors.As(err, &gone) || gone.Part != part || !strings.Contains(gone.Addr, "127.0.0.1:1") {
			t.Errorf("%s: %v, want %s to be unreachable at its address", kind, err, part)
		}
		targets.Gateways, targets.Movie, targets.Brokers = nil, nil, nil
		if err := targets.Validate(); !errors.As(err, &gone) || gone.Addr != "" {
			t.Errorf("%s: %v, want an address to be missing", kind, err)
		}
	}
}

func TestNoFilms(t *testing.T) {
	targets := startSystem(t, 0)
	if _, err := loadtest.Connect(t.Context(), targets); fault.KindOf(err) != fault.KindPrecondition || !strings.Contains(err.Error(), "import") {
		t.Errorf("%v, want an error that says how films come in", err)
	}
}

func TestMix(t *testing.T) {
	var mix loadtest.Mix
	for _, bad := range []string{"", "nothing=1", "page=0", "page=-1", "page=x", "page=1,page=2", "page=NaN", "page=1,"} {
		if err := mix.Set(bad); err == nil || !strings.HasPrefix(err.Error(), "must ") {
			t.Errorf("%q: error %v, want one that says what is allowed", bad, err)
		}
	}
	if err := mix.Set("rest-details=70, event=0.5,page"); err != nil {
		t.Fatal(err)
	}
	if got := mix.String(); got != "rest-details=70,event=0.5,page=1" {
		t.Errorf("the mix is %q", got)
	}
	if got := mix.Writes(); !slices.Equal(got, []string{"event"}) {
		t.Errorf("%v write, want events only", got)
	}
	standard := loadtest.DefaultMix()
	if got := standard.Writes(); len(got) != 0 {
		t.Errorf("the default mix writes: %v", got)
	}
}

// TestZipf compares how often ranks are drawn with the law.
func TestZipf(t *testing.T) {
	const n, draws = 50, 500_000
	for _, s := range []float64{0, 0.5, 1, 1.5} {
		choose, r := loadtest.Zipf(n, s), rand.New(rand.NewPCG(1, 2))
		var drawn [n]int
		for range draws {
			drawn[choose(r)]++
		}
		sum := 0.0
		for k := 1; k <= n; k++ {
			sum += math.Pow(float64(k), -s)
		}
		for k, got := range drawn {
			want := draws * math.Pow(float64(k+1), -s) / sum
			if math.Abs(float64(got)-want) > 5*math.Sqrt(want) {
				t.Errorf("exponent %v: rank %d was drawn %d times of %d, want %.0f", s, k+1, got, draws, want)
			}
		}
	}
}
