package explain

import (
	"fmt"
	"strings"

	"corsfilter/internal/convert"
	"corsfilter/internal/lint"
)

// Configuration returns a plugin configuration in a file, as JSON: the only one,
// or the one that is named as lint says where it stands. plugins are as for
// [lint.Find]. Where the file holds policies of another proxy instead, it is what
// [convert.Convert] makes of them, and converted says of what.
func Configuration(file string, data []byte, name string, plugins ...string) (configuration []byte, converted string, err error) {
	found, err := lint.Find(data, plugins...)
	source := convert.File{Name: file, Data: data}
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("%s: %w", file, err)
	case len(found) == 0 && name == "" && convert.Recognises(source):
		result, problems := convert.Convert([]convert.File{source}, convert.Options{})
		if problems != nil {
			return nil, "", fmt.Errorf("%s can not be converted as it stands; corsctl convert has the flags that messages name:\n%w", file, problems)
		}
		return result.JSON, strings.Join(result.Sources(), ", "), nil
	case len(found) == 0:
		return nil, "", fmt.Errorf("%s: no configuration of this filter is in the file", file)
	case len(found) == 1 && name == "":
		return found[0].JSON, "", nil
	}
	var names []string
	for _, c := range found {
		if c.Name() == name {
			return c.JSON, "", nil
		}
		names = append(names, fmt.Sprintf("%q", c.Name()))
	}
	if name != "" {
		return nil, "", fmt.Errorf("%s: no configuration is named %q; write -name %s", file, name, strings.Join(names, ", or -name "))
	}
	return nil, "", fmt.Errorf("%s: %d configurations are in the file; write -name %s", file, len(found), strings.Join(names, ", or -name "))
}
