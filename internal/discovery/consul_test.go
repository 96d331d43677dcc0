package discovery_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"movieexample.com/internal/discovery"
)

// fakeConsul speaks as much of Consul's API as a registry uses, so that the default
// tests go through all of that; what Consul really does is tested with the build tag
// servers.
type fakeConsul struct {
	*httptest.Server

	mu       sync.Mutex
	index    uint64
	news     chan struct{} // closed when entries change
	entries  []*api.ServiceEntry
	filtered bool
	status   int // of every answer, unless 0
	local    map[string]*api.AgentServiceRegistration
	puts     int // registrations
}

func startFakeConsul(t *testing.T) *fakeConsul {
	t.Helper()
	f := &fakeConsul{index: 10, news: make(chan struct{}), local: make(map[string]*api.AgentServiceRegistration)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/health/service/rating", f.health)
	mux.HandleFunc("GET /v1/agent/service/{id}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch s := f.local[r.PathValue("id")]; {
		case f.status != 0:
			http.Error(w, "no", f.status)
		case s == nil:
			http.Error(w, "unknown", http.StatusNotFound)
		default:
			_ = json.NewEncoder(w).Encode(api.AgentService{ID: s.ID})
		}
	})
	mux.HandleFunc("PUT /v1/agent/service/register", func(w http.ResponseWriter, r *http.Request) {
		var s api.AgentServiceRegistration
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.change(func() { f.local[s.ID], f.puts = &s, f.puts+1 })
	})
	mux.HandleFunc("PUT /v1/agent/service/deregister/{id}", func(_ http.ResponseWriter, r *http.Request) {
		f.change(func() { delete(f.local, r.PathValue("id")) })
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

// health is a blocking query.
func (f *fakeConsul) health(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	news, same := f.news, r.URL.Query().Get("index") == fmt.Sprint(f.index)
	f.mu.Unlock()
	if same {
		wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case <-news:
		case <-time.After(wait):
		case <-r.Context().Done():
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.status != 0 {
		http.Error(w, "no", f.status)
		return
	}
	w.Header().Set("X-Consul-Index", fmt.Sprint(f.index))
	w.Header().Set("X-Consul-Results-Filtered-By-ACLs", fmt.Sprint(f.filtered))
	_ = json.NewEncoder(w).Encode(append([]*api.ServiceEntry{}, f.entries...))
}

func (f *fakeConsul) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.index++
	do()
	close(f.news)
	f.news = make(chan struct{})
}

func (f *fakeConsul) spec() string { return "consul://" + strings.TrimPrefix(f.URL, "http://") }

// entry is an instance with the status of its check and of its node's.
func entry(addr string, port int, check, node string) *api.ServiceEntry {
	return &api.ServiceEntry{
		Node: &api.Node{Address: "10.0.0.99"}, Service: &api.AgentService{ID: "x", Address: addr, Port: port},
		Checks: api.HealthChecks{{CheckID: "serfHealth", Status: node}, {CheckID: "x", ServiceID: "x", Status: check}},
	}
}

// Which of Consul's entries are instances.
func TestConsulEntries(t *testing.T) {
	t.Parallel()
	f := startFakeConsul(t)
	f.entries = []*api.ServiceEntry{
		entry("10.0.0.1", 1, "passing", "passing"),
		entry("10.0.0.2", 2, "critical", "passing"),
		entry("10.0.0.3", 3, "warning", "critical"), // its agent is gone, which says nothing about it
		entry("", 4, "passing", "passing"),          // at its node's address
		entry("10.0.0.5", 0, "passing", "passing"),  // nothing to connect to
	}
	maintained := entry("10.0.0.6", 6, "passing", "passing")
	maintained.Checks = append(maintained.Checks, &api.HealthCheck{CheckID: api.NodeMaint, Status: "critical"})
	f.entries = append(f.entries, maintained)
	r := resolve(t, f.spec(), discovery.Options{})
	r.expect(t, "10.0.0.1:1", "10.0.0.3:3", "10.0.0.99:4")

	f.change(func() { f.entries = []*api.ServiceEntry{entry("10.0.0.7", 7, "critical", "passing")} })
	r.expect(t, "10.0.0.7:7") // better than none
	f.change(func() { f.entries = nil })
	r.expect(t)
}

// Errors, hidden answers and an index that goes back are not taken for an absence.
func TestConsulOutages(t *testing.T) {
	t.Parallel()
	f := startFakeConsul(t)
	f.entries = []*api.ServiceEntry{entry("10.0.0.1", 1, "passing", "passing")}
	r := resolve(t, f.spec(), discovery.Options{})
	r.expect(t, "10.0.0.1:1")
	f.change(func() { f.status = http.StatusInternalServerError })
	r.stale(t, 1)
	f.change(func() { f.status, f.entries, f.filtered = 0, nil, true })
	r.log.expect(t, "registry is unreachable")
	f.change(func() { f.entries, f.filtered = []*api.ServiceEntry{entry("10.0.0.1", 1, "passing", "passing")}, false })
	r.stale(t, 0)
	if got := r.log.count("instances changed"); got != 1 {
		t.Errorf("the instances changed %d times, want none but the first", got)
	}
	f.change(func() { // another cluster's data
		f.index, f.entries = 3, []*api.ServiceEntry{entry("10.0.0.2", 2, "passing", "passing")}
	})
	r.expect(t, "10.0.0.1:1", "10.0.0.2:2")
	r.expect(t, "10.0.0.2:2") // settled
}

// A registration waits for an agent, and holds when the agent forgets it.
func TestConsulRegistrationIsRenewed(t *testing.T) {
	t.Parallel()
	f := startFakeConsul(t)
	f.status = http.StatusForbidden
	r := resolve(t, f.spec(), discovery.Options{Version: "v9"})
	deregister, err := r.reg.Register(t.Context(), "rating", "10.0.0.1:8082")
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.reg.Register(t.Context(), "rating", "10.0.0.1:8082")
	if err != nil {
		t.Fatal(err)
	}
	r.log.expect(t, "registration with Consul failed")
	if got := r.metric(t, "movieexample_discovery_registered"); got != 0 {
		t.Errorf("movieexample_discovery_registered is %v, want 0", got)
	}
	registered := func() *api.AgentServiceRegistration {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.local["rating-10.0.0.1-8082"]
	}
	f.change(func() { f.status = 0 })
	eventually(t, "registered", func() bool { return registered() != nil })
	s := registered()
	if s.Name != "rating" || s.Address != "10.0.0.1" || s.Port != 8082 || len(s.Tags) != 1 || s.Tags[0] != "version=v9" || s.Check.GRPC != "10.0.0.1:8082" || s.Check.Interval != "2s" {
		t.Errorf("registered %+v with %+v", s, s.Check)
	}
	f.change(func() { clear(f.local) })
	eventually(t, "registered again", func() bool { return registered() != nil })
	if err := deregister(t.Context()); err != nil {
		t.Error(err)
	}
	if registered() == nil {
		t.Error("gone after the first of two deregistrations")
	}
	if err := again(t.Context()); err != nil {
		t.Error(err)
	}
	if registered() != nil {
		t.Error("still there after the last deregistration")
	}
	if f.mu.Lock(); f.puts != 2 {
		t.Errorf("%d registrations, want 2: one more would reset the check", f.puts)
	}
	f.mu.Unlock()

	last, err := r.reg.Register(t.Context(), "rating", "10.0.0.1:8082")
	if err != nil {
		t.Fatal(err)
	}
	f.CloseClientConnections()
	f.Config.Close()
	if err := last(t.Context()); err == nil || !strings.Contains(err.Error(), "deregister rating at 10.0.0.1:8082: deregister from Consul at ") {
		t.Errorf("without an agent: %v", err)
	}
}
