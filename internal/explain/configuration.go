package explain

import (
	"fmt"
	"strings"

	"corsfilter/internal/convert"
	"corsfilter/internal/convert/source"
	"corsfilter/internal/lint"
)

// Found is a configuration in a file.
type Found struct {
	JSON []byte
	// Converted names another proxy's policies that it was converted from; "" if it is the
	// filter's own.
	Converted string
	// EscapedSlashes is for [Request.EscapedSlashes].
	EscapedSlashes string
	// Changes say how the converted policies differ from their source.
	Changes []string
	// Locate finds the line of the file for a path of the configuration, as in
	// config.Problem.
	Locate func(path string) convert.Place
}

// Configuration returns a plugin configuration in a file: the only one, or the one with the
// given name, which is its place as lint reports it. plugins are as for [lint.Find]. If the
// file has policies of another proxy instead, it returns what [source.Convert] makes of
// them.
func Configuration(file string, data []byte, name string, plugins ...string) (Found, error) {
	found, err := lint.Find(data, plugins...)
	policies := convert.File{Name: file, Data: data}
	switch {
	case err != nil:
		return Found{}, fmt.Errorf("%s: %w", file, err)
	case len(found) == 0 && name == "" && source.Recognises(policies):
		return Converted([]convert.File{policies}, convert.Options{})
	case len(found) == 0:
		return Found{}, fmt.Errorf("%s: the file has no configuration of this filter", file)
	}
	var names []string
	for _, c := range found {
		if c.Name() == name || len(found) == 1 && name == "" {
			if err := c.Refused(); err != nil {
				return Found{}, fmt.Errorf("%s:%w", file, err)
			}
			locate := func(path string) convert.Place {
				at := c.Locate(path)
				return convert.Place{File: file, Line: at.Line, Column: at.Column, Document: c.Document}
			}
			return Found{JSON: c.JSON, EscapedSlashes: c.EscapedSlashes(), Locate: locate}, nil
		}
		names = append(names, fmt.Sprintf("%q", c.Name()))
	}
	if name != "" {
		return Found{}, fmt.Errorf("%s: there is no configuration named %q; write -name %s", file, name, strings.Join(names, ", or -name "))
	}
	return Found{}, fmt.Errorf("%s: the file has %d configurations; write -name %s", file, len(found), strings.Join(names, ", or -name "))
}

// Converted returns the configuration that [source.Convert] makes of files.
func Converted(files []convert.File, o convert.Options) (Found, error) {
	result, problems := source.Convert(files, o)
	if problems != nil {
		return Found{}, fmt.Errorf("%s cannot be converted; corsctl convert has the flags that the messages name:\n%w", files[0].Name, problems)
	}
	found := Found{JSON: result.JSON, Converted: strings.Join(result.Sources(), ", ")}
	for _, rule := range result.Rules {
		for _, change := range rule.Changes {
			found.Changes = append(found.Changes, change.Text)
		}
	}
	found.Changes = convert.Unique(found.Changes)
	found.Locate = func(path string) convert.Place { return result.Locate(path).Place }
	return found, nil
}
