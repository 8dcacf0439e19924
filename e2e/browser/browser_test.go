// Package browser asks Chromium: about the demo page, about the scenario table,
// and whether it agrees with the textbook browser that explains decisions.
package browser

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"corsfilter/internal/demo"
)

// chromium starts a browser of its own for a test. Without one the test fails,
// unless CORSFILTER_BROWSER=none says that it is meant.
func chromium(t *testing.T, options ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	if os.Getenv("CORSFILTER_BROWSER") == "none" {
		t.Skip("CORSFILTER_BROWSER=none: left out on purpose")
	}
	path := os.Getenv("CORSFILTER_BROWSER")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); path == "" && err == nil {
			path = found
		}
	}
	if path == "" {
		t.Fatal("no Chromium on PATH; run make setup, or make test, which sets up what it needs")
	}
	all := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.NoSandbox, // as root, as in containers, Chromium has no other way
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.WSURLReadTimeout(time.Minute),
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(all, options...)...)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		chromedp.Cancel(ctx) // waits until the browser is gone, and its folder free
		closeTab()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("%s does not start: %v", path, err)
	}
	return ctx
}

// limited bounds what one step of a test may take.
func limited(t *testing.T, ctx context.Context) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(limited(t, ctx), steps...); err != nil {
		t.Fatal(err)
	}
}

// evaluate runs JavaScript, waits for a promise, and returns the result.
func evaluate[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	result, err := chromedp.Run(limited(t, ctx), chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return result
}

// localhost is how a page calls an address of this machine.
func localhost(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return "http://localhost:" + port
}

// startDemo starts the demo's upstream and pages on free ports.
func startDemo(t *testing.T, live *demo.Live) *demo.Demo {
	t.Helper()
	d, err := demo.Start(context.Background(), demo.Ports{}, live)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}
