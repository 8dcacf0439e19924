package docs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"corsfilter/internal/browser"
)

// TestThePageListsWhereBrowsersDiffer compares the table with the one that the textbook
// browser uses.
func TestThePageListsWhereBrowsersDiffer(t *testing.T) {
	const page, begin, end = "operations.md", "<!-- deviations: checked against browser.Deviations -->\n", "<!-- end of deviations -->"
	before, rest, ok1 := strings.Cut(read(t, page), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("the page lacks the marks around its table")
	}
	want := "\n| by the standard | in | instead |\n|---|---|---|\n"
	for _, d := range browser.Deviations {
		var engines []string
		for _, e := range d.Engines {
			engines = append(engines, string(e))
		}
		want += fmt.Sprintf("| %s | %s | %s |\n", d.Standard, strings.Join(engines, ", "), d.Instead)
	}
	want += "\n"
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("the table differs from browser.Deviations; run go test ./docs -update\n%s", want)
	}
	if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
