package ship

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var (
	module = []byte("\x00asm\x01\x00\x00\x00 not much of a module")
	source = Source{Version: "1.2.0", Commit: strings.Repeat("ab", 20), Time: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
)

func pack(t *testing.T) (image, artifact v1.Image) {
	t.Helper()
	image, err := Image(module, source)
	if err != nil {
		t.Fatal(err)
	}
	artifact, err = Artifact(module, source)
	if err != nil {
		t.Fatal(err)
	}
	return image, artifact
}

func TestBothFormsAreWhatFetchersLookFor(t *testing.T) {
	image, artifact := pack(t)
	for _, c := range []struct {
		name   string
		image  v1.Image
		config types.MediaType
		layers []types.MediaType
		more   map[string]string
	}{
		{"image", image, types.OCIConfigJSON, []types.MediaType{types.OCILayer}, map[string]string{"module.wasm.image/variant": "compat"}},
		{"artifact", artifact, wasmConfigType, []types.MediaType{wasmConfigType, wasmContentType}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := c.image.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			if m.MediaType != types.OCIManifestSchema1 || m.Config.MediaType != c.config || len(m.Layers) != len(c.layers) {
				t.Fatalf("%s with config %s and %d layers", m.MediaType, m.Config.MediaType, len(m.Layers))
			}
			for i, want := range c.layers {
				if m.Layers[i].MediaType != want {
					t.Errorf("layer %d is %s, not %s", i, m.Layers[i].MediaType, want)
				}
			}
			want := map[string]string{
				"org.opencontainers.image.title": "corsfilter", "org.opencontainers.image.version": "1.2.0",
				"org.opencontainers.image.revision": source.Commit,
				"org.opencontainers.image.licenses": "Apache-2.0", "org.opencontainers.image.created": "2026-11-01T12:00:00Z",
				"corsfilter.build.go": runtime.Version(),
			}
			for key, value := range c.more {
				want[key] = value
			}
			for key, value := range want {
				if m.Annotations[key] != value {
					t.Errorf("annotation %s: %q, want %q", key, m.Annotations[key], value)
				}
			}
			got, err := moduleOf(c.image)
			if err != nil || !bytes.Equal(got, module) {
				t.Errorf("the module in it is %q, %v", got, err)
			}
		})
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || !config.Created.Equal(source.Time) || config.Config.Labels["org.opencontainers.image.version"] != "1.2.0" {
		t.Errorf("configuration %+v", config)
	}
}

// moduleOf finds the module as fetchers do: the raw layer of the artifact, or
// the one file at the root of the image's one layer.
func moduleOf(image v1.Image) ([]byte, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	last := layers[len(layers)-1]
	if mediaType, err := last.MediaType(); err != nil || mediaType == wasmContentType {
		content, err := last.Compressed()
		if err != nil {
			return nil, err
		}
		return io.ReadAll(content)
	}
	content, err := last.Uncompressed()
	if err != nil {
		return nil, err
	}
	files := tar.NewReader(content)
	if header, err := files.Next(); err != nil || header.Name != "plugin.wasm" {
		return nil, err
	}
	return io.ReadAll(files)
}

func TestPushedImagesArePulledUnchanged(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	base := strings.TrimPrefix(server.URL, "http://") + "/team/corsfilter"
	image, artifact := pack(t)
	pushed, err := Push(context.Background(), base, image, artifact, source)
	if err != nil {
		t.Fatal(err)
	}
	if len(pushed) != 2 || pushed[0].Reference != base+":1.2.0" || pushed[1].Reference != base+":1.2.0-oci" {
		t.Fatalf("pushed %v", pushed)
	}
	for i, packed := range []v1.Image{image, artifact} {
		reference, err := name.ParseReference(pushed[i].Reference)
		if err != nil {
			t.Fatal(err)
		}
		pulled, err := remote.Image(reference)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := packed.Digest()
		got, err := pulled.Digest()
		if err != nil || got != want || pushed[i].Digest != want.String() {
			t.Errorf("%s: digest %s, packed %s, said %s; %v", pushed[i].Reference, got, want, pushed[i].Digest, err)
		}
		if content, err := moduleOf(pulled); err != nil || !bytes.Equal(content, module) {
			t.Errorf("%s: the module in it is %q, %v", pushed[i].Reference, content, err)
		}
	}
}

func TestPushRefusesWhatNamesNoTag(t *testing.T) {
	image, artifact := pack(t)
	for reference, want := range map[string]string{
		"Team/Corsfilter": "write it as REGISTRY/NAME",
		"localhost:1/team/corsfilter@sha256:" + strings.Repeat("0", 64): "which only the upload gives",
		"localhost:1/team/corsfilter":                                   "pushing localhost:1/team/corsfilter:1.2.0",
	} {
		if _, err := Push(context.Background(), reference, image, artifact, source); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", reference, err, want)
		}
	}
}

// The layouts are read back by the library that others use to load them, and
// are the same bytes when they are written again.
func TestLayouts(t *testing.T) {
	image, artifact := pack(t)
	first, second := t.TempDir(), t.TempDir()
	var said strings.Builder
	for _, folder := range []string{first, second} {
		if err := WriteImages(&said, folder, image, artifact, source); err != nil {
			t.Fatal(err)
		}
	}
	for file, packed := range map[string]v1.Image{"image.tar": image, "artifact.tar": artifact} {
		one, err := os.ReadFile(filepath.Join(first, file))
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.ReadFile(filepath.Join(second, file))
		if err != nil || !bytes.Equal(one, two) {
			t.Errorf("%s: written twice, it is not the same; %v", file, err)
		}
		folder := t.TempDir()
		unpack(t, one, folder)
		index, err := layout.ImageIndexFromPath(folder)
		if err != nil {
			t.Fatal(err)
		}
		m, err := index.IndexManifest()
		if err != nil || len(m.Manifests) != 1 {
			t.Fatalf("%s: %v, %v", file, m, err)
		}
		want, _ := packed.Digest()
		if d := m.Manifests[0]; d.Digest != want || d.Annotations["org.opencontainers.image.ref.name"] != "1.2.0" {
			t.Errorf("%s: holds %s as %v, want %s", file, d.Digest, d.Annotations, want)
		}
		loaded, err := index.Image(want)
		if err != nil {
			t.Fatal(err)
		}
		if file == "image.tar" { // the library's validation knows containers alone
			if err := validate.Image(loaded); err != nil {
				t.Error(err)
			}
		}
		if content, err := moduleOf(loaded); err != nil || !bytes.Equal(content, module) {
			t.Errorf("%s: the module in it is %q, %v", file, content, err)
		}
		if !strings.Contains(said.String(), file+": "+want.String()+"\n") {
			t.Errorf("%s and its digest are not in %q", file, said.String())
		}
	}
}

func unpack(t *testing.T, content []byte, folder string) {
	t.Helper()
	files := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := files.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, filepath.FromSlash(header.Name))
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var data []byte
			if data, err = io.ReadAll(files); err == nil {
				err = os.WriteFile(path, data, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
