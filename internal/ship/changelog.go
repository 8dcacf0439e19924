package ship

import (
	"fmt"
	"regexp"
	"strings"
)

// versionForm is a release's version (Semantic Versioning, section 2, with
// pre-releases as in section 9).
var versionForm = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$`)

// Notes returns what a changelog in the form of Keep a Changelog says of a
// version.
func Notes(changelog, version string) (string, error) {
	if !versionForm.MatchString(version) {
		return "", fmt.Errorf("%q is no version; write one such as 1.2.0, without a v", version)
	}
	heading := "## [" + version + "]"
	var notes []string
	found := false
	for line := range strings.Lines(changelog) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "## "):
			if found {
				return finish(notes, version)
			}
			found = line == heading || strings.HasPrefix(line, heading+" - ")
		case found && !isLinkDefinition(line):
			notes = append(notes, line)
		}
	}
	if !found {
		return "", fmt.Errorf("CHANGELOG.md has no section %q; move what is under [Unreleased] there, with the date, and commit", heading)
	}
	return finish(notes, version)
}

func finish(notes []string, version string) (string, error) {
	text := strings.TrimSpace(strings.Join(notes, "\n"))
	if text == "" {
		return "", fmt.Errorf("CHANGELOG.md says nothing of %s; write what is new for those who use it", version)
	}
	return text + "\n", nil
}

// isLinkDefinition tells the links at a changelog's end from its text.
func isLinkDefinition(line string) bool {
	return strings.HasPrefix(line, "[") && strings.Contains(line, "]: ")
}
