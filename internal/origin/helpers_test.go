package origin

func ParsePattern(s string) (Pattern, error) { return new(PatternParser).Parse(s) }

func NewSet(patterns []Pattern) (s Set) {
	s.Reset(len(patterns), func(i int) *Pattern { return &patterns[i] })
	return s
}
