package istio

import (
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"istio.io/istio/pkg/model"
	"istio.io/istio/pkg/monitoring"
	"istio.io/istio/pkg/xds"
)

// TestTheAlertKnowsIstiodsCounter has istiod's own code count a listener and an
// extension that proxies refuse, and looks for the names in the alert.
func TestTheAlertKnowsIstiodsCounter(t *testing.T) {
	exporter, err := monitoring.RegisterPrometheusExporter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	xds.IncrementXDSRejects(model.ListenerType, "proxy", "Internal")
	xds.IncrementXDSRejects(model.ExtensionConfigurationType, "proxy", "Internal")
	answer := httptest.NewRecorder()
	exporter.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	exposed := strings.Split(answer.Body.String(), "\n")
	for _, series := range []string{`pilot_total_xds_rejects{type="ecds"} 1`, `pilot_total_xds_rejects{type="lds"} 1`} {
		if !slices.Contains(exposed, series) {
			t.Errorf("istiod exposes no %s", series)
		}
	}
	alerts, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(alerts), `increase(pilot_total_xds_rejects{type=~"lds|ecds"}[15m])`) {
		t.Error("the alert asks for something else")
	}
}
