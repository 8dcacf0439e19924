// Package version has the release, the commit and the compiler of a build. The build
// sets the first two (see the Makefile); without them the release is "devel". It is
// part of the module and imports only the runtime.
package version

import "runtime"

// Set by the linker: -X corsfilter/internal/version.release=1.2.0. TinyGo overwrites
// what the linker set with a value that stands here.
var release, commit string

// Release is the version without a leading v, or "devel".
func Release() string {
	if release == "" {
		return "devel"
	}
	return release
}

// Commit is the hash of the commit, with "-dirty" behind it where the tree was
// changed, or "" where the build was not told.
func Commit() string { return commit }

// String returns all of it in one line, such as
// "1.2.0 (commit 96b00ac, go1.26.1)", or with "TinyGo 0.33.0" where that compiled
// it. The commit is shortened to 12 digits.
func String() string {
	built := runtime.Version()
	if runtime.Compiler == "tinygo" {
		built = "TinyGo " + built
	}
	if commit != "" {
		built = "commit " + short(commit) + ", " + built
	}
	return Release() + " (" + built + ")"
}

// short keeps a mark such as "-dirty" behind the digits.
func short(commit string) string {
	const digits, full = 12, 40
	if len(commit) < full {
		return commit
	}
	return commit[:digits] + commit[full:]
}
