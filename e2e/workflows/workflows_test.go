// Package workflows checks the workflows of continuous integration with actionlint.
package workflows

import (
	"errors"
	"fmt"
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

// TestTheActionTakesWhatItSays has actionlint read the action where a workflow of a
// policy repository uses it, with every input; an unknown input is reported.
func TestTheActionTakesWhatItSays(t *testing.T) {
	root := t.TempDir()
	action, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.Mkdir(filepath.Join(root, ".git"), 0o700), os.MkdirAll(filepath.Join(root, ".github", "workflows"), 0o700),
		os.WriteFile(filepath.Join(root, "action.yml"), action, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	const all = `on: push
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: ./
        with: {files: policies, strict: true, require: true, repository: team/corsfilter, plugin: cors, version: v1.2.0, token: x%s}
`
	for name, use := range map[string]struct {
		workflow string
		mistakes int
	}{
		"every input":                {fmt.Sprintf(all, ""), 0},
		"an unknown input":           {fmt.Sprintf(all, ", colour: red"), 1},
		"the workflow of docs/ci.md": {ours.ReplaceAllString(pagesWorkflow(t), "uses: ./"), 0},
	} {
		file := filepath.Join(root, ".github", "workflows", "check.yml")
		if err := os.WriteFile(file, []byte(use.workflow), 0o600); err != nil {
			t.Fatal(err)
		}
		linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{WorkingDir: root})
		if err != nil {
			t.Fatal(err)
		}
		found, err := linter.LintFile(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != use.mistakes {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// ours is how other repositories use the action.
var ours = regexp.MustCompile(`uses: OWNER/corsfilter@v[0-9.]+`)

// pagesWorkflow returns the workflow that docs/ci.md shows.
func pagesWorkflow(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- workflow: read by actionlint in the tests -->\n```yaml\n")
	workflow, _, found := strings.Cut(rest, "```\n")
	if !found || !ours.MatchString(workflow) {
		t.Fatal("docs/ci.md has lost its workflow")
	}
	return workflow
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
