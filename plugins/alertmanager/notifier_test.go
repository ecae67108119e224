package alertmanager

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/backuptest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// incidents are the alerts of golive that fire.
func (s server) incidents(t *testing.T, name string) (all []posted) {
	t.Helper()
	response, err := http.Get(s.address + "/api/v2/alerts?" + url.Values{"filter": {`alertname="` + name + `"`}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// fires waits until exactly so many alerts fire: Alertmanager takes them up in its own time.
func (s server) fires(t *testing.T, name string, n int) (all []posted) {
	t.Helper()
	backuptest.Eventually(t, "alerts fire as they should", func() bool {
		all = s.incidents(t, name)
		return len(all) == n
	})
	return all
}

// TestIncident tells a real Alertmanager of an incident from its beginning to its end.
func TestIncident(t *testing.T) {
	s := start(t)
	n := plugintest.Make(t, NewNotifier, guard.With{"address": s.address})
	began := time.Now().Add(-10 * time.Minute).UTC().Truncate(time.Millisecond)
	notice := func(minutes int, news guard.News, level int) guard.Notice {
		return guard.Notice{
			Key: "r7/" + string(news), Release: release, Title: "incident " + string(news), Text: "errors are worse\n", News: news, Level: level,
			At: began.Add(time.Duration(minutes) * time.Minute), Audience: "team", Urgent: news == guard.NewsOpened, Ends: news == guard.NewsStoodDown,
		}
	}
	tell := func(notice guard.Notice) string {
		t.Helper()
		receipt, err := n.Notify(t.Context(), notice)
		if err != nil {
			t.Fatal(err)
		}
		return receipt.Detail
	}
	tell(notice(0, guard.NewsOpened, 2))
	got := s.fires(t, incidentAlert, 1)[0]
	want := map[string]string{"alertname": "GoliveIncident", "service": "shop", "environment": "test", "rollout": "r7", "level": "2", "severity": "warning"}
	if diff := cmp.Diff(want, got.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"summary": "URGENT: incident opened", "description": "errors are worse", "key": "r7/opened"}, got.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if !got.Starts.Equal(began) || got.Ends.Before(time.Now().Add(119*time.Minute)) {
		t.Errorf("it fires from %v until %v", got.Starts, got.Ends)
	}

	tell(notice(1, guard.NewsUpdate, 2))
	got = s.fires(t, incidentAlert, 1)[0]
	if !got.Starts.Equal(began) || got.Annotations["summary"] != "incident update" {
		t.Errorf("after an update it fires since %v: %v", got.Starts, got.Annotations)
	}

	tell(notice(2, guard.NewsLevel, 1))
	backuptest.Eventually(t, "the alert of the new level takes the place of the old one", func() bool {
		all := s.incidents(t, incidentAlert)
		return len(all) == 1 && all[0].Labels["severity"] == "critical"
	})

	tell(notice(3, guard.NewsStoodDown, 1))
	s.fires(t, incidentAlert, 0)
	if detail := tell(notice(2, guard.NewsUpdate, 1)); !strings.Contains(detail, "not told again") {
		t.Errorf("what comes too late: %s", detail)
	}
	s.fires(t, incidentAlert, 0)
	tell(notice(9, guard.NewsOpened, 1)) // it begins anew
	s.fires(t, incidentAlert, 1)
	passing := guard.Notice{Key: "r7/progress", Release: release, Title: "restoring", At: time.Now(), Passing: true}
	if detail := tell(passing); !strings.Contains(detail, "no alert for how far") {
		t.Errorf("how far it is: %s", detail)
	}
	s.fires(t, incidentAlert, 1) // and has not ended it
}

// TestNoIncident: without one, what is urgent fires, and what is not ends that; a test has an alert of its own.
func TestNoIncident(t *testing.T) {
	s := start(t)
	n := plugintest.Make(t, NewNotifier, guard.With{"address": s.address})
	for _, step := range []struct {
		notice guard.Notice
		fires  int
	}{
		{guard.Notice{Title: "v2 has 5 %"}, 0},
		{guard.Notice{Title: "going back", Urgent: true}, 1},
		{guard.Notice{Title: "rolled back"}, 0},
		{guard.Notice{Title: "test", News: guard.NewsTest, Audience: "team"}, 0},
	} {
		step.notice.Release, step.notice.At = release, time.Now()
		if _, err := n.Notify(t.Context(), step.notice); err != nil {
			t.Fatal(err)
		}
		s.fires(t, incidentAlert, step.fires)
	}
	s.fires(t, testAlert, 1)
}

// TestNotifier holds it to the contract.
func TestNotifier(t *testing.T) {
	s := start(t)
	plugintest.Notifier(t, plugintest.Make(t, NewNotifier, guard.With{"address": s.address}), nil)
}

func TestNotifierMistakes(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte("[]"))
			return
		}
		http.Error(w, "no room", http.StatusInsufficientStorage)
	}))
	defer refusing.Close()
	urgent := guard.Notice{Release: release, Title: "going back", Urgent: true, At: time.Now()}
	n := plugintest.Make(t, NewNotifier, guard.With{"address": refusing.URL})
	if _, err := n.Notify(t.Context(), urgent); err == nil || !strings.Contains(err.Error(), "status 507: no room") {
		t.Errorf("a server that refuses: %v", err)
	}
	refusing.Close()
	if _, err := n.Notify(t.Context(), urgent); err == nil {
		t.Error("a server that is down took it")
	}
	for name, c := range map[string]struct {
		with guard.With
		want string
	}{
		"no address":  {guard.With{}, "address: missing"},
		"too short":   {guard.With{"address": "http://a.test", "keep": "5s"}, "keep: must be at least 1m"},
		"unknown key": {guard.With{"address": "http://a.test", "kep": "5s"}, "kep"},
	} {
		if _, err := NewNotifier(c.with); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
