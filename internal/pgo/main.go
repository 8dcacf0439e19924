// Command pgo writes default.pgo, from which go build takes what it inlines into
// the module. A profile of a run is of no use: what a request costs in wasm is calls,
// and a profile taken natively does not know the calls to the proxy. So the profile
// is made of the source: each call that a request can make is taken for hot, except
// those in functions that are named below. It is the same whenever the source is.
package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
	"golang.org/x/tools/go/packages"

	"corsfilter/internal/hotpath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/pgo FILE, from the repository's root")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "pgo:", err)
		os.Exit(1)
	}
}

type function struct {
	name  string
	decl  *ast.FuncDecl
	info  *types.Info
	fset  *token.FileSet
	start int
}

func write(path string) error {
	functions, err := load()
	if err != nil {
		return err
	}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1,
	}
	known := map[string]*profile.Function{}
	location := func(f *function, line int) *profile.Location {
		if known[f.name] == nil {
			known[f.name] = &profile.Function{ID: uint64(len(p.Function) + 1), Name: f.name, SystemName: f.name, StartLine: int64(f.start)}
			p.Function = append(p.Function, known[f.name])
		}
		l := &profile.Location{ID: uint64(len(p.Location) + 1), Line: []profile.Line{{Function: known[f.name], Line: int64(line)}}}
		p.Location = append(p.Location, l)
		return l
	}
	var queue []*function
	seen := map[*function]bool{}
	for _, f := range functions {
		for _, name := range hotpath.Callbacks {
			if f.decl.Name.Name == name {
				queue, seen[f] = append(queue, f), true
			}
		}
	}
	if len(queue) != len(hotpath.Callbacks) {
		return errors.New("not all callbacks are there")
	}
	slices.SortFunc(queue, func(a, b *function) int { return strings.Compare(a.name, b.name) })
	// What is inlined into a caller brings its own calls along, and they are looked
	// up as the caller's: so each function gets the calls of all that it leads to.
	for len(queue) > 0 {
		caller := queue[0]
		queue = queue[1:]
		within := map[*function]bool{caller: true}
		for inlined := []*function{caller}; len(inlined) > 0; inlined = inlined[1:] {
			f := inlined[0]
			for _, c := range f.calls(functions) {
				if !hotpath.NotInlined(c.callee.decl.Name.Name) {
					p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{location(c.callee, c.callee.start), location(caller, c.line)}, Value: []int64{1000, 1000}})
					if !within[c.callee] {
						inlined, within[c.callee] = append(inlined, c.callee), true
					}
				}
				if !seen[c.callee] {
					queue, seen[c.callee] = append(queue, c.callee), true
				}
			}
		}
	}
	if err := p.CheckValid(); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(p.Write(file), file.Close())
}

// site is a call that requests make.
type site struct {
	callee *function
	line   int
}

func (f *function) calls(functions map[*types.Func]*function) (all []site) {
	ast.Inspect(f.decl, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		fn := called(f.info, call)
		for _, callee := range implementations(fn, functions) {
			if !hotpath.Cold(callee.decl.Name.Name) {
				all = append(all, site{callee, f.fset.Position(call.Pos()).Line})
			}
		}
		return true
	})
	return all
}

// implementations are the functions that a call may reach: more than one where it
// is a call of an interface's method.
func implementations(fn *types.Func, functions map[*types.Func]*function) (all []*function) {
	if f := functions[fn]; f != nil {
		return []*function{f}
	}
	if fn == nil || fn.Signature().Recv() == nil {
		return nil
	}
	of, ok := fn.Signature().Recv().Type().Underlying().(*types.Interface)
	if !ok {
		return nil
	}
	for method, f := range functions {
		if recv := method.Signature().Recv(); recv != nil && method.Name() == fn.Name() && types.Implements(recv.Type(), of) {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b *function) int { return strings.Compare(a.name, b.name) })
	return all
}

// called is the function that a call is of, where that is known.
func called(info *types.Info, call *ast.CallExpr) *types.Func {
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		fn, _ := info.Uses[f].(*types.Func)
		return fn
	case *ast.SelectorExpr:
		fn, _ := info.Uses[f.Sel].(*types.Func)
		return fn
	}
	return nil
}

// load finds the functions of the module's packages.
func load() (map[*types.Func]*function, error) {
	fset := token.NewFileSet()
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedDeps | packages.NeedModule,
		Env:  append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS="),
		Fset: fset,
	}, ".")
	if err != nil {
		return nil, err
	}
	functions := map[*types.Func]*function{}
	packages.Visit(loaded, nil, func(p *packages.Package) {
		if len(p.Errors) > 0 {
			err = p.Errors[0]
		}
		if p.Module == nil || !p.Module.Main {
			return
		}
		for _, file := range p.Syntax {
			for _, d := range file.Decls {
				decl, ok := d.(*ast.FuncDecl)
				if !ok || decl.Body == nil {
					continue
				}
				fn := p.TypesInfo.Defs[decl.Name].(*types.Func)
				functions[fn] = &function{symbol(p.PkgPath, fn), decl, p.TypesInfo, fset, fset.Position(decl.Pos()).Line}
			}
		}
	})
	return functions, err
}

// symbol is the linker's name of a function.
func symbol(path string, fn *types.Func) string {
	receiver := fn.Signature().Recv()
	if receiver == nil {
		return path + "." + fn.Name()
	}
	if pointer, ok := receiver.Type().(*types.Pointer); ok {
		return path + ".(*" + pointer.Elem().(*types.Named).Obj().Name() + ")." + fn.Name()
	}
	return path + "." + receiver.Type().(*types.Named).Obj().Name() + "." + fn.Name()
}
