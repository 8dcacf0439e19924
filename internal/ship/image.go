package ship

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// moduleFile is where the Wasm Image Specification, variant "compat", has the
// module: at the root of the only layer. Istio looks for it by this name.
const moduleFile = "plugin.wasm"

// title is the image's name for people.
const title = "corsfilter"

// annotations are those that the OCI image specification predefines, and one for the
// compiler, for which it has none.
func (s Source) annotations() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       title,
		"org.opencontainers.image.description": "CORS filter for Envoy and Istio, a proxy-wasm module",
		"org.opencontainers.image.version":     s.Version,
		"org.opencontainers.image.revision":    s.Commit,
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.created":     s.created(),
		"corsfilter.build.go":                  runtime.Version(),
	}
}

// Image packs the module as an image that container tools can handle: the
// variant "compat" of the Wasm Image Specification. Its platform is what a
// Dockerfile of "FROM scratch" would give on most machines: Docker refuses to
// pull any operating system but its own, and nothing of the image is ever run.
func Image(module []byte, source Source) (v1.Image, error) {
	packed, err := layerTar(module, source)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(packed)), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: source.Time}
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: created, CreatedBy: "COPY " + moduleFile + " /"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", "amd64", created
	config.Config.Labels = source.annotations()
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, err
	}
	annotations := source.annotations()
	annotations["module.wasm.image/variant"] = "compat"
	return mutate.Annotations(image, annotations).(v1.Image), nil
}

// layerTar is the layer. Nothing in it depends on the machine.
func layerTar(module []byte, source Source) ([]byte, error) {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	if err := addFile(t, moduleFile, module, source); err != nil {
		return nil, err
	}
	err := t.Close()
	return b.Bytes(), err
}

// addFile adds a file of the commit's time and of no owner.
func addFile(t *tar.Writer, name string, content []byte, source Source) error {
	if err := t.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644, ModTime: source.Time, Format: tar.FormatUSTAR,
	}); err != nil {
		return err
	}
	_, err := t.Write(content)
	return err
}
