package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"corsfilter/internal/demo"
)

type object = map[string]any

// What is looked for in an envoy.yaml.
const (
	typeURL     = "type.googleapis.com/envoy."
	managerType = typeURL + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
	wasmType    = typeURL + "extensions.filters.http.wasm.v3.Wasm"
)

// bootstrap is an envoy.yaml as Envoy gets it. Nothing is checked: that is Envoy's
// part, whose messages are better than any that could be made here.
type bootstrap struct {
	whole          object
	listeners      []string // their names
	clusters       []any
	configurations [][]byte // of the wasm filters
	files          []file   // that it names
}

// IsBootstrap reports whether a file is an Envoy bootstrap, as far as it can be read.
func IsBootstrap(text []byte) bool {
	var b object
	if err := yaml.Unmarshal(text, &b); err != nil {
		return bytes.Contains(text, []byte("static_resources"))
	}
	return b["static_resources"] != nil || b["dynamic_resources"] != nil
}

// file is one that Envoy reads.
type file struct {
	path    string
	stats   string // what Envoy's counters of it begin with; "": it has none
	content []byte
}

// read makes a bootstrap of an envoy.yaml.
func (o *EnvoyOptions) read(text []byte, folder string) (*bootstrap, error) {
	document, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, err
	}
	b := &bootstrap{}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	if err := decoder.Decode(&b.whole); err != nil || b.whole == nil {
		return nil, errors.New("not an Envoy bootstrap: write one YAML mapping with static_resources")
	}
	if within(b.whole, "admin", "address") == nil {
		b.whole["admin"] = object{"address": object{"socket_address": object{"address": "127.0.0.1", "port_value": 0}}}
	}
	if o.DemoUpstream != "" {
		each(b.resources("clusters"), o.toDemo)
	}
	for _, listener := range b.resources("listeners") {
		b.nameListener(listener)
	}
	if len(b.listeners) == 0 {
		return nil, errors.New("static_resources.listeners: no listener: there is nothing to serve")
	}
	var failures []error
	each(b.resources("listeners"), func(at object) {
		switch at["@type"] {
		case managerType:
			if o.OnEvent != nil {
				logs, _ := at["access_log"].([]any)
				at["access_log"] = append(logs, eventLog)
			}
		case wasmType:
			failures = append(failures, o.takeModule(b, at, folder))
			if text, ok := within(at, "config", "configuration")["value"].(string); ok {
				b.configurations = append(b.configurations, []byte(text))
			}
		}
	})
	return b, errors.Join(failures...)
}

// resources is a list of static_resources.
func (b *bootstrap) resources(kind string) []any {
	all, _ := within(b.whole, "static_resources")[kind].([]any)
	return all
}

// nameListener gives a listener without a name that of its address: Envoy's own names
// are random.
func (b *bootstrap) nameListener(listener any) {
	l, _ := listener.(object)
	if name, _ := l["name"].(string); name == "" && l != nil {
		at := within(l, "address", "socket_address")
		l["name"] = fmt.Sprintf("%v:%v", at["address"], at["port_value"])
	}
	b.listeners = append(b.listeners, fmt.Sprint(l["name"]))
}

// toDemo turns an endpoint at the demo upstream's usual address to where it is.
func (o *EnvoyOptions) toDemo(at object) {
	s := within(at, "socket_address")
	if fmt.Sprintf("%v:%v", s["address"], s["port_value"]) == fmt.Sprintf("127.0.0.1:%d", demo.DefaultPorts.Upstream) {
		_, port, _ := strings.Cut(o.DemoUpstream, ":")
		s["port_value"] = json.Number(port)
	}
}

// takeModule puts a filter's module into a file whose name says what is in it, so
// that another module is another configuration for Envoy.
func (o *EnvoyOptions) takeModule(b *bootstrap, filter object, folder string) error {
	vm := within(filter, "config", "vm_config")
	name, named := within(vm, "code", "local")["filename"].(string)
	if o.Module != "" {
		name, named = o.Module, true
	}
	if !named || vm == nil {
		return nil
	}
	module, err := o.ReadFile(name)
	if err != nil {
		return fmt.Errorf("the module: %w; make build makes it, and envoy.yaml finds it from the repository's root", err)
	}
	path := filepath.Join(folder, fmt.Sprintf("%x.wasm", sha256.Sum256(module)))
	vm["code"] = object{"local": object{"filename": path}}
	b.files = append(b.files, file{path: path, content: module})
	return nil
}

// keep adds clusters that were served before and are not there any more: what has
// begun by a listener of then still goes to them.
func (b *bootstrap) keep(before []any) {
	there := map[string]bool{}
	b.clusters = b.resources("clusters")
	for _, cluster := range b.clusters {
		c, _ := cluster.(object)
		there[fmt.Sprint(c["name"])] = true
	}
	for _, cluster := range before {
		if c, _ := cluster.(object); !there[fmt.Sprint(c["name"])] {
			b.clusters = append(b.clusters, cluster)
		}
	}
}

// split takes out of the bootstrap what may change: the wasm filters, the clusters
// and the listeners become files of their own, which Envoy watches. Another policy is
// then taken by the next request on every connection; by a listener that changes, a
// connection that stands gets one more answer, and is closed.
func (b *bootstrap) split(folder string, clusters []any) error {
	if b.whole["dynamic_resources"] != nil {
		return errors.New("dynamic_resources: listeners and clusters come from elsewhere, and are not watched here; leave -watch out")
	}
	// discovered makes a file of resources, and what a configuration names it by.
	discovered := func(name, stats, kind string, resources ...any) (file, object) {
		for _, resource := range resources {
			if r, ok := resource.(object); ok {
				r["@type"] = typeURL + "config." + kind
			}
		}
		path := filepath.Join(folder, name+".json")
		content, _ := json.Marshal(object{"resources": resources}) // it was JSON before
		return file{path, stats, content}, object{"path_config_source": object{"path": path}, "resource_api_version": "V3"}
	}
	b.keep(clusters)
	static := within(b.whole, "static_resources")
	served, cds := discovered("clusters", "cluster_manager.cds", "cluster.v3.Cluster", b.clusters...)
	b.files = append(b.files, served)
	for i, listener := range b.resources("listeners") {
		n := 0
		each(listener, func(at object) {
			chain, _ := at["http_filters"].([]any)
			for j := range chain {
				filter, _ := chain[j].(object)
				if within(filter, "typed_config")["@type"] != wasmType {
					continue
				}
				n++
				place := sha256.Sum256(fmt.Appendf(nil, "%q %q %d", b.listeners[i], filter["name"], n))
				f, source := discovered(fmt.Sprintf("filter-%x", place[:8]), fmt.Sprintf("extension_config_discovery.http_filter.%v", filter["name"]),
					"core.v3.TypedExtensionConfig", object{"name": filter["name"], "typed_config": filter["typed_config"]})
				b.files = append(b.files, f)
				delete(filter, "typed_config")
				filter["config_discovery"] = object{"config_source": source, "type_urls": []any{wasmType}}
			}
		})
	}
	// Last, since they name what is in the others.
	listeners, lds := discovered("listeners", "listener_manager.lds", "listener.v3.Listener", b.resources("listeners")...)
	b.files = append(b.files, listeners)
	delete(static, "listeners")
	delete(static, "clusters")
	b.whole["dynamic_resources"] = object{"cds_config": cds, "lds_config": lds}
	if b.whole["node"] == nil {
		b.whole["node"] = object{"id": "corsctl", "cluster": "corsctl"}
	}
	return nil
}

// eventKey marks the lines of the access log that are for the demo.
const eventKey = "corsctl_demo"

// eventLog is the access log that the demo is told of exchanges by.
var eventLog = func() object {
	fields := func(operator string, names []string) object {
		all := object{}
		for _, name := range names {
			all[name] = fmt.Sprintf("%%%s(%s)%%", operator, name)
		}
		return all
	}
	return object{"name": "corsctl", "typed_config": object{
		"@type": typeURL + "extensions.access_loggers.stream.v3.StdoutAccessLog",
		"log_format": object{"json_format": object{eventKey: object{
			"time": "%START_TIME%", "method": "%REQ(:METHOD)%", "authority": "%REQ(:AUTHORITY)%", "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
			"status": "%RESPONSE_CODE%", "details": "%RESPONSE_CODE_DETAILS%",
			"request": fields("REQ", demo.RequestHeaders), "response": fields("RESP", demo.ResponseHeaders),
		}}},
	}}
}()

// event reads a line of that access log.
func event(line string) (e demo.Event, ok bool) {
	if !strings.HasPrefix(line, `{"`+eventKey+`":`) {
		return demo.Event{}, false
	}
	var entry map[string]struct {
		demo.Event
		Request  map[string]*string `json:"request"` // nil: not sent
		Response map[string]*string `json:"response"`
	}
	if json.Unmarshal([]byte(line), &entry) != nil {
		return demo.Event{}, false
	}
	read := entry[eventKey]
	get := func(headers map[string]*string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			if value := headers[name]; value != nil {
				return *value, true
			}
			return "", false
		}
	}
	e = read.Event
	e.Request, e.Response = demo.Pick(demo.RequestHeaders, get(read.Request)), demo.Pick(demo.ResponseHeaders, get(read.Response))
	return e, true
}

// within walks down keys, and returns nil where there is nothing.
func within(o object, keys ...string) object {
	for _, key := range keys {
		o, _ = o[key].(object)
	}
	return o
}

// each visits every object of a document, from the outside in.
func each(document any, visit func(object)) {
	switch document := document.(type) {
	case object:
		visit(document)
		for _, key := range slices.Sorted(maps.Keys(document)) {
			each(document[key], visit)
		}
	case []any:
		for _, element := range document {
			each(element, visit)
		}
	}
}

// write puts a file in its place in one step, which is what Envoy watches for.
func (f file) write() error {
	return errors.Join(os.WriteFile(f.path+".new", f.content, 0o600), os.Rename(f.path+".new", f.path))
}
