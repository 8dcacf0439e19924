package gateway

import "strings"

// Problem is one place of the bootstrap that can not be served.
type Problem struct {
	// Path leads to the place in the file: static_resources.listeners[0].name.
	// It is empty where the whole file is meant.
	Path string
	// Reason says what is wrong there, and what to do about it.
	Reason string
}

func (p Problem) Error() string {
	if p.Path == "" {
		return p.Reason
	}
	return p.Path + ": " + p.Reason
}

// Problems is the error of [Load]: everything that is wrong with the file, in
// the order in which it was found.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// add keeps the first finding of a path: what comes later about the same place
// follows from it.
func (p *Problems) add(path, reason string) {
	for _, known := range *p {
		if known.Path == path {
			return
		}
	}
	*p = append(*p, Problem{Path: path, Reason: reason})
}

// err keeps an empty list from turning into an error that is not nil.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}
