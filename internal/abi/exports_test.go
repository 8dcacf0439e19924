package abi

import (
	"os"
	"regexp"
	"testing"
)

// TestBothCompilersExportTheSame holds the two lines above each callback together:
// the official compiler reads the first one, TinyGo the second.
func TestBothCompilersExportTheSame(t *testing.T) {
	source, err := os.ReadFile("abi_wasip1.go")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^//go:wasmexport (\w+)\n(?://export (\w+)\nfunc)?`).FindAllSubmatch(source, -1)
	if len(all) == 0 {
		t.Fatal("no exports found")
	}
	for _, names := range all {
		if string(names[1]) != string(names[2]) {
			t.Errorf("//go:wasmexport %s is followed by //export %q", names[1], names[2])
		}
	}
}
