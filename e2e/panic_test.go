package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/build"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"corsfilter/internal/host"
	"corsfilter/internal/wasmtest"
)

// broken builds the module with a bug in it: every function of the package filter
// begins with a call that panics where the environment says so. The sources stay
// as they are; go build gets changed copies of them (-overlay). It returns the
// functions' names.
func broken(t *testing.T) (wasm []byte, functions []string) {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(wasmtest.Root(), "filter"))
	if err != nil {
		t.Fatal(err)
	}
	module := build.Default
	module.GOOS, module.GOARCH = "wasip1", "wasm"
	sources, err := module.ImportDir(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	replace := map[string]string{}
	place := func(name string, text []byte) {
		path := filepath.Join(scratch, name)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(dir, name)] = path
	}
	for _, name := range sources.GoFiles {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || f.Name.Name == "init" {
				continue
			}
			if catches(f) || harmless(f) {
				continue
			}
			functions = append(functions, f.Name.Name)
			at := 0
			for i, statement := range f.Body.List {
				if _, ok := statement.(*ast.DeferStmt); ok {
					at = i + 1 // behind what catches a panic here
				}
			}
			call := &ast.ExprStmt{
				X: &ast.CallExpr{
					Fun:  ast.NewIdent("breakIn"),
					Args: []ast.Expr{&ast.BasicLit{Kind: token.STRING, Value: fmt.Sprintf("%q", f.Name.Name)}},
				},
			}
			f.Body.List = slices.Insert(f.Body.List, at, ast.Stmt(call))
		}
		file.Comments = nil // their places are no longer right; nothing here is built by one
		var text bytes.Buffer
		if err := format.Node(&text, files, file); err != nil {
			t.Fatal(err)
		}
		place(name, text.Bytes())
	}
	place("broken.go", []byte(`package filter

import (
	"os"
	"strconv"
	"strings"
)

var brokenFunction, brokenAfter = func() (string, int) {
	function, times, _ := strings.Cut(os.Getenv("BREAK"), "@")
	n, _ := strconv.Atoi(times)
	return function, n
}()

func breakIn(function string) {
	if function != brokenFunction {
		return
	}
	if brokenAfter--; brokenAfter == 0 {
		panic("broken on purpose")
	}
}
`))
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o644); err != nil {
		t.Fatal(err)
	}
	if wasm, err = wasmtest.Build(scratch, "-overlay", list); err != nil {
		t.Fatal(err)
	}
	slices.Sort(functions)
	return wasm, slices.Compact(functions)
}

// catches reports whether the function is one that recovers.
func catches(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if ok {
			name, ok := call.Fun.(*ast.Ident)
			found = found || ok && name.Name == "recover"
		}
		return !found
	})
	return found
}

// unguarded are the functions that a callback runs without anything that catches a
// panic: a stream's begin and end, where that would cost each stream as much as they do,
// and what does no more than call what catches it.
var unguarded = []string{"NewStream", "OnHttpStreamDone", "OnHttpRequestHeaders", "OnHttpResponseHeaders"}

// harmless reports whether the function is one of them. Nothing in it can panic: it
// assigns, compares and counts, and calls but functions that catch what they throw.
func harmless(f *ast.FuncDecl) bool {
	return slices.Contains(unguarded, f.Name.Name)
}

func TestUnguardedCallbacksCannotPanic(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(wasmtest.Root(), "filter", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	found := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !harmless(f) {
				continue
			}
			found++
			ast.Inspect(f.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if called, ok := n.Fun.(*ast.SelectorExpr); !ok || called.Sel.Name != "leave" && called.Sel.Name != "guarded" {
						t.Errorf("%s: %s calls a function", files.Position(n.Pos()), f.Name.Name)
					}
				case *ast.IndexExpr, *ast.SliceExpr, *ast.TypeAssertExpr, *ast.StarExpr, *ast.BinaryExpr:
					if b, ok := n.(*ast.BinaryExpr); ok && b.Op != token.QUO && b.Op != token.REM && b.Op != token.SHL && b.Op != token.SHR {
						break
					}
					t.Errorf("%s: %s does what may panic", files.Position(n.Pos()), f.Name.Name)
				}
				return true
			})
		}
	}
	if found != len(unguarded) {
		t.Errorf("%d of %d functions found", found, len(unguarded))
	}
}

// TestTinyGoDefersNothingForARequest lists what defers in the module as TinyGo builds it:
// recover does nothing there, and the stream's callbacks would make garbage.
func TestTinyGoDefersNothingForARequest(t *testing.T) {
	module := build.Default
	module.GOOS, module.GOARCH, module.BuildTags = "wasip1", "wasm", []string{"tinygo"}
	var deferring []string
	for _, folder := range []string{"config", "filter", "internal/abi", "internal/header", "internal/hostcall", "internal/origin"} {
		dir := filepath.Join(wasmtest.Root(), folder)
		sources, err := module.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range sources.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				ast.Inspect(d, func(n ast.Node) bool {
					if _, ok := n.(*ast.DeferStmt); ok {
						f, _ := d.(*ast.FuncDecl)
						deferring = append(deferring, f.Name.Name)
					}
					return true
				})
			}
		}
	}
	slices.Sort(deferring)
	// None of these is run for a request or a response.
	if want := []string{"OnPluginStart", "OnTick", "createPlugin", "deletePlugin", "leave", "proxyOnVMStart"}; !slices.Equal(deferring, want) {
		t.Errorf("%v defer, want %v", deferring, want)
	}
}

// answered says that a panic is over a response, if there is one: over a request
// the policy may not have been known yet, and when a stream begins it is not.
func answered(panics []string) bool {
	return len(panics) == 0 || panics[0] == "proxy_on_response_headers"
}

// TestAPanicAnywhere lets each function of the filter panic once, in whichever
// callback reaches it the first time, the second time and so on. The callback's
// name is logged, the request is served and opens nothing, and the module goes on
// as if nothing had happened.
func TestAPanicAnywhere(t *testing.T) {
	wasm, functions := broken(t)
	module, err := host.Compile(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close(t.Context())
	const said = "bug in the CORS filter: panic in "
	caught := map[string]int{} // by callback
	reached := 0
	for configuration, at := range map[string][]int{echoing: {1, 3, 8, 25}, watchful: {1, 4}} {
		want := answers(start(t, module, configuration, nil))
		for _, function := range functions {
			for _, times := range at {
				var panics []string
				env := maps.Clone(environment)
				env["BREAK"] = fmt.Sprintf("%s@%d", function, times)
				vm, err := module.NewVM(
					t.Context(),
					host.VMConfig{Env: env, LogLevel: host.LogInfo.Always, Log: func(_ host.LogLevel, _, message string) {
						if callback, ok := strings.CutPrefix(message, said); ok {
							callback, why, _ := strings.Cut(callback, ": ")
							if why != "broken on purpose" {
								t.Errorf("%s: %s", env["BREAK"], message)
							}
							panics = append(panics, callback)
						}
					}},
				)
				if err != nil {
					if function == "New" {
						break // the module does not start at all, and there is nothing to serve
					}
					t.Fatalf("%s: %v", env["BREAK"], err)
				}
				plugin, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "cors", Configuration: []byte(configuration)})
				if err != nil && len(panics) == 1 && vm.Failed() == nil {
					plugin, err = vm.NewPlugin(t.Context(), host.PluginConfig{Name: "cors", Configuration: []byte(configuration)})
				}
				if err != nil {
					t.Errorf("%s: %v", env["BREAK"], err)
					vm.Close(t.Context())
					continue
				}
				for range 2 {
					for _, request := range [][][2]string{noOrigin, crossOrigin, unlisted, asking, unlistedAsking} {
						for _, upstream := range []func(*host.HeaderMap) *host.HeaderMap{plain, open} {
							r := plugin.Exchange(host.NewHeaderMap(request...), upstream)
							if r.Paused || r.Headers == nil || r.Details == "wasm_fail_stream" {
								t.Errorf("%s: a request is dropped: %+v", env["BREAK"], r)
								continue
							}
							if value, opened := r.Headers.Get("access-control-allow-origin"); opened && value != "https://shop.example.com" &&
								value != "https://a.example.org" && answered(panics) {
								t.Errorf("%s: what upstream opened stays open: %q", env["BREAK"], value)
							}
						}
					}
				}
				plugin.Tick()
				if second, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "second", Configuration: []byte(configuration)}); err == nil {
					second.Close(t.Context())
				}
				over := len(panics) == 1
				if err := vm.Failed(); err != nil {
					t.Errorf("%s: %v", env["BREAK"], err)
				} else if got := answers(plugin); over && got != want {
					t.Errorf("%s: serves otherwise afterwards:\n%s\nwant\n%s", env["BREAK"], got, want)
				}
				vm.Close(t.Context())
				if len(panics) > 1 {
					t.Errorf("%s: panics in %v", env["BREAK"], panics)
				}
				if len(panics) == 0 {
					break // not reached so often
				}
				caught[panics[0]]++
				reached++
			}
		}
	}
	t.Logf("%d functions, %d panics, caught by callback: %v", len(functions), reached, caught)
	for _, callback := range []string{
		"proxy_on_context_create", "proxy_on_configure", "proxy_on_request_headers", "proxy_on_response_headers", "proxy_on_tick",
		"proxy_on_delete",
	} {
		if caught[callback] == 0 {
			t.Errorf("no panic in %s", callback)
		}
	}
}
