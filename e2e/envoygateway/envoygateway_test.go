// Package envoygateway holds deploy/envoy-gateway.yaml to Envoy Gateway's own
// types.
package envoygateway

import (
	"bytes"
	"os"
	"testing"

	"github.com/envoyproxy/gateway/api/v1alpha1"
	"sigs.k8s.io/yaml"
)

func TestManifest(t *testing.T) {
	text, err := os.ReadFile("../../deploy/envoy-gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := bytes.Split(text, []byte("\n---\n"))
	if len(documents) != 2 {
		t.Fatalf("%d documents, not 2", len(documents))
	}
	var policy v1alpha1.EnvoyExtensionPolicy
	if err := yaml.UnmarshalStrict(documents[0], &policy); err != nil {
		t.Fatal(err)
	}
	var proxy v1alpha1.EnvoyProxy
	if err := yaml.UnmarshalStrict(documents[1], &proxy); err != nil {
		t.Fatal(err)
	}
	if policy.Kind != "EnvoyExtensionPolicy" || policy.APIVersion != v1alpha1.GroupVersion.String() || len(policy.Spec.TargetRefs) != 1 || len(policy.Spec.Wasm) != 1 {
		t.Fatalf("%s %s with %d targets and %d modules", policy.APIVersion, policy.Kind, len(policy.Spec.TargetRefs), len(policy.Spec.Wasm))
	}
	wasm := policy.Spec.Wasm[0]
	if wasm.Code.Type != v1alpha1.ImageWasmCodeSourceType || wasm.Code.Image == nil || wasm.Code.Image.URL == "" || wasm.Code.Image.SHA256 == nil || len(*wasm.Code.Image.SHA256) != 64 {
		t.Errorf("code %+v is no pinned image", wasm.Code)
	}
	if wasm.FailOpen == nil || *wasm.FailOpen {
		t.Error("it does not say that it fails closed")
	}
	if proxy.Kind != "EnvoyProxy" || proxy.APIVersion != policy.APIVersion || proxy.Namespace != policy.Namespace {
		t.Errorf("%s %s in %s", proxy.APIVersion, proxy.Kind, proxy.Namespace)
	}
	// The fault filter is the first behind custom responses and health checks,
	// and everything that authenticates comes after it.
	if order := proxy.Spec.FilterOrder; len(order) != 1 || order[0].Name != v1alpha1.EnvoyFilterWasm || order[0].Before == nil || *order[0].Before != v1alpha1.EnvoyFilterFault {
		t.Errorf("filter order %+v", order)
	}
	environment := map[string]string{}
	for _, variable := range proxy.Spec.Provider.Kubernetes.EnvoyDeployment.Container.Env {
		environment[variable.Name] = variable.Value
	}
	if wasm.Env == nil || len(wasm.Env.HostKeys) != len(environment) {
		t.Fatalf("the module is handed %+v of %v", wasm.Env, environment)
	}
	for _, key := range wasm.Env.HostKeys {
		if environment[key] == "" {
			t.Errorf("the module asks for %s, which the proxy has not", key)
		}
	}
}
