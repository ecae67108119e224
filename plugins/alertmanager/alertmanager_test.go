package alertmanager

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/internal/backuptest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:   "alertmanager",
	Probes: map[string]func(guard.With) (guard.Probe, error){"alerts": NewProbe},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

var release = guard.Release{ID: "r7", Service: "shop", Environment: "test", From: "v1", To: "v2"}

// config lets the alert Maintenance inhibit what is only for information.
const config = `
route: {receiver: nobody}
receivers: [{name: nobody}]
inhibit_rules: [{source_matchers: ['alertname="Maintenance"'], target_matchers: ['severity="info"']}]
`

// A server is a real Alertmanager.
type server struct{ address string }

func start(t *testing.T) server {
	t.Helper()
	return startWith(t, config)
}

func startWith(t *testing.T, config string) server {
	t.Helper()
	program := backuptest.Program(t, "prometheus-alertmanager", "prometheus-alertmanager")
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	backuptest.Write(t, file, []byte(config))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+file, "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+host, "--cluster.listen-address=", "--log.level=error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	s := server{"http://" + host}
	backuptest.Eventually(t, "Alertmanager is ready", func() bool {
		response, err := http.Get(s.address + "/-/ready")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return s
}

func (s server) post(t *testing.T, call string, body any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(s.address+"/api/v2/"+call, "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if answer, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: %s: %s", call, response.Status, answer)
	}
}

// fire sends an alert that began so long ago, and still fires.
func (s server) fire(t *testing.T, ago time.Duration, labels ...string) {
	t.Helper()
	s.send(t, time.Now().Add(-ago), time.Now().Add(time.Hour), labels...)
}

func (s server) send(t *testing.T, starts, ends time.Time, labels ...string) {
	t.Helper()
	set := map[string]string{}
	for _, label := range labels {
		name, value, _ := strings.Cut(label, "=")
		set[name] = value
	}
	s.post(t, "alerts", []any{map[string]any{"labels": set, "startsAt": starts, "endsAt": ends}})
}

func (s server) silence(t *testing.T, label, value string) {
	t.Helper()
	s.post(t, "silences", map[string]any{
		"matchers": []any{map[string]any{"name": label, "value": value, "isRegex": false}}, "comment": "known", "createdBy": "ada",
		"startsAt": time.Now(), "endsAt": time.Now().Add(time.Hour),
	})
}

func (s server) probe(t *testing.T, with guard.With) (guard.Finding, error) {
	t.Helper()
	all := guard.With{"address": s.address, "settle": "0s"}
	for key, value := range with {
		all[key] = value
	}
	p, err := NewProbe(all)
	if err != nil {
		t.Fatal(err)
	}
	return p.Probe(t.Context(), release)
}

func (s server) wants(t *testing.T, with guard.With, want guard.Verdict, observed string) {
	t.Helper()
	got, err := s.probe(t, with)
	if err != nil {
		t.Fatal(err)
	}
	if got.Verdict != want || got.Observed != observed {
		t.Errorf("%s, observed %q, want %s, %q", got.Verdict, got.Observed, want, observed)
	}
}

func matching(matchers ...any) guard.With { return guard.With{"matchers": matchers} }

func TestRealAlertmanager(t *testing.T) {
	s := start(t)
	s.wants(t, nil, guard.Pass, "none")

	if got, err := s.probe(t, guard.With{"settle": "2m"}); err == nil || !strings.Contains(err.Error(), "no alert is firing, but it runs only for ") {
		t.Errorf("just after its start: %s, error %v", got.Verdict, err)
	}
	if got, err := s.probe(t, guard.With{"heartbeat": "Watchdog"}); err == nil || !strings.Contains(err.Error(), "not even Watchdog, which always fires") {
		t.Errorf("without a heartbeat: %s, error %v", got.Verdict, err)
	}
	s.fire(t, time.Hour, "alertname=Watchdog")
	s.wants(t, guard.With{"heartbeat": "Watchdog"}, guard.Pass, "none")

	began := time.Now().Add(-time.Hour)
	since := " since " + began.UTC().Format("2006-01-02 15:04 UTC")
	s.send(t, began, time.Now().Add(time.Hour), "alertname=HighErrors", "service=shop", "severity=page")
	s.fire(t, time.Minute, "alertname=HighErrors", "service=shop", "severity=page", "instance=b")
	s.send(t, began, time.Now().Add(time.Hour), "alertname=DiskFull", "service=mail", "severity=warning")
	s.send(t, began, time.Now().Add(-time.Minute), "alertname=Over", "service=shop")

	errorsOfShop := "HighErrors (2 of them)" + since
	s.wants(t, matching(`service="shop"`), guard.Fail, errorsOfShop)
	s.wants(t, matching(`service="shop"`, `severity=~"page|critical"`), guard.Fail, errorsOfShop)
	s.wants(t, matching(`service="shop"`, `severity="info"`), guard.Pass, "none")
	s.wants(t, matching(`service="mail"`), guard.Fail, "DiskFull"+since)
	s.wants(t, matching(`alertname="Over"`), guard.Pass, "none")
	got, err := s.probe(t, guard.With{"settle": "2m"})
	if err != nil || got.Verdict != guard.Fail {
		t.Errorf("alerts of a server that just started: %s, error %v", got.Verdict, err)
	}
	if want := "firing: " + got.Observed; got.Reason != want || got.Remedy == "" || got.Title != "no alert is firing" {
		t.Errorf("incomplete: %+v", got)
	}

	if _, err := s.probe(t, matching("=shop")); err == nil || !strings.Contains(err.Error(), "it answers status 400: ") {
		t.Errorf("a matcher that the server does not know: error %v", err)
	}

	t.Run("silenced", func(t *testing.T) {
		s.silence(t, "service", "shop")
		backuptest.Eventually(t, "the silence counts", func() bool {
			got, err := s.probe(t, matching(`service="shop"`))
			return err == nil && got.Verdict == guard.Pass
		})
		s.silence(t, "alertname", "Watchdog")
		s.wants(t, guard.With{"heartbeat": "Watchdog", "matchers": []any{`service="shop"`}}, guard.Pass, "none")
	})
	t.Run("inhibited", func(t *testing.T) {
		s.fire(t, time.Minute, "alertname=Slow", "service=search", "severity=info")
		if got, err := s.probe(t, matching(`service="search"`)); err != nil || got.Verdict != guard.Fail {
			t.Errorf("before: %s, error %v", got.Verdict, err)
		}
		s.fire(t, time.Minute, "alertname=Maintenance")
		backuptest.Eventually(t, "the inhibition counts", func() bool {
			got, err := s.probe(t, matching(`service="search"`))
			return err == nil && got.Verdict == guard.Pass
		})
	})
	t.Run("contract", func(t *testing.T) {
		with := guard.With{"address": s.address, "matchers": []any{`service="mail"`}}
		plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
			plugintest.Probe(t, plugintest.Make(t, kit.Probes["alerts"], with), release, guard.Fail)
		})
	})
}

// TestAnswers has a server answer in ways in which a real one should not.
func TestAnswers(t *testing.T) {
	const one = `{"labels":{"alertname":"A"},"startsAt":"2026-11-24T02:00:00Z"}`
	many := make([]string, 7)
	for i := range many {
		many[i] = fmt.Sprintf(`{"labels":{"alertname":"A%d"},"startsAt":"2026-11-24T02:0%d:00Z"}`, i, 9-i)
	}
	long := time.Now().Add(-time.Hour).Format(time.RFC3339)
	for name, c := range map[string]struct {
		status       int
		alerts, up   string
		want         string // of an error
		observed     string // of a finding
		wantsVerdict guard.Verdict
	}{
		"one":            {200, "[" + one + "]", "", "", "A since 2026-11-24 02:00 UTC", guard.Fail},
		"many":           {200, "[" + strings.Join(many, ",") + "]", "", "", "A6 since 2026-11-24 02:03 UTC, A5 since 2026-11-24 02:04 UTC, A4 since 2026-11-24 02:05 UTC, A3 since 2026-11-24 02:06 UTC, A2 since 2026-11-24 02:07 UTC, and 2 more", guard.Fail},
		"without a name": {200, `[{"labels":{"job":"a"},"startsAt":"2026-11-24T02:00:00Z"}]`, "", "", "an alert without a name since 2026-11-24 02:00 UTC", guard.Fail},
		"rude":           {200, `[{"labels":{"alertname":"\u001b[31mA\n"},"startsAt":"2026-11-24T02:00:00Z"}]`, "", "", "?[31mA since 2026-11-24 02:00 UTC", guard.Fail},
		"none":           {200, "[]", long, "", "none", guard.Pass},
		"none, and new":  {200, "[]", time.Now().Add(-100 * time.Second).Format(time.RFC3339), "may not have heard of all (settle: 2m)", "", 0},
		"from tomorrow":  {200, "[]", time.Now().Add(24 * time.Hour).Format(time.RFC3339), "it runs only for 0s", "", 0},
		"no status":      {200, "[]", "", "it does not say since when it runs (settle: 0s does without)", "", 0},
		"no time":        {200, "[]", "yesterday", "is not the API v2 of Alertmanager", "", 0},
		"nothing":        {200, "", long, `it answers "", which is not the API v2 of Alertmanager`, "", 0},
		"null":           {200, " null\n", long, "is not the API v2 of Alertmanager", "", 0},
		"an object":      {200, `{"status":"success","data":[]}`, long, "is not the API v2 of Alertmanager", "", 0},
		"half":           {200, "[" + one, long, "is not the API v2 of Alertmanager", "", 0},
		"a page":         {200, "<html>log in</html>", long, "is not the API v2 of Alertmanager", "", 0},
		"a hole":         {200, "[{}]", long, "an alert that has no labels, or no beginning", "", 0},
		"null within":    {200, "[null]", long, "an alert that has no labels, or no beginning", "", 0},
		"no beginning":   {200, `[{"labels":{"alertname":"A"}}]`, long, "no beginning", "", 0},
		"forbidden":      {403, "go\naway", long, "it answers status 403: go away", "", 0},
		"moved":          {302, "", long, "it answers status 302", "", 0},
		"no content":     {204, "", long, "it answers status 204", "", 0},
		"unavailable":    {503, "[]", long, "it answers status 503: []", "", 0},
		"endless":        {200, "[" + strings.Repeat(" ", bodyBytes) + "]", long, "it answers more than 16777216 bytes", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/status") {
					fmt.Fprintf(w, `{"cluster":{"status":"ready"}%s}`, strings.Repeat(`,"uptime":"`+c.up+`"`, min(1, len(c.up))))
					return
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.alerts)
			}))
			defer s.Close()
			got, err := server{s.URL}.probe(t, guard.With{"settle": "2m", "timeout": "1m"})
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) || c.want == "" && err != nil {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if got.Verdict != c.wantsVerdict || got.Observed != c.observed {
				t.Errorf("%s, observed %q\nwant %s, %q", got.Verdict, got.Observed, c.wantsVerdict, c.observed)
			}
		})
	}
}

func TestWithoutAnswer(t *testing.T) {
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hang.Close()
	for name, c := range map[string]struct{ address, want string }{
		"silent":  {hang.URL, "no answer within 200ms"},
		"refused": {"http://127.0.0.1:1", "connection refused"},
	} {
		address := strings.Replace(c.address, "://", "://u:hunter2@", 1)
		got, err := server{address}.probe(t, guard.With{"timeout": "200ms"})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") || got.Verdict != guard.Unknown {
			t.Errorf("%s: %s, error %v, want %s", name, got.Verdict, err, c.want)
		}
	}
}

// TestCredentials sends what the plan holds, and asks where the plan says.
func TestCredentials(t *testing.T) {
	var asked *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		io.WriteString(w, "[]")
	}))
	defer s.Close()
	_, err := server{s.URL + "/alertmanager"}.probe(t, guard.With{
		"matchers": []any{`service="a&b"`, `severity!~"info"`}, "authorization": map[string]any{"credentials": "hunter2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `/alertmanager/api/v2/alerts true true false false [service="a&b" severity!~"info"] Bearer hunter2`
	q := asked.URL.Query()
	got := fmt.Sprint(asked.URL.Path, " ", q.Get("active"), " ", q.Get("unprocessed"), " ", q.Get("silenced"), " ", q.Get("inhibited"), " ", q["filter"], " ", asked.Header.Get("Authorization"))
	if got != want {
		t.Errorf("asked %s\nwant  %s", got, want)
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing":   {nil, "address: missing (like http://127.0.0.1:9093)"},
		"no scheme": {guard.With{"address": "localhost:9093"}, "address: must begin with http:// or https:// and a host"},
		"password":  {guard.With{"address": "http://u:hunter2/"}, "address: cannot be read"},
		"matcher":   {guard.With{"address": "http://a", "matchers": []any{`a="b"`, "shop"}}, `matchers[1]: "shop" is no matcher (like service="shop")`},
		"one":       {guard.With{"address": "http://a", "matchers": "a=b"}, `matchers: "a=b" is not a list`},
		"slip":      {guard.With{"address": "http://a", "matcher": 1}, "matcher: there is no such key (did you mean matchers?)"},
		"never":     {guard.With{"address": "http://a", "timeout": "0s"}, "timeout: must be longer than nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewProbe(c.with); err == nil || err.Error() != c.err {
				t.Errorf("error %v\nwant  %s", err, c.err)
			}
		})
	}
}
