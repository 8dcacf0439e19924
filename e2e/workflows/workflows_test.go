// Package workflows holds the workflows of continuous integration to actionlint.
package workflows

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

const folder = "../../.github/workflows"

func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v; want the workflows for tests and for releases", files, err)
	}
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := linter.LintFiles(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		t.Error(e)
	}
}

// TestWorkflowsCallWhatIsThere finds each make target and script that a workflow
// calls.
func TestWorkflowsCallWhatIsThere(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, name := range []string{"test.yml", "release.yml"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(line), "- "), "run: ")
			if m := regexp.MustCompile(`^make (\w+)`).FindStringSubmatch(line); m != nil {
				calls++
				if !strings.Contains("\n"+string(makefile), "\n"+m[1]+":") {
					t.Errorf("%s calls make %s, which is no target", name, m[1])
				}
			}
			if strings.HasPrefix(line, ".ci/") {
				calls++
				if _, err := os.Stat(filepath.Join("../..", line)); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if calls < 4 {
		t.Errorf("%d calls; some are not found any more", calls)
	}
}
