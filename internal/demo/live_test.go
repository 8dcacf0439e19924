package demo

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// watchEvents opens /events and returns what reads its next event.
func watchEvents(t *testing.T, url string) func() string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	lines := bufio.NewScanner(response.Body)
	return func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		return ""
	}
}

func TestEventsReachWatchersAsTheyCome(t *testing.T) {
	live := NewLive()
	server := httptest.NewServer(Pages(live))
	t.Cleanup(server.Close) // after the watcher has left, for which it waits
	e := Event{
		Time:      time.Unix(0, 0).UTC(),
		Method:    "GET",
		Authority: "localhost:10000",
		Path:      "/before\n\ndata: {}",
		Status:    200,
		Details:   "via_upstream",
		Request:   [][2]string{{"origin", page}},
		Response:  [][2]string{},
	}
	const want = `{"time":"1970-01-01T00:00:00Z","method":"GET","authority":"localhost:10000","path":"%s",` +
		`"request":[["origin","http://localhost:8000"]],"response":[],"status":200,"details":"via_upstream",` +
		`"says":"%s","counters":[%s],"passed":true}`
	live.Publish(e)
	next := watchEvents(t, server.URL)
	if got, want := next(), fmt.Sprintf(
		want, `/before\n\ndata: {}`, "No configuration of the CORS filter is in effect here.", "",
	); got != want {
		t.Errorf("history %s, want %s", got, want)
	}
	live.Show(Gateway{Policy: find(t, `{"allow_origins":["http://localhost:8000"]}`)})
	e.Path = "/after"
	live.Publish(e)
	if got, want := next(), fmt.Sprintf(
		want, "/after", "Upstream answered, and this page may read the response.", `"cors.origin_valid","cors.request_allowed"`,
	); got != want {
		t.Errorf("event %s, want %s", got, want)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	live := NewLive()
	for i := range 3 * historyLen {
		live.Publish(Event{Status: i})
	}
	history, _, stop := live.watch()
	defer stop()
	if len(history) != historyLen || !strings.Contains(string(history[0]), fmt.Sprintf(`"status":%d,`, 2*historyLen)) {
		t.Errorf("%d events from %s on", len(history), history[0])
	}
}

func TestASlowWatcherKeepsNobodyWaiting(t *testing.T) {
	live := NewLive()
	_, events, stop := live.watch()
	done := make(chan struct{})
	go func() {
		for range 10 * watcherQueue {
			live.Publish(Event{})
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the gateway waits for a watcher")
	}
	if len(events) != watcherQueue {
		t.Errorf("%d events wait, want %d", len(events), watcherQueue)
	}
	stop()
	live.Publish(Event{})
	if len(live.watchers) != 0 {
		t.Error("a watcher that left is still told")
	}
}

func TestCountersAndPlaces(t *testing.T) {
	live := NewLive()
	server := httptest.NewServer(Pages(live))
	defer server.Close()
	get := func(path string, into any) {
		t.Helper()
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	var counters map[string]uint64
	get("/counters", &counters)
	if len(counters) != 0 {
		t.Errorf("counters before the gateway runs: %v", counters)
	}
	live.Show(Gateway{URL: "http://localhost:1", Counters: func() map[string]uint64 { return map[string]uint64{"cors.origin_valid": 7} }})
	get("/counters", &counters)
	var places map[string]string
	get("/places", &places)
	if counters["cors.origin_valid"] != 7 || len(places) != 1 || places["gateway"] != "http://localhost:1" {
		t.Errorf("counters %v, places %v", counters, places)
	}
}

func TestThePageRunsNothingButItsOwnScript(t *testing.T) {
	server := httptest.NewServer(Pages(nil))
	defer server.Close()
	response, err := http.Get(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	policy := response.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q lacks %s", policy, part)
		}
	}
	for _, path := range []string{"/events", "/counters", "/places"} {
		response, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%s without a gateway: status %d", path, response.StatusCode)
		}
	}
}

func TestThePageAnswersToItsOwnNamesAlone(t *testing.T) {
	for host, want := range map[string]int{
		"localhost:8000": 200, "LOCALHOST": 200, "127.0.0.1:8000": 200, "[::1]:8000": 200, "[::1]": 200,
		"evil.example:8000": 421, "localhost.evil.example": 421, "192.0.2.1:8000": 421, "": 421,
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		Pages(NewLive()).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Host %q: status %d, want %d", host, w.Code, want)
		}
	}
}

func TestThePagesShowThePolicyInEffect(t *testing.T) {
	live := NewLive()
	server := httptest.NewServer(Pages(live))
	defer server.Close()
	ask := func(body string) (status int, says advice) {
		t.Helper()
		response, err := http.Post(server.URL+"/policy", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		json.NewDecoder(response.Body).Decode(&says)
		return response.StatusCode, says
	}
	const asked = `{"origin": "http://localhost:8000", "requests": [{"method": "PUT", "path": "/x", ` +
		`"headers": [["x-a", "1"]], "credentials": true}]}`
	if status, _ := ask(asked); status != http.StatusNotFound {
		t.Errorf("without a policy: %d", status)
	}
	live.Show(
		Gateway{
			Policy: find(t, `{"allow_origins":["http://localhost:8000"],"allow_methods":"PUT","allow_headers":"x-b","allow_credentials":true}`),
		},
	)
	status, says := ask(asked)
	if status != http.StatusOK || !says.Allowed || len(says.Answers) != 1 || says.Answers[0].Allowed ||
		strings.Join(says.Answers[0].Lines, " ") != `"allow_headers": ["x-b", "x-a"]` {
		t.Errorf("%d %+v", status, says)
	}
	for _, body := range []string{"", "{", `{"origin": "localhost"}`, `{"origin": "` + strings.Repeat("x", maxQuestions) + `"}`} {
		if status, _ := ask(body); status != http.StatusBadRequest {
			t.Errorf("%.40s: %d", body, status)
		}
	}
}
