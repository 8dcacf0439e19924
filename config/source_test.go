//go:build !wasip1

package config

import (
	"testing"

	"github.com/tidwall/gjson"
)

// everyForm are configurations that together use every setting in each of its forms.
var everyForm = []string{
	`{"allow_origins": ["https://a.example", "https://*.b.example:8443", "null"], "dangerously_tolerate": ` +
		`["null-origin"], "allow_credentials": true, "preflight_status": 200}`,
	`{"allowOrigins": ["*"], "allow_methods": "PUT, PATCH", "allow_headers": ["x-a", "authorization"], ` +
		`"expose_headers": "x-b, x-c", "debug": true, "stat_prefix": "shop"}`,
	`{"allow_origins": ["https://c.example:[1,2,3]"], "timing_allow_origins": ["https://a.example", {"exact": ` +
		`"https://b.example"}], "max_age": "10m", "mode": "shadow"}`,
	`{"allow_origins": [{"regex": "https://[a-d]\\.example/?<>&"}, {"safe_regex": {"regex": ` +
		`"https://B\\.example"}, "ignore_case": true}, {"prefix": "https://c.ex"}, {"suffix": "d.example"}, ` +
		`{"contains": "://d"}], "dangerously_tolerate": ["loose-origin-match"], "disallowed_requests": "reject", "max_age": -1}`,
	`{"rules": [{"name": "one", "hosts": ["a.example", "*.b.example"], "paths": ["/v1/*", "/v2*", {"regex": ` +
		`"/<v>[3-4]&/\\\\."}], "policy": {"mode": "off"}}, {"paths": ["/"], "policy": {"allow_origins": ` +
		`["https://a.example"], "upstream_headers": "preserve", "allow_private_network_access": true}}]}`,
	`{"rules": [{"hosts": ["*.b.example"], "policy": {"allow_origins": ["https://d.example"], "allow_methods": ` +
		`["DELETE"], "unmatched_preflights": "forward"}}], "allow_origins": ["https://c.example:1"], "max_age": 6e2}`,
	`{"allow_origin_string_match": [{"exact": "https://a.example"}], "filter_enabled": {"default_value": {}}, ` +
		`"shadow_enabled": {"default_value": {"numerator": 100}}}`,
	`{"allow_origin": ["https://a.example"], "unmatchedPreflights": "FORWARD", "maxAge": "24h", ` +
		`"upstreamHeaders": "preserve", "allow_private_network_access": true}`,
	`{"allow_origins": ["https://a.example"], "allow_origin_patterns": ["https://*.b.example"], "max_age": "7200"}`,
	`{"allow_origins": [{"origin": "null", "dangerously_tolerate": ["null-origin"]}, {"suffix": ".b.example", ` +
		`"ignore_case": true, "dangerously_tolerate": ["loose-origin-match"]}]}`,
	`{"mode": "off"}`,
}

// What was read and is written says the same: the policy, and what is said of it.
func TestWrittenSourceSaysTheSame(t *testing.T) {
	for _, text := range everyForm {
		alone, _, err := Parse([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		source, err := Read([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		written := []byte(source.text(t))
		read, _, err := Parse(written)
		if err != nil {
			t.Fatalf("%s\n%s\n%v", text, written, err)
		}
		compiled, _, err := source.Compile()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for _, other := range []*Config{read, compiled} {
			// A note may be of the words of another project, which are ours now.
			other.Notes, other.Hash = alone.Notes, alone.Hash
			if got, want := behaviour(other), behaviour(alone); got != want {
				t.Errorf("%s\n%s\nbehaves as\n%s\nwant\n%s", text, written, got, want)
			}
		}
		if again, err := Read(written); err != nil || again.text(t) != string(written) {
			t.Errorf("%s\nis written again as\n%s, %v", written, again.text(t), err)
		}
	}
}

func (s *Source) text(t *testing.T) string {
	t.Helper()
	text, err := s.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A source is written in our own words, in the order of the reference, and a setting
// that has its default is left out.
func TestSourceIsWrittenInOurWords(t *testing.T) {
	for text, want := range map[string]string{
		`{"maxAge":"24h","allow_origin_string_match":[{"exact":"https://a.example"},` +
			`{"safe_regex":{"regex":"https://<b>&"},"ignore_case":true}],"allow_methods":"PUT, DELETE",` +
			`"preflight_status":2e2,"forward_not_matching_preflights":true,"debug":false}`: `{"allow_origins":[{"exact":"https://a.example"},` +
			`{"regex":"https://<b>&","ignore_case":true}],` +
			`"allow_methods":["PUT","DELETE"],"max_age":"24h","preflight_status":200,"unmatched_preflights":"forward"}`,
		`{"stat_prefix":"x","rules":[{"paths":["/a"],"policy":{"disallowed_requests":"reject",` +
			`"upstream_headers":"preserve","allow_origins":[],"max_age":600.0}},{"name":"n","hosts":["a"],` +
			`"policy":{"mode":"off"}}],"dangerously_tolerate":["null-origin"],"timing_allow_origins":["*"],` +
			`"mode":"shadow","allow_origins":["null"],"allow_credentials":true,"allow_private_network_access":true,` +
			`"debug":true,"allow_headers":["x"],"expose_headers":["y"]}`: `{"rules":[{"paths":["/a"],"policy":{"allow_origins":[],` +
			`"max_age":600,"disallowed_requests":"reject",` +
			`"upstream_headers":"preserve"}},{"name":"n","hosts":["a"],"policy":{"mode":"off"}}],` +
			`"allow_origins":["null"],"allow_headers":["x"],"expose_headers":["y"],"allow_credentials":true,` +
			`"allow_private_network_access":true,"mode":"shadow","debug":true,"timing_allow_origins":["*"],` +
			`"dangerously_tolerate":["null-origin"],"stat_prefix":"x"}`,
	} {
		source, err := Read([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := source.text(t); got != want {
			t.Errorf("%s\nis written as\n%s\nwant\n%s", text, got, want)
		}
	}
}

// A source made by hand is refused for what it says as JSON is, at the same paths.
func TestSourceMadeByHand(t *testing.T) {
	s := &Source{
		StatPrefix: ".x",
		Rules: []SourceRule{
			{
				Name:   Name{Value: "a"},
				Hosts:  []Name{{Value: "ok.example"}, {Value: "https://x"}},
				Paths:  []SourcePath{{Value: "v1"}, {Regex: true, Value: "/("}},
				Policy: &SourcePolicy{},
			},
			{Name: Name{Value: "a"}},
		},
		SourcePolicy: &SourcePolicy{
			AllowOrigins:       []SourceOrigin{{Value: "https://a.example"}, {Kind: Regex, Value: "("}, {Kind: Prefix, Value: "https://a"}},
			AllowMethods:       []Name{{Value: "TRACE"}},
			AllowHeaders:       []Name{{Value: "x y"}},
			ExposeHeaders:      []Name{{Value: "x y"}},
			TimingAllowOrigins: []SourceOrigin{{Value: "https://a.example/"}},
			MaxAge:             "1.5s",
			Settings:           Settings{PreflightStatus: 404},
			Tolerate:           []Waiver{{Code: "null-orgin"}, {Code: PublicSuffix}},
		},
	}
	_, warnings, err := s.Compile()
	problems, ok := err.(Problems)
	if !ok {
		t.Fatalf("%v", err)
	}
	text := s.text(t)
	_, parsed, err := Parse([]byte(text))
	refused, ok := err.(Problems)
	if !ok {
		t.Fatalf("%v", err)
	}
	// A rule without a policy is null in JSON.
	for _, c := range []struct{ got, want Problems }{{problems, refused}, {warnings, parsed}} {
		got, want := map[string]bool{}, map[string]bool{}
		for _, p := range c.got {
			got[p.Error()] = true
		}
		for _, p := range c.want {
			if p.Path == "rules[1].policy" {
				p = Problem{Path: "rules[1]", Reason: noPolicy, Remedy: noPolicyRemedy}
			}
			want[p.Error()] = true
		}
		for line := range want {
			if !got[line] {
				t.Errorf("%s\nis not said of a source made by hand, but\n%v", line, c.got)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d are said, want %d\n%v\n%v", len(got), len(want), c.got, c.want)
		}
	}
	if _, _, err := new(Source).Compile(); err == nil {
		t.Error("nothing at all is accepted")
	}
}

// What JSON leaves out has a word as well.
func TestWordsOfDefaults(t *testing.T) {
	for _, c := range []struct {
		value interface{ MarshalText() ([]byte, error) }
		want  string
	}{
		{Enforce, "enforce"}, {Shadow, "shadow"}, {Forward(false), "deny"}, {Forward(true), "forward"},
		{Reject(false), "forward"}, {Reject(true), "reject"}, {Preserve(false), "override"}, {Preserve(true), "preserve"},
	} {
		if got, err := c.value.MarshalText(); string(got) != c.want || err != nil {
			t.Errorf("%#v is %q, %v; want %q", c.value, got, err, c.want)
		}
	}
}

func TestReadRefusesWhatIsNoSource(t *testing.T) {
	for _, text := range []string{`{"allow_origins": `, `{"allow_origins": 1}`, `{"allow_orgins": []}`} {
		if s, err := Read([]byte(text)); s != nil || err == nil {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
}

// A warning of a setting that was made by hand names it.
func TestWarningOfASourceMadeByHand(t *testing.T) {
	s := &Source{SourcePolicy: &SourcePolicy{AllowOrigins: []SourceOrigin{{Value: "https://a.example"}}, AllowMethods: []Name{{Value: "GET"}}}}
	if _, warnings, err := s.Compile(); err != nil || len(warnings) != 1 || warnings[0].Path != "allow_methods" ||
		warnings[0].Code != NoEffect {
		t.Errorf("%v, %v", warnings, err)
	}
}

// Every field is written under its own name, so that everyForm has to have it.
func TestEveryFieldIsWritten(t *testing.T) {
	keys := map[string]bool{}
	for _, text := range everyForm {
		source, err := Read([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		gjson.Parse(source.text(t)).ForEach(func(key, _ gjson.Result) bool {
			keys[key.Str] = true
			return true
		})
	}
	for _, f := range Fields {
		if !keys[f.Name] {
			t.Errorf("%s is written in none of everyForm", f.Name)
		}
		delete(keys, f.Name)
	}
	for key := range keys {
		t.Errorf("%s is written, and is no field", key)
	}
}

func TestSameEntries(t *testing.T) {
	o := SourceOrigin{Kind: Regex, Value: "a", IgnoreCase: true}
	other := o
	other.Tolerate = []Waiver{{Code: NullOrigin}}
	if !o.Same(other) {
		t.Error("a waiver makes another entry of it")
	}
	for _, other := range []SourceOrigin{
		{Kind: Exact, Value: "a", IgnoreCase: true},
		{Kind: Regex, Value: "b", IgnoreCase: true},
		{Kind: Regex, Value: "a"},
	} {
		if o.Same(other) {
			t.Errorf("%v is %v", other, o)
		}
	}
}
