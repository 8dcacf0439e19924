// Package istio pulls the images as Istio does: through the fetcher that
// istio-agent runs for a WasmPlugin with an oci:// URL.
package istio

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"istio.io/istio/pkg/wasm"

	"corsfilter/internal/ship"
)

func TestIstioFetchesBothForms(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // nobody's credentials
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	module := built(t)
	source, err := ship.Describe(".", "1.2.0")
	if err != nil {
		t.Fatal(err)
	}
	image, err := ship.Image(module, source)
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := ship.Artifact(module, source)
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := ship.Push(context.Background(), strings.TrimPrefix(server.URL, "http://")+"/team/corsfilter", image, artifact, source)
	if err != nil {
		t.Fatal(err)
	}
	if len(pushed) != 2 {
		t.Fatalf("pushed %v", pushed)
	}
	for _, p := range pushed {
		fetch, digest, err := wasm.NewImageFetcher(context.Background(), wasm.ImageFetcherOption{}).PrepareFetch(p.Reference)
		if err != nil {
			t.Fatalf("%s: %v", p.Reference, err)
		}
		if "sha256:"+digest != p.Digest {
			t.Errorf("%s: Istio sees the digest %s, the push said %s", p.Reference, digest, p.Digest)
		}
		got, err := fetch()
		if err != nil {
			t.Errorf("%s: %v", p.Reference, err)
		} else if !bytes.Equal(got, module) {
			t.Errorf("%s: Istio gets %d bytes, not the %d of the module", p.Reference, len(got), len(module))
		}
	}
}

// built is the module that make built.
func built(t *testing.T) []byte {
	t.Helper()
	path := os.Getenv("CORSFILTER_WASM")
	if path == "" {
		t.Fatal("CORSFILTER_WASM names no module; run make test from the root")
	}
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return module
}
