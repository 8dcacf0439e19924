package gateway

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

const managerPath = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config"

// TestLoadRefuses asserts the exact paths that a faulty file is refused with;
// reason is a part of the first problem's text.
func TestLoadRefuses(t *testing.T) {
	tests := map[string]struct {
		file   file
		text   string // in place of file
		paths  []string
		reason string
	}{
		"an empty file": {
			text: "", paths: []string{""}, reason: "static_resources",
		},
		"a duplicate YAML key": {
			text: "admin: {}\nadmin: {}", paths: []string{""}, reason: "already set",
		},
		"no listener": {
			text: "static_resources: {}", paths: []string{"static_resources.listeners"}, reason: "nothing to serve",
		},
		"unknown fields, all at once, in both spellings": {
			file: file{manager: "codecType: AUTO\nhttpFilter: []\nnormalise_path: true", rest: "bogus: 1"},
			paths: []string{
				"bogus",
				managerPath + ".httpFilter",
				managerPath + ".normalise_path",
			},
			reason: "unknown field",
		},
		"a value of the wrong type": {
			file:   file{manager: "normalize_path: 7", routes: `{match: {prefix: /}, direct_response: {status: many}}`},
			paths:  []string{managerPath + ".route_config.virtual_hosts[0].routes[0].direct_response.status", managerPath + ".normalize_path"},
			reason: "invalid value for uint32",
		},
		"an extension that is not known": {
			file: file{filters: `{name: lua, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, inline_code: ""}},
 {name: cors, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}},`},
			paths:  []string{managerPath + ".http_filters[0].typed_config", managerPath + ".http_filters[1].typed_config"},
			reason: "envoy.extensions.filters.http.lua.v3.Lua is not supported",
		},
		"rules of the API, inside an Any as well": {
			file: file{
				routes:   `{match: {prefix: /}, direct_response: {status: 42}}, {match: {prefix: /}}`,
				clusters: `{name: "", connect_timeout: -1s}`,
			},
			paths: []string{
				"static_resources.clusters[0].name",
				"static_resources.clusters[0].connect_timeout",
				managerPath + ".route_config.virtual_hosts[0].routes[0].direct_response.status",
				managerPath + ".route_config.virtual_hosts[0].routes[1].action",
			},
			reason: "value length must be at least 1 runes",
		},
		"fields that only Envoy can honour": {
			file: file{
				manager:  "via: me\ncommon_http_protocol_options: {idle_timeout: 1s}",
				routes:   `{match: {prefix: /, headers: [{name: a, present_match: true}]}, direct_response: {status: 200}}, {match: {safe_regex: {regex: .*}}, route: {cluster: api, retry_policy: {}}}`,
				clusters: strings.Replace(api, "name: api,", "name: api, health_checks: [], outlier_detection: {},", 1),
				rest:     "layered_runtime: {layers: [{name: a, admin_layer: {}}]}",
			},
			paths: []string{
				"static_resources.clusters[0].outlier_detection",
				"layered_runtime",
				managerPath + ".route_config.virtual_hosts[0].routes[0].match.headers",
				managerPath + ".route_config.virtual_hosts[0].routes[1].match.safe_regex",
				managerPath + ".route_config.virtual_hosts[0].routes[1].route.retry_policy",
				managerPath + ".common_http_protocol_options",
				managerPath + ".via",
			},
			reason: "development tool",
		},
		"what was served once": {
			file: file{
				manager: "codec_type: HTTP1\nuse_remote_address: true\ngenerate_request_id: false\nserver_name: me\nserver_header_transformation: PASS_THROUGH\nmax_request_headers_kb: 96\nupgrade_configs: [{upgrade_type: websocket, enabled: true}]",
				vhosts: `[{name: all, domains: ["*"], response_headers_to_add: [{header: {key: a, value: b}}], routes: [
 {match: {path_separated_prefix: /a}, route: {cluster: api, timeout: 1s, prefix_rewrite: /b, host_rewrite_literal: c}},
 {match: {prefix: /, case_sensitive: false}, redirect: {host_redirect: b, strip_query: true}, response_headers_to_remove: [a]}]}]`,
				clusters: strings.Replace(api, "name: api,", "name: api, type: STRICT_DNS, dns_lookup_family: V4_ONLY, lb_policy: RANDOM,", 1),
				filters:  plugin("a", ", environment_variables: {host_env_keys: [A]}", ""),
			},
			paths: []string{
				managerPath + ".codec_type", managerPath + ".use_remote_address", managerPath + ".generate_request_id",
				managerPath + ".server_name", managerPath + ".server_header_transformation", managerPath + ".max_request_headers_kb",
				managerPath + ".upgrade_configs[0].enabled",
				managerPath + ".route_config.virtual_hosts[0].response_headers_to_add",
				managerPath + ".route_config.virtual_hosts[0].routes[0].match.path_separated_prefix",
				managerPath + ".route_config.virtual_hosts[0].routes[0].route.timeout",
				managerPath + ".route_config.virtual_hosts[0].routes[0].route.prefix_rewrite",
				managerPath + ".route_config.virtual_hosts[0].routes[0].route.host_rewrite_literal",
				managerPath + ".route_config.virtual_hosts[0].routes[1].match.case_sensitive",
				managerPath + ".route_config.virtual_hosts[0].routes[1].redirect.host_redirect",
				managerPath + ".route_config.virtual_hosts[0].routes[1].redirect.strip_query",
				managerPath + ".route_config.virtual_hosts[0].routes[1].redirect.path_redirect",
				managerPath + ".route_config.virtual_hosts[0].routes[1].response_headers_to_remove",
				"static_resources.clusters[0].type", "static_resources.clusters[0].dns_lookup_family", "static_resources.clusters[0].lb_policy",
				managerPath + ".http_filters[0].typed_config.config.vm_config.environment_variables.host_env_keys",
				managerPath + ".http_filters[0].typed_config.config.vm_config.code.local.filename",
			},
			reason: "not supported",
		},
		"one of several": {
			file: file{
				manager:  "upgrade_configs: [{upgrade_type: CONNECT}]\n" + `access_log: [{name: a, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}}]`,
				vhosts:   `[{name: a, domains: ["*"]}, {name: b, domains: [b.example]}]`,
				clusters: strings.Replace(api, "]}]}}", "]}, {lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 2}}}}, {}]}]}}", 1),
			},
			paths: []string{
				managerPath + ".upgrade_configs[0].upgrade_type",
				managerPath + ".access_log[0].typed_config.log_format.text_format_source",
				managerPath + ".route_config.virtual_hosts[1]",
				managerPath + ".route_config.virtual_hosts[1].domains",
				"static_resources.clusters[0].load_assignment.endpoints[1].lb_endpoints[0]",
				"static_resources.clusters[0].load_assignment.endpoints[1].lb_endpoints[1]",
			},
			reason: "a second endpoint",
		},
		"TLS": {
			text:   strings.Replace(string(file{}.yaml()), "- filters:", "- transport_socket: {name: tls}\n      filters:", 1),
			paths:  []string{"static_resources.listeners[0].filter_chains[0].transport_socket"},
			reason: "not supported",
		},
		"a reference that leads nowhere": {
			file:   file{routes: `{match: {prefix: /}, route: {cluster: missing}}`},
			paths:  []string{managerPath + ".route_config.virtual_hosts[0].routes[0].route.cluster"},
			reason: `"missing" is not among static_resources.clusters`,
		},
		"a wasm filter without code": {
			file:   file{filters: strings.Replace(plugin("a", "", ""), "code: {local: {filename: guest.wasm}}", "code: {local: {inline_string: ''}}", 1)},
			paths:  []string{managerPath + ".http_filters[0].typed_config.config.vm_config.code.local"},
			reason: "no code",
		},
		"a filter behind the router": {
			file:   file{filters: routerFilter + ","},
			paths:  []string{managerPath + ".http_filters[1]"},
			reason: "never reached",
		},
		"no router": {
			text:   strings.Replace(string(file{}.yaml()), routerFilter, "", 1),
			paths:  []string{managerPath + ".http_filters"},
			reason: "must be the last",
		},
		"a static cluster with a name for an endpoint": {
			file:   file{clusters: strings.Replace(api, "127.0.0.1", "upstream.example", 1)},
			paths:  []string{"static_resources.clusters[0].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address"},
			reason: "names are not supported",
		},
		"a log format with unknown operators": {
			file: file{manager: `access_log: [{name: a, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog, log_format: {text_format_source: {inline_string: "%HOSTNAME%"}}}}]`},
			paths: []string{
				managerPath + ".access_log[0].typed_config.log_format.text_format_source",
			},
			reason: "%HOSTNAME%",
		},
		"what a wasm filter can not be": {
			file: file{filters: strings.NewReplacer("envoy.wasm.runtime.v8", "envoy.wasm.runtime.null").Replace(
				plugin("a", `, allow_precompiled: true, environment_variables: {host_env_keys: [A]}`, `, fail_open: true, failure_policy: FAIL_CLOSED, reload_config: {}`)) +
				strings.Replace(plugin("b", "", ""), "StringValue, value: b", "Duration, value: 1s", 1)},
			paths: []string{
				managerPath + ".http_filters[0].typed_config.config.vm_config.allow_precompiled",
				managerPath + ".http_filters[0].typed_config.config.reload_config",
				managerPath + ".http_filters[0].typed_config.config.fail_open",
				managerPath + ".http_filters[0].typed_config.config.vm_config.environment_variables.host_env_keys",
				managerPath + ".http_filters[0].typed_config.config.vm_config.runtime",
				managerPath + ".http_filters[0].typed_config.config.vm_config.code.local.filename",
				managerPath + ".http_filters[1].typed_config.config.configuration",
				managerPath + ".http_filters[1].typed_config.config.vm_config.code.local.filename",
			},
			reason: "not supported",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := []byte(test.text)
			if test.text == "" && test.reason != "static_resources" {
				text = test.file.yaml()
			}
			config, err := Load(text, LoadOptions{
				ReadFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist },
			})
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("%v, %v, want problems", config, err)
			}
			var paths []string
			for _, p := range problems {
				paths = append(paths, p.Path)
			}
			want := slices.Clone(test.paths)
			slices.Sort(want)
			slices.Sort(paths)
			if !slices.Equal(paths, want) {
				t.Errorf("refused:\n%v\nwant the paths:\n%s", err, strings.Join(want, "\n"))
			}
			if !slices.ContainsFunc(problems, func(p Problem) bool { return strings.Contains(p.Reason, test.reason) }) {
				t.Errorf("no reason contains %q:\n%v", test.reason, err)
			}
		})
	}
}

func TestProblemText(t *testing.T) {
	_, err := Load(file{manager: "via: me"}.yaml(), LoadOptions{})
	want := managerPath + ".via: not supported by this gateway, which is a development tool; remove it, or run the file in Envoy"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestPluginConfiguration(t *testing.T) {
	tests := map[string]struct{ configuration, want string }{
		"a string": {`{"@type": type.googleapis.com/google.protobuf.StringValue, value: "as it is"}`, "as it is"},
		"bytes":    {`{"@type": type.googleapis.com/google.protobuf.BytesValue, value: AAE=}`, "\x00\x01"},
		"a struct": {`{"@type": type.googleapis.com/google.protobuf.Struct, value: {a: 600}}`, `{"a":600}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := strings.Replace(plugin("x", "", ""), `{"@type": type.googleapis.com/google.protobuf.StringValue, value: x}`, test.configuration, 1)
			config, err := Load(file{filters: f}.yaml(), LoadOptions{Module: []byte("code")})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(config.listeners[0].manager.plugins[0].config.Configuration); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
