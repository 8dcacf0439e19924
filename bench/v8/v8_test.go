package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"corsfilter/bench/workload"
	"corsfilter/internal/wasmtest"
)

// TestEveryModuleDoesTheSame runs all contests once, with their outcomes asserted as
// before each timing.
func TestEveryModuleDoesTheSame(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("left out: V8, since there is no Node.js; make setup installs it")
	}
	ours := filepath.Join(t.TempDir(), "cors.wasm")
	if err := os.WriteFile(ours, wasmtest.Module(t), 0o644); err != nil {
		t.Fatal(err)
	}
	modules := []string{"module=" + ours}
	if _, err := exec.LookPath("clang"); err != nil {
		t.Log("left out: the floor, since there is no clang; make setup installs it")
	} else {
		floor := filepath.Join(t.TempDir(), "floor.wasm")
		build := exec.Command("make", "--no-print-directory", "FLOOR="+floor, floor)
		build.Dir = wasmtest.Root()
		if said, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		modules = append(modules, "floor="+floor)
	}
	var out strings.Builder
	all := contests("")
	if err := run(&out, effort{rounds: 1}, all, modules); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^BenchmarkV8/case=\S+/filter=module \d+ \d+\.\d ns/op \d calls/op$`)
	if n := len(line.FindAllString(out.String(), -1)); n != len(all) {
		t.Errorf("%d lines about the module, want %d:\n%s", n, len(all), out.String())
	}
	// Wrong outcomes are reported.
	for _, wrong := range []func(*workload.Want){
		func(w *workload.Want) { w.Headers = w.Headers[1:] },
		func(w *workload.Want) { w.Status = 200 - w.Status },
		func(w *workload.Want) { w.Counters = nil },
	} {
		all := contests(workload.Actual.Name)[:1]
		wrong(&all[0].Exchanges[0].Want)
		if err := run(&out, effort{rounds: 1}, all, modules[:1]); err == nil {
			t.Errorf("timed, with a wrong outcome: %+v", all[0].Exchanges[0].Want)
		}
	}
}
