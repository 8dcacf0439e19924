package source

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestSourcesStandAlone: a source imports the converter, and nothing of another source.
func TestSourcesStandAlone(t *testing.T) {
	files, err := filepath.Glob("*/*.go")
	if err != nil || len(files) < len(All) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if strings.Contains(i.Path.Value, "internal/convert/") {
				t.Errorf("%s imports %s", name, i.Path.Value)
			}
		}
	}
}
