package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var updateSchema = flag.Bool("update-schema", false, "rewrite schema.json")

const schemaFile = "schema.json"

// schema is a part of a JSON Schema.
type schema = map[string]any

func reference(name string) schema { return schema{"$ref": "#/$defs/" + name} }
func enum(words ...string) schema  { return schema{"type": "string", "enum": words} }
func listOf(items schema) schema   { return schema{"type": "array", "items": items} }

const (
	tokenPattern   = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
	addressPattern = `\[[0-9A-Fa-f:.]+\]`
	portPattern    = `(:(\*|[1-9][0-9]{0,4}|\[(\*|[1-9][0-9]{0,4}(,[1-9][0-9]{0,4})*)\]))?`
	// Hosts are names in origins of the web, and opaque in others.
	originPattern = `^(\*|null|[Ff][Ii][Ll][Ee]://|[Hh][Tt][Tt][Pp][Ss]?://(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|` + addressPattern +
		`)` + portPattern + `)$`
	otherPattern  = `^[A-Za-z][A-Za-z0-9+.-]*://((\*|(\*\.)?[A-Za-z0-9._~!$&'()+;=%-]+|` + addressPattern + `)` + portPattern + `)?$`
	noOtherScheme = `^([Hh][Tt][Tt][Pp][Ss]?|[Ff][Ii][Ll][Ee]):`
)

// types say what JSON a field of a type takes. A type of quoted words is an
// enumeration of them.
var types = map[string]schema{
	originsType:          listOf(reference("origin")),
	"as `allow_origins`": listOf(reference("origin")),
	"list of methods, or one comma-separated string": {"oneOf": []any{schema{"type": "string"}, listOf(reference("method"))}},
	headersType: reference("headers"),
	flagType:    {"type": "boolean"},
	"seconds as number or string, or a duration such as `10m`": reference("age"),
	"200 to 299":      {"type": "integer", "minimum": 200, "maximum": 299},
	"list of waivers": listOf(reference("waiver")),
	"list of rules":   listOf(reference("rule")),
	"1 to 64 letters, digits, `_`, `-` and inner dots": {"type": "string", "pattern": `^[A-Za-z0-9_-]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?$`},
	fractionType: reference("fraction"),
	typeURLType:  enum(corsPolicyTypes...),
}

// schemaOf is the schema of one field.
func schemaOf(t *testing.T, f Field) schema {
	t.Helper()
	s := schema{}
	if strings.HasPrefix(f.Type, "`") {
		var words []string
		for i, word := range strings.Split(f.Type, "`") {
			if i%2 == 1 {
				words = append(words, word)
			}
		}
		if f.Name == unmatchedPreflights {
			words = append(words, slices.Sorted(maps.Keys(unmatchedInIstio))...)
		}
		s = enum(words...)
	} else if types[f.Type] == nil {
		t.Errorf("the schema does not say what %q takes, the type of %s", f.Type, f.Name)
	}
	s["description"] = f.Meaning
	for k, v := range types[f.Type] {
		s[k] = v
	}
	return s
}

// properties returns the members of an object in both spellings.
func properties(types map[string]schema) schema {
	all := schema{}
	for name, t := range types {
		all[name], all[camel(name)] = t, t
	}
	return all
}

func object(types map[string]schema, more schema) schema {
	o := schema{"type": "object", "additionalProperties": false, "properties": properties(types)}
	for k, v := range more {
		o[k] = v
	}
	return o
}

// policyObject is the schema of a policy, or of the top level.
func policyObject(t *testing.T, top bool) schema {
	t.Helper()
	types := map[string]schema{}
	needs := []any{schema{"properties": schema{"mode": schema{"const": "off"}}, "required": []string{"mode"}}}
	for _, f := range slices.Concat(Fields, Dialects) {
		if f.Top && !top {
			continue
		}
		types[f.Name] = schemaOf(t, f)
		for _, spelled := range slices.Compact([]string{f.Name, camel(f.Name)}) {
			switch {
			case f.Type == originsType:
				needs = append(needs, schema{"required": []string{spelled}})
			case f.Name == filterEnabled:
				needs = append(needs, schema{"required": []string{spelled}}) // 0 % is off, and needs no origins
			}
		}
	}
	if top {
		needs = append(needs, schema{"required": []string{"rules"}, "properties": schema{"rules": schema{"minItems": 1}}})
	}
	return object(types, schema{"anyOf": needs})
}

// buildSchema puts the schema together.
func buildSchema(t *testing.T) []byte {
	t.Helper()
	text := schema{"type": "string"}
	waivers := make([]string, len(Waivers))
	for i, w := range Waivers {
		waivers[i] = string(w)
	}
	needs := func(keys ...string) (all []any) {
		for _, key := range keys {
			all = append(all, schema{"required": []string{key}})
		}
		return all
	}
	root := policyObject(t, true)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Configuration of corsfilter"
	root["$defs"] = map[string]any{
		"policy": policyObject(t, false),
		"rule": object(map[string]schema{
			"name": text,
			"hosts": {
				"type":     "array",
				"minItems": 1,
				"items":    schema{"type": "string", "pattern": `^(\*|(\*\.)?[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])$`},
			},
			"paths": {"type": "array", "minItems": 1, "items": schema{"oneOf": []any{
				schema{
					"type":        "string",
					"pattern":     `^/[^*?# ]*\*?$`,
					"description": "a path; all below \"/v1/*\", by segment; all that begins with \"/v1*\"",
				},
				object(
					map[string]schema{
						"regex": {"type": "string", "minLength": 1, "maxLength": maxRegexLen, "description": "RE2, of the whole path up to \"?\""},
					},
					schema{"required": []string{"regex"}},
				),
			}}},
			"policy": reference("policy"),
		}, schema{"required": []string{"policy"}}),
		"origin": schema{"oneOf": []any{
			schema{"type": "string", "pattern": originPattern},
			schema{"type": "string", "pattern": otherPattern, "not": schema{"pattern": noOtherScheme}},
			object(map[string]schema{
				"origin": {"type": "string", "pattern": originPattern}, tolerate: listOf(reference("waiver")),
				"exact": text, "regex": text, "prefix": text, "suffix": text, "contains": text, "ignore_case": {"type": "boolean"},
				"safe_regex": object(map[string]schema{"regex": text, "google_re2": {"type": "object"}}, schema{"required": []string{"regex"}}),
			}, schema{"oneOf": needs("origin", "exact", "regex", "safe_regex", "safeRegex", "prefix", "suffix", "contains")}),
		}},
		"method": schema{
			"type": "string", "pattern": "^" + tokenPattern + "$",
			"not": schema{"pattern": "^([Cc][Oo][Nn][Nn][Ee][Cc][Tt]|[Tt][Rr][Aa][Cc][EeKk])$"},
		},
		"headers": schema{"oneOf": []any{text, listOf(schema{"type": "string", "pattern": "^" + tokenPattern + "$", "maxLength": 256})}},
		"age": schema{"oneOf": []any{
			schema{"type": "integer", "minimum": -1, "maximum": 2147483647},
			schema{"type": "string", "pattern": `^(-1|[0-9]+|([0-9]+(\.[0-9]+)?(h|m|s|ms|us|µs|ns))+)$`},
		}},
		"waiver": enum(waivers...),
		"fraction": object(map[string]schema{
			"runtime_key": text,
			"default_value": object(map[string]schema{
				"numerator": {"type": "integer", "minimum": 0}, "denominator": enum("HUNDRED", "TEN_THOUSAND", "MILLION"),
			}, nil),
		}, schema{"anyOf": needs("default_value", "defaultValue")}),
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheSchemaIsMadeFromTheFields(t *testing.T) {
	want := buildSchema(t)
	if *updateSchema {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the fields say; run go test ./config -update-schema", schemaFile)
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(schemaFile, document); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(schemaFile) // checks it against the draft's own schema
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// TestSchemaAndParserAgree gives both the same documents. What a schema cannot
// say it must let through: an editor that marks what the filter accepts is worse
// than one that marks too little.
func TestSchemaAndParserAgree(t *testing.T) {
	compiled := compileSchema(t)
	const ok = `"allow_origins":["https://a.example"]`
	wrap := func(members ...string) (documents []string) {
		for _, m := range members {
			documents = append(documents, `{`+ok+`,`+m+`}`)
		}
		return documents
	}
	for _, group := range []struct {
		name      string
		parser    bool
		schema    bool
		documents []string
	}{
		{"both accept", true, true, slices.Concat([]string{
			`{"allowOrigins":["https://a.example:*"]}`, `{"allow_origins":["*"]}`, `{"allow_origins":[]}`,
			`{"allow_origins":["https://a.example"],"expose_headers":"*","allow_credentials":true}`,
			`{"allow_origins":[{"origin":"null","dangerously_tolerate":["null-origin"]}]}`, `{"mode":"off"}`,
			`{"rules":[{"policy":{"mode":"off"}}]}`,
			`{"allow_origins":["https://*.a.example:[8080,8443]","http://[::1]:1","chrome-extension://abc",` +
				`"capacitor://localhost","HTTPS://A.example"]}`,
			`{"allow_origins":["https://*","http://*:8080","https://*:[443,8443]","HTTP://*:*","moz-extension://*",` +
				`"app://.","qrc://","app://..a","app://*.a:*","capacitor://My_App~1!$&'()+;=%C3%BC","app://[::1]:8080","files://x"]}`,
			`{"allow_origins":["file://","FILE://"],"dangerously_tolerate":["null-origin"]}`,
			`{"allow_origins":[{"exact":"https://a.example"},{"regex":"https://a\\.example"},` +
				`{"safe_regex":{"regex":"https://b\\.example","google_re2":{}}},{"safeRegex":{"regex":"https://c\\.example"},"ignoreCase":true}]}`,
			`{"allow_origin_string_match":[{"exact":"https://a.example"}],"allow_methods":"GET, PUT","max_age":"600",` +
				`"filter_enabled":{"default_value":{"numerator":100,"denominator":"HUNDRED"}}}`,
			`{"allowOrigin":["https://a.example"],"maxAge":"24h","unmatchedPreflights":"IGNORE"}`,
			`{"allow_origin_patterns":["https://*.a.example:[*]"]}`,
			`{"rules":[{"name":"x","hosts":["a.example","*.b.example","*","[::1]"],"paths":["/","/v1/*",` +
				`"/v1*",{"regex":"/v[0-9]+/orders"},"/*"],"policy":{` + ok + `}}],` + ok + `}`,
		}, wrap(
			`"allow_methods":["PUT","*","get"]`, `"allow_methods":""`, `"allow_headers":["x-a","*"]`, `"expose_headers":"x-a, x-b"`,
			`"allow_credentials":true`,
			`"max_age":600`, `"max_age":600.0`, `"max_age":6e2`, `"max_age":-1`, `"max_age":"10m"`, `"max_age":"1h30m"`,
			`"allow_private_network_access":true`,
			`"preflight_status":200`, `"unmatched_preflights":"forward"`, `"disallowed_requests":"reject"`, `"upstream_headers":"preserve"`,
			`"mode":"shadow"`,
			`"timing_allow_origins":["*"]`, `"debug":true`, `"dangerously_tolerate":["null-origin"]`, `"stat_prefix":"shop.cors-1"`,
			`"forward_not_matching_preflights":false`,
		))},
		{"both refuse", false, false, slices.Concat([]string{
			`{}`, `[]`, `null`, `{"allow_origins":"*"}`, `{"allow_origins":[1]}`, `{"rules":[]}`, `{"rules":[{}]}`, `{"rules":[{"policy":{}}]}`,
			`{"allow_origins":["https://a.example/"]}`, `{"allow_origins":["a.example"]}`, `{"allow_origins":["https://a.*"]}`,
			`{"allow_origins":["https://user@a.example"]}`,
			`{"allow_origins":["https://a.example:0"]}`, `{"allow_origins":["https://a.example?x"]}`, `{"allow_origins":[""]}`,
			`{"allow_origins":["https://a b.example"]}`,
			`{"allow_origins":["https://"]}`, `{"allow_origins":["https://a~b"]}`, `{"allow_origins":["https://.a"]}`,
			`{"allow_origins":["file:///"]}`, `{"allow_origins":["file://*"]}`, `{"allow_origins":["file://a"]}`,
			`{"allow_origins":["app://a/"]}`, `{"allow_origins":["app://a*"]}`, `{"allow_origins":["app://a,b"]}`,
			`{"allow_origins":["app://:80"]}`, `{"allow_origins":["app://{a}"]}`, `{"allow_origins":["app://*."]}`, `{"allow_origins":["*://a"]}`,
			`{"allow_origins":[{}]}`, `{"allow_origins":[{"exact":"https://a.example","prefix":"x"}]}`, `{"allow_origins":[{"like":"x"}]}`,
			`{"allow_origins":[{"safe_regex":"x"}]}`,
			`{"filter_enabled":{}}`, `{"rules":[{"hosts":[],"policy":{"mode":"off"}}]}`, `{"rules":[{"paths":["v1"],"policy":{"mode":"off"}}]}`,
			`{"rules":[{"paths":[{}],"policy":{"mode":"off"}}]}`, `{"rules":[{"paths":[{"regex":""}],"policy":{"mode":"off"}}]}`,
			`{"rules":[{"paths":[{"prefix":"/v1"}],"policy":{"mode":"off"}}]}`,
			`{"rules":[{"paths":["/v*/x"],"policy":{"mode":"off"}}]}`, `{"rules":[{"hosts":["https://a.example"],"policy":{"mode":"off"}}]}`,
			`{"rules":[{"policy":{` + ok + `,"stat_prefix":"x"}}]}`, `{"rules":[{"policy":{` + ok + `,"rules":[]}}]}`,
		}, wrap(
			`"allow_method":["PUT"]`, `"allow_methods":["TRACE"]`, `"allow_methods":["a b"]`, `"allow_methods":1`, `"allow_headers":["x a"]`,
			`"expose_headers":[true]`,
			`"allow_credentials":"true"`, `"allow_credentials":1`, `"max_age":600.5`, `"max_age":-2`, `"max_age":"soon"`, `"max_age":true`,
			`"preflight_status":199`,
			`"preflight_status":300`, `"preflight_status":"204"`, `"unmatched_preflights":"allow"`, `"disallowed_requests":"deny"`,
			`"upstream_headers":"keep"`,
			`"mode":"on"`, `"debug":null`, `"dangerously_tolerate":["everything"]`, `"dangerously_tolerate":"null-origin"`, `"stat_prefix":""`,
			`"stat_prefix":"a b"`,
			`"@type":"x"`, `"shadow_enabled":{"default_value":{"denominator":"TEN"}}`,
		))},
		{"only the parser refuses", false, true, slices.Concat([]string{
			`{"allow_origins":["*"],"allow_credentials":true}`, `{"allow_origins":["http://a.example"],"allow_credentials":true}`,
			`{"allow_origins":["null"]}`,
			`{"allow_origins":["https://*.com"],"allow_credentials":true}`, `{"allow_origins":[{"prefix":"https://a"}]}`,
			`{"allow_origins":[{"regex":"("}]}`,
			`{"allow_origins":["https://a.example:443"]}`, `{"allow_origins":["https://*.192.0.2.1"]}`,
			`{"allow_origins":["https://a.example:65536"]}`,
			`{"allow_origins":["file://"]}`, `{"allow_origins":["moz-extension://"]}`,
			`{"allow_origins":["moz-extension://*"],"allow_credentials":true}`,
			`{"allow_origins":["https://a.example"],"allowOrigins":["https://b.example"]}`, `{"rules":[{"policy":{"mode":"off"}}],"debug":true}`,
			`{"filter_enabled":{"default_value":{"numerator":100}}}`,
			`{"rules":[{"policy":{"mode":"off"}},{"policy":{"mode":"off"}}]}`, `{"rules":[{"paths":[{"regex":"("}],"policy":{"mode":"off"}}]}`,
		}, wrap(
			`"allow_methods":["patch"]`, `"allow_methods":"GET, a b"`, `"allow_headers":"x a"`, `"max_age":"500ms"`,
			`"filter_enabled":{"default_value":{"numerator":50}}`,
		))},
	} {
		for _, document := range group.documents {
			plugin, _, err := Parse([]byte(document))
			if (plugin != nil) != group.parser {
				t.Errorf("%s: %s: the parser says %v", group.name, document, err)
			}
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(document))
			if err != nil {
				t.Fatalf("%s: %v", document, err)
			}
			if err := compiled.Validate(value); (err == nil) != group.schema {
				t.Errorf("%s: %s: the schema says %v", group.name, document, err)
			}
		}
	}
}
