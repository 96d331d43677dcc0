package discovery

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	staticInterval = time.Second // between two looks at the file
	staticMaxBytes = 1 << 20     // of the file
)

// static is the registry of a file.
type static struct {
	registry *Registry
	file     string

	mu    sync.Mutex
	state staticState
	news  chan struct{} // closed when state changes, and then replaced
}

type staticState struct {
	services map[string][]string // the last good content
	failing  bool
}

func (s staticSpec) build(r *Registry, _ Options) error {
	content, err := readStatic(s.file)
	if err != nil {
		return err
	}
	services, err := parseServices(content)
	if err != nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	b := &static{registry: r, file: s.file, state: staticState{services: services}, news: make(chan struct{})}
	r.scheme, r.backend = "static", b
	r.task(r.ctx, "file of services", func(ctx context.Context) { b.follow(ctx, content) })
	return nil
}

// follow reads the file periodically until ctx ends. used is the content in use.
//
// It compares contents, not times: the file is small, and the time of a file that was
// renamed into place may be older than that of its predecessor.
func (s *static) follow(ctx context.Context, used []byte) {
	tick := time.NewTicker(staticInterval)
	defer tick.Stop()
	seen, complaint := used, ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		content, err := readStatic(s.file)
		if err == nil && !bytes.Equal(content, seen) {
			seen = content // it may be being written: look again
			continue
		}
		seen = content
		if err == nil && complaint == "" && bytes.Equal(content, used) {
			continue
		}
		var services map[string][]string
		if err == nil {
			services, err = parseServices(content)
		}
		if err != nil {
			if err.Error() != complaint {
				complaint = err.Error()
				s.registry.log.Warn("services file is invalid; keeping the last valid content", "file", s.file, "error", err)
				s.update(func(st *staticState) { st.failing = true })
			}
			continue
		}
		if complaint != "" {
			complaint = ""
			s.registry.log.Info("services file is valid again", "file", s.file)
		}
		used = content
		s.update(func(st *staticState) { *st = staticState{services: services} })
	}
}

func (s *static) update(change func(*staticState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.state)
	close(s.news)
	s.news = make(chan struct{})
}

func (s *static) current() (staticState, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.news
}

// watch sets no settle time: a file that is back is complete.
func (s *static) watch(l *lookup) error {
	state, news := s.current()
	tell := func() {
		l.found(state.services[l.service])
		if state.failing {
			l.failed() // the log has it already
		}
	}
	tell()
	s.registry.task(s.registry.ctx, "lookup of "+l.service, func(ctx context.Context) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-news:
			}
			state, news = s.current()
			tell()
		}
	})
	return nil
}

// register does nothing: the operator maintains the file.
func (*static) register(context.Context, string, string) (func(context.Context) error, error) {
	return func(context.Context) error { return nil }, nil
}

func (*static) close() {}

func readStatic(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read services file: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, staticMaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read services file: %w", err)
	}
	if len(content) > staticMaxBytes {
		return nil, fmt.Errorf("services file %s has more than %d bytes: is it the right file?", file, staticMaxBytes)
	}
	return content, nil
}

// parseServices reads a list of addresses for each service, in YAML or JSON.
func parseServices(content []byte) (map[string][]string, error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return nil, fmt.Errorf("the file is empty: want a list of host:port for each service, or {} for no services")
	}
	d := yaml.NewDecoder(bytes.NewReader(content))
	var services map[string][]string
	if err := d.Decode(&services); err != nil && err != io.EOF { //nolint:errorlint // the decoder returns it bare
		return nil, fmt.Errorf("want a list of host:port for each service, like rating: [127.0.0.1:8082]: %w", err)
	}
	if services == nil {
		return nil, fmt.Errorf("the file has no content: want a list of host:port for each service, or {} for no services")
	}
	if err := d.Decode(new(any)); err != io.EOF { //nolint:errorlint // the decoder returns it bare
		return nil, fmt.Errorf("the file has more than one YAML document: want one")
	}
	for service, addrs := range services {
		if err := checkService(service); err != nil {
			return nil, err
		}
		for i, addr := range addrs {
			if _, _, err := splitAddress(addr); err != nil {
				return nil, fmt.Errorf("service %s, entry %d: %w", service, i+1, err)
			}
		}
	}
	return services, nil
}
