// Mutate changes config, filter, internal/origin and internal/header in one place
// at a time, and runs the tests: each comparison, constant and branch is flipped
// once. A mutant that no test notices is a survivor; one that changes nothing that
// anybody could see is named in explained.txt, with the reason. All mutants are
// compiled into one test binary, and the environment says which one is at work, so
// that a mutant costs a run of tests and no build. It imports the standard library,
// golang.org/x/tools and internal/progress.
//
// go-mutesting is older than modules; gremlins compiles each mutant by itself, and
// flips neither constants nor whole conditions.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/tools/go/packages"

	"corsfilter/internal/progress"
)

// subject is a package that is mutated, and the packages whose tests are run, the
// nearest first.
type subject struct {
	folder string
	tests  []string
}

var subjects = []subject{
	{"internal/header", []string{"internal/header", "filter", "config"}},
	{"internal/origin", []string{"internal/origin", "config", "filter"}},
	{"filter", []string{"filter", "internal/explain", "config"}},
	{"config", []string{"config", "filter", "internal/explain"}},
}

// untimed are tests of time and memory: what mutants cost would fail them.
const untimed = "^(TestAStartCosts.*|TestPushes.*|TestGrowth.*|Test.*Linear.*|Test.*Memory.*Grow.*)$"

//go:embed explained.txt
var explained string

func main() {
	only := flag.String("only", "", "regular expression for the mutants to try, as \"file function: change\"")
	every := flag.Int("every", 1, "try one mutant of so many")
	flag.Parse()
	ctx, stop := progress.Interruptible(context.Background())
	defer stop()
	ok, err := run(ctx, *only, *every)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// explanations are the survivors that are known, with the reason; a line is
// "file function: change # reason".
func explanations(text string) (known map[string]string, err error) {
	known = map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndex(line, " # ")
		if at < 0 {
			return nil, fmt.Errorf("explained.txt, line %d: %q gives no reason; write \"file function: change # reason\"", i+1, line)
		}
		known[line[:at]] = line[at+3:]
	}
	return known, nil
}

// workshop is where the mutants are built.
type workshop struct {
	root, dir string
	mutants   []mutant
	tests     map[string]*tested
}

// tested is a test binary. Those of its tests that take next to no time are run for
// every mutant, of near packages no others.
type tested struct {
	folder, binary string
	quick          string        // regular expression of the tests that take next to no time
	quickly, all   time.Duration // how long they take unchanged
	flags          []string
}

func run(ctx context.Context, only string, every int) (ok bool, err error) {
	known, err := explanations(explained)
	if err != nil {
		return false, err
	}
	wanted, err := regexp.Compile(only)
	if err != nil {
		return false, fmt.Errorf("-only: %w", err)
	}
	root, err := os.Getwd()
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	w := &workshop{root: root, dir: dir, tests: map[string]*tested{}}
	if err := w.build(ctx); err != nil {
		return false, err
	}
	fmt.Fprintf(os.Stderr, "mutate: %d mutants in %v\n", len(w.mutants), time.Since(began).Round(time.Second))
	if err := w.baseline(ctx); err != nil {
		return false, err
	}
	var chosen []mutant
	for i, m := range w.mutants {
		if wanted.MatchString(m.key()) && i%every == 0 {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return false, errors.New("no mutant is chosen")
	}
	expected := func(key string) bool { return every == 1 && wanted.MatchString(key) }
	return w.try(ctx, chosen, known, expected), nil
}

// build makes the test binaries, leaving out mutants that do not compile.
func (w *workshop) build(ctx context.Context) error {
	without := map[int]bool{}
	for range 20 {
		overlay, err := w.overlay(without)
		if err != nil {
			return err
		}
		failed, err := w.compile(ctx, overlay)
		if err == nil {
			return nil
		}
		if len(failed) == 0 {
			return err
		}
		for _, id := range failed {
			without[id] = true
		}
	}
	return errors.New("the mutants do not compile, whichever are left out")
}

// overlay writes the changed files, and returns the list for go build.
func (w *workshop) overlay(without map[int]bool) (string, error) {
	w.mutants = nil
	replace := map[string]string{}
	place := func(path string, text []byte) error {
		copied := filepath.Join(w.dir, fmt.Sprintf("%d-%s", len(replace), filepath.Base(path)))
		replace[path] = copied
		return os.WriteFile(copied, text, 0o644)
	}
	if err := place(filepath.Join(w.root, strings.TrimPrefix(switchPath, "corsfilter/"), "mutant.go"), []byte(switchSource)); err != nil {
		return "", err
	}
	next := 1
	for _, s := range subjects {
		loaded, err := packages.Load(&packages.Config{
			Mode: packages.NeedName | packages.NeedCompiledGoFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedDeps,
			Dir:  w.root,
		}, "./"+s.folder)
		if err != nil {
			return "", err
		}
		if len(loaded) != 1 || len(loaded[0].Errors) > 0 {
			return "", fmt.Errorf("%s: %v", s.folder, loaded[0].Errors)
		}
		mutants, files, last, err := find(loaded[0], w.root, s.folder, next, without)
		if err != nil {
			return "", err
		}
		next = last
		w.mutants = append(w.mutants, mutants...)
		for path, text := range files {
			if err := place(path, text); err != nil {
				return "", err
			}
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(w.dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o644)
}

var (
	place    = regexp.MustCompile(`(?m)^([^\s:]+\.go):(\d+):\d+: `)
	switches = regexp.MustCompile(regexp.QuoteMeta(switchName) + `\.\w+(?:\[[^\]]*\])?\((\d+),`)
)

// compile makes the test binaries; failed are the mutants on lines that the
// compiler complains about.
func (w *workshop) compile(ctx context.Context, overlay string) (failed []int, err error) {
	for _, s := range subjects {
		for _, folder := range s.tests {
			if w.tests[folder] != nil {
				continue
			}
			binary := filepath.Join(w.dir, strings.ReplaceAll(folder, "/", "-")+".test")
			command := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-gcflags=-e", "-overlay", overlay, "-o", binary, "./"+folder)
			command.Dir = w.root
			said, err := command.CombinedOutput()
			if err != nil {
				for _, m := range place.FindAllSubmatch(said, -1) {
					text, _ := os.ReadFile(string(m[1]))
					lines := bytes.Split(text, []byte("\n"))
					if n, _ := strconv.Atoi(string(m[2])); n >= 1 && n <= len(lines) {
						for _, id := range switches.FindAllSubmatch(lines[n-1], -1) {
							number, _ := strconv.Atoi(string(id[1]))
							failed = append(failed, number)
						}
					}
				}
				return failed, fmt.Errorf("%s: %w\n%s", folder, err, said)
			}
			w.tests[folder] = &tested{folder: folder, binary: binary}
		}
	}
	return nil, nil
}

var passed = regexp.MustCompile(`(?m)^--- (PASS|FAIL): (\S+) \(([\d.]+)s\)$`)

// baseline runs the tests with no mutant at work: they must pass, and their times
// say which of them are quick.
func (w *workshop) baseline(ctx context.Context) error {
	for _, t := range w.tests {
		// rapid would keep what made a mutant fail, and try it in every run to come.
		if _, _, err := w.execute(ctx, t, 0, "^$", time.Minute, "-rapid.nofailfile"); err == nil {
			t.flags = []string{"-rapid.nofailfile"}
		}
		said, took, err := w.execute(ctx, t, 0, "", 10*time.Minute, "-test.v")
		if err != nil {
			return fmt.Errorf("the tests of %s fail with no mutant at work: %w\n%s", t.folder, err, said)
		}
		t.all = took
		var quick []string
		for _, m := range passed.FindAllStringSubmatch(said, -1) {
			if seconds, _ := strconv.ParseFloat(m[3], 64); seconds < 0.1 {
				quick = append(quick, m[2])
			}
		}
		t.quick = "^(" + strings.Join(quick, "|") + ")$"
		if said, t.quickly, err = w.execute(ctx, t, 0, t.quick, 10*time.Minute); err != nil {
			return fmt.Errorf("the tests of %s that take next to no time fail when they are run alone: %w\n%s", t.folder, err, said)
		}
	}
	return nil
}

// execute runs a test binary with a mutant at work; the error is that a test
// failed, or that it took too long.
func (w *workshop) execute(ctx context.Context, t *tested, id int, tests string, bound time.Duration, flags ...string) (said string, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	arguments := append(append([]string{"-test.failfast", "-test.skip", untimed}, t.flags...), flags...)
	if tests != "" {
		arguments = append(arguments, "-test.run", tests)
	}
	command := exec.CommandContext(ctx, t.binary, arguments...)
	command.Dir = filepath.Join(w.root, t.folder)
	command.Env = append(os.Environ(), fmt.Sprintf("MUTANT=%d", id), "GOMAXPROCS=1", "GOMEMLIMIT=1GiB")
	command.WaitDelay = time.Second
	began := time.Now()
	output, err := command.CombinedOutput()
	return string(output), time.Since(began), err
}

// survives reports whether no test notices the mutant.
func (w *workshop) survives(ctx context.Context, m mutant) bool {
	for _, s := range subjects {
		if s.folder != m.pkg {
			continue
		}
		for _, folder := range s.tests {
			t := w.tests[folder]
			if _, _, err := w.execute(ctx, t, m.id, t.quick, 5*time.Second+10*t.quickly); err != nil {
				return false
			}
		}
		// Only now those of its own package that take their time.
		own := w.tests[m.pkg]
		if _, _, err := w.execute(ctx, own, m.id, "", 10*time.Second+5*own.all); err != nil {
			return false
		}
	}
	return true
}

// try tries the mutants and prints the report; ok is that no survivor is without
// an explanation, and no explanation that is expected without a survivor.
func (w *workshop) try(ctx context.Context, chosen []mutant, known map[string]string, expected func(key string) bool) (ok bool) {
	meter := progress.Start(os.Stderr, "mutants", int64(len(chosen)))
	var (
		mu        sync.Mutex
		survivors []mutant
		tried     = map[string]int{}
		killed    = map[string]int{}
		next      int
		wait      sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				if next == len(chosen) {
					mu.Unlock()
					return
				}
				m := chosen[next]
				next++
				mu.Unlock()
				survives := w.survives(ctx, m)
				if ctx.Err() != nil {
					return // its tests were interrupted
				}
				mu.Lock()
				tried[m.pkg]++
				if survives {
					survivors = append(survivors, m)
					meter.Note(fmt.Sprintf("%d survive", len(survivors)))
				} else {
					killed[m.pkg]++
				}
				mu.Unlock()
				meter.Add(1)
			}
		})
	}
	wait.Wait()
	meter.Stop()
	slices.SortFunc(survivors, func(a, b mutant) int { return a.id - b.id })
	unexplained := 0
	used := map[string]bool{}
	for _, m := range survivors {
		used[m.key()] = true
		if known[m.key()] == "" {
			unexplained++
			fmt.Printf("survives: %s:%d %s: %s\n", m.file, m.line, m.in, m.change)
		}
	}
	fmt.Printf("%-18s %8s %8s %10s\n", "", "mutants", "killed", "survivors")
	for _, s := range subjects {
		fmt.Printf("%-18s %8d %8d %10d\n", s.folder, tried[s.folder], killed[s.folder], tried[s.folder]-killed[s.folder])
	}
	fmt.Printf("%d survivors, %d of them explained in internal/mutate/explained.txt; %v\n", len(survivors), len(survivors)-unexplained, meter.Elapsed().Round(time.Second))
	if ctx.Err() != nil {
		fmt.Printf("interrupted after %d of %d mutants\n", meter.Done(), len(chosen))
		return unexplained == 0
	}
	stale := 0
	for key := range known {
		if expected(key) && !used[key] {
			stale++
			fmt.Printf("explained, and killed or gone: %s\n", key)
		}
	}
	return unexplained == 0 && stale == 0
}
