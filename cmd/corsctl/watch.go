package main

import (
	"context"
	"maps"
	"os"
	"slices"
	"time"
)

// watched are the files that something was read from. They are looked at several
// times a second rather than watched by the system: that works for editors that
// put a new file in the old one's place, for links that are turned, and on file
// systems that tell nobody of changes, and costs a stat for each.
type watched struct {
	states map[string]fileState
	every  time.Duration
}

// fileState is what tells two versions of a file apart; the zero value is a file
// that is not there.
type fileState struct {
	changed time.Time
	size    int64
}

// watchEvery is how often files are looked at.
const watchEvery = 250 * time.Millisecond

func newWatched() *watched { return &watched{states: map[string]fileState{}, every: watchEvery} }

// read reads a file and watches it from now on. The state is taken before, so that
// a change in between is seen.
func (w *watched) read(name string) ([]byte, error) {
	w.states[name] = stateOf(name)
	return os.ReadFile(name)
}

func stateOf(name string) fileState {
	info, err := os.Stat(name)
	if err != nil {
		return fileState{}
	}
	return fileState{info.ModTime(), info.Size()}
}

func (w *watched) names() []string { return slices.Sorted(maps.Keys(w.states)) }

// wait returns once a file has changed and none has for a while, so that one which
// is still being written is not read; false: ctx ended.
func (w *watched) wait(ctx context.Context) bool {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	pending := false
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		moved := false
		for name, before := range w.states {
			if now := stateOf(name); now != before {
				w.states[name] = now
				moved = true
			}
		}
		if pending && !moved {
			return true
		}
		pending = pending || moved
	}
}
