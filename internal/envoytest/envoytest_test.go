package envoytest

import (
	"net/http"
	"testing"

	"corsfilter/internal/envoy"
)

func TestEnvoyServer(t *testing.T) {
	s := Start(t, Bootstrap{Listeners: []Listener{{
		Policy: `{"allow_origins": ["https://shop.example.com"], "allow_methods": ["PUT"]}`,
		Routes: `[{match: {prefix: /}, direct_response: {status: 200}}]`,
	}}}, envoy.Options{})
	request, err := http.NewRequest(http.MethodOptions, "http://"+s.Address(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", "https://shop.example.com")
	request.Header.Set("Access-Control-Request-Method", "PUT")
	request.Header.Set(Attempt, "1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if e := s.Logged(t, "1"); response.StatusCode != 204 || e.Details != "cors_preflight" || e.Status != 204 {
		t.Errorf("%v, logged %+v", response, e)
	}
	s.Counted(t, map[string]uint64{"cors.origin_valid": 1, "cors.preflight_allowed": 1})
}

func TestPushes(t *testing.T) {
	pushes := NewPushes(t)
	listener := func(origin string) Listener {
		return Listener{Policy: `{"allow_origins": ["` + origin + `"]}`, Routes: `[{match: {prefix: /}, direct_response: {status: 200}}]`}
	}
	pushes.Push(t, listener("https://before.example"))
	s := Start(t, Bootstrap{More: pushes.More()}, envoy.Options{Arguments: pushes.Arguments()})
	pushes.Push(t, listener("https://after.example"))
	Eventually(t, "the other policy is in effect", func() bool {
		request, err := http.NewRequest(http.MethodGet, "http://"+s.Address(""), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", "https://after.example")
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.Header.Get("Access-Control-Allow-Origin") != ""
	})
}
