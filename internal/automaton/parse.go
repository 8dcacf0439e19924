package automaton

import "regexp/syntax"

// parse reads a regex in RE2 syntax and compiles it to a program. Bounds are
// checked before the library writes repetitions out, which it does recursively.
func parse(regex string, fold bool) (*program, error) {
	flags := syntax.Perl
	if fold {
		flags |= syntax.FoldCase
	}
	tree, err := syntax.Parse(regex, flags)
	if err != nil {
		return nil, err
	}
	return compile(tree)
}

func compile(tree *syntax.Regexp) (*program, error) {
	if nodes, depth := extent(tree); nodes > maxNodes {
		return nil, errSize
	} else if depth > maxDepth {
		return nil, errDepth
	}
	p, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	if len(p.Inst) > 1<<16 {
		return nil, errSize
	}
	return translate(p), nil
}

// extent returns how many nodes a tree has once its repetitions are written out,
// and how deep it is then: x{2,4} becomes xx(x(x)?)?.
func extent(tree *syntax.Regexp) (nodes, depth int) {
	nodes, depth = 1+len(tree.Rune), 1
	times, nested := 1, 1
	if tree.Op == syntax.OpRepeat {
		times, nested = max(tree.Max, tree.Min+1), max(2*(tree.Max-tree.Min), 1)
	}
	for _, sub := range tree.Sub {
		n, d := extent(sub)
		nodes = min(nodes+n*times, maxNodes+1)
		depth = max(depth, min(d+nested, maxDepth+1))
	}
	return nodes, depth
}

// literal is a tree for a text, which may stand anywhere between two ends.
func literal(text string, before, after, fold bool) *syntax.Regexp {
	any := &syntax.Regexp{Op: syntax.OpStar, Sub: []*syntax.Regexp{{Op: syntax.OpAnyChar}}}
	middle := &syntax.Regexp{Op: syntax.OpLiteral, Rune: []rune(text)}
	if fold {
		middle.Flags = syntax.FoldCase
	}
	all := &syntax.Regexp{Op: syntax.OpConcat}
	if before {
		all.Sub = append(all.Sub, any)
	}
	all.Sub = append(all.Sub, middle)
	if after {
		all.Sub = append(all.Sub, any)
	}
	return all
}
