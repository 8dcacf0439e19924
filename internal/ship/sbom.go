package ship

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// products are what a release ships that is built of Go packages.
var products = []struct {
	name, pkg string
	env       []string
}{
	{"cors.wasm", ".", []string{"GOOS=wasip1", "GOARCH=wasm"}},
	{"corsctl", "./cmd/corsctl", nil},
}

// BOM writes the software bill of materials (CycloneDX, JSON): each product with
// the modules that are linked into it. Modules that only tests and tools need are
// not in it.
func BOM(ctx context.Context, w io.Writer, root string, source Source) error {
	bom := cdx.NewBOM()
	bom.SerialNumber = serial(source)
	bom.Metadata = &cdx.Metadata{
		Timestamp: source.created(),
		Component: &cdx.Component{
			BOMRef: title, Type: cdx.ComponentTypeApplication, Name: title, Version: source.Version,
			Licenses: &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}},
		},
	}
	components, graph, top := []cdx.Component{}, []cdx.Dependency{}, []string{}
	for _, p := range products {
		linked, err := linked(ctx, root, p.pkg, p.env)
		if err != nil {
			return err
		}
		components = append(components, cdx.Component{BOMRef: p.name, Type: cdx.ComponentTypeApplication, Name: p.name, Version: source.Version})
		refs := []string{}
		for _, c := range linked {
			refs = append(refs, c.BOMRef)
		}
		components = append(components, linked...)
		graph, top = append(graph, cdx.Dependency{Ref: p.name, Dependencies: &refs}), append(top, p.name)
	}
	graph = append(graph, cdx.Dependency{Ref: title, Dependencies: &top})
	slices.SortFunc(components, func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	components = slices.CompactFunc(components, func(a, b cdx.Component) bool { return a.BOMRef == b.BOMRef })
	bom.Components, bom.Dependencies = &components, &graph
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(bom)
}

// serial is a UUID made from the source, so that the same release has the same.
func serial(source Source) string {
	h := sha256.Sum256([]byte(title + " " + source.Version + " " + source.Commit))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // version 8, custom (RFC 9562)
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// modules has go list print path, version and checksum of the module that a package is
// of, if it is neither ours nor one that a folder of ours stands in for.
const modules = `{{with .Module}}{{if not (or .Main (and .Replace (not .Replace.Version)))}}{{.Path}} {{.Version}} {{.Sum}}{{end}}{{end}}`

// linked asks the go command which modules are linked into a package.
func linked(ctx context.Context, root, pkg string, env []string) ([]cdx.Component, error) {
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-f", modules, pkg)
	list.Dir, list.Env = root, append(os.Environ(), env...)
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w: %s", pkg, err, stderr.String())
	}
	found := []string{"std " + strings.TrimPrefix(runtime.Version(), "go")}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" {
			found = append(found, line)
		}
	}
	slices.Sort(found)
	var components []cdx.Component
	for _, line := range slices.Compact(found) {
		path, rest, _ := strings.Cut(line, " ")
		version, sum, _ := strings.Cut(rest, " ")
		purl := "pkg:golang/" + path + "@" + version
		c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl}
		// go.sum has the SHA-256 of a listing of the module's files.
		if hash, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:")); err == nil && len(hash) == sha256.Size {
			c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(hash)}}
		}
		components = append(components, c)
	}
	return components, nil
}
