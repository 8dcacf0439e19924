package mesh

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	gatewayPort = 22100
	page        = "http://localhost:8000" // whose origin istio.yaml allows
)

var (
	allowed    = from{port: gatewayPort, origin: page}
	notAllowed = from{port: gatewayPort, origin: "https://evil.example"}
)

// preflightAnswer is what istio.yaml says, with a max_age.
func preflightAnswer(age int) string {
	return fmt.Sprintf("204 access-control-allow-credentials: true; access-control-allow-headers: x-demo; access-control-allow-methods: PUT; "+
		"access-control-allow-origin: %s; access-control-expose-headers: x-demo-upstream; access-control-max-age: %d; "+
		"vary: origin, access-control-request-method, access-control-request-headers", page, age)
}

const (
	denied   = "403 vary: origin, access-control-request-method, access-control-request-headers"
	readable = "access-control-allow-credentials: true; access-control-allow-origin: " + page +
		"; access-control-expose-headers: x-demo-upstream; vary: origin"
)

func put8000() (answer, error)  { return allowed.preflight("PUT") }
func own() (answer, error)      { return allowed.get("/own") }
func noOrigin() (answer, error) { return from{port: gatewayPort}.get("/own") }
func putEvil() (answer, error)  { return notAllowed.preflight("PUT") }
func getEvil() (answer, error)  { return notAllowed.get("/own") }

// gateway runs the proxy that istio.yaml is for, with resources.
func gateway(t *testing.T, p proxy, resources ...object) *process {
	t.Helper()
	stockPilot(t)
	applied(t, append(append(gatewayOn("public", gatewayPort), serviceOf("upstream.lab", "istio-ingress", 22600)), resources...)...)
	return p.run(t)
}

// TestGateway applies istio.yaml, changes its policy and its module while requests come,
// and takes it away.
func TestGateway(t *testing.T) {
	plugin := shipped("istio.yaml")
	agent := gateway(t, newGateway(), plugin)
	gives(t, preflightAnswer(600), put8000)
	expect(t, denied, putEvil)
	expect(t, "200 "+readable, own)
	expect(t, "200 vary: origin", getEvil)
	expect(t, "200 vary: origin", noOrigin)

	t.Run("a new policy loses no request", func(t *testing.T) {
		l := underLoad(t, allowed, preflightAnswer(600), "200 "+readable)
		again(t, aged(plugin, 700))
		gives(t, preflightAnswer(700), put8000)
		l.only(t, preflightAnswer(700), "200 "+readable)
	})
	t.Run("a refused policy changes nothing", func(t *testing.T) {
		mark := agent.mark()
		l := underLoad(t, allowed, preflightAnswer(700), "200 "+readable)
		again(t, broken(aged(plugin, 701)))
		logged(t, agent, mark, "configuration: allow_orgins: unknown key")
		l.only(t, preflightAnswer(700), "200 "+readable)
		again(t, aged(plugin, 702))
		gives(t, preflightAnswer(702), put8000)
	})
	t.Run("a new module loses no request", func(t *testing.T) {
		mark := agent.mark()
		l := underLoad(t, allowed, preflightAnswer(702), "200 "+readable)
		newer := with(with(aged(plugin, 703), "oci://"+repository+":1.0.1-oci", "spec", "url"), newDigest, "spec", "sha256")
		again(t, newer)
		gives(t, preflightAnswer(703), put8000)
		l.only(t, preflightAnswer(703), "200 "+readable)
		if len(agent.said(mark, "1.0.1-oci")) == 0 {
			t.Error("the agent did not fetch the new module")
		}
		again(t, aged(plugin, 704))
		gives(t, preflightAnswer(704), put8000)
	})
	t.Run("removed under load", func(t *testing.T) {
		const bare = "200 access-control-allow-credentials: true; access-control-allow-origin: *"
		l := underLoad(t, allowed, preflightAnswer(704), "200 "+readable)
		if err := remove(plugin); err != nil {
			t.Fatal(err)
		}
		gives(t, bare, own)
		l.only(t, bare, "200")
	})
}

// TestBeforeAuthentication has a gateway ask for a token, and look at who may come.
func TestBeforeAuthentication(t *testing.T) {
	jwks, token := tokens(t)
	metadata := object{"name": "token", "namespace": "istio-ingress"}
	gateway(t, newGateway(), shipped("istio.yaml"),
		object{"apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication", "metadata": metadata,
			"spec": object{
				"selector": object{"matchLabels": object{"istio": "ingress"}},
				"jwtRules": []any{object{"issuer": "mesh", "jwks": jwks}},
			}},
		object{"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": metadata,
			"spec": object{"selector": object{"matchLabels": object{"istio": "ingress"}}, "action": "ALLOW",
				"rules": []any{object{"from": []any{object{"source": object{"requestPrincipals": []any{"*"}}}}}}}})
	gives(t, "403 "+readable, own)
	gives(t, preflightAnswer(600), put8000)
	expect(t, denied, putEvil)
	expect(t, "403 vary: origin", getEvil)
	with := func(token string) func() (answer, error) {
		return func() (answer, error) {
			return from{port: gatewayPort, origin: page, headers: map[string]string{"Authorization": "Bearer " + token}}.get("/own")
		}
	}
	expect(t, "401 "+readable, with("x.y.z"))
	expect(t, "200 "+readable, with(token))
}

// tokens are keys, in the form that proxies read, and a token signed by one.
func tokens(t *testing.T) (jwks, token string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err = jwt.Signed(signer).Claims(
		jwt.Claims{Issuer: "mesh", Subject: "user", Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour))},
	).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text), token
}

// TestPriority has two plugins in one phase: the one with the higher number comes first,
// and answers.
func TestPriority(t *testing.T) {
	plugin := shipped("istio.yaml")
	other := with(with(aged(plugin, 1), "other", "metadata", "name"), "other", "spec", "pluginName")
	lower := with(other, 10, "spec", "priority")
	gateway(t, newGateway(), plugin, lower)
	gives(t, preflightAnswer(600), put8000)
	again(t, with(other, 2000, "spec", "priority"))
	gives(t, preflightAnswer(1), put8000)
	expect(t, "200 "+readable, own)
}

// TestTargetRefs attaches the plugin to a Gateway of the Gateway API, in place of the
// selector.
func TestTargetRefs(t *testing.T) {
	plugin := with(with(shipped("istio.yaml"), nil, "spec", "selector"),
		[]any{object{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "api"}}, "spec", "targetRefs")
	p := newGateway()
	p.labels = map[string]string{"gateway.networking.k8s.io/gateway-name": "api", "istio": "ingress"}
	gateway(t, p, plugin)
	gives(t, preflightAnswer(600), put8000)
	again(t, with(plugin, []any{object{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "another"}}, "spec", "targetRefs"))
	gives(t, "200 access-control-allow-credentials: true; access-control-allow-origin: *", own)
}

// TestWhatShows looks for the filter's log line and its counters, with the annotations of
// the manifests and without.
func TestWhatShows(t *testing.T) {
	for name, shows := range map[string]bool{"with Istio's defaults": false, "with the annotations": true} {
		t.Run(name, func(t *testing.T) {
			p := newGateway()
			if !shows {
				p.componentLogLevel, p.statistics = "", ""
			}
			agent := gateway(t, p, shipped("istio.yaml"))
			gives(t, preflightAnswer(600), put8000)
			if lines := agent.said(0, "in effect"); (len(lines) > 0) != shows {
				t.Errorf("the log has %d lines of the policy", len(lines))
			}
			// The filter hands its counts over once a second.
			eventually(t, func() error {
				a, err := from{port: p.prometheus()}.get("/stats/prometheus")
				if err == nil && !regexp.MustCompile(`(?m)^cors_preflight_allowed(\{\})? [1-9]`).MatchString(a.body) {
					err = fmt.Errorf("no preflight counted")
				}
				return err
			})
		})
	}
}
