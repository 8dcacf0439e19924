package main

import (
	"context"
	"maps"
	"os"
	"slices"
	"time"
)

// watched are the files that something was read from. They are polled several times a second
// instead of being watched by the system. That works with editors that replace files, with
// redirected links, and on file systems that do not report changes, and costs one stat each.
type watched struct {
	states map[string]os.FileInfo // nil: not there
	every  time.Duration
}

// watchEvery is how often files are polled.
const watchEvery = 250 * time.Millisecond

func newWatched() *watched { return &watched{states: map[string]os.FileInfo{}, every: watchEvery} }

// read reads a file and watches it from now on. The state is recorded first, so that a change
// in between is seen.
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

// same reports whether two polls of a file saw the same version. A link may point to another
// file of the same size and time, as unpacked files have.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && os.SameFile(a, b)
}

func (w *watched) names() []string { return slices.Sorted(maps.Keys(w.states)) }

// wait returns once a file has changed and none has changed for a while, so that it does not
// read a file that is still being written; false: ctx ended.
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
