package source

import (
	"strings"
	"testing"
)

// delegateOf is a VirtualService without hosts, with routes as virtualServiceOf has them.
func delegateOf(name string, routes ...string) string {
	space, name, _ := strings.Cut(name, "/")
	text := strings.Replace(virtualServiceOf(routes...), "{name: v, namespace: s}", "{name: "+name+", namespace: "+space+"}", 1)
	return strings.Replace(text, "  hosts: [x.org]\n  gateways: [g]\n", "", 1)
}

// delegating turns destinations of a VirtualService into delegates.
func delegating(file, name string) string {
	space, name, _ := strings.Cut(name, "/")
	return strings.Replace(file, "  - route: [{destination: {host: d}}]\n", "  - delegate: {name: "+name+", namespace: "+space+"}\n", 1)
}

func TestDelegatesDecideTheSame(t *testing.T) {
	for _, d := range []decision{
		{name: "its routes, below the root's prefix", file: kubernetes(delegating(virtualServiceOf("{uri: {prefix: /v/}} => c", " => b"),
			"t/d"), delegateOf("t/d", "{uri: {prefix: /v/w/}} => a", "{uri: {prefix: /other/}} => a", "")),
			want: map[string]string{"x.org /v/w/q": "a", "x.org /v/": "c", "x.org /other/": "b"}},
		{name: "the root's match where it has none", file: kubernetes(delegating(virtualServiceOf("{uri: {exact: /v}}, {uri: {prefix: /w/}}"),
			"s/d"), delegateOf("s/d", " => a")),
			want: map[string]string{"x.org /v": "a", "x.org /w/": "a", "x.org /": ""}},
		{name: "everything that the root has none for", file: kubernetes(delegating(virtualServiceOf(""), "s/d"), delegateOf("s/d",
			"{uri: {exact: /v}} => a", " => b")),
			want: map[string]string{"x.org /v": "a", "x.org /w": "b"}},
		{name: "a match for each of the root's", file: kubernetes(delegating(virtualServiceOf("{uri: {prefix: /v/}}, {uri: {exact: /w}}"),
			"s/d"), delegateOf("s/d", "{method: {regex: GET|OPTIONS}} => a")),
			want: map[string]string{"x.org /v/": "a", "x.org /w": "a", "x.org /": ""}},
		{name: "a regex is within none", file: kubernetes(delegating(virtualServiceOf("{uri: {prefix: /v/}} => a", " => b"), "s/d"),
			delegateOf("s/d", "{uri: {regex: '/v/[0-9]+'}} => a")),
			want: map[string]string{"x.org /v/1": "b"}},
		{name: "not exported", file: kubernetes(delegating(virtualServiceOf("", " => b"), "t/d"), strings.Replace(delegateOf("t/d", " => a"),
			"  http:", "  exportTo: [\".\"]\n  http:", 1)),
			want: map[string]string{"x.org /": "b"}},
		{name: "refused: it is missing", file: delegating(virtualServiceOf("", " => b"), "t/d"),
			refused: "the delegate t/d is not in the files; add the VirtualService"},
		{name: "refused: nothing delegates to it", file: kubernetes(virtualServiceOf(" => a"), delegateOf("t/d", " => b")),
			refused: "VirtualService t/d: it has no hosts, and no VirtualService in the files delegates to it"},
		{name: "refused: it delegates", file: kubernetes(delegating(virtualServiceOf(" => a"), "t/d"), delegating(delegateOf("t/d",
			"{uri: {exact: /v}}"), "t/e"), delegateOf("t/e", " => b")), refused: "which Istio does not follow"},
		{name: "refused: a header of the root", file: kubernetes(delegating(virtualServiceOf(`{headers: {x-v: {exact: "1"}}}`), "t/d"),
			delegateOf("t/d", "{uri: {exact: /v}} => a")), refused: `the header "x-v"`},
	} {
		d.run(t)
	}
}
