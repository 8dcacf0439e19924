package ship

import (
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Media types of the Wasm Image Specification, variant "oci".
const (
	wasmConfigType  types.MediaType = "application/vnd.module.wasm.config.v1+json"
	wasmContentType types.MediaType = "application/vnd.module.wasm.content.layer.v1+wasm"
)

// runtimeConfig says which host the module is for.
type runtimeConfig struct {
	Type        string   `json:"type"`
	ABIVersions []string `json:"abiVersions"`
}

// Artifact packs the module as an OCI artifact: the variant "oci" of the Wasm
// Image Specification. The runtime configuration stands in it twice, as the
// manifest's config and as a layer: tools tell artifacts by the config's media
// type, and Istio's fetcher takes only manifests with exactly these two layers.
func Artifact(module []byte, source Source) (v1.Image, error) {
	config, err := json.Marshal(runtimeConfig{Type: "envoy_proxy", ABIVersions: []string{"0.2.1"}})
	if err != nil {
		return nil, err
	}
	a := &artifact{config: config, layers: map[v1.Hash]v1.Layer{}}
	a.manifest = v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Annotations:   source.annotations(),
	}
	for _, part := range []struct {
		content   []byte
		mediaType types.MediaType
		file      string
	}{
		{config, wasmConfigType, "runtime-config.json"},
		{module, wasmContentType, moduleFile},
	} {
		layer := static.NewLayer(part.content, part.mediaType)
		d, err := partial.Descriptor(layer)
		if err != nil {
			return nil, err
		}
		a.layers[d.Digest] = layer
		d.Annotations = map[string]string{"org.opencontainers.image.title": part.file}
		a.manifest.Layers = append(a.manifest.Layers, *d)
	}
	a.manifest.Config = v1.Descriptor{MediaType: wasmConfigType, Digest: a.manifest.Layers[0].Digest, Size: a.manifest.Layers[0].Size}
	return partial.CompressedToImage(a)
}

// artifact implements partial.CompressedImageCore. The library's own images
// have a container's configuration, which an artifact has not.
type artifact struct {
	config   []byte
	manifest v1.Manifest
	layers   map[v1.Hash]v1.Layer
}

func (a *artifact) RawConfigFile() ([]byte, error) { return a.config, nil }

func (a *artifact) MediaType() (types.MediaType, error) { return a.manifest.MediaType, nil }

func (a *artifact) RawManifest() ([]byte, error) { return json.Marshal(a.manifest) }

func (a *artifact) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	if layer, ok := a.layers[h]; ok {
		return layer, nil
	}
	return nil, fmt.Errorf("the artifact has no layer %s", h)
}

var _ partial.CompressedImageCore = (*artifact)(nil)
