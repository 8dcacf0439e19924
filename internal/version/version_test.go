package version

import (
	"runtime"
	"testing"
)

func TestString(t *testing.T) {
	const hash = "0123456789abcdef0123456789abcdef01234567"
	for _, c := range []struct{ release, commit, want string }{
		{"", "", "devel (" + runtime.Version() + ")"},
		{"devel", "", "devel (" + runtime.Version() + ")"},
		{"1.2.0", hash, "1.2.0 (commit 0123456789ab, " + runtime.Version() + ")"},
		{"1.2.0", hash + "-dirty", "1.2.0 (commit 0123456789ab-dirty, " + runtime.Version() + ")"},
		{"devel", "unknown", "devel (commit unknown, " + runtime.Version() + ")"},
	} {
		release, commit = c.release, c.commit
		if got := String(); got != c.want {
			t.Errorf("%q %q: %q, want %q", c.release, c.commit, got, c.want)
		}
	}
}
