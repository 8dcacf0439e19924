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
	historyLen   = 64 // events that a new watcher is told first
	watcherQueue = 64 // events that a slow watcher may lag behind
)

// heartbeat is how often a silent stream says that it is alive.
const heartbeat = 15 * time.Second

// Live hands events from the gateway on to the pages that watch, as server-sent
// events. It takes whatever can be written as JSON. It is safe for concurrent
// use.
type Live struct {
	mu       sync.Mutex
	history  [][]byte
	watchers map[chan []byte]struct{}
	values   func() map[string]uint64
	where    Places
	advise   Adviser
}

// Places are the URLs that the page asks for before it knows anything.
type Places struct {
	Gateway string `json:"gateway"`
}

// NewLive returns a Live without watchers.
func NewLive() *Live { return &Live{watchers: map[chan []byte]struct{}{}} }

// Show says where things are, what reads the counters, and what knows the policy
// in force.
func (l *Live) Show(values func() map[string]uint64, where Places, advise Adviser) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values, l.where, l.advise = values, where, advise
}

// Publish tells all watchers. One who lags too far behind misses the event: the
// gateway never waits for a page.
func (l *Live) Publish(event any) {
	data, err := json.Marshal(event)
	if err != nil {
		return // nothing that the gateway publishes
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
	l.mu.Lock()
	values := l.values
	l.mu.Unlock()
	counters := map[string]uint64{}
	if values != nil {
		counters = values()
	}
	writeJSON(w, counters)
}

func (l *Live) places(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	where := l.where
	l.mu.Unlock()
	writeJSON(w, where)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}
