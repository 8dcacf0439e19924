package e2e

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"corsfilter/config"
	"corsfilter/internal/host"
	"corsfilter/internal/wasmtest"
)

// logged starts the module at a log level, sends some requests and returns the
// lines.
func logged(t *testing.T, module *host.Module, level host.LogLevel, configuration string, requests ...[][2]string) (lines []string,
	err error) {
	t.Helper()
	vm, err := module.NewVM(t.Context(), host.VMConfig{
		Env: environment, LogLevel: level.Always,
		Log: func(level host.LogLevel, _, message string) { lines = append(lines, level.String()+": "+message) },
	})
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "cors", Configuration: []byte(configuration)})
	for _, request := range requests {
		plugin.Exchange(host.NewHeaderMap(request...), plain)
	}
	return lines, err
}

// buildVersion matches the module's version, commit and compiler.
var buildVersion = map[bool]*regexp.Regexp{
	false: regexp.MustCompile(`version \S+ \(commit [0-9a-f]{12}(-dirty)?, go1\.\d+(\.\d+)?\),`),
	true:  regexp.MustCompile(`version \S+ \(commit [0-9a-f]{12}(-dirty)?, TinyGo 0\.\d+\.\d+(-dev)?\),`),
}

func TestLogLines(t *testing.T) {
	module := compile(t)
	const policy = `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["GET", "PUT"], "max_age": 100000}`
	inEffect := "info: version VERSION, in effect: mode enforce, 1 origin, methods GET, PUT, max-age 100000; hash " + hashOf(t, policy)
	warning := "warning: configuration: max_age: 100000: no browser caches a preflight for more than 24 hours; write 86400 or less"
	evil := append(noOrigin[:3:3], [2]string{"origin", "https://evil.example/\r\nx-evil: 1"})
	requests := [][][2]string{noOrigin, crossOrigin, unlisted, asking, evil}
	for _, c := range []struct {
		level host.LogLevel
		want  []string
	}{
		{host.LogError, nil},
		{host.LogWarn, []string{warning}},
		{host.LogInfo, []string{warning, inEffect}},
		{host.LogDebug, []string{
			warning, inEffect,
			"debug: request from https://shop.example.com: allowed; forwarded",
			"debug: request from https://evil.example: denied; reason=origin; forwarded",
			"debug: preflight for PUT from https://a.example.org: denied; reason=origin; answered 403",
			"debug: request: denied; reason=malformed-origin; forwarded",
		}},
	} {
		t.Run(c.level.String(), func(t *testing.T) {
			got, err := logged(t, module, c.level, policy, requests...)
			for i := range got {
				got[i] = buildVersion[wasmtest.ByTinyGo()].ReplaceAllString(got[i], "version VERSION,")
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%v\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestARefusedConfigurationTakesNoEffect starts a plugin with mistakes beside one
// that works, in one VM.
func TestARefusedConfigurationTakesNoEffect(t *testing.T) {
	var lines []string
	vm, err := compile(t).NewVM(t.Context(), host.VMConfig{
		Env: environment, LogLevel: host.LogInfo.Always,
		Log: func(level host.LogLevel, _, message string) { lines = append(lines, level.String()+": "+message) },
	})
	if err != nil {
		t.Fatal(err)
	}
	good, err := vm.NewPlugin(t.Context(), host.PluginConfig{Name: "good", Configuration: []byte(everything)})
	if err != nil {
		t.Fatal(err)
	}
	lines = nil
	if _, err := vm.NewPlugin(
		t.Context(),
		host.PluginConfig{
			Name:          "bad",
			Configuration: []byte(`{"allow_origins": ["https://a.example/", "*"], "allow_credentials": true, "max_agee": 1}`),
		},
	); !errors.Is(err, host.ErrRejected) {
		t.Fatalf("error %v, want the configuration rejected", err)
	}
	want := []string{
		`error: configuration: max_agee: unknown key; did you mean "max_age"?`,
		`error: configuration: allow_origins[0]: "https://a.example/": an origin has no trailing slash; write "https://a.example"`,
		`error: configuration: allow_origins[1]: "*": with allow_credentials any page on the web could read its ` +
			`visitors' data here; list the origins, or add "any-origin-with-credentials" to dangerously_tolerate`,
		"error: configuration refused: 3 to fix; no part of it takes effect",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	r := good.Exchange(host.NewHeaderMap(crossOrigin...), plain)
	if value, _ := r.Headers.Get("access-control-allow-origin"); value != "https://shop.example.com" {
		t.Errorf("the plugin beside it answers %q", value)
	}
}

// TestSeveralPluginsInOneVMKeepApart sends requests to two plugins of one VM in
// turn.
func TestSeveralPluginsInOneVMKeepApart(t *testing.T) {
	vm, err := compile(t).NewVM(t.Context(), host.VMConfig{Env: environment})
	if err != nil {
		t.Fatal(err)
	}
	var plugins []*host.Plugin
	origins := []string{"https://one.example", "https://two.example"}
	for _, origin := range origins {
		p, err := vm.NewPlugin(t.Context(), host.PluginConfig{Configuration: []byte(`{"allow_origins": ["` + origin + `"]}`)})
		if err != nil {
			t.Fatal(err)
		}
		plugins = append(plugins, p)
	}
	for round := range 3 {
		for i, p := range plugins {
			for j, origin := range origins {
				r := p.Exchange(host.NewHeaderMap([2]string{":method", "GET"}, [2]string{"origin", origin}), plain)
				if _, allowed := r.Headers.Get("access-control-allow-origin"); allowed != (i == j) {
					t.Errorf("round %d: plugin %d allows %s: %v", round, i, origin, allowed)
				}
			}
		}
		if round == 1 { // the first is replaced by a new push of its configuration
			if err := plugins[0].Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if plugins[0], err = vm.NewPlugin(
				t.Context(), host.PluginConfig{Configuration: []byte(`{"allow_origins": ["https://one.example"]}`)},
			); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// hashOf is the hash of a configuration.
func hashOf(t *testing.T, text string) string {
	t.Helper()
	c, _, err := config.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c.Hash
}
