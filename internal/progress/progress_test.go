package progress

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", 10_000_000: "10,000,000"} {
		if got := Count(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestTheLineSaysWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		m := Start(&out, "requests", 4000)
		time.Sleep(5 * time.Second)
		m.Add(1000)
		m.Note("no errors")
		if got, want := m.Line(), "requests: 1,000 of 4,000 (25 %), 5s, 15s left; no errors"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		time.Sleep(6 * time.Second) // a line every ten
		m.Add(3000)
		m.Stop()
		time.Sleep(time.Minute)
		if got, want := out.String(), "requests: 1,000 of 4,000 (25 %), 10s, 30s left; no errors\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if m.Done() != 4000 {
			t.Errorf("%d done", m.Done())
		}
	})
}

func TestAnInterruptEndsTheRunAndNotTheProcess(t *testing.T) {
	ctx, stop := Interruptible(context.Background())
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Error("nothing ended")
	}
}
