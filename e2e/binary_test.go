package e2e

import (
	"strings"
	"testing"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

// TestBinaryConfigurationsAreRefusedInEnvoy has Envoy hand over messages other than
// StringValue and BytesValue, which it serializes.
func TestBinaryConfigurationsAreRefusedInEnvoy(t *testing.T) {
	for name, configuration := range map[string]string{
		"Struct":    `{"@type": type.googleapis.com/google.protobuf.Struct, value: {allow_origins: ["https://shop.example.com"], max_age: 600}}`,
		"ListValue": `{"@type": type.googleapis.com/google.protobuf.ListValue, value: ["https://shop.example.com"]}`,
	} {
		file := envoytest.Bootstrap{Listeners: []envoytest.Listener{{
			Policy: "{}", Plugin: "configuration: " + configuration, Routes: `[{match: {prefix: /}, direct_response: {status: 200}}]`,
		}}}.JSON(t)
		server, err := envoytest.TryFile(t, file, envoy.Options{})
		if err == nil {
			t.Errorf("a %s is accepted", name)
			server.Stop()
		} else if !strings.Contains(err.Error(), "configuration: the plugin configuration is binary; use google.protobuf.StringValue") {
			t.Errorf("a %s: %v", name, err)
		}
	}
}
