package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// policyCluster is the cluster in the bootstrap made around a policy.
const policyCluster = "upstream"

// policyTimeout bounds a response of the developer's own server. Envoy's fifteen
// seconds would cut the event streams by which such servers reload their pages.
const policyTimeout = 24 * time.Hour

// policyBootstrap returns the bootstrap that puts a policy in front of a server:
// one listener, the filter first, everything to one cluster. It goes through the
// same checks as one that people write.
func policyBootstrap(configuration []byte, listen string) ([]byte, error) {
	type object = map[string]any
	typed := func(name string, fields object) object {
		fields["@type"] = "type.googleapis.com/envoy." + name
		return fields
	}
	socket := func(host string, port int) object {
		return object{"socket_address": object{"address": host, "port_value": port}}
	}
	host, port, err := listenAddress(listen)
	if err != nil {
		return nil, err
	}
	manager := typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", object{
		"stat_prefix":                      "ingress",
		"normalize_path":                   true,
		"merge_slashes":                    true,
		"path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT",
		"upgrade_configs":                  []any{object{"upgrade_type": "websocket"}},
		"access_log": []any{object{"name": "stdout", "typed_config": typed("extensions.access_loggers.stream.v3.StdoutAccessLog", object{
			"log_format": object{"text_format_source": object{"inline_string": "\"%REQ(:METHOD)% %REQ(:PATH)%\" %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% origin=\"%REQ(ORIGIN)%\" %DURATION%ms\n"}},
		})}},
		"http_filters": []any{
			object{"name": "cors", "typed_config": typed("extensions.filters.http.wasm.v3.Wasm", object{"config": object{
				"name": "cors",
				"vm_config": object{
					"runtime": "envoy.wasm.runtime.v8",
					"code":    object{"local": object{"inline_string": "the module is given beside this"}},
				},
				"configuration": object{"@type": "type.googleapis.com/google.protobuf.StringValue", "value": string(configuration)},
			}})},
			object{"name": "router", "typed_config": typed("extensions.filters.http.router.v3.Router", object{})},
		},
		"route_config": object{"name": "all", "virtual_hosts": []any{object{"name": "all", "domains": []any{"*"}, "routes": []any{
			object{"match": object{"prefix": "/"}, "route": object{"cluster": policyCluster}},
		}}}},
	})
	// The endpoint is the demo's; another upstream replaces it, and may be a name.
	upstream, upstreamPort, err := listenAddress(demoUpstream)
	if err != nil {
		return nil, err
	}
	return json.Marshal(object{"static_resources": object{
		"listeners": []any{object{"name": "main", "address": socket(host, port), "filter_chains": []any{object{"filters": []any{
			object{"name": "manager", "typed_config": manager},
		}}}}},
		"clusters": []any{object{"name": policyCluster, "type": "STATIC", "load_assignment": object{"cluster_name": policyCluster, "endpoints": []any{
			object{"lb_endpoints": []any{object{"endpoint": object{"address": socket(upstream, upstreamPort)}}}},
		}}}},
	}})
}

// listenAddress splits an address to listen on.
func listenAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q is no address to listen on; write 127.0.0.1:10000", address)
	}
	switch host {
	case "":
		host = "0.0.0.0"
	case "localhost":
		host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return "", 0, fmt.Errorf("%q names a host; write the address of this machine, such as 127.0.0.1:%d", address, port)
	}
	return host, port, nil
}

// upstreamAddress returns the host:port of a server's URL.
func upstreamAddress(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "", fmt.Errorf("%q is no URL of a server; write http://127.0.0.1:3000", text)
	case u.Scheme != "http":
		return "", fmt.Errorf("%q: only http is spoken to upstream; write http://%s", text, u.Host)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "":
		return "", fmt.Errorf("%q: the server alone is named, requests keep their paths; write http://%s", text, u.Host)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("%q: a port is a number from 1 to 65535", text)
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// usualModule finds the module where -module names none: where make build puts it,
// in this folder, or beside corsctl, as a release has it.
func usualModule() (string, error) {
	places := []string{filepath.Join("dist", "cors.wasm"), "cors.wasm"}
	if program, err := os.Executable(); err == nil {
		places = append(places, filepath.Join(filepath.Dir(program), "cors.wasm"))
	}
	for _, place := range places {
		if _, err := os.Stat(place); err == nil {
			return place, nil
		}
	}
	return "", errors.New("there is no module: cors.wasm is neither in this folder, nor in dist, nor beside corsctl; name it with -module")
}
