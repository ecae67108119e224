package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/plugins/hook"
	"github.com/golive-dev/golive/plugins/internal/backuptest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

func planOf(service string) string {
	return `
service: ` + service + `
environment: prod
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [10, 50, 100]
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
`
}

// desk has rollouts of checkout and cart.
func desk(t testing.TB) *plugintest.Desk {
	t.Helper()
	d := plugintest.NewDesk(t, planOf("checkout"), planOf("cart"))
	for _, service := range []string{"checkout", "cart"} {
		open(t, d, service, "v2")
	}
	return d
}

func open(t testing.TB, d *plugintest.Desk, service, to string) string {
	t.Helper()
	id, err := d.Open(t.Context(), guard.Delivery{ID: service + to, Source: "test", At: time.Now()}, guard.Release{Service: service, From: "v1", To: to}, guard.ToWatch)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func post(t testing.TB, d guard.Desk, target, body string) (*httptest.ResponseRecorder, []error) {
	t.Helper()
	var reported []error
	r := httptest.NewRequest("POST", target, strings.NewReader(body))
	r = r.WithContext(hook.WithReport(r.Context(), func(err error) { reported = append(reported, err) }))
	w := httptest.NewRecorder()
	NewHook(d).ServeHTTP(w, r)
	return w, reported
}

// webhook writes a message of Alertmanager around alerts.
func webhook(truncated int, alerts ...string) string {
	return fmt.Sprintf(`{"version":"4","groupKey":"{}:{alertname=\"X\"}","truncatedAlerts":%d,"status":"firing","receiver":"golive","groupLabels":{},
		"commonLabels":{},"commonAnnotations":{},"externalURL":"http://am","notification_reason":"first","alerts":[%s]}`, truncated, strings.Join(alerts, ","))
}

// firing writes an alert.
func firing(fingerprint, labels string) string {
	return fmt.Sprintf(`{"status":"firing","labels":{"alertname":"X","severity":"critical",%s},"annotations":{"summary":"too many\nerrors"},
		"startsAt":"2026-11-30T01:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"%s"}`, labels, fingerprint)
}

func resolved(alert string) string { return strings.Replace(alert, `"firing"`, `"resolved"`, 1) }

func vote(key string, ended bool) guard.Alert {
	return guard.Alert{
		Key: key + "/2026-11-30T01:00:00Z", Name: "X", Since: time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC), Ended: ended, Summary: "too many errors",
	}
}

func TestReceiver(t *testing.T) {
	const checkout, cart = `"service":"checkout"`, `"service":"cart","environment":"prod"`
	voted := func(unseen int, alerts ...guard.Alert) []guard.Fact {
		return []guard.Fact{guard.Voted{Alerts: alerts, Unseen: unseen, Group: `{}:{alertname="X"}`, By: "alertmanager"}}
	}
	for name, c := range map[string]struct {
		target, body   string
		checkout, cart []guard.Fact
		says           string
	}{
		"one":              {"/", webhook(0, firing("a1", checkout)), voted(0, vote("a1", false)), nil, `{"told":[{"rollout":"checkout-1","alerts":1}],"ignored":[]}`},
		"resolved":         {"/", webhook(0, resolved(firing("a1", checkout))), voted(0, vote("a1", true)), nil, ""},
		"of two services":  {"/", webhook(3, firing("a1", checkout), firing("b1", cart), firing("a2", checkout)), voted(3, vote("a1", false), vote("a2", false)), voted(3, vote("b1", false)), ""},
		"of a version":     {"/", webhook(0, firing("a1", checkout+`,"version":"v2"`), firing("a2", checkout)), voted(0, vote("a1", false), vote("a2", false)), nil, ""},
		"another version":  {"/", webhook(0, firing("a1", checkout+`,"version":"v9"`)), nil, nil, `{"told":[],"ignored":[{"alerts":1,"reason":"the label \"version\" is \"v9\", and the latest rollout of \"checkout\" is of \"v2\""}]}`},
		"elsewhere":        {"/", webhook(0, firing("a1", checkout+`,"environment":"test"`)), nil, nil, `the label \"environment\" is \"test\", and the latest rollout of \"checkout\" is in \"prod\"`},
		"both":             {"/", webhook(0, firing("a1", checkout+`,"environment":"test","version":"v9"`)), nil, nil, `the label \"environment\" is \"test\"`},
		"of another":       {"/", webhook(0, firing("a1", `"service":"mail"`)), nil, nil, `there is no rollout of \"mail\"`},
		"of none":          {"/", webhook(0, firing("a1", `"job":"checkout"`)), nil, nil, `no label \"service\" says which service it is about`},
		"other labels":     {"/?service=app&environment=env&version=release", webhook(0, firing("a1", `"app":"checkout","env":"prod","release":"v2"`)), voted(0, vote("a1", false)), nil, ""},
		"not other labels": {"/?service=app", webhook(0, firing("a1", checkout)), nil, nil, `no label \"app\" says`},
	} {
		t.Run(name, func(t *testing.T) {
			d := desk(t)
			w, reported := post(t, d, c.target, c.body)
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), c.says) {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if vanished := c.checkout == nil && c.cart == nil; vanished != (len(reported) > 0) {
				t.Errorf("reported %v", reported)
			}
			if diff := cmp.Diff(c.checkout, d.Told("checkout-1")); diff != "" {
				t.Errorf("checkout (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(c.cart, d.Told("cart-2")); diff != "" {
				t.Errorf("cart (-want +got)\n%s", diff)
			}
		})
	}
}

func TestOver(t *testing.T) {
	d := desk(t)
	d.Happen(t, "checkout-1", guard.Elapsed{})
	body := webhook(0, firing("a1", `"service":"checkout"`))
	if w, _ := post(t, d, "/", body); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "the rollout checkout-1 is over") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	// Alertmanager says the same again after its repeat_interval, and then it is news for the next rollout.
	id := open(t, d, "checkout", "v3")
	if w, _ := post(t, d, "/", body); w.Code != http.StatusOK || len(d.Told(id)) != 1 {
		t.Errorf("%d %s, told %v", w.Code, w.Body, d.Told(id))
	}
}

// TestComesBack: what fires, ends and fires again in the very same words fires, and saying it twice changes nothing.
func TestComesBack(t *testing.T) {
	d := desk(t)
	began := strings.Replace(firing("a1", `"service":"checkout"`), "2026-11-30T01:00:00Z", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), 1)
	fires := func() int {
		_, s, err := d.Get(t.Context(), "checkout-1")
		if err != nil {
			t.Fatal(err)
		}
		return len(s.Alerts)
	}
	for i, c := range []struct {
		body string
		want int
	}{
		{webhook(0, began), 1}, {webhook(0, began), 1}, {webhook(0, resolved(began)), 0}, {webhook(0, resolved(began)), 0}, {webhook(0, began), 1},
	} {
		if w, _ := post(t, d, "/", c.body); w.Code != http.StatusOK || fires() != c.want {
			t.Errorf("message %d: %d %s, %d alerts fire, want %d", i+1, w.Code, w.Body, fires(), c.want)
		}
	}
}

// TestGroups: a group answers for the alerts of its own that it did not name, however long its name is.
func TestGroups(t *testing.T) {
	d := desk(t)
	long := strings.Repeat("x", 2000)
	began := strings.Replace(firing("a1", `"service":"checkout"`), "2026-11-30T01:00:00Z", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), 1)
	for i, c := range []struct {
		group     string
		truncated int
		want      int
	}{
		{"one", 2, 2}, {long + "1", 3, 5}, {long + "2", 4, 9}, {"one", 0, 7}, {long + "1", 0, 4}, {`two\nlines`, 1, 5},
	} {
		body := strings.Replace(webhook(c.truncated, began), `{}:{alertname=\"X\"}`, c.group, 1)
		w, _ := post(t, d, "/", body)
		_, s, err := d.Get(t.Context(), "checkout-1")
		if err != nil {
			t.Fatal(err)
		}
		unnamed := 0
		for _, u := range s.Unnamed {
			unnamed += u.N
			if len(u.Group) > 500 || strings.Contains(u.Group, "\n") {
				t.Errorf("the group %q is kept", u.Group)
			}
		}
		if w.Code != http.StatusOK || unnamed != c.want {
			t.Errorf("message %d: %d %s, %d alerts fire unnamed, want %d", i+1, w.Code, w.Body, unnamed, c.want)
		}
	}
}

// TestReportedOnce: the operator hears once an hour that an alert is about no rollout.
func TestReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := plugintest.NewDesk(t, planOf("checkout"))
		h := NewHook(d)
		var reported []string
		send := func(body string, want int) {
			t.Helper()
			r := httptest.NewRequest("POST", "/", strings.NewReader(body))
			r = r.WithContext(hook.WithReport(r.Context(), func(err error) { reported = append(reported, err.Error()) }))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK || len(reported) != want {
				t.Errorf("%d %s, reported %q, want %d", w.Code, w.Body, reported, want)
			}
		}
		one, other := firing("a1", `"service":"checkout"`), firing("a2", `"service":"checkout"`)
		send(webhook(0, one), 1)
		send(webhook(0, resolved(one)), 1)
		send(webhook(0, one, other), 2)
		send(webhook(0, one, other), 2)
		time.Sleep(time.Hour)
		send(webhook(0, one, other), 3)
		if !strings.Contains(reported[2], "2 alerts") || !strings.Contains(reported[2], `there is no rollout of "checkout"`) {
			t.Errorf("%q", reported)
		}
	})
}

// An alert that ends and begins again is another one.
func TestKey(t *testing.T) {
	d := desk(t)
	first := firing("a1", `"service":"checkout"`)
	again := strings.Replace(first, "T01:00:00Z", "T01:30:00Z", 1)
	for _, body := range []string{webhook(0, first), webhook(0, resolved(first)), webhook(0, again)} {
		post(t, d, "/", body)
	}
	keys := map[string]bool{}
	for _, f := range d.Told("checkout-1") {
		keys[f.(guard.Voted).Alerts[0].Key] = true
	}
	if len(keys) != 2 || len(d.Told("checkout-1")) != 3 {
		t.Errorf("told %v", d.Told("checkout-1"))
	}
}

// TestTemporary answers nothing but 503, for Alertmanager drops a message after a status 4xx.
func TestTemporary(t *testing.T) {
	for _, away := range []error{errors.New("the disk is full"), fmt.Errorf("nonsense: %w", guard.ErrNoPlan), hook.Refuse(429, "slow down")} {
		d := desk(t)
		d.Away(away)
		w, reported := post(t, d, "/", webhook(0, firing("a1", `"service":"checkout"`)))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || len(reported) != 1 || !strings.Contains(reported[0].Error(), away.Error()) {
			t.Errorf("%v: %d %s, reported %v", away, w.Code, w.Body, reported)
		}
	}
}

// forgetful finds rollouts, and can tell them nothing.
type forgetful struct {
	*plugintest.Desk
	says error
}

func (f forgetful) Tell(context.Context, guard.Delivery, string, guard.Fact) error { return f.says }

func TestTemporaryAtTheVote(t *testing.T) {
	for _, c := range []struct {
		says   error
		status int
	}{
		{errors.New("the disk is full"), 503}, {guard.ErrNoPlan, 503}, {hook.Refuse(400, "no"), 503}, {guard.ErrOver, 200}, {guard.ErrNoRollout, 200},
	} {
		w, _ := post(t, forgetful{desk(t), c.says}, "/", webhook(0, firing("a1", `"service":"checkout"`)))
		if w.Code != c.status {
			t.Errorf("%v: %d %s", c.says, w.Code, w.Body)
		}
	}
}

func TestReceiverRefuses(t *testing.T) {
	good := firing("a1", `"service":"checkout"`)
	for name, c := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"nothing":        {"", 400, "the message is no JSON"},
		"null":           {"null", 400, `version is \"\"`},
		"old":            {strings.Replace(webhook(0, good), `"4"`, `"3"`, 1), 400, `version is \"3\", and has to be \"4\"`},
		"no alerts":      {webhook(0), 400, "alerts are missing"},
		"negative":       {webhook(-1, good), 400, "truncatedAlerts is negative"},
		"status":         {webhook(0, strings.Replace(good, "firing", "pending", 1)), 400, `alerts[0].status is \"pending\"`},
		"no beginning":   {webhook(0, good, strings.Replace(good, "startsAt", "startedAt", 1)), 400, "alerts[1].startsAt is missing"},
		"no fingerprint": {webhook(0, strings.Replace(good, `"a1"`, `""`, 1)), 400, "alerts[0].fingerprint is missing"},
		"labels":         {webhook(0, strings.Replace(good, `"X"`, `7`, 1)), 400, "is of the JSON type number"},
		"a time":         {webhook(0, strings.Replace(good, "2026-11-30T01:00:00Z", "yesterday", 1)), 400, "the message cannot be read"},
		"many":           {webhook(0, strings.Repeat(good+",", alertsMost)+good), 400, "more than 1000 alerts"},
		"long":           {webhook(0, good) + strings.Repeat(" ", hook.BodyBytes), 413, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			d := desk(t)
			asked := d.Asked()
			if w, _ := post(t, d, "/", c.body); w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || len(w.Body.String()) > 300 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if d.Asked() != asked {
				t.Error("the desk was asked")
			}
		})
	}
	w := httptest.NewRecorder()
	NewHook(desk(t)).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

// A receiver counts how the hook answers. While it is down, something else answers.
type receiver struct {
	mu       sync.Mutex
	next     http.Handler
	statuses map[int]int
}

func (s *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	next := s.next
	s.mu.Unlock()
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	s.mu.Lock()
	s.statuses[answer.Code]++
	s.mu.Unlock()
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (s *receiver) answered(status int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statuses[status]
}

// TestRealSender lets a real Alertmanager send, to a desk that is away, to a server that ends and begins again, and in
// the end to a hook that hears it.
func TestRealSender(t *testing.T) {
	d := desk(t)
	d.Watch(t, "checkout-1", 10, judge.Continue)
	d.Away(errors.New("the disk is full"))
	hears := &receiver{next: NewHook(d), statuses: map[int]int{}}
	listener := httptest.NewServer(hears)
	address := listener.Listener.Addr().String()
	s := startWith(t, `
route: {receiver: golive, group_by: [service], group_wait: 10ms, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: golive, webhook_configs: [{url: "http://`+address+`/", send_resolved: true, max_alerts: 2}]}]
`)
	began := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	all := func(ends time.Time) {
		var alerts []any
		for _, name := range []string{"A", "B", "C"} {
			alerts = append(alerts, map[string]any{"labels": map[string]any{"alertname": name, "service": "checkout"}, "startsAt": began, "endsAt": ends})
		}
		s.post(t, "alerts", alerts)
	}
	all(time.Now().Add(time.Hour))
	backuptest.Eventually(t, "a message to a desk that is away", func() bool { return hears.answered(http.StatusServiceUnavailable) > 0 })

	// The server restarts on the same address.
	listener.Close()
	d.Away(nil)
	var again *httptest.Server
	backuptest.Eventually(t, "the address is free", func() bool {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return false
		}
		again = httptest.NewUnstartedServer(hears)
		again.Listener.Close()
		again.Listener = l
		again.Start()
		return true
	})
	defer again.Close()

	alerts := map[string]bool{} // name, ended
	unseen := 0
	facts := func() int {
		told := d.Told("checkout-1")
		clear(alerts)
		for _, f := range told {
			v, is := f.(guard.Voted)
			if !is {
				t.Fatalf("told %T", f)
			}
			unseen = max(unseen, v.Unseen)
			for _, a := range v.Alerts {
				if !a.Since.Equal(began) || !strings.HasSuffix(a.Key, began.UTC().Format(time.RFC3339Nano)) {
					t.Errorf("alert %+v, began %v", a, began)
				}
				alerts[a.Name] = a.Ended
			}
		}
		return len(told)
	}
	backuptest.Eventually(t, "the message that was tried again", func() bool { return facts() > 0 && len(alerts) == 2 })
	if hears.answered(http.StatusServiceUnavailable) == 0 || hears.answered(http.StatusOK) == 0 || len(alerts) != 2 || unseen != 1 {
		t.Errorf("answered %v, told of %v and %d unseen", hears.statuses, alerts, unseen)
	}
	all(time.Now().Add(-time.Second))
	backuptest.Eventually(t, "the end of the alerts", func() bool {
		facts()
		for _, ended := range alerts {
			if ended {
				return true
			}
		}
		return false
	})
	if told := d.Told("cart-2"); len(told) != 0 {
		t.Errorf("cart was told %v", told)
	}
}

func FuzzHook(f *testing.F) {
	good := firing("a1", `"service":"checkout","version":"v2"`)
	f.Add("POST", "", []byte(webhook(0, good)))
	f.Add("POST", "service=app", []byte(webhook(3, good, resolved(firing("a2", `"app":"cart"`)))))
	f.Add("GET", "", []byte("{}"))
	f.Fuzz(func(t *testing.T, method, query string, body []byte) {
		d := desk(t)
		r := httptest.NewRequest("POST", "/", nil)
		r.Method, r.URL.RawQuery, r.Body = method, query, io.NopCloser(bytes.NewReader(body))
		w := httptest.NewRecorder()
		NewHook(d).ServeHTTP(w, r)
		var answer reception
		if w.Code == http.StatusOK {
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			if len(answer.Told)+len(answer.Ignored) == 0 {
				t.Errorf("nothing was done with %q", body)
			}
			if len(body) > hook.BodyBytes {
				t.Errorf("heard %d bytes", len(body))
			}
		}
		if durable := len(d.Deliveries()) - 2; durable != len(answer.Told) { // two opened the rollouts
			t.Errorf("%d %s, and %d votes are durable", w.Code, w.Body, durable)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("no JSON: %s", w.Body)
		}
	})
}
