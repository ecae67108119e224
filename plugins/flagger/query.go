package flagger

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/hook"
)

// metric is the only series there is.
const metric = "golive_verdict"

// values are what a verdict is as a number: the better the higher, so that a threshold can say what is good enough. What
// is not known has none.
var values = map[guard.Opinion]string{guard.Healthy: "1", guard.Insufficient: "0.5", guard.Unseeing: "0.25", guard.Harmful: "0"}

// The answer of Prometheus to an instant query.
type (
	result struct {
		Status    string  `json:"status"`
		Data      *vector `json:"data,omitempty"`
		ErrorType string  `json:"errorType,omitempty"`
		Error     string  `json:"error,omitempty"`
	}
	vector struct {
		Type   string   `json:"resultType"`
		Result []sample `json:"result"`
	}
	sample struct {
		Metric map[string]string `json:"metric"`
		Value  [2]any            `json:"value"` // seconds since 1970, and the value as text
	}
)

// query answers the two queries that Flagger needs: golive_verdict{service="shop", ...}, and vector(1), by which it
// finds out whether there is a metrics server.
func (h *handler) query(w http.ResponseWriter, r *http.Request) {
	if !hook.Method(w, r, http.MethodGet) {
		return
	}
	at := time.Now()
	one := func(labels map[string]string, value string) {
		answer := result{Status: "success", Data: &vector{Type: "vector", Result: []sample{}}}
		if value != "" {
			answer.Data.Result = append(answer.Data.Result, sample{Metric: labels, Value: [2]any{float64(at.UnixMilli()) / 1000, value}})
		}
		hook.Answer(w, http.StatusOK, answer)
	}
	text := strings.TrimSpace(r.URL.Query().Get("query"))
	if text == "vector(1)" {
		one(map[string]string{}, "1")
		return
	}
	labels, err := parse(text)
	if err != nil {
		hook.Answer(w, http.StatusBadRequest, result{Status: "error", ErrorType: "bad_data", Error: err.Error()})
		return
	}
	m := message{at: at, Release: guard.Release{Service: labels["service"], Environment: labels["environment"]}}
	s, err := h.latest(r.Context(), m)
	if err != nil {
		hook.Fail(w, r, err)
		return
	}
	if version := labels["version"]; version != "" && version != s.state.Release.To {
		s = stand{}
	}
	is := s.state.Release
	one(map[string]string{"__name__": metric, "service": is.Service, "environment": is.Environment, "version": is.To}, values[s.opinion])
}

// parse reads golive_verdict{service="shop", environment="prod", version="v2"}, of which service has to be there.
func parse(text string) (map[string]string, error) {
	wrong := func(why string) error {
		return fmt.Errorf(`%s: golive answers only %s{service="NAME", environment="NAME", version="NAME"} and vector(1)`, why, metric)
	}
	rest, found := strings.CutPrefix(text, metric)
	rest = strings.TrimSpace(rest)
	if !found || !strings.HasPrefix(rest, "{") || !strings.HasSuffix(rest, "}") {
		return nil, wrong(hook.Quote(text) + " is no such query")
	}
	rest = strings.TrimSpace(rest[1 : len(rest)-1])
	labels := make(map[string]string)
	for rest != "" {
		name, value, found := strings.Cut(rest, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		quoted, err := strconv.QuotedPrefix(value)
		if !found || err != nil {
			return nil, wrong(hook.Quote(rest) + ` is no matcher like service="shop"`)
		}
		if name != "service" && name != "environment" && name != "version" {
			return nil, wrong(hook.Quote(name) + " is no label")
		}
		if _, twice := labels[name]; twice {
			return nil, wrong(hook.Quote(name) + " is there twice")
		}
		if labels[name], err = strconv.Unquote(quoted); err != nil {
			return nil, wrong(hook.Quote(quoted) + " is no text")
		}
		if err := hook.Name(name, labels[name], name != "service"); err != nil {
			return nil, err
		}
		before := strings.TrimSpace(value[len(quoted):])
		if rest = strings.TrimSpace(strings.TrimPrefix(before, ",")); rest != "" && rest == before {
			return nil, wrong(hook.Quote(rest) + " has no comma before it")
		}
	}
	if labels["service"] == "" {
		return nil, wrong("service is missing")
	}
	return labels, nil
}
