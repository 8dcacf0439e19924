// Package shapes generates configurations of any length, each with a list that grows in
// another way. Tests and benchmarks use them to show that the cost of a start is
// proportional to its configuration. It imports nothing of this module.
package shapes

import (
	"fmt"
	"strings"
)

// Shape is one way in which a configuration can be long.
type Shape struct {
	Name string
	// Config returns a configuration of n entries.
	Config func(n int) string
	// Refused says that there are mistakes in it.
	Refused bool
}

// All are the shapes.
var All = []Shape{
	{Name: "origins", Config: origins(func(i int) string { return fmt.Sprintf("https://app-%d.team-%d.example.org", i, i%97) })},
	{Name: "wildcards", Config: origins(func(i int) string { return fmt.Sprintf("https://*.team-%d.example.org", i) })},
	{Name: "IPv4 addresses", Config: origins(func(i int) string { return fmt.Sprintf("https://10.%d.%d.%d", i>>16&255, i>>8&255, i&255) })},
	{Name: "IPv6 addresses", Config: origins(func(i int) string { return fmt.Sprintf("https://[2001:db8::1:%x]:8443", 1+i) })},
	{Name: "schemes", Config: origins(func(i int) string { return fmt.Sprintf("app-%d://example", i) })},
	{Name: "upper case", Config: origins(func(i int) string { return fmt.Sprintf("https://APP-%d.Example.org", i) })},
	{Name: "escapes", Config: origins(func(i int) string { return fmt.Sprintf(`https:\/\/app-%d.example.org`, i) })},
	{Name: "origins, every one twice", Config: origins(func(i int) string { return fmt.Sprintf("https://app-%d.example.org", i/2) })},
	{Name: "one origin again and again", Config: origins(func(int) string { return "https://app.example.org" })},
	{Name: "origins below one wildcard", Config: origins(func(i int) string {
		if i == 0 {
			return "https://*.example.org"
		}
		return fmt.Sprintf("https://app-%d.example.org", i)
	})},
	{Name: "ports of one host", Config: origins(func(i int) string { return fmt.Sprintf("https://app.example.org:%d", 1000+i) })},
	{Name: "ports of one wildcard", Config: origins(func(i int) string { return fmt.Sprintf("https://*.example.org:%d", 1000+i) })},
	{Name: "ports of one host, backwards", Config: origins(func(i int) string { return fmt.Sprintf("https://app.example.org:%d", 60000-i) })},
	{Name: "port lists of one host", Config: origins(func(i int) string {
		return fmt.Sprintf("https://app.example.org:[%d,%d,%d,443]", 1000+i, 1000+i*7%30000, 1000+i*13%30000)
	})},
	{Name: "port lists of many hosts", Config: origins(func(i int) string { return fmt.Sprintf("https://app-%d.example.org:[443,8080,8443]", i) })},
	{Name: "one port list", Config: func(n int) string {
		var ports []string
		for i := range n {
			ports = append(ports, fmt.Sprint(1000+i))
		}
		return allow("https://app.example.org:[" + strings.Join(ports, ",") + "]")
	}},
	{Name: "wildcards with ports at 10 levels", Config: origins(func(i int) string {
		return fmt.Sprintf("https://*.%sexample.org:%d", strings.Repeat("a.", i%10), 1000+i)
	})},
	{Name: "wildcards with ports at 120 levels", Config: origins(func(i int) string {
		return fmt.Sprintf("https://*.%sexample.org:%d", strings.Repeat("a.", i%120), 1000+i)
	})},
	{Name: "hosts of 120 levels, differing in front", Config: origins(func(i int) string {
		return fmt.Sprintf("https://h%d.%sexample.org", i, strings.Repeat("a.", 118))
	})},
	{Name: "hosts of 120 levels, differing behind", Config: origins(func(i int) string {
		return fmt.Sprintf("https://%sh%d.org", strings.Repeat("a.", 118), i)
	})},
	{Name: "wildcards of 120 levels, differing behind", Config: origins(func(i int) string {
		return fmt.Sprintf("https://*.%sh%d.org", strings.Repeat("a.", 118), i)
	})},
	{Name: "exact objects", Config: func(n int) string {
		return `{"allow_origins": [` + join(n, func(i int) string { return fmt.Sprintf(`{"exact": "https://app-%d.example.org"}`, i) }) + `]}`
	}},
	{Name: "regexes", Config: matchers("regex", func(i int) string { return fmt.Sprintf(`^https://(www\\.)?app-%d\\.example\\.org(:[0-9]+)?$`, i) }), Refused: true},
	{Name: "regexes without end", Config: matchers("regex", func(i int) string { return fmt.Sprintf(`^https://.*\\.app-%d\\.example\\.org$`, i) }), Refused: true},
	{Name: "suffixes", Config: matchers("suffix", func(i int) string { return fmt.Sprintf(`.app-%d.example.org`, i) }), Refused: true},
	{Name: "Envoy's matchers", Config: func(n int) string {
		return `{"allow_origin_string_match": [` + join(n, func(i int) string {
			return fmt.Sprintf(`{"exact": "https://app-%d.example.org", "ignore_case": true}`, i)
		}) + `]}`
	}},
	{Name: "timing origins", Config: func(n int) string {
		return `{"allow_origins": ["https://app.example.org"], "timing_allow_origins": [` + join(n, func(i int) string { return fmt.Sprintf(`"https://app-%d.example.org"`, i) }) + `]}`
	}},

	{Name: "methods", Config: setting("allow_methods", func(i int) string { return fmt.Sprintf(`"M%d"`, i) })},
	{Name: "one method again and again", Config: setting("allow_methods", func(int) string { return `"PUT"` })},
	{Name: "request headers", Config: setting("allow_headers", func(i int) string { return fmt.Sprintf(`"x-header-%d"`, i) })},
	{Name: "request headers beside *", Config: setting("allow_headers", func(i int) string {
		if i == 0 {
			return `"*"`
		}
		return fmt.Sprintf(`"x-header-%d"`, i)
	})},
	{Name: "exposed headers", Config: setting("expose_headers", func(i int) string { return fmt.Sprintf(`"x-header-%d"`, i) })},
	{Name: "request headers in one string", Config: func(n int) string {
		return `{"allow_origins": ["https://app.example.org"], "allow_headers": "` +
			strings.ReplaceAll(join(n, func(i int) string { return fmt.Sprintf("x-header-%d", i) }), ", ", " , ") + `"}`
	}},
	{Name: "one waiver again and again", Config: setting("dangerously_tolerate", func(int) string { return `"null-origin"` })},

	{Name: "rules by host", Config: rules(func(i int) string { return fmt.Sprintf(`"hosts": ["api-%d.example.org"]`, i) })},
	{Name: "rules by wildcard", Config: rules(func(i int) string { return fmt.Sprintf(`"hosts": ["*.api-%d.example.org"]`, i) })},
	{Name: "rules by path", Config: rules(func(i int) string { return fmt.Sprintf(`"paths": ["/v%d/*"]`, i) })},
	{Name: "rules by path of one host", Config: rules(func(i int) string { return fmt.Sprintf(`"hosts": ["api.example.org"], "paths": ["/v%d/*"]`, i) })},
	{Name: "rules by hosts of 120 levels", Config: rules(func(i int) string {
		return fmt.Sprintf(`"hosts": ["%sh%d.org"]`, strings.Repeat("a.", 118), i)
	})},
	{Name: "rules of one name", Config: rules(func(int) string { return `"name": "api", "hosts": ["api.example.org"]` }), Refused: true},
	{Name: "rules behind one for all", Config: rules(func(int) string { return `"name": ""` }), Refused: true},
	{Name: "rules by letters of one host", Config: rules(func(i int) string { return fmt.Sprintf(`"hosts": ["api.example.org"], "paths": ["/v%d.*"]`, i) })},
	{Name: "rules by wildcard, and by path below", Config: rules(func(i int) string {
		if i%2 == 0 {
			return fmt.Sprintf(`"hosts": ["*.team-%d.example.org"], "paths": ["/v%d/*"]`, i, i)
		}
		return fmt.Sprintf(`"hosts": ["api.team-%d.example.org"]`, i-1)
	})},
	{Name: "rules by regex", Config: rules(func(i int) string { return fmt.Sprintf(`"paths": [{"regex": "/v%d/[0-9]+"}]`, i) }), Refused: true},
	{Name: "rules by path behind a regex", Config: rules(func(i int) string {
		if i == 0 {
			return `"paths": [{"regex": "/.*/[0-9]+"}]`
		}
		return fmt.Sprintf(`"paths": ["/v%d/*"]`, i)
	})},
	{Name: "paths of one rule behind letters", Config: func(n int) string {
		return `{"rules": [{"paths": [` + join(n/2, func(i int) string { return fmt.Sprintf(`"/v%d.*"`, i) }) + `], "policy": {"mode": "off"}}, {"paths": [` +
			join(n/2, func(i int) string { return fmt.Sprintf(`"/v%d"`, i) }) + `], "policy": {"mode": "off"}}]}`
	}},
	{Name: "hosts of one rule", Config: func(n int) string {
		return `{"rules": [{"hosts": [` + join(n, func(i int) string { return fmt.Sprintf(`"api-%d.example.org"`, i) }) + `], "policy": {"mode": "off"}}]}`
	}},
	{Name: "one host of one rule, again and again", Config: func(n int) string {
		return `{"rules": [{"hosts": [` + join(n, func(int) string { return `"api.example.org"` }) + `], "policy": {"mode": "off"}}]}`
	}},
	{Name: "paths of one rule", Config: func(n int) string {
		return `{"rules": [{"paths": [` + join(n, func(i int) string { return fmt.Sprintf(`"/v%d/*"`, i) }) + `], "policy": {"mode": "off"}}]}`
	}},
	{Name: "rules with hosts and paths", Config: func(n int) string {
		// A tenth of them rules, with five hosts and four paths each.
		return `{"rules": [` + join(n/10, func(i int) string {
			return `{"hosts": [` + join(5, func(j int) string { return fmt.Sprintf(`"api-%d.example.org"`, i+j) }) +
				`], "paths": [` + join(4, func(j int) string { return fmt.Sprintf(`"/v%d"`, i+j) }) + `], "policy": {"mode": "off"}}`
		}) + `]}`
	}},
	{Name: "rules with every option", Config: rules(func(i int) string {
		return fmt.Sprintf(`"name": "rule %d", "hosts": ["api-%d.example.org"], "paths": ["/v1/*"]`, i, i)
	})},

	{Name: "numbers for origins", Config: func(n int) string {
		return `{"allow_origins": [` + join(n, func(i int) string { return fmt.Sprint(i) }) + `]}`
	}, Refused: true},
	{Name: "origins with a path", Config: origins(func(i int) string { return fmt.Sprintf("https://app-%d.example.org/", i) }), Refused: true},
	{Name: "origins below public suffixes", Config: func(n int) string {
		return `{"allow_credentials": true, "allow_origins": [` + join(n, func(i int) string { return fmt.Sprintf(`"https://*.zone%d"`, i) }) + `]}`
	}, Refused: true},
	{Name: "insecure origins", Config: func(n int) string {
		return `{"allow_credentials": true, "allow_origins": [` + join(n, func(i int) string { return fmt.Sprintf(`"http://app-%d.example.org"`, i) }) + `]}`
	}, Refused: true},
	{Name: "null again and again", Config: origins(func(int) string { return "null" }), Refused: true},
	{Name: "* again and again", Config: origins(func(int) string { return "*" })},
	{Name: "empty matchers", Config: func(n int) string {
		return `{"allow_origins": [` + join(n, func(int) string { return `{}` }) + `]}`
	}, Refused: true},
	{Name: "no methods", Config: setting("allow_methods", func(i int) string { return fmt.Sprintf(`"no method %d"`, i) }), Refused: true},
	{Name: "unknown keys", Config: func(n int) string {
		return `{` + join(n, func(i int) string { return fmt.Sprintf(`"allow_origin_%d": 1`, i) }) + `}`
	}, Refused: true},
	{Name: "one key again and again", Config: func(n int) string {
		return `{` + join(n, func(int) string { return `"allow_origins": ["https://app.example.org"]` }) + `}`
	}, Refused: true},
	{Name: "unknown waivers", Config: setting("dangerously_tolerate", func(i int) string { return fmt.Sprintf(`"null-origin-%d"`, i) }), Refused: true},
	{Name: "rules without a policy", Config: func(n int) string {
		return `{"rules": [` + join(n, func(i int) string { return fmt.Sprintf(`{"hosts": ["api-%d.example.org"]}`, i) }) + `]}`
	}, Refused: true},
	{Name: "hosts with a scheme", Config: rules(func(i int) string { return fmt.Sprintf(`"hosts": ["https://api-%d.example.org"]`, i) }), Refused: true},
	{Name: "one long origin", Config: func(n int) string { return allow("https://" + strings.Repeat("a.example.", 3*n) + "org") }, Refused: true},
	{Name: "one long origin of mistakes", Config: func(n int) string { return allow(strings.Repeat(" a@b:c/d?e#f,[]*", 2*n)) }, Refused: true},
	{Name: "one long header name", Config: func(n int) string {
		return `{"allow_origins": ["https://app.example.org"], "allow_headers": ["` + strings.Repeat("x-header-", 3*n) + `"]}`
	}, Refused: true},
	{Name: "one long path", Config: func(n int) string {
		return `{"rules": [{"paths": ["/` + strings.Repeat("v1/", 10*n) + `*"], "policy": {"mode": "off"}}]}`
	}},
	{Name: "one long key", Config: func(n int) string { return `{"` + strings.Repeat("allow_origins", 2*n) + `": 1}` }, Refused: true},
	{Name: "one long escaped string", Config: func(n int) string { return allow(strings.Repeat(`\u0061`, 5*n)) }, Refused: true},
	{Name: "one long number", Config: func(n int) string {
		return `{"allow_origins": ["https://app.example.org"], "max_age": 1` + strings.Repeat("0", 30*n) + `}`
	}, Refused: true},
	{Name: "lists in a list", Config: func(n int) string {
		return `{"allow_origins": [` + join(n, func(int) string { return `[[[[]]]]` }) + `]}`
	}, Refused: true},
	{Name: "objects 60 levels deep", Config: func(n int) string {
		return `{"allow_origins": [` + join(n/10, func(int) string {
			return strings.Repeat(`{"a": `, 60) + "1" + strings.Repeat("}", 60)
		}) + `]}`
	}, Refused: true},
	{Name: "white space", Config: func(n int) string {
		return `{"allow_origins": [` + strings.Repeat("\n    ", 6*n) + `"https://app.example.org"]}`
	}},
	{Name: "brackets that do not close", Config: func(n int) string { return strings.Repeat(`[`, 30*n) }, Refused: true},
	{Name: "a text that is cut off", Config: func(n int) string {
		text := origins(func(i int) string { return fmt.Sprintf("https://app-%d.example.org", i) })(n)
		return text[:len(text)-4]
	}, Refused: true},
	{Name: "a text that is no UTF-8", Config: func(n int) string {
		text := origins(func(i int) string { return fmt.Sprintf("https://app-%d.example.org", i) })(n)
		return text[:len(text)-8] + "\xff" + text[len(text)-7:]
	}, Refused: true},
}

// matchers are matcher objects of one kind. Beyond some thousands they are refused:
// what they let in has to be decided.
func matchers(kind string, text func(i int) string) func(n int) string {
	return func(n int) string {
		return `{"dangerously_tolerate": ["loose-origin-match"], "allow_origins": [` + join(n, func(i int) string { return fmt.Sprintf(`{"%s": "%s"}`, kind, text(i)) }) + `]}`
	}
}

func join(n int, entry func(i int) string) string {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = entry(i)
	}
	return strings.Join(entries, ", ")
}

func allow(origin string) string { return `{"allow_origins": ["` + origin + `"]}` }

func origins(entry func(i int) string) func(n int) string {
	return func(n int) string {
		return `{"allow_origins": [` + join(n, func(i int) string { return `"` + entry(i) + `"` }) + `]}`
	}
}

func setting(name string, entry func(i int) string) func(n int) string {
	return func(n int) string {
		return `{"allow_origins": ["https://app.example.org"], "` + name + `": [` + join(n, entry) + `]}`
	}
}

func rules(selector func(i int) string) func(n int) string {
	return func(n int) string {
		return `{"rules": [` + join(n, func(i int) string {
			return `{` + selector(i) + `, "policy": {"allow_origins": ["https://app.example.org"]}}`
		}) + `]}`
	}
}
