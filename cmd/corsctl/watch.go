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
	states map[string]os.FileInfo // nil: not there
	every  time.Duration
}

// watchEvery is how often files are looked at.
const watchEvery = 250 * time.Millisecond

func newWatched() *watched { return &watched{states: map[string]os.FileInfo{}, every: watchEvery} }

// read reads a file and watches it from now on. The state is taken before, so that
// a change in between is seen.
func (w *watched) read(name string) ([]byte, error) {
	w.states[name] = stateOf(name)
	return os.ReadFile(name)
}

func stateOf(name string) os.FileInfo {
	info, err := os.Stat(name)
	if err != nil {
		return nil
	}
	return info
}

// same reports whether two looks at a file saw one version of it. A link may have
// been turned to another file of the same size and time, which unpacked ones have.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && os.SameFile(a, b)
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
			if now := stateOf(name); !same(now, before) {
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
