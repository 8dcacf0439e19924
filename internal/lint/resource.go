package lint

import (
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	extensionsv1alpha1 "istio.io/api/extensions/v1alpha1"

	"corsfilter/internal/document"
)

// ofHigress are the fields that Higress' WasmPlugin has beside Istio's.
var ofHigress = []string{"defaultConfig", "defaultConfigDisable", "matchRules"}

// protojson says the place first, and its words vary on purpose from build to
// build: two kinds of space.
var protojsonError = regexp.MustCompile(`^proto:[\s\x{a0}]+(?:syntax error )?\(line (\d+):(\d+)\):[\s\x{a0}]+(.*)$`)

// checkResource decodes the WasmPlugin around a configuration into its API's own
// type: the API server prunes what it does not know without a word, and a phase
// or a priority that is not there puts the filter behind authentication.
func (c Configuration) checkResource() []Finding {
	if c.resource == nil {
		return nil
	}
	// The configuration itself is the module's parser's to judge.
	leave := []string{"pluginConfig"}
	if strings.HasPrefix(document.Scalar(document.Child(c.resource, "apiVersion")), "extensions.higress.io/") {
		leave = append(leave, ofHigress...)
	}
	spec := document.Child(c.resource, "spec")
	text, source := document.JSON(spec, &document.Budget{}, leave...)
	err := protojson.Unmarshal(text, &extensionsv1alpha1.WasmPlugin{})
	if err == nil {
		return nil
	}
	at, reason := document.At(spec), err.Error()
	if m := protojsonError.FindStringSubmatch(reason); m != nil {
		column, _ := strconv.Atoi(m[2]) // the JSON is one line
		at, reason = source.Locate(column-1), m[3]
	}
	return []Finding{{
		Line: at.Line, Column: at.Column, Document: c.Document, Path: "spec", Code: BadResource, Severity: Error,
		Reason: "the WasmPlugin is not what its API knows: " + reason, Remedy: "look for a typing mistake; the API server would drop or refuse it",
	}}
}
