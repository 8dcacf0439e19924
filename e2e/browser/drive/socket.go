//go:build unix

package drive

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

type object = map[string]any

// socket speaks what the DevTools protocol and WebDriver BiDi have in common:
// commands with a number, answers with the same, and events between them.
type socket struct {
	conn  *websocket.Conn
	calls int
	lines []string // of the console
}

func dial(ctx context.Context, url string) (*socket, error) {
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(1 << 26) // screenshots
	return &socket{conn: conn}, nil
}

// call is one command. Answer is where its result goes.
func (s *socket) call(ctx context.Context, method string, params object, answer any) error {
	s.calls++
	if err := wsjson.Write(ctx, s.conn, object{"id": s.calls, "method": method, "params": params}); err != nil {
		return err
	}
	for {
		var m struct {
			ID             int
			Method         string
			Params, Result json.RawMessage
			Error          json.RawMessage // an object, or its name
			Message        string
		}
		if err := wsjson.Read(ctx, s.conn, &m); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		switch {
		case m.Method != "":
			s.event(m.Params)
		case m.ID != s.calls: // of a call whose time was over
		case m.Error != nil:
			return fmt.Errorf("%s: %s %s", method, m.Error, m.Message)
		default:
			return json.Unmarshal(m.Result, answer)
		}
	}
}

// event keeps what the console says, but for Chromium's lines on loads that failed,
// which have no URL in them.
func (s *socket) event(params json.RawMessage) {
	var e struct {
		Text  string                // of BiDi's log.entryAdded
		Entry struct{ Text string } // of Log.entryAdded
		Args  []struct{ Value any } // of Runtime.consoleAPICalled
	}
	if json.Unmarshal(params, &e) != nil {
		return
	}
	text := e.Text + e.Entry.Text
	if len(e.Args) > 0 && text == "" {
		text = fmt.Sprint(e.Args[0].Value)
	}
	if text != "" && !strings.HasPrefix(text, "Failed to load resource: ") {
		s.lines = append(s.lines, text)
	}
}

// Console returns what the console has said since it was asked last.
func (s *socket) Console() []string {
	lines := s.lines
	s.lines = nil
	return lines
}

func decode(text string, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(text)
}

// chromium speaks the DevTools protocol with the one page that there is.
type chromium struct{ *socket }

func (b *Browser) startChromium(ctx context.Context, path string, o Options) (engine, error) {
	args := []string{
		"--headless=new", "--remote-debugging-port=0", "--user-data-dir=" + b.dir,
		"--no-sandbox", // as root, as in containers, Chromium has no other way
		"--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
	}
	if o.Proxy != "" {
		args = append(args, "--ignore-certificate-errors", "--proxy-server=http://"+o.Proxy, "--proxy-bypass-list=<-loopback>",
			// A page of http:// has to stay one, and port 1 is as good as any.
			"--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable", "--explicitly-allowed-ports=1")
	}
	if _, err := b.run(nil, path, append(append(args, o.Args...), "about:blank")...); err != nil {
		return nil, err
	}
	var c chromium
	err := until(ctx, func() (err error) {
		text, err := os.ReadFile(filepath.Join(b.dir, "DevToolsActivePort"))
		if err != nil {
			return err
		}
		port, _, _ := strings.Cut(string(text), "\n")
		response, err := http.Get("http://127.0.0.1:" + port + "/json/list")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		var targets []struct{ Type, WebSocketDebuggerURL string }
		if err := json.NewDecoder(response.Body).Decode(&targets); err != nil {
			return err
		}
		for _, t := range targets {
			if t.Type == "page" {
				c.socket, err = dial(ctx, t.WebSocketDebuggerURL)
				return err
			}
		}
		return errors.New("it has no page")
	})
	if err != nil {
		return nil, err
	}
	for _, events := range []string{"Log.enable", "Runtime.enable"} {
		if err := c.call(ctx, events, nil, &object{}); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c chromium) Navigate(ctx context.Context, url string) error {
	var answer struct{ ErrorText string }
	if err := c.call(ctx, "Page.navigate", object{"url": url}, &answer); err != nil {
		return err
	}
	if answer.ErrorText != "" {
		return fmt.Errorf("%s: %s", url, answer.ErrorText)
	}
	_, err := c.text(ctx, `new Promise((done) => document.readyState === "complete" ? done("") : addEventListener("load", () => done("")))`)
	return err
}

func (c chromium) text(ctx context.Context, expression string) (string, error) {
	var answer struct {
		Result           struct{ Value string }
		ExceptionDetails json.RawMessage
	}
	err := c.call(ctx, "Runtime.evaluate", object{"expression": expression, "awaitPromise": true, "returnByValue": true}, &answer)
	if err == nil && answer.ExceptionDetails != nil {
		err = errors.New(string(answer.ExceptionDetails))
	}
	return answer.Result.Value, err
}

func (c chromium) Press(ctx context.Context, key Key) error {
	event := object{"type": "keyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
	if key == Enter {
		event = object{"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
	}
	if err := c.call(ctx, "Input.dispatchKeyEvent", event, &object{}); err != nil {
		return err
	}
	event["type"] = "keyUp"
	delete(event, "text")
	return c.call(ctx, "Input.dispatchKeyEvent", event, &object{})
}

func (c chromium) Resize(ctx context.Context, width, height int) error {
	size := object{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}
	return c.call(ctx, "Emulation.setDeviceMetricsOverride", size, &object{})
}

func (c chromium) Screenshot(ctx context.Context) ([]byte, error) {
	var answer struct{ Data string }
	err := c.call(ctx, "Page.captureScreenshot", nil, &answer)
	return decode(answer.Data, err)
}

func (c chromium) end(ctx context.Context) { c.call(ctx, "Browser.close", nil, &object{}) }

// firefox speaks WebDriver BiDi.
type firefox struct {
	*socket
	tab string
}

func (b *Browser) startFirefox(ctx context.Context, path string, o Options) (engine, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	prefs := object{"network.security.ports.banned.override": "1"}
	if o.Proxy != "" {
		host, port, _ := strings.Cut(o.Proxy, ":")
		prefs["network.proxy.type"], prefs["network.proxy.no_proxies_on"], prefs["network.proxy.allow_hijacking_localhost"] = 1, "", true
		for _, scheme := range []string{"http", "ssl"} {
			prefs["network.proxy."+scheme], prefs["network.proxy."+scheme+"_port"] = host, json.Number(port)
		}
	}
	var user strings.Builder
	for _, all := range []object{prefs, o.Prefs} {
		for name, value := range all {
			text, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&user, "user_pref(%q, %s);\n", name, text)
		}
	}
	if err := os.WriteFile(filepath.Join(b.dir, "user.js"), []byte(user.String()), 0o644); err != nil {
		return nil, err
	}
	if _, err := b.run(nil, path, "--headless", "--no-remote", "--profile", b.dir, "--remote-debugging-port", port); err != nil {
		return nil, err
	}
	var f firefox
	if err := until(ctx, func() (err error) { f.socket, err = dial(ctx, "ws://127.0.0.1:"+port+"/session"); return err }); err != nil {
		return nil, err
	}
	capabilities := object{"capabilities": object{"alwaysMatch": object{"acceptInsecureCerts": o.Proxy != ""}}}
	if err := f.call(ctx, "session.new", capabilities, &object{}); err != nil {
		return nil, err
	}
	// In the tab that there is, the focus stays with the address.
	var tab struct{ Context string }
	if err := f.call(ctx, "browsingContext.create", object{"type": "tab"}, &tab); err != nil {
		return nil, err
	}
	f.tab = tab.Context
	return &f, f.call(ctx, "session.subscribe", object{"events": []string{"log.entryAdded"}}, &object{})
}

func (f *firefox) Navigate(ctx context.Context, url string) error {
	return f.call(ctx, "browsingContext.navigate", object{"context": f.tab, "url": url, "wait": "complete"}, &object{})
}

func (f *firefox) text(ctx context.Context, expression string) (string, error) {
	var answer struct {
		Result           struct{ Value string }
		ExceptionDetails json.RawMessage
	}
	err := f.call(ctx, "script.evaluate", object{"expression": expression, "target": object{"context": f.tab}, "awaitPromise": true}, &answer)
	if err == nil && answer.ExceptionDetails != nil {
		err = errors.New(string(answer.ExceptionDetails))
	}
	return answer.Result.Value, err
}

func (f *firefox) Press(ctx context.Context, key Key) error {
	return f.call(ctx, "input.performActions", object{"context": f.tab, "actions": press(key)}, &object{})
}

// press is a key as the actions of WebDriver and BiDi have it.
func press(key Key) []object {
	return []object{{"type": "key", "id": "keyboard", "actions": []object{{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}}}}
}

func (f *firefox) Resize(ctx context.Context, width, height int) error {
	size := object{"width": width, "height": height}
	return f.call(ctx, "browsingContext.setViewport", object{"context": f.tab, "viewport": size}, &object{})
}

func (f *firefox) Screenshot(ctx context.Context) ([]byte, error) {
	var answer struct{ Data string }
	err := f.call(ctx, "browsingContext.captureScreenshot", object{"context": f.tab}, &answer)
	return decode(answer.Data, err)
}

func (f *firefox) end(ctx context.Context) { f.call(ctx, "browser.close", object{}, &object{}) }
