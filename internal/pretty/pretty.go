// Package pretty stands in for github.com/tidwall/pretty in this module, which gjson's
// modifiers @pretty and @ugly call and nothing here asks for: that one brings
// encoding/json, and with it reflect and fmt, a quarter of the module. It has what
// gjson names, and hands JSON back as it is.
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
