package ship

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDescribe(t *testing.T) {
	root := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", root, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2026-11-01T13:00:00+01:00")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if _, err := Describe(root, Devel); err == nil || !strings.Contains(err.Error(), "git rev-parse HEAD") {
		t.Errorf("where nothing is: %v", err)
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "first")
	want := Source{Version: "1.2.0-rc.1", Commit: git("rev-parse", "HEAD"), Time: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	if got, err := Describe(root, "1.2.0-rc.1"); got != want || got.Dirty() || err != nil {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if err := os.WriteFile(filepath.Join(root, "new"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want.Version, want.Commit = Devel, want.Commit+"-dirty"
	if got, err := Describe(root, Devel); got != want || !got.Dirty() || err != nil {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, version := range []string{"v1.2.0", "1.2", "1.2.0+build", ""} {
		if _, err := Describe(root, version); err == nil || !strings.Contains(err.Error(), "is no version") {
			t.Errorf("%q: %v", version, err)
		}
	}
}
