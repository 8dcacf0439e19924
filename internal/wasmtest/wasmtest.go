// Package wasmtest gives tests the built module: the one that CORSFILTER_WASM names, or
// one that it builds. A module that is missing or does not build fails the test;
// nothing is skipped. It imports only internal/controlflow.
package wasmtest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"corsfilter/internal/controlflow"
)

// Module returns the bytes of the module.
func Module(t testing.TB) []byte {
	t.Helper()
	wasm, err := module()
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// ByTinyGo reports whether the module was built by TinyGo, as in
// `make test COMPILER=tinygo`.
func ByTinyGo() bool { return os.Getenv("CORSFILTER_WASM") != "" && os.Getenv("COMPILER") == "tinygo" }

// Memory is how many bytes a module may have that may have so many by Go's own
// compiler: TinyGo's begins with what tinygo.json says, and has to do with it.
func Memory(bytes uint32) uint32 {
	if ByTinyGo() {
		return max(bytes, 64<<20)
	}
	return bytes
}

// Root returns the repository's root.
func Root() string {
	for dir, _ := os.Getwd(); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
	}
}

var module = sync.OnceValues(func() ([]byte, error) {
	if path := os.Getenv("CORSFILTER_WASM"); path != "" {
		wasm, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("CORSFILTER_WASM names no module: %w; run make build", err)
		}
		return wasm, nil
	}
	if err := noteSources(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "corsfilter")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return Build(dir)
})

// Build builds the module in a directory, as make build does, with further arguments
// for go build.
func Build(dir string, arguments ...string) ([]byte, error) {
	wasm, err := compiled(dir, arguments...)
	if err != nil {
		return nil, err
	}
	wasm, _ = controlflow.Restructure(wasm)
	return controlflow.Strip(wasm), nil
}

// Plain is the module as the compiler makes it, as make build RESTRUCTURE=none does.
func Plain(t testing.TB) []byte {
	t.Helper()
	wasm, err := compiled(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return controlflow.Strip(wasm)
}

// compiled is the module with the names of its functions.
func compiled(dir string, arguments ...string) ([]byte, error) {
	out := filepath.Join(dir, "cors.wasm")
	build := exec.Command("go", append([]string{"build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-w", "-o", out}, append(arguments, ".")...)...)
	build.Dir = Root()
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the module does not build: %w\n%s", err, output)
	}
	return os.ReadFile(out)
}

// noteSources looks at every source file of the repository. The build runs in a
// process of its own, of whose files the cache of go test knows nothing: without
// this, a test would be taken as passed after a change to a file that is in the
// module alone, such as those of internal/abi.
func noteSources() error {
	return filepath.WalkDir(Root(), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "dist"):
			return filepath.SkipDir
		case filepath.Ext(path) == ".go" || d.Name() == "default.pgo" || d.Name() == "go.mod" || d.Name() == "go.sum":
			_, err = os.Stat(path)
		}
		return err
	})
}

// Within walks into a document, such as envoy.yaml, by keys and indexes.
func Within(t testing.TB, document any, steps ...any) map[string]any {
	t.Helper()
	for _, step := range steps {
		switch step := step.(type) {
		case string:
			object, _ := document.(map[string]any)
			document = object[step]
		case int:
			list, _ := document.([]any)
			if step >= len(list) {
				t.Fatalf("the document has nothing at %v", steps)
			}
			document = list[step]
		}
	}
	found, ok := document.(map[string]any)
	if !ok {
		t.Fatalf("the document has nothing at %v", steps)
	}
	return found
}
