// Package docs compares the documentation with the code: its configurations are
// accepted, its commands run, and its tables match the code.
package docs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"corsfilter/config"
	"corsfilter/filter"
	"corsfilter/internal/explain"
)

var update = flag.Bool("update", false, "rewrite the generated parts of the pages")

const (
	readme    = "../README.md"
	reference = "configuration.md"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestTheREADMEIsShort keeps reference and theory on the pages below docs.
func TestTheREADMEIsShort(t *testing.T) {
	if lines := strings.Count(read(t, readme), "\n"); lines > 250 {
		t.Errorf("the README has %d lines; move what most readers do not need to docs", lines)
	}
}

// TestTheReferenceListsEverySetting compares the page's table with the fields that the
// parser knows.
func TestTheReferenceListsEverySetting(t *testing.T) {
	const begin, end = "<!-- reference: checked against config.Fields -->\n", "\n<!-- end of reference -->"
	text := read(t, reference)
	before, rest, ok1 := strings.Cut(text, begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("the page lacks the marks around its reference")
	}
	var want strings.Builder
	want.WriteString("\n| field | type | default | meaning |\n|---|---|---|---|\n")
	for _, f := range config.Fields {
		name := "`" + f.Name + "`"
		if f.Top {
			name += " (top level only)"
		}
		fmt.Fprintf(&want, "| %s | %s | %s | %s |\n", name, f.Type, f.Default, f.Meaning)
	}
	if got == want.String() {
		return
	}
	if !*update {
		t.Fatalf("the reference differs from config.Fields; run go test ./docs -update\n--- got\n%s\n--- want\n%s", got, want.String())
	}
	if err := os.WriteFile(reference, []byte(before+begin+want.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheReferenceNamesEveryWaiver(t *testing.T) {
	text := read(t, reference)
	for _, waiver := range config.Waivers {
		if !strings.Contains(text, "| `"+string(waiver)+"` |") {
			t.Errorf("the table of waivers lacks %s", waiver)
		}
	}
}

// blocks returns the fenced blocks of a language; those in lists are indented.
func blocks(text, language string) (found []string) {
	fence := regexp.MustCompile("(?ms)^ *```" + language + "\n(.*?)^ *```")
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

func pages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("*.md")
	more, err2 := filepath.Glob("*/*.md")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return append(append(all, more...), readme, "../CONTRIBUTING.md", "../SECURITY.md")
}

// TestEveryConfigurationOnThePagesIsAccepted parses each JSON block.
func TestEveryConfigurationOnThePagesIsAccepted(t *testing.T) {
	parsed := 0
	for _, page := range pages(t) {
		for i, block := range blocks(read(t, page), "json") {
			parsed++
			if _, _, err := config.Parse([]byte(block)); err != nil {
				t.Errorf("%s, JSON block %d: %v\n%s", page, i, err, block)
			}
		}
	}
	if parsed < 4 { // those that corsctl prints are compared with what it prints
		t.Errorf("only %d configurations found; the pages hold more", parsed)
	}
}

// TestEveryResourceOnThePagesIsAccepted takes the plugin configuration out of
// each Kubernetes resource.
func TestEveryResourceOnThePagesIsAccepted(t *testing.T) {
	checked := map[string]int{}
	for _, page := range pages(t) {
		for i, block := range blocks(read(t, page), "yaml") {
			var resource struct {
				Kind string `json:"kind"`
			}
			if err := yaml.Unmarshal([]byte(block), &resource); err != nil {
				t.Errorf("%s, YAML block %d: %v", page, i, err)
				continue
			}
			if resource.Kind != "WasmPlugin" && resource.Kind != "EnvoyExtensionPolicy" {
				continue
			}
			checked[resource.Kind]++
			found, err := explain.Configuration(page, []byte(block), "")
			if err != nil {
				t.Errorf("%s, YAML block %d: %v", page, i, err)
				continue
			}
			if _, _, err := config.Parse(found.JSON); err != nil {
				t.Errorf("%s, YAML block %d: %v", page, i, err)
			}
		}
	}
	if checked["WasmPlugin"] == 0 || checked["EnvoyExtensionPolicy"] == 0 {
		t.Errorf("resources found: %v; the migration pages hold one of each kind", checked)
	}
}

// TestLinksBetweenPagesLeadSomewhere checks relative links and their anchors.
func TestLinksBetweenPagesLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			target := filepath.Join(filepath.Dir(page), m[1])
			if m[1] == "" {
				target = page
			}
			if info, err := os.Stat(target); err == nil && info.IsDir() && m[2] == "" {
				continue
			}
			text, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
				continue
			}
			if m[2] != "" && !slices.Contains(anchors(string(text)), m[2]) {
				t.Errorf("%s links to %s%s, which has no such heading", page, m[1], m[2])
			}
		}
	}
}

func anchors(text string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := strings.ToLower(regexp.MustCompile(`[^\w\s-]`).ReplaceAllString(m[1], ""))
		all = append(all, "#"+strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// TestEveryCounterIsShownAndExplained finds each counter in the dashboard and in
// the table of the operations page.
func TestEveryCounterIsShownAndExplained(t *testing.T) {
	c, _, err := config.Parse([]byte(`{"allow_origins": ["https://example.com"]}`))
	if err != nil {
		t.Fatal(err)
	}
	counters := filter.Counters(c)
	dashboard, page := read(t, "dashboards/cors.json"), read(t, "operations.md")
	for _, name := range counters {
		short := strings.TrimPrefix(name, "cors.")
		if !strings.Contains(page, "| `"+short+"` |") {
			t.Errorf("operations.md does not explain %s", short)
		}
		if !strings.Contains(dashboard, "cors_"+short) {
			t.Errorf("the dashboard does not show %s", short)
		}
	}
}

// TestTheLayoutIsTrue compares the folders in CONTRIBUTING.md with those that
// contain code, and looks for every file that it names.
func TestTheLayoutIsTrue(t *testing.T) {
	text := read(t, "../CONTRIBUTING.md")
	_, plan, _ := strings.Cut(text, "| folder |")
	plan, _, _ = strings.Cut(plan, "\n\n")
	named := map[string]bool{}
	for line := range strings.Lines(plan) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(first, -1) {
			named[m[1]] = true
			found, err := filepath.Glob(filepath.Join("..", m[1]))
			if err != nil || len(found) == 0 {
				t.Errorf("CONTRIBUTING.md lists %s, which does not exist", m[1])
			}
			for _, folder := range found {
				named[strings.TrimPrefix(folder, "../")] = true
			}
		}
	}
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		folder, _ := filepath.Rel("..", filepath.Dir(path))
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "dist"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go") && !named[folder] && folder != "internal/suffix/gen":
			t.Errorf("CONTRIBUTING.md lacks %s", folder)
			named[folder] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range regexp.MustCompile(`[\w./]+\.(?:go|md|txt|mjs|yaml)\b`).FindAllString(text, -1) {
		found := false
		for folder := range named {
			_, err := os.Stat(filepath.Join("..", folder, file))
			found = found || err == nil
		}
		if !found {
			t.Errorf("CONTRIBUTING.md names %s, which does not exist", file)
		}
	}
	for _, m := range regexp.MustCompile(`(\w+/[\w/]+\.go)[^|.]*?`+"`(\\w+)`").FindAllStringSubmatch(text, -1) {
		if !strings.Contains(read(t, "../"+m[1]), m[2]) {
			t.Errorf("%s has no %s", m[1], m[2])
		}
	}
}
