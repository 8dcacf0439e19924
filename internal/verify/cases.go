package verify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/config"
	"corsfilter/filter"
	"corsfilter/internal/browser"
	"corsfilter/internal/document"
	"corsfilter/internal/explain"
)

// Case is what the owners of a policy expect of one page's request.
type Case struct {
	Name        string   `yaml:"name,omitempty"`
	Origin      string   `yaml:"origin"`
	URL         string   `yaml:"url,omitempty"`
	Method      string   `yaml:"method,omitempty"`
	Headers     []string `yaml:"headers,omitempty,flow"`
	Credentials string   `yaml:"credentials,omitempty"`
	Expect      string   `yaml:"expect"`
	// Response has exact values of response headers, of the preflight where there is one;
	// nil: the header is absent.
	Response map[string]*string `yaml:"response,omitempty"`

	file string
	line int
	// scheme, host and path are those of the URL; host is "" where it is a path alone.
	scheme, host, path string
	request            browser.Request
}

// caseKeys are the keys of a case.
var caseKeys = []string{"name", "origin", "url", "method", "headers", "credentials", "expect", "response"}

// ReadCases reads a file of cases. The error has every mistake, with its line.
func ReadCases(file string, data []byte) (cases []Case, err error) {
	var all []error
	fail := func(node *yaml.Node, format string, args ...any) {
		all = append(all, fmt.Errorf("%s:%d: %s", file, node.Line, fmt.Sprintf(format, args...)))
	}
	keys := func(node *yaml.Node, path string, known ...string) {
		for _, m := range document.Members(node) {
			if !slices.Contains(known, m.Key.Value) {
				fail(m.Key, "%s%s: unknown key; %s", path, m.Key.Value, config.Nearest(m.Key.Value, known))
			}
		}
	}
	err = document.Read(data, func(_ int, root *yaml.Node) error {
		list := document.Child(root, "cases")
		if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
			fail(cmp.Or(root, &yaml.Node{Line: 1}), "there is no list of cases; write cases: and a list with origin, url, method and expect")
			return nil
		}
		keys(root, "", "cases")
		for i, node := range list.Content {
			path := fmt.Sprintf("cases[%d]", i)
			if node = document.Resolve(node); node.Kind != yaml.MappingNode {
				fail(node, "%s: not a case; write its keys: origin, url, method, expect", path)
				continue
			}
			keys(node, path+".", caseKeys...)
			c := Case{file: file, line: node.Line}
			if err := node.Decode(&c); err != nil {
				fail(node, "%s: %s", path, strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: unmarshal errors: "))
				continue
			}
			if origin := document.Child(node, "origin"); origin != nil && origin.ShortTag() == "!!null" {
				c.Origin = "null" // as everybody writes it at first
			}
			if err := c.complete(); err != nil {
				fail(node, "%s: %v", path, err)
				continue
			}
			cases = append(cases, c)
		}
		return nil
	})
	if err != nil {
		all = append(all, fmt.Errorf("%s: %w", file, err))
	}
	return cases, errors.Join(all...)
}

// complete fills in what a case leaves out, and says what is wrong with it.
func (c *Case) complete() error {
	c.request = browser.Request{Origin: c.Origin, Method: cmp.Or(c.Method, "GET"), Credentials: c.Credentials == "include"}
	for _, entry := range c.Headers {
		name, value, ok := strings.Cut(entry, ":")
		if name = strings.TrimSpace(name); !ok {
			value = explain.ExampleValue(name)
		}
		c.request.Headers = append(c.request.Headers, browser.Header{Name: name, Value: strings.TrimSpace(value)})
	}
	c.Name = cmp.Or(c.Name, fmt.Sprintf("%s of the page %s to %s", c.request.NormalizedMethod(), c.Origin, cmp.Or(c.URL, "/")))
	switch {
	case c.Origin == "":
		return errors.New("origin is missing; write the page's, such as https://shop.example.com")
	case c.Expect != "allow" && c.Expect != "deny":
		return fmt.Errorf("expect: %q; write allow or deny", c.Expect)
	case !slices.Contains([]string{"", "omit", "include"}, c.Credentials):
		return fmt.Errorf("credentials: %q; write include or omit", c.Credentials)
	}
	if err := explain.CheckOrigin(c.Origin); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	if err := c.request.Validate(); err != nil {
		return err
	}
	c.scheme, c.path = "https", "/"
	switch u, err := url.Parse(c.URL); {
	case err != nil:
		return fmt.Errorf("url: %w", err)
	case strings.HasPrefix(c.URL, "/"):
		c.path = u.RequestURI()
	case c.URL != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == ""):
		return fmt.Errorf("url: %q; write one such as https://api.example.com/v1/orders", c.URL)
	case c.URL != "":
		c.scheme, c.host, c.path = u.Scheme, strings.ToLower(u.Host), u.RequestURI()
	}
	c.request.SameOrigin = c.host != "" && filter.IsSameOrigin(c.Origin, c.scheme, c.host)
	return nil
}

// explain explains the case under a configuration; escapedSlashes is as in
// [explain.Request].
func (c *Case) explain(configuration []byte, escapedSlashes string) (*explain.Report, error) {
	return explain.Explain(configuration, explain.Request{Request: c.request, Scheme: c.scheme, Host: c.host, Path: c.path, EscapedSlashes: escapedSlashes})
}

// Test tests a configuration with a case.
func (c *Case) Test(configuration explain.Found) (Result, error) {
	report, err := c.explain(configuration.JSON, configuration.EscapedSlashes)
	if err != nil {
		return Result{}, err
	}
	r := c.result()
	if report.UpstreamDecides {
		r.fail(OtherOutcome, "expected "+c.Expect+": "+report.Verdict, "write a policy that decides it, or test a live server with the case: corsctl verify -cases")
	} else {
		stage := report.Preflight
		if stage == nil {
			stage = report.Request
		}
		c.judge(&r, report.Allowed, report.Verdict, stage.Exchange.Response)
	}
	if r.Severity != "" {
		r.Explained = report
		r.Remedy = cmp.Or(r.Remedy, report.Remedy)
	}
	return r, nil
}

func (c *Case) result() Result { return Result{Name: c.Name, File: c.file, Line: c.line} }

// judge compares the outcome of a case with what is expected; response is that of the
// preflight if there is one.
func (c *Case) judge(r *Result, allowed bool, verdict string, response []browser.Header) {
	for name, want := range c.Response {
		name = strings.ToLower(name)
		switch got := joined(response, name); {
		case want == nil && got != "":
			r.Differences = append(r.Differences, Difference{name, "none", got})
		case want != nil && got != *want:
			r.Differences = append(r.Differences, Difference{name, *want, cmp.Or(got, "none")})
		}
	}
	slices.SortFunc(r.Differences, func(a, b Difference) int { return strings.Compare(a.Header, b.Header) })
	switch {
	case allowed && c.Expect == "deny":
		r.fail(OtherOutcome, "expected deny: "+verdict, "remove what allows the page from the policy, or expect allow")
	case !allowed && c.Expect == "allow":
		r.fail(OtherOutcome, "expected allow: "+verdict, "")
	case len(r.Differences) > 0:
		d := r.Differences[0]
		r.fail(OtherHeader, fmt.Sprintf("%s: expected %s, got %s", d.Header, d.Want, d.Got), "")
	}
}

// Cases tests the server with cases. leftOut says which were not sent, and why.
func (c *Client) Cases(ctx context.Context, cases []Case) (results []Result, leftOut []string) {
	elsewhere := 0
	for i, k := range cases {
		host := cmp.Or(k.host, c.base.Host)
		switch {
		case c.gone() || ctx.Err() != nil:
			return results, leftOut
		case host != c.base.Host && !c.AnyHost:
			elsewhere++
			continue
		case c.sent+2 > c.Max:
			leftOut = append(leftOut, fmt.Sprintf("%d of %d cases: -max is %d requests", len(cases)-i, len(cases), c.Max))
			return results, leftOut
		}
		r := k.result()
		o, all := c.fetch(ctx, k.request, host, k.path)
		r.Exchanges = all
		if err, failed := unanswered(all); failed {
			r.fail(NoAnswer, "no answer: "+err, "")
		} else {
			k.judge(&r, o.Allowed(), verdict(o), all[0].Response)
		}
		results = append(results, r)
	}
	if elsewhere > 0 {
		leftOut = append(leftOut, fmt.Sprintf("%d of %d cases: they are for hosts other than %s", elsewhere, len(cases), c.base.Host))
	}
	return results, leftOut
}

// Init writes cases that a configuration passes: for each policy, allowed pages and the
// nearest origins that are denied.
func Init(configuration explain.Found, t Target) ([]byte, error) {
	places, leftOut, err := places(configuration.JSON, t)
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, p := range places {
		methods, headers := p.asked()
		method := append(methods, "GET")[0]
		seen := map[string]bool{}
		add := func(what, from string, wanted bool) error {
			c := Case{Name: p.name() + what + ": " + from, Origin: from, URL: p.Scheme + "://" + p.Host + p.Path, Method: method, Headers: headers, Expect: "deny"}
			if p.policy.Credentials {
				c.Credentials = "include"
			}
			if err := c.complete(); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			report, err := c.explain(configuration.JSON, configuration.EscapedSlashes)
			if err != nil {
				return err
			}
			if report.Allowed {
				c.Expect = "allow"
			}
			if !seen[from] && !report.UpstreamDecides && (wanted || !report.Allowed) {
				cases = append(cases, c)
			}
			seen[from] = true
			return nil
		}
		allowed := witnesses(p.policy, p.source.AllowOrigins)
		for i, from := range slices.Concat(allowed[:min(len(allowed), maxListed)], []string{unlistedOrigin}) {
			if err := add(method, from, true); err != nil {
				return nil, err
			}
			if i >= min(len(allowed), maxDomains) {
				continue
			}
			for _, n := range Neighbours(from) {
				if err := add(n.What, n.Origin, false); err != nil {
					return nil, err
				}
			}
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("the policy allows no case to be made: %s", strings.Join(leftOut, "; "))
	}
	var b bytes.Buffer
	for _, why := range leftOut {
		fmt.Fprintf(&b, "# left out: %s\n", why)
	}
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	err = encoder.Encode(map[string]any{"cases": cases})
	return b.Bytes(), err
}
