package source

import (
	"strings"
	"testing"

	"corsfilter/internal/convert"
)

// TestRemediesAreInTheWordsOfTheFile: what is said can be done in the file that is read,
// with the values that stand there.
func TestRemediesAreInTheWordsOfTheFile(t *testing.T) {
	istio := func(matcher string) string {
		return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\nspec:\n  hosts: [x.org]\n  http:\n  - " +
			"corsPolicy: {allowCredentials: true, allowOrigins: [" + matcher + "]}\n"
	}
	envoy := func(matcher string) string {
		return envoyFile("            - {name: v, domains: [\"*\"], routes: [{match: {prefix: /}, route: {cluster: x}, " + envoyCors("allo"+
			"w_credentials: true, allow_origin_string_match: ["+matcher+"]") + "}]}\n")
	}
	kong := func(config string) string {
		return "_format_version: \"3.0\"\nservices:\n- {name: s, plugins: [{name: cors, config: {" + config + "}}], routes: [{name: r, " +
			"hosts: [x.org]}]}\n"
	}
	traefik := func(headers string) string {
		return "http:\n  middlewares: {m: {headers: {accessControlAllowCredentials: true, " + headers + "}}}\n  routers: {r: {rule: " +
			"'Host(`x.org`)', middlewares: [m]}}\n"
	}
	for _, c := range []struct{ name, file, want string }{
		{"Istio: a prefix that is an origin", istio(`{prefix: "https://app.example.net"}`),
			`write {exact: "https://app.example.net"} for that origin alone, or {regex: 'https://app\.example\.net(:[0-9]+)?'} ` +
				`for any port`},
		{"Istio: what the remedy says is taken", istio(`{exact: "https://app.example.net"}, {regex: 'https://app\.example\.net(:[0-9]+)?'}`), ""},
		{"Istio: a star where it is a letter", istio(`{exact: "https://*.example.net"}`),
			`a star stands for itself there; write {regex: 'https://[a-z0-9.-]+\.example\.net'}`},
		{"Istio: a prefix with a star", istio(`{prefix: "https://*.example.net"}`), `write {regex: 'https://[a-z0-9.-]+\.example\.net'}`},
		{"Istio: a prefix of names", istio(`{prefix: "https://app"}`), `each as {exact: "https://example.com"}`},
		{"Envoy: a suffix", envoy(`{suffix: ".example.net"}`),
			`write {safe_regex: {regex: 'https://[a-z0-9.-]+\.example\.net'}}, with its scheme`},
		{"Envoy: a suffix that is a name", envoy(`{suffix: "app.example.net"}`),
			`write {safe_regex: {regex: 'https://([a-z0-9.-]+\.)?app\.example\.net'}} for the name and those below it`},
		{"Envoy: a part of a label", envoy(`{safe_regex: {regex: "https://.*-preview\\.vercel\\.app"}}`),
			`write a regex that ends in a name of yours`},
		{"Envoy: a suffix in capitals", envoy(`{suffix: ".EXAMPLE.net", ignore_case: true}`),
			`write {safe_regex: {regex: 'https://[a-z0-9.-]+\.example\.net'}}, with its scheme`},
		{"Envoy: what the remedy says is taken", envoy(`{safe_regex: {regex: 'https://([a-z0-9.-]+\.)?app\.example\.net'}}`), ""},
		{"Envoy: a policy under another name than the filter's",
			strings.Replace(envoy(`{exact: "https://a.example"}`), "envoy.filters.http.cors: {", "envoy.filter.http.cors: {", 1),
			`it stands under the name "envoy.filter.http.cors", and the CORS filter among the http_filters is called "envoy.filters.http.cors"`},
		{"Envoy: a suffix with a star and a port", envoy(`{suffix: "*.example.net:8080"}`),
			`write {safe_regex: {regex: 'https://[a-z0-9.-]+\.example\.net:8080'}}`},
		{"Envoy: dots that are any letter", envoy(`{safe_regex: {regex: "https://.*.example.net"}}`),
			`write the dots of names as \., and a whole label in front, such as {safe_regex: {regex: 'https://[a-z0-9.-]+\.example\.net'}}`},
		{"Envoy: the name itself as well", envoy(`{safe_regex: {regex: "https://.*example.com"}}`),
			`such as {safe_regex: {regex: 'https://([a-z0-9.-]+\.)?example\.com'}}`},
		{"Envoy: nothing to go by", envoy(`{safe_regex: {regex: "https://.*"}}`), `write a regex that ends in a name of yours`},
		{"Kong: a pattern that is a regex", kong(`origins: ["https://*.example.app", "https://b.example"], credentials: true`),
			`it is a regex, and does not match https://pr-1.example.app; write 'https://[a-z0-9.-]+\.example\.app'`},
		{"Kong: what the remedy says is taken", kong(`origins: ['https://[a-z0-9.-]+\.example\.app'], credentials: true`), ""},
		{"Traefik: a pattern in the list", traefik(`accessControlAllowOriginList: ["https://*.example.app"]`),
			`write '^https://[a-z0-9.-]+\.example\.app$' in accessControlAllowOriginListRegex`},
		{"Traefik: a regex without an end", traefik(`accessControlAllowOriginListRegex: ['https://a\.example']`),
			`write ^ in front and $ behind, as '^https://a\.example$' in accessControlAllowOriginListRegex`},
		{"ingress-nginx: spaces", nginxFile("i", "enable-cors=true; cors-allow-origin=https://a.example https://b.example", "x /"),
			`separate origins with commas, not spaces; write "https://a.example, https://b.example"`},
		{"Envoy: a policy on a route that answers by itself",
			envoyFile(
				"            - {name: v, domains: [\"*\"], routes: [{match: {prefix: " +
					"/}, direct_response: {status: 200}, " + envoyCors(origin("a")) + "}]}\n",
			),
			"envoy.yaml:14:154: virtual host v routes[0]: the policy has no effect: the proxy answers these requests " +
				"itself (direct_response), and Envoy's filter does nothing there"},
		{"ingress-nginx: an origin without the switch", nginxFile("i", "cors-allow-origin=*", "x /"),
			`cors-allow-origin has no effect without enable-cors; add nginx.ingress.kubernetes.io/enable-cors: "true"`},
		{"Envoy: a policy on a host that redirects", envoyFile("            - {name: v, domains: [\"*\"], " + envoyCors(origin("a")) + ", " +
			"routes: [{match: {prefix: /}, redirect: {https_redirect: true}}]}\n"), "itself (redirect)"},
		{"Istio: a policy on a route that answers by itself", strings.Replace(istio("{exact: \"https://a.example\"}"), "  - cors",
			"  - directResponse: {status: 200}\n    cors", 1), "VirtualService v http[0]: the policy has no effect"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, problems := Convert([]convert.File{{Name: "envoy.yaml", Data: []byte(c.file)}}, convert.Options{})
			switch {
			case c.want == "" && problems != nil:
				t.Error(problems)
			case c.want != "" && (result != nil || len(problems) != 1 || !strings.Contains(problems.Error(), c.want)):
				t.Errorf("%v\nwant %s", problems, c.want)
			}
		})
	}
}

// TestARegexThatLooksLikeAPatternIsSaid, without credentials as well.
func TestARegexThatLooksLikeAPatternIsSaid(t *testing.T) {
	for origins, want := range map[string]bool{`"https://*.example.app"`: true, `'https://[a-z]+\.example\.app'`: false, `"*"`: false,
		`'https://.*\.example\.app'`: false} {
		file := "_format_version: \"3.0\"\nservices:\n- {name: s, plugins: [{name: cors, config: {origins: [" + origins + "]}}], routes: [" +
			"{name: r, hosts: [x.org]}]}\n"
		result, problems := Convert([]convert.File{{Name: "kong.yaml", Data: []byte(file)}}, convert.Options{})
		if problems != nil {
			t.Fatal(problems)
		}
		if got := hasChange(result, convert.ReadAsRegex); got != want {
			t.Errorf("%s: %v, %s", origins, got, shown(result, nil))
		}
	}
}

// TestAPatternInCapitalsIsSaid: it matches nobody in the source, as browsers send lower case.
func TestAPatternInCapitalsIsSaid(t *testing.T) {
	for name, file := range map[string]string{
		"Envoy Gateway": kubernetes(httpRouteOf("{path: {value: /}}"),
			strings.Replace(attachedTo("p", "kind: HTTPRoute, name: r", "a", ""), "https://a", "https://*.A", 1)),
		"the Gateway API": strings.Replace(httpRouteOf("{path: {value: /}} => a"), "https://a", "https://*.A", 1),
	} {
		result, problems := Convert([]convert.File{{Name: "f", Data: []byte(file)}}, convert.Options{})
		if problems != nil {
			t.Fatal(problems)
		}
		if !hasChange(result, convert.LetterCase) || !strings.Contains(policyText(result, 0), `"https://*.a.example"`) {
			t.Errorf("%s: %s", name, shown(result, nil))
		}
	}
}

// TestWhatIsNotReadIsNamed, with where to go instead.
func TestWhatIsNotReadIsNamed(t *testing.T) {
	const (
		labels = "services:\n  api:\n    labels:\n"
		spring = "spring:\n  cloud:\n    gateway:\n      globalcors:\n        cors-configurations: {'[/**]': {allowedOrigins: '*'}}\n"
		toml   = "[http.middlewares]\n  [http.middlewares.cors.headers]\n    accessControlAllowMethods = [\"GET\"]\n"
		script = "const cors = require('cors');\napp.use(cors({origin: '*'}));\n"
	)
	for _, c := range []struct{ name, text, want string }{
		{"compose.yaml", labels + "      - traefik.http.middlewares.c.headers.accesscontrolalloworiginlist=*\n",
			"compose.yaml:4:1: Traefik's container labels are not read"},
		{"compose.yaml", labels + "      \"traefik.http.middlewares.c.headers.accessControlMaxAge\": 5\n", "docs/migrate/traefik.md"},
		{"compose.yaml", labels + "      - traefik.http.middlewares.c.headers.customresponseheaders.Access-Control-Allow-Origin=*\n",
			"Traefik's container labels are not read"},
		{"<stdin>", "{{- if .Values.cors }}\nkind: Ingress\n{{- end }}\n", "<stdin>:1:1: templates are not read; render it first"},
		{"<stdin>", "kind: Ingress\nhost: {{ .Values.host }}\n", "<stdin>:2:1: templates are not read"},
		{"application.yaml", spring, "application.yaml:4:1: Spring's configuration is not read"},
		{"application.properties", "management.endpoints.web.cors.allowed-origins=*\n", "docs/migrate/code.md"},
		{"traefik.toml", "a = 1\n", "traefik.toml:1:1: TOML is not read"},
		{"<stdin>", toml, "<stdin>:1:1: TOML is not read"},
		{"server.js", script, "server.js:1:1: program code is not read"},
		{"<stdin>", script, "program code is not read"},
		{"main.py", "from fastapi.middleware.cors import CORSMiddleware\n", "docs/migrate/code.md"},
		{"a.yaml", "a: b\n", "nothing that can be converted is in the file"},
		{"a.yaml", "a: b: c\n", "is not YAML"},
	} {
		result, problems := Convert([]convert.File{{Name: c.name, Data: []byte(c.text)}}, convert.Options{})
		if result != nil || len(problems) != 1 || !strings.Contains(problems.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, problems, c.want)
		}
		// Beside a policy that is read it is no less said.
		result, problems = Convert([]convert.File{{Name: c.name, Data: []byte(c.text)}, {Name: "b", Data: []byte(virtualServiceOf(" => a"))}},
			convert.Options{})
		if (result == nil) != (c.name != "a.yaml" || strings.Contains(c.want, "YAML")) && c.name != "<stdin>" {
			t.Errorf("%s beside another file: %v", c.name, problems)
		}
	}
	// Labels about something else are nobody's policy.
	if _, problems := Convert([]convert.File{{Name: "compose.yaml", Data: []byte(labels + "      - traefik.enable=true\n")}, {Name: "b",
		Data: []byte(virtualServiceOf(" => a"))}}, convert.Options{}); problems != nil {
		t.Error(problems)
	}
}

// TestWhatIsKeptIsNotLeftOut: a rule that is there is not said to be left out, in no form.
func TestWhatIsKeptIsNotLeftOut(t *testing.T) {
	file := strings.Replace(httpRouteOf(`{path: {value: /v}}, {path: {value: /w}, headers: [{name: x-v, value: "1"}]} => a`,
		`{headers: [{name: x-v, value: "1"}]} => b`),
		"https://a.example", `https://a.example", "https://c.example/`, 1)
	result, problems := Convert([]convert.File{{Name: "f", Data: []byte(file)}}, convert.Options{Partial: true})
	if problems != nil {
		t.Fatal(problems)
	}
	said := shown(result, nil)
	for _, want := range []string{
		"left out: f:7: a part of HTTPRoute s/r rules[0]: asks for the header",
		"left out: f:8: a part of HTTPRoute s/r rules[0]: allow_origins: \"https://c.example/\"",
		"left out: f:9: HTTPRoute s/r rules[1]: asks for the header", `"name": "HTTPRoute s/r rules[0] (without f:`,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%s\nwant %s", said, want)
		}
	}
	yaml, err := result.Format("yaml")
	if err != nil || strings.Contains(string(yaml), "7: HTTPRoute") || !strings.Contains(string(yaml), "name: HTTPRoute s/r rules[0]\n") {
		t.Errorf("%v\n%s", err, yaml)
	}
}

// TestTextsThatAreTaken: what proxies take, and what is refused by name alone.
func TestTextsThatAreTaken(t *testing.T) {
	envoy := func(fields string) string {
		return envoyFile(
			"            - {name: v, domains: [\"*\"], routes: [{match: {prefix: /}, route: {cluster: x}, " + envoyCors(fields) + "}]}\n",
		)
	}
	const file = `"allow_origins":[{"origin":"file://","dangerously_tolerate":["null-origin"]}`
	for _, c := range []struct{ name, text, want string }{
		{"any host of an HTTPRoute", strings.Replace(httpRouteOf("{path: {value: /}} => a"), "https://a.example", "https://*", 1),
			`{"allow_origins":["https://*:*"],"max_age":5}`},
		{"spaces around seconds", envoy(origin("a") + `, max_age: " 600"`), `{"allow_origins":["https://a.example"],"max_age":600}`},
		{"file:// in Envoy", envoy(`allow_origin_string_match: [{exact: "file://"}]`), file},
		{"file:// in an HTTPRoute", strings.Replace(httpRouteOf("{path: {value: /}} => a"), "https://a.example", "file://", 1), file},
		{"file:// in Istio", strings.Replace(virtualServiceOf(" => a"), "https://a.example", "file://", 1), file},
		{"file:// in Kong", strings.Replace(kongFileOf("hosts: [x] => a"), "https://a.example", "file://", 1), file},
		{"file:// in Traefik", strings.Replace(traefikFileOf("Host(`x`) => a"), "https://a.example", "file://", 1), file},
		{"file:// in ingress-nginx", nginxFile("i", "enable-cors=true; cors-allow-origin=file://", "x /"), file},
	} {
		input := []convert.File{{Name: "f", Data: []byte(c.text)}}
		result, problems := Convert(input, convert.Options{Tolerate: []string{"null-origin"}})
		if problems != nil || !strings.Contains(policyText(result, 0), c.want) {
			t.Errorf("%s: %v %s\nwant %s", c.name, problems, shown(result, nil), c.want)
		}
		if _, problems := Convert(input, convert.Options{}); (problems != nil) != (c.want == file) || problems != nil &&
			!strings.Contains(problems.Error(), "convert with -tolerate null-origin") {
			t.Errorf("%s: %v", c.name, problems)
		}
	}
}
