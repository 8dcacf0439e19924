// Package deploy tests the manifests for other hosts.
package deploy

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	wasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	extensionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/wasm/v3"
	"google.golang.org/protobuf/encoding/protojson"
	extensionsv1alpha1 "istio.io/api/extensions/v1alpha1"
	networkingv1alpha3 "istio.io/api/networking/v1alpha3"
	"sigs.k8s.io/yaml"

	"corsfilter/internal/lint"
	"corsfilter/internal/wasmtest"
)

// resource is a Kubernetes object whose spec is decoded by its own API's type.
type resource struct {
	APIVersion, Kind string
	Metadata         struct{ Name, Namespace string }
	Spec             json.RawMessage
}

func read(t *testing.T, file, apiVersion, kind string) resource {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r resource
	if err := yaml.UnmarshalStrict(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.APIVersion != apiVersion || r.Kind != kind || r.Metadata.Name == "" || r.Metadata.Namespace == "" {
		t.Fatalf("%s is %s %s %+v", file, r.APIVersion, r.Kind, r.Metadata)
	}
	return r
}

var checksum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// expectPlugin checks what all WasmPlugins have in common.
func expectPlugin(t *testing.T, spec *extensionsv1alpha1.WasmPlugin) {
	t.Helper()
	if !strings.HasPrefix(spec.GetUrl(), "oci://registry.example.com/") || !checksum.MatchString(spec.GetSha256()) {
		t.Errorf("%s with sha256 %q is no pinned placeholder", spec.GetUrl(), spec.GetSha256())
	}
	if spec.GetPhase() != extensionsv1alpha1.PluginPhase_AUTHN || spec.GetPriority() == nil {
		t.Errorf("phase %s, priority %v", spec.GetPhase(), spec.GetPriority())
	}
	if spec.GetFailStrategy() != extensionsv1alpha1.FailStrategy_FAIL_CLOSE {
		t.Errorf("fail strategy %s", spec.GetFailStrategy())
	}
	environment := map[string]string{}
	for _, variable := range spec.GetVmConfig().GetEnv() {
		environment[variable.GetName()] = variable.GetValue()
	}
	expectEnvironment(t, environment)
}

func expectEnvironment(t *testing.T, environment map[string]string) {
	t.Helper()
	if len(environment) != 2 || environment["GOGC"] != "off" || environment["GOMEMLIMIT"] != "64MiB" {
		t.Errorf("environment %v", environment)
	}
}

func TestIstio(t *testing.T) {
	for file, selects := range map[string]func(*extensionsv1alpha1.WasmPlugin) bool{
		"../istio.yaml": func(spec *extensionsv1alpha1.WasmPlugin) bool {
			return len(spec.GetSelector().GetMatchLabels()) > 0 && len(spec.GetTargetRefs()) == 0
		},
		"istio-sidecar.yaml": func(spec *extensionsv1alpha1.WasmPlugin) bool {
			return len(spec.GetSelector().GetMatchLabels()) > 0 && len(spec.GetTargetRefs()) == 0 && len(spec.GetMatch()) == 1
		},
		"istio-waypoint.yaml": func(spec *extensionsv1alpha1.WasmPlugin) bool {
			refs := spec.GetTargetRefs()
			return spec.GetSelector() == nil && len(refs) == 1 && refs[0].GetKind() == "Service" && refs[0].GetName() != ""
		},
	} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			spec := &extensionsv1alpha1.WasmPlugin{}
			if err := protojson.Unmarshal(read(t, file, "extensions.istio.io/v1alpha1", "WasmPlugin").Spec, spec); err != nil {
				t.Fatal(err)
			}
			expectPlugin(t, spec)
			if !selects(spec) {
				t.Errorf("selects %v, %v, %v", spec.GetSelector(), spec.GetTargetRefs(), spec.GetMatch())
			}
		})
	}
}

// Higress' types are in no Go module that can be had. Its WasmPlugin is Istio's
// with three more fields (api/extensions/v1alpha1/wasmplugin.proto of
// alibaba/higress): without those, it must be Istio's.
func TestHigress(t *testing.T) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(read(t, "higress.yaml", "extensions.higress.io/v1alpha1", "WasmPlugin").Spec, &members); err != nil {
		t.Fatal(err)
	}
	var configuration map[string]any
	if err := json.Unmarshal(members["defaultConfig"], &configuration); err != nil || configuration["allow_origins"] == nil {
		t.Errorf("defaultConfig %s: %v", members["defaultConfig"], err)
	}
	if string(members["defaultConfigDisable"]) != "false" || members["matchRules"] != nil {
		t.Errorf("defaultConfigDisable %s, matchRules %s", members["defaultConfigDisable"], members["matchRules"])
	}
	delete(members, "defaultConfig")
	delete(members, "defaultConfigDisable")
	rest, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	spec := &extensionsv1alpha1.WasmPlugin{}
	if err := protojson.Unmarshal(rest, spec); err != nil {
		t.Fatal(err)
	}
	expectPlugin(t, spec)
}

func TestEnvoyFilter(t *testing.T) {
	spec := &networkingv1alpha3.EnvoyFilter{}
	if err := protojson.Unmarshal(read(t, "envoyfilter.yaml", "networking.istio.io/v1alpha3", "EnvoyFilter").Spec, spec); err != nil {
		t.Fatal(err)
	}
	if len(spec.GetWorkloadSelector().GetLabels()) == 0 || len(spec.GetConfigPatches()) != 1 {
		t.Fatalf("selects %v, with %d patches", spec.GetWorkloadSelector(), len(spec.GetConfigPatches()))
	}
	patch := spec.GetConfigPatches()[0]
	if patch.GetApplyTo() != networkingv1alpha3.EnvoyFilter_HTTP_FILTER ||
		patch.GetPatch().GetOperation() != networkingv1alpha3.EnvoyFilter_Patch_INSERT_FIRST {
		t.Errorf("%s %s", patch.GetPatch().GetOperation(), patch.GetApplyTo())
	}
	value, err := protojson.Marshal(patch.GetPatch().GetValue())
	if err != nil {
		t.Fatal(err)
	}
	filter := &hcmv3.HttpFilter{}
	if err := protojson.Unmarshal(value, filter); err != nil {
		t.Fatal(err)
	}
	wasm := &wasmv3.Wasm{}
	if err := filter.GetTypedConfig().UnmarshalTo(wasm); err != nil {
		t.Fatal(err)
	}
	if err := filter.ValidateAll(); err != nil {
		t.Error(err)
	}
	if err := wasm.ValidateAll(); err != nil {
		t.Error(err)
	}
	config := wasm.GetConfig()
	if config.GetFailurePolicy() != extensionsv3.FailurePolicy_FAIL_RELOAD {
		t.Errorf("failure policy %s", config.GetFailurePolicy())
	}
	if remote := config.GetVmConfig().GetCode().GetRemote(); !checksum.MatchString(remote.GetSha256()) || remote.GetHttpUri().GetUri() == "" {
		t.Errorf("module %v", remote)
	}
	expectEnvironment(t, config.GetVmConfig().GetEnvironmentVariables().GetKeyValues())
}

// TestEnvoy looks at what Envoy itself has no opinion of: where the module is, and that
// both manifests of the root have the policy which the README and the demo speak of.
func TestEnvoy(t *testing.T) {
	text, err := os.ReadFile("../envoy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file any
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	filter := wasmtest.Within(
		t, file, "static_resources", "listeners", 0, "filter_chains", 0, "filters", 0, "typed_config", "http_filters", 0, "typed_config",
		"config",
	)
	if got := wasmtest.Within(t, filter, "vm_config", "code", "local")["filename"]; got != "dist/cors.wasm" {
		t.Errorf("the module is %v", got)
	}
	environment := map[string]string{}
	for name, value := range wasmtest.Within(t, filter, "vm_config", "environment_variables", "key_values") {
		environment[name], _ = value.(string)
	}
	expectEnvironment(t, environment)
	var spec, policy map[string]any
	configuration, _ := wasmtest.Within(t, filter, "configuration")["value"].(string)
	if err := errors.Join(
		json.Unmarshal(read(t, "../istio.yaml", "extensions.istio.io/v1alpha1", "WasmPlugin").Spec, &spec),
		json.Unmarshal([]byte(configuration), &policy),
	); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"allow_origins": []any{"http://localhost:8000"}, "allow_methods": []any{"PUT"}, "allow_headers": []any{"x-demo"},
		"expose_headers": []any{"x-demo-upstream"}, "allow_credentials": true, "max_age": 600.0,
	}
	if !reflect.DeepEqual(policy, want) || !reflect.DeepEqual(spec["pluginConfig"], want) {
		t.Errorf("envoy.yaml %v\nistio.yaml %v\nwant %v", policy, spec["pluginConfig"], want)
	}
}

// Who looks for a way to install the filter reads one page.
func TestThePageNamesEveryFile(t *testing.T) {
	page, err := os.ReadFile("../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if !strings.Contains(string(page), "(../deploy/"+file+")") {
			t.Errorf("docs/install.md does not lead to deploy/%s", file)
		}
	}
}

// The module must accept manifests that are applied unchanged.
func TestCorsctlChecksThemAll(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range append(files, "../envoy.yaml", "../istio.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range lint.Check(file, text, true) {
			t.Errorf("%s:%d: %s %s %s", finding.File, finding.Line, finding.Path, finding.Reason, finding.Remedy)
		}
	}
}
