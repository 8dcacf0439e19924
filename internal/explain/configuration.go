package explain

import (
	"fmt"

	"corsfilter/internal/lint"
)

// Configuration returns the one plugin configuration in a file, as JSON.
func Configuration(name string, data []byte) ([]byte, error) {
	found, err := lint.Find(data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case len(found) == 0:
		return nil, fmt.Errorf("%s: no configuration of this filter is in the file", name)
	case len(found) > 1:
		return nil, fmt.Errorf("%s: %d configurations are in the file; name a file with one", name, len(found))
	}
	return found[0].JSON, nil
}
