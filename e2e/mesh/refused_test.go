package mesh

import (
	"errors"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// strategies are the values of failStrategy.
var strategies = []string{"FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"}

// TestRefusedAtTheStart starts proxies that a refused policy is waiting for.
func TestRefusedAtTheStart(t *testing.T) {
	for _, strategy := range strategies {
		t.Run(strategy, func(t *testing.T) {
			plugin := with(shipped("istio.yaml"), strategy, "spec", "failStrategy")
			gateway(t, newGateway(), broken(plugin))
			gives(t, "500", own)
			gives(t, "500", put8000)
			again(t, aged(plugin, 601))
			gives(t, preflightAnswer(601), put8000)
		})
	}
}

// TestRefusedAndClosed has the environment ask for a filter that closes.
func TestRefusedAndClosed(t *testing.T) {
	plugin := shipped("istio.yaml")
	environment, _ := at(plugin, "spec", "vmConfig", "env").([]any)
	plugin = with(plugin, append(environment, object{"name": "CORSFILTER_REFUSED", "value": "closed"}), "spec", "vmConfig", "env")
	gateway(t, newGateway(), broken(plugin))
	gives(t, denied, put8000)
	expect(t, "200 vary: origin", own)
	again(t, aged(plugin, 601))
	gives(t, preflightAnswer(601), put8000)
	again(t, broken(aged(plugin, 602)))
	gives(t, denied, put8000)
	second := from{port: gatewayPort + 1, origin: page}
	applied(t, gatewayOn("second", second.port)...)
	gives(t, denied, func() (answer, error) { return second.preflight("PUT") })
}

// TestRefusedWhileServing looks at what a refused policy does beside keeping the one
// before.
func TestRefusedWhileServing(t *testing.T) {
	plugin := shipped("istio.yaml")
	agent := gateway(t, newGateway(), plugin)
	gives(t, preflightAnswer(600), put8000)
	age := 900
	refuse := func(t *testing.T) {
		t.Helper()
		mark := agent.mark()
		age++ // what is refused already is not pushed again
		again(t, broken(aged(plugin, age)))
		logged(t, agent, mark, "configuration: allow_orgins: unknown key")
	}
	t.Run("istiod counts it, under the name that the alert asks for", func(t *testing.T) {
		refuse(t)
		alerts, err := os.ReadFile(filepath.Join(root, "deploy/prometheus/alerts.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(alerts), `pilot_total_xds_rejects{type=~"lds|ecds"}`) {
			t.Error("the alert asks for something else")
		}
		eventually(t, func() error {
			a, err := from{port: 22014}.get("/metrics")
			if err == nil && !strings.Contains(a.body, `pilot_total_xds_rejects{type="ecds"}`) {
				err = errors.New("istiod counts no refusal")
			}
			return err
		})
	})
	second := from{port: gatewayPort + 1, origin: page}

	t.Run("a new listener waits for one more change", func(t *testing.T) {
		refuse(t)
		mark := agent.mark()
		applied(t, gatewayOn("second", second.port)...)
		logged(t, agent, mark, "rejected")
		if a, err := second.get("/own"); err == nil {
			t.Errorf("the new listener answers: %s", a)
		}
		again(t, aged(plugin, 601))
		gives(t, preflightAnswer(601), put8000)
		never(t, preflightAnswer(601), func() (answer, error) { return second.preflight("PUT") })
		again(t, aged(plugin, 602))
		gives(t, preflightAnswer(602), func() (answer, error) { return second.preflight("PUT") })
	})
	t.Run("taken away and applied again it waits for one more change", func(t *testing.T) {
		refuse(t)
		if err := remove(plugin); err != nil {
			t.Fatal(err)
		}
		gives(t, "200 access-control-allow-credentials: true; access-control-allow-origin: *", own)
		again(t, aged(plugin, 603))
		never(t, preflightAnswer(603), put8000)
		again(t, aged(plugin, 604))
		gives(t, preflightAnswer(604), put8000)
	})
}

// TestRegistryThatComesBack is not asked by itself, but with the next change.
func TestRegistryThatComesBack(t *testing.T) {
	plugin := with(shipped("istio.yaml"), "oci://"+lateAddress+"/team/corsfilter:1.0.0", "spec", "url")
	gateway(t, newGateway(), plugin)
	gives(t, "403", own)
	back := serve(lateAddress, httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: registryAddress}))
	t.Cleanup(func() { back.Close() })
	never(t, preflightAnswer(600), put8000)
	expect(t, "403", own)
	again(t, aged(plugin, 601))
	gives(t, preflightAnswer(601), put8000)
}

// never gives an answer five seconds to come: what it waits for is that it does not.
func never(t *testing.T, unwanted string, ask func() (answer, error)) {
	t.Helper()
	if err := until(5*time.Second, func() error { return isAnswer(unwanted, ask) }); err == nil {
		t.Errorf("it came by itself: %s", unwanted)
	}
}

// TestModuleThatCannotBeFetched names a registry that is not there, and a digest that is
// another's, while a gateway serves.
func TestModuleThatCannotBeFetched(t *testing.T) {
	agent := gateway(t, newGateway())
	for name, miss := range map[string]func(object) object{
		"another digest": func(o object) object {
			return with(o, "1111111111111111111111111111111111111111111111111111111111111111", "spec", "sha256")
		},
		"no registry": func(o object) object { return with(o, "oci://"+lateAddress+"/team/corsfilter:1.0.0", "spec", "url") },
	} {
		for _, strategy := range strategies {
			t.Run(name+" "+strategy, func(t *testing.T) {
				plugin := with(shipped("istio.yaml"), strategy, "spec", "failStrategy")
				applied(t, plugin)
				gives(t, preflightAnswer(600), put8000)
				mark := agent.mark()
				again(t, miss(aged(plugin, 605)))
				if strategy == "FAIL_OPEN" {
					gives(t, "200 access-control-allow-credentials: true; access-control-allow-origin: *", own)
				} else {
					gives(t, "403", own)
					expect(t, "403", put8000)
				}
				logged(t, agent, mark, "wasm.*(error|fail)")
				again(t, aged(plugin, 606))
				gives(t, preflightAnswer(606), put8000)
			})
		}
	}
}
