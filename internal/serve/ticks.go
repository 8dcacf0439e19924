package serve

import (
	"sync"
	"time"

	"corsfilter/internal/host"
)

// ticks are the timers of all plugins. As in Envoy, a tick is due a period after
// the one before has run, on each worker's own VM.
type ticks struct {
	mu     sync.Mutex
	timers map[*host.Plugin]*ticker
}

type ticker struct{ timer *time.Timer }

// set starts, changes or ends a plugin's ticks.
func (t *ticks) set(p *host.Plugin, period time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.timers[p]; old != nil {
		old.timer.Stop()
		delete(t.timers, p)
	}
	if period <= 0 {
		return
	}
	if t.timers == nil {
		t.timers = map[*host.Plugin]*ticker{}
	}
	next := &ticker{}
	next.timer = time.AfterFunc(period, func() {
		p.Tick()
		t.again(p, next, period)
	})
	t.timers[p] = next
}

// again lets the next tick come, unless the one that has run ended or changed them.
func (t *ticks) again(p *host.Plugin, which *ticker, period time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timers[p] == which {
		which.timer.Reset(period)
	}
}
