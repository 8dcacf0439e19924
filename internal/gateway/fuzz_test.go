package gateway

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

// FuzzLoad holds Load to its contract on any text: a configuration that can be
// started, or Problems that say why not.
func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile(root + "envoy.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add(file{routes: apiRoute, clusters: api, filters: plugin("one", "", "")}.yaml())
	f.Add(file{manager: accessLog("%REQ(A?B)% %%"), routes: `{match: {path: /}, direct_response: {status: 200}}`}.yaml())
	f.Add([]byte(`{"static_resources": {"listeners": [{"é": [1, {"a": null}]}]}}`))
	f.Add([]byte("static_resources: {listeners: [{}, {filter_chains: [{filters: [{}]}]}], clusters: [{}]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		config, err := Load(text, LoadOptions{
			ReadFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist },
		})
		var problems Problems
		if err != nil && (!errors.As(err, &problems) || len(problems) == 0 || config != nil) {
			t.Fatalf("%v, %v", config, err)
		}
		if err != nil {
			return
		}
		for _, l := range config.listeners {
			if l.manager == nil || l.address == "" {
				t.Fatalf("an incomplete listener was accepted: %+v", l)
			}
			// Whatever was accepted can be asked.
			if r := l.manager.route("/"); r != nil && r.cluster == nil && r.direct == nil && r.redirect == "" {
				t.Fatalf("a route without action was accepted: %+v", r)
			}
		}
	})
}
