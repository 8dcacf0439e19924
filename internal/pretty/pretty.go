// Package pretty replaces github.com/tidwall/pretty in this module. gjson's modifiers
// @pretty and @ugly call that package, and nothing here uses them. It would bring in
// encoding/json, and with it reflect and fmt, a quarter of the module. This one has the
// functions that gjson names, and returns JSON unchanged.
package pretty

// Options are those that the modifiers take.
type Options struct {
	Width          int
	Prefix, Indent string
	SortKeys       bool
}

// DefaultOptions are what the modifiers begin with.
var DefaultOptions = &Options{}

// Pretty, PrettyOptions and Ugly return the JSON as it is.
func Pretty(json []byte) []byte                    { return json }
func PrettyOptions(json []byte, _ *Options) []byte { return json }
func Ugly(json []byte) []byte                      { return json }
