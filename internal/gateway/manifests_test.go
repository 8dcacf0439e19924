package gateway

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"
	extensionsv1alpha1 "istio.io/api/extensions/v1alpha1"
	clientv1alpha1 "istio.io/client-go/pkg/apis/extensions/v1alpha1"
	"sigs.k8s.io/yaml"
)

const root = "../../"

// examplePolicy is what both manifests configure: what README and demo speak of.
var examplePolicy = map[string]any{
	"allow_origins":     []any{"http://localhost:8000"},
	"allow_methods":     []any{"PUT"},
	"allow_headers":     []any{"x-demo"},
	"expose_headers":    []any{"x-demo-upstream"},
	"allow_credentials": true,
	"max_age":           float64(600),
}

var exampleEnvironment = map[string]string{"GOGC": "off", "GOMEMLIMIT": "64MiB"}

func TestEnvoyManifest(t *testing.T) {
	text, err := os.ReadFile(root + "envoy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	read := ""
	config, err := Load(text, LoadOptions{ReadFile: func(name string) ([]byte, error) {
		read = name
		return []byte("module"), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	bootstrap, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := bootstrap.ValidateAll(); err != nil {
		t.Error(err)
	}
	if read != "dist/cors.wasm" {
		t.Errorf("the module comes from %q", read)
	}
	l := config.listeners[0]
	if len(config.listeners) != 1 || l.address != "0.0.0.0:10000" || config.admin != "127.0.0.1:9901" {
		t.Errorf("%d listeners, the first on %s, admin on %s", len(config.listeners), l.address, config.admin)
	}
	filters := httpFilterNames(t, bootstrap)
	if want := []string{"cors", "envoy.filters.http.router"}; !reflect.DeepEqual(filters, want) {
		t.Errorf("filters %q, want %q", filters, want)
	}
	plugin := l.manager.plugins[0]
	if plugin.config.FailOpen {
		t.Error("the filter fails open")
	}
	if !reflect.DeepEqual(plugin.vm.env, exampleEnvironment) {
		t.Errorf("environment %v", plugin.vm.env)
	}
	expectPolicy(t, plugin.config.Configuration)

	if r := l.manager.route("/"); r == nil || r.direct == nil || r.direct.status != 200 {
		t.Errorf("/ is no direct response: %+v", r)
	}
	if r := l.manager.route("/api/x"); r == nil || r.cluster == nil || r.cluster.address != "127.0.0.1:9000" {
		t.Errorf("/api/ does not go to 127.0.0.1:9000: %+v", r)
	}
	if !l.manager.websocket {
		t.Error("no WebSocket upgrades")
	}
}

func httpFilterNames(t *testing.T, bootstrap *bootstrapv3.Bootstrap) []string {
	t.Helper()
	var listener struct {
		FilterChains []struct {
			Filters []struct {
				TypedConfig struct {
					HTTPFilters []struct{ Name string } `json:"http_filters"`
				} `json:"typed_config"`
			}
		} `json:"filter_chains"`
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(bootstrap.GetStaticResources().GetListeners()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &listener); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range listener.FilterChains[0].Filters[0].TypedConfig.HTTPFilters {
		names = append(names, f.Name)
	}
	return names
}

func TestIstioManifest(t *testing.T) {
	text, err := os.ReadFile(root + "istio.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// client-go is strict about everything but the spec, which its types decode
	// leniently; the spec is decoded once more.
	var manifest clientv1alpha1.WasmPlugin
	if err := yaml.UnmarshalStrict(text, &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.APIVersion != "extensions.istio.io/v1alpha1" || manifest.Kind != "WasmPlugin" || manifest.Name == "" || manifest.Namespace == "" {
		t.Errorf("%s %s %s/%s", manifest.APIVersion, manifest.Kind, manifest.Namespace, manifest.Name)
	}
	document, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatal(err)
	}
	var parts struct{ Spec json.RawMessage }
	if err := json.Unmarshal(document, &parts); err != nil {
		t.Fatal(err)
	}
	spec := &extensionsv1alpha1.WasmPlugin{}
	if err := protojson.Unmarshal(parts.Spec, spec); err != nil {
		t.Fatal(err)
	}
	if spec.GetPhase() != extensionsv1alpha1.PluginPhase_AUTHN {
		t.Errorf("phase %s", spec.GetPhase())
	}
	if len(spec.GetSelector().GetMatchLabels()) == 0 {
		t.Error("no selector")
	}
	if !strings.HasPrefix(spec.GetUrl(), "oci://registry.example.com/") {
		t.Errorf("url %q is no placeholder", spec.GetUrl())
	}
	if spec.GetFailStrategy() != extensionsv1alpha1.FailStrategy_FAIL_CLOSE {
		t.Errorf("fail strategy %s", spec.GetFailStrategy())
	}
	environment := map[string]string{}
	for _, variable := range spec.GetVmConfig().GetEnv() {
		environment[variable.GetName()] = variable.GetValue()
	}
	if !reflect.DeepEqual(environment, exampleEnvironment) {
		t.Errorf("environment %v", environment)
	}
	policy, err := protojson.Marshal(spec.GetPluginConfig())
	if err != nil {
		t.Fatal(err)
	}
	expectPolicy(t, policy)
}

func expectPolicy(t *testing.T, text []byte) {
	t.Helper()
	var policy map[string]any
	if err := json.Unmarshal(text, &policy); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(policy, examplePolicy) {
		t.Errorf("policy %v\nwant %v", policy, examplePolicy)
	}
}
