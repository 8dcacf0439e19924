package gateway

import (
	"fmt"
	"slices"
	"strings"

	"corsfilter/internal/fieldpath"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// route is what a request is matched to. Exactly one of cluster, direct and
// redirect is set.
type route struct {
	path     string
	exact    bool // the path itself; else what begins with it
	cluster  *cluster
	direct   *reply
	redirect string // the path to go to, with 301
}

// route returns the first route of a path, or nil.
func (m *manager) route(path string) *route {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	for _, r := range m.routes {
		if path == r.path || !r.exact && strings.HasPrefix(path, r.path) {
			return r
		}
	}
	return nil
}

func (c *compiler) routes(path string, message *routev3.RouteConfiguration) (routes []*route) {
	path = fieldpath.Key(path, "virtual_hosts")
	for i, vhost := range message.GetVirtualHosts() {
		at := fieldpath.Index(path, i)
		if i > 0 {
			c.problems.add(at, "a second virtual host is "+refusal)
		}
		if !slices.Equal(vhost.GetDomains(), []string{"*"}) {
			c.problems.add(fieldpath.Key(at, "domains"), `write ["*"]: other domains are `+refusal)
		}
		for j, r := range vhost.GetRoutes() {
			routes = append(routes, c.route(fieldpath.Index(fieldpath.Key(at, "routes"), j), r))
		}
	}
	return routes
}

func (c *compiler) route(path string, message *routev3.Route) *route {
	r := &route{}
	switch specifier := message.GetMatch().GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		r.path = specifier.Prefix
	case *routev3.RouteMatch_Path:
		r.path, r.exact = specifier.Path, true
	}
	switch action := message.GetAction().(type) {
	case *routev3.Route_Route:
		name := action.Route.GetCluster()
		if r.cluster = c.config.clusters[name]; r.cluster == nil && name != "" {
			c.problems.add(fieldpath.Key(path, "route.cluster"), fmt.Sprintf("%q is not among static_resources.clusters", name))
		}
	case *routev3.Route_DirectResponse:
		r.direct = &reply{
			status:  int(action.DirectResponse.GetStatus()),
			body:    c.dataSource(fieldpath.Key(path, "direct_response.body"), action.DirectResponse.GetBody()),
			details: "direct_response",
		}
	case *routev3.Route_Redirect:
		if r.redirect = action.Redirect.GetPathRedirect(); r.redirect == "" {
			c.problems.add(fieldpath.Key(path, "redirect.path_redirect"), "missing: other redirects are "+refusal)
		}
	}
	return r
}
