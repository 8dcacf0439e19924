package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"corsfilter/internal/fieldpath"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// supported lists, per message type, the fields that are honoured. Everything
// else that a file sets is refused: a field that is silently ignored would make
// the file behave differently here and in Envoy. Values of enums are checked
// where they are compiled.
var supported = map[protoreflect.FullName][]protoreflect.Name{
	"envoy.config.bootstrap.v3.Bootstrap":                 {"static_resources", "admin"},
	"envoy.config.bootstrap.v3.Bootstrap.StaticResources": {"listeners", "clusters"},
	"envoy.config.bootstrap.v3.Admin":                     {"address"},

	"envoy.config.core.v3.Address":         {"socket_address"},
	"envoy.config.core.v3.SocketAddress":   {"protocol", "address", "port_value"},
	"envoy.config.core.v3.DataSource":      {"filename", "inline_bytes", "inline_string"},
	"envoy.config.core.v3.AsyncDataSource": {"local"},

	"envoy.config.listener.v3.Listener":    {"name", "address", "filter_chains"},
	"envoy.config.listener.v3.FilterChain": {"name", "filters"},
	"envoy.config.listener.v3.Filter":      {"name", "typed_config"},

	"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": {
		"stat_prefix", "route_config", "http_filters", "access_log", "upgrade_configs", "normalize_path",
		"merge_slashes", "path_with_escaped_slashes_action",
	},
	"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig": {"upgrade_type"},
	"envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter":                          {"name", "typed_config"},

	"envoy.config.accesslog.v3.AccessLog":                       {"name", "typed_config"},
	"envoy.extensions.access_loggers.stream.v3.StdoutAccessLog": {"log_format"},
	"envoy.config.core.v3.SubstitutionFormatString":             {"text_format_source"},

	"envoy.config.route.v3.RouteConfiguration":   {"name", "virtual_hosts"},
	"envoy.config.route.v3.VirtualHost":          {"name", "domains", "routes"},
	"envoy.config.route.v3.Route":                {"name", "match", "route", "redirect", "direct_response"},
	"envoy.config.route.v3.RouteMatch":           {"prefix", "path"},
	"envoy.config.route.v3.RouteAction":          {"cluster"},
	"envoy.config.route.v3.DirectResponseAction": {"status", "body"},
	"envoy.config.route.v3.RedirectAction":       {"path_redirect"},

	"envoy.extensions.filters.http.router.v3.Router": {},
	"envoy.extensions.filters.http.wasm.v3.Wasm":     {"config"},
	"envoy.extensions.wasm.v3.PluginConfig":          {"name", "root_id", "vm_config", "configuration", "fail_open", "failure_policy"},
	"envoy.extensions.wasm.v3.VmConfig":              {"vm_id", "runtime", "code", "configuration", "environment_variables"},
	"envoy.extensions.wasm.v3.EnvironmentVariables":  {"key_values"},
	"envoy.config.cluster.v3.Cluster":                {"name", "type", "connect_timeout", "load_assignment"},
	"envoy.config.endpoint.v3.ClusterLoadAssignment": {"cluster_name", "endpoints"},
	"envoy.config.endpoint.v3.LocalityLbEndpoints":   {"lb_endpoints"},
	"envoy.config.endpoint.v3.LbEndpoint":            {"endpoint"},
	"envoy.config.endpoint.v3.Endpoint":              {"address"},
}

// leaves are well-known types that the compiling code reads whole.
var leaves = []protoreflect.FullName{
	"google.protobuf.BoolValue", "google.protobuf.UInt32Value", "google.protobuf.Duration",
	"google.protobuf.StringValue", "google.protobuf.BytesValue", "google.protobuf.Struct",
}

const refusal = "not supported by this gateway, which is a development tool; remove it, or run the file in Envoy"

// checkSupported walks over every populated field. A proto3 scalar that spells
// out its default is not populated, and asks for nothing.
func checkSupported(problems *Problems, path string, message protoreflect.Message) {
	name := message.Descriptor().FullName()
	if packed, ok := message.Interface().(*anypb.Any); ok {
		if inner, ok := unpack(problems, path, packed); ok {
			checkSupported(problems, path, inner.ProtoReflect())
		}
		return
	}
	if slices.Contains(leaves, name) {
		return
	}
	fields, known := supported[name]
	if !known {
		problems.add(path, fmt.Sprintf("%s is %s", name, refusal))
		return
	}
	for _, fd := range populated(message) {
		at := fieldpath.Key(path, string(fd.Name()))
		if !slices.Contains(fields, fd.Name()) {
			problems.add(at, refusal)
			continue
		}
		value := message.Get(fd)
		switch {
		case fd.Message() == nil || fd.IsMap(): // the maps of the supported messages hold strings
		case fd.IsList():
			for i := range value.List().Len() {
				checkSupported(problems, fieldpath.Index(at, i), value.List().Get(i).Message())
			}
		default:
			checkSupported(problems, at, value.Message())
		}
	}
}

// populated returns the set fields in the order of their numbers, so that the
// same file always gives the same list of problems.
func populated(message protoreflect.Message) []protoreflect.FieldDescriptor {
	var fields []protoreflect.FieldDescriptor
	message.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		fields = append(fields, fd)
		return true
	})
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int {
		return cmp.Compare(a.Number(), b.Number())
	})
	return fields
}

// unpack opens an Any and checks the content against its own rules, which the
// validation of the message around it leaves out.
func unpack(problems *Problems, path string, packed *anypb.Any) (proto.Message, bool) {
	if packed.GetTypeUrl() == "" {
		problems.add(path, `"@type" is missing`)
		return nil, false
	}
	message, err := packed.UnmarshalNew()
	if err != nil {
		problems.add(path, err.Error())
		return nil, false
	}
	checkRules(problems, path, message)
	return message, true
}

// checkRules applies the rules that the API publishes with its messages.
func checkRules(problems *Problems, path string, message proto.Message) {
	if checked, ok := message.(interface{ ValidateAll() error }); ok {
		flatten(problems, path, checked.ValidateAll())
	}
}

// flatten turns the nested errors of protoc-gen-validate into one problem per
// broken rule, with the path in the file.
func flatten(problems *Problems, path string, err error) {
	switch err := err.(type) {
	case nil:
	case interface{ AllErrors() []error }:
		for _, one := range err.AllErrors() {
			flatten(problems, path, one)
		}
	case interface {
		Field() string
		Reason() string
		Cause() error
	}:
		at := fieldpath.Key(path, snakeCase(err.Field()))
		if err.Cause() != nil {
			flatten(problems, at, err.Cause())
			return
		}
		problems.add(at, err.Reason())
	default:
		problems.add(path, err.Error())
	}
}

// snakeCase turns the Go name of a field into the one in the file; a map's key
// in brackets is kept.
func snakeCase(name string) string {
	name, key, bracketed := strings.Cut(name, "[")
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	if bracketed {
		b.WriteString("[" + key)
	}
	return b.String()
}
