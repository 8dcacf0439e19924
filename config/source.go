package config

import "slices"

// Source is a configuration as written: reading JSON returns one, and it can be compiled.
// Programs can also create and change one; MarshalJSON writes it.
type Source struct {
	// Rules are tried in order; the first that matches supplies the policy.
	Rules []SourceRule `json:"rules,omitempty"`
	// The policy at the top level is for requests that no rule takes; nil: there is
	// none, and the filter leaves them alone.
	*SourcePolicy
	// StatPrefix is the prefix of the counters' names; "" is the default.
	StatPrefix string `json:"stat_prefix,omitempty"`

	rules place // of their list
}

// SourceRule is a rule as written.
type SourceRule struct {
	Name Name `json:"name,omitzero"`
	// Hosts and Paths are patterns; a rule without any matches all.
	Hosts  []Name        `json:"hosts,omitempty"`
	Paths  []SourcePath  `json:"paths,omitempty"`
	Policy *SourcePolicy `json:"policy"`

	place
	unclear bool // there are mistakes in its hosts and paths
}

// SourcePolicy is a policy as written, with our keys, whatever dialect it was read from. The
// fields are in the order of the reference.
type SourcePolicy struct {
	// AllowOrigins that are empty allow nobody; nil is a mistake, unless the policy
	// is off.
	AllowOrigins  []SourceOrigin `json:"allow_origins,omitzero"`
	AllowMethods  []Name         `json:"allow_methods,omitempty"`
	AllowHeaders  []Name         `json:"allow_headers,omitempty"`
	ExposeHeaders []Name         `json:"expose_headers,omitempty"`
	// MaxAge is in seconds, or a duration such as 10m; "" sends none.
	MaxAge Age `json:"max_age,omitempty"`
	Settings
	TimingAllowOrigins []SourceOrigin `json:"timing_allow_origins,omitempty"`
	Tolerate           []Waiver       `json:"dangerously_tolerate,omitempty"`

	place
	given           []given // as read; empty where it was made by hand
	settings        int     // how many of them are a policy's
	dialect         dialect
	enabled, shadow bool           // Envoy's filter_enabled and shadow_enabled
	room            []SourceOrigin // memory of earlier AllowOrigins
}

// Settings are those of a policy that mean the same as written and compiled. The zero
// value has the defaults.
type Settings struct {
	// Credentials says that Access-Control-Allow-Credentials: true is sent.
	Credentials bool `json:"allow_credentials,omitempty"`
	// PrivateNetwork says that requests into a more private network are
	// answered (Private Network Access, section 3).
	PrivateNetwork bool `json:"allow_private_network_access,omitempty"`
	// PreflightStatus is 200 to 299; 0 is 204.
	PreflightStatus uint32 `json:"preflight_status,omitempty"`
	// ForwardUnmatched says that preflights from unlisted origins are forwarded.
	ForwardUnmatched Forward `json:"unmatched_preflights,omitempty"`
	// Reject says that other requests from such an origin are answered with 403.
	Reject Reject `json:"disallowed_requests,omitempty"`
	// Preserve says that CORS fields from upstream stay.
	Preserve Preserve `json:"upstream_headers,omitempty"`
	Mode     Mode     `json:"mode,omitempty"`
	// Debug says that the decision is shown in a response field.
	Debug bool `json:"debug,omitempty"`
}

// Settings that are booleans here and words in JSON.
type (
	Forward  bool
	Reject   bool
	Preserve bool
)

// Mode says what the filter does with its decisions.
type Mode uint8

// Enforce acts on decisions, Shadow only counts and logs them, Off makes none.
const (
	Enforce Mode = iota
	Shadow
	Off
)

func (m Mode) String() string {
	return [...]string{"enforce", "shadow", "off"}[m]
}

// Age is how long a preflight may be cached, as written.
type Age string

// Name is an entry of a list: a method, the name of a header or a host.
type Name struct {
	Value string
	place
}

// SourcePath is a path, a path with a star at its end, or a regex of whole paths.
type SourcePath struct {
	Value string
	Regex bool

	place
	written string // as JSON, for messages
}

// quoted is the path as JSON.
func (p *SourcePath) quoted() string {
	if p.Regex {
		return p.written
	}
	return quote(p.Value)
}

// MatchKind is the form in which an origin is written.
type MatchKind uint8

// Pattern is a string, which may hold wildcards; the others are matcher objects.
const (
	Pattern MatchKind = iota
	Exact
	Regex
	Prefix
	Suffix
	Contains
)

func (k MatchKind) String() string {
	return [...]string{"origin", "exact", "regex", "prefix", "suffix", "contains"}[k]
}

// SourceOrigin is an entry of a list of origins.
type SourceOrigin struct {
	Kind       MatchKind
	Value      string
	IgnoreCase bool
	// Tolerate holds for this entry alone.
	Tolerate []Waiver

	place
	written string // as JSON, for messages
	any     bool   // it stands for every origin; known once it is compiled
}

// Same reports whether two entries are written alike; their waivers are not compared.
func (o SourceOrigin) Same(other SourceOrigin) bool {
	return o.Kind == other.Kind && o.Value == other.Value && o.IgnoreCase == other.IgnoreCase
}

// Waiver is an entry of dangerously_tolerate: the code of what it lets through.
type Waiver struct {
	Code Code
	place
	used bool // something needed it
}

// given is a key that was read: the setting that it means, the places of its value and of
// the key, the value as JSON, and whether it had no mistake.
type given struct {
	setting   string
	value, at place
	raw       string
	clean     bool
}

// find returns what was read for a setting, or nil.
func (s *SourcePolicy) find(setting string) *given {
	i := slices.IndexFunc(s.given, func(g given) bool { return g.setting == setting })
	if i < 0 {
		return nil
	}
	return &s.given[i]
}

func (s *SourcePolicy) has(setting string) bool { return s.find(setting) != nil }

// clean reports whether no mistake was found when a setting was read.
func (s *SourcePolicy) clean(setting string) bool {
	g := s.find(setting)
	return g == nil || g.clean
}

// at is the place of a setting's value.
func (s *SourcePolicy) at(setting string) place {
	if g := s.find(setting); g != nil {
		return g.value
	}
	return s.inside(setting)
}

// written is the value as JSON of a setting that is there.
func (s *SourcePolicy) written(setting string) string { return s.find(setting).raw }

// reset empties it, and keeps the lists' memory.
func (s *SourcePolicy) reset(at place) {
	room := s.room
	if s.AllowOrigins != nil {
		room = s.AllowOrigins[:0]
	}
	*s = SourcePolicy{
		place: at, given: s.given[:0], room: room, TimingAllowOrigins: s.TimingAllowOrigins[:0], Tolerate: s.Tolerate[:0],
		AllowMethods: s.AllowMethods[:0], AllowHeaders: s.AllowHeaders[:0], ExposeHeaders: s.ExposeHeaders[:0],
	}
}

// reset empties it, and keeps the lists' memory.
func (r *SourceRule) reset(at place) {
	*r = SourceRule{place: at, Hosts: r.Hosts[:0], Paths: r.Paths[:0]}
}

// waiver returns the one of that code in a list, or nil.
func waiver(list []Waiver, c Code) *Waiver {
	i := slices.IndexFunc(list, func(w Waiver) bool { return w.Code == c })
	if i < 0 {
		return nil
	}
	return &list[i]
}
