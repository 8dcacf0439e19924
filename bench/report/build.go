package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is a contender.
type module struct {
	name, path string
	env        map[string]string // as its users set it
}

// The names of the contenders that are always there.
const (
	floorName = "C, decides nothing"
	ourName   = "corsfilter"
	sdkName   = "through the SDK"
	tinyName  = "by TinyGo"
)

// build finds the module and the floor, which make has built, and builds what
// both are compared with.
func (r *report) build(ctx context.Context, more string) error {
	dist := filepath.Join(r.root, "dist")
	r.modules = []module{
		{name: floorName, path: filepath.Join(dist, "floor.wasm")},
		{name: ourName, path: filepath.Join(dist, "cors.wasm"), env: map[string]string{"GOGC": "off", "GOMEMLIMIT": "64MiB"}},
	}
	for _, m := range r.modules {
		if _, err := os.Stat(m.path); err != nil {
			return fmt.Errorf("%w; start this as make bench, which builds it", err)
		}
	}
	sdk := filepath.Join(dist, "sdk.wasm")
	if err := r.buildSDK(ctx, sdk); err != nil {
		return fmt.Errorf("bench/sdk does not build: %w", err)
	}
	r.modules = append(r.modules, module{name: sdkName, path: sdk})
	if _, err := exec.LookPath("tinygo"); err != nil {
		r.data.Run.LeftOut = append(r.data.Run.LeftOut, "the module built by TinyGo: no tinygo on PATH")
	} else {
		tiny := filepath.Join(dist, "tinygo.wasm")
		if err := r.command(ctx, r.root, nil, "make", "--no-print-directory", "build", "COMPILER=tinygo", "MODULE=dist/tinygo.wasm"); err != nil {
			return fmt.Errorf("the build by TinyGo: %w", err)
		}
		r.modules = append(r.modules, module{name: tinyName, path: tiny})
	}
	for name := range strings.SplitSeq(more, ",") {
		if name == "" {
			continue
		}
		name, path, named := strings.Cut(name, "=")
		if !named {
			path = name
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("-modules: %w", err)
		}
		r.modules = append(r.modules, module{name: name, path: path})
	}
	return nil
}

// sdkModule is the SDK that bench/sdk is written for.
const sdkModule = "github.com/tetratelabs/proxy-wasm-go-sdk"

// buildSDK builds bench/sdk by the official compiler. The SDK's package internal
// lacks the calls and the exports there; a copy of the SDK gets them from
// bench/sdk/bridge, and a copy of go.mod names it.
func (r *report) buildSDK(ctx context.Context, out string) error {
	work, err := os.MkdirTemp("", "corsfilter-sdk")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	found := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", sdkModule)
	found.Dir = r.root
	source, err := found.Output()
	if err != nil {
		return fmt.Errorf("go list -m %s: %w", sdkModule, err)
	}
	sdk := filepath.Join(work, "sdk")
	if err := os.CopyFS(sdk, os.DirFS(strings.TrimSpace(string(source)))); err != nil {
		return err
	}
	// The module cache is not writable, and so its copy is not either.
	if err := filepath.WalkDir(sdk, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o755)
	}); err != nil {
		return err
	}
	for from, to := range map[string]string{
		"bench/sdk/bridge/bridge.go": filepath.Join(sdk, "proxywasm", "internal", "bridge.go"),
		"go.mod":                     filepath.Join(work, "go.mod"),
		"go.sum":                     filepath.Join(work, "go.sum"),
	} {
		text, err := os.ReadFile(filepath.Join(r.root, from))
		if err == nil {
			err = os.WriteFile(to, text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	mod := filepath.Join(work, "go.mod")
	if err := r.command(ctx, r.root, nil, "go", "mod", "edit", "-replace", sdkModule+"="+sdk, mod); err != nil {
		return err
	}
	return r.command(ctx, r.root, []string{"GOOS=wasip1", "GOARCH=wasm"}, "go", "build", "-modfile="+mod, "-tags=sdkbridge",
		"-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./bench/sdk")
}

// command runs a command; what it says is shown.
func (r *report) command(ctx context.Context, dir string, env []string, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), err)
	}
	return nil
}

// tool runs a package of bench/apart, a module of its own, and takes what it
// prints to out; nil: it is shown.
func (r *report) tool(ctx context.Context, out *[]byte, name string, args ...string) error {
	c := exec.CommandContext(ctx, "go", append([]string{"run", name}, args...)...)
	c.Dir, c.Stderr = filepath.Join(r.root, "bench", "apart"), os.Stderr
	var err error
	if out == nil {
		c.Stdout = os.Stderr
		err = c.Run()
	} else {
		*out, err = c.Output()
	}
	if err != nil {
		return fmt.Errorf("go run %s in bench/apart: %w", name, err)
	}
	return nil
}
