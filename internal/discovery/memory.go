package discovery

import (
	"context"
	"slices"
	"sync"
)

// MemoryScheme is the spec and the scheme of the targets of a registry in memory:
// "memory:///rating".
const MemoryScheme = "memory"

// memory is the registry of one process.
type memory struct {
	mu        sync.Mutex
	instances map[string][]string // by service
	lookups   map[string]*lookup
}

// NewMemory returns an empty registry in memory. It logs and counts nothing, and
// need not be closed. Clients know an instance once Register returns.
func NewMemory() *Registry {
	r, err := Open(context.Background(), MemoryScheme, Options{})
	if err != nil {
		panic(err) // there is nothing in it that could fail
	}
	return r
}

func newMemory() *memory {
	return &memory{instances: make(map[string][]string), lookups: make(map[string]*lookup)}
}

func (m *memory) watch(l *lookup) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookups[l.service] = l
	l.found(m.instances[l.service])
	return nil
}

func (m *memory) register(_ context.Context, service, addr string) (func(context.Context) error, error) {
	m.update(service, func(list []string) []string { return append(list, addr) })
	return func(context.Context) error {
		m.update(service, func(list []string) []string {
			return slices.DeleteFunc(list, func(a string) bool { return a == addr })
		})
		return nil
	}, nil
}

func (m *memory) update(service string, change func([]string) []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.instances[service] = change(m.instances[service])
	if l := m.lookups[service]; l != nil {
		l.found(m.instances[service])
	}
}

func (*memory) close() {}
