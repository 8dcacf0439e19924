package ship

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// product is one thing that a release ships and that is built from Go packages.
type product struct {
	name, pkg string
	env       []string
}

var products = []product{
	{"cors.wasm", ".", []string{"GOOS=wasip1", "GOARCH=wasm"}},
	{"corsctl", "./cmd/corsctl", nil},
}

// dependency is a module whose packages are linked into a product.
type dependency struct {
	Path, Version, Sum string
}

// writeSBOM writes the software bill of materials (CycloneDX, JSON): each
// product with the modules that are linked into it. Modules that only tests and
// tools need are not in it.
func writeSBOM(ctx context.Context, root, file string, source Source) (err error) {
	bom := cdx.NewBOM()
	bom.SerialNumber = serial(source)
	bom.Metadata = &cdx.Metadata{
		Timestamp: source.Time.Format("2006-01-02T15:04:05Z07:00"),
		Component: &cdx.Component{
			BOMRef: title, Type: cdx.ComponentTypeApplication, Name: title, Version: source.Version,
			Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
		},
	}
	components := map[string]cdx.Component{}
	top := cdx.Dependency{Ref: title, Dependencies: &[]string{}}
	graph := []cdx.Dependency{}
	for _, p := range products {
		linked, err := dependencies(ctx, root, p)
		if err != nil {
			return err
		}
		*top.Dependencies = append(*top.Dependencies, p.name)
		components[p.name] = cdx.Component{BOMRef: p.name, Type: cdx.ComponentTypeApplication, Name: p.name, Version: source.Version}
		refs := []string{}
		for _, d := range linked {
			c := d.component()
			components[c.BOMRef] = c
			refs = append(refs, c.BOMRef)
		}
		graph = append(graph, cdx.Dependency{Ref: p.name, Dependencies: &refs})
	}
	names := make([]string, 0, len(components))
	for name := range components {
		names = append(names, name)
	}
	slices.Sort(names)
	all := []cdx.Component{}
	for _, name := range names {
		all = append(all, components[name])
	}
	graph = append([]cdx.Dependency{top}, graph...)
	bom.Components, bom.Dependencies = &all, &graph

	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(bom)
}

// serial is a UUID made from the source, so that the same release has the same.
func serial(source Source) string {
	h := sha256.Sum256([]byte(title + " " + source.Version + " " + source.Commit))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // version 8, custom (RFC 9562)
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func (d dependency) component() cdx.Component {
	purl := "pkg:golang/" + d.Path + "@" + d.Version
	c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: d.Path, Version: d.Version, PackageURL: purl}
	// go.sum has the SHA-256 of a listing of the module's files.
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(d.Sum, "h1:")); err == nil && len(sum) == sha256.Size {
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
	}
	return c
}

// dependencies asks the go command which modules are linked into a product.
func dependencies(ctx context.Context, root string, p product) ([]dependency, error) {
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-json=Standard,Module", p.pkg)
	list.Dir = root
	list.Env = append(os.Environ(), p.env...)
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w: %s", p.pkg, err, stderr.String())
	}
	version, err := goVersion(ctx, root)
	if err != nil {
		return nil, err
	}
	found := map[string]dependency{"std": {Path: "std", Version: version}}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			Standard bool
			Module   *struct {
				Path, Version, Sum string
				Main               bool
				Replace            *struct{ Version string }
			}
		}
		switch err := decoder.Decode(&pkg); {
		case errors.Is(err, io.EOF):
			all := make([]dependency, 0, len(found))
			for _, d := range found {
				all = append(all, d)
			}
			slices.SortFunc(all, func(a, b dependency) int { return strings.Compare(a.Path, b.Path) })
			return all, nil
		case err != nil:
			return nil, err
		}
		// A module that a folder of this repository stands in for is not linked.
		if m := pkg.Module; m != nil && !m.Main && (m.Replace == nil || m.Replace.Version != "") {
			found[m.Path] = dependency{Path: m.Path, Version: m.Version, Sum: m.Sum}
		}
	}
}

// goVersion is that of the standard library that is linked in, such as 1.26.1.
func goVersion(ctx context.Context, root string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go env GOVERSION: %w", err)
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "go"), nil
}
