package main

import (
	"context"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// anyFile is a candidate that means any file name. The shells know those best.
const anyFile = ":files"

var completionCommand = command{
	name:    "completion",
	summary: "print a shell completion script",
	usage:   []string{"completion bash|zsh|fish"},
	text: `Prints a script for your shell. The tab key then completes corsctl's commands,
flags, values and files. The script asks corsctl itself, so you need not renew it
after an upgrade.`,
	examples: []example{
		{"bash, in ~/.bashrc:", "source <(corsctl completion bash)"},
		{"zsh, in ~/.zshrc, after compinit:", "source <(corsctl completion zsh)"},
		{"fish, in ~/.config/fish/config.fish:", "corsctl completion fish | source"},
	},
	exits: []exit{{exitOK, "printed"}, {exitUsage, "the command is wrong"}},
	words: func() []string { return shells },
}

var shells = []string{"bash", "fish", "zsh"}

// shellScripts ask corsctl for the candidates. Each is a line: the word, and a tab
// and its meaning where there is one.
var shellScripts = map[string]string{
	"bash": `_corsctl() {
	local word meaning
	COMPREPLY=()
	while IFS=$'\t' read -r word meaning; do
		if [[ $word == :files ]]; then
			compopt -o filenames 2>/dev/null
			while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
		else
			COMPREPLY+=("$word")
		fi
	done < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _corsctl corsctl
`,
	"zsh": `#compdef corsctl
_corsctl() {
	local -a candidates
	local line
	for line in "${(@f)$("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
		if [[ $line == :files ]]; then
			_files
		elif [[ -n $line ]]; then
			candidates+=("${line/$'\t'/:}")
		fi
	done
	if (( $#candidates )); then
		_describe corsctl candidates
	fi
}
compdef _corsctl corsctl
`,
	"fish": `function __corsctl_candidates
	set -l words (commandline -opc)
	set -l current (commandline -ct)
	for line in ($words[1] complete -- $words[2..-1] "$current" 2>/dev/null)
		if test "$line" = :files
			__fish_complete_path "$current"
		else
			echo $line
		end
	end
end
complete -c corsctl -f -a '(__corsctl_candidates)'
`,
}

func completion(_ context.Context, args []string, std stdio) int {
	c := completionCommand
	flags := c.flagSet()
	if err := c.parse(flags, args, std); err != nil {
		return c.mistake(err, std)
	}
	script, ok := shellScripts[flags.Arg(0)]
	if !ok || flags.NArg() != 1 {
		return c.mistake(fmt.Errorf("write one of %s", enumerate(shells)), std)
	}
	fmt.Fprint(std.out, script)
	return exitOK
}

// complete prints the candidates for the last word after "--", for the scripts above. People
// do not type it.
func complete(args []string, std stdio) int {
	for _, c := range candidates(args[min(1, len(args)):]) {
		fmt.Fprintln(std.out, c)
	}
	return exitOK
}

// candidates returns what may stand in place of the last word.
func candidates(words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	if len(words) == 1 {
		return beginning(commandNames(true), last)
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == words[0] })
	if i < 0 {
		if words[0] == "help" && len(words) == 2 {
			return beginning(commandNames(false), last)
		}
		return nil
	}
	c := commands[i]
	flags := c.flagSet()
	if before := words[len(words)-2]; len(words) > 2 && strings.HasPrefix(before, "-") {
		if f := flags.Lookup(strings.TrimLeft(before, "-")); f != nil && !isSwitch(f) {
			return beginning(values(f), last)
		}
	}
	if strings.HasPrefix(last, "-") {
		var names []string
		flags.VisitAll(func(f *flag.Flag) {
			_, usage := flag.UnquoteUsage(f)
			names = append(names, "-"+f.Name+"\t"+usage)
		})
		return beginning(names, "-"+strings.TrimLeft(last, "-"))
	}
	if c.words == nil {
		return nil
	}
	return beginning(c.words(), last)
}

// commandNames returns all commands with their summaries; help is one that takes
// a command.
func commandNames(withHelp bool) (names []string) {
	for _, c := range commands {
		names = append(names, c.name+"\t"+c.summary)
	}
	if withHelp {
		names = append(names, "help\tshow the help of a command")
	}
	return names
}

func beginning(all []string, prefix string) (some []string) {
	for _, candidate := range all {
		if candidate == anyFile || strings.HasPrefix(candidate, prefix) {
			some = append(some, candidate)
		}
	}
	return some
}

func isSwitch(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// namesFile tells from a flag's usage that its value is a file.
var namesFile = regexp.MustCompile("`file`|`folder`")

func values(f *flag.Flag) []string {
	if c, ok := f.Value.(*choice); ok {
		return c.choices
	}
	if namesFile.MatchString(f.Usage) {
		return []string{anyFile}
	}
	return nil
}
