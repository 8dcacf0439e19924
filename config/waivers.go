package config

import "slices"

// refuse refuses an entry for what a waiver could let through, or notes that one lets
// it through: a waiver is never silent.
func (p *parser) refuse(s *SourcePolicy, e *SourceOrigin, c Code, reason, remedy string) (refused bool) {
	w, narrower := waiver(e.Tolerate, c), ""
	if w == nil {
		if w = waiver(s.Tolerate, c); w == nil {
			p.fail(e.place, e.written, c, reason, remedy+", or add "+quote(string(c))+" to dangerously_tolerate")
			return true
		}
		narrower = "give the waiver to this entry alone, as {\"…\": …, \"dangerously_tolerate\": [" + quote(string(c)) + "]}, so that nothing else gets in with it"
	}
	w.used = true
	p.config.waived[slices.Index(Waivers, c)] = true
	p.notes.add(e.place, e.written, Waived, "let in by the waiver "+quote(string(c))+": "+reason, narrower)
	return false
}

// checkWaivers refuses names that are none, and warns of those that stand twice.
func (p *parser) checkWaivers(list []Waiver) {
	for i := range list {
		w := &list[i]
		switch {
		case !slices.Contains(Waivers, w.Code):
			if !p.mistakes.skip(w.place) {
				known := make([]string, len(Waivers))
				for i, waiver := range Waivers {
					known[i] = string(waiver)
				}
				p.fail(w.place, quote(string(w.Code)), BadValue, "there is no waiver of this name", Nearest(string(w.Code), known))
			}
		case waiver(list, w.Code) != w:
			p.warn(w.place, quote(string(w.Code)), Duplicate, "stands twice", "keep one")
			w.used = true // which the other one says, where it is so
		}
	}
}

// warnWaivers warns of waivers that nothing needed.
func (p *parser) warnWaivers(list []Waiver) {
	for i := range list {
		if w := &list[i]; !w.used && slices.Contains(Waivers, w.Code) {
			p.warn(w.place, quote(string(w.Code)), NoEffect, "nothing here needs this waiver", "leave it out")
		}
	}
}
