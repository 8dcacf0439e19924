//go:build linux

package envoy

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"corsfilter/internal/envoytest"
	"corsfilter/internal/progress"
)

var (
	named = flag.String("effort", "test", "how much is measured: full, quick or test")
	out   = flag.String("out", "", "the file that takes the figures")
	only  = flag.String("only", "", "the one part to measure: start, request or push")

	builds = flag.String("builds", "", "other builds of the module to measure beside it: name=/path,…")
)

// effort is how much is measured.
type effort struct {
	starts, pushes int
	// The numbers of workers that Envoy is started with, each of which has a VM of its
	// own, and the sizes of policies that it is started with and that are pushed.
	workers, origins []int
	// Requests are sent in so many processes, one after the other, since no two have
	// their memory laid out alike, in so many rounds and slices of so long.
	processes, rounds int
	slice             time.Duration
}

var efforts = map[string]effort{
	"test":  {starts: 1, workers: []int{1}, origins: sizes[:1], pushes: 1, processes: 1, rounds: 1, slice: time.Millisecond},
	"quick": {starts: 1, workers: []int{1, 4}, origins: sizes, pushes: 3, processes: 1, rounds: 5, slice: 100 * time.Millisecond},
	"full":  {starts: 5, workers: []int{1, 4}, origins: sizes, pushes: 15, processes: 3, rounds: 4, slice: 600 * time.Millisecond},
}

// sizes are the numbers of origins of the policies.
var sizes = []int{1, 10_000}

// bench is one run.
type bench struct {
	testing.TB
	effort
	ctx        context.Context
	contenders []contender
	out        io.Writer
}

// TestBench is every part in turn, and shows what they gave. Ctrl-C ends it with what
// there is. A whole run of full effort goes into the documents.
func TestBench(t *testing.T) {
	e, ok := efforts[*named]
	if !ok {
		t.Fatalf("-effort=%s: write full, quick or test", *named)
	}
	ctx, stop := progress.Interruptible(t.Context())
	defer stop()
	var text bytes.Buffer
	b := &bench{TB: t, effort: e, ctx: ctx, contenders: contenders(t), out: &text}
	defer func() {
		if *out == "" {
			return
		}
		fmt.Print("\n", read(t, &text).page(), "\n")
		if err := os.WriteFile(*out, text.Bytes(), 0o644); err != nil {
			t.Error(err)
		}
		if *named == "full" && *only == "" && *builds == "" && !t.Failed() {
			if err := os.WriteFile(measured, text.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			document(t, true)
		}
	}()
	b.describe()
	for _, part := range []struct {
		name    string
		measure func(*bench)
	}{{"start", (*bench).starts}, {"request", (*bench).requests}, {"push", (*bench).pushesOfPolicies}} {
		if *only == "" || *only == part.name {
			part.measure(b)
		}
	}
	if ctx.Err() != nil {
		t.Error("stopped")
	}
}

// result writes a line in the format of Go's benchmarks.
func (b *bench) result(name string, origins int, filter string, n int, values ...any) {
	fmt.Fprintf(b.out, "Benchmark%s/origins=%d/filter=%s %d", name, origins, filter, n)
	for i := 0; i < len(values); i += 2 {
		fmt.Fprintf(b.out, " %.0f %s", values[i], values[i+1])
	}
	fmt.Fprintln(b.out)
}

// describe notes when, where and with what.
func (b *bench) describe() {
	line := func(name string, arguments ...string) string {
		said, _ := exec.Command(name, arguments...).Output()
		first, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
		return first
	}
	said := line(envoytest.Program(b), "--version")
	_, version, _ := strings.Cut(said, " version: ") // COMMIT/RELEASE/and more
	parts := strings.Split(version, "/")
	if len(parts) < 2 {
		b.Fatalf("envoy --version says %q", said)
	}
	for _, pair := range [][2]string{
		{"date", time.Now().UTC().Format(time.DateOnly)},
		{"commit", cmp.Or(line("git", "rev-parse", "--short=12", "HEAD"), "unknown")},
		{"envoy", parts[1]},
		{"go", strings.TrimPrefix(runtime.Version(), "go")},
		{"machine", fmt.Sprintf("%s, %d cores, %s/%s", cpu(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)},
	} {
		fmt.Fprintf(b.out, "%s: %s\n", pair[0], pair[1])
	}
}

// cpu is the name that the machine has for its processor.
func cpu() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "a processor without a name"
}
