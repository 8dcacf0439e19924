package automaton

// The bounds of one automaton, so that no configuration takes the proxy's start
// hostage: published regexes have a few dozen states, and take some thousand
// steps.
const (
	MaxStates = 4000
	MaxSteps  = 1_000_000
	// maxNodes bounds a regex whose repetitions are written out, and maxDepth how
	// deep that nests: the library walks it recursively, and a V8 whose stack is used
	// up traps. What is accepted needs less than 120 KB of it, of about a megabyte.
	maxNodes = 20_000
	maxDepth = 400
)

// LimitError says which bound a matcher goes over.
type LimitError struct{ Limit string }

func (e *LimitError) Error() string { return e.Limit }

var (
	errStates = &LimitError{"takes more than 4,000 states to decide"}
	errSteps  = &LimitError{"takes more than 1,000,000 steps to decide"}
	errSize   = &LimitError{"repeats too much: written out it has more than 20,000 parts"}
	errDepth  = &LimitError{"nests or repeats too deeply, more than 400 levels"}
)
