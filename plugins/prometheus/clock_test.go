package prometheus

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

func TestRealPrometheusTellsTheTime(t *testing.T) {
	clock := newSource(t, guard.With{"address": startPrometheus(t)}).(guard.Clock)
	eventually(t, "Prometheus answers", func() bool {
		skew, err := clock.Skew(t.Context(), release)
		if err != nil {
			return false
		}
		if skew.Ahead.Abs() > skew.Within || skew.Within < time.Second/2 || skew.Within > 2*time.Second {
			t.Errorf("the clock of this machine is off from itself: %+v", skew)
		}
		return true
	})
}

func TestSkew(t *testing.T) {
	var asked *http.Request
	liar := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		w.Header().Set("Date", time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat))
	}))
	source := newSource(t, guard.With{"address": "http://" + liar + "/prom", "authorization": map[string]any{"credentials": "hunter2"}})
	skew, err := source.(guard.Clock).Skew(t.Context(), release)
	if err != nil || (skew.Ahead+time.Minute).Abs() > skew.Within {
		t.Errorf("Skew = %+v, error %v, want a minute behind", skew, err)
	}
	if got := asked.Method + " " + asked.URL.Path + " " + asked.Header.Get("Authorization"); got != "GET /prom/api/v1/status/buildinfo Bearer hunter2" {
		t.Errorf("it was asked %s", got)
	}
}

func TestSkewWithoutAnswer(t *testing.T) {
	hang := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	for name, c := range map[string]struct{ host, want string }{
		"silent":  {hang, "ask " + hang + " for its time: no answer within 200ms"},
		"refused": {"127.0.0.1:1", "ask 127.0.0.1:1 for its time: "},
	} {
		t.Run(name, func(t *testing.T) {
			source := newSource(t, guard.With{"address": "http://u:hunter2@" + c.host, "timeout": "200ms"})
			skew, err := source.(guard.Clock).Skew(t.Context(), release)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") || skew != (guard.Skew{}) {
				t.Errorf("Skew = %+v, error %v, want %s", skew, err, c.want)
			}
		})
	}
}
