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
	mu   sync.RWMutex
	all  []*metric // the id of a metric is its place
	byID map[string]uint32
}

type metric struct {
	name  string
	value atomic.Uint64
}

// NewMetrics returns a registry without metrics.
func NewMetrics() *Metrics { return &Metrics{byID: make(map[string]uint32)} }

// define returns the id of the metric, the same for the same name.
func (m *Metrics) define(name string) uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id, ok := m.byID[name]; ok {
		return id
	}
	id := uint32(len(m.all))
	m.all = append(m.all, &metric{name: name})
	m.byID[name] = id
	return id
}

func (m *Metrics) get(id uint32) *metric {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if int(id) >= len(m.all) {
		return nil
	}
	return m.all[id]
}

// Counter returns the value of a counter; ok is false where no module defined
// it.
func (m *Metrics) Counter(name string) (value uint64, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	id, ok := m.byID[name]
	if !ok {
		return 0, false
	}
	return m.all[id].value.Load(), true
}

// All returns every metric, sorted by name.
func (m *Metrics) All() []Metric {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := make([]Metric, len(m.all))
	for i, e := range m.all {
		all[i] = Metric{e.name, e.value.Load()}
	}
	slices.SortFunc(all, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	return all
}
