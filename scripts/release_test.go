package scripts

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const changelog = `# Changelog

## [Unreleased]

## [1.2.0] - 2026-11-01

### Added

- Something that people wanted ([the report](https://example.com/1)).

## [1.1.0] - 2026-10-01

## [1.0.0]

- The first.

[1.2.0]: https://example.com/compare
`

// repository is a small one that a release can be made of, as far as files of the
// test's do not stand against it.
func repository(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	script, err := os.ReadFile("release")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"CHANGELOG.md": changelog,
		".gitignore":   "/dist/\n",
		"Makefile": "check:\n\t@true\ndist/%:\n\t@mkdir -p dist && printf '%s %s' $* $(VERSION) > $@\nimage:\n" +
			"\t@touch dist/image.tar dist/artifact.tar\n",
		"config/schema.json":      "{}\n",
		"internal/suffix/list.go": "const Date = \"2026-09-30\"\n",
		"scripts/release":         string(script),
	}
	for name, content := range files {
		all[name] = content
	}
	for name, content := range all {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	in(t, root, "git", "init", "-q")
	in(t, root, "git", "add", "-A")
	commit(t, root, "2026-11-01")
	return root
}

func commit(t *testing.T, root, date string) {
	t.Helper()
	in(t, root, "env", "GIT_COMMITTER_DATE="+date+"T12:00:00Z",
		"git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "all")
}

func in(t *testing.T, root, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func release(root, version string) (string, error) {
	cmd := exec.Command(filepath.Join(root, "scripts", "release"), version)
	// The Makefile of these tests makes all by printf, and asks no compiler.
	if err := errors.Join(
		os.MkdirAll(filepath.Join(root, ".git", "bin"), 0o755),
		os.WriteFile(filepath.Join(root, ".git", "bin", "tinygo"), []byte("#!/bin/sh\n"), 0o755),
	); err != nil {
		return "", err
	}
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(root, ".git", "bin")+":"+os.Getenv("PATH"), "MAKEFLAGS=", "MAKELEVEL=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestReleaseIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, version string
		files         map[string]string
		spoil         func(root string)
		want          []string
	}{
		{name: "a dirty tree and an unknown version, both at once", version: "9.9.9", spoil: func(root string) {
			in(t, root, "touch", "forgotten.go")
		}, want: []string{"the tree is not clean", "?? forgotten.go", `no section "## [9.9.9]"`}},
		{name: "a version without notes", version: "1.1.0", want: []string{"has nothing about 1.1.0"}},
		{name: "a version that begins as another", version: "1.2", want: []string{`"1.2" is not a version`}},
		{name: "a v", version: "v1.2.0", want: []string{"without a v"}},
		{name: "a leading zero", version: "1.2.00", want: []string{"is not a version"}},
		{name: "no version", want: []string{`"" is not a version`}},
		{name: "a candidate that is not there", version: "1.2.0-rc.1", want: []string{`no section "## [1.2.0-rc.1]"`}},
		{name: "a failing check", version: "1.2.0", files: map[string]string{"Makefile": "check:\n\t@echo it is broken; false\n"},
			want: []string{"it is broken", "make check fails"}},
		{name: "a version that names another commit", version: "1.2.0", spoil: func(root string) {
			in(t, root, "git", "tag", "v1.2.0")
			commit(t, root, "2026-11-02")
		}, want: []string{"the tag v1.2.0 names commit"}},
		{name: "a list of public suffixes that is two months and a day old", version: "1.2.0", spoil: func(root string) {
			commit(t, root, "2026-12-01")
		}, want: []string{"the public suffix list is from 2026-09-30; update it with make suffixes"}},
		{name: "one of the year before", version: "1.2.0", files: map[string]string{"internal/suffix/list.go": "const Date = \"2025-11-01\"\n"},
			want: []string{"the public suffix list is from 2025-11-01"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := repository(t, c.files)
			if c.spoil != nil {
				c.spoil(root)
			}
			in(t, root, "mkdir", "dist")
			got, err := release(root, c.version)
			if err == nil {
				t.Fatalf("released:\n%s", got)
			}
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not in:\n%s", want, got)
				}
			}
			if left, err := os.ReadDir(filepath.Join(root, "dist")); err != nil || len(left) > 0 {
				t.Errorf("it left %v, %v", left, err)
			}
		})
	}
}

// TestAReleaseHasTheSmallBuild refuses one without TinyGo.
func TestAReleaseHasTheSmallBuild(t *testing.T) {
	root := repository(t, nil)
	path := machine(t, map[string]string{})
	for _, name := range []string{"git", "make"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	got, code := run(t, path, nil, filepath.Join(root, "scripts", "release"), "1.2.0")
	if code == 0 || !strings.Contains(got, "release: tinygo is not on PATH, and a release needs it for the small build\n") {
		t.Errorf("exit code %d:\n%s", code, got)
	}
}

func TestRelease(t *testing.T) {
	root := repository(t, nil)
	commit(t, root, "2026-11-30")       // two months after the list
	in(t, root, "git", "tag", "v1.2.0") // of this very commit: that is fine
	in(t, root, "mkdir", "-p", "dist/old")
	got, err := release(root, "1.2.0")
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	want := []string{
		"artifact.tar", "checksums.txt", "cors-small.wasm", "cors.wasm", "corsctl-darwin-amd64", "corsctl-darwin-arm64", "corsctl-linux-amd64",
		"corsctl-linux-arm64", "corsctl-windows-amd64.exe", "corsctl-windows-arm64.exe", "image.tar", "notes.md", "sbom.cdx.json",
		"schema.json",
	}
	if !strings.HasSuffix(got, "dist/"+strings.Join(want, "\ndist/")+"\n") {
		t.Errorf("it says:\n%s", got)
	}
	entries, err := os.ReadDir(filepath.Join(root, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	var sums strings.Builder
	read := map[string]string{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(root, "dist", entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files, read[entry.Name()] = append(files, entry.Name()), string(content)
		if entry.Name() != "checksums.txt" {
			fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), entry.Name())
		}
	}
	if !slices.Equal(files, want) {
		t.Errorf("files %v, want %v", files, want)
	}
	for name, want := range map[string]string{
		"cors.wasm":       "cors.wasm 1.2.0",
		"cors-small.wasm": "cors-small.wasm 1.2.0",
		"notes.md":        "### Added\n\n- Something that people wanted ([the report](https://example.com/1)).\n",
		"schema.json":     "{}\n",
		"checksums.txt":   sums.String(),
	} {
		if read[name] != want {
			t.Errorf("%s is:\n%s", name, read[name])
		}
	}
}

func TestTheLastNotesEndWhereTheLinksBegin(t *testing.T) {
	root := repository(t, nil)
	if got, err := release(root, "1.0.0"); err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	if notes := in(t, root, "cat", "dist/notes.md"); notes != "- The first.\n" {
		t.Errorf("notes.md is:\n%s", notes)
	}
}
