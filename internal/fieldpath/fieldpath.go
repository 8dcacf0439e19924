// Package fieldpath formats the path of a field in a document for messages:
// rules[0].policy.allow_origins. It imports only strconv, because the module needs it
// too.
package fieldpath

import "strconv"

// Key is the path of the member of that name; path is the object's, empty for the
// whole document.
func Key(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Index is the path of an element, counted from 0.
func Index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
