package lint

import (
	"strings"

	"github.com/tidwall/gjson"

	"corsfilter/internal/document"
)

// Locate is the place in the file of what stands at a path of the configuration, such
// as rules[2].policy.allow_origins, or of what is around it: keys may be written in
// camelCase.
func (c Configuration) Locate(path string) document.Position {
	at := gjson.ParseBytes(c.JSON)
	for _, name := range strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		next := gjson.Result{}
		at.ForEach(func(key, value gjson.Result) bool {
			if key.Type == gjson.Number && key.String() == name || strings.EqualFold(strings.ReplaceAll(key.Str, "_", ""), strings.ReplaceAll(name, "_", "")) {
				next = value
			}
			return !next.Exists()
		})
		if !next.Exists() {
			break
		}
		at = next
	}
	return c.source.Locate(at.Index)
}
