package envoytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Pushes is a file that lists listeners (LDS), as a control plane would push them.
type Pushes struct {
	file    string
	version int
}

// NewPushes returns one without listeners. More and Arguments have an Envoy watch it.
func NewPushes(t testing.TB) *Pushes {
	return &Pushes{file: filepath.Join(t.TempDir(), "lds.json")}
}

// More is for a Bootstrap, and Arguments for the options: Envoy wants to have a name
// where it is pushed to.
func (p *Pushes) More() string {
	return fmt.Sprintf("dynamic_resources: {lds_config: {path_config_source: {path: %q}}}", p.file)
}

// Arguments is More's other half.
func (p *Pushes) Arguments() []string {
	return []string{"--service-node", "test", "--service-cluster", "test"}
}

// Push puts these listeners in the place of those before.
func (p *Pushes) Push(t testing.TB, listeners ...Listener) {
	t.Helper()
	var resources []any
	for _, l := range listeners {
		resource := l.object(t)
		resource["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener"
		resources = append(resources, resource)
	}
	p.version++
	text, err := json.Marshal(object{"version_info": fmt.Sprint(p.version), "resources": resources})
	if err == nil {
		// Envoy watches for a file that is moved to its place.
		err = errors.Join(os.WriteFile(p.file+".next", text, 0o644), os.Rename(p.file+".next", p.file))
	}
	if err != nil {
		t.Fatal(err)
	}
}
