//go:build unix

package drive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"corsfilter/internal/browser"
)

// webkit speaks WebDriver with WebKitWebDriver, which drives WebKitGTK's
// MiniBrowser on a display of its own.
type webkit struct{ session string }

func (b *Browser) startWebKit(ctx context.Context, path, xvfb string, o Options) (engine, error) {
	display, err := b.display(xvfb)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if _, err := b.run(append(display, webkitEnv(b.dir)...), path, "--port="+port); err != nil {
		return nil, err
	}
	b.processes[0], b.processes[1] = b.processes[1], b.processes[0] // the display ends last
	w := webkit{"http://127.0.0.1:" + port}
	if err := until(ctx, func() error { return w.call(ctx, "GET", "/status", nil, &object{}) }); err != nil {
		return nil, err
	}
	args := append([]string{"--automation"}, o.Args...)
	if o.Proxy != "" { // the capability of that name would have it spoken to in TLS
		args = append(args, "--proxy=http://"+o.Proxy)
	}
	var session struct{ SessionID string }
	err = w.call(ctx, "POST", "/session", object{"capabilities": object{"alwaysMatch": object{
		"acceptInsecureCerts": o.Proxy != "", "webkitgtk:browserOptions": object{"args": args},
	}}}, &session)
	if err != nil {
		return nil, err
	}
	w.session += "/session/" + session.SessionID
	return w, w.call(ctx, "POST", "/timeouts", object{"script": 600_000, "pageLoad": 600_000}, new(any))
}

// spoken is how MiniBrowser begins a line of the console.
var spoken = regexp.MustCompile(`CONSOLE (?:[A-Z]+ )?(?:LOG|INFO|WARN|ERROR) (.*)`)

// WebKitConsole opens a page in MiniBrowser alone, which keeps its console to itself
// where it is driven, and returns what that says until the context ends.
func WebKitConsole(ctx context.Context, proxy, url string) (lines []string, err error) {
	paths, err := find(browser.WebKit)
	if err != nil {
		return nil, err
	}
	programs, _ := filepath.Glob("/usr/lib/*/webkit2gtk-4.*/MiniBrowser")
	if len(programs) == 0 {
		return nil, errors.New("no MiniBrowser in /usr/lib; run make setup")
	}
	dir, err := os.MkdirTemp("", "drive")
	if err != nil {
		return nil, err
	}
	b := &Browser{dir: dir}
	defer b.Close()
	display, err := b.display(paths[1])
	if err != nil {
		return nil, err
	}
	p, err := b.run(append(display, webkitEnv(dir)...), "stdbuf", "-oL", programs[len(programs)-1],
		"--enable-write-console-messages-to-stdout=true", "--proxy=http://"+proxy, url)
	if err != nil {
		return nil, err
	}
	<-ctx.Done()
	for line := range strings.Lines(string(p.said())) {
		if m := spoken.FindStringSubmatch(line); m != nil {
			lines = append(lines, m[1])
		}
	}
	return lines, nil
}

// webkitEnv keeps what MiniBrowser writes in a folder.
func webkitEnv(dir string) []string {
	return []string{
		"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS=1", "LIBGL_ALWAYS_SOFTWARE=1",
		"HOME=" + dir, "XDG_CACHE_HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir,
	}
}

// display starts an X server without a screen, and returns the environment of
// who is to use it.
func (b *Browser) display(xvfb string) ([]string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	command := exec.Command(xvfb, "-displayfd", "3", "-screen", "0", "1280x1024x24", "-nolisten", "tcp", "-noreset")
	command.ExtraFiles = []*os.File{w}
	_, err = b.start(command, nil)
	w.Close()
	if err != nil {
		return nil, err
	}
	number, err := bufio.NewReader(r).ReadString('\n') // all of it: whoever closes early ends the server
	if err != nil {
		return nil, fmt.Errorf("%s: %w", xvfb, err)
	}
	return []string{"DISPLAY=:" + strings.TrimSpace(number), "GDK_BACKEND=x11"}, nil
}

// call is one command. Answer is where its value goes.
func (w webkit) call(ctx context.Context, method, path string, body object, answer any) error {
	var text []byte
	if method == "POST" {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, w.session+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var value struct{ Value json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&value); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %.400s", path, response.Status, value.Value)
	}
	return json.Unmarshal(value.Value, answer)
}

func (w webkit) Navigate(ctx context.Context, url string) error {
	return w.call(ctx, "POST", "/url", object{"url": url}, new(any))
}

func (w webkit) text(ctx context.Context, expression string) (text string, err error) {
	script := `const done = arguments[arguments.length - 1]; (` + expression + `).then(done);`
	err = w.call(ctx, "POST", "/execute/async", object{"args": []any{}, "script": script}, &text)
	return text, err
}

func (w webkit) Press(ctx context.Context, key Key) error {
	return w.call(ctx, "POST", "/actions", object{"actions": press(key)}, new(any))
}

// Resize sets the window's size, whose frame is not the page's.
func (w webkit) Resize(ctx context.Context, width, height int) error {
	return w.call(ctx, "POST", "/window/rect", object{"width": width, "height": height}, new(any))
}

func (w webkit) Screenshot(ctx context.Context) ([]byte, error) {
	var text string
	err := w.call(ctx, "GET", "/screenshot", nil, &text)
	return decode(text, err)
}

// Console is empty: see [WebKitConsole].
func (w webkit) Console() []string { return nil }

func (w webkit) end(ctx context.Context) { w.call(ctx, "DELETE", "", nil, new(any)) }
