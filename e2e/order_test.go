package e2e

import (
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"

	"corsfilter/internal/wasmtest"
)

// effects are the variables that an expression reads, and those that calls in it
// may change.
type effects struct {
	reads, changes map[*types.Var]bool
}

func (e *effects) add(other effects) {
	for v := range other.reads {
		e.reads[v] = true
	}
	for v := range other.changes {
		e.changes[v] = true
	}
}

// ordering finds expressions whose value Go leaves open: calls are made in their
// order, but nothing says whether a variable beside them is read before or after
// (Go specification, "Order of evaluation"). The compilers for the module do not
// agree on it.
type ordering struct {
	info *types.Info
	// pointers says that a method may change what a pointer points to. Most do
	// not, so that this is asked of the module's packages alone.
	pointers bool
	found    []*types.Var
}

func nothing() effects { return effects{map[*types.Var]bool{}, map[*types.Var]bool{}} }

// beside joins expressions that are evaluated in no order.
func (o *ordering) beside(list ...ast.Expr) effects {
	all := nothing()
	for _, x := range list {
		if x == nil {
			continue
		}
		one := o.of(x)
		for _, pair := range [][2]effects{{all, one}, {one, all}} {
			for v := range pair[0].reads {
				if pair[1].changes[v] {
					o.found = append(o.found, v)
				}
			}
		}
		all.add(one)
	}
	return all
}

// variable is the variable that an addressable expression is, or is part of.
func (o *ordering) variable(x ast.Expr) *types.Var {
	for {
		switch e := x.(type) {
		case *ast.Ident:
			v, _ := o.info.Uses[e].(*types.Var)
			return v
		case *ast.ParenExpr:
			x = e.X
		case *ast.SelectorExpr:
			if _, pointer := o.info.TypeOf(e.X).(*types.Pointer); pointer || o.info.Selections[e] == nil {
				return nil
			}
			x = e.X
		case *ast.IndexExpr:
			if _, array := o.info.TypeOf(e.X).Underlying().(*types.Array); !array {
				return nil
			}
			x = e.X
		default:
			return nil
		}
	}
}

// of returns the effects of one expression. The body of a function literal is
// left out: it runs when it is called.
func (o *ordering) of(x ast.Expr) effects {
	switch e := x.(type) {
	case *ast.Ident:
		all := nothing()
		if v, ok := o.info.Uses[e].(*types.Var); ok {
			all.reads[v] = true
		}
		return all
	case *ast.SelectorExpr:
		return o.beside(e.X)
	case *ast.ParenExpr:
		return o.beside(e.X)
	case *ast.StarExpr:
		return o.beside(e.X)
	case *ast.TypeAssertExpr:
		return o.beside(e.X)
	case *ast.KeyValueExpr:
		return o.beside(e.Value)
	case *ast.IndexExpr:
		return o.beside(e.X, e.Index)
	case *ast.SliceExpr:
		return o.beside(e.X, e.Low, e.High, e.Max)
	case *ast.CompositeLit:
		return o.beside(e.Elts...)
	case *ast.UnaryExpr:
		if e.Op == token.AND && o.variable(e.X) != nil {
			return nothing() // an address is not the value
		}
		return o.beside(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.LAND || e.Op == token.LOR { // these have an order
			all := o.of(e.X)
			all.add(o.of(e.Y))
			return all
		}
		return o.beside(e.X, e.Y)
	case *ast.CallExpr:
		return o.call(e)
	}
	return nothing()
}

// call changes what it is given the address of, once its arguments are
// evaluated.
func (o *ordering) call(e *ast.CallExpr) effects {
	operands, changes := slices.Clone(e.Args), nothing()
	for _, argument := range e.Args {
		if address, ok := argument.(*ast.UnaryExpr); ok && address.Op == token.AND {
			if v := o.variable(address.X); v != nil {
				changes.changes[v] = true
			}
		}
	}
	method, ok := e.Fun.(*ast.SelectorExpr)
	switch selection := o.info.Selections[method]; {
	case !ok || selection == nil:
		operands = append(operands, e.Fun)
	case selection.Kind() == types.MethodVal:
		_, byPointer := selection.Obj().Type().(*types.Signature).Recv().Type().(*types.Pointer)
		v := o.variable(method.X)
		if v != nil && !o.pointers {
			_, pointer := v.Type().Underlying().(*types.Pointer)
			byPointer = byPointer && !pointer
		}
		if byPointer && v != nil {
			changes.changes[v] = true
		} else {
			operands = append(operands, method.X)
		}
	default:
		operands = append(operands, method.X)
	}
	all := o.beside(operands...)
	all.add(changes)
	return all
}

// unordered returns the places of a package where the result hangs on the order.
func unordered(p *packages.Package, pointers bool) (places []string) {
	for _, file := range p.Syntax {
		ast.Inspect(file, func(n ast.Node) bool {
			o := &ordering{info: p.TypesInfo, pointers: pointers}
			switch n := n.(type) {
			case *ast.ReturnStmt:
				o.beside(n.Results...)
			case *ast.AssignStmt:
				o.beside(n.Rhs...)
			case *ast.ValueSpec:
				o.beside(n.Values...)
			case *ast.SendStmt:
				o.beside(n.Chan, n.Value)
			case *ast.ExprStmt:
				o.beside(n.X)
			case *ast.IfStmt:
				o.beside(n.Cond)
			case *ast.SwitchStmt:
				o.beside(n.Tag)
			case *ast.DeferStmt:
				o.beside(n.Call)
			case *ast.RangeStmt:
				o.beside(n.X)
			}
			for _, v := range o.found {
				places = append(places, p.Fset.Position(n.Pos()).String()+": "+v.Name()+" is read beside a call that may change it")
			}
			return true
		})
	}
	return places
}

func load(t *testing.T, dir string, env []string, patterns ...string) []*packages.Package {
	t.Helper()
	mode := packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports
	loaded, err := packages.Load(&packages.Config{Mode: mode, Dir: dir, Env: append(os.Environ(), env...)}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range loaded {
		for _, e := range p.Errors {
			t.Fatalf("%s: %v", p.PkgPath, e)
		}
	}
	return loaded
}

// TestNothingHangsOnTheOrderOfEvaluation reads every package as it is built for
// this machine, and the module's as they are built for it.
func TestNothingHangsOnTheOrderOfEvaluation(t *testing.T) {
	native := load(t, wasmtest.Root(), nil, "./...")
	module := load(
		t, wasmtest.Root(), []string{"GOOS=wasip1", "GOARCH=wasm"}, ".", "./config", "./filter", "./internal/abi", "./internal/automaton",
		"./internal/fieldpath", "./internal/header", "./internal/hostcall", "./internal/origin", "./internal/reach", "./internal/route",
		"./internal/suffix",
	)
	if len(native) < 20 || len(module) != 12 {
		t.Fatalf("%d and %d packages are read", len(native), len(module))
	}
	// Of these the filter alone has a file for TinyGo that other compilers can read.
	module = append(module, load(t, wasmtest.Root(), []string{"GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=-tags=tinygo"}, "./filter")...)
	for i, p := range append(native, module...) {
		for _, place := range unordered(p, i >= len(native)) {
			t.Error(place)
		}
	}
}

// TestUnorderedFindsWhatItIsFor keeps the check itself from passing everything.
func TestUnorderedFindsWhatItIsFor(t *testing.T) {
	const source = `package p
type s struct{ n int; in struct{ n int } }
func (m *s) change() bool { m.n++; return true }
func (m s) keep() bool { return true }
func set(m *s) bool { m.n++; return true }
func setInt(n *int) int { *n++; return *n }
func two(a s, b bool) bool { return b }
func bad1(m s) (s, bool) { return m, set(&m) }
func bad2(m s) (int, bool) { return m.n, m.change() }
func bad3(m s) bool { return two(m, set(&m)) }
func bad4(n int) int { return n + setInt(&n) }
func bad5(m s) []int { return []int{m.in.n, setInt(&m.in.n)} }
func bad6(m s) int { x, y := setInt(&m.n), m.n; return x + y }
func bad7(m *s) (int, bool) { return m.n, m.change() }
func good1(m s) (*s, bool) { return &m, set(&m) }
func good2(m s) bool { return set(&m) && m.n > 0 }
func good3(m s) (int, bool) { return m.n, m.keep() }
func good4(m s) bool { ok := set(&m); return ok && two(m, ok) }
func good5(m s) (int, func() bool) { return m.n, func() bool { return set(&m) } }
func good6(a, b s) (s, bool) { return a, set(&b) }
`
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module p\n\ngo 1.23\n", "p.go": source} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	for _, place := range unordered(load(t, dir, []string{"GOFLAGS=-mod=mod"}, ".")[0], true) {
		line := strings.Split(strings.TrimPrefix(place, dir+"/p.go:"), ":")[0]
		for i, s := range strings.Split(source, "\n") {
			if line == strconv.Itoa(i+1) {
				lines = append(lines, strings.Fields(s)[1])
			}
		}
	}
	for i, name := range lines {
		lines[i], _, _ = strings.Cut(name, "(")
	}
	if want := []string{"bad1", "bad2", "bad3", "bad4", "bad5", "bad6", "bad7"}; !slices.Equal(slices.Compact(lines), want) {
		t.Errorf("found %v, want %v", lines, want)
	}
}
