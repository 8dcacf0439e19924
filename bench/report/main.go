// Report measures the built module beside others and writes docs/benchmarks.json,
// the page docs/benchmarks.md and the README's figures from what it found. `make
// bench` builds what it needs and starts it; -only runs some parts and prints
// them. It shows each result as it comes, and Ctrl-C ends it with the report of
// what there is by then.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"corsfilter/bench/figures"
)

// effort is how much is measured; the short one is for looking.
type effort struct {
	rounds, startRounds, requests int
	slice, warmUp                 time.Duration
}

var (
	full  = effort{rounds: 41, startRounds: 3, requests: 1_000_000, slice: 4 * time.Millisecond, warmUp: 250 * time.Millisecond}
	quick = effort{rounds: 9, startRounds: 1, requests: 50_000, slice: 2 * time.Millisecond, warmUp: 150 * time.Millisecond}
)

// part is one part of the report.
type part struct {
	name string
	run  func(r *report, ctx context.Context) error
}

// parts are all, the most telling first: a run that is stopped has those.
var parts = []part{
	{"v8", (*report).v8Requests},
	{"wazero", (*report).wazeroRequests},
	{"growth", (*report).growth},
	{"decide", (*report).decide},
	{"gateway", (*report).gateway},
	{"size", (*report).sizes},
	{"start", (*report).starts},
	{"memory", (*report).memory},
}

func (p part) named(names []string) bool { return len(names) == 0 || slices.Contains(names, p.name) }

type report struct {
	effort
	root    string
	modules []module
	only    string // case
	data    figures.Data
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("report", flag.ExitOnError)
	isQuick := flags.Bool("quick", false, "measure less: under a minute, for looking")
	only := flags.String("only", "", "`parts` to run and print, separated by commas; nothing is written: "+names())
	onlyCase := flags.String("case", "", "the one `case` of requests to run, such as actual")
	more := flags.String("modules", "", "further `modules` to compare, separated by commas, as NAME=PATH or PATH")
	command := flags.String("command", "go run ./bench/report", "the `command` that the page names")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r := &report{effort: full, only: *onlyCase}
	if *isQuick {
		r.effort = quick
	}
	var chosen []string
	if *only != "" {
		chosen = strings.Split(*only, ",")
	}
	for _, name := range chosen {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			return fmt.Errorf("-only: there is no part %q; the parts are %s", name, names())
		}
	}
	root, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env GOMOD: %w", err)
	}
	r.root = filepath.Dir(strings.TrimSpace(string(root)))
	if err := r.build(ctx, *more); err != nil {
		return err
	}
	r.describe(ctx, *command, *isQuick)
	for _, p := range parts {
		if !p.named(chosen) {
			continue
		}
		if ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "== %s\n", p.name)
			err := p.run(r, ctx)
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		if ctx.Err() != nil {
			r.data.Run.Missing = append(r.data.Run.Missing, p.name)
		}
		if chosen == nil && r.only == "" {
			if err := r.write(); err != nil {
				return err
			}
		}
	}
	if chosen != nil || r.only != "" {
		return nil
	}
	// What there is gets its pictures, also after Ctrl-C; a second one ends this.
	if err := r.tool(context.Background(), nil, "./draw", "../../docs"); err != nil {
		return err
	}
	if missing := r.data.Run.Missing; missing != nil {
		return errors.New("stopped; docs/benchmarks.md has what was measured, and says that it lacks " + strings.Join(missing, ", "))
	}
	fmt.Fprintln(os.Stderr, "written: docs/benchmarks.md, its data and pictures, and the figures in README.md")
	return nil
}

func names() string {
	var all []string
	for _, p := range parts {
		all = append(all, p.name)
	}
	return strings.Join(all, ", ")
}

// write writes the data, the page and the README's figures.
func (r *report) write() error {
	if err := r.data.Write(filepath.Join(r.root, "docs", "benchmarks.json")); err != nil {
		return err
	}
	if err := figures.Replace(filepath.Join(r.root, "docs", "benchmarks.md"), []byte(r.data.Page())); err != nil {
		return err
	}
	readme := filepath.Join(r.root, "README.md")
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	filled, err := r.data.Fill(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", readme, err)
	}
	return figures.Replace(readme, []byte(filled))
}

// describe notes when, where and how.
func (r *report) describe(ctx context.Context, command string, isQuick bool) {
	line := func(name string, args ...string) string {
		out, err := exec.CommandContext(ctx, name, args...).Output()
		if err != nil {
			return ""
		}
		first, _, _ := strings.Cut(string(out), "\n")
		return strings.TrimSpace(first)
	}
	run := &r.data.Run
	run.Command, run.Quick = command, isQuick
	run.Date = time.Now().UTC().Format(time.DateOnly)
	run.Commit = line("git", "-C", r.root, "rev-parse", "--short=12", "HEAD")
	run.Rounds, run.SliceMS = r.rounds, float64(r.slice)/float64(time.Millisecond)
	run.Machine = fmt.Sprintf("%s, %d cores, %s/%s", processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	run.Versions = []string{strings.Replace(runtime.Version(), "go", "Go ", 1),
		"Node.js " + strings.TrimPrefix(line("node", "--version"), "v") + " (V8 " + line("node", "-p", "process.versions.v8") + ")",
		"wazero " + strings.TrimPrefix(line("go", "list", "-m", "-f", "{{.Version}}", "github.com/tetratelabs/wazero"), "v"), line("clang", "--version")}
	if tinygo := line("tinygo", "version"); tinygo != "" {
		run.Versions = append(run.Versions, tinygo)
	}
}

// processor is the name that the machine has for its processor.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "a processor that does not say its name"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "a processor that does not say its name"
}
