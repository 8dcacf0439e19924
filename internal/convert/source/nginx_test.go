package source

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"corsfilter/config"
	"corsfilter/internal/convert"
)

// nginxFile is an Ingress of ingress-nginx; annotations go without their prefix, and
// each line of paths is "host path type".
func nginxFile(name, annotations string, paths ...string) string {
	var b strings.Builder
	b.WriteString("---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: " + name + "\n")
	if age, _, dated := strings.Cut(name, "-"); dated {
		fmt.Fprintf(&b, "  creationTimestamp: \"20%s-01-01T00:00:00Z\"\n", age)
	}
	b.WriteString("  annotations:\n    x: y\n")
	for a := range strings.SplitSeq(annotations, "; ") {
		key, v, ok := strings.Cut(a, "=")
		if ok {
			fmt.Fprintf(&b, "    nginx.ingress.kubernetes.io/%s: %q\n", key, v)
		}
	}
	b.WriteString("spec:\n  ingressClassName: nginx\n  rules:\n")
	for _, p := range paths {
		words := strings.Fields(p)
		rule := "  - http: {paths: ["
		if words[0] != "_" {
			rule = fmt.Sprintf("  - host: %q\n    http: {paths: [", words[0])
		}
		kind := "Prefix"
		if len(words) > 2 {
			kind = words[2]
		}
		fmt.Fprintf(&b, "%s{path: %q, pathType: %s, backend: {service: {name: x, port: {number: 80}}}}]}\n", rule, words[1], kind)
	}
	return b.String()
}

// allow are the annotations of a policy for one origin.
func allow(name string) string {
	return "enable-cors=true; cors-allow-origin=https://" + name + ".example"
}

// TestNginxDecidesTheSame asks for hosts and paths what nginx's own order gives.
func TestNginxDecidesTheSame(t *testing.T) {
	for _, c := range []struct {
		name string
		file string
		want map[string]string // host path -> policy
	}{
		{"a prefix takes whole segments", nginxFile("i", allow("a"), "x /api"),
			map[string]string{"x /api": "a", "x /api/": "a", "x /api/v": "a", "x /apiv": "", "x /": "", "y /api": ""}},
		{
			"the longest prefix",
			nginxFile("i", allow("a"), "x /api") + nginxFile("j", allow("b"), "x /api/v1", "x /") + nginxFile("k", "", "x /api/v1/in"),
			map[string]string{"x /api/v": "a", "x /api/v1": "b", "x /api/v1/x": "b", "x /api/v1/in/x": "", "x /api/v1/inx": "b", "x /apix": "b"},
		},
		{"what is exact comes first", nginxFile("i", allow("a"), "x /api") + nginxFile("j", allow("b"), "x /api Exact", "x /api/v Exact"),
			map[string]string{"x /api": "b", "x /api/": "a", "x /api/v": "b", "x /api/v/": "a"}},
		{
			"ImplementationSpecific is Prefix", nginxFile("i", allow("a"), "x /api ImplementationSpecific"),
			map[string]string{"x /api/v": "a", "x /apix": ""},
		},
		{"a slash at the end", nginxFile("i", allow("a"), "x /api/") + nginxFile("j", allow("b"), "x /"),
			map[string]string{"x /api/": "a", "x /api/v": "a", "x /api": "", "x /apix": "b"}},
		{
			"a slash at the end beside an exact path", nginxFile("i", allow("a"), "x /api/") + nginxFile("j", allow("b"), "x /api Exact"),
			map[string]string{"x /api/": "a", "x /api": "b"},
		},
		{
			"the older one holds", nginxFile("24-i", allow("a"), "x /api") + nginxFile("23-j", allow("b"), "x /api"),
			map[string]string{"x /api": "b"},
		},
		{
			"of the same age, the name that is the last", nginxFile("23-i", allow("a"), "x /api") + nginxFile("23-j", allow("b"), "x /api"),
			map[string]string{"x /api": "b"},
		},
		{
			"a path of the same host without CORS",
			nginxFile("i", allow("a"), "x /") + nginxFile("j", "", "x /admin") + nginxFile(
				"k", "enable-cors=false; cors-allow-origin=https://b.example", "x /off",
			),
			map[string]string{"x /": "a", "x /admin/x": "", "x /adminx": "a", "x /off": ""},
		},
		{"hosts without each other's", nginxFile("i", allow("a"), "x /") + nginxFile("j", allow("b"), "*.x.org /", "y.x.org /p"),
			map[string]string{"x /": "a", "q.x.org /": "b", "y.x.org /p": "b", "y.x.org /": "", "x.org /": ""}},
		{
			"a longer wildcard", nginxFile("i", allow("a"), "*.org /") + nginxFile("j", allow("b"), "*.x.org /"),
			map[string]string{"x.org /": "a", "q.x.org /": "b"},
		},
		{
			"every other host", nginxFile("i", allow("a"), "x /api") + nginxFile("j", allow("b"), "_ /"),
			map[string]string{"x /api": "a", "x /": "", "y /": "b"},
		},
		{
			"names beside the host", nginxFile("i", allow("a")+"; server-alias=z, *.z.org, y", "x /") + nginxFile("j", allow("b"), "y /"),
			map[string]string{"x /": "a", "z /": "a", "q.z.org /": "a", "y /": "b"},
		},
		{
			"a canary", nginxFile("i", allow("a"), "x /") + nginxFile("j", allow("b")+"; canary=true", "x /", "x /api"),
			map[string]string{"x /": "a", "x /api": "a"},
		},
		{
			"a rewrite makes prefixes of letters",
			nginxFile("i", allow("a")+"; rewrite-target=/$1", "x /api/(.*)") + nginxFile("j", "", "x /web Exact"),
			map[string]string{"x /api/": "a", "x /api/v": "a", "x /api": "", "x /web": ""},
		},
		{
			"an optional end", nginxFile("i", allow("a")+"; rewrite-target=/$2", "x /api(/|$)(.*)", "x /b/?(.*)"),
			map[string]string{"x /api": "a", "x /api/v": "a", "x /apiv": "", "x /b": "a", "x /b/c": "a"},
		},
		{
			"a regex that ends", nginxFile("i", allow("a")+"; use-regex=true", "x /(a|b)$", "x /c/d"),
			map[string]string{"x /a": "a", "x /b": "a", "x /a/b": "", "x /c/d": "a", "x /c/d/e": "a"},
		},
		{"regexes in any letter case", nginxFile("i", "", "x /admin") + nginxFile("j", allow("b")+"; use-regex=true", "x /"),
			map[string]string{"x /admin": "", "x /ADMIN/x": "", "x /": "b"}},
		{
			"regexes of two policies",
			nginxFile("i", allow("a")+"; use-regex=true", "x /a/.*") + nginxFile("j", allow("b"), "x /a/b/long/path", "x /"),
			map[string]string{"x /a/b/long/path": "b", "x /A/B/LONG/path": "b", "x /A/q": "a", "x /q": "b"},
		},
		{"a dot is any letter in a regex", nginxFile("i", allow("a")+"; use-regex=true", "x /v1.0") + nginxFile("j", allow("b"), "x /"),
			map[string]string{"x /v1.0": "a", "x /v1x0/y": "a", "x /v10": "b"}},
		{
			"a regex", nginxFile("i", allow("a")+"; use-regex=true", "x /item/[0-9]+"),
			map[string]string{"x /item/7": "a", "x /item/7/x": "a", "x /item/x": ""},
		},
		{"a target that is the path", nginxFile("i", allow("a")+"; rewrite-target=/", "x /"), map[string]string{"x /": "a", "x /b": "a"}},
		{
			"other classes",
			nginxFile("i", allow("a"), "x /") + strings.Replace(
				nginxFile("j", allow("b"), "x /"), "ingressClassName: nginx", "ingressClassName: o", 1,
			) +
				"---\n{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: o}, spec: {controller: example.com/o}}\n",
			map[string]string{"x /": "a"},
		},
		{
			"a class of another name",
			strings.Replace(nginxFile("i", allow("a"), "x /"), "ingressClassName: nginx", "ingressClassName: public", 1),
			map[string]string{"x /": "a"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, problems := Convert([]convert.File{{Name: "ingress.yaml", Data: []byte(c.file)}}, convert.Options{})
			if problems != nil {
				t.Fatalf("%v\n%s", problems, c.file)
			}
			accepted(t, result)
			for request, want := range c.want {
				host, path, _ := strings.Cut(request, " ")
				if got := decides(t, result, host, path); got != want {
					t.Errorf("%s gets %q, want %q\n%s", request, got, want, result.JSON)
				}
			}
		})
	}
	for _, c := range []struct{ name, file, want string }{
		{"a regex that only nginx reads", nginxFile("i", allow("a")+"; use-regex=true", "x /(?!item)"), `the path "/(?!item)", which is a regex`},
		{
			"a location that is there twice", nginxFile("i", allow("a"), "x /api/") + nginxFile("j", "", "x /api"),
			`the same location as "/api/" of Ingress i`,
		},
		{"ages that are not known", nginxFile("i", allow("a"), "x /api") + nginxFile("j", allow("b"), "x /api"), "creationTimestamp"},
		{
			"one label, and something behind", nginxFile("i", allow("a"), "*.x /") + nginxFile("j", allow("b"), "_ /"),
			"exactly one label before x",
		},
		{
			"Istio's and nginx's for one host",
			nginxFile("i", allow("a"), "x /") + "---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, " +
				"metadata: {name: v}, spec: {hosts: [x], " +
				"gateways: [g], http: [{corsPolicy: {allowOrigins: [{exact: \"https://b.example\"}]}, route: [{destination: {host: h}}]}]}}\n",
			"-only",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, problems := Convert([]convert.File{{Name: "ingress.yaml", Data: []byte(c.file)}}, convert.Options{})
			if result != nil || !strings.Contains(problems.Error(), c.want) {
				t.Errorf("%v, want %q", problems, c.want)
			}
		})
	}
}

// TestNginxOrigins compares the origins of the result with what nginx's regex lets in.
func TestNginxOrigins(t *testing.T) {
	for _, c := range []struct {
		annotation      string
		accepts, denies []string
	}{
		{"https://a.example", []string{"https://a.example"}, []string{"http://a.example", "https://a.example:444", "https://b.a.example"}},
		{"https://A.example, http://b.example:8080 ,", []string{"https://a.example", "http://b.example:8080"}, []string{"http://b.example"}},
		{
			"https://*.a.example", []string{"https://b.a.example", "https://b-1.a.example"},
			[]string{"https://a.example", "https://c.b.a.example", "https://b_1.a.example"},
		},
		{"https://*.a.example:8443", []string{"https://b.a.example:8443"}, []string{"https://b.a.example", "https://bxa.example:8443"}},
		{"capacitor://localhost", []string{"capacitor://localhost"}, []string{"https://localhost"}},
		{"null", []string{"null"}, []string{"https://a.example"}},
	} {
		file := nginxFile("i", "cors-allow-credentials=false; enable-cors=true; cors-allow-origin="+c.annotation, "x /")
		result, problems := Convert(
			[]convert.File{{Name: "ingress.yaml", Data: []byte(file)}}, convert.Options{Tolerate: []string{"null-origin"}},
		)
		if problems != nil {
			t.Errorf("%q: %v", c.annotation, problems)
			continue
		}
		parsed, _, err := config.Parse(result.JSON)
		if err != nil {
			t.Fatal(err)
		}
		policy, _ := parsed.Select("x", "/")
		for _, o := range c.accepts {
			if policy.Origins.Match(o) != config.Matches {
				t.Errorf("%q does not let %s in", c.annotation, o)
			}
		}
		for _, o := range c.denies {
			if policy.Origins.Match(o) == config.Matches {
				t.Errorf("%q lets %s in", c.annotation, o)
			}
		}
	}
	// What ingress-nginx does not take is any origin there, and nothing here.
	for _, annotation := range []string{
		"https://a.example/", "HTTPS://a.example", "https://a.example:*", "https://*", "https://(a|b).example", "'https://a.example'",
		"https://a_b.example", "https://a.example\nhttps://b.example",
	} {
		file := nginxFile("i", "enable-cors=true; cors-allow-credentials=false; cors-allow-origin="+annotation, "x /")
		for _, o := range []convert.Options{{}, {Partial: true}} {
			if result, problems := Convert([]convert.File{{Name: "ingress.yaml", Data: []byte(file)}}, o); result != nil ||
				!strings.Contains(problems.Error(), "allows any origin instead") {
				t.Errorf("%q: %v", annotation, problems)
			}
		}
	}
}

// TestNginxStarWithCredentials: what browsers refuse is not opened, whatever is
// tolerated, and stops nobody.
func TestNginxStarWithCredentials(t *testing.T) {
	for annotations, sends := range map[string]string{
		"enable-cors=true":                      "by default `*`",
		"enable-cors=true; cors-allow-origin=*": "`*` as the allowed origin and, by default, `access-control-allow-credentials: true`",
		"enable-cors=true; cors-allow-origin=https://a.example, *; cors-allow-credentials=1": "" +
			"`*` as the allowed origin and `access-control-allow-credentials: true`",
		"enable-cors=true; cors-allow-credentials=": "by default `*`",
		"enable-cors=true; cors-expose-headers=*":   "by default `*`",
	} {
		f := []convert.File{{Name: "ingress.yaml", Data: []byte(nginxFile("i", annotations, "x /"))}}
		for _, o := range []convert.Options{{}, {Partial: true}, {Tolerate: []string{"any-origin-with-credentials"}}} {
			result, problems := Convert(f, o)
			if problems != nil {
				t.Errorf("%q, %v: %v", annotations, o, problems)
				continue
			}
			accepted(t, result)
			policy := result.Source.Rules[0].Policy
			if policy.Credentials || len(policy.Tolerate) > 0 || !strings.HasPrefix(policyText(result, 0), `{"allow_origins":["*"],`) ||
				len(result.Rules[0].Comments) > 0 || hasChange(result, convert.VaryIsSet) || hasChange(result, convert.AnyWithCredential) {
				t.Errorf("%q, %v: %s", annotations, o, result.JSON)
			}
			if strings.Contains(annotations, "expose") && !strings.Contains(policyText(result, 0), `"expose_headers":["*"]`) {
				t.Errorf("%q, %v: `*` is any to pages that read without credentials: %s", annotations, o, result.JSON)
			}
			said := slices.IndexFunc(result.Rules[0].Changes, func(c convert.Change) bool { return c.Kind == convert.StarCredentials })
			if said < 0 {
				t.Errorf("%q, %v: nothing is said of the credentials", annotations, o)
				continue
			}
			for _, want := range []string{sends, "browsers refuse", "without cookies", "list the origins that need them in cors-allow-origin"} {
				if text := result.Rules[0].Changes[said].Text; !strings.Contains(text, want) {
					t.Errorf("%q: no %q in %q", annotations, want, text)
				}
			}
		}
	}
	// There is nothing to say where no credentials are allowed.
	result, problems := Convert(
		[]convert.File{{Name: "ingress.yaml", Data: []byte(nginxFile("i", "enable-cors=true; cors-allow-credentials=false", "x /"))}},
		convert.Options{},
	)
	if problems != nil || strings.Contains(string(result.JSON), "credentials") || hasChange(result, convert.StarCredentials) {
		t.Errorf("%v %s", problems, result.JSON)
	}
}

func hasChange(r *convert.Result, kind convert.ChangeKind) bool {
	return slices.ContainsFunc(r.Rules, func(r convert.Rule) bool {
		return slices.ContainsFunc(r.Changes, func(c convert.Change) bool { return c.Kind == kind })
	})
}

// TestNginxLists compares the lists that go out with the annotations.
func TestNginxLists(t *testing.T) {
	for _, c := range []struct {
		annotation, value string
		want              string // in the result; empty: refused
	}{
		{"cors-allow-methods", "GET,PUT", `"allow_methods": ["GET", "PUT"]`},
		{"cors-allow-methods", "GET, PUT, ", `"allow_methods": ["GET", "PUT"]`},
		{"cors-allow-methods", "GET,  PUT", ""},
		{"cors-allow-methods", "GET , PUT", ""},
		{"cors-allow-methods", "GET, M-SEARCH", ""},
		{"cors-allow-methods", "GET PUT", ""}, // taken there, and no list for browsers
		{"cors-allow-methods", "", `"allow_methods": ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]`},
		{"cors-allow-headers", "X-A,  x_b ,", `"allow_headers": ["X-A", "x_b"]`},
		{"cors-allow-headers", "*", ""},
		{"cors-allow-headers", "", `"Range", "Authorization"]`},
		{"cors-expose-headers", "X-A, X-B", `"expose_headers": ["X-A", "X-B"]`},
		{"cors-expose-headers", "X-A;X-B", ""},
		{"cors-max-age", "-1", `"max_age": -1`},
		{"cors-max-age", "+60", `"max_age": 60`},
		{"cors-max-age", "-2", ""},
		{"cors-max-age", "1h", ""},
		{"cors-max-age", "", `"max_age": 1728000`},
		{"cors-allow-credentials", "False", `"max_age": 1728000`},
		{"cors-allow-credentials", "no", ""},
		{"enable-cors", "yes", ""},
	} {
		file := nginxFile("i", allow("a")+"; "+c.annotation+"="+c.value, "x /")
		if c.annotation == "enable-cors" {
			file = nginxFile("i", "enable-cors="+c.value, "x /") + nginxFile("j", allow("a"), "y /")
		}
		result, problems := Convert([]convert.File{{Name: "ingress.yaml", Data: []byte(file)}}, convert.Options{})
		switch {
		case (c.want == "") != (problems != nil):
			t.Errorf("%s %q: %v", c.annotation, c.value, problems)
		case problems == nil && !strings.Contains(string(result.JSON), c.want):
			t.Errorf("%s %q: %s", c.annotation, c.value, result.JSON)
		}
	}
}

// TestWhatIsSaidOfEqualPoliciesStays merges two that came from different annotations.
func TestWhatIsSaidOfEqualPoliciesStays(t *testing.T) {
	file := nginxFile("i", allow("a"), "x /") + nginxFile(
		"j", allow("a")+"; cors-max-age=1h; cors-allow-methods=GET, PUT, POST, DELETE, PATCH, OPTIONS, TRACE", "y /",
	)
	result, problems := Convert([]convert.File{{Name: "ingress.yaml", Data: []byte(file)}}, convert.Options{Partial: true})
	if problems != nil || len(result.Rules) != 1 || len(result.Rules[0].Comments) != 1 || !hasChange(result, convert.ForbiddenMethod) {
		t.Errorf("%v %+v", problems, result.Rules)
	}
	// The same for one that is not needed, since what stands behind it decides the same.
	file = nginxFile("i", allow("a"), "x /") + nginxFile(
		"j", allow("a")+"; cors-max-age=1h; cors-allow-methods=GET, PUT, POST, DELETE, PATCH, OPTIONS, TRACE", "x /api",
	)
	result, problems = Convert([]convert.File{{Name: "ingress.yaml", Data: []byte(file)}}, convert.Options{Partial: true})
	if problems != nil || len(result.Rules) != 1 || len(result.Rules[0].Comments) != 1 || !hasChange(result, convert.ForbiddenMethod) {
		t.Errorf("%v %+v", problems, result.Rules)
	}
}
