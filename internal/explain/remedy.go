package explain

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/browser"
)

// Change is one change of a policy.
type Change struct {
	// Setting is the policy's key.
	Setting string `json:"setting"`
	// Advice says in words what to do.
	Advice string `json:"advice"`
	// Line is the member of the policy as it has to be, in JSON.
	Line string `json:"line"`
}

// maxChanges is how many changes a remedy may take: an origin, credentials, a
// method, a few headers and the waivers for them. A request that needs more has
// nothing to do with the policy.
const maxChanges = 16

// remedy looks for the changes that let the script get the response. It changes
// one thing at a time, as the browser names it, and asks again.
func (x *explanation) remedy(configuration []byte) (words string, changes []Change) {
	if x.request.beforeTheFilter() != 0 {
		return remedyForSlashes, nil
	}
	at, policy, err := newEditor(configuration, x.rule)
	if err != nil {
		return "", nil
	}
	report, rest := x.report, x.policy
	next := x.request
	if next.Upstream == nil {
		// A change must help whatever upstream sends: one after which upstream decides
		// is half of a remedy.
		next.Upstream = []browser.Header{}
	}
	for range maxChanges {
		advice, edit := step(report, rest, x.request)
		if advice != "" && edit == nil { // it is for the script, not for the policy
			return advice, nil
		}
		if edit == nil {
			return "", nil
		}
		policy.advise(advice)
		edit(policy)
		text, err := policy.waive(at)
		if err != nil {
			return "", nil
		}
		if report, err = explainOnce(text, next); err != nil {
			return "", nil
		}
		if report.Allowed {
			return policy.words(), policy.changes()
		}
		if rest = policy.parsed; rest == nil {
			return "", nil
		}
	}
	return "", nil
}

// explainOnce explains without looking for a remedy.
func explainOnce(configuration []byte, r Request) (*Report, error) {
	c, _, err := config.Parse(configuration)
	if err != nil {
		return nil, err
	}
	x := explanation{config: c, request: r, report: &Report{SameOrigin: r.SameOrigin}}
	x.policy, x.rule = c.Select(r.Host, r.seen())
	x.run()
	return x.report, nil
}

// step says what to change next: in words, and in the policy. Without an edit the
// advice is for the script.
func step(report *Report, p *config.Policy, r Request) (advice string, edit func(*editor)) {
	stage := report.Request
	if stage == nil {
		stage = report.Preflight
	}
	v := stage.Browser
	switch v.Reason {
	case browser.OriginMissing, browser.OriginMismatch:
		return fmt.Sprintf("add %q to allow_origins, if that page may read responses", r.Origin), func(e *editor) { e.add("allow_origins", r.Origin) }
	case browser.WildcardCredentials:
		return `list the origins in place of "*", and set "allow_credentials": true`, func(e *editor) {
			e.set("allow_origins", []any{r.Origin})
			e.set("allow_credentials", true)
		}
	case browser.CredentialsMissing:
		return `set "allow_credentials": true, or send the request without credentials`, func(e *editor) { e.set("allow_credentials", true) }
	case browser.MethodNotAllowed:
		if upper := strings.ToUpper(v.Detail); upper != v.Detail && p.AllowsMethod(upper) || v.Detail == "patch" {
			return fmt.Sprintf("write %q in the script: methods are case-sensitive, and browsers upper-case only the common ones", strings.ToUpper(v.Detail)), nil
		}
		return fmt.Sprintf("add %q to allow_methods", v.Detail), func(e *editor) { e.add("allow_methods", v.Detail) }
	case browser.HeaderNotAllowed, browser.AuthorizationMissing:
		return fmt.Sprintf("add %q to allow_headers", v.Detail), func(e *editor) { e.add("allow_headers", v.Detail) }
	case browser.PrivateNetworkDenied:
		return `set "allow_private_network_access": true`, func(e *editor) { e.set("allow_private_network_access", true) }
	}
	return "", nil
}

// editor changes one policy of a configuration.
type editor struct {
	object  map[string]any
	changed []string          // settings, in order
	advised []string          // in words, in order
	advice  map[string]string // by setting, the first
	parsed  *config.Policy    // after the last change
	rule    int               // -1: the top level
}

// document is a configuration as JSON that can be changed and printed again.
type document struct{ root map[string]any }

func newEditor(configuration []byte, rule *config.Rule) (*document, *editor, error) {
	decoder := json.NewDecoder(strings.NewReader(strings.TrimPrefix(string(configuration), "\ufeff")))
	decoder.UseNumber()
	d := &document{}
	if err := decoder.Decode(&d.root); err != nil {
		return nil, nil, err
	}
	if rule == nil {
		return d, &editor{object: d.root, rule: -1, advice: map[string]string{}}, nil
	}
	rules, _ := d.root["rules"].([]any)
	if rule.Index >= len(rules) {
		return nil, nil, errors.New("the rule is not in the configuration")
	}
	entry, _ := rules[rule.Index].(map[string]any)
	object, _ := entry["policy"].(map[string]any)
	if object == nil {
		return nil, nil, errors.New("the rule has no policy")
	}
	return d, &editor{object: object, rule: rule.Index, advice: map[string]string{}}, nil
}

// key is how the policy spells a setting: in one of the dialects, perhaps.
func (e *editor) key(setting string) string {
	for key := range e.object {
		if config.SettingOf(key) == setting {
			return key
		}
	}
	return setting
}

func (e *editor) note(setting string) {
	if !slices.Contains(e.changed, setting) {
		e.changed = append(e.changed, setting)
		e.advice[setting] = e.advised[len(e.advised)-1]
	}
}

func (e *editor) set(setting string, value any) {
	e.object[e.key(setting)] = value
	e.note(setting)
}

// add appends to a list, which may be written as one comma-separated string.
func (e *editor) add(setting, value string) {
	var list []any
	switch old := e.object[e.key(setting)].(type) {
	case []any:
		list = slices.Clone(old)
	case string:
		for part := range strings.SplitSeq(old, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
	}
	e.set(setting, append(list, value))
}

func (e *editor) advise(words string) {
	if !slices.Contains(e.advised, words) {
		e.advised = append(e.advised, words)
	}
}

// waive prints the configuration, with the waivers without which it would be
// refused. The error says that it is refused for something else.
func (e *editor) waive(d *document) ([]byte, error) {
	for {
		text, err := json.Marshal(d.root)
		if err != nil {
			return nil, err
		}
		c, _, err := config.Parse(text)
		if err == nil {
			if e.parsed = c.Default; e.rule >= 0 {
				e.parsed = c.Policies()[e.rule]
			}
			return text, nil
		}
		var problems config.Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			return nil, err
		}
		waived := false
		for _, p := range problems {
			if slices.Contains(config.Waivers, p.Code) && !e.tolerates(string(p.Code)) {
				e.advise(fmt.Sprintf("add %q to dangerously_tolerate: %s", p.Code, p.Reason))
				e.add("dangerously_tolerate", string(p.Code))
				waived = true
			}
		}
		if !waived {
			return nil, err
		}
	}
}

func (e *editor) tolerates(waiver string) bool {
	list, _ := e.object[e.key("dangerously_tolerate")].([]any)
	return slices.Contains(list, any(waiver))
}

func (e *editor) words() string { return strings.Join(e.advised, "; then ") }

func (e *editor) changes() (changes []Change) {
	for _, setting := range e.changed {
		key := e.key(setting)
		var line strings.Builder
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false)
		if encoder.Encode(e.object[key]) != nil {
			return nil
		}
		value := strings.ReplaceAll(strings.TrimSpace(line.String()), `","`, `", "`)
		changes = append(changes, Change{Setting: setting, Advice: e.advice[setting], Line: fmt.Sprintf("%q: %s", key, value)})
	}
	return changes
}
