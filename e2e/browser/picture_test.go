package browser

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"corsfilter/internal/browser"
	"corsfilter/internal/wasmtest"
)

var update = flag.Bool("update", false, "retake the README's picture of the demo")

// picturePlace is the README's comment that names the pictured page.
var picturePlace = regexp.MustCompile(`<!-- docs/demo\.png shows page ([0-9a-f]*); go test \./e2e/browser -run Picture -update -->`)

// TestThePictureInTheREADMEIsOfThisPage finds a picture of the demo that is older
// than the page; with -update it takes a new one.
func TestThePictureInTheREADMEIsOfThisPage(t *testing.T) {
	root := wasmtest.Root()
	readme, picture := filepath.Join(root, "README.md"), filepath.Join(root, "docs", "demo.png")
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	page := pageSum(t, filepath.Join(root, "internal", "demo", "page"))
	if *update {
		takePicture(t, picture)
		text = picturePlace.ReplaceAll(text, []byte("<!-- docs/demo.png shows page "+page+"; go test ./e2e/browser -run Picture -update -->"))
		if err := os.WriteFile(readme, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said := picturePlace.FindSubmatch(text)
	if said == nil || string(said[1]) != page {
		t.Errorf("the README's picture is of page %s, and the page is %s; run go test ./e2e/browser -run Picture -update", said, page)
	}
	data, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	image, err := png.Decode(bytes.NewReader(data))
	if err != nil || image.Bounds().Dx() < 800 || len(data) > 300<<10 {
		t.Errorf("docs/demo.png: %v, %d bytes", err, len(data))
	}
}

// pageSum identifies a folder's files.
func pageSum(t *testing.T, folder string) string {
	t.Helper()
	sum := sha256.New()
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(folder, path))
		fmt.Fprintf(sum, "%s %d\n%s", path, len(data), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:6])
}

// takePicture shows what an allowed page sees.
func takePicture(t *testing.T, path string) {
	t.Helper()
	b, err := tabs[browser.Chromium]()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Resize(limited(t), 1100, 1000); err != nil {
		t.Fatal(err)
	}
	openDemo(t, b, serveDemo(t).allowed)
	runAll(t, b)
	data, err := b.Screenshot(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
