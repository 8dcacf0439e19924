// Package hotpath says what a request runs through, for the two tools that make it
// fast: internal/pgo, which tells the compiler what to inline, and
// internal/controlflow, which mends what the compiler makes. Functions are known by
// their names, without package and receiver.
package hotpath

import "slices"

// Callbacks are those of a stream, by what the module exports and by its function.
var Callbacks = map[string]string{
	"proxy_on_context_create":   "proxyOnContextCreate",
	"proxy_on_request_headers":  "proxyOnRequestHeaders",
	"proxy_on_response_headers": "proxyOnResponseHeaders",
	"proxy_on_delete":           "proxyOnDelete",
	"proxy_on_memory_allocate":  "proxyOnMemoryAllocate",
}

// cold are functions that few requests come to: mistakes, what is logged, first
// times, and what is cached afterwards.
var cold = []string{
	// What a bug or the proxy's refusal leads to, and what is logged.
	"Rescue", "rescue", "notAnswered", "logPanic", "shut", "silence", "check", "Log", "appendLine", "AppendSummary",
	// Contexts and memory beyond the usual.
	"createPlugin", "deletePlugin", "look", "move", "grow", "regrow", "allocateMore", "viewPinned", "leave", "OnDelete", "OnTick", "recycle",
	// Origins and headers that few send.
	"sameOrigin", "IsSameOrigin", "ParseAny", "matchAny", "recognizes", "Match", "Edits",
	// What only policies have that send back what was asked for, or show decisions.
	"keepAsked", "takeAsked",
	// What others add to a reply.
	"dividedVary",
	// What is not cached yet.
	"Contains", "AppendEcho", "Reply", "AppendPairs", "store",
	// Rules.
	"selectByRules",
}

// Cold reports whether few requests come to a function.
func Cold(name string) bool { return slices.Contains(cold, name) }

// notInlined are functions that stay functions of their own: what calls them is short
// without them, and often does not get there.
var notInlined = []string{"decideWithOrigin", "MatchIn", "PlainHost", "Next", "find", "readAll", "answer", "answers", "visitField", "against"}

// NotInlined reports whether a function is not to be inlined.
func NotInlined(name string) bool { return slices.Contains(notInlined, name) }
