package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"corsfilter/internal/origin"
	"corsfilter/internal/suffix"
)

// regexVerdict is an origin regex with the verdict of a credentialed policy.
type regexVerdict struct {
	source string // the repository and what there holds it
	regex  string
	meant  string // the domains that its author meant, as registrable returns them
	code   Code   // "" is accepted
	// witness is an origin that the regex lets in: an author's own where it is
	// accepted, else the unintended origin. It is "" where no origin gets in.
	witness string
}

// publishedRegexes stand in public repositories. Some of their programs search
// the origin for the regex (nginx, Apache, PCRE, JavaScript, Ruby, Go), and some
// anchor its begin alone (Python's re.match); here a regex matches the whole
// origin, so that `.*` stands on the side that they leave open.
var publishedRegexes = []regexVerdict{
	// Accepted: names of one's own, and programs on the developer's machine.
	{"adamchainz/django-cors-headers, README", `^https://\w+\.example\.com$`, "example.com", "", "https://api.example.com"},
	{"Islam0122/URLDRF, Django settings", `^http://127\.0\.0\.1(:\d+)?$`, "127.0.0.0/8", "", "http://127.0.0.1:8000"},
	{"Islam0122/URLDRF, Django settings", `^http://localhost(:\d+)?$`, "localhost", "", "http://localhost:8000"},
	{"Kludex/starlette, documentation", `https://.*\.example\.org`, "example.org", "", "https://api.example.org"},
	{"quarkusio/quarkus, documentation", `https://([a-z0-9\-_]+)\.app\.mydomain\.com`, "mydomain.com", "", "https://a-1.app.mydomain.com"},
	{"quarkusio/quarkus, issue 34718", `https:\/\/(?:[a-z0-9\-]+\.)*domain\.com`, "domain.com", "", "https://www.domain.com"},
	{"Ujjwalbhatt/code, NestJS", `^https:\/\/(\w+\.)*joinarena\.ai$`, "joinarena.ai", "", "https://play.joinarena.ai"},
	{"willblood/chat_app, rack-cors", `\Ahttps:\/\/deploy-preview-\d{1,4}--yourwebsite\.domain\.app\z`, "domain.app", "", "https://deploy-preview-12--yourwebsite.domain.app"},
	{"mahdi899/agency, Laravel", `^http:\/\/(localhost|127\.0\.0\.1)(:\d+)?$`, "localhost 127.0.0.0/8", "", "http://127.0.0.1:3000"},
	{"alberitus/presensi-backend, Laravel", `^http:\/\/127\.0\.0\.1(:[0-9]+)?$`, "127.0.0.0/8", "", "http://127.0.0.1"},
	{"nelmio/NelmioCorsBundle, README", `^http://localhost:[0-9]+.*`, "localhost", "", "http://localhost:3000"}, // what is open behind a port can be digits alone
	{"elastic/elasticsearch, documentation", `https?:\/\/localhost(:[0-9]+)?`, "localhost", "", "https://localhost:9200"},
	{"kgateway-dev/kgateway, documentation since pull request 10013", `https://[a-zA-Z0-9]*\.example\.com`, "example.com", "", "https://api.example.com"},
	{"envoyproxy/gateway, issue 9965", `https://preview-[0-9]+\.example\.com`, "example.com", "", "https://preview-123.example.com"},
	{"istio/istio, what a Gateway API wildcard becomes", `^https://.*\.example\.com$`, "example.com", "", "https://a.b.example.com"},
	{"ranjoyghosh88/lat-long-tracking, Express", `^http:\/\/127\.0\.0\.1:\d+$`, "127.0.0.0/8", "", "http://127.0.0.1:5173"},
	{"kubernetes/kubernetes, help of kube-apiserver", `^https://example\.com(:.*|$)`, "example.com", "", "https://example.com:8443"},
	{"kubernetes/kubernetes, hack/local-up-cluster.sh", `.*//localhost(:[0-9]+)?$`, "localhost", "", "http://localhost:8080"},
	{"No-YE/article-picker, Fastify", `.*http:\/\/localhost:\d+.*`, "localhost", "", "http://localhost:5173"},
	{"QinLiStudio/Conship, gin", `^http://localhost:\d+$`, "localhost", "", "http://localhost:8080"},
	{"centrifuge/apps, Express", `^(http:\/\/localhost:)\d{1,5}$`, "localhost", "", "http://localhost:3000"},
	{"symfony/recipes, pull request 432", `^https?://localhost(:[0-9]+)?$`, "localhost", "", "https://localhost"},
	{"symfony/recipes, NelmioCorsBundle", `^https?://(localhost|127\.0\.0\.1)(:[0-9]+)?$`, "localhost 127.0.0.0/8", "", "http://localhost:8000"},
	{"akvo/akvo-rsr, nginx map", `^https://(.*)+\.(akvo|akvotest)\.org$`, "akvo.org akvotest.org", "", "https://rsr.akvo.org"},
	{"Batterii/cors, README", `^https?:\/\/localhost(?::\d+)?\/?$`, "localhost", "", "https://localhost:3000"},
	{"vitejs/vite, default of server.cors", `^https?:\/\/(?:(?:[^:]+\.)?localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$`, "localhost 127.0.0.0/8 [::1]", "", "http://app.localhost:5173"},
	{"micronaut-projects/micronaut-core, issue 1448", `https:\/\/(.*?)\.minecraft\.net`, "minecraft.net", "", "https://test.minecraft.net"},
	{"jsdelivr/globalping, pull request 851 as reviewed", `^https:\/\/(?:[\w-]+\.)*globalping\.io$`, "globalping.io", "", "https://dash.globalping.io"},
	{"ashleysommer/sanic-cors, pull request 68", `https://example\.com(:\d+)?`, "example.com", "", "https://example.com:8080"},

	// Accepted, since no origin gets in: useless, and warned of.
	{"Kludex/starlette, issue 84", `https://*`, "", "", ""},
	{"xsherryhe/wheres-waldo-server, rack-cors", `\Ahttps?://xsherryhe.github.io/.+`, "", "", ""},
	{"akanksh-ch/linkedin-scraper, Vite", `^https?:\/\/(?:(?:[^:]+\.)?localhost|127\.0\.0\.1|\[::1\]|.*supabase\.co)(?::\d+)?\/.*$`, "", "", ""},

	// Plain http: whoever is on the path to the browser can be one of these.
	{"kubernetes/ingress-nginx, issue 1171", `^https?://((?:www\.exactmatch\.com)|(?:.*\.regexmatch\.com))$`, "exactmatch.com regexmatch.com", InsecureOrigin, "http://a.regexmatch.com"},
	{"cyu/rack-cors, issue 30", `\Ahttps?:\/\/([a-zA-Z\d-]+\.){0,}example\.com\/?\z`, "example.com", InsecureOrigin, "http://example.com"},
	{"cyu/rack-cors, issue 265", `\Ahttps?:\/\/example\.com\z`, "example.com", InsecureOrigin, "http://example.com"},
	{"department-of-veterans-affairs/vets-api, pull request 2385", `\Ahttps?:\/\/([a-zA-Z\d-]+\.){0,}swagger\.io\/?\z`, "swagger.io", InsecureOrigin, "http://petstore.swagger.io"},
	{"webkom/lego, Django settings", `^(https?://)?(.*\.)?abakus\.no$`, "abakus.no", InsecureOrigin, "http://www.abakus.no"},
	{"api-platform/demo, Helm values", `^https?://.*?\.api-platform\.com$`, "api-platform.com", InsecureOrigin, "http://demo.api-platform.com"},
	{"micronaut-projects/micronaut-core, documentation", `^http(|s)://www\.google\.com$`, "google.com", InsecureOrigin, "http://www.google.com"},
	{"jedi58/ossus, Apache", `.*http(s)?://(www\.)?(my-domain\.co\.uk|my-other-domain\.co\.uk)$`, "my-domain.co.uk my-other-domain.co.uk", InsecureOrigin, "http://my-domain.co.uk"},
	{"expressjs/cors, issue 42", `^(.*\.)?github\.com$`, "github.com", InsecureOrigin, "http://gist.github.com"}, // what is before the dot may begin with any scheme
	{"joyang-project/api, NestJS", `(^|.*\.)jo-yang\.com$`, "jo-yang.com", InsecureOrigin, "http://www.jo-yang.com"},
	{"expressjs/cors, pull request 412", `^https?:\/\/(.+\.)?example\.com$`, "example.com", InsecureOrigin, "http://www.example.com"},
	{"kubernetes/kubernetes, help of kube-apiserver", `.*//example\.com(:.*|$)`, "example.com", InsecureOrigin, "http://example.com:8080"},
	{"openshift/openshift-docs, additionalCORSAllowedOrigins", `(?i).*//my\.subdomain\.domain\.com(:.*|\z)`, "domain.com", InsecureOrigin, "http://my.subdomain.domain.com"},
	{"adamchainz/django-cors-headers, issue 494", `http://(?:(?:127|0)\.0\.0\.(?:0|1)|localhost):3000.*`, "localhost 127.0.0.0/8 0.0.0.0 0.0.0.1", InsecureOrigin, "http://0.0.0.0:3000"},
	{"Kong/kong, pull request 4261", `.*://(.*[.])?foo\.test(:\d+)?`, "foo.test", InsecureOrigin, "http://www.foo.test"}, // Kong compares it with the host
	{"higress-group/higress, what a pattern becomes in 2.2.4", `^\Qhttp://\E.*\Q.example.com\E$`, "example.com", InsecureOrigin, "http://www.example.com"},

	// Nothing but a wildcard.
	{"doryElements/dory-sam, Elasticsearch", `.*`, "", AnyOrigin, "https://evil.example"},
	{"varma1201/pragati_server_v2, Flask-CORS", `^https?://.*`, "", AnyOrigin, "https://evil.example"},
	{"feniks92/SubscribeWatcher, Python", `^http(s)?://(.+\.)?.+\.\w+(:\d{1,5})?$`, "", AnyOrigin, "https://evil.example"},
	{"openfoodfacts/folksonomy_api, FastAPI", `^https://.*|^http://(localhost|.*\.localhost)(:\d+)?$`, "localhost", AnyOrigin, "https://evil.example"},
	{"istio/istio, what a Gateway API star becomes", `^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$`, "", AnyOrigin, "https://evil.example"},
	{"Olawoyin007/intentKeeper, issue 113", `chrome-extension://.*`, "", AnyOrigin, "chrome-extension://abcdefghijklmnopabcdefghijklmnop"},

	// No dot in front of the name.
	{"expressjs/cors, README", `.*example\.com$`, "example.com", AnyOrigin, "https://evil-example.com"},
	{"mschae/cors_plug, README", `.*https?.*example\d?\.com$`, "example.com", AnyOrigin, "https://evilexample.com"},
	{"ODYLIGHT/jyz_backend, Corsica", `^https?://(.*\.?)foo\.com$`, "foo.com", AnyOrigin, "https://evilfoo.com"},
	{"corydolphin/flask-cors, issue 54", `https?://\w*\.?example\.com:?\d*/?.*`, "example.com", AnyOrigin, "https://evilexample.com"},
	{"centrifuge/apps, Express", `^(https:\/\/.*cntrfg\.com)$`, "cntrfg.com", AnyOrigin, "https://evilcntrfg.com"},
	{"api-platform/demo, pull request 117", `^https?://(.*?api-platform\.com|localhost(?::[0-9]+)?)$`, "api-platform.com localhost", AnyOrigin, "https://fakeapi-platform.com"},
	{"acmucsd/membership-portal, pull request 72", `.*acmucsd.com.*`, "acmucsd.com", AnyOrigin, "https://fakeacmucsd.com"},
	{"imGraetzl/im_graetzl, rack-cors", `.*imgraetzl\.at(:\d+)?.*`, "imgraetzl.at", AnyOrigin, "https://evilimgraetzl.at"},

	// Nothing behind the name says that it ends there.
	{"cyu/rack-cors, issue 86", `.*https:\/\/example\.co.*`, "example.co", AnyOrigin, "https://example.com"},
	{"cyu/rack-cors, issue 30", `.*http:\/\/(.*?)\.example\.com.*`, "example.com", AnyOrigin, "http://a.example.com.evil.example"},
	{"cyu/rack-cors, README", `.*http:\/\/192\.168\.0\.\d{1,3}(:\d+)?.*`, "192.168.0.0/16", AnyOrigin, "http://192.168.0.1.evil.example"},
	{"google/clusterfuzz, configuration of its tests", `https?://(.*-dot-)?test-client-site.appspot.com.*`, "test-client-site.appspot.com", AnyOrigin, "https://test-client-site.appspot.com.evil.example"},
	{"tymyrddin/blue-webserver, nginx", `^http[s]*?://(foo\.bar|.+\.foo\.bar|fou\.baar|.+\.fou\.baar).*`, "foo.bar fou.baar", AnyOrigin, "https://foo.bar.evil.example"},
	{"RubaXa/nginx-cors, README", `.*https://(foo|bar)\.client\.com.*`, "client.com", AnyOrigin, "https://foo.client.com.evil.example"},
	{"rustdesk/doc.rustdesk.com, nginx", `.*(https?://(www\.)?rustdesk\.com).*`, "rustdesk.com", AnyOrigin, "https://rustdesk.com.evil.example"},
	{"feniln64/copypaste_node, Express", `(^|[^:]+:\/\/|.*[^\.]+\.)cpypst\.online.*`, "cpypst.online", AnyOrigin, "https://cpypst.online.evil.example"},
	{"corydolphin/flask-cors, issue 208", `.*\.domain\.com.*`, "domain.com", AnyOrigin, "https://app.domain.com.evil.example"},
	{"corydolphin/flask-cors, issue 240", `.*\.wheatpaste\.now\.sh.*`, "wheatpaste.now.sh", AnyOrigin, "https://a.wheatpaste.now.sh.evil.example"},
	{"ashleysommer/sanic-cors, pull request 68", `https://trusted\.com.*`, "trusted.com", AnyOrigin, "https://trusted.com.attacker.io"},
	{"gotify/server, issue 1052", `.*https://gotify.example.com.*`, "example.com", AnyOrigin, "https://gotify.example.com.evil.net"},
	{"centrifuge/apps before pull request 1332, Express", `^(https:\/\/.*altair\.network).*`, "altair.network", AnyOrigin, "https://www.altair.network.evil.example"},
	{"ForestAdmin/django-forestadmin, Django settings", `.*\.forestadmin\.com.*`, "forestadmin.com", AnyOrigin, "https://app.forestadmin.com.evil.example"},
	{"nelmio/NelmioCorsBundle, issue 65", `^http://(.+\.)?example\.com.*`, "example.com", AnyOrigin, "http://example.com.evil.example"},
	{"tobobo/shibe_io, Express", `.*\.shibe\.io.*`, "shibe.io", AnyOrigin, "https://www.shibe.io.evil.example"},
	{"apache/apisix, issue 9027", `.*\.domain.com.*`, "domain.com", AnyOrigin, "https://www.domain.com.evil.example"},
	{"3scale/APIcast, pull request 1251", `.*(api|web).test.com.*`, "test.com", AnyOrigin, "https://web.test.com.evil.example"},
	{"Kong/kong, issue 4245", `.*[.]example.com.*`, "example.com", AnyOrigin, "https://www.example.com.evil.example"},
	{"alibaba/higress, what a pattern becomes in 2.2.1", `.*\Qhttp://\E.*\Q.example.com\E.*`, "example.com", AnyOrigin, "http://www.example.com.evil.example"},
	{"Computing-Collective/3FA, Vite", `.*(localhost|127\.0\.0\.1).*`, "localhost 127.0.0.0/8", AnyOrigin, "https://localhost.evil.example"},

	// A dot that stands for any character, or a port without its colon.
	{"kgateway-dev/kgateway, documentation before pull request 10013", `https://[a-zA-Z0-9]*.example.com`, "example.com", AnyOrigin, "https://evil-example.com"},
	{"thecodingmachine/symfony-boilerplate, pull request 45", `.*https://my.website.com.*`, "website.com", AnyOrigin, "https://myawebsite.com"},
	{"pradiptabasu/pbasu-CORS-articles, Apache", `.*http(s)?://(www\.)?(google.com|staging.google.com|development.google.com|otherdomain.example|dev02.otherdomain.example)$`, "google.com otherdomain.example", AnyOrigin, "https://staging-google.com"},
	{"apache/apisix-dashboard, pull request 2690", `.*.test.com.*`, "test.com", AnyOrigin, "https://evil-test.com"},
	{"Kludex/starlette, issue 84", `(http|https)://*.example.com`, "example.com", AnyOrigin, "https://aexample.com"},
	{"expressjs/cors, tests", `.*:\/\/(.+\.)?example.com$`, "example.com", AnyOrigin, "https://shop.example-com"},
	{"jsdelivr/globalping, pull request 851", `^https:\/\/(?:[\w-]+\.)*globalping.io$`, "globalping.io", AnyOrigin, "https://foo.globalpingxio"},
	{"gravitee-io/issues, issue 3840", `https?.*\.gravitee.io`, "gravitee.io", AnyOrigin, "https://www.gravitee-io"},
	{"huggerkios/my_cloud_api, Django settings", `^http:\/\/127.0.0.1:*([0-9]+)?$`, "127.0.0.0/8", AnyOrigin, "http://127a0a0a1"},
	{"jonasearth/websocket-api, NestJS", `^(http|https):\/\/(localhost|127.0.0.1):\d{2,4}$`, "localhost 127.0.0.0/8", AnyOrigin, "https://127a0a0a1:8080"},
	{"kubernetes/kubernetes, hack/local-up-cluster.sh", `.*//127.0.0.1(:[0-9]+)?$`, "127.0.0.0/8", AnyOrigin, "https://127a0a0a1"},
	{"huggerkios/my_cloud_api, Django settings", `^https:\/\/localhost:*([0-9]+)?$`, "localhost", AnyOrigin, "https://localhost8"},
	{"symfony/recipes before pull request 432", `^https?://localhost:?[0-9]*$`, "localhost", AnyOrigin, "https://localhost8000"},

	// Below a public suffix a name belongs to whoever takes it first.
	{"1024XEngineer/Windup, issue 202", `https://.*\.vercel\.app`, "", AnyOrigin, "https://evil.vercel.app"},
	{"npmx-dev/npmx.dev, pull request 1794", `^https:\/\/(.*)\.vercel\.app$`, "", AnyOrigin, "https://evil.vercel.app"},
	{"solana-foundation/solana-developer-platform before pull request 925", `^https://.*.vercel.app$`, "", AnyOrigin, "https://evil-vercel.app"},
	{"OpenGradient/BitQuant, pull request 134", `^https://defi-chat-hub-git-[\w-]+-open-gradient\.vercel\.app$`, "", AnyOrigin, "https://defi-chat-hub-git-evil-open-gradient.vercel.app"},
	{"adamchainz/django-cors-headers, issue 571", `^https://\w+\.ngrok\.io$`, "", AnyOrigin, "https://evil.ngrok.io"},
	{"bigbinary/acehelp, pull request 80", `.*https?:\/\/([a-z0-9-]+[.])?(herokuapp|acehelp).com\z`, "acehelp.com", AnyOrigin, "https://evil.herokuapp.com"},
	{"openscan-explorer/explorer, pull request 364", `^https://(pr-\d+|deploy-preview-\d+)--openscan\.netlify\.app$`, "openscan.netlify.app", AnyOrigin, "https://pr-7--openscan.netlify.app"}, // only Netlify knows whose pr-7--openscan is
	{"caddyserver/caddy, issue 3206", `.*(https?://[^/]*(\.domain\.com|\.lan)(:[0-9]+)?)$`, "domain.com", AnyOrigin, "https://evil.lan"},
}

// TestVerdictsOnPublishedRegexes is where no good regex may be refused.
func TestVerdictsOnPublishedRegexes(t *testing.T) {
	checkVerdicts(t, publishedRegexes)
}

func checkVerdicts(t *testing.T, table []regexVerdict) {
	t.Helper()
	seen := map[string]bool{}
	for _, v := range table {
		t.Run(v.source+" "+v.regex, func(t *testing.T) {
			if seen[v.regex] {
				t.Error("stands in the table twice")
			}
			seen[v.regex] = true
			v.check(t)
			if v.code == AnyOrigin {
				v.checkIsOpen(t)
			}
		})
	}
}

// check asks Go's regexp about the witness, the list of public suffixes whose it
// is, and Parse for the verdict.
func (v regexVerdict) check(t *testing.T) {
	re := regexp.MustCompile("^(?:" + v.regex + ")$")
	if v.witness != "" || v.code != "" {
		domain, ok := domainOf(v.witness)
		switch meant := slices.Contains(strings.Fields(v.meant), domain); {
		case !ok || !re.MatchString(v.witness):
			t.Fatalf("the witness %q is no origin that the regex lets in", v.witness)
		case v.code == AnyOrigin && meant:
			t.Errorf("%s lies under %s, which the author meant", v.witness, domain)
		case v.code != AnyOrigin && !meant:
			t.Errorf("%s lies under %s, which the author did not mean", v.witness, domain)
		case !v.proves(v.witness):
			t.Errorf("%s is no insecure origin", v.witness)
		}
	}
	if v.code == "" {
		v.checkNeighbours(t, re)
	}
	_, warnings, err := Parse([]byte(`{"allow_credentials":true,"allow_origins":[{"regex":` + quoteJSON(v.regex) + `}]}`))
	var problems Problems
	errors.As(err, &problems)
	i := slices.IndexFunc(problems, func(p Problem) bool { return p.Code == v.code })
	switch {
	case v.code == "" && err != nil:
		t.Errorf("refused: %v", err)
	case v.code == "" && v.witness == "" && len(warnings) == 0:
		t.Error("nothing says that no origin gets in")
	case v.code != "" && i < 0:
		t.Errorf("problems %q, want %s", places(problems), v.code)
	// What matches the text * is *, of which there is nothing more to say.
	case v.code != "" && !re.MatchString("*") && !slices.ContainsFunc(originInText.FindAllString(problems[i].Reason, -1), func(o string) bool {
		return re.MatchString(o) && v.proves(o)
	}):
		t.Errorf("%q names no origin that the regex lets in and should not", problems[i].Reason)
	}
}

// proves reports whether a browser may send the origin, and the verdict is right
// about it.
func (v regexVerdict) proves(value string) bool {
	domain, ok := domainOf(value)
	return ok && (v.code != InsecureOrigin || strings.HasPrefix(value, "http://") && !slices.Contains(atHome, domain))
}

var originInText = regexp.MustCompile(`[a-z][a-z0-9+.-]*://[^\s,;"()]*[^\s,;"().:]`)

// checkIsOpen doubts that a regex is open to unlistedOrigins, as the contract counts
// them: what differs from the unintended origin in one letter or digit must lie under more
// than 32 domains, or under ten that differ in one place.
func (v regexVerdict) checkIsOpen(t *testing.T) {
	re := regexp.MustCompile("^(?:" + v.regex + ")$")
	all, most := map[string]bool{}, 0
	for i := range len(v.witness) + 1 {
		here := map[string]bool{}
		for _, letter := range strings.Split("abcdefghijklmnopqrstuvwxyz0123456789", "") {
			for _, rest := range []string{v.witness[i:], v.witness[min(i+1, len(v.witness)):]} {
				if domain, ok := domainOf(v.witness[:i] + letter + rest); ok && re.MatchString(v.witness[:i]+letter+rest) {
					all[domain], here[domain] = true, true
				}
			}
		}
		most = max(most, len(here))
	}
	if len(all) <= 32 && most < 10 {
		t.Errorf("about %s only %d domains get in, and %d in one place", v.witness, len(all), most)
	}
}

// checkNeighbours doubts that a regex is good: everything that differs from the
// witness in one place, or has an unlisted origin's name put in, and gets in all the
// same, must lie where the author meant, and be safe from the network.
func (v regexVerdict) checkNeighbours(t *testing.T, re *regexp.Regexp) {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789.-:_/@%[]"
	pieces := append(strings.Split(alphabet, ""), "", "evil", "evil.", ".evil", ".evil.example", "://evil.example/", "evil.example:80.", "@evil.example", ":80", "http://", "ftp://", "x-")
	for i := 0; i <= len(v.witness); i++ {
		for _, piece := range pieces {
			for _, rest := range []string{v.witness[i:], v.witness[min(i+1, len(v.witness)):], ""} {
				neighbour := v.witness[:i] + piece + rest
				domain, ok := domainOf(neighbour)
				if !ok || !re.MatchString(neighbour) {
					continue
				}
				if !slices.Contains(strings.Fields(v.meant), domain) {
					t.Errorf("%s gets in as well, which lies under %s", neighbour, domain)
				}
				if strings.HasPrefix(neighbour, "http://") && !slices.Contains(atHome, domain) {
					t.Errorf("%s gets in as well, in plain http", neighbour)
				}
			}
		}
	}
}

// atHome are the domains of the machine itself, whose plain http crosses no
// network.
var atHome = []string{"localhost", "127.0.0.0/8", "[::1]"}

// domainOf returns what counts as one domain (contract, 1.5): a registrable
// domain, localhost with all names below it, a host of one label, a loopback or
// private range, any other address. It returns false for what no browser sends.
func domainOf(value string) (string, bool) {
	var buf origin.Buffer
	o, ok := origin.Parse(value, &buf)
	if !ok || !o.Serialized() {
		return "", false
	}
	host := strings.TrimSuffix(strings.Clone(o.Host), ".") // a name of the root is the same name
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		for _, private := range []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} {
			if netip.MustParsePrefix(private).Contains(addr) {
				return private, true
			}
		}
		return host, true
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return "localhost", true
	}
	if domain, ok := suffix.Registrable(host); ok {
		return domain, true
	}
	return host, true
}

// TestThereAreEnoughPublishedRegexes holds the table to what makes it worth
// something: many sources, and both verdicts.
func TestThereAreEnoughPublishedRegexes(t *testing.T) {
	count := map[Code]int{}
	for _, v := range publishedRegexes {
		count[v.code]++
	}
	if len(publishedRegexes) < 60 || count[""] < 25 || count[AnyOrigin] < 25 || count[InsecureOrigin] < 10 {
		t.Error(fmt.Sprint(len(publishedRegexes), " regexes: ", count))
	}
}
