package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"corsfilter/internal/wasmtest"
)

// corsctl is the release's for this system.
var corsctl = "corsctl-" + runtime.GOOS + "-" + runtime.GOARCH

// Two people who build the same commit in different places get the same files, so
// that a digest says what is in them.
func TestTwoBuildsGiveTheSameDigests(t *testing.T) {
	one, two := builtElsewhere(t), builtElsewhere(t)
	for _, name := range []string{"cors.wasm", "image.tar", "artifact.tar", "sbom.cdx.json", corsctl} {
		a, err := os.ReadFile(filepath.Join(one, "dist", name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(two, "dist", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs between two builds", name)
		}
	}
	commit := strings.TrimSpace(command(t, one, "git", "rev-parse", "HEAD"))
	if got := command(t, one, filepath.Join("dist", corsctl), "version"); !strings.Contains(got, "1.2.0 (commit "+commit[:12]+",") {
		t.Errorf("corsctl says %q of itself", got)
	}
}

// builtElsewhere copies the repository's files elsewhere, commits them at a date of
// the test's, and builds the images there.
func builtElsewhere(t *testing.T) (root string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "copy")
	for name := range strings.SplitSeq(
		strings.TrimRight(command(t, wasmtest.Root(), "git", "ls-files", "-co", "--exclude-standard", "-z"), "\x00"), "\x00",
	) {
		content, err := os.ReadFile(filepath.Join(wasmtest.Root(), name))
		if os.IsNotExist(err) {
			continue // removed and not committed
		}
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(wasmtest.Root(), name))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	command(t, root, "git", "init", "-q", "-b", "main")
	command(t, root, "git", "add", "-A")
	command(t, root, "git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "all")
	command(t, root, "make", "image", "dist/sbom.cdx.json", "dist/"+corsctl, "VERSION=1.2.0")
	return root
}

func command(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE=2026-11-01T12:00:00Z", "GIT_COMMITTER_DATE=2026-11-01T12:00:00Z")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return string(out)
}

func TestMistakesAreSaid(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "no command"},
		{[]string{"sell"}, `unknown command "sell"`},
		{[]string{"image", "extra"}, `unexpected argument "extra"`},
		{[]string{"image", "-module", filepath.Join(t.TempDir(), "none.wasm")}, "make build makes the module"},
		{[]string{"push"}, "make push IMAGE="},
		{[]string{"bom", "-version", "v1"}, `"v1" is no version`},
	} {
		var out, errors bytes.Buffer
		err := run(context.Background(), c.args, &out, &errors)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}
