package differential

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"corsfilter/config"
	"corsfilter/internal/browser"
	"corsfilter/internal/convert"
	"corsfilter/internal/convert/source"
	"corsfilter/internal/envoy"
	"corsfilter/internal/envoytest"
)

var (
	policies = flag.Int("policies", 200, "how many policies TestDifferentialInEnvoy draws")
	firstOf  = flag.Uint64("seed", 1, "the seed of the first one; each next one has the next seed")
)

const (
	perEnvoy  = 200 // policies in one process
	perPolicy = 15  // pages' requests
	enough    = 10  // differences that are shown
)

// drawn is a policy of Envoy's, and what became of it.
type drawn struct {
	*drawer
	seed   uint64
	text   string // as convert reads it
	result *convert.Result
	config *config.Config
	// filter, manager and routes are its parts for Envoy.
	filter, manager, routes []byte
}

// TestDifferentialInEnvoy draws policies and requests. Whatever the module answers otherwise than
// Envoy's own filter is a difference that convert has named for that policy.
func TestDifferentialInEnvoy(t *testing.T) {
	j := &judge{T: t, named: map[convert.ChangeKind]int{}, refused: map[string]int{}}
	for from := 0; from < *policies && j.unnamed < enough; from += perEnvoy {
		var all []*drawn
		for i := from; i < min(from+perEnvoy, *policies); i++ {
			if d := j.convert(*firstOf + uint64(i)); d != nil {
				all = append(all, d)
			}
		}
		j.serve(all)
	}
	t.Logf("%d policies, of which %d are refused for what is in them, %v, and %d apply none", *policies, j.refusals, j.refused, j.without)
	t.Logf("%d requests of %d pages, which may read %d responses; differences, each named: %v", j.requests, j.pages, j.allowed, j.named)
	if *policies >= perEnvoy && (j.allowed*20 < j.pages || (j.refusals+j.without)*3 > *policies) {
		t.Error("too little of that is allowed or converted to be a test")
	}
}

// judge counts what is compared.
type judge struct {
	*testing.T
	named                                                map[convert.ChangeKind]int
	refused                                              map[string]int
	refusals, without, requests, pages, allowed, unnamed int
}

// convert draws a policy and converts it; nil where it is refused for what is in it.
func (j *judge) convert(seed uint64) *drawn {
	d := &drawn{drawer: newDrawer(seed), seed: seed}
	return j.read(d, d.drawer.manager())
}

// read converts a connection manager; nil where it is refused for what is in it.
func (j *judge) read(d *drawn, manager object) *drawn {
	seed := d.seed
	d.routes = marshal(j, manager["route_config"])
	manager["stat_prefix"] = "ingress"
	text, err := yaml.Marshal(manager)
	if err != nil {
		j.Fatal(err)
	}
	d.filter = marshal(j, manager["http_filters"])
	delete(manager, "http_filters")
	d.manager = marshal(j, manager)
	d.text = string(text)
	var problems convert.Problems
	d.result, problems = source.Convert([]convert.File{{Name: "envoy.yaml", Data: text}}, convert.Options{Tolerate: waivers})
	for _, p := range problems {
		if strings.Contains(p.What, "no CORS policy") || strings.Contains(p.What, "has no effect: the proxy answers") {
			j.without++
			return nil
		}
		i := slices.IndexFunc(d.hard, func(word string) bool { return strings.Contains(p.What, word) })
		if j.unnamed >= enough {
			return nil
		}
		if i < 0 {
			j.Errorf("SEED=%d POLICIES=1: refused for what is not in it, which is %q: %v\n%s", seed, d.hard, p, text)
			j.unnamed++
			return nil
		}
		j.refused[d.hard[i]]++
	}
	if d.result == nil {
		j.refusals++
		return nil
	}
	if d.config, _, err = config.Parse(d.result.JSON); err != nil {
		j.Fatalf("SEED=%d POLICIES=1: the result is refused: %v\n%s", seed, err, d.result.JSON)
	}
	return d
}

// waivers are all there are.
var waivers = func() (names []string) {
	for _, w := range config.Waivers {
		names = append(names, string(w))
	}
	return names
}()

func marshal(t testing.TB, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// serve runs policies in one Envoy and compares requests.
func (j *judge) serve(all []*drawn) {
	if len(all) == 0 {
		return
	}
	server := j.start(all)
	defer server.Stop()
	for _, d := range all {
		native, module := j.dial(server, "native", d), j.dial(server, "module", d)
		for range perPolicy {
			x := &exchange{judge: j, drawn: d, page: d.page()}
			x.host, x.path = d.target()
			x.compare(native, module)
			if j.unnamed >= enough {
				break
			}
		}
		native.Close()
		module.Close()
	}
}

// start runs policies in one Envoy: each behind its own filter and behind the module. More
// are listeners of the module alone.
func (j *judge) start(all []*drawn, more ...envoytest.Listener) *envoytest.Server {
	upstream := httptest.NewServer(http.HandlerFunc(answerUpstream))
	j.Cleanup(upstream.Close)
	address := upstream.Listener.Addr().String()
	bootstrap := envoytest.Bootstrap{Upstream: address, Clusters: "[" + string(marshal(j, envoytest.Cluster(j, "other", address))) + "]"}
	for _, d := range all {
		l := envoytest.Listener{Name: fmt.Sprint("native", d.seed), Front: string(d.filter), Manager: string(d.manager)}
		l.RouteConfig = string(d.routes)
		bootstrap.Listeners = append(bootstrap.Listeners, l)
		l.Name, l.Front, l.Policy = fmt.Sprint("module", d.seed), "", string(d.result.JSON)
		bootstrap.Listeners = append(bootstrap.Listeners, l)
	}
	bootstrap.Listeners = append(bootstrap.Listeners, more...)
	return envoytest.Start(j, bootstrap, envoy.Options{})
}

// answerUpstream sends CORS headers of its own where the query says so.
func answerUpstream(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Forwarded", r.Method)
	h.Set("X-Total", "7")
	h.Set("ETag", "1")
	h.Set("X-Secret", "0")
	h["Date"] = nil
	switch r.URL.Query().Get("own") {
	case "any":
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Methods", "*")
		h.Set("Access-Control-Allow-Headers", "*")
	case "app":
		h.Set("Access-Control-Allow-Origin", "https://app.example.org")
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", "x-secret")
	case "vary":
		h.Set("Vary", "Accept-Encoding")
	case "error":
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// connection is one to a listener, kept alive.
type connection struct {
	net.Conn
	*judge
	reader *bufio.Reader
}

func (j *judge) dial(server *envoytest.Server, kind string, d *drawn) *connection {
	return j.connect(server.Address(fmt.Sprint(kind, d.seed)))
}

func (j *judge) connect(address string) *connection {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		j.Fatal(err)
	}
	return &connection{conn, j, bufio.NewReader(conn)}
}

// ask sends one request.
func (c *connection) ask(method, host, path string, headers []browser.Header) (r browser.Response) {
	c.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	for _, h := range headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	if _, err := c.Write([]byte(b.String() + "Content-Length: 0\r\n\r\n")); err != nil {
		c.Fatal(err)
	}
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		c.Fatalf("%v after\n%s", err, b.String())
	}
	if _, err := response.Body.Read(make([]byte, 1)); err == nil && response.StatusCode < 300 {
		c.Fatal("a body, which nothing here has")
	}
	response.Body.Close()
	r.Status = response.StatusCode
	for _, name := range slices.Sorted(maps.Keys(response.Header)) {
		for _, value := range response.Header[name] {
			r.Headers = append(r.Headers, browser.Header{Name: strings.ToLower(name), Value: value})
		}
	}
	return r
}
