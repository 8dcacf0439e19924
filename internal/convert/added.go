package convert

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// AddedHeader is a CORS header that a proxy adds to responses beside any policy.
type AddedHeader struct {
	Name  string
	Value string
	Node  *yaml.Node // its name in the file
}

// AddedHeaders returns the CORS headers in a list of Envoy's HeaderValueOptions, such
// as response_headers_to_add.
func AddedHeaders(list *yaml.Node) (added []AddedHeader) {
	for _, option := range Elements(list) {
		if key := Child(option, "header", "key"); key != nil && isCORS(Text(key)) {
			added = append(added, AddedHeader{strings.ToLower(Text(key)), Text(Child(option, "header", "value")), key})
		}
	}
	return added
}

// AddedByIstio is AddedHeaders for the headers of a VirtualService's route or of one
// of its destinations.
func AddedByIstio(headers *yaml.Node) (added []AddedHeader) {
	for _, operation := range []string{"add", "set"} {
		for _, m := range Members(Child(headers, "response", operation)) {
			if isCORS(m.Key.Value) {
				added = append(added, AddedHeader{strings.ToLower(m.Key.Value), Text(m.Value), m.Key})
			}
		}
	}
	return added
}

// isCORS reports whether a response header answers CORS.
func isCORS(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "access-control-") && !strings.HasPrefix(name, "access-control-request-")
}

// BesideThePolicy reports headers that are added: the filter replaces them.
func BesideThePolicy(o *Object, setting string, added []AddedHeader) (changes []Change) {
	for _, h := range added {
		at := o.At(h.Node)
		changes = append(changes, Change{AddedBeside, fmt.Sprintf("%s:%d: %s adds %s, and the filter's own value replaces it: remove it there", at.File, at.Line, setting, h.Name)})
	}
	return changes
}
