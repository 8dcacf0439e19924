package source

import (
	"fmt"
	"strings"
	"testing"
)

// attachedTo is a SecurityPolicy with one origin, or without cors where the origin is
// empty; target is the body of a reference.
func attachedTo(name, target, origin, more string) string {
	text := "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: " + name +
		", namespace: s}\nspec:\n  targetRefs: [{group: gateway.networking.k8s.io, " + target + "}]\n" + more
	if origin != "" {
		text += fmt.Sprintf("  cors: {allowOrigins: [\"https://%s.example\"]}\n", origin)
	}
	return text
}

func TestSecurityPoliciesDecideTheSame(t *testing.T) {
	route := func(name, host string) string {
		return "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: " + name + ", namespace: s, labels: {app: " + name +
			"}}\nspec:\n  parentRefs: [{name: g}]\n  hostnames: [" + host + "]\n  rules:\n" +
			"  - {name: v, matches: [{path: {value: /v}}]}\n" +
			"  - {matches: [{path: {value: /own}}], filters: [{type: CORS, cors: {allowOrigins: [\"https://c.example\"]}}]}\n  - {}\n"
	}
	gateway := "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: s}\n" +
		"spec: {listeners: [{name: one, port: 80}, {name: two, port: 81}]}\n"
	const forGateway, forRoute, forSet = "kind: Gateway, name: g", "kind: HTTPRoute, name: x", "kind: ListenerSet, name: l"
	set := "apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {name: l, namespace: s}\n" +
		"spec: {parentRef: {name: g}, listeners: [{name: three, port: 82}]}\n"
	atSet := strings.Replace(route("x", "x"), "{name: g}", "{kind: ListenerSet, name: l}", 1)
	dated := func(policy, year string) string {
		return policy[:len(
			"apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {",
		)] + "creationTimestamp: \"" + year + "-01-01T00:00:00Z\", " + policy[len(
			"apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {",
		):]
	}
	for _, d := range []decision{
		{name: "for a Gateway", file: kubernetes(route("x", "x"), route("y", "y"), attachedTo("p", forGateway, "a", "")),
			want: map[string]string{"x /": "a", "y /v": "a", "x /own": "c"}},
		{
			name: "a route's displaces it",
			file: kubernetes(route("x", "x"), route("y", "y"), attachedTo("p", forGateway, "a", ""), attachedTo("q", forRoute, "b", "")),
			want: map[string]string{"x /": "b", "x /v": "b", "y /": "a", "x /own": "c"},
		},
		{
			name: "a rule's displaces that",
			file: kubernetes(route("x", "x"), attachedTo("p", forRoute, "a", ""), attachedTo("q", forRoute+", sectionName: v", "b", "")),
			want: map[string]string{"x /": "a", "x /v": "b", "x /v/w": "b", "x /vw": "a"},
		},
		{
			name: "one without cors displaces as well",
			file: kubernetes(route("x", "x"), route("y", "y"), attachedTo("p", forGateway, "a", ""), attachedTo("q", forRoute, "", "  jwt: {}\n")),
			want: map[string]string{"x /": "", "x /v": "", "y /": "a"},
		},
		{
			name: "unless it is merged",
			file: kubernetes(
				route("x", "x"), attachedTo("p", forGateway, "a", ""), attachedTo("q", forRoute, "", "  mergeType: StrategicMerge\n  jwt: {}\n"),
			),
			want: map[string]string{"x /": "a"},
		},
		{
			name: "the older one",
			file: kubernetes(route("x", "x"), dated(attachedTo("p", forRoute, "a", ""), "2025"), dated(attachedTo("q", forRoute, "b", ""), "2024")),
			want: map[string]string{"x /": "b"},
		},
		{
			name: "of the same age, the first by name",
			file: kubernetes(route("x", "x"), dated(attachedTo("q", forRoute, "a", ""), "2025"), dated(attachedTo("p", forRoute, "b", ""), "2025")),
			want: map[string]string{"x /": "b"},
		},
		{
			name: "a listener's",
			file: kubernetes(
				gateway, route("x", "x"),
				"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: z, namespace: s}\n"+
					"spec: {parentRefs: [{name: g, sectionName: two}], hostnames: [z], rules: [{}]}\n",
				attachedTo("p", forGateway, "a", ""), attachedTo("q", forGateway+", sectionName: two", "b", ""),
			),
			refused: "do not agree",
		},
		{
			name:    "a listener's for routes at all",
			file:    kubernetes(gateway, route("x", "x"), attachedTo("q", forGateway+", sectionName: two", "b", "")),
			refused: "for the listener two alone",
		},
		{name: "a Gateway's for its ListenerSet", file: kubernetes(gateway, set, atSet, attachedTo("p", forGateway, "a", "")),
			want: map[string]string{"x /": "a", "x /own": "c"}},
		{
			name: "a ListenerSet's displaces it",
			file: kubernetes(set, atSet, attachedTo("p", forGateway, "a", ""), attachedTo("q", forSet, "b", "")),
			want: map[string]string{"x /": "b"},
		},
		{
			name:    "a listener's of the Gateway is none of a ListenerSet's",
			file:    kubernetes(gateway, set, atSet, attachedTo("q", forGateway+", sectionName: two", "b", "")),
			refused: "no route of its target Gateway s/g",
		},
		{
			name:    "a ListenerSet that is missing",
			file:    kubernetes(gateway, atSet, route("y", "y"), attachedTo("p", forGateway, "a", "")),
			refused: "HTTPRoute s/x rules[0]: its ListenerSet s/l is not in the files",
		},
		{name: "nobody", file: kubernetes(route("x", "x"), attachedTo("p", forRoute, "", "  cors: {allowMethods: [GET]}\n")),
			want: map[string]string{"x /": "?"}},
		{
			name:    "ages that are not known",
			file:    kubernetes(route("x", "x"), attachedTo("p", forRoute, "a", ""), attachedTo("q", forRoute, "b", "")),
			refused: "creationTimestamp",
		},
		{name: "no route", file: kubernetes(gateway, attachedTo("p", forGateway, "a", "")), refused: "no route of its target Gateway s/g"},
		{
			name:    "another namespace",
			file:    kubernetes(route("x", "x"), attachedTo("p", "kind: HTTPRoute, name: other", "a", "")),
			refused: "no route of its target HTTPRoute s/other",
		},
	} {
		d.run(t)
	}
}
