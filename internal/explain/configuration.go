package explain

import (
	"fmt"

	"sigs.k8s.io/yaml"
)

// Configuration returns the plugin configuration in a file, as JSON.
func Configuration(name string, data []byte) ([]byte, error) {
	out, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}
