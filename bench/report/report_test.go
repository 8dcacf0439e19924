package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"corsfilter/bench/workload"
	"corsfilter/internal/wasmtest"
)

// contenders returns a report with the module, what is built beside it, and the
// floor where there is a C compiler.
func contenders(t *testing.T) *report {
	t.Helper()
	dir := t.TempDir()
	r := &report{root: wasmtest.Root(), effort: effort{rounds: 1, startRounds: 1, requests: 1, slice: time.Microsecond, warmUp: time.Microsecond}}
	floor := filepath.Join(dir, "floor.wasm")
	if _, err := exec.LookPath("clang"); err != nil {
		t.Log("left out: the floor, since there is no clang; make setup installs it")
	} else {
		if err := r.command(t.Context(), r.root, nil, "make", "--no-print-directory", "FLOOR="+floor, floor); err != nil {
			t.Fatal(err)
		}
		r.modules = append(r.modules, module{name: floorName, path: floor})
	}
	ours := filepath.Join(dir, "cors.wasm")
	if err := os.WriteFile(ours, wasmtest.Module(t), 0o644); err != nil {
		t.Fatal(err)
	}
	sdk := filepath.Join(dir, "sdk.wasm")
	if err := r.buildSDK(t.Context(), sdk); err != nil {
		t.Fatal(err)
	}
	r.modules = append(r.modules, module{name: ourName, path: ours}, module{name: sdkName, path: sdk})
	return r
}

// TestEveryContenderDoesTheSame runs all loads once, with their outcomes asserted
// as before each timing: under wazero, and in V8 where there is Node.js.
func TestEveryContenderDoesTheSame(t *testing.T) {
	r := contenders(t)
	if err := r.wazeroRequests(t.Context()); err != nil {
		t.Error(err)
	}
	if want := len(r.loads()); len(r.data.Requests) != want {
		t.Errorf("%d contests under wazero, want %d", len(r.data.Requests), want)
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("left out: V8, since there is no Node.js; make setup installs it")
	}
	if r.modules[0].name != floorName {
		t.Skip("left out: V8, since there is no floor to compare with")
	}
	if err := r.v8Requests(t.Context()); err != nil {
		t.Error(err)
	}
	if err := r.growth(t.Context()); err != nil {
		t.Error(err)
	}
	if want := 2 * len(r.loads()); len(r.data.Requests) != want || len(r.data.Growth) != 3 {
		t.Errorf("%d contests and %d series, want %d and 3", len(r.data.Requests), len(r.data.Growth), want)
	}
	// What comes out wrong is told, whichever engine runs it.
	wrong := workload.Actual.Exchanges(1)
	wrong[0].Want.Headers = wrong[0].Want.Headers[1:]
	job := v8Job{Contests: []v8Contest{{[]v8Entry{{r.modules[1].path, string(workload.WithOrigins(1)), wrong}}}}}
	if err := r.v8(t.Context(), job, func(int, v8Result) error { return nil }); err == nil {
		t.Error("V8: a wrong outcome is timed")
	}
}

// TestAWrongOutcomeIsNotTimed takes a header away from what must come out.
func TestAWrongOutcomeIsNotTimed(t *testing.T) {
	wasm, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wasm.Write(wasmtest.Module(t)); err != nil {
		t.Fatal(err)
	}
	r := &report{modules: []module{{name: ourName, path: wasm.Name()}}}
	compiled, err := r.compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := r.start(t.Context(), compiled[0], r.modules[0], workload.WithOrigins(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range workload.Cases {
		e := c.Exchanges(1)[0]
		if err := check(plugin, e); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		e.Want.Headers = e.Want.Headers[1:]
		if check(plugin, e) == nil {
			t.Errorf("%s: a header too many is taken", c.Name)
		}
		e = c.Exchanges(1)[0]
		e.Want.Status = 204 - e.Want.Status
		if check(plugin, e) == nil {
			t.Errorf("%s: another status is taken", c.Name)
		}
	}
}
