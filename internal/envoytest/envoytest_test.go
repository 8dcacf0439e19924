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
