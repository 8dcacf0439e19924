// Package source has all forms of policies that are converted, a folder each. They
// import package convert, and nothing of each other.
package source

import (
	"strings"

	"corsfilter/internal/convert"
	"corsfilter/internal/convert/source/apigateway"
	"corsfilter/internal/convert/source/apisix"
	"corsfilter/internal/convert/source/bucket"
	"corsfilter/internal/convert/source/caddy"
	"corsfilter/internal/convert/source/envoy"
	"corsfilter/internal/convert/source/envoygateway"
	"corsfilter/internal/convert/source/gatewayapi"
	"corsfilter/internal/convert/source/higress"
	"corsfilter/internal/convert/source/ingressnginx"
	"corsfilter/internal/convert/source/istio"
	"corsfilter/internal/convert/source/kong"
	"corsfilter/internal/convert/source/nginx"
	"corsfilter/internal/convert/source/traefik"
)

// All are the sources. A new one is a folder and its line here.
var All = []convert.Source{
	envoy.Source,
	istio.Source,
	gatewayapi.Source,
	envoygateway.Source,
	higress.Source,
	kong.Source,
	traefik.Source,
	ingressnginx.Source,
	nginx.Source,
	caddy.Source,
	apisix.Source,
	apigateway.Source,
	bucket.Source,
}

// Convert makes one configuration of the policies in files: see
// [convert.Convert].
func Convert(files []convert.File, o convert.Options) (*convert.Result, convert.Problems) {
	return convert.Convert(All, files, o)
}

// Recognises reports whether a file holds anything that Convert looks at.
func Recognises(f convert.File) bool { return convert.Recognises(All, f) }

// Forms lists what the sources read, a line of a list for each.
func Forms() string {
	var b strings.Builder
	for i, s := range All {
		line := "-"
		for word := range strings.FieldsSeq(s.Files) {
			if len(line)+len(word) > 79 {
				b.WriteString(line + "\n")
				line = " "
			}
			line += " " + word
		}
		if b.WriteString(line); i+1 < len(All) {
			b.WriteString(";\n")
		}
	}
	return b.String() + "."
}
