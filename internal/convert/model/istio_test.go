package model

import (
	"slices"
	"strings"

	"corsfilter/internal/browser"
)

// Istio at commit 86c9f01f: pilot/pkg/networking/core/gateway.go and route/route.go.
// What it makes of a VirtualService is Envoy's configuration, and Envoy decides.

// istioMatch is one HTTPMatchRequest; Kind is "" where it has no uri.
type istioMatch struct {
	Kind, Value string // exact, prefix, regex
	AnyCase     bool   // ignoreUriCase
	Method      string
	Headers     []envoyHeader
}

// istioCORS is networking.v1.CorsPolicy.
type istioCORS struct {
	Origins                  []stringMatcher // exact, prefix, safe_regex
	Old                      []string        // allowOrigin
	Methods, Headers, Expose []string
	MaxAge                   string // whole seconds
	Credentials              *bool
	Unmatched                string // "", UNSPECIFIED, FORWARD, IGNORE
}

// envoy is TranslateCORSPolicy.
func (c *istioCORS) envoy() *envoyCORS {
	if c == nil {
		return nil
	}
	out := &envoyCORS{
		Origins: c.Origins, Methods: strings.Join(c.Methods, ","), Headers: strings.Join(c.Headers, ","), Expose: strings.Join(c.Expose, ","),
		MaxAge: strings.TrimSuffix(c.MaxAge, "s"), Credentials: c.Credentials, ForwardNotMatch: yes(),
	}
	if c.Origins == nil {
		for _, o := range c.Old {
			out.Origins = append(out.Origins, stringMatcher{Kind: "exact", Value: o})
		}
	}
	if c.Unmatched == "IGNORE" {
		out.ForwardNotMatch = no()
	}
	return out
}

// istioRoute is one HTTPRoute of a VirtualService.
type istioRoute struct {
	Name    string
	Matches []istioMatch
	Action  string // "", redirect, direct_response
	CORS    *istioCORS
	// Delegate are the routes of the VirtualService that it delegates to; nil: it does not.
	Delegate []istioRoute
}

// merged is MergeHTTPRoutes of pilot/pkg/model/virtualservice.go.
func (r istioRoute) merged() (out []istioRoute) {
	if r.Delegate == nil {
		return []istioRoute{r}
	}
	for _, d := range r.Delegate {
		matches, fits := d.Matches, true
		if len(matches) == 0 {
			matches = r.Matches
		} else if len(r.Matches) > 0 {
			matches = nil
			for _, leaf := range d.Matches {
				within := slices.DeleteFunc(slices.Clone(r.Matches), func(root istioMatch) bool { return root.conflicts(leaf) })
				fits = fits && len(within) > 0
				for _, root := range within {
					one := leaf
					if one.Kind == "" {
						one.Kind, one.Value = root.Kind, root.Value
					}
					if one.Method == "" {
						one.Method = root.Method
					}
					if len(one.Headers) == 0 { // there is but one
						one.Headers = root.Headers
					}
					matches = append(matches, one)
				}
			}
		}
		if fits {
			d.Matches = matches
			if d.CORS == nil {
				d.CORS = r.CORS
			}
			out = append(out, d)
		}
	}
	return out
}

// conflicts is hasConflict: a delegate's match lies within the root's, as far as texts show.
func (m istioMatch) conflicts(leaf istioMatch) bool {
	if m.AnyCase != leaf.AnyCase || m.Method != "" && leaf.Method != "" && m.Method != leaf.Method {
		return true
	}
	switch {
	case m.Kind == "" || leaf.Kind == "":
		return false
	case m.Kind == "exact":
		return leaf.Kind != "exact" || leaf.Value != m.Value
	}
	return m.Kind == "regex" || leaf.Kind == "regex" || !strings.HasPrefix(leaf.Value, m.Value)
}

type virtualService struct {
	Namespace, Name string
	Hosts           []string
	Routes          []istioRoute
}

// routes is BuildHTTPRoutesForVirtualService: a route of Envoy for each match, up
// to the first that matches everything.
func (v virtualService) routes() (out []envoyRoute) {
	var all []istioRoute
	for _, r := range v.Routes {
		all = append(all, r.merged()...)
	}
	for _, http := range all {
		matches := http.Matches
		if len(matches) == 0 {
			matches = []istioMatch{{}}
		}
		for _, m := range matches {
			r := envoyRoute{Name: http.Name, Match: m.envoy(), Action: http.Action, CORS: http.CORS.envoy()}
			out = append(out, r)
			if catchAll(r.Match) {
				return out
			}
		}
	}
	return out
}

// envoy is TranslateRouteMatch.
func (m istioMatch) envoy() envoyMatch {
	out := envoyMatch{Kind: "prefix", Value: "/", AnyCase: m.AnyCase, Headers: slices.Clone(m.Headers)}
	switch m.Kind {
	case "exact":
		out.Kind, out.Value = "path", m.Value
	case "prefix":
		out.Value = m.Value
	case "regex":
		out.Kind, out.Value = "safe_regex", m.Value
	}
	if m.Method != "" {
		out.Headers = append(out.Headers, envoyHeader{Name: ":method", Exact: m.Method})
	}
	return out
}

// catchAll is IsCatchAllRoute.
func catchAll(m envoyMatch) bool {
	return len(m.Headers) == 0 && (m.Kind == "prefix" && m.Value == "/" || m.Kind == "safe_regex" && m.Value == ".*")
}

// istio is what a gateway serves.
type istio struct{ Services []virtualService }

// envoy is buildGatewayHTTPRouteConfig: VirtualServices of one host are joined in
// the order of their age, which is that of their names where it is equal, and the
// catch-all routes go to the end (SortVHostRoutes). The port is ignored.
func (i istio) envoy() envoy {
	out := envoy{IgnorePort: true}
	services := slices.Clone(i.Services)
	slices.SortStableFunc(services, func(a, b virtualService) int {
		return strings.Compare(a.Name+"."+a.Namespace, b.Name+"."+b.Namespace)
	})
	at := map[string]int{}
	for _, v := range services {
		for _, h := range v.Hosts {
			h = strings.ToLower(h)
			n, ok := at[h]
			if !ok {
				n = len(out.Hosts)
				at[h] = n
				out.Hosts = append(out.Hosts, envoyHost{Name: h, Domains: []string{h}})
			}
			out.Hosts[n].Routes = append(out.Hosts[n].Routes, v.routes()...)
		}
	}
	for n := range out.Hosts {
		var first, last []envoyRoute
		for _, r := range out.Hosts[n].Routes {
			if catchAll(r.Match) {
				last = append(last, r)
			} else {
				first = append(first, r)
			}
		}
		out.Hosts[n].Routes = append(first, last...)
	}
	return out
}

func (i istio) bare(r request, upstream backend) browser.Response { return i.envoy().bare(r, upstream) }

func (i istio) serve(r request, upstream backend) browser.Response {
	return i.envoy().serve(r, upstream)
}
