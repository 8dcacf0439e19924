// Package prometheus runs the rules and the dashboard in Prometheus' own engine.
package prometheus

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"sigs.k8s.io/yaml"
)

const alertsFile = "../../deploy/prometheus/alerts.yaml"

func engine(t *testing.T) *promql.Engine {
	t.Helper()
	return promqltest.NewTestEngineWithOpts(
		t,
		promql.EngineOpts{
			Logger:               slog.New(slog.DiscardHandler),
			MaxSamples:           1_000_000,
			Timeout:              time.Minute,
			EnableAtModifier:     true,
			EnableNegativeOffset: true,
		},
	)
}

func alerts(t *testing.T) (all []rulefmt.Rule) {
	t.Helper()
	groups, errs := rulefmt.ParseFile(alertsFile, false, model.UTF8Validation)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, group := range groups.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) < 5 {
		t.Fatalf("%d alerts; some are lost", len(all))
	}
	return all
}

func TestEveryAlertSaysWhatToDo(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var anchors []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "#") {
			heading := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
			anchors = append(anchors, strings.NewReplacer(" ", "-", "'", "").Replace(heading))
		}
	}
	for _, rule := range alerts(t) {
		file, anchor, _ := strings.Cut(rule.Annotations["runbook_url"], "#")
		if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" ||
			file != "docs/operations.md" || !slices.Contains(anchors, anchor) {
			t.Errorf("%s: labels %v, annotations %v", rule.Alert, rule.Labels, rule.Annotations)
		}
	}
}

// unitTests is as much of promtool's format as alerts_test.yaml uses.
type unitTests struct {
	RuleFiles          []string       `json:"rule_files"`
	EvaluationInterval model.Duration `json:"evaluation_interval"`
	Tests              []struct {
		Interval    model.Duration
		Name        string
		InputSeries []struct {
			Series, Values string
		} `json:"input_series"`
		AlertRuleTest []struct {
			EvalTime  model.Duration `json:"eval_time"`
			AlertName string         `json:"alertname"`
			ExpAlerts []struct {
				ExpLabels map[string]string `json:"exp_labels"`
			} `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	}
}

// TestAlerts runs the unit tests of the alerts, as promtool would, by Prometheus'
// own rule evaluation. promtool itself is a program that links every service
// discovery there is.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("../../deploy/prometheus/alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file unitTests
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		t.Fatal(err)
	}
	tested, fired := map[string]bool{}, map[string]bool{}
	for _, c := range file.Tests {
		t.Run(c.Name, func(t *testing.T) {
			var load strings.Builder
			fmt.Fprintf(&load, "load %s\n", time.Duration(c.Interval))
			for _, s := range c.InputSeries {
				fmt.Fprintf(&load, "  %s %s\n", s.Series, s.Values)
			}
			storage := promqltest.LoadedStorage(t, load.String())
			t.Cleanup(func() { storage.Close() })
			query := rules.EngineQueryFunc(engine(t), storage)
			for _, want := range c.AlertRuleTest {
				tested[want.AlertName] = true
				got := firing(t, want.AlertName, query, time.Duration(file.EvaluationInterval), time.Duration(want.EvalTime))
				if len(got) != len(want.ExpAlerts) {
					t.Errorf("%s after %s: %v fires, want %v", want.AlertName, time.Duration(want.EvalTime), got, want.ExpAlerts)
					continue
				}
				for i, alert := range want.ExpAlerts {
					fired[want.AlertName] = true
					for name, value := range alert.ExpLabels {
						if got[i].Get(name) != value {
							t.Errorf("%s: label %s is %q, want %q", want.AlertName, name, got[i].Get(name), value)
						}
					}
				}
			}
		})
	}
	for _, rule := range alerts(t) {
		if !tested[rule.Alert] || !fired[rule.Alert] {
			t.Errorf("%s: tested %v, and seen firing %v", rule.Alert, tested[rule.Alert], fired[rule.Alert])
		}
	}
}

// firing evaluates one alert up to a time, and returns the labels of what fires.
func firing(t *testing.T, name string, query rules.QueryFunc, every, until time.Duration) (all []labels.Labels) {
	t.Helper()
	for _, rule := range alerts(t) {
		if rule.Alert != name {
			continue
		}
		expr, err := parser.ParseExpr(rule.Expr)
		if err != nil {
			t.Fatal(err)
		}
		alert := rules.NewAlertingRule(
			rule.Alert, expr, time.Duration(rule.For), time.Duration(rule.KeepFiringFor), labels.FromMap(rule.Labels),
			labels.FromMap(rule.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler),
		)
		for at := time.Duration(0); at <= until; at += every {
			if _, err := alert.Eval(context.Background(), 0, time.Unix(0, 0).Add(at), query, &url.URL{}, 0); err != nil {
				t.Fatalf("%s after %s: %v", name, at, err)
			}
		}
		for _, active := range alert.ActiveAlerts() {
			if active.State == rules.StateFiring {
				all = append(all, active.Labels)
			}
		}
		return all
	}
	t.Fatalf("there is no alert %s", name)
	return nil
}
