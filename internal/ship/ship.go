// Package ship turns the built module into what people install: container images in the
// two forms that Istio and Envoy Gateway accept, with a bill of materials. It reads the
// module as bytes, and the repository through git and the go command. It imports
// nothing of the filter.
package ship

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// Source says what something was built from.
type Source struct {
	// Version is without a leading v, such as 1.2.0; "devel" where nobody gave
	// one.
	Version string
	// Commit is the full hash, with "-dirty" behind it where files differ from it.
	Commit string
	// Time is the commit's, in UTC: what is made from one commit is the same
	// whenever and wherever it is made.
	Time time.Time
}

func (s Source) created() string { return s.Time.Format(time.RFC3339) }

// Devel is the version of what is no release.
const Devel = "devel"

// semantic is a version that images can have as a tag, too: one without a +.
var semantic = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$`)

// Describe reads the commit that is checked out in a folder.
func Describe(folder, version string) (Source, error) {
	if version != Devel && !semantic.MatchString(version) {
		return Source{}, fmt.Errorf("%q is no version; write VERSION=1.2.0, without a v in front and without a +", version)
	}
	commit, err := git(folder, "rev-parse", "HEAD")
	if err != nil {
		return Source{}, err
	}
	stamp, err := git(folder, "show", "--no-patch", "--format=%cI", "HEAD")
	if err != nil {
		return Source{}, err
	}
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return Source{}, fmt.Errorf("the date of commit %s: %w", commit, err)
	}
	changes, err := git(folder, "status", "--porcelain")
	if err != nil {
		return Source{}, err
	}
	if changes != "" {
		commit += dirty
	}
	return Source{Version: version, Commit: commit, Time: at.UTC()}, nil
}

const dirty = "-dirty"

// Dirty reports whether files differ from the commit.
func (s Source) Dirty() bool { return strings.HasSuffix(s.Commit, dirty) }

// git returns what a git command prints, without the newline at its end.
func git(folder string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", folder}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimRight(string(out), "\n"), nil
}
