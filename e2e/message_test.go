package e2e

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"testing"

	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
	"corsfilter/internal/lint"
)

// TestMessagesThatEnvoyHandsOver writes a configuration in each message that an
// envoy.yaml may hold it in: what corsctl check calls an error, Envoy refuses.
func TestMessagesThatEnvoyHandsOver(t *testing.T) {
	const policy = `{"allow_origins": ["https://shop.example.com"]}`
	const routes = `[{match: {prefix: /}, direct_response: {status: 200}}]`
	text, bytes := strconv.Quote(policy), base64.StdEncoding.EncodeToString([]byte(policy))
	object := policy // JSON is YAML
	message := func(name, value string) string {
		return fmt.Sprintf(`{"@type": "type.googleapis.com/%s", value: %s}`, name, value)
	}
	// Those that are accepted share a process: its start compiles the module.
	accepted := envoytest.Bootstrap{Listeners: []envoytest.Listener{
		{Name: "StringValue", Policy: "-", Plugin: "{configuration: " + message("google.protobuf.StringValue", text) + "}", Routes: routes},
		{Name: "BytesValue", Policy: "-", Plugin: "{configuration: " + message("google.protobuf.BytesValue", bytes) + "}", Routes: routes},
	}}
	file := accepted.JSON(t)
	if n := lint.Count(lint.Check("envoy.json", file, true), lint.Error); n != 0 {
		t.Errorf("check finds %d errors in what is accepted", n)
	}
	s := envoytest.StartFile(t, file, envoy.Options{})
	for _, l := range accepted.Listeners {
		if got := askRaw(t, s, l.Name, "GET", "/", "Origin: https://shop.example.com\r\n"); got.allowedOrigin != "https://shop.example.com" {
			t.Errorf("%s: %+v", l.Name, got)
		}
	}
	for _, refused := range []string{
		message("google.protobuf.Struct", object),
		message("google.protobuf.Value", object),
		message("xds.type.v3.TypedStruct", object),
		message("google.protobuf.StringValue", object),
	} {
		file := envoytest.Bootstrap{
			Listeners: []envoytest.Listener{{Policy: "-", Plugin: "{configuration: " + refused + "}", Routes: routes}},
		}.JSON(t)
		findings := lint.Check("envoy.json", file, true)
		if lint.Count(findings, lint.Error) != 1 || findings[0].Code != lint.NotText {
			t.Errorf("check says of %s: %+v", refused, findings)
		}
		if _, err := envoytest.TryFile(t, file, envoy.Options{}); err == nil {
			t.Errorf("Envoy takes %s", refused)
		}
	}
}
