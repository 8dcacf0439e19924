package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"
)

// Config is a bootstrap that was checked and compiled. It does not change any
// more and may be started any number of times.
type Config struct {
	admin     string // address; empty: no admin listener
	listeners []*listener
	clusters  map[string]*cluster
}

// Configurations returns the configurations of the wasm filters of the first
// listener, in the order of the filters.
func (c *Config) Configurations() (all [][]byte) {
	if len(c.listeners) == 0 {
		return nil
	}
	for _, plugin := range c.listeners[0].manager.plugins {
		all = append(all, plugin.config.Configuration)
	}
	return all
}

// ClustersAt returns the names of the clusters with the endpoint (host:port).
func (c *Config) ClustersAt(endpoint string) (names []string) {
	for name, cluster := range c.clusters {
		if cluster.address == endpoint {
			names = append(names, name)
		}
	}
	return names
}

// LoadOptions replace parts of the file's surroundings. The zero value takes
// everything from where Envoy would.
type LoadOptions struct {
	// Module replaces the code of every wasm filter; the files that the
	// bootstrap names are then not read.
	Module []byte
	// ReadFile reads the files that the bootstrap names; nil: os.ReadFile,
	// relative to the working directory as in Envoy.
	ReadFile func(name string) ([]byte, error)
}

// Load reads an Envoy bootstrap (API v3) in YAML or JSON. The error is a
// [Problems] that names every field which is unknown, breaks the API's own
// rules, or asks for what this gateway can not do.
func Load(text []byte, options LoadOptions) (*Config, error) {
	if options.ReadFile == nil {
		options.ReadFile = os.ReadFile
	}
	bootstrap, err := decode(text)
	if err != nil {
		return nil, err
	}
	var problems Problems
	checkRules(&problems, "", bootstrap)
	checkSupported(&problems, "", bootstrap.ProtoReflect())
	compiler := compiler{problems: &problems, options: options}
	config := compiler.bootstrap(bootstrap)
	if err := problems.err(); err != nil {
		return nil, err
	}
	return config, nil
}

// maxDecodeProblems bounds the rounds of decode: a file with more mistakes
// than this is not a bootstrap.
const maxDecodeProblems = 50

// decode turns YAML into the bootstrap message. protojson stops at its first
// error, so the field at fault is cut out and the rest decoded again, until
// all of them are known.
func decode(text []byte) (*bootstrapv3.Bootstrap, error) {
	document, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, Problems{{Reason: err.Error()}}
	}
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		return nil, Problems{{Reason: err.Error()}}
	}
	if _, ok := tree.(map[string]any); !ok {
		return nil, Problems{{Reason: "not an Envoy bootstrap: the file must hold one YAML mapping with static_resources"}}
	}
	var problems Problems
	for range maxDecodeProblems {
		document, err = json.MarshalIndent(tree, "", " ")
		if err != nil {
			return nil, Problems{{Reason: err.Error()}}
		}
		bootstrap := &bootstrapv3.Bootstrap{}
		err = protojson.Unmarshal(document, bootstrap)
		if err == nil {
			if len(problems) > 0 {
				return nil, problems
			}
			return bootstrap, nil
		}
		place, reason := locate(document, err)
		problems.add(render(place), reason)
		if !cut(tree, place) {
			break
		}
	}
	return nil, problems
}

// positioned is how protojson reports a place.
var positioned = regexp.MustCompile(`\(line (\d+):\d+\): (.*)$`)

// locate finds the field that an error of protojson speaks of, in a document with
// a line for each.
func locate(document []byte, err error) (place []any, reason string) {
	match := positioned.FindStringSubmatch(err.Error())
	if match == nil {
		return nil, err.Error()
	}
	line, _ := strconv.Atoi(match[1])
	place = placeAt(strings.Split(string(document), "\n"), line-1)
	reason = match[2]
	if n := len(place); n > 0 && place[n-1] == "@type" {
		place = place[:n-1]
		// unable to resolve "type.googleapis.com/a.b.C": "not found"
		if quoted := strings.Split(reason, `"`); len(quoted) > 2 {
			reason = quoted[1][strings.LastIndexByte(quoted[1], '/')+1:] + " is " + refusal
		}
	}
	return place, reason
}

// placeAt returns the keys (strings) and indexes (ints) that lead to a line of an
// indented JSON document: those of the lines that it is indented under.
func placeAt(lines []string, at int) (place []any) {
	depth := func(i int) int { return len(lines[i]) - len(strings.TrimLeft(lines[i], " ")) }
	closes := func(i int) bool { return strings.ContainsAny(strings.TrimLeft(lines[i], " ")[:1], "}]") }
	for at < len(lines) && depth(at) > 0 {
		parent, before := at-1, 0
		for depth(parent) >= depth(at) {
			if depth(parent) == depth(at) && !closes(parent) {
				before++
			}
			parent--
		}
		decoder := json.NewDecoder(strings.NewReader(lines[at]))
		token, err := decoder.Token()
		rest := lines[at][decoder.InputOffset():]
		switch key, isText := token.(string); {
		case err == nil && isText && strings.HasPrefix(rest, ":"):
			place = append(place, key)
		case closes(at):
			place = append(place, before-1)
		default:
			place = append(place, before)
		}
		at = parent
	}
	slices.Reverse(place)
	return place
}

// cut removes the field at place from the tree; of a list the whole field that
// holds it, as the elements behind would change their index.
func cut(tree any, place []any) bool {
	last := len(place) - 1
	for last >= 0 {
		if _, isKey := place[last].(string); isKey {
			break
		}
		last--
	}
	if last < 0 {
		return false
	}
	for _, step := range place[:last] {
		switch node := tree.(type) {
		case map[string]any:
			key, _ := step.(string)
			tree = node[key]
		case []any:
			i, _ := step.(int)
			if i >= len(node) {
				return false
			}
			tree = node[i]
		}
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return false
	}
	key := place[last].(string)
	if _, ok := object[key]; !ok {
		return false
	}
	delete(object, key)
	return true
}

func render(place []any) string {
	var b strings.Builder
	for _, step := range place {
		if i, ok := step.(int); ok {
			fmt.Fprintf(&b, "[%d]", i)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		fmt.Fprintf(&b, "%v", step)
	}
	return b.String()
}
