package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"corsfilter/config"
)

// command is a subcommand with its description, from which its help, its section of
// docs/corsctl.md and its completion are made.
type command struct {
	name    string
	summary string
	// usage are the ways to write it, without the leading corsctl.
	usage []string
	// text is its help, in paragraphs of lines of at most 80 characters.
	text     string
	examples []example
	exits    []exit
	// flags declares its flags; nil where it has none.
	flags func(*flag.FlagSet)
	// words are the possible arguments, for completion; nil if there are none.
	words func() []string
	// run returns the exit code; what went wrong has been written to stderr by
	// then.
	run func(ctx context.Context, args []string, std stdio) int
	// ends says that the command itself ends when ctx does; others are abandoned.
	ends bool
}

// example is a command line and what it is for.
type example struct{ purpose, line string }

// exit is an exit code and what it means.
type exit struct {
	code    int
	meaning string
}

// files is a command.words: names of files.
func files() []string { return []string{anyFile} }

// errReported is a mistake in the command line that has already been reported; the command
// ends with exitUsage.
var errReported = errors.New("reported")

// parse reads a command's flags, and answers -h. The error is flag.ErrHelp or
// errReported where there is nothing left to do.
func (c command) parse(flags *flag.FlagSet, args []string, std stdio) error {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		c.help(std.out)
		return err
	case err != nil:
		name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: ")
		var names []string
		flags.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
		mean := didYouMean(name, names)
		if !unknown {
			mean = ""
		}
		fmt.Fprintf(std.err, "corsctl %s: %v%s\n", c.name, err, mean)
		c.hint(std.err)
		return errReported
	}
	return nil
}

// didYouMean is the end of a message about an unknown word: the nearest known one, if one is
// near.
func didYouMean(word string, known []string) string {
	if near := config.Within(min(2, (len(word)-1)/2), word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// mistake reports what is wrong with a command line, unless that was already reported, and
// returns the exit code.
func (c command) mistake(err error, std stdio) int {
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case !errors.Is(err, errReported):
		fmt.Fprintf(std.err, "corsctl %s: %v\n", c.name, err)
	}
	return exitUsage
}

// hint leads from a mistake to the help.
func (c command) hint(w io.Writer) {
	fmt.Fprintf(w, "usage: corsctl %s\ncorsctl %s -h shows its flags and examples.\n", c.usage[0], c.name)
}

// flagSet returns the command's flags, to be looked at and not to be parsed into.
func (c command) flagSet() *flag.FlagSet {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	if c.flags != nil {
		c.flags(flags)
	}
	return flags
}

// help writes what -h shows.
func (c command) help(w io.Writer) {
	var b strings.Builder
	for i, line := range c.usage {
		b.WriteString([]string{"usage: ", "       "}[min(i, 1)] + "corsctl " + line + "\n")
	}
	b.WriteString("\n" + c.text + "\n")
	if len(c.examples) > 0 {
		b.WriteString("\nExamples:\n")
	}
	for _, e := range c.examples {
		fmt.Fprintf(&b, "  # %s\n  %s\n", e.purpose, e.line)
	}
	flags := c.flagSet()
	var list strings.Builder
	flags.SetOutput(&list)
	flags.PrintDefaults()
	if list.Len() > 0 {
		b.WriteString("\nFlags:\n" + list.String())
	}
	if len(c.exits) > 0 {
		b.WriteString("\nExit codes:\n")
	}
	for _, e := range c.exits {
		fmt.Fprintf(&b, "  %d  %s\n", e.code, e.meaning)
	}
	io.WriteString(w, b.String())
}

// choice is a flag.Value that takes one of some words.
type choice struct {
	value   *string
	choices []string
}

// oneOf declares a flag that takes one of some words; usage gets them listed.
func oneOf(flags *flag.FlagSet, value *string, name, unlessTold, usage string, choices ...string) {
	*value = unlessTold
	flags.Var(&choice{value, choices}, name, usage+": "+enumerate(choices))
}

func (c *choice) String() string {
	if c.value == nil { // flag asks an empty one for the zero value
		return ""
	}
	return *c.value
}

func (c *choice) Set(word string) error {
	if !slices.Contains(c.choices, word) {
		return fmt.Errorf("write %s", enumerate(c.choices))
	}
	*c.value = word
	return nil
}

// enumerate writes words as text does: a, b or c.
func enumerate(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// list is a flag.Value that may be repeated.
type list []string

func (l *list) String() string { return "" }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}
