// Package differential lets Envoy itself judge how corsctl convert converts Envoy's
// policies. One process serves the same routes and upstream behind Envoy's own filter,
// and behind the module with the converted policy. The package imports convert and what
// runs Envoy, and does not know how either filter decides.
package differential

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"corsfilter/internal/browser"
)

type object = map[string]any

// drawer draws one policy and the requests to it. What is drawn comes from small pools,
// so that requests meet policies, and near misses of both are in them.
type drawer struct {
	*rand.Rand
	// hard are the words in which a refusal names what was drawn and cannot be carried over.
	hard []string
	// hosts, paths and origins are those that the policy names, which requests prefer.
	hosts, paths, origins []string
}

func newDrawer(seed uint64) *drawer { return &drawer{Rand: rand.New(rand.NewPCG(seed, 0))} }

// once is true once in n times.
func (d *drawer) once(n int) bool { return d.IntN(n) == 0 }

func pick[T any](d *drawer, pool ...T) T { return pool[d.IntN(len(pool))] }

// some draws least to most of a pool.
func (d *drawer) some(least, most int, pool ...string) []string {
	pool = slices.Clone(pool)
	d.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
	return pool[:min(least+d.IntN(most-least+1), len(pool))]
}

// rarely is once for what a refusal names by a word.
func (d *drawer) rarely(n int, word string) bool {
	if !d.once(n) {
		return false
	}
	d.hard = append(d.hard, word)
	return true
}

var (
	hostNames = []string{"api.example.com", "shop.example.com", "a.shop.example.com", "b.a.shop.example.com", "example.com",
		"pr-api.example.com", "other.example.net"}
	domainNames = append(slices.Clone(hostNames[:6]), "*.example.com", "*.shop.example.com", "*")
	partDomains = []string{"shop.example.*", "*-api.example.com", "api.*"}
	pathTexts   = []string{"/", "/v1", "/v1/", "/v1/orders", "/v1/orders/7", "/v2", "/status", "/billing.", "/V1",
		"/v1/ord", "/v1//", "/sta", "/v1*", "/a%20b", "/v1/orders/"}
	pathNear = []string{"/v1x", "/v10/orders", "/V1/orders", "/v1/Orders/7", "/v1/ordersx",
		"/STATUS", "/statusx", "/v2/a", "/other", "/billing.Invoices/Get",
		"/v1/7", "/v1//orders", "/v1%2Forders", "/v1;a=b", "/v1/orders;a=b",
		"/status;", "/v1*x", "/a%20bc", "/A%20b", "/v1/../status", "//v1", "/v1/."}
	pathRegexes = []string{`/v[0-9]+/.*`, `/v1/[^/]+`, `/(v1|status)`, `/v1(/.*)?`, `.*`, `/billing\..*`, `(?i)/v1/orders`, `/v1/orders|/v2`,
		`/v1.*`, `/v1/`, `/+v1/?`, `/v1/orders/\d+`, `[^?]*/7`, `/v1/(orders/7)?`, `/.{2,4}`}

	pageOrigins = []string{
		"https://shop.example.com", "https://a.shop.example.com", "https://b.a.shop.example.com", "https://shop.example.com:8443",
		"http://shop.example.com", "http://localhost:3000", "https://pr-7.preview.example.com", "https://app.example.org", "null",
		"file://", "capacitor://localhost",
		"https://evil.example", "https://evilshop.example.com", "https://shop.example.com.evil.example",
		"http://localhost:3001", "https://shop-example.com",
		"https://shopxexample.com", "https://preview.example.com", "chrome-extension://abcdefghijklmnop",
		"http://127.0.0.1:3000", "http://[::1]:8080", "https://192.0.2.7",
	}
	exactOrigins = append(slices.Clone(pageOrigins[:11]), "*", "https://SHOP.example.com",
		"http://127.0.0.1:3000", "http://[::1]:8080")
	prefixOrigins  = []string{"https://shop.example.com", "https://shop", "*", "http", "null", "https://"}
	suffixOrigins  = []string{".example.com", "example.com", "null", "ull", ":3000", ".example.org", "*"}
	containOrigins = []string{"shop.example", "example", "localhost:", "shop", "Shop", "*", ":"}
	regexOrigins   = []string{`https://.*\.shop\.example\.com`, `https://shop\.example\.com(:[0-9]+)?`,
		`https://pr-[0-9]+\.preview\.example\.com`,
		`https?://localhost:[0-9]+`, `https://([a-z0-9-]+\.)?shop\.example\.com`, `.*`, `https://.*example\.com`, `https://shop.example.com`,
		`https://[a-z]+\.example\.(com|org)`, `\*`, `null|https://shop\.example\.com`, `[a-z:/.-]+`,
		`(?i)https://SHOP\.example\.com`, `.*\.example\.com`, `.+`, `https?://.*`,
		`^https://shop\.example\.com$`, `(https://)?shop\.example\.com|file://`, `https://[^/]+`, `HTTPS://shop\.example\.com`,
		`^https?://(.+\.)?shop\.example\.com(:\d+)?$`, `https://shop.*`, `https://shop\.example\.com/?`, `https:\/\/shop\.example\.com`,
		`\Ahttps://shop\.example\.com\z`, `(?s).*`, `[*]`, `https://shop\.example\.com|`,
		`^$|.*\.shop\.example\.com`, `https://(\w+-)*\d+\.preview\.example\.com`}
	methodNames = []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND"}
)

// matcher draws one of the five kinds.
func (d *drawer) matcher() object {
	m := object{}
	kind := pick(d, "exact", "exact", "exact", "exact", "safe_regex", "safe_regex", "prefix", "suffix", "contains")
	switch kind {
	case "exact":
		m[kind] = pick(d, exactOrigins...)
		if d.rarely(120, "wildcard") {
			m[kind] = "https://*.example.com"
		}
		d.origins = append(d.origins, strings.ToLower(m[kind].(string)))
	case "safe_regex":
		m[kind] = object{"regex": pick(d, regexOrigins...)}
	case "prefix":
		m[kind] = pick(d, prefixOrigins...)
	case "suffix":
		m[kind] = pick(d, suffixOrigins...)
	default:
		m[kind] = pick(d, containOrigins...)
	}
	d.origins = append(d.origins, pick(d, pageOrigins[:8]...))
	if kind != "safe_regex" && d.once(6) {
		m["ignore_case"] = true
	}
	return m
}

// share draws a switch.
func (d *drawer) share(o object, key string) {
	if !d.once(4) {
		return
	}
	value := object{"numerator": pick(d, 0, 100, 100)}
	switch {
	case d.once(4):
		value["denominator"] = "TEN_THOUSAND"
		value["numerator"] = pick(d, 0, 10_000)
	case d.rarely(60, "share"):
		value["numerator"] = 50
	}
	o[key] = object{"default_value": value}
	if d.once(4) {
		o[key].(object)["runtime_key"] = "cors." + key
	}
}

// policy draws a CorsPolicy. What it names is in the words of people: lists with and
// without spaces, in any letter case.
func (d *drawer) policy() object {
	o := object{}
	var matchers []any
	if !d.once(5) {
		for range 1 + d.IntN(3) {
			matchers = append(matchers, d.matcher())
		}
		o["allow_origin_string_match"] = matchers
	} else if d.once(3) {
		o["allow_origin_string_match"] = []any{}
	}
	list := func(key string, most int, pool ...string) {
		names := strings.Join(d.some(0, most, pool...), pick(d, ",", ", ", " ,", ",\t", ",, "))
		switch {
		case d.once(6):
			names = "*"
		case d.once(12):
			names += ", *"
		case d.once(20):
			names = " " + names + " , " + strings.ToUpper(names)
		}
		if names = strings.TrimPrefix(names, ", "); names != "" || d.once(4) { // an empty one falls back
			o[key] = names
		}
	}
	methods := methodNames
	switch {
	case d.once(12):
		methods = []string{"get", "put", "Delete"}
	case d.once(30):
		methods = append([]string{"TRACE", "CONNECT"}, methods...)
	}
	list("allow_methods", 4, methods...)
	list("allow_headers", 3, "content-type", "authorization", "x-a", "X-B")
	list("expose_headers", 2, "x-total", "ETag")
	if d.once(2) {
		o["max_age"] = pick(d, "600", "86400", "0", "100000", " 600", "-1", "0600", "600 ", "")
		if d.rarely(200, "max_age") {
			o["max_age"] = "10m"
		}
	}
	flag := func(key string, n int) {
		if d.once(n) {
			o[key] = d.once(2)
		}
	}
	flag("allow_credentials", 2)
	flag("allow_private_network_access", 6)
	flag("forward_not_matching_preflights", 3)
	if d.once(12) { // it counts what it would do
		o["filter_enabled"] = object{"default_value": object{"numerator": 0}}
		o["shadow_enabled"] = object{"default_value": object{"numerator": 100}}
		return o
	}
	d.share(o, "filter_enabled")
	d.share(o, "shadow_enabled")
	return o
}

const (
	corsFilter   = "envoy.filters.http.cors"
	filterConfig = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
	corsPolicy   = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"
)

// filter is Envoy's own, as it stands among the filters.
func filter() object {
	return object{"name": corsFilter, "typed_config": object{"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"}}
}

// perFilter puts a policy on a level, once in n times.
func (d *drawer) perFilter(level object, n int) {
	if !d.once(n) {
		return
	}
	p := d.policy()
	p["@type"] = corsPolicy
	switch d.IntN(16) {
	case 0:
		p = object{"@type": filterConfig, "config": p, "disabled": d.once(2)}
	case 1:
		p = object{"@type": filterConfig, "disabled": true}
	}
	level["typed_per_filter_config"] = object{corsFilter: p}
}

// match draws a route's.
func (d *drawer) match() object {
	kind, text := pick(d, "prefix", "prefix", "path", "path_separated_prefix", "safe_regex"), pick(d, pathTexts...)
	m := object{}
	switch kind {
	case "safe_regex":
		m[kind] = object{"regex": pick(d, pathRegexes...)}
	case "path_separated_prefix": // which Envoy takes without a slash at the end alone
		if text = strings.TrimRight(text, "/"); text == "" {
			text = "/v1"
		}
		fallthrough
	default:
		m[kind] = text
		d.paths = append(d.paths, text, text+"/orders", strings.ToUpper(text))
	}
	if kind != "safe_regex" && d.once(5) {
		m["case_sensitive"] = false
	}
	switch {
	case d.rarely(80, "header"):
		m["headers"] = []any{object{"name": "x-version", "string_match": object{"exact": "2"}}}
	case d.rarely(80, "method"):
		m["headers"] = []any{object{"name": ":method", "string_match": object{"exact": pick(d, "GET", "OPTIONS", "PUT")}}}
	case d.rarely(120, "query"):
		m["query_parameters"] = []any{object{"name": "own", "present_match": true}}
	case d.rarely(120, "share"):
		m["runtime_fraction"] = object{"default_value": object{"numerator": pick(d, 0, 100)}}
	}
	return m
}

// route draws a route; old says that policies stand in the fields of before
// typed_per_filter_config.
func (d *drawer) route(old bool) object {
	r := object{"match": d.match()}
	action := object{"cluster": "upstream"}
	switch d.IntN(12) {
	case 0:
		r["redirect"] = object{"host_redirect": "elsewhere.example"}
	case 1:
		r["direct_response"] = object{"status": 203}
	case 2, 3:
		first, second := object{"name": "upstream", "weight": 100}, object{"name": "other", "weight": pick(d, 0, 0, 50)}
		d.perFilter(first, 3)
		if policy, has := first["typed_per_filter_config"]; has && d.once(2) {
			second["typed_per_filter_config"] = policy
		} else if second["weight"] == 0 || d.once(4) {
			d.perFilter(second, 2)
		}
		if second["weight"] != 0 {
			d.hard = append(d.hard, "weight")
		}
		action = object{"weighted_clusters": object{"clusters": []any{first, second}}}
	}
	if !old {
		d.perFilter(r, 2)
	} else if d.once(2) {
		action["cors"] = d.policy()
	}
	if r["redirect"] == nil && r["direct_response"] == nil {
		r["route"] = action
	}
	d.adds(r)
	return r
}

// adds draws headers that Envoy adds to responses beside any policy.
func (d *drawer) adds(level object) {
	if d.once(40) {
		key := pick(d, "access-control-allow-origin", "Access-Control-Expose-Headers")
		level["response_headers_to_add"] = []any{object{"header": object{"key": key, "value": "x-added"}}}
	}
	if d.once(40) {
		level["response_headers_to_remove"] = []any{"access-control-allow-origin", "vary"}
	}
}

// manager draws what a connection manager has of routes and hosts.
func (d *drawer) manager() object {
	routes := object{}
	d.perFilter(routes, 3)
	var hosts []any
	domains := d.some(1, 4, domainNames...)
	if d.rarely(90, "domain") {
		domains = append(domains, pick(d, partDomains...))
	}
	if d.rarely(30, "port") {
		domains = append(domains, pick(d, "shop.example.com:8443", "api.example.com:443"))
	}
	for _, domain := range domains {
		d.hosts = append(d.hosts, strings.ReplaceAll(domain, "*", "shop"))
	}
	for len(domains) > 0 {
		n := 1 + d.IntN(len(domains))
		h := object{"name": fmt.Sprint("host", len(hosts)), "domains": domains[:n]}
		domains = domains[n:]
		old := d.once(4)
		if !old {
			d.perFilter(h, 2)
		} else if d.once(2) {
			h["cors"] = d.policy()
		}
		var all []any
		for range 1 + d.IntN(4) {
			all = append(all, d.route(old))
		}
		if d.once(2) {
			last := object{"match": object{"prefix": "/"}, "route": object{"cluster": "upstream"}}
			d.perFilter(last, 3)
			all = append(all, last)
		}
		h["routes"] = all
		if d.once(60) {
			h["require_tls"] = "ALL"
		}
		d.adds(h)
		hosts = append(hosts, h)
	}
	routes["virtual_hosts"] = hosts
	cors := filter()
	if d.once(20) {
		cors["disabled"] = true
	}
	manager := object{"route_config": routes, "http_filters": []any{cors}}
	for _, key := range []string{"strip_any_host_port", "strip_trailing_host_dot"} {
		if d.once(4) {
			manager[key] = true
		}
	}
	if d.once(40) {
		all := object{"comparison": object{"op": "GE", "value": object{"default_value": 200, "runtime_key": "all"}}}
		added := object{"header": object{"key": "access-control-allow-origin", "value": "x-added"}}
		mapper := object{"filter": object{"status_code_filter": all}, "headers_to_add": []any{added}}
		manager["local_reply_config"] = object{"mappers": []any{mapper}}
	}
	if d.once(4) {
		routes["ignore_port_in_host_matching"] = true
	}
	if d.once(8) {
		routes["ignore_path_parameters_in_path_matching"] = true
	}
	return manager
}

// target draws a host, which browsers write in lower case, and a path with what the
// upstream does.
func (d *drawer) target() (host, path string) {
	host, path = pick(d, hostNames...), pick(d, append(slices.Clone(pathTexts), pathNear...)...)
	if !d.once(3) {
		host = pick(d, d.hosts...)
	}
	if len(d.paths) > 0 && !d.once(3) {
		path = pick(d, d.paths...)
	}
	if !strings.Contains(host, ":") {
		if d.once(12) {
			host += "."
		}
		if d.once(10) {
			host += pick(d, ":8443", ":443")
		}
	}
	if d.once(3) {
		path += "?own=" + pick(d, "any", "app", "vary", "error")
	}
	return host, path
}

// page draws what a script asks for.
func (d *drawer) page() browser.Request {
	r := browser.Request{
		Origin: pick(d, pageOrigins...), Credentials: d.once(3), PrivateNetwork: d.once(12),
		Method: pick(d, "GET", "GET", "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "put", "PROPFIND"),
	}
	named := slices.DeleteFunc(slices.Clone(d.origins), func(o string) bool { return strings.Contains(o, "*") })
	if len(named) > 0 && !d.once(4) {
		r.Origin = pick(d, named...)
	}
	for _, h := range d.some(0, 1+d.IntN(2), "X-A: 1", "x-b: 1", "authorization: Bearer t",
		"content-type: application/json", "content-type: text/plain") {
		name, value, _ := strings.Cut(h, ": ")
		r.Headers = append(r.Headers, browser.Header{Name: name, Value: value})
	}
	return r
}
