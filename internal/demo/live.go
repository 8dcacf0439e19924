package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Bounds of what is kept for those who watch.
const (
	historyLen   = 64 // events that a new watcher gets first
	watcherQueue = 64 // events that a slow watcher may lag behind
)

// heartbeat is how often a silent stream says that it is alive.
const heartbeat = 15 * time.Second

// Live hands events from the gateway on to the pages that watch, as server-sent
// events, and tells of the gateway. It is safe for concurrent use.
type Live struct {
	mu       sync.Mutex
	history  [][]byte
	watchers map[chan []byte]struct{}
	shown    Gateway
}

// Gateway is what the pages show.
type Gateway struct {
	URL string // as pages call it
	// Counters reads the values of the filter's counters; nil: there are none.
	Counters func() map[string]uint64
	Policy   *Policy // in effect; nil: none of this filter
}

// NewLive returns a Live without watchers.
func NewLive() *Live { return &Live{watchers: map[chan []byte]struct{}{}} }

// Show says what the gateway is from now on.
func (l *Live) Show(g Gateway) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shown = g
}

func (l *Live) gateway() Gateway {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shown
}

// Publish tells all watchers of an event, and what it means under the policy in
// force. One who lags too far behind misses it: the gateway never waits for a page.
func (l *Live) Publish(e Event) {
	data, err := json.Marshal(l.gateway().Policy.describe(e))
	if err != nil {
		return // times in the year 10000
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.history = append(l.history, data); len(l.history) > historyLen {
		l.history = append([][]byte(nil), l.history[len(l.history)-historyLen:]...)
	}
	for w := range l.watchers {
		select {
		case w <- data:
		default:
		}
	}
}

// watch returns the events so far and a channel with those to come.
func (l *Live) watch() (history [][]byte, events chan []byte, stop func()) {
	events = make(chan []byte, watcherQueue)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers[events] = struct{}{}
	return append([][]byte(nil), l.history...), events, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, events)
	}
}

// events streams events (HTML, section 9.2, server-sent events).
func (l *Live) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	history, events, stop := l.watch()
	defer stop()
	send := func(format string, args ...any) bool {
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			return false
		}
		return http.NewResponseController(w).Flush() == nil
	}
	if !send(": events of the gateway\n\n") {
		return
	}
	for _, data := range history {
		if !send("data: %s\n\n", data) {
			return
		}
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		ok := true
		select {
		case <-r.Context().Done():
			return
		case data := <-events:
			ok = send("data: %s\n\n", data)
		case <-tick.C:
			ok = send(": still here\n\n")
		}
		if !ok {
			return
		}
	}
}

func (l *Live) counters(w http.ResponseWriter, _ *http.Request) {
	counters := map[string]uint64{}
	if read := l.gateway().Counters; read != nil {
		counters = read()
	}
	writeJSON(w, counters)
}

// places are the URLs that the page asks for before it knows anything.
func (l *Live) places(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]string{"gateway": l.gateway().URL})
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}
