package gateway

import (
	"fmt"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"corsfilter/internal/host"
)

// routeTable is a compiled route configuration.
type routeTable struct {
	exact    map[string]*virtualHost
	suffixes []wildcard // "*.example.com", the longest first
	prefixes []wildcard // "api.*", the longest first
	any      *virtualHost
}

type wildcard struct {
	text string
	host *virtualHost
}

type virtualHost struct {
	name   string
	routes []*route
}

// route is what a request is matched to. Exactly one of cluster, direct and
// redirect is set.
type route struct {
	name        string
	virtualHost string
	match       pathMatch
	headers     []headerChange // of the route, its virtual host and the table, in Envoy's order

	cluster       *cluster
	prefixRewrite string
	hostRewrite   string
	timeout       time.Duration // 0: none

	direct   *directResponse
	redirect *redirect
}

type directResponse struct {
	status int
	body   []byte
}

type pathMatch struct {
	kind       pathKind
	text       string
	ignoreCase bool
}

type pathKind int

const (
	pathPrefix pathKind = iota
	pathExact
	pathSeparatedPrefix
)

// defaultRouteTimeout is Envoy's, for the whole response.
const defaultRouteTimeout = 15 * time.Second

func (c *compiler) routes(path string, message *routev3.RouteConfiguration) *routeTable {
	table := &routeTable{exact: map[string]*virtualHost{}}
	outer := c.headerChanges(path, message)
	seen := map[string]bool{}
	for i, vhost := range message.GetVirtualHosts() {
		at := index(field(path, "virtual_hosts"), i)
		compiled := &virtualHost{name: vhost.GetName()}
		changes := append(c.headerChanges(at, vhost), outer...)
		for j, r := range vhost.GetRoutes() {
			compiled.routes = append(compiled.routes, c.route(index(field(at, "routes"), j), compiled.name, r, changes))
		}
		for j, domain := range vhost.GetDomains() {
			at := index(field(at, "domains"), j)
			domain = strings.ToLower(domain)
			if seen[domain] {
				c.problems.add(at, fmt.Sprintf("%q is taken by another virtual host", domain))
			}
			seen[domain] = true
			if !table.add(domain, compiled) {
				c.problems.add(at, fmt.Sprintf("%q: a wildcard stands at the start or at the end, and once", domain))
			}
		}
	}
	return table
}

func (t *routeTable) add(domain string, host *virtualHost) bool {
	switch {
	case domain == "*":
		t.any = host
	case !strings.Contains(domain, "*"):
		t.exact[domain] = host
	case strings.Count(domain, "*") > 1:
		return false
	case strings.HasPrefix(domain, "*"):
		t.suffixes = insertByLength(t.suffixes, wildcard{domain[1:], host})
	case strings.HasSuffix(domain, "*"):
		t.prefixes = insertByLength(t.prefixes, wildcard{domain[:len(domain)-1], host})
	default:
		return false
	}
	return true
}

// insertByLength keeps the longest wildcard first: Envoy takes the most
// specific one, whatever the order in the file.
func insertByLength(list []wildcard, w wildcard) []wildcard {
	i := 0
	for i < len(list) && len(list[i].text) >= len(w.text) {
		i++
	}
	return append(list[:i:i], append([]wildcard{w}, list[i:]...)...)
}

// find returns the route of a request, or nil. authority is compared as it is:
// a domain without port does not match a host with one.
func (t *routeTable) find(authority, path string) *route {
	host := t.host(strings.ToLower(authority))
	if host == nil {
		return nil
	}
	path = withoutQuery(path)
	for _, r := range host.routes {
		if r.match.matches(path) {
			return r
		}
	}
	return nil
}

func (t *routeTable) host(authority string) *virtualHost {
	if host := t.exact[authority]; host != nil {
		return host
	}
	// A wildcard stands for at least one character.
	for _, w := range t.suffixes {
		if len(authority) > len(w.text) && strings.HasSuffix(authority, w.text) {
			return w.host
		}
	}
	for _, w := range t.prefixes {
		if len(authority) > len(w.text) && strings.HasPrefix(authority, w.text) {
			return w.host
		}
	}
	return t.any
}

func (m pathMatch) matches(path string) bool {
	if len(path) < len(m.text) {
		return false
	}
	start := path[:len(m.text)]
	if start != m.text && !(m.ignoreCase && strings.EqualFold(start, m.text)) {
		return false
	}
	rest := path[len(m.text):]
	switch m.kind {
	case pathExact:
		return rest == ""
	case pathSeparatedPrefix:
		return rest == "" || rest[0] == '/'
	default:
		return true
	}
}

func withoutQuery(path string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		return path[:i]
	}
	return path
}

func (c *compiler) route(path, vhost string, message *routev3.Route, outer []headerChange) *route {
	r := &route{
		name:        message.GetName(),
		virtualHost: vhost,
		headers:     append(c.headerChanges(path, message), outer...),
	}
	match := message.GetMatch()
	switch specifier := match.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		r.match = pathMatch{kind: pathPrefix, text: specifier.Prefix}
	case *routev3.RouteMatch_Path:
		r.match = pathMatch{kind: pathExact, text: specifier.Path}
	case *routev3.RouteMatch_PathSeparatedPrefix:
		r.match = pathMatch{kind: pathSeparatedPrefix, text: specifier.PathSeparatedPrefix}
	}
	r.match.ignoreCase = match.GetCaseSensitive() != nil && !match.GetCaseSensitive().GetValue()
	switch action := message.GetAction().(type) {
	case *routev3.Route_Route:
		c.routeAction(field(path, "route"), r, action.Route)
	case *routev3.Route_DirectResponse:
		body := field(field(path, "direct_response"), "body")
		r.direct = &directResponse{
			status: int(action.DirectResponse.GetStatus()),
			body:   c.dataSource(body, action.DirectResponse.GetBody()),
		}
	case *routev3.Route_Redirect:
		r.redirect = compileRedirect(action.Redirect)
	}
	return r
}

func (c *compiler) routeAction(path string, r *route, action *routev3.RouteAction) {
	r.cluster = c.config.clusters[action.GetCluster()]
	if r.cluster == nil && action.GetCluster() != "" {
		c.problems.add(field(path, "cluster"), fmt.Sprintf("%q is not among static_resources.clusters", action.GetCluster()))
	}
	r.prefixRewrite = action.GetPrefixRewrite()
	r.hostRewrite = action.GetHostRewriteLiteral()
	r.timeout = defaultRouteTimeout
	if action.GetTimeout() != nil {
		r.timeout = action.GetTimeout().AsDuration()
	}
}

// rewrite returns the path that upstream sees.
func (r *route) rewrite(path string) string {
	if r.prefixRewrite == "" {
		return path
	}
	return r.prefixRewrite + path[min(len(r.match.text), len(path)):]
}

// headerChange is one step of response_headers_to_add or _to_remove.
type headerChange struct {
	name, value string
	action      corev3.HeaderValueOption_HeaderAppendAction
	remove      bool
}

type headerRules interface {
	GetResponseHeadersToAdd() []*corev3.HeaderValueOption
	GetResponseHeadersToRemove() []string
}

// headerChanges compiles the changes of one level. Values with a command
// operator are refused, as they would be sent as they are written.
func (c *compiler) headerChanges(path string, message headerRules) []headerChange {
	var changes []headerChange
	for _, name := range message.GetResponseHeadersToRemove() {
		changes = append(changes, headerChange{name: strings.ToLower(name), remove: true})
	}
	for i, option := range message.GetResponseHeadersToAdd() {
		at := field(index(field(path, "response_headers_to_add"), i), "header.value")
		value := option.GetHeader().GetValue()
		literal := strings.ReplaceAll(value, "%%", "")
		if strings.Contains(literal, "%") {
			c.problems.add(at, "a command operator (%...%) is "+refusal)
		}
		changes = append(changes, headerChange{
			name:   strings.ToLower(option.GetHeader().GetKey()),
			value:  strings.ReplaceAll(value, "%%", "%"),
			action: option.GetAppendAction(),
		})
	}
	return changes
}

func (change headerChange) apply(h *host.HeaderMap) {
	if change.remove {
		h.Remove(change.name)
		return
	}
	_, present := h.Get(change.name)
	switch change.action {
	case corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:
		h.Add(change.name, change.value)
	case corev3.HeaderValueOption_ADD_IF_ABSENT:
		if !present {
			h.Add(change.name, change.value)
		}
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
		h.Replace(change.name, change.value)
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:
		if present {
			h.Replace(change.name, change.value)
		}
	}
}
