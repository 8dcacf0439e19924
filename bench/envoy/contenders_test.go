//go:build linux

package envoy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"corsfilter/bench/workload"
	"corsfilter/internal/envoytest"
)

type object = map[string]any

// contender is one way to do it. What it does about CORS differs in detail; that it
// lets in and keeps out the same is asserted before anything is timed.
type contender struct {
	name string
	// listener adds the filter to a listener; nil: there is none.
	listener func(t testing.TB, l *envoytest.Listener, origins int)
	// decides says that its policy takes part.
	decides bool
	// starts says that it is there to be started alone.
	starts bool
}

// contenders are all of them, none first. What cannot be built here is left out.
func contenders(t testing.TB) []contender {
	all := []contender{
		{name: none},
		{name: "native", listener: native, decides: true},
		{name: "lua", listener: lua, decides: true},
	}
	if floor := floor(t); floor != "" {
		all = append(all, contender{name: "floor", listener: module(floor)})
	}
	for _, build := range otherBuilds() {
		other := module(build.path)
		all = append(all, contender{name: build.name, decides: true, listener: func(t testing.TB, l *envoytest.Listener, origins int) {
			other(t, l, origins)
			l.Policy = string(workload.WithOrigins(origins))
		}})
	}
	return append(all,
		contender{name: "emptygo", listener: module(emptyGo(t)), starts: true},
		contender{name: ours, decides: true, listener: func(t testing.TB, l *envoytest.Listener, origins int) {
			l.Policy = string(workload.WithOrigins(origins))
		}},
	)
}

type build struct{ name, path string }

// otherBuilds are those that -builds names.
func otherBuilds() (all []build) {
	for _, text := range strings.FieldsFunc(*builds, func(r rune) bool { return r == ',' }) {
		name, path, _ := strings.Cut(text, "=")
		all = append(all, build{name, path})
	}
	return all
}

func floor(t testing.TB) string {
	if path := os.Getenv("CORSFILTER_FLOOR"); path != "" {
		return path
	}
	if _, err := exec.LookPath("clang"); err != nil {
		t.Log("left out: the floor, since there is no clang; make setup installs it")
		return ""
	}
	path := filepath.Join(t.TempDir(), "floor.wasm")
	run(t, "make", "--no-print-directory", "FLOOR="+path, path)
	return path
}

func emptyGo(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "empty.wasm")
	run(
		t, "env", "GOOS=wasip1", "GOARCH=wasm", "go", "build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-w", "-o",
		path, "./bench/empty",
	)
	return path
}

func run(t testing.TB, name string, arguments ...string) {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Dir = "../.."
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command.Args, " "), err, said)
	}
}

func text(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// module is another module in the place of ours.
func module(path string) func(testing.TB, *envoytest.Listener, int) {
	return func(t testing.TB, l *envoytest.Listener, _ int) {
		l.Policy = "{}"
		l.Plugin = text(t, object{"vm_config": object{"vm_id": path, "code": object{"local": object{"filename": path}}}})
	}
}

// native is Envoy's own filter.
func native(t testing.TB, l *envoytest.Listener, origins int) {
	var matchers []any
	for _, o := range workload.Origins(origins) {
		if domain, pattern := strings.CutPrefix(o, "https://*."); pattern {
			matchers = append(matchers, object{"safe_regex": object{"regex": `https://([a-z0-9-]+\.)+` + strings.ReplaceAll(domain, ".", `\.`)}})
		} else {
			matchers = append(matchers, object{"exact": o})
		}
	}
	l.Front = text(
		t, []any{object{"name": "cors", "typed_config": object{"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"}}},
	)
	l.VirtualHost = text(t, object{"typed_per_filter_config": object{"cors": object{
		"@type":                     "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
		"allow_origin_string_match": matchers, "allow_methods": "PUT, DELETE", "allow_headers": "content-type, x-request-id",
		"expose_headers": "x-total-count", "max_age": "600", "allow_credentials": true,
	}}})
}

// lua is the same in Lua, as a user would write it: a table of origins, another one
// of the domains of patterns, and none of the checks of what is malformed.
func lua(t testing.TB, l *envoytest.Listener, origins int) {
	var b strings.Builder
	b.WriteString("local exact, domains = {}, {}\n")
	for _, o := range workload.Origins(origins) {
		if domain, pattern := strings.CutPrefix(o, "https://*."); pattern {
			fmt.Fprintf(&b, "domains[%q] = true\n", domain)
		} else {
			fmt.Fprintf(&b, "exact[%q] = true\n", o)
		}
	}
	b.WriteString(luaFilter)
	l.Front = text(t, []any{object{"name": "lua", "typed_config": object{
		"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", "default_source_code": object{"inline_string": b.String()},
	}}})
}

const luaFilter = `
local function allowed(origin)
  if exact[origin] then return true end
  local host = origin:match("^https://(.+)$")
  while host do
    host = host:match("^[%w-]+%.(.+)$")
    if host and domains[host] then return true end
  end
  return false
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local origin = headers:get("origin")
  if not origin then return end
  local ok = allowed(origin)
  if headers:get(":method") == "OPTIONS" and headers:get("access-control-request-method") then
    local reply = {[":status"] = "204", ["vary"] = "origin, access-control-request-method, access-control-request-headers"}
    if ok then
      reply["access-control-allow-origin"] = origin
      reply["access-control-allow-credentials"] = "true"
      reply["access-control-allow-methods"] = "PUT, DELETE"
      reply["access-control-allow-headers"] = "content-type, x-request-id"
      reply["access-control-expose-headers"] = "x-total-count"
      reply["access-control-max-age"] = "600"
    end
    handle:respond(reply, "")
  elseif ok then
    handle:streamInfo():dynamicMetadata():set("cors", "origin", origin)
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local cors = handle:streamInfo():dynamicMetadata():get("cors")
  if cors then
    headers:replace("access-control-allow-origin", cors["origin"])
    headers:replace("access-control-allow-credentials", "true")
    headers:replace("access-control-expose-headers", "x-total-count")
  end
  headers:add("vary", "origin")
end
`

// listen is a listener with a contender's filter, and nothing is logged. A filter
// behind answers everything: Envoy's own CORS filter does nothing where a route
// answers without an upstream, which would cost more than what is measured.
func (c contender) listen(t testing.TB, origins int) envoytest.Listener {
	l := envoytest.Listener{
		Name:   c.listenerName(origins),
		Routes: `[{match: {prefix: /}, route: {cluster: upstream}}]`,
		Behind: `[{name: fault, typed_config: {"@type": ` +
			`type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, abort: {http_status: 200, percentage: {numerator: 100}}}}]`,
		Manager: `{access_log: []}`,
	}
	if c.listener != nil {
		c.listener(t, &l, origins)
	}
	return l
}

func (c contender) listenerName(origins int) string { return fmt.Sprintf("%s-%d", c.name, origins) }
