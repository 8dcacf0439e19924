package explain

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"corsfilter/config"
	"corsfilter/internal/browser"
)

// Change is one change to a policy.
type Change struct {
	// Setting is the policy's key.
	Setting string `json:"setting"`
	// Advice says in words what to do.
	Advice string `json:"advice"`
	// Line is the policy's member after the change, in JSON.
	Line string `json:"line"`
}

// maxChanges is how many changes a remedy may take: an origin, credentials, a
// method, a few headers and the waivers for them. A request that needs more has
// nothing to do with the policy.
const maxChanges = 16

// remedy looks for changes that let the script get the response. It changes one thing at a
// time, the one that the browser complains about, and tries again.
func (x *explanation) remedy(configuration []byte) (words string, changes []Change) {
	e, err := newEditor(configuration, x.rule)
	if err != nil {
		return "", nil
	}
	report, rest := x.report, x.policy
	next := x.request
	if next.Upstream == nil {
		// A change must help whatever upstream sends. If upstream decides after it, it is
		// only half a remedy.
		next.Upstream = []browser.Header{}
	}
	for range maxChanges {
		advice, edit := step(report, rest, x.request)
		if advice != "" && edit == nil { // it is for the script or for Envoy, not for the policy
			return x.first(e) + strings.Join(append(e.advised, advice), "; then "), nil
		}
		if edit == nil {
			return "", nil
		}
		e.change(advice, edit)
		c, err := e.compile()
		if err != nil {
			return "", nil
		}
		again := explanation{config: c, request: next, report: &Report{SameOrigin: next.SameOrigin}}
		again.policy, again.rule = c.Select(next.Host, next.seen())
		again.run()
		if report, rest = again.report, again.policy; report.Allowed {
			x.report.Waives = e.waived
			return x.first(e) + strings.Join(e.advised, "; then "), e.changes
		}
	}
	return "", nil
}

// first is what to try before changing the policy: using the policy's nearest origin, and
// whatever avoids a waiver.
func (x *explanation) first(e *editor) string {
	instead := ""
	differs, advice := "", ""
	if reason := failing(x.report).Browser.Reason; reason == browser.OriginMissing || reason == browser.OriginMismatch {
		differs, advice = x.nearest(e.before)
	}
	switch {
	case differs != "" && advice == "":
		return differs + ": "
	case differs != "":
		instead = differs + ": " + advice
	case e.waived:
		switch scheme, host, _ := strings.Cut(x.request.Origin, "://"); scheme {
		case "null":
			instead = "give the page an origin: a server's, such as http://localhost:3000, in place of a file or a data: URL, and allow-same-origin in a sandboxed frame"
		case "file":
			instead = "let the app register a scheme of its own for its pages"
		case "http":
			instead = fmt.Sprintf("serve the page over https, and add %q to allow_origins", "https://"+host)
		}
	}
	if x.report.Instead = instead; instead == "" {
		return ""
	}
	return instead + "; otherwise "
}

// failing is the exchange that the browser stopped at.
func failing(report *Report) *Stage {
	if report.Request != nil {
		return report.Request
	}
	return report.Preflight
}

// step says what to change next, in words and in the policy. Without an edit, the advice is
// about the script.
func step(report *Report, p *config.Policy, r Request) (advice string, edit func(*config.SourcePolicy)) {
	stage := failing(report)
	if stage.byTheManager {
		return r.beforeTheFilter(stage.Exchange.Method).remedy, nil
	}
	v := stage.Browser
	switch v.Reason {
	case browser.OriginMissing, browser.OriginMismatch:
		return fmt.Sprintf("add %q to allow_origins, if that page may read responses", r.Origin), func(p *config.SourcePolicy) {
			p.AllowOrigins = append(p.AllowOrigins, config.SourceOrigin{Value: r.Origin})
		}
	case browser.WildcardCredentials:
		return `list the origins in place of "*", and set "allow_credentials": true`, func(p *config.SourcePolicy) {
			p.AllowOrigins = []config.SourceOrigin{{Value: r.Origin}}
			p.Credentials = true
		}
	case browser.CredentialsMissing:
		return `set "allow_credentials": true, or send the request without credentials`, func(p *config.SourcePolicy) { p.Credentials = true }
	case browser.MethodNotAllowed:
		if upper := strings.ToUpper(v.Detail); v.Detail == "patch" || p != nil && upper != v.Detail && p.AllowsMethod(upper) {
			return remedyForCase(upper), nil
		}
		return fmt.Sprintf("add %q to allow_methods", v.Detail), func(p *config.SourcePolicy) {
			p.AllowMethods = append(p.AllowMethods, config.Name{Value: v.Detail})
		}
	case browser.HeaderNotAllowed, browser.AuthorizationMissing:
		return fmt.Sprintf("add %q to allow_headers", v.Detail), func(p *config.SourcePolicy) {
			p.AllowHeaders = append(p.AllowHeaders, config.Name{Value: v.Detail})
		}
	case browser.PrivateNetworkDenied:
		return `set "allow_private_network_access": true, for browsers that still send this preflight`, func(p *config.SourcePolicy) { p.PrivateNetwork = true }
	}
	return "", nil
}

// editor changes one policy of a configuration.
type editor struct {
	source  *config.Source
	policy  *config.SourcePolicy
	object  gjson.Result // the policy as it was
	before  []config.SourceOrigin
	waived  bool     // it took a waiver
	advised []string // in words, in order
	changes []Change // by setting
}

func newEditor(configuration []byte, rule *config.Rule) (*editor, error) {
	source, err := config.Read(configuration)
	if err != nil {
		return nil, err
	}
	text := strings.TrimPrefix(string(configuration), "\ufeff")
	if rule == nil {
		if source.SourcePolicy == nil { // a remedy may give one to requests that have none
			source.SourcePolicy = &config.SourcePolicy{}
		}
		return &editor{source: source, policy: source.SourcePolicy, before: slices.Clone(source.SourcePolicy.AllowOrigins), object: gjson.Parse(text)}, nil
	}
	object := gjson.Get(text, fmt.Sprintf("rules.%d.policy", rule.Index))
	policy := source.Rules[rule.Index].Policy
	return &editor{source: source, policy: policy, before: slices.Clone(policy.AllowOrigins), object: object}, nil
}

// change makes a change, and notes the settings that it changed, each with the first advice
// about it.
func (e *editor) change(advice string, edit func(*config.SourcePolicy)) {
	if !slices.Contains(e.advised, advice) {
		e.advised = append(e.advised, advice)
	}
	before := written(e.policy)
	edit(e.policy)
	after := written(e.policy)
	after.ForEach(func(setting, value gjson.Result) bool {
		if before.Get(setting.Str).Raw != value.Raw {
			e.note(setting.Str, advice, value.Raw)
		}
		return true
	})
	before.ForEach(func(setting, _ gjson.Result) bool {
		if !after.Get(setting.Str).Exists() { // a list of nothing is left out
			e.note(setting.Str, advice, "[]")
		}
		return true
	})
}

func (e *editor) note(setting, advice, value string) {
	i := slices.IndexFunc(e.changes, func(c Change) bool { return c.Setting == setting })
	if i < 0 {
		i = len(e.changes)
		e.changes = append(e.changes, Change{Setting: setting, Advice: advice})
	}
	e.changes[i].Line = fmt.Sprintf("%q: %s", e.key(setting), spaced(value))
}

// spaced puts a space after each comma and colon of compact JSON.
func spaced(json string) string {
	var b strings.Builder
	quoted, escaped := false, false
	for _, c := range json {
		b.WriteRune(c)
		if !quoted && (c == ',' || c == ':') {
			b.WriteByte(' ')
		}
		if c == '"' && !escaped {
			quoted = !quoted
		}
		escaped = c == '\\' && !escaped
	}
	return b.String()
}

// written is a policy as JSON.
func written(p *config.SourcePolicy) gjson.Result {
	text, _ := (&config.Source{SourcePolicy: p}).MarshalJSON() // which refuses nothing
	return gjson.ParseBytes(text)
}

// key is the policy's key for a setting, perhaps in one of the dialects.
func (e *editor) key(setting string) string {
	spelled := setting
	e.object.ForEach(func(key, _ gjson.Result) bool {
		if config.SettingOf(key.Str) == setting {
			spelled = key.Str
		}
		return spelled == setting
	})
	return spelled
}

// compile makes the configuration, with the waivers that it needs. The error is about another
// refusal.
func (e *editor) compile() (*config.Config, error) {
	for {
		c, _, err := e.source.Compile()
		if err == nil {
			return c, nil
		}
		var problems config.Problems
		if !errors.As(err, &problems) {
			return nil, err
		}
		waived := false
		for _, p := range problems {
			waived = e.waive(p) || waived
		}
		if !waived {
			return nil, err
		}
	}
}

// waive adds the waiver that a problem asks for: to the entry of allow_origins that
// needs it, so that nothing else gets in with it, or else to the policy. It reports false
// if no waiver helps.
func (e *editor) waive(p config.Problem) bool {
	if !slices.Contains(config.Waivers, p.Code) {
		return false
	}
	has := func(list []config.Waiver) bool {
		return slices.ContainsFunc(list, func(w config.Waiver) bool { return w.Code == p.Code })
	}
	var edit func(*config.SourcePolicy)
	advice := fmt.Sprintf("add %q to dangerously_tolerate: %s", p.Code, p.Reason)
	if i, ok := originAt(p.Path); ok && i < len(e.policy.AllowOrigins) {
		if has(e.policy.AllowOrigins[i].Tolerate) {
			return false
		}
		advice = fmt.Sprintf("give %s the waiver %q: %s", p.Value, p.Code, p.Reason)
		edit = func(s *config.SourcePolicy) {
			o := &s.AllowOrigins[i]
			o.Tolerate = append(slices.Clip(o.Tolerate), config.Waiver{Code: p.Code})
		}
	} else {
		if has(e.policy.Tolerate) {
			return false
		}
		edit = func(s *config.SourcePolicy) { s.Tolerate = append(s.Tolerate, config.Waiver{Code: p.Code}) }
	}
	e.change(advice, edit)
	e.waived = true
	return true
}

// originAt is the index of the entry of allow_origins that a path names.
func originAt(path string) (index int, ok bool) {
	setting, rest, found := strings.Cut(path[strings.LastIndexByte(path, '.')+1:], "[")
	index, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
	return index, found && err == nil && config.SettingOf(setting) == "allow_origins"
}
