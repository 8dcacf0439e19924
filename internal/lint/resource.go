package lint

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	extensionsv1alpha1 "istio.io/api/extensions/v1alpha1"

	"corsfilter/internal/document"
)

// ofHigress are the fields that Higress' WasmPlugin has beside Istio's.
var ofHigress = []string{"defaultConfig", "defaultConfigDisable", "matchRules"}

// protojson says the place first, and its words vary on purpose from build to
// build: two kinds of space.
var protojsonError = regexp.MustCompile(`^proto:[\s\x{a0}]+(?:syntax error )?\(line (\d+):(\d+)\):[\s\x{a0}]+(.*)$`)

// checkResource decodes the WasmPlugin or TrafficExtension around a configuration into its
// API's own type: the API server prunes what it does not know without a word, and a phase
// or a priority that is not there puts the filter behind authentication.
func (c Configuration) checkResource() (findings []Finding) {
	if c.resource == nil {
		return nil
	}
	kind, spec := document.Scalar(document.Child(c.resource, "kind")), document.Child(c.resource, "spec")
	decode := func(path string, node *yaml.Node, into proto.Message, leave ...string) {
		text, source := document.JSON(node, &document.Budget{}, leave...)
		err := protojson.Unmarshal(text, into)
		if err == nil {
			return
		}
		at, reason := document.At(node), err.Error()
		if m := protojsonError.FindStringSubmatch(reason); m != nil {
			column, _ := strconv.Atoi(m[2]) // the JSON is one line
			at, reason = source.Locate(column-1), m[3]
		}
		findings = append(findings, Finding{
			Line: at.Line, Column: at.Column, Document: c.Document, Path: path, Code: BadResource, Severity: Error,
			Reason: "the " + kind + " does not fit its API: " + reason, Remedy: "check the spelling; the API server would drop or refuse it",
		})
	}
	// The configuration itself is the module's parser's to judge.
	if kind == "TrafficExtension" {
		decode("spec", spec, &extensionsv1alpha1.TrafficExtension{}, "wasm")
		decode("spec.wasm", document.Child(spec, "wasm"), &extensionsv1alpha1.WasmConfig{}, "pluginConfig", "plugin_config")
		return findings
	}
	leave := []string{"pluginConfig"}
	if strings.HasPrefix(document.Scalar(document.Child(c.resource, "apiVersion")), "extensions.higress.io/") {
		leave = append(leave, ofHigress...)
	}
	decode("spec", spec, &extensionsv1alpha1.WasmPlugin{}, leave...)
	return findings
}
