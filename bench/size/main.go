// Size says what the module is made of: its sections, its linear memory, and the
// code of each package, with who imports it. It builds the module with the names
// of functions, which the shipped one lacks. Its argument is a package, whose
// functions are listed instead.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"corsfilter/internal/controlflow"
)

func main() {
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: go run ./bench/size [PACKAGE]") }
	flag.Parse()
	if flag.NArg() > 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "size: "+err.Error())
		os.Exit(1)
	}
}

func run(only string) error {
	dir, err := os.MkdirTemp("", "corsfilter-size")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "cors.wasm")
	if _, err := module("go", "build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-o", path, "corsfilter"); err != nil {
		return err
	}
	wasm, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	wasm, _ = controlflow.Restructure(wasm)
	m, err := read(wasm)
	if err != nil {
		return err
	}
	list, err := module("go", "list", "-deps", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "corsfilter")
	if err != nil {
		return err
	}
	deps := parseDeps(list)
	if only != "" {
		return functions(m, deps, only)
	}
	summary(m, deps)
	return nil
}

// module runs a command of Go for the module's platform.
func module(name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Env, c.Stderr = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm"), os.Stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), err)
	}
	return string(out), nil
}

// dep is a package that is linked.
type dep struct {
	path, prefix string // of the names of its functions
	importers    []string
}

var notInNames = regexp.MustCompile(`[^\w.]`)

// parseDeps reads lines of a package and its imports.
func parseDeps(list string) (deps []dep) {
	importers := map[string][]string{}
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		deps = append(deps, dep{path: words[0], prefix: notInNames.ReplaceAllString(words[0], "_") + "."})
		for _, imported := range words[1:] {
			importers[imported] = append(importers[imported], words[0])
		}
	}
	for i, d := range deps {
		deps[i].importers = importers[d.path]
	}
	return deps
}

// owner is the package that a function belongs to: the one with the longest
// prefix; what has none is made by the linker.
func owner(deps []dep, function string) *dep {
	var found *dep
	for i, d := range deps {
		if strings.HasPrefix(function, d.prefix) && (found == nil || len(d.prefix) > len(found.prefix)) {
			found = &deps[i]
		}
	}
	return found
}

func summary(m *moduleFile, deps []dep) {
	type share struct {
		path             string
		bytes, functions int
		importers        []string
	}
	var shares []*share
	byPath := map[string]*share{}
	total := 0
	for _, f := range m.functions {
		path, importers := "(types' own: equality, hashes, wrappers)", []string(nil)
		if d := owner(deps, f.name); d != nil {
			path, importers = d.path, d.importers
		}
		s := byPath[path]
		if s == nil {
			s = &share{path: path, importers: importers}
			byPath[path], shares = s, append(shares, s)
		}
		s.bytes, s.functions, total = s.bytes+f.size, s.functions+1, total+f.size
	}
	slices.SortFunc(shares, func(a, b *share) int { return cmp.Or(b.bytes-a.bytes, strings.Compare(a.path, b.path)) })

	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintf(w, "shipped\t%d bytes, without the names\n", m.size-m.names)
	fmt.Fprintf(w, "code\t%d bytes in %d functions\n", m.code, len(m.functions))
	fmt.Fprintf(w, "data\t%d bytes, and %d of lengths and addresses in %d segments\n", m.contents, m.data-m.contents, m.segments)
	fmt.Fprintf(w, "memory\t%d pages at first\n\n", m.pages)
	fmt.Fprintln(w, "package\tbytes of code\tfunctions\timported by")
	for _, s := range shares {
		by := s.importers
		more := ""
		if len(by) > 3 {
			by, more = by[:3], fmt.Sprintf(" and %d more", len(by)-3)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s%s\n", s.path, s.bytes, s.functions, strings.Join(by, ", "), more)
	}
}

func functions(m *moduleFile, deps []dep, path string) error {
	var list []function
	for _, f := range m.functions {
		if d := owner(deps, f.name); d != nil && d.path == path {
			list = append(list, f)
		}
	}
	if list == nil {
		return fmt.Errorf("no function of %s is linked; without an argument this lists the packages that are", path)
	}
	slices.SortFunc(list, func(a, b function) int { return cmp.Or(b.size-a.size, strings.Compare(a.name, b.name)) })
	for _, f := range list {
		fmt.Printf("%7d  %s\n", f.size, f.name)
	}
	return nil
}
