// Package version says what was built: the release, the commit and the
// compiler. The build sets the first two (see the Makefile); without them the
// answer is an honest "devel". It is part of the module and imports the runtime
// alone.
package version

import "runtime"

// Set by the linker: -X corsfilter/internal/version.release=1.2.0.
var (
	release = "devel"
	commit  = ""
)

// Release is the version without a leading v, or "devel".
func Release() string { return release }

// Commit is the hash of the commit, with "-dirty" behind it where the tree was
// changed, or "" where the build was not told.
func Commit() string { return commit }

// String returns all of it in one line, such as
// "1.2.0 (commit 96b00ac, go1.26.1)". The commit is shortened to 12 digits.
func String() string {
	built := runtime.Version()
	if commit != "" {
		built = "commit " + short(commit) + ", " + built
	}
	return release + " (" + built + ")"
}

// short keeps a mark such as "-dirty" behind the digits.
func short(commit string) string {
	const digits, full = 12, 40
	if len(commit) < full {
		return commit
	}
	return commit[:digits] + commit[full:]
}
