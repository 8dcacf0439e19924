package config

import (
	"fmt"
	"slices"
	"testing"
)

func TestWhatIsSaidOfRedundantEntries(t *testing.T) {
	for _, c := range []struct {
		origins string
		want    []string
	}{
		{`"https://a.example:[1,2]", "https://a.example:[2,3]", "https://a.example:[1,3]"`, []string{
			`allow_origins[2]: "https://a.example:[1,3]": other entries accept all of its ports; leave it out`}},
		{`"https://a.example:[1,2]", "https://a.example:[2,1]"`, []string{
			`allow_origins[1]: "https://a.example:[2,1]": is the same as allow_origins[0]; keep one`}},
		{`"https://a.b.example:1", "https://a.b.example:1", "https://*.b.example:[1,2]"`, []string{
			`allow_origins[0]: "https://a.b.example:1": "https://*.b.example:[1,2]" covers it; leave it out`,
			`allow_origins[1]: "https://a.b.example:1": "https://*.b.example:[1,2]" covers it; leave it out`}},
		{`"https://a.b.example", "https://*.b.example", "https://*.b.example:*"`, []string{
			`allow_origins[0]: "https://a.b.example": "https://*.b.example:*" covers it; leave it out`,
			`allow_origins[1]: "https://*.b.example": "https://*.b.example:*" covers it; leave it out`}},
		{`"*", "*", {"exact": "*"}`, []string{
			`allow_origins[1]: "*": stands twice; keep one`,
			`allow_origins[2]: {"exact": "*"}: allows every origin, as allow_origins[0] does; keep one`,
			`allow_origins[2]: {"exact": "*"}: matches the text "*", so it means any origin, as in ` +
				`Envoy; write "*" if that is meant, or the origins`}},
	} {
		_, warnings, err := Parse(fmt.Appendf(nil, `{"allow_origins": [%s]}`, c.origins))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range warnings {
			got = append(got, w.Error())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.origins, got, c.want)
		}
	}
}

// The text of a pattern for every host is no origin, though a regex may accept it.
func TestARegexDoesNotCoverEveryHostByItsText(t *testing.T) {
	for _, n := range []int{1, maxCompared + 1} { // compared as languages, and tried
		list := `{"regex": "[a-z]+://\\*|https://a\\.example"}, "app://*", "https://*"`
		for i := range n {
			list += fmt.Sprintf(`, "http://a%d.example"`, i)
		}
		checkRows(
			t,
			[]row{{json: `{"allow_origins": [` + list + `]}`, warnings: "allow_origins[2] matches-any-origin, allow_origins[0] better-as-pattern"}},
		)
	}
}
