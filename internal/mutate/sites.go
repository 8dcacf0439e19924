package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/constant"
	"go/format"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/ast/astutil"
	"golang.org/x/tools/go/packages"
)

// mutant is one change of one place.
type mutant struct {
	id     int
	pkg    string // its folder, from the module's root
	file   string // from the module's root
	line   int
	in     string // the function
	change string // "before -> after"
}

// key names a mutant in explained.txt: it outlives lines that move.
func (m mutant) key() string { return m.file + " " + m.in + ": " + m.change }

// The package of the switch. It is in no tree: go build is given it, and the
// changed files, by an overlay.
const (
	switchPath = "corsfilter/internal/mutant"
	switchName = "mutant_"
)

// switchSource takes the mutant that the environment names, and leaves all others
// as they were written.
const switchSource = `package mutant

import (
	"cmp"
	"os"
	"strconv"
)

var active, _ = strconv.Atoi(os.Getenv("MUTANT"))

func Not[B ~bool](id int, b B) B { return b != (id == active) }

func And(id int, x bool, y func() bool) bool {
	if id == active {
		return x || y()
	}
	return x && y()
}

func Or(id int, x bool, y func() bool) bool {
	if id == active {
		return x && y()
	}
	return x || y()
}

func Less[T cmp.Ordered](id int, x, y T) bool         { return x < y || id == active && x == y }
func LessEqual[T cmp.Ordered](id int, x, y T) bool    { return x < y || id != active && x == y }
func Greater[T cmp.Ordered](id int, x, y T) bool      { return x > y || id == active && x == y }
func GreaterEqual[T cmp.Ordered](id int, x, y T) bool { return x > y || id != active && x == y }

type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

func Add[T integer](id int, n T) T {
	if id == active {
		n++
	}
	return n
}

func Text[T ~string](id int, s T) T {
	if id == active {
		s += "~"
	}
	return s
}
`

// changed is what becomes of "x op y", and the function of the switch that does it.
var changed = map[token.Token]struct {
	function string
	to       token.Token
}{
	token.LSS: {"Less", token.LEQ}, token.LEQ: {"LessEqual", token.LSS},
	token.GTR: {"Greater", token.GEQ}, token.GEQ: {"GreaterEqual", token.GTR},
	token.LAND: {"And", token.LOR}, token.LOR: {"Or", token.LAND},
}

// finder collects the mutants of a package.
type finder struct {
	p       *packages.Package
	pkg     string
	next    int
	without map[int]bool // those that do not compile
	mutants []mutant
	file    string
	in      string
	texts   map[ast.Expr]string // as it was written
	flipped map[ast.Expr]string // with the other operator
	lines   map[ast.Expr]int
	stays   map[ast.Node]bool // what must stay, for it is no value or a constant of the language
}

// find returns the mutants of a package, numbered from first, its files with all of
// them in it, and the number after the last. The syntax trees of p are changed.
func find(p *packages.Package, root, pkg string, first int, without map[int]bool) (mutants []mutant, files map[string][]byte, next int, err error) {
	f := &finder{p: p, pkg: pkg, next: first, without: without, texts: map[ast.Expr]string{}, flipped: map[ast.Expr]string{}, lines: map[ast.Expr]int{}, stays: map[ast.Node]bool{}}
	files = map[string][]byte{}
	for i, file := range p.Syntax {
		path := p.CompiledGoFiles[i]
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return nil, nil, 0, err
		}
		f.file = filepath.ToSlash(relative)
		before := len(f.mutants)
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Body != nil {
					f.in = d.Name.Name
					if d.Recv != nil {
						f.in = strings.TrimPrefix(types.ExprString(d.Recv.List[0].Type), "*") + "." + d.Name.Name
					}
					f.rewrite(d.Body)
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					f.in = "var"
					f.rewrite(d)
				}
			}
		}
		if len(f.mutants) == before {
			continue
		}
		astutil.AddNamedImport(p.Fset, file, switchName, switchPath)
		file.Comments = nil // their places are not right any more
		var text bytes.Buffer
		if err := format.Node(&text, p.Fset, file); err != nil {
			return nil, nil, 0, err
		}
		files[path] = text.Bytes()
	}
	return f.mutants, files, f.next, nil
}

func (f *finder) rewrite(n ast.Node) {
	astutil.Apply(n, func(c *astutil.Cursor) bool {
		if e, ok := c.Node().(ast.Expr); ok && f.p.TypesInfo.Types[e].IsValue() {
			f.remember(e)
		}
		switch n := c.Node().(type) {
		case *ast.ArrayType:
			return false
		case *ast.GenDecl:
			return n.Tok == token.VAR
		case *ast.ExprStmt: // nobody looks at its value
			f.stays[n.X] = true
		case *ast.KeyValueExpr: // names of fields, indexes of arrays
			f.stays[n.Key] = true
		case *ast.TypeSwitchStmt:
			for _, clause := range n.Body.List {
				for _, e := range clause.(*ast.CaseClause).List {
					f.stays[e] = true
				}
			}
		case *ast.IncDecStmt, *ast.BranchStmt, *ast.LabeledStmt:
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				f.stays[e] = true
			}
		case *ast.RangeStmt:
			if n.Key != nil {
				f.stays[n.Key] = true
			}
			if n.Value != nil {
				f.stays[n.Value] = true
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				f.stays[n.X] = true
			}
		case *ast.SelectorExpr:
			f.stays[n.Sel] = true
		}
		return !f.stays[c.Node()] || !isConstant(f.p.TypesInfo, c.Node())
	}, func(c *astutil.Cursor) bool {
		if e, ok := c.Node().(ast.Expr); ok && !f.stays[e] {
			if with := f.expression(e); with != nil {
				c.Replace(with)
			}
		}
		return true
	})
}

func isConstant(info *types.Info, n ast.Node) bool {
	e, ok := n.(ast.Expr)
	return ok && info.Types[e].Value != nil
}

// expression returns the expression with its mutants, or nil: a condition that is
// not what it is, a bound that is one off, "and" for "or", a number that is one
// more, a text that is longer. Its parts have their mutants already.
func (f *finder) expression(e ast.Expr) ast.Expr {
	tv, ok := f.p.TypesInfo.Types[e]
	if !ok || !tv.IsValue() {
		return nil
	}
	basic, _ := tv.Type.Underlying().(*types.Basic)
	switch {
	case basic == nil:
		return nil
	case tv.Value != nil:
		return f.constant(e, tv, basic)
	case basic.Info()&types.IsBoolean == 0:
		return nil
	}
	text := f.text(e)
	switch e := e.(type) {
	case *ast.ParenExpr:
		return nil // what is in it is mutated
	case *ast.UnaryExpr:
		return nil // what it negates is mutated
	case *ast.BinaryExpr:
		change, ok := changed[e.Op]
		if !ok {
			break
		}
		id, with := f.add(e, text+" -> "+f.flipped[e]), ast.Expr(e)
		switch {
		case id == 0:
		case e.Op == token.LAND || e.Op == token.LOR:
			lazily := &ast.FuncLit{
				Type: &ast.FuncType{Params: &ast.FieldList{}, Results: &ast.FieldList{List: []*ast.Field{{Type: ast.NewIdent("bool")}}}},
				Body: &ast.BlockStmt{List: []ast.Stmt{&ast.ReturnStmt{Results: []ast.Expr{e.Y}}}},
			}
			with = call(change.function, "", id, e.X, lazily)
		default:
			with = call(change.function, "", id, e.X, e.Y)
		}
		if e.Op == token.LAND || e.Op == token.LOR {
			return with // its parts are conditions, too
		}
		if id := f.add(e, text+" -> !("+text+")"); id != 0 {
			with = call("Not", "", id, with)
		}
		return with
	}
	if id := f.add(e, text+" -> !("+text+")"); id != 0 {
		return call("Not", "", id, e)
	}
	return nil
}

// constant returns a constant with its mutant.
func (f *finder) constant(e ast.Expr, tv types.TypeAndValue, basic *types.Basic) ast.Expr {
	switch e.(type) {
	case *ast.BasicLit, *ast.Ident, *ast.SelectorExpr:
	default:
		return nil // its parts are mutated
	}
	if basic.Info()&types.IsUntyped != 0 {
		return nil // a part of a constant, whose type its parts do not have
	}
	name := types.TypeString(types.Default(tv.Type), func(p *types.Package) string {
		if p == f.p.Types {
			return ""
		}
		return p.Name()
	})
	text, id := f.text(e), 0
	switch {
	case basic.Info()&types.IsBoolean != 0:
		if id = f.add(e, text+" -> !"+text); id != 0 {
			return call("Not", name, id, e)
		}
	case basic.Info()&types.IsInteger != 0:
		if id = f.add(e, text+" -> "+text+"+1"); id != 0 {
			return call("Add", name, id, e)
		}
	case basic.Info()&types.IsString != 0:
		// Of several words it is a message; in a variable's list of names the test would
		// be the same list again.
		if f.in == "var" || strings.Contains(constant.StringVal(tv.Value), " ") {
			return nil
		}
		if id = f.add(e, text+` -> `+text+`+"~"`); id != 0 {
			return call("Text", name, id, e)
		}
	}
	return nil
}

// call is a call of the switch.
func call(function, of string, id int, arguments ...ast.Expr) ast.Expr {
	var fun ast.Expr = &ast.SelectorExpr{X: ast.NewIdent(switchName), Sel: ast.NewIdent(function)}
	if of != "" {
		fun = &ast.IndexExpr{X: fun, Index: ast.NewIdent(of)}
	}
	return &ast.CallExpr{Fun: fun, Args: append([]ast.Expr{&ast.BasicLit{Kind: token.INT, Value: fmt.Sprint(id)}}, arguments...)}
}

// add numbers a mutant; 0 is one that does not compile. Numbers stay what they are
// when others are left out.
func (f *finder) add(e ast.Expr, change string) int {
	id := f.next
	f.next++
	if f.without[id] {
		return 0
	}
	f.mutants = append(f.mutants, mutant{id, f.pkg, f.file, f.lines[e], f.in, change})
	return id
}

// text is an expression as it was written, on one line.
func (f *finder) text(e ast.Expr) string { return f.texts[e] }

// remember takes down how an expression is written before its parts are changed.
func (f *finder) remember(e ast.Expr) {
	var b bytes.Buffer
	if err := format.Node(&b, f.p.Fset, e); err != nil {
		b.Reset()
		b.WriteString(types.ExprString(e))
	}
	f.lines[e] = f.p.Fset.Position(e.Pos()).Line
	f.texts[e] = strings.Join(strings.Fields(b.String()), " ")
	if e, ok := e.(*ast.BinaryExpr); ok {
		if change, ok := changed[e.Op]; ok {
			f.remember(e.X)
			f.remember(e.Y)
			f.flipped[e] = f.texts[e.X] + " " + change.to.String() + " " + f.texts[e.Y]
		}
	}
}
