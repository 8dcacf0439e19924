package gateway

import (
	"testing"

	"corsfilter/internal/host"
)

func table(t *testing.T, f file) *routeTable {
	t.Helper()
	config, err := Load(f.yaml(), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return config.listeners[0].manager.routes
}

func TestVirtualHosts(t *testing.T) {
	vhost := func(name, domains string) string {
		return `{name: ` + name + `, domains: [` + domains + `], routes: [{name: ` + name + `, match: {prefix: /}, direct_response: {status: 200}}]},`
	}
	hosts := vhost("exact", `Example.com, "with.port:8080"`) + vhost("suffix", `"*.example.com"`) +
		vhost("longer", `"*.api.example.com"`) + vhost("dash", `"*-x.example.org"`) + vhost("prefix", `"api.*"`)
	tests := map[string]struct{ authority, with, without string }{
		"an exact domain, whatever its case":           {"EXAMPLE.com", "exact", "exact"},
		"a port is part of the domain":                 {"example.com:80", "any", ""},
		"a domain with a port":                         {"with.port:8080", "exact", "exact"},
		"a wildcard in front":                          {"a.b.example.com", "suffix", "suffix"},
		"the longest wildcard, not the first":          {"a.api.example.com", "longer", "longer"},
		"a wildcard stands for at least one character": {".example.com", "any", ""},
		"a wildcard inside a label":                    {"a-x.example.org", "dash", "dash"},
		"a wildcard at the end":                        {"api.test:8080", "prefix", "prefix"},
		"a suffix wildcard goes before a prefix one":   {"api.example.com", "suffix", "suffix"},
		"nothing matches":                              {"other.test", "any", ""},
	}
	with := table(t, file{vhosts: "[" + hosts + vhost("any", `"*"`) + "]"})
	without := table(t, file{vhosts: "[" + hosts + "]"})
	find := func(table *routeTable, authority string) string {
		if r := table.find(authority, "/"); r != nil {
			return r.virtualHost
		}
		return ""
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := find(with, test.authority); got != test.with {
				t.Errorf("with a catch-all: %q, want %q", got, test.with)
			}
			if got := find(without, test.authority); got != test.without {
				t.Errorf("without: %q, want %q", got, test.without)
			}
		})
	}
}

func TestPathMatches(t *testing.T) {
	tests := map[string]struct {
		match            string
		accepts, rejects []string
	}{
		"prefix":                      {"prefix: /api", []string{"/api", "/api/x", "/apix", "/api?x"}, []string{"/", "/ap", "/API"}},
		"exact":                       {"path: /api", []string{"/api", "/api?x=/y", "/api#f"}, []string{"/api/", "/apix", "/"}},
		"path separated prefix":       {"path_separated_prefix: /api", []string{"/api", "/api/x", "/api?x"}, []string{"/apix", "/"}},
		"prefix in any case":          {"prefix: /api, case_sensitive: false", []string{"/API/x"}, []string{"/b"}},
		"query does not count":        {`prefix: "/a?"`, nil, []string{"/a?", "/a?b"}},
		"case_sensitive spelled out":  {"path: /api, case_sensitive: true", []string{"/api"}, []string{"/Api"}},
		"the first route that fits":   {"prefix: /", []string{"/", "/anything"}, []string{"*", ""}},
		"exact, in whatever case":     {"path: /Api, case_sensitive: false", []string{"/aPI"}, []string{"/api/"}},
		"separated, in whatever case": {"path_separated_prefix: /Api, case_sensitive: false", []string{"/aPI/x"}, []string{"/apix"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			routes := table(t, file{routes: `{match: {` + test.match + `}, direct_response: {status: 200}}`})
			for _, path := range test.accepts {
				if routes.find("h", path) == nil {
					t.Errorf("%q: no route", path)
				}
			}
			for _, path := range test.rejects {
				if routes.find("h", path) != nil {
					t.Errorf("%q: a route", path)
				}
			}
		})
	}
}

func TestRedirectLocation(t *testing.T) {
	tests := map[string]struct{ redirect, authority, path, want string }{
		"scheme":                              {"https_redirect: true", "a.test", "/x?y", "https://a.test/x?y"},
		"scheme drops the old default port":   {"https_redirect: true", "a.test:80", "/", "https://a.test/"},
		"scheme keeps any other port":         {"https_redirect: true", "a.test:8080", "/", "https://a.test:8080/"},
		"an IPv6 host":                        {"https_redirect: true", "[::1]:80", "/", "https://[::1]/"},
		"an IPv6 host without port":           {"port_redirect: 1", "[::1]", "/", "http://[::1]:1/"},
		"host":                                {"host_redirect: b.test", "a.test:8080", "/x", "http://b.test/x"},
		"host and port":                       {"host_redirect: b.test, port_redirect: 99", "a.test", "/x", "http://b.test:99/x"},
		"port replaces the port":              {"port_redirect: 99", "a.test:8080", "/x", "http://a.test:99/x"},
		"path keeps the query":                {"path_redirect: /new", "a.test", "/x?y", "http://a.test/new?y"},
		"path with a query of its own":        {`path_redirect: "/new?z", strip_query: true`, "a.test", "/x?y", "http://a.test/new?z"},
		"strip_query":                         {"path_redirect: /new, strip_query: true", "a.test", "/x?y", "http://a.test/new"},
		"prefix_rewrite":                      {"prefix_rewrite: /new/", "a.test", "/old/x?y", "http://a.test/new/x?y"},
		"another scheme":                      {"scheme_redirect: ftp", "a.test", "/", "ftp://a.test/"},
		"the request's scheme is the default": {"path_redirect: /n", "a.test:443", "/", "http://a.test/n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			prefix := "/"
			if name == "prefix_rewrite" {
				prefix = "/old/"
			}
			routes := table(t, file{routes: `{match: {prefix: ` + prefix + `}, redirect: {` + test.redirect + `}}`})
			r := routes.find(test.authority, test.path)
			request := host.NewHeaderMap([2]string{":authority", test.authority}, [2]string{":path", test.path}, [2]string{"x-forwarded-proto", "http"})
			if got := r.redirect.location(request, r.match); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
