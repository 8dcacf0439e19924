package hotpath

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNamesAreFunctions finds names that no function has any more: what was renamed
// would be taken for hot, or be inlined, without a word.
func TestNamesAreFunctions(t *testing.T) {
	functions := map[string]bool{}
	for _, dir := range []string{"../../filter", "../../config", "../abi", "../hostcall", "../header", "../origin"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, decl := range file.Decls {
				if f, ok := decl.(*ast.FuncDecl); ok {
					functions[f.Name.Name] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	names := slices.Concat(cold, notInlined)
	for _, function := range Callbacks {
		names = append(names, function)
	}
	for _, name := range names {
		if !functions[name] {
			t.Errorf("no function is called %s", name)
		}
	}
	for _, name := range notInlined {
		if Cold(name) || !NotInlined(name) {
			t.Errorf("%s is not inlined, and cold as well", name)
		}
	}
}
