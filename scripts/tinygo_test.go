package scripts

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tinygo stands in for TinyGo: it says which version it is, and of a build what
// it was arguments, where the output should be.
const tinygo = `if [[ $1 == version ]];
		  then echo "tinygo version $STAND_IN linux/amd64 (using go version go1.23.12 and LLVM version 18)"; exit; fi
while (($#)); do
	case $1 in -o) out=$2 ;; -target=*) target=${1#-target=} ;; esac
	said="$said $1"
	shift
done
echo "$GOTOOLCHAIN $GOFLAGS$said" >"$out"
cat "$target" >>"$out"`

// TestMakeBuildWithTinyGo shows the command that make gives, since TinyGo itself
// is on few machines.
func TestMakeBuildWithTinyGo(t *testing.T) {
	target := []string{"COMPILER=tinygo", "build"}
	build := func(t *testing.T, version string, tools ...string) (output, built string, err error) {
		path := machine(t, nil)
		for _, name := range tools {
			if err := os.WriteFile(filepath.Join(path, name), []byte("#!/bin/bash\n"+tinygo+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"mkdir", "git", "make"} {
			real, err := exec.LookPath(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(real, filepath.Join(path, name)); err != nil {
				t.Fatal(err)
			}
		}
		module := filepath.Join(t.TempDir(), "cors.wasm")
		cmd := exec.Command(
			filepath.Join(path, "make"), "-C", "..", "--no-print-directory", "SHELL="+filepath.Join(path, "bash"), "VERSION=1.2.3",
			"MODULE="+module, "SMALL="+module,
		)
		cmd.Args = append(cmd.Args, target...)
		cmd.Env = append(os.Environ(), "PATH="+path, "STAND_IN="+version, "MAKEFLAGS=", "GOFLAGS=-mod=vendor", "GOTOOLCHAIN=local")
		out, err := cmd.CombinedOutput()
		data, _ := os.ReadFile(module)
		return string(out), string(data), err
	}

	t.Run("the pinned Go, its own module file and target, and the version", func(t *testing.T) {
		out, built, err := build(t, "0.33.0", "tinygo")
		arguments, target, _ := strings.Cut(built, "\n")
		if err != nil || !strings.HasPrefix(arguments, "go1.23.12 -modfile=go.tinygo.mod build ") {
			t.Fatalf("%v: %s\narguments: %s", err, out, arguments)
		}
		if !strings.Contains(out, "cors.wasm; the first build includes its dependencies and takes a minute") {
			t.Errorf("the first build does not say what it is doing: %s", out)
		}
		for _, want := range []string{
			" -target=tinygo.json ", " -tags=command ", " -scheduler=none ", " -opt=s ",
			"-ldflags=-X corsfilter/internal/version.release=1.2.3 -X corsfilter/internal/version.commit=",
		} {
			if !strings.Contains(arguments, want) {
				t.Errorf("%q is not in: %s", want, arguments)
			}
		}
		if !strings.HasSuffix(arguments, " .") {
			t.Errorf("arguments: %s\noutput: %s", arguments, out)
		}
		var spec struct {
			Inherits, Ldflags []string
			Tags              []string `json:"build-tags"`
		}
		if err := json.Unmarshal([]byte(target), &spec); err != nil || !slices.Equal(spec.Inherits, []string{"wasi"}) ||
			!slices.Equal(spec.Tags, []string{"custommalloc"}) || !slices.Equal(
			spec.Ldflags, []string{"-z", "stack-size=1048576", "--initial-memory=67108864"},
		) {
			t.Errorf("target %+v, %v", spec, err)
		}
	})
	t.Run("make small gives the same command", func(t *testing.T) {
		_, want, _ := build(t, "0.33.0", "tinygo")
		target = []string{"small"}
		defer func() { target = []string{"COMPILER=tinygo", "build"} }()
		out, got, err := build(t, "0.33.0", "tinygo")
		if err != nil || got == "" || len(got) != len(want) { // the names of the files differ
			t.Errorf("%v: %s\narguments: %s\nwant: %s", err, out, got, want)
		}
	})
	t.Run("a later one builds reactors directly", func(t *testing.T) {
		for _, version := range []string{"0.34.0", "0.34.0-dev"} {
			out, built, err := build(t, version, "tinygo")
			if err != nil || !strings.Contains(built, " -buildmode=c-shared ") || strings.Contains(built, "-tags=command") {
				t.Errorf("%s: %v: %s\narguments: %s", version, err, out, built)
			}
		}
	})
	t.Run("an untested version is refused, unless it is requested", func(t *testing.T) {
		out, built, err := build(t, "0.40.1", "tinygo")
		if err == nil || built != "" || !strings.Contains(
			out,
			"make build: this is TinyGo 0.40.1, which the module was not tested with; use 0.33, 0.34, or set "+
				"TINYGO_TRIED=0.40 to build anyway, and run make test with it before you deploy it\n",
		) {
			t.Errorf("%v: %s", err, out)
		}
		t.Setenv("TINYGO_TRIED", "0.40")
		if out, built, err = build(t, "0.40.1", "tinygo"); err != nil || !strings.Contains(built, " -buildmode=c-shared ") {
			t.Errorf("%v: %s\narguments: %s", err, out, built)
		}
	})
	t.Run("none", func(t *testing.T) {
		out, built, err := build(t, "")
		if err == nil || built != "" || !strings.Contains(
			out, "make build: tinygo is not on PATH; install TinyGo 0.34, or leave COMPILER out to build with Go alone\n",
		) {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// TestTinyGoGetsTheSameModules loads the module's packages by go.tinygo.mod, which
// must have all that they need, in the versions of go.mod.
func TestTinyGoGetsTheSameModules(t *testing.T) {
	modules := func(flags ...string) []string {
		list := exec.Command(
			"go", append(append([]string{"list"}, flags...), "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", ".")...,
		)
		list.Dir = ".."
		list.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list %v: %v", flags, err)
		}
		found := strings.Split(strings.TrimSpace(string(out)), "\n")
		slices.Sort(found)
		return slices.Compact(found)
	}
	want, got := modules(), modules("-modfile=go.tinygo.mod")
	if len(want) < 3 || !slices.Equal(got, want) {
		t.Errorf("modules of the build\n%q, by go.tinygo.mod\n%q", want, got)
	}
}
