package config

import (
	"strconv"
	"strings"
	"testing"
)

// carelessRegexes are made up: what people write by mistake, beside the next
// thing to it that is right.
var carelessRegexes = []regexVerdict{
	{"a name without its dot", `^https://.*example\.co\.uk$`, "example.co.uk", AnyOrigin, "https://evilexample.co.uk"},
	{"a name with its dot", `^https://.*\.example\.co\.uk$`, "example.co.uk", "", "https://a.example.co.uk"},
	{"no dot in the label", `^https://[^.]*example\.com$`, "example.com", AnyOrigin, "https://evilexample.com"},
	{"no dot in the label, and one behind it", `^https://[^.]+\.example\.com$`, "example.com", "", "https://a.example.com"},
	{"no slash", `^https://[^/]+\.example\.com$`, "example.com", "", "https://a.b.example.com"},
	{"a dot further in front", `^https://app\..*example\.com$`, "example.com", AnyOrigin, "https://app.evilexample.com"},
	{"a name of letters", `^https://app\.[a-z]+\.com$`, "example.com", AnyOrigin, "https://app.evil.com"},
	{"a label of letters", `^https://app\.[a-z]+\.example\.com$`, "example.com", "", "https://app.eu.example.com"},

	{"a country behind the name", `^https://(.+)\.example\.com(\.[a-z]{2})?$`, "example.com", AnyOrigin, "https://a.example.com.br"},
	{"any country", `^https://shop\.example\.co\.[a-z]{2}$`, "example.co.uk", AnyOrigin, "https://shop.example.co.nz"},
	{"any short top-level domain", `^https://www\.example\.[a-z]{2,3}$`, "example.com", AnyOrigin, "https://www.example.net"},
	{"one letter of a top-level domain", `^https://example\.c[a-z]$`, "example.co", AnyOrigin, "https://example.ch"},
	{
		"a list of countries", `^https://shop\.example\.(com|co\.uk|de|fr|it|es|nl|be|at|ch|pl|se|no|dk|fi)$`,
		"example.com example.co.uk example.de example.fr example.it example.es example.nl example.be example.at " +
			"example.ch example.pl example.se example.no example.dk example.fi",
		"", "https://shop.example.co.uk",
	},
	{
		"stages and countries", `^https://(dev|stage|prod)(-eu|-us)?\.example\.(com|de|fr)$`, "example.com example.de example.fr", "",
		"https://dev-eu.example.de",
	},

	{"a letter of the name", `^https://example-[a-z]\.com$`, "example-a.com", AnyOrigin, "https://example-x.com"},
	{"a digit of the name", `^https://example[0-9]\.com$`, "example1.com", AnyOrigin, "https://example7.com"},
	{
		"nine digits of the name", `^https://example[1-9]\.com$`,
		"example1.com example2.com example3.com example4.com example5.com example6.com example7.com example8.com example9.com", "",
		"https://example7.com",
	},
	{"a digit of a label", `^https://node[0-9]\.example\.com$`, "example.com", "", "https://node7.example.com"},

	{"nothing behind the name", `^https://example\.com.*`, "example.com", AnyOrigin, "https://example.com.evil.example"},
	{"a word's end behind the name", `^https://example\.com\b.*`, "example.com", AnyOrigin, "https://example.com.evil.example"},
	{"a word's end at the end", `\bhttps://example\.com\b`, "example.com", "", "https://example.com"},
	{"a slash that may be missing", `^https://example\.com(/.*)?`, "example.com", "", "https://example.com"},
	{"a port without its colon", `^https://example\.com:?\d*$`, "example.com", AnyOrigin, "https://example.com8"},
	{"a port", `^https://example\.com(:\d+)?(/.*)?$`, "example.com", "", "https://example.com:8443"},
	{"a dot of the root", `^https://example\.com\.?$`, "example.com", "", "https://example.com"},
	{"localhost at the begin", `^https?://localhost.*$`, "localhost", AnyOrigin, "http://localhost.evil.example"},
	{"localhost and below", `^https?://(.*\.)?localhost(:\d+)?$`, "localhost", "", "http://app.localhost:5173"},
	{"below localhost, whatever the scheme", `.*\.localhost`, "localhost", "", "http://app.localhost"},

	{"one alternative is open", `^https://example\.com$|^https://.*\.com$`, "example.com", AnyOrigin, "https://evil.com"},
	{"an alternative that no origin matches", `^https://example\.com|example\.net$`, "example.com", "", "https://example.com"},
	{"an anchor in the middle", `https://^example\.com`, "", "", ""},
	{"no scheme", `example\.com`, "", "", ""},
	{"lines", `(?m)^https://example\.com$`, "example.com", "", "https://example.com"},
	{"upper case", `(?i)^https://.*\.EXAMPLE\.com$`, "example.com", "", "https://a.example.com"},
	{"a set of one", `^https://.*[.]example[.]com$`, "example.com", "", "https://a.example.com"},
	{
		"a label as the standard has it", `^https://(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+example\.com$`, "example.com", "",
		"https://a.b-c.example.com",
	},
	{"labels that are counted", `^https://([a-z0-9-]{1,63}\.){1,3}example\.com$`, "example.com", "", "https://a.b.example.com"},

	{"all names of a suffix", `^https://.*\.co\.uk$`, "example.co.uk", AnyOrigin, "https://evil.co.uk"},
	{"all names of a top-level domain", `^https://.*\.(com|net)$`, "example.com", AnyOrigin, "https://evil.net"},
	{"all users of a host", `^https://[a-z]+\.github\.io$`, "user.github.io", AnyOrigin, "https://evil.github.io"},
	{"one user of a host", `^https://(.*\.)?user\.github\.io$`, "user.github.io", "", "https://www.user.github.io"},
	{"all projects of a host", `^https://[\w-]+\.vercel\.app$`, "shop.vercel.app", AnyOrigin, "https://evil.vercel.app"},
	{"all buckets of a host", `^https://.*\.s3\.amazonaws\.com$`, "shop.s3.amazonaws.com", AnyOrigin, "https://evil.s3.amazonaws.com"},

	{"hosts of one label", `^https://[a-z]+$`, "intranet", AnyOrigin, "https://evil"},
	{"three hosts of one label", `^https://(wiki|mail|intranet)$`, "wiki mail intranet", "", "https://intranet"},
	{"any address", `^https://\d+\.\d+\.\d+\.\d+$`, "10.0.0.0/8", AnyOrigin, "https://8.8.8.8"},
	{"a private range", `^https://10\.\d+\.\d+\.\d+(:\d+)?$`, "10.0.0.0/8", "", "https://10.0.0.7:8443"},
	{"two private ranges", `^https://(192\.168|10\.\d{1,3})\.\d{1,3}\.\d{1,3}$`, "192.168.0.0/16 10.0.0.0/8", "", "https://192.168.0.1"},
	{"a private range in plain http", `^https?://192\.168\.\d{1,3}\.\d{1,3}$`, "192.168.0.0/16", InsecureOrigin, "http://192.168.0.1"},
	{"any address of version 6", `^https://\[[0-9a-f:]+\]$`, "[::1]", AnyOrigin, "https://[2001:db8::1]"},
	{"one address of version 6", `^https?://\[::1\](:\d+)?$`, "[::1]", "", "http://[::1]:8080"},

	{"loopback and its neighbours in plain http", `^http://\[::[1-4]\]$`, "[::1] [::2] [::3] [::4]", InsecureOrigin, "http://[::2]"},
	{"loopback and a neighbour in plain http", `^http://12[78]\.0\.0\.1$`, "127.0.0.0/8 128.0.0.1", InsecureOrigin, "http://128.0.0.1"},
	{
		"loopback among others in plain http", `^http://(127\.0\.0\.1|198\.51\.100\.10|203\.0\.113\.30|51\.52\.53\.54)$`,
		"127.0.0.0/8 198.51.100.10 203.0.113.30 51.52.53.54", InsecureOrigin, "http://198.51.100.10",
	},

	{"the scheme of an app", `^(capacitor|ionic|https)://localhost$`, "localhost", "", "capacitor://localhost"},
	{"all of a scheme", `^moz-extension://.*$`, "", AnyOrigin, "moz-extension://0a1b2c3d-0000-4000-8000-000000000000"},
	{
		"one extension", `^chrome-extension://abcdefghijklmnopabcdefghijklmnop$`, "abcdefghijklmnopabcdefghijklmnop", "",
		"chrome-extension://abcdefghijklmnopabcdefghijklmnop",
	},
	{"any scheme", `^[a-z]+://www\.example\.com$`, "example.com", InsecureOrigin, "http://www.example.com"},
}

func TestVerdictsOnCarelessRegexes(t *testing.T) {
	checkVerdicts(t, carelessRegexes)
}

// TestThirtyTwoDomainsAreAList holds the bound of the contract from both sides,
// whether the domains are written out or come from places that are free.
func TestThirtyTwoDomainsAreAList(t *testing.T) {
	var names []string
	for i := range 33 {
		names = append(names, "shop"+strconv.FormatInt(int64(i*i*i), 36))
	}
	list := func(n int) string { return `https://(www\.)?(` + strings.Join(names[:n], "|") + `)\.com` }
	for _, v := range []regexVerdict{
		{"32 names", list(32), strings.Join(names[:32], ".com ") + ".com", "", "https://www.shop0.com"},
		{"33 names", list(33), "", AnyOrigin, "https://www.shop0.com"},
		{"4 times 8 names", `https://[a-d][1-8]\.example`, "a1.example", "", "https://a1.example"},
		{"4 times 9 names", `https://[a-d][1-9]\.example`, "", AnyOrigin, "https://d9.example"},
	} {
		if v.code == "" {
			v.meant = ""
			for _, name := range names[:32] {
				v.meant += name + ".com "
			}
			for i := range 32 {
				v.meant += string(rune('a'+i/8)) + string(rune('1'+i%8)) + ".example "
			}
		}
		t.Run(v.source, v.check)
	}
}
