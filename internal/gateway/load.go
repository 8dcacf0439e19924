package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"
)

// Config is a bootstrap that was checked and compiled. It does not change any
// more and may be started any number of times.
type Config struct {
	bootstrap *bootstrapv3.Bootstrap
	admin     string // address; empty: no admin listener
	listeners []*listener
	clusters  map[string]*cluster
	vms       []*vmSpec
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
	// LookupEnv answers vm_config.environment_variables.host_env_keys; nil:
	// os.LookupEnv.
	LookupEnv func(key string) (string, bool)
}

// Load reads an Envoy bootstrap (API v3) in YAML or JSON. The error is a
// [Problems] that names every field which is unknown, breaks the API's own
// rules, or asks for what this gateway can not do.
func Load(text []byte, options LoadOptions) (*Config, error) {
	if options.ReadFile == nil {
		options.ReadFile = os.ReadFile
	}
	if options.LookupEnv == nil {
		options.LookupEnv = os.LookupEnv
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
		document, err = json.Marshal(tree)
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

// positioned is how protojson reports a place; the documents decoded here have
// one line.
var positioned = regexp.MustCompile(`\(line 1:(\d+)\): (.*)$`)

// locate finds the field that an error of protojson speaks of.
func locate(document []byte, err error) (place []any, reason string) {
	match := positioned.FindStringSubmatch(err.Error())
	if match == nil {
		return nil, err.Error()
	}
	column, _ := strconv.Atoi(match[1])
	place = placeAt(document, byteOffset(document, column-1))
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

func byteOffset(document []byte, runes int) int {
	offset := 0
	for range runes {
		_, size := utf8.DecodeRune(document[offset:])
		offset += size
	}
	return offset
}

// placeAt returns the keys (strings) and indexes (ints) that lead to the token
// at offset in a JSON document without white space.
func placeAt(document []byte, offset int) []any {
	type frame struct {
		object, inKey bool
		at            any
	}
	var stack []*frame
	path := func() []any {
		var keys []any
		for _, f := range stack {
			if f.at != nil {
				keys = append(keys, f.at)
			}
		}
		return keys
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	for {
		start := int(decoder.InputOffset())
		for start < len(document) && (document[start] == ',' || document[start] == ':') {
			start++
		}
		token, err := decoder.Token()
		if err != nil {
			return path()
		}
		delimiter, _ := token.(json.Delim)
		var top *frame
		if len(stack) > 0 {
			top = stack[len(stack)-1]
		}
		switch {
		case delimiter == '}' || delimiter == ']':
			stack = stack[:len(stack)-1]
			if start >= offset {
				return path()
			}
			if len(stack) > 0 {
				stack[len(stack)-1].inKey = stack[len(stack)-1].object
			}
			continue
		case top != nil && top.inKey:
			top.at, top.inKey = token, false
			if start >= offset {
				return path()
			}
			continue
		case top != nil && !top.object:
			previous, _ := top.at.(int)
			if top.at != nil {
				previous++
			}
			top.at = previous
		}
		if start >= offset {
			return path()
		}
		switch {
		case delimiter != 0:
			stack = append(stack, &frame{object: delimiter == '{', inKey: delimiter == '{'})
		case top != nil:
			top.inKey = top.object
		}
	}
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
