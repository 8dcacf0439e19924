package lint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"corsfilter/internal/convert"
	"corsfilter/internal/document"
	"corsfilter/internal/fieldpath"
)

// checkMessage looks at the message that Envoy gets the configuration in. It hands
// over the text of a StringValue and the bytes of a BytesValue; of any other message
// the module gets protobuf, and refuses it.
func (c Configuration) checkMessage() []Finding {
	if c.message == nil {
		return nil
	}
	kind, value := document.Child(c.message, "@type"), document.Child(c.message, "value")
	name := messageName(c.message)
	at, f := kind, Finding{
		Document: c.Document, Config: c.Place, Code: NotText, Severity: Error,
		Remedy: "write a google.protobuf.StringValue with the JSON as its value",
	}
	switch {
	case kind == nil:
		at, f.Reason = c.message, "the configuration has no \"@type\": Envoy refuses it"
	case name != "google.protobuf.StringValue" && name != "google.protobuf.BytesValue":
		f.Value, f.Reason = strconv.Quote(document.Scalar(kind)), "Envoy passes the message on as raw protobuf, which the module refuses"
	case value != nil && value.Kind != yaml.ScalarNode:
		at, f.Reason = value, "the value of a "+name+" must be text: Envoy refuses it"
		f.Remedy = `write the JSON as text, behind "value: |"`
	default:
		return nil
	}
	f.Line, f.Column = at.Line, at.Column
	return []Finding{f}
}

// checkPaths looks at how the connection manager hands paths over.
func (c Configuration) checkPaths() (findings []Finding) {
	if !c.managed {
		return nil
	}
	tell := func(at *yaml.Node, severity Severity, reason, remedy string) {
		findings = append(findings, Finding{
			Line: at.Line, Column: at.Column, Document: c.Document, Config: c.Place, Code: Paths, Severity: severity, Reason: reason, Remedy: remedy,
		})
	}
	const setting = "path_with_escaped_slashes_action"
	action := c.EscapedSlashes()
	status := map[string]string{"UNESCAPE_AND_REDIRECT": "307", "REJECT_REQUEST": "400"}[action]
	if status != "" {
		severity := Warning
		if action == "REJECT_REQUEST" { // whoever writes it means it
			severity = Note
		}
		tell(document.Field(c.around, setting), severity, "with "+action+" a preflight of a path with an escaped slash gets "+status+" before any filter, and the page fails",
			"write UNESCAPE_AND_FORWARD, or leave the setting out if no rule has a path")
	}
	var policy struct{ Rules []struct{ Paths any } }
	if json.Unmarshal(c.JSON, &policy) != nil || !slices.ContainsFunc(policy.Rules, func(r struct{ Paths any }) bool { return r.Paths != nil }) {
		return findings
	}
	var missing []string
	for _, name := range []string{"normalize_path", "merge_slashes"} {
		if document.Scalar(document.Field(c.around, name)) != "true" {
			missing = append(missing, name+": true")
		}
	}
	if status == "" && action != "UNESCAPE_AND_FORWARD" {
		missing = append(missing, setting+": UNESCAPE_AND_FORWARD")
	}
	if len(missing) > 0 {
		tell(c.around, Warning, "rules depend on paths, but the connection manager accepts spellings that upstream reads as another path",
			"give it "+strings.Join(missing, ", "))
	}
	return findings
}

// Refused says why the configuration does not reach the module as it stands; nil: it
// does.
func (c Configuration) Refused() error {
	for _, f := range c.checkMessage() {
		return fmt.Errorf("%d:%d: %s; %s", f.Line, f.Column, f.Reason, f.Remedy)
	}
	return nil
}

// beside warns of CORS headers that the proxy adds to responses beside the filter.
func (all contents) beside() (findings []Finding) {
	told := map[*yaml.Node]bool{}
	tell := func(in int, path string, h convert.AddedHeader) {
		if told[h.Node] {
			return
		}
		told[h.Node] = true
		findings = append(findings, Finding{
			Line: h.Node.Line, Column: h.Node.Column, Document: in, Path: path, Value: strconv.Quote(h.Value), Code: AddedBeside, Severity: Warning,
			Reason: h.Name + ` is added here, but the filter decides what leaves: this one takes effect only if "upstream_headers" is "preserve" or no policy applies`,
			Remedy: "remove it; the policy says what the filter sends",
		})
	}
	for _, c := range all.found {
		if c.around == nil {
			continue
		}
		w := walker{tell: func(path string, h convert.AddedHeader) { tell(c.Document, path, h) }}
		w.walk("", c.around, 0)
		if !c.managed {
			continue
		}
		rds := document.Scalar(document.Field(c.around, "rds", "route_config_name"))
		for _, r := range all.routes {
			if rds != "" && document.Scalar(document.Child(r.node, "name")) == rds {
				w := walker{tell: func(path string, h convert.AddedHeader) { tell(r.document, path, h) }}
				w.walk("", r.node, 0)
			}
		}
	}
	if len(all.found) == 0 {
		return findings
	}
	for _, s := range all.services {
		for i, route := range elements(document.Child(document.Child(s.node, "spec"), "http")) {
			path := fmt.Sprintf("spec.http[%d]", i)
			for _, h := range convert.AddedByIstio(document.Child(route, "headers")) {
				tell(s.document, path+".headers.response", h)
			}
			for j, destination := range elements(document.Child(route, "route")) {
				for _, h := range convert.AddedByIstio(document.Child(destination, "headers")) {
					tell(s.document, fmt.Sprintf("%s.route[%d].headers.response", path, j), h)
				}
			}
		}
	}
	return findings
}

// walker looks for headers that Envoy adds, below a node of its configuration.
type walker struct {
	document.Budget
	tell func(path string, h convert.AddedHeader)
}

func (w *walker) walk(path string, node *yaml.Node, depth int) {
	node = document.Resolve(node)
	if node == nil || !w.Spend(node, depth) {
		return
	}
	for i, e := range elements(node) {
		w.walk(fmt.Sprintf("%s[%d]", path, i), e, depth+1)
	}
	if node.Kind != yaml.MappingNode {
		return
	}
	for _, m := range document.Members(node) {
		below := fieldpath.Key(path, m.Key.Value)
		switch m.Key.Value {
		case "response_headers_to_add", "responseHeadersToAdd":
			w.headers(below, m.Value)
		case "local_reply_config", "localReplyConfig":
			for i, mapper := range elements(document.Child(m.Value, "mappers")) {
				w.headers(fmt.Sprintf("%s.mappers[%d].headers_to_add", below, i), document.Field(mapper, "headers_to_add"))
			}
		default:
			w.walk(below, m.Value, depth+1)
		}
	}
}

func (w *walker) headers(path string, list *yaml.Node) {
	for _, h := range convert.AddedHeaders(list) {
		w.tell(path, h)
	}
}

// elements returns those of a list.
func elements(node *yaml.Node) []*yaml.Node {
	if node = document.Resolve(node); node == nil || node.Kind != yaml.SequenceNode {
		return nil
	}
	return node.Content
}

// escapedSlashes are the values of path_with_escaped_slashes_action, by their numbers.
var escapedSlashes = []string{"IMPLEMENTATION_SPECIFIC_DEFAULT", "KEEP_UNCHANGED", "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD"}

// EscapedSlashes is the path_with_escaped_slashes_action of the connection manager
// around the filter; "" where it has none.
func (c Configuration) EscapedSlashes() string {
	if !c.managed {
		return ""
	}
	action := document.Scalar(document.Field(c.around, "path_with_escaped_slashes_action"))
	// protobuf's JSON takes an enumeration's numbers as well.
	if number, err := strconv.Atoi(action); err == nil && number >= 0 && number < len(escapedSlashes) {
		return escapedSlashes[number]
	}
	return action
}
