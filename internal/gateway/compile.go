package gateway

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"corsfilter/internal/fieldpath"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	streamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	httpwasmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// listener is a compiled listener with its one HTTP connection manager.
type listener struct {
	name    string
	address string
	manager *manager
}

// manager is a compiled HTTP connection manager.
type manager struct {
	routes     []*route
	plugins    []*pluginSpec // in request order; the router stands behind them
	websocket  bool
	path       pathOptions
	accessLogs []logFormat
}

// compiler turns checked messages into the gateway's own form. Like the checks
// before it, it goes on after a problem, so that all are reported at once; what
// it returns then is never used.
type compiler struct {
	problems *Problems
	options  LoadOptions
	config   *Config
}

func (c *compiler) bootstrap(b *bootstrapv3.Bootstrap) *Config {
	c.config = &Config{clusters: map[string]*cluster{}}
	if b.GetAdmin() != nil {
		c.config.admin = c.address("admin.address", b.GetAdmin().GetAddress())
	}
	const resources = "static_resources"
	for i, message := range b.GetStaticResources().GetClusters() {
		path := fieldpath.Index(fieldpath.Key(resources, "clusters"), i)
		compiled := c.cluster(path, message)
		if c.config.clusters[compiled.name] != nil {
			c.problems.add(fieldpath.Key(path, "name"), fmt.Sprintf("%q is taken by another cluster", compiled.name))
		}
		c.config.clusters[compiled.name] = compiled
	}
	listeners := b.GetStaticResources().GetListeners()
	if len(listeners) == 0 {
		c.problems.add(fieldpath.Key(resources, "listeners"), "no listener: there is nothing to serve")
	}
	names := map[string]bool{AdminListener: true}
	for i, message := range listeners {
		path := fieldpath.Index(fieldpath.Key(resources, "listeners"), i)
		compiled := c.listener(path, message)
		if names[compiled.name] {
			c.problems.add(fieldpath.Key(path, "name"), fmt.Sprintf("%q is taken by another listener", compiled.name))
		}
		names[compiled.name] = true
		c.config.listeners = append(c.config.listeners, compiled)
	}
	return c.config
}

// address renders a socket address; Envoy takes IP addresses only, names are
// for the endpoints of DNS clusters.
func (c *compiler) address(path string, message *corev3.Address) string {
	socket := message.GetSocketAddress()
	at := fieldpath.Key(path, "socket_address")
	if socket.GetProtocol() != corev3.SocketAddress_TCP {
		c.problems.add(fieldpath.Key(at, "protocol"), "only TCP is "+refusal)
	}
	if _, err := netip.ParseAddr(socket.GetAddress()); err != nil && socket != nil {
		c.problems.add(fieldpath.Key(at, "address"), fmt.Sprintf("%q is not an IP address", socket.GetAddress()))
	}
	return net.JoinHostPort(socket.GetAddress(), strconv.Itoa(int(socket.GetPortValue())))
}

func (c *compiler) listener(path string, message *listenerv3.Listener) *listener {
	l := &listener{name: message.GetName(), address: c.address(fieldpath.Key(path, "address"), message.GetAddress())}
	if l.name == "" {
		l.name = l.address
	}
	chains := message.GetFilterChains()
	if len(chains) != 1 {
		c.problems.add(fieldpath.Key(path, "filter_chains"), fmt.Sprintf("%d filter chains: without filter_chain_match there must be exactly one", len(chains)))
		return l
	}
	path = fieldpath.Index(fieldpath.Key(path, "filter_chains"), 0)
	filters := chains[0].GetFilters()
	if len(filters) != 1 {
		c.problems.add(fieldpath.Key(path, "filters"), fmt.Sprintf("%d network filters: there must be one, the HTTP connection manager", len(filters)))
		return l
	}
	path = fieldpath.Key(fieldpath.Index(fieldpath.Key(path, "filters"), 0), "typed_config")
	if message, ok := content[*hcmv3.HttpConnectionManager](c, path, filters[0].GetTypedConfig()); ok {
		l.manager = c.manager(path, message)
	}
	return l
}

func (c *compiler) manager(path string, message *hcmv3.HttpConnectionManager) *manager {
	m := &manager{path: pathOptions{
		escapedSlashes: message.GetPathWithEscapedSlashesAction(),
		normalize:      message.GetNormalizePath().GetValue(),
		mergeSlashes:   message.GetMergeSlashes(),
	}}
	for i, upgrade := range message.GetUpgradeConfigs() {
		if !strings.EqualFold(upgrade.GetUpgradeType(), "websocket") {
			c.problems.add(fieldpath.Key(fieldpath.Index(fieldpath.Key(path, "upgrade_configs"), i), "upgrade_type"), fmt.Sprintf("%q is %s", upgrade.GetUpgradeType(), refusal))
		}
		m.websocket = true
	}
	if message.GetRouteConfig() == nil {
		c.problems.add(fieldpath.Key(path, "route_config"), "missing: routes must be in the file")
	}
	m.routes = c.routes(fieldpath.Key(path, "route_config"), message.GetRouteConfig())
	for i, log := range message.GetAccessLog() {
		m.accessLogs = append(m.accessLogs, c.accessLog(fieldpath.Index(fieldpath.Key(path, "access_log"), i), log))
	}
	c.httpFilters(m, fieldpath.Key(path, "http_filters"), message.GetHttpFilters())
	return m
}

func (c *compiler) httpFilters(m *manager, path string, filters []*hcmv3.HttpFilter) {
	routed := false
	for i, filter := range filters {
		at := fieldpath.Key(fieldpath.Index(path, i), "typed_config")
		message, err := filter.GetTypedConfig().UnmarshalNew()
		if err != nil {
			c.problems.add(at, "missing or unreadable: "+err.Error())
			continue
		}
		if routed {
			c.problems.add(fieldpath.Index(path, i), "stands behind the router and is never reached; put it before")
		}
		switch message := message.(type) {
		case *routerv3.Router:
			routed = true
		case *httpwasmv3.Wasm:
			m.plugins = append(m.plugins, c.plugin(fieldpath.Key(at, "config"), message.GetConfig()))
		default:
			c.unexpected(at, message)
		}
	}
	if !routed {
		c.problems.add(path, "no router: envoy.filters.http.router must be the last of them")
	}
}

func (c *compiler) accessLog(path string, log *accesslogv3.AccessLog) logFormat {
	path = fieldpath.Key(path, "typed_config")
	message, ok := content[*streamv3.StdoutAccessLog](c, path, log.GetTypedConfig())
	if !ok {
		return nil
	}
	source := message.GetLogFormat().GetTextFormatSource()
	path = fieldpath.Key(path, "log_format.text_format_source")
	if source == nil {
		c.problems.add(path, "missing: Envoy's own format is "+refusal)
		return nil
	}
	return c.logFormat(path, string(c.dataSource(path, source)))
}

// dataSource reads bytes that stand in the file or in another one.
func (c *compiler) dataSource(path string, source *corev3.DataSource) []byte {
	switch from := source.GetSpecifier().(type) {
	case *corev3.DataSource_Filename:
		data, err := c.options.ReadFile(from.Filename)
		if err != nil {
			c.problems.add(fieldpath.Key(path, "filename"), err.Error()+"; relative names are resolved against the working directory, as in Envoy")
		}
		return data
	case *corev3.DataSource_InlineBytes:
		return from.InlineBytes
	case *corev3.DataSource_InlineString:
		return []byte(from.InlineString)
	}
	return nil
}

// content opens an Any that must hold an M.
func content[M proto.Message](c *compiler, path string, packed *anypb.Any) (M, bool) {
	var none M
	message, err := packed.UnmarshalNew()
	if err != nil {
		c.problems.add(path, "missing or unreadable: "+err.Error())
		return none, false
	}
	typed, ok := message.(M)
	if !ok {
		c.unexpected(path, message)
	}
	return typed, ok
}

func (c *compiler) unexpected(path string, message proto.Message) {
	c.problems.add(path, fmt.Sprintf("%s is %s", message.ProtoReflect().Descriptor().FullName(), refusal))
}
