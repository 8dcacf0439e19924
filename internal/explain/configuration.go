package explain

import (
	"fmt"
	"strings"

	"corsfilter/internal/lint"
)

// Configuration returns a plugin configuration in a file, as JSON: the only one,
// or the one that is named as lint says where it stands. plugins are as for
// [lint.Find].
func Configuration(file string, data []byte, name string, plugins ...string) ([]byte, error) {
	found, err := lint.Find(data, plugins...)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	case len(found) == 0:
		return nil, fmt.Errorf("%s: no configuration of this filter is in the file", file)
	case len(found) == 1 && name == "":
		return found[0].JSON, nil
	}
	var names []string
	for _, c := range found {
		if c.Name() == name {
			return c.JSON, nil
		}
		names = append(names, fmt.Sprintf("%q", c.Name()))
	}
	if name != "" {
		return nil, fmt.Errorf("%s: no configuration is named %q; write -name %s", file, name, strings.Join(names, ", or -name "))
	}
	return nil, fmt.Errorf("%s: %d configurations are in the file; write -name %s", file, len(found), strings.Join(names, ", or -name "))
}
