package ship

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// referenceName is the annotation by which tools that load a layout know what
// to call the image.
const referenceName = "org.opencontainers.image.ref.name"

// WriteLayout writes an image as an OCI image layout in one tar file: the form
// that skopeo, crane, oras, podman and docker load. The same image gives the
// same bytes.
func WriteLayout(file string, image v1.Image, source Source) (err error) {
	folder, err := os.MkdirTemp("", "corsfilter-layout-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendImage(image, layout.WithAnnotations(map[string]string{referenceName: source.Version})); err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return tarFolder(out, folder, source)
}

// tarFolder writes the files of a folder in the order of their names.
func tarFolder(w io.Writer, folder string, source Source) error {
	t := tar.NewWriter(w)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: filepath.ToSlash(name) + "/", Mode: 0o755, ModTime: source.Time, Format: tar.FormatUSTAR})
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return addFile(t, filepath.ToSlash(name), content, source)
	})
	if err != nil {
		return err
	}
	return t.Close()
}

// Names of the layouts in the folder that WriteImages is given.
const (
	imageFile    = "image.tar"
	artifactFile = "artifact.tar"
)

// WriteImages writes both layouts into a folder, and says what it wrote.
func WriteImages(w io.Writer, folder string, image, artifact v1.Image, source Source) error {
	for _, part := range []struct {
		file  string
		image v1.Image
	}{{imageFile, image}, {artifactFile, artifact}} {
		file := filepath.Join(folder, part.file)
		if err := WriteLayout(file, part.image, source); err != nil {
			return err
		}
		digest, err := part.image.Digest()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", file, digest); err != nil {
			return err
		}
	}
	return nil
}
