// Package progress is for runs of more than a few seconds: it shows the progress of a
// run, and lets Ctrl-C end it without losing its results. It imports only the standard
// library.
package progress

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Interruptible returns a context that the first Ctrl-C ends; a second one ends
// the process. stop gives the signal back.
func Interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, stop = signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Meter says how much of a run is done, on one line that it writes again and
// again on a terminal, and on a line of its own every ten seconds elsewhere.
type Meter struct {
	w        io.Writer
	what     string
	total    int64
	done     atomic.Int64
	note     atomic.Pointer[string]
	began    time.Time
	terminal bool
	stop     chan struct{}
	stopped  sync.WaitGroup
}

// Start shows how much of total units of what is done, until Stop. Nothing is
// shown of a run that is over within a second.
func Start(w io.Writer, what string, total int64) *Meter {
	m := &Meter{w: w, what: what, total: total, began: time.Now(), stop: make(chan struct{})}
	every := 10 * time.Second
	if file, ok := w.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			m.terminal, every = true, time.Second
		}
	}
	m.stopped.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		shown := false
		for {
			select {
			case <-tick.C:
				m.show()
				shown = true
			case <-m.stop:
				if shown && m.terminal {
					fmt.Fprint(m.w, "\r\x1b[K")
				}
				return
			}
		}
	})
	return m
}

// Add counts units as done.
func (m *Meter) Add(n int64) { m.done.Add(n) }

// Note is shown behind the figures.
func (m *Meter) Note(text string) { m.note.Store(&text) }

// Done returns how many units are done.
func (m *Meter) Done() int64 { return m.done.Load() }

// Elapsed returns how long the run has taken so far.
func (m *Meter) Elapsed() time.Duration { return time.Since(m.began) }

// Stop shows nothing any more.
func (m *Meter) Stop() {
	close(m.stop)
	m.stopped.Wait()
}

func (m *Meter) show() {
	line := m.Line()
	if m.terminal {
		fmt.Fprint(m.w, "\r\x1b[K", line)
		return
	}
	fmt.Fprintln(m.w, line)
}

// Line is what is shown: how much is done, of how much, and how long the rest
// will take at the pace so far.
func (m *Meter) Line() string {
	done, elapsed := m.Done(), m.Elapsed()
	line := fmt.Sprintf("%s: %s of %s", m.what, Count(done), Count(m.total))
	if m.total > 0 {
		line += fmt.Sprintf(" (%d %%)", 100*done/m.total)
	}
	line += ", " + elapsed.Round(time.Second).String()
	if done > 0 && done < m.total {
		rest := time.Duration(float64(elapsed) / float64(done) * float64(m.total-done))
		line += ", " + rest.Round(time.Second).String() + " left"
	}
	if note := m.note.Load(); note != nil && *note != "" {
		line += "; " + *note
	}
	return line
}

// Count is a number with commas between its thousands.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
