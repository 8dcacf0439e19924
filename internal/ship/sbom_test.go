package ship

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"corsfilter/internal/wasmtest"
)

// The bill of this repository: what the module links is what people ask about.
func TestBillOfMaterials(t *testing.T) {
	var out, again bytes.Buffer
	if err := BOM(context.Background(), &out, wasmtest.Root(), source); err != nil {
		t.Fatal(err)
	}
	if err := BOM(context.Background(), &again, wasmtest.Root(), source); err != nil || again.String() != out.String() {
		t.Errorf("the same source gives another bill, %v", err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(&out, cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	linked := func(ref string) (names []string) {
		for _, d := range *bom.Dependencies {
			if d.Ref == ref {
				for _, name := range *d.Dependencies {
					name, _, _ = strings.Cut(strings.TrimPrefix(name, "pkg:golang/"), "@")
					names = append(names, name)
				}
			}
		}
		return names
	}
	want := []string{"github.com/tetratelabs/proxy-wasm-go-sdk", "github.com/tidwall/gjson", "github.com/tidwall/match", "std"}
	if got := linked("cors.wasm"); !slices.Equal(got, want) {
		t.Errorf("the module links %v, want %v", got, want)
	}
	if got := linked("corsctl"); !slices.Contains(got, "github.com/tetratelabs/wazero") || slices.Contains(got, "pgregory.net/rapid") {
		t.Errorf("corsctl links %v", got)
	}
	if got := linked(title); !slices.Equal(got, []string{"cors.wasm", "corsctl"}) {
		t.Errorf("the release is made of %v", got)
	}
	refs := map[string]bool{}
	for _, c := range *bom.Components {
		if refs[c.BOMRef] {
			t.Errorf("%s is there twice", c.BOMRef)
		}
		refs[c.BOMRef] = true
		if strings.HasPrefix(c.BOMRef, "pkg:golang/") && c.Name != "std" && c.Hashes == nil {
			t.Errorf("%s has no hash", c.BOMRef)
		}
	}
	for _, d := range *bom.Dependencies {
		for _, ref := range *d.Dependencies {
			if !refs[ref] {
				t.Errorf("%s depends on %s, which is no component", d.Ref, ref)
			}
		}
	}
	if m := bom.Metadata; m.Component.Version != source.Version || m.Timestamp != source.created() {
		t.Errorf("metadata: %+v", m)
	}
}

func TestBillOfMaterialsOfWhatIsNotThere(t *testing.T) {
	if err := BOM(context.Background(), &bytes.Buffer{}, t.TempDir(), source); err == nil || !strings.HasPrefix(err.Error(), "go list .: ") {
		t.Error(err)
	}
}
