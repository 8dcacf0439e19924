package ship

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

const changelog = `# Changelog

## [Unreleased]

## [1.2.0] - 2026-11-01

### Added

- Something that people wanted.

## [1.1.0] - 2026-10-01

## [1.0.0]

- The first.

[1.2.0]: https://example.com/compare
`

func TestNotes(t *testing.T) {
	for _, c := range []struct{ version, notes, err string }{
		{version: "1.2.0", notes: "### Added\n\n- Something that people wanted.\n"},
		{version: "1.0.0", notes: "- The first.\n"},
		{version: "1.1.0", err: "says nothing of 1.1.0"},
		{version: "1.2", err: "is no version"},
		{version: "v1.2.0", err: "without a v"},
		{version: "1.2.00", err: "is no version"},
		{version: "", err: "is no version"},
		{version: "2.0.0", err: `has no section "## [2.0.0]"`},
		{version: "1.2.0-rc.1", err: `has no section "## [1.2.0-rc.1]"`},
	} {
		notes, err := Notes(changelog, c.version)
		if notes != c.notes || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %q, %v", c.version, notes, err)
		}
	}
}

// repository is a small one that a release can be made of: what make check and
// make build do in it is up to the test.
func repository(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	all := map[string]string{
		"CHANGELOG.md":        changelog,
		"Makefile":            "check:\n\t@true\nbuild:\n\t@mkdir -p dist && printf 'module %s' $(VERSION) > dist/cors.wasm\n",
		".gitignore":          "/dist/\n",
		"go.mod":              "module corsfilter\n\ngo 1.23\n",
		"main.go":             "package main\n\nfunc main() {}\n",
		"cmd/corsctl/main.go": "package main\n\nimport \"corsfilter/internal/version\"\n\nfunc main() { println(version.String()) }\n",
		"config/schema.json":  "{}\n",
	}
	for _, name := range []string{"internal/version/version.go"} {
		content, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(content)
	}
	for name, content := range files {
		all[name] = content
	}
	for name, content := range all {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, root, "git", "init", "-q")
	run(t, root, "git", "add", "-A")
	run(t, root, "git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "all")
	return root
}

func run(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2026-11-01T13:00:00+01:00")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestReleaseIsRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		version string
		files   map[string]string
		spoil   func(t *testing.T, root string)
		want    []string
	}{
		{name: "a dirty tree and an unknown version, both at once", version: "9.9.9", spoil: func(t *testing.T, root string) {
			if err := os.WriteFile(filepath.Join(root, "forgotten.go"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, want: []string{"the tree is not clean", "?? forgotten.go", `no section "## [9.9.9]"`}},
		{name: "a failing check", version: "1.2.0", files: map[string]string{"Makefile": "check:\n\t@echo it is broken; false\n"}, want: []string{"make check: exit status 2"}},
		{name: "a version that names another commit", version: "1.2.0", spoil: func(t *testing.T, root string) {
			run(t, root, "git", "tag", "v1.2.0")
			run(t, root, "git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "later")
		}, want: []string{"the tag v1.2.0 names commit"}},
		{name: "a failing build", version: "1.2.0", files: map[string]string{"Makefile": "check:\nbuild:\n\t@false\n"}, want: []string{"make build: exit status 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := repository(t, c.files)
			if c.spoil != nil {
				c.spoil(t, root)
			}
			var out bytes.Buffer
			r := Release{Root: root, Version: c.version, Stdout: &out, Stderr: &out}
			files, err := r.Make(context.Background())
			if err == nil || files != nil {
				t.Fatalf("released %v", files)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if left, _ := os.ReadDir(filepath.Join(root, "dist")); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

func TestRelease(t *testing.T) {
	root := repository(t, nil)
	run(t, root, "git", "tag", "v1.2.0") // of this very commit: that is fine
	if err := os.MkdirAll(filepath.Join(root, "dist", "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	here := Target{runtime.GOOS, runtime.GOARCH}
	other := Target{"windows", "arm64"}
	var out bytes.Buffer
	r := Release{Root: root, Version: "1.2.0", Targets: []Target{here, other}, Stdout: &out, Stderr: &out}
	files, err := r.Make(context.Background())
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	want := []string{"artifact.tar", "checksums.txt", "cors.wasm", here.file(), "corsctl-windows-arm64.exe", "image.tar", "notes.md", "sbom.cdx.json", "schema.json"}
	slices.Sort(want)
	if !slices.Equal(files, want) {
		t.Errorf("files %v, want %v", files, want)
	}
	read := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join(root, "dist", name))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	if got := string(read("cors.wasm")); got != "module 1.2.0" {
		t.Errorf("the module is %q", got)
	}
	if got := string(read("notes.md")); !strings.Contains(got, "Something that people wanted") || strings.Contains(got, "The first") {
		t.Errorf("the notes are %q", got)
	}
	commit := strings.TrimSpace(run(t, root, "git", "rev-parse", "HEAD"))
	if got := run(t, root, filepath.Join("dist", here.file())); !strings.HasPrefix(got, "1.2.0 (commit "+commit[:12]+", go") {
		t.Errorf("corsctl says %q", got)
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(read("checksums.txt"))) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		sums[name] = sum
	}
	for _, name := range files {
		sum := sha256.Sum256(read(name))
		if name != "checksums.txt" && sums[name] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: checksum %q", name, sums[name])
		}
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(read("sbom.cdx.json")), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range *bom.Components {
		names = append(names, c.Name)
	}
	if !slices.Equal(names, []string{"cors.wasm", "corsctl", "std"}) || bom.Metadata.Component.Version != "1.2.0" || bom.Metadata.Timestamp != "2026-11-01T12:00:00Z" {
		t.Errorf("bill of materials: %v, %+v", names, bom.Metadata)
	}
}

// The bill of this repository: what the module links is what people ask about.
func TestBillOfMaterials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sbom.json")
	if err := writeSBOM(context.Background(), filepath.Join("..", ".."), file, source); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(content), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	linked := func(ref string) (names []string) {
		for _, d := range *bom.Dependencies {
			if d.Ref == ref {
				for _, name := range *d.Dependencies {
					name, _, _ = strings.Cut(strings.TrimPrefix(name, "pkg:golang/"), "@")
					names = append(names, name)
				}
			}
		}
		return names
	}
	want := []string{"github.com/tetratelabs/proxy-wasm-go-sdk", "github.com/tidwall/gjson", "github.com/tidwall/match", "std"}
	if got := linked("cors.wasm"); !slices.Equal(got, want) {
		t.Errorf("the module links %v, want %v", got, want)
	}
	if got := linked("corsctl"); !slices.Contains(got, "github.com/tetratelabs/wazero") || slices.Contains(got, "pgregory.net/rapid") {
		t.Errorf("corsctl links %v", got)
	}
	for _, c := range *bom.Components {
		if strings.HasPrefix(c.BOMRef, "pkg:golang/") && c.Name != "std" && c.Hashes == nil {
			t.Errorf("%s has no hash", c.BOMRef)
		}
	}
}
