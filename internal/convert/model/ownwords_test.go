package model

import (
	"strings"
	"testing"

	"corsfilter/internal/browser"
)

// TestModelsSayWhatTheirProjectsTestsSay holds the models to what the projects'
// own tests and documents say of a request: which origin is sent, and what else.
func TestModelsSayWhatTheirProjectsTestsSay(t *testing.T) {
	annotated := func(pairs ...string) proxy {
		annotations := map[string]string{"enable-cors": "true"}
		for i := 0; i < len(pairs); i += 2 {
			annotations["cors-"+pairs[i]] = pairs[i+1]
		}
		return nginx{
			[]ingress{{Name: "cors", Annotations: annotations, Rules: []nginxRule{{"cors.foo.com", []nginxPath{{"/", "Prefix"}}}}}},
		}.serve
	}
	two := "http://origin.cors.com:8080, http://*.origin.com:8080"
	const (
		nginxTests   = "kubernetes/ingress-nginx, test/e2e/annotations/cors.go"
		traefikTests = "traefik/traefik, pkg/middlewares/headers/header_test.go"
		kongTests    = "Kong/kong, spec/03-plugins/13-cors/01-access_spec.lua"
		higressDocs  = "higress-group/higress, plugins/wasm-go/extensions/cors/README.md"
		gatewayTests = "kubernetes-sigs/gateway-api, conformance/tests/httproute-cors.yaml"
	)
	headers := func(h traefikHeaders) proxy {
		h.Methods = []string{"GET", "OPTIONS", "PUT"}
		return traefik{[]traefikRoute{{Prefixes: []string{"/"}, Middleware: "m"}}, map[string]traefikHeaders{"m": h}}.serve
	}
	plugin := func(c kongCORS) proxy {
		return kong{Services: []kongService{{Name: "s", Routes: []kongRoute{{Name: "r", Paths: []string{"/"}}}, CORS: &c}}}.serve
	}
	origins := func(o ...string) proxy { return plugin(kongCORS{Origins: o}) }
	httpbin := higress{
		Rules: []higressRule{{Domains: []string{"httpbin.example.com"}, CORS: higressCORS{Origins: []string{"http://httpbin.example.net"},
			Patterns: []string{"http://*.example.com:[*]", "http://*.example.org:[9090,8080]"}, Methods: []string{"GET", "POST", "PATCH"},
			Headers: []string{"Content-Type", "Token", "Authorization"}, Expose: []string{"X-Custom-Header", "X-Env-UTM"}, Credentials: true}}},
	}.serve
	gatewayCORS1 := &gatewayCORS{
		Origins:     []string{"https://www.foo.com", "https://*.bar.com"},
		Methods:     []string{"GET", "OPTIONS"},
		Headers:     []string{"x-header-1", "x-header-2"},
		Credentials: yes(),
	}
	gateway := gatewayAPI{[]httpRoute{{Name: "cors", Rules: []gatewayRule{{CORS: gatewayCORS1}}}}}.serve(gatewayChoices{})
	for _, c := range []struct {
		where  string
		proxy  proxy
		method string // "preflight" is OPTIONS with the method to come, GET
		target string
		origin string
		want   string // of Access-Control-Allow-Origin; "" is none
		also   string // "name: value" of other headers, with "; " between
	}{
		{
			nginxTests, annotated("allow-origin", "https://origin.cors.com:8080"), "GET", "cors.foo.com/", "https://origin.cors.com:8080",
			"https://origin.cors.com:8080", "",
		},
		{
			nginxTests, annotated("allow-origin", "https://origin.cors.com:8080, https://origin2.cors.com"), "GET", "cors.foo.com/",
			"https://origin.cors.com:8080", "https://origin.cors.com:8080", "",
		},
		{
			nginxTests, annotated("allow-origin", "http://origin2.cors.com, https://origin.com"), "GET", "cors.foo.com/", "http://no.origin.com",
			"", "",
		},
		{
			nginxTests, annotated("allow-origin", "origin.cors.com:8080, https://origin2.cors.com, https://origin.com"), "GET", "cors.foo.com/",
			"origin.cors.com:8080", "", "",
		},
		{
			nginxTests, annotated("allow-origin", "origin.cors.com:8080, https://origin2.cors.com, https://origin.com"), "GET", "cors.foo.com/",
			"https://origin2.cors.com", "https://origin2.cors.com", "",
		},
		{nginxTests, annotated("allow-origin", "*"), "GET", "cors.foo.com/", "", "*", ""},
		{nginxTests, annotated(), "GET", "cors.foo.com/", "", "*", acac + ": true; " + acam + ": GET, PUT, POST, DELETE, PATCH, OPTIONS"},
		{nginxTests, annotated("allow-origin", "*, foo.bar.com"), "GET", "cors.foo.com/", "", "*", ""},
		{nginxTests, annotated("allow-origin", "https://foo.bar.com"), "GET", "cors.foo.com/", "https://fooxbar.com", "", ""},
		{
			nginxTests, annotated("allow-origin", "http://*.origin.cors.com, http://*.origin.com:8080"), "GET", "cors.foo.com/",
			"http://foo.origin.cors.com", "http://foo.origin.cors.com", "",
		},
		{
			nginxTests, annotated("allow-origin", "http://*.origin.cors.com, http://*.origin.com:8080"), "GET", "cors.foo.com/",
			"http://bar.foo.origin.cors.com", "", "",
		},
		{nginxTests, annotated("allow-origin", two), "GET", "cors.foo.com/", "http://abc.origin.com:8080", "http://abc.origin.com:8080", ""},
		{nginxTests, annotated("allow-origin", two), "GET", "cors.foo.com/", "http://abc.origin.com", "", ""},
		{
			nginxTests, annotated("allow-credentials", "false", "allow-methods", "POST, GET"), "OPTIONS", "cors.foo.com/", "", "*",
			acac + ": ; " + acam + ": POST, GET",
		},

		{
			traefikTests, headers(traefikHeaders{Origins: []string{"https://foo.bar.org"}}), "preflight", "a.example/foo", "https://foo.bar.org",
			"https://foo.bar.org",
			acam + ": GET,OPTIONS,PUT",
		},
		{traefikTests, headers(traefikHeaders{Origins: []string{"*"}}), "preflight", "a.example/foo", "https://foo.bar.org", "*", ""},
		{
			traefikTests, headers(traefikHeaders{Origins: []string{"*"}, Credentials: true}), "preflight", "a.example/foo", "https://foo.bar.org",
			"https://foo.bar.org",
			acac + ": true",
		},
		{
			traefikTests, headers(traefikHeaders{Origins: []string{"*"}, Headers: []string{"origin", "X-Forwarded-For"}}), "preflight",
			"a.example/foo", "https://foo.bar.org", "*",
			acah + ": origin,X-Forwarded-For",
		},

		{kongTests, origins("foo.test"), "preflight", "a.example/", "http://evil.test", "foo.test", ""},
		{kongTests, origins("https://bar.test:1234"), "preflight", "a.example/", "http://foo.test:80", "https://bar.test:1234", ""},
		{kongTests, origins(`foo\.test`), "preflight", "a.example/", "http://foo.test", "http://foo.test", ""},
		{kongTests, origins(`foo\.test`), "preflight", "a.example/", "http://something.foo.test", "", ""},
		{kongTests, origins(`foo\.test`), "preflight", "a.example/", "http://foo.test:80", "http://foo.test", ""},
		{kongTests, origins(`foo\.test`), "preflight", "a.example/", "https://foo.test:8000", "https://foo.test:8000", ""},
		{kongTests, origins(`(.*[./])?foo\.test`), "preflight", "a.example/", "http://something.foo.test", "http://something.foo.test", ""},
		{kongTests, origins(`(.*[./])?foo\.test`), "preflight", "a.example/", "http://evilfoo.test", "", ""},
		{kongTests, origins(`(.*[./])?foo\.test:8000`), "preflight", "a.example/", "http://foo.test", "", ""},
		{
			kongTests, plugin(kongCORS{}), "preflight", "a.example/", "origin1.test", "*",
			acam + ": GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT; " + acac + ": ",
		},
		{
			kongTests,
			plugin(kongCORS{Origins: []string{"*"}, Credentials: true}), "preflight", "a.example/", "origin5.test", "origin5.test",
			acac + ": true",
		},
		{
			kongTests, origins("http://my-site.test", "http://my-other-site.test"), "preflight", "a.example/", "http://my-site.test",
			"http://my-site.test", "",
		},
		{
			kongTests, origins("http://my-site.test", "http://my-other-site.test"), "preflight", "a.example/",
			"http://my-site.test.bad-guys.test", "", "",
		},

		{
			higressDocs, httpbin, "preflight", "httpbin.example.com/anything/get?foo=1", "http://httpbin2.example.org:9090",
			"http://httpbin2.example.org:9090",
			acam + ": GET,POST,PATCH; " + acah + ": Content-Type,Token,Authorization; " + aceh + ": X-Custom-Header,X-Env-UTM; " + acac + ": true",
		},
		{
			higressDocs, httpbin, "preflight", "httpbin.example.com/anything/get?foo=1", "http://httpbin2.example.org", "",
			acam + ": ; " + acac + ": ",
		},
		{higressDocs, httpbin, "DELETE", "httpbin.example.com/anything/get?foo=1", "http://httpbin2.example.org:9090", "", ""},

		{
			gatewayTests, gateway, "preflight", "a.example/cors-1", "https://www.foo.com", "https://www.foo.com",
			acam + ": GET, OPTIONS; " + acah + ": x-header-1, x-header-2; " + acac + ": true",
		},
		{gatewayTests, gateway, "preflight", "a.example/cors-1", "https://www.bar.com", "https://www.bar.com", ""},
		{gatewayTests, gateway, "preflight", "a.example/cors-1", "https://foobar.com", "", acam + ": "},
		{gatewayTests, gateway, "GET", "a.example/cors-1", "https://www.other.com", "", ""},
	} {
		host, path, _ := strings.Cut(c.target, "/")
		r := request{Method: c.method, Host: host, Path: "/" + path}
		if c.origin != "" {
			r.Headers = append(r.Headers, browser.Header{Name: "origin", Value: c.origin})
		}
		if c.method == "preflight" {
			r.Method = "OPTIONS"
			r.Headers = append(r.Headers, browser.Header{Name: "access-control-request-method", Value: "GET"})
		}
		answer := c.proxy(r, func(request) browser.Response { return browser.Response{Status: 200} })
		if got := value(answer, acao); got != c.want {
			t.Errorf("%s: %s to %s from %q: %q, want %q", c.where, c.method, c.target, c.origin, got, c.want)
		}
		for _, line := range strings.Split(c.also, "; ") {
			name, want, _ := strings.Cut(line, ": ")
			if got := value(answer, name); line != "" && got != want {
				t.Errorf("%s: %s to %s from %q: %s: %q, want %q", c.where, c.method, c.target, c.origin, name, got, want)
			}
		}
	}
}
