package diff

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/header"
)

// Effect says what a change does to pages of other origins.
type Effect string

// A change opens what was closed, closes what was open, or does neither.
const (
	Opens   Effect = "opens"
	Closes  Effect = "closes"
	Changes Effect = "changes"
)

// Change is one difference.
type Change struct {
	Effect  Effect `json:"effect"`
	Setting string `json:"setting"`
	// Text is what opens or closes.
	Text string `json:"text"`
	// Names are the entries of origins, the methods or the headers that it is about.
	Names []string `json:"names,omitempty"`
	// Witness is the shortest of the origins, and Owners how many registrable domains
	// they are of.
	Witness string `json:"witness,omitempty"`
	Owners  string `json:"owners,omitempty"`

	can string // what a page of an origin that both policies allow can do by it
}

// view is a policy as it applies to requests.
type view struct {
	*config.Policy
	origins, timing *origins
}

// leftAlone is the policy of requests that the filter leaves alone.
var leftAlone = view{&config.Policy{Settings: config.Settings{Mode: config.Off}}, nobody, nobody}

// view is that of the policy of a rule, or of the top level.
func (c *comparer) view(x *side, rule int) view {
	policy := x.policies[rule]
	if policy == nil || policy.Mode == config.Off {
		return leftAlone
	}
	written := x.source.SourcePolicy
	if rule < len(x.source.Rules) {
		written = x.source.Rules[rule].Policy
	}
	return view{policy, c.originsOf(written.AllowOrigins, &policy.Origins), c.originsOf(written.TimingAllowOrigins, &policy.Timing)}
}

// policies collects what changes for requests that move from one policy to another.
type policies struct {
	old, new view
	changes  []Change
}

// compare returns what changes from one policy to another, and in one sentence each
// what pages can do now and cannot any more.
func (c *comparer) compare(old, new view) (changes []Change, now, gone string) {
	p := &policies{old: old, new: new}
	if old.Mode != new.Mode {
		p.mode()
	}
	gained, lost := c.without(p.new.origins, p.old.origins), c.without(p.old.origins, p.new.origins)
	p.origins("allow_origins", "origins", gained, lost)
	p.origins("timing_allow_origins", "origins that may read resource timing", c.without(p.new.timing, p.old.timing), c.without(p.old.timing, p.new.timing))
	common := c.shared(p.old.origins, p.new.origins)
	if common != "" {
		p.allowed()
	}
	if old.Mode == new.Mode {
		p.others()
	}
	// What opens comes first.
	slices.SortStableFunc(p.changes, func(a, b Change) int { return -strings.Compare(string(a.Effect), string(b.Effect)) })
	if old.Mode == config.Shadow && new.Mode == config.Shadow {
		for i := range p.changes {
			p.changes[i].Effect = Changes
			p.changes[i].Text += " (mode shadow: counted, not applied)"
		}
		return p.changes, "", ""
	}
	return p.changes, p.sentence(Opens, gained, common), p.sentence(Closes, lost, common)
}

// mode says what happens to the CORS headers that upstream sends. A policy in shadow mode
// allows nothing.
func (p *policies) mode() {
	text := fmt.Sprintf("mode: %s, was %s", p.new.Mode, p.old.Mode)
	enforced, enforces := p.old.Mode == config.Enforce, p.new.Mode == config.Enforce
	if enforced == enforces {
		p.changes = append(p.changes, Change{Effect: Changes, Setting: "mode", Text: text})
	}
	p.toggle("mode", !enforced, !enforces, "upstream's own CORS headers, and its answers to preflights ("+text+")", "")
	if !enforced {
		p.old = leftAlone
	}
	if !enforces {
		p.new = leftAlone
	}
}

// toggle adds what a switch opens or closes.
func (p *policies) toggle(setting string, old, new bool, text, can string) {
	if old != new {
		p.changes = append(p.changes, Change{Effect: map[bool]Effect{true: Opens, false: Closes}[new], Setting: setting, Text: text, can: can})
	}
}

func (p *policies) origins(setting, noun string, gained, lost part) {
	for effect, part := range map[Effect]part{Opens: gained, Closes: lost} {
		if !part.some {
			continue
		}
		text := noun + ": " + enumerate(part.entries)
		if part.witness != "" && (len(part.entries) != 1 || part.entries[0] != part.witness) {
			text += "; the shortest is " + part.witness
		}
		if part.owners != "" {
			text += " (" + part.owners + ")"
		}
		p.changes = append(p.changes, Change{effect, setting, text, part.entries, part.witness, part.owners, ""})
	}
}

// maxNamed is how many entries a text has.
const maxNamed = 5

func enumerate(names []string) string {
	text := strings.Join(names[:min(len(names), maxNamed)], ", ")
	if more := len(names) - maxNamed; more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text
}

// names is the part of a list of methods or headers that has an effect.
type names struct {
	all    bool                   // "*" is in it
	covers func(name string) bool // whether that stands for a name
	list   []string
}

// read splits up the value of a response field.
func read(value string, needless, covers func(name string) bool) (n names) {
	n.covers = covers
	for _, name := range strings.Split(value, ", ") {
		switch {
		case name == "*":
			n.all = true
		case name != "" && !needless(name):
			n.list = append(n.list, name)
		}
	}
	slices.Sort(n.list)
	return n
}

// beyond returns the names of one list that another does not have; "*" is the first.
func (n names) beyond(other names) (more []string) {
	if n.all && !other.all {
		more = append(more, "*")
	}
	for _, name := range n.list {
		if !slices.Contains(other.list, name) && !(other.all && other.covers(name)) {
			more = append(more, name)
		}
	}
	return more
}

func methods(v view) names {
	return read(v.AllowMethods, header.SafelistedMethod, func(string) bool { return true })
}

// requestHeaders are those that a script may set. "*" does not include authorization, unless
// requests may have credentials: then their own list is echoed.
func requestHeaders(v view) names {
	n := read(v.AllowHeaders, header.ForbiddenRequestHeader, func(name string) bool { return name != header.Authorization })
	if n.all {
		n.list = nil
		if v.AllowsHeader(header.Authorization) {
			n.list = []string{header.Authorization}
		}
	}
	return n
}

// exposed are the response headers that a script may read. "*" includes none if the request
// has credentials.
func exposed(v view) names {
	needless := func(name string) bool {
		return header.SafelistedResponseHeader(name) || header.ForbiddenResponseHeader(name)
	}
	return read(v.ExposeHeaders, needless, func(string) bool { return !v.Credentials })
}

// allowed compares what origins may do that both policies allow.
func (p *policies) allowed() {
	p.toggle("allow_credentials", p.old.Credentials, p.new.Credentials, "credentials: cookies, certificates and HTTP authentication", "read responses to requests with its visitors' credentials")
	for _, l := range []struct {
		setting, noun, some, every string
		names                      func(v view) names
	}{
		{"allow_methods", "methods", "send ", "send every method", methods},
		{"allow_headers", "request headers", "set the request header ", "set every request header", requestHeaders},
		{"expose_headers", "response headers that scripts may read", "read the response header ", "read every response header", exposed},
	} {
		old, new := l.names(p.old), l.names(p.new)
		for effect, some := range map[Effect][]string{Opens: new.beyond(old), Closes: old.beyond(new)} {
			if some == nil {
				continue
			}
			text, can := l.noun+": "+enumerate(some), l.some+and(some)
			if some[0] == "*" {
				can = l.every
				if effect == Closes && len(new.list) > 0 {
					text += ", but for " + enumerate(new.list)
				}
			}
			p.changes = append(p.changes, Change{Effect: effect, Setting: l.setting, Text: text, Names: some, can: can})
		}
	}
	p.toggle("allow_private_network_access", p.old.PrivateNetwork, p.new.PrivateNetwork, "private network access", "call addresses in a more private network")
	for _, s := range []struct{ setting, old, new string }{
		{"max_age", p.old.MaxAge, p.new.MaxAge},
		{"preflight_status", fmt.Sprint(p.old.PreflightStatus), fmt.Sprint(p.new.PreflightStatus)},
	} {
		if s.old != s.new {
			p.changes = append(p.changes, Change{Effect: Changes, Setting: s.setting, Text: s.setting + ": " + orNone(s.new) + ", was " + orNone(s.old)})
		}
	}
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

// others compares what concerns requests from unlisted origins.
func (p *policies) others() {
	for _, s := range []struct {
		setting, text string
		on            func(v view) bool
	}{
		{"unmatched_preflights", "preflights from unlisted origins: upstream answers them", func(v view) bool { return bool(v.ForwardUnmatched) && !v.Wildcard() }},
		{"disallowed_requests", "requests from unlisted origins: they reach upstream and have their effects there", func(v view) bool { return !bool(v.Reject) || v.Wildcard() }},
		{"upstream_headers", "CORS headers that upstream sends", func(v view) bool { return bool(v.Preserve) }},
	} {
		p.toggle(s.setting, s.on(p.old), s.on(p.new), s.text, "")
	}
	if p.old.Debug != p.new.Debug {
		p.changes = append(p.changes, Change{Effect: Changes, Setting: "debug", Text: fmt.Sprintf("debug: %t, was %t", p.new.Debug, p.old.Debug)})
	}
}

// sentence says what a page can now do, or no longer can, for somebody who has not read the
// policy; "" if nothing of that kind changed.
func (p *policies) sentence(effect Effect, part part, common string) string {
	verb, of, unless := " can now ", p.new, ""
	if effect == Closes {
		if verb, of = " can no longer ", p.old; p.new.Mode == config.Off {
			unless = ", unless upstream allows it"
		}
	}
	who := "A page of " + common
	var can []string
	if part.some {
		switch who = "A page of " + part.witness; {
		case part.any:
			who = "A page of any origin"
		case part.witness == "null":
			who = "A page in a sandboxed frame, whose origin is null,"
		}
		can = []string{"read responses"}
		if of.Credentials {
			can[0] += " to requests with its visitors' credentials"
		}
		if list := methods(of); effect == Opens && list.all {
			can = append(can, "send every method")
		} else if effect == Opens && len(list.list) > 0 {
			can = append(can, "send "+and(list.list))
		}
	} else {
		for _, c := range p.changes {
			if c.Effect == effect && c.can != "" {
				can = append(can, c.can)
			}
		}
	}
	if len(can) == 0 {
		return ""
	}
	return who + verb + and(can) + unless + "."
}

func and(list []string) string {
	last := len(list) - 1
	if last < 1 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:last], ", ") + " and " + list[last]
}
