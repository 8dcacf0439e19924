package host

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Metric is the state of one counter.
type Metric struct {
	Name  string
	Value uint64
}

// Metrics are the counters that modules define, by name. It is safe for
// concurrent use; VMs that share it add up, as Envoy's workers do.
type Metrics struct {
	mu     sync.RWMutex
	byID   []*metric
	byName map[string]*metric
}

type metric struct {
	name  string
	value atomic.Uint64
}

// NewMetrics returns a registry without metrics.
func NewMetrics() *Metrics { return &Metrics{byName: map[string]*metric{}} }

// define returns an id of the metric, another one each time.
func (m *Metrics) define(name string) uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byName[name] == nil {
		m.byName[name] = &metric{name: name}
	}
	m.byID = append(m.byID, m.byName[name])
	return uint32(len(m.byID) - 1)
}

func (m *Metrics) get(id uint32) *metric {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if int(id) >= len(m.byID) {
		return nil
	}
	return m.byID[id]
}

// Counter returns the value of a counter; ok is false where no module defined
// it.
func (m *Metrics) Counter(name string) (value uint64, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found, ok := m.byName[name]
	if !ok {
		return 0, false
	}
	return found.value.Load(), true
}

// All returns every metric, sorted by name.
func (m *Metrics) All() []Metric {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := make([]Metric, 0, len(m.byName))
	for _, e := range m.byName {
		all = append(all, Metric{e.name, e.value.Load()})
	}
	slices.SortFunc(all, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	return all
}
