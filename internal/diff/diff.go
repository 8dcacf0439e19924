// Package diff says what changes for browsers from one configuration to another, however they
// are written: which origins, methods and headers are newly allowed and which no longer are,
// for each part of the hosts and paths. It decides this for all requests at once, without
// sampling: it walks hosts and paths as far as the rules of either configuration distinguish
// them, and compares origins as automata. It reads no files, and imports config,
// internal/automaton and internal/reach.
package diff

import (
	"slices"
	"strings"

	"corsfilter/config"
	"corsfilter/internal/automaton"
	"corsfilter/internal/fieldpath"
	"corsfilter/internal/reach"
)

// Report is what changes.
type Report struct {
	// Same says that no request is decided otherwise.
	Same bool `json:"same"`
	// Regions are the requests for which something does, in the order of the new rules.
	Regions []Region `json:"regions,omitempty"`
	// Beside is what changes though it decides nothing: waivers, and the counters' names.
	Beside []Change `json:"beside,omitempty"`
	// Undecided is what takes too long to decide; nothing is known of it then.
	Undecided []string `json:"undecided,omitempty"`
}

// Region is a set of requests for which the same things change.
type Region struct {
	// Rules name the rules that take these requests, those of both configurations
	// where they differ.
	Rules []string `json:"rules"`
	// Example is the host and the path of one of them; "" where all requests are.
	Example string   `json:"example,omitempty"`
	Changes []Change `json:"changes"`
	// Now is what a page can newly do, and Gone what it no longer can; "" if there is
	// nothing.
	Now  string `json:"now,omitempty"`
	Gone string `json:"gone,omitempty"`
	// Paths are where the policies stand in the new configuration.
	Paths []string `json:"paths"`

	areas []area
}

// comparer has the parts of both configurations.
type comparer struct {
	builder  automaton.Builder
	explorer reach.Explorer
	lists    map[string]*origins
	paths    map[string]*paths
	parts    map[[2]*origins]part
	both     map[[2]*origins]string
	steps    int
	report   Report
}

func newComparer() *comparer {
	return &comparer{lists: map[string]*origins{}, paths: map[string]*paths{}, parts: map[[2]*origins]part{}, both: map[[2]*origins]string{}}
}

// Compare compares two configurations, both of which Compile.
func Compare(old, new *config.Source) (*Report, error) {
	compiled, _, err := old.Compile()
	if err != nil {
		return nil, err
	}
	after, _, err := new.Compile()
	if err != nil {
		return nil, err
	}
	c := newComparer()
	x, y := c.side(old, compiled), c.side(new, after)
	for _, a := range c.areas(x, y) {
		region := Region{Rules: []string{label(x, y, a)}, Paths: []string{pathOf(y, a.new)}, areas: []area{a}}
		if len(old.Rules)+len(new.Rules) > 0 {
			region.Example = a.host + a.path
		}
		region.Changes, region.Now, region.Gone = c.compare(c.view(x, a.old), c.view(y, a.new))
		c.add(region)
	}
	c.beside(compiled, after)
	c.report.Same = len(c.report.Regions)+len(c.report.Undecided) == 0
	return &c.report, nil
}

// label names what takes the requests of an area, before and now.
func label(old, new *side, a area) string {
	before, now := old.labelOf(a.old), new.labelOf(a.new)
	switch {
	case len(old.source.Rules)+len(new.source.Rules) == 0:
		return "all requests"
	case before == now:
		return now
	case a.old < len(old.source.Rules) && a.new < len(new.source.Rules) && same(&old.source.Rules[a.old], &new.source.Rules[a.new]):
		return now
	}
	return now + ", before " + before
}

func pathOf(x *side, rule int) string {
	if rule == len(x.source.Rules) {
		return ""
	}
	return fieldpath.Key(fieldpath.Index("rules", rule), "policy")
}

// add adds a region, or joins it to one for which the same things change.
func (c *comparer) add(r Region) {
	if len(r.Changes) == 0 {
		return
	}
	alike := func(a, b Change) bool {
		return a.Effect == b.Effect && a.Text == b.Text && slices.Equal(a.Names, b.Names)
	}
	for i := range c.report.Regions {
		if known := &c.report.Regions[i]; slices.EqualFunc(known.Changes, r.Changes, alike) && known.Now == r.Now && known.Gone == r.Gone {
			known.Rules, known.areas = append(known.Rules, r.Rules...), append(known.areas, r.areas...)
			if !slices.Contains(known.Paths, r.Paths[0]) {
				known.Paths = append(known.Paths, r.Paths[0])
			}
			return
		}
	}
	c.report.Regions = append(c.report.Regions, r)
}

// beside compares what decides nothing.
func (c *comparer) beside(old, new *config.Config) {
	waived := func(c *config.Config) (all []string) {
		for _, n := range c.Notes {
			if text := n.Value + ": " + n.Reason; n.Code == config.Waived && !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
		return all
	}
	before, now := waived(old), waived(new)
	for _, change := range []struct {
		text       string
		list, than []string
	}{{"waiver now in use: ", now, before}, {"waiver no longer in use: ", before, now}} {
		for _, w := range change.list {
			if !slices.Contains(change.than, w) {
				c.report.Beside = append(c.report.Beside, Change{Effect: Changes, Setting: "dangerously_tolerate", Text: change.text + w})
			}
		}
	}
	if old.StatPrefix != new.StatPrefix {
		c.report.Beside = append(c.report.Beside, Change{Effect: Changes, Setting: "stat_prefix", Text: "counters begin with " + new.StatPrefix + ", before with " + old.StatPrefix})
	}
}

// fails notes that an entry cannot be decided, if that is so.
func (c *comparer) fails(entry string, err error) bool {
	if err != nil {
		c.undecided(entry + ": " + err.Error())
	}
	return err != nil
}

func (c *comparer) undecided(what string) {
	if !slices.Contains(c.report.Undecided, what) {
		c.report.Undecided = append(c.report.Undecided, what)
	}
}

// Count is how many changes there are of an effect.
func (r *Report) Count(effect Effect) (n int) {
	for _, region := range r.Regions {
		for _, change := range region.Changes {
			if change.Effect == effect {
				n++
			}
		}
	}
	return n
}

// Title says which requests a region has.
func (r *Region) Title() string {
	const most = 3
	text := strings.Join(r.Rules[:min(len(r.Rules), most)], "; ")
	if len(r.Rules) > most {
		text += " and more"
	}
	if r.Example != "" {
		text += ", such as " + r.Example
	}
	return text
}
