//go:build unix

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/evidence"
)

// TestNight is one bad night from the first customer who meets an error to the report that is filed, on real parts: traffic on
// HAProxy, letters by SMTP, a robot in a chat, an alert in Alertmanager, and people who answer late. What must come after what
// is read from the journal: nothing here is held to a clock of the test.
func TestNight(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute; make test runs it")
	}
	s := newStorefront(t)
	r := newHAProxyRig(t, s)
	n := newNight(t, s)
	r.backend += fmt.Sprintf("\n  verify: [{use: http, with: {url: 'http://%s/', contains: v1}}]", s.front)
	s.open(t, r, "60s")

	// It trips, and goes back by itself.
	s.errors.Store(60)
	s.start(t)
	s.end(t, exitRolledBack, guard.RolledBack)
	s.serves(t, "v1")
	id := s.history(t).ID()
	n.wentBack(t, s.history(t).State)
	n.keptEvidence(t, s.history(t).State)
	n.blocked(t, "incidents.none", "v3")
	n.alerts(t, id, 1)

	// Nobody answers, so that it goes on, whoever keeps the time.
	n.respond(t, s.history(t).Path)
	h := s.await(t, "the last who is to be called has been told, and the breach was", func(h *history) bool {
		news := newsTold(h)
		return len(news["escalated vendor PayCo"]) > 0 && len(news["escalated team technical_lead"]) > 0 && len(news["breached activate"]) > 0
	})
	n.escalated(t, h)

	// Somebody does, and it comes to its end.
	for _, words := range [][]string{
		{"ack", id},
		{"contacted", "PayCo", "--ref", "T-4711"},
		{"contacted", "customer", "--ref", "status page"},
		{"cause", "the new index was missing"},
		{"answer", "summary", "one customer in three met an error"},
	} {
		n.golive(t, exitOK, words...)
	}
	n.alerts(t, id, 1)
	n.golive(t, exitOK, "stand-down", id, "--why", "quiet for an hour", "--by", "Wang Fang")
	<-s.ended
	if code := s.command.ProcessState.ExitCode(); code != exitOK {
		t.Errorf("golive respond: exit code %d", code)
	}
	h = s.history(t)
	i := h.State.Incident
	for kind, want := range map[guard.Due]string{
		guard.DueActivate: "met late", guard.DueContain: "met", guard.DueReport: "met", guard.DueVendor: "met", guard.DueNotice: "met",
	} {
		if o, owed := i.Owes(kind); !owed || o.Standing(time.Now()) != want {
			t.Errorf("%s is %s, want %s: %+v", kind, o.Standing(time.Now()), want, o)
		}
	}
	if i.Lead != "Mei Lin" || i.StoodBy != "Wang Fang" || len(newsTold(h)["stood_down"]) == 0 {
		t.Errorf("led by %s, stood down by %s", i.Lead, i.StoodBy)
	}
	n.alerts(t, id, 0)
	n.arrived(t, h)

	// Then there is the paperwork, and until that is done nothing else goes live.
	n.golive(t, exitOK, "check", "--from", "v1", "--to", "v3", "--only", "incidents.none")
	eventually(t, "the report is late, and blocks", func() bool {
		command := s.golive("check", "--from", "v1", "--to", "v3", "--only", "report.overdue")
		_ = command.Run() // its exit code tells
		return command.ProcessState.ExitCode() == exitNoGo
	})
	n.reports(t, id)
	n.golive(t, exitOK, "report", id, "--file", "--by", "Wang Fang")
	n.golive(t, exitOK, "check", "--from", "v1", "--to", "v3", "--only", "incidents.none,report.overdue,release.quarantine")
	n.blocked(t, "release.quarantine", "v2")
	n.golive(t, exitNoGo, "rollout", "--from", "v1", "--to", "v2")
	s.serves(t, "v1")
	n.golive(t, exitOK, "ledger", "verify")
	n.keptSecrets(t)
}

// The secrets of the night: they may lie nowhere.
var nightSecrets = map[string]string{
	"SHOP_DB": "postgres://shop:hunter2hunter2@db/shop", "CHAT_TOKEN": "0123456789abcdef-token", "CHAT_SECRET": "SEC0123456789abcdef",
}

// A night is a storefront with everybody who has to hear of it.
type night struct {
	shop     *storefront
	switched atomic.Int64 // how often the kill switch was thrown
	letters  func() []letter
	alarm    string // the address of Alertmanager

	mu    sync.Mutex
	posts []string // what the robot has taken
}

// newNight opens all channels, and writes the chapters of the plan about them.
func newNight(t *testing.T, s *storefront) *night {
	t.Helper()
	installed(t, "prometheus-alertmanager", "prometheus-alertmanager")
	n := &night{shop: s, alarm: newAlertmanager(t)}
	killSwitch := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n.switched.Add(1)
		s.errors.Store(0)
	}))
	t.Cleanup(killSwitch.Close)
	robot := httptest.NewServer(http.HandlerFunc(n.robot))
	t.Cleanup(robot.Close)
	var mail string
	mail, n.letters = postOffice(t)
	s.env = []string{"GOLIVE_BY=Mei Lin"} // who says something, unless --by says otherwise
	for name, secret := range nightSecrets {
		s.env = append(s.env, name+"="+secret)
	}
	s.chapters = fmt.Sprintf(`data: []
roster:
  people:
    - {name: Wang Fang, role: commander, reach: [{phone: "+44 20 7946 0001"}, {email: wang@shop.test}]}
    - {name: Ada Obi, role: deputy, reach: [{phone: "+44 20 7946 0002"}, {email: ada@shop.test}]}
    - {name: Luis Vega, role: technical_lead, reach: [{phone: "+44 20 7946 0003"}, {email: luis@shop.test}]}
    - {name: Mei Lin, role: on_duty, reach: [{phone: "+44 20 7946 0004"}, {email: mei@shop.test}]}
    - {name: Tom Reed, role: comms, reach: [{phone: "+44 20 7946 0005"}, {email: tom@shop.test}]}
  verified: 2026-01-01
  shifts: [{name: Mei Lin, when: 24x7}]
  vendors: [{name: PayCo, reach: [{phone: "+44 808 157 0123"}, {email: help@payco.test}], contract: {id: C-17}}]
severity:
  - {level: 1, when: errors > 20%%, activate: 1s, lead: commander, page: [commander, on_duty]}
  - {level: 2, when: errors > 5%%, lead: technical_lead, page: on_duty}
  - {level: 3, when: "true", lead: on_duty, page: on_duty}
escalate:
  - {after: 0s, to: on_duty, unless: acknowledged}
  - {after: 4s, to: deputy, unless: acknowledged}
  - {after: 8s, to: [technical_lead, PayCo], unless: acknowledged}
  - {after: 60m, to: [customer, management]}
notify:
  - {use: email, with: {server: "%[1]s", from: golive@shop.test, to: [launches@shop.test], tls: none}, for: [team]}
  - {use: chat, with: {service: feishu, url: "%[2]s/hook/${CHAT_TOKEN}", secret: "${CHAT_SECRET}"}, for: [team]}
  - {use: alertmanager, with: {address: "%[3]s"}, for: [team]}
  - {use: email, with: {server: "%[1]s", from: golive@shop.test, tls: none}, for: [vendor]}
recovery:
  contain: {use: http, with: {url: "%[4]s"}}
  soak: 10s
  deadline: {file: 1s}
evidence:
  budget: 30s
  collect: [{use: command, with: {run: 'echo "dsn ${SHOP_DB}, ask +44 20 7946 0004"'}}]
calendar: {allowed: [24x7]}
`, mail, robot.URL, n.alarm, killSwitch.URL)
	return n
}

// robot answers as Feishu does: status 200, and in the body whether it took the message, which is signed.
func (n *night) robot(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	var body struct{ Timestamp, Sign string }
	if err = errors.Join(err, json.Unmarshal(text, &body)); err != nil {
		http.Error(w, "no message", http.StatusBadRequest)
		return
	}
	mac := hmac.New(sha256.New, []byte(body.Timestamp+"\n"+nightSecrets["CHAT_SECRET"]))
	if r.URL.Path != "/hook/"+nightSecrets["CHAT_TOKEN"] || body.Sign != base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		fmt.Fprint(w, `{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}`)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.posts = append(n.posts, string(text))
	fmt.Fprint(w, `{"code":0,"msg":"success"}`)
}

// golive runs a command to its end, and returns what it says.
func (n *night) golive(t *testing.T, want int, args ...string) string {
	t.Helper()
	command := n.shop.golive(args...)
	text, err := command.CombinedOutput()
	if command.ProcessState == nil || command.ProcessState.ExitCode() != want {
		t.Fatalf("golive %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, want, text)
	}
	return string(text)
}

// respond goes on with the incident, and returns once it does: who looks at a journal holds it for an instant, and a machine
// that is busy makes that instant long enough to keep it from whoever wants to go on.
func (n *night) respond(t *testing.T, path string) {
	t.Helper()
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	n.shop.run(t, "respond")
	eventually(t, "it is gone on with", func() bool { return size() > before })
}

// blocked wants a check to stop a version.
func (n *night) blocked(t *testing.T, check, version string) {
	t.Helper()
	if text := n.golive(t, exitNoGo, "check", "--from", "v1", "--to", version, "--only", check, "-o", "json"); !strings.Contains(text, check) {
		t.Errorf("something else than %s stops %s:\n%s", check, version, text)
	}
}

// wentBack wants the order of recovery: contained, preserved, reverted, verified, steady.
func (n *night) wentBack(t *testing.T, s guard.State) {
	t.Helper()
	i := s.Incident
	moments := []time.Time{i.Began, i.Contained, i.Preserved, i.Reverted, i.Restored, i.Steady}
	if !slices.IsSortedFunc(moments, time.Time.Compare) || slices.ContainsFunc(moments, time.Time.IsZero) {
		t.Errorf("detected, contained, preserved, reverted, verified, steady: %v", moments)
	}
	if soaked := i.Steady.Sub(i.Restored); soaked < 10*time.Second {
		t.Errorf("it counts as steady after %s", soaked)
	}
	if n.switched.Load() == 0 || i.Level != 1 || i.Scenario != "bad_release" || !i.Open() || i.Lead != "" {
		t.Errorf("switched off %d times; %+v", n.switched.Load(), i)
	}
}

// keptEvidence wants everything kept, and no secret and nobody's number in it.
func (n *night) keptEvidence(t *testing.T, s guard.State) {
	t.Helper()
	kept := map[string]string{}
	for _, e := range s.Incident.Exhibits {
		text, err := os.ReadFile(evidence.Dir(filepath.Join(n.shop.dir, ".golive", "evidence")).Path(e.SHA256))
		if err != nil || e.Problem != "" || fmt.Sprintf("%x", sha256.Sum256(text)) != e.SHA256 {
			t.Errorf("%s: %v %+v", e.Name, err, e)
		}
		kept[e.Name] = string(text)
	}
	for name, want := range map[string]string{
		"command": "dsn ${SHOP_DB}, ask [phone]\n", "counts.json": `"call": "regressed"`, "deploy.json": `"percent": 30`,
	} {
		if !strings.Contains(kept[name], want) {
			t.Errorf("%s holds no %q:\n%.1000s", name, want, kept[name])
		}
	}
}

// newsTold is when each piece of news was delivered first, by its name, and of what was escalated whom it was for.
func newsTold(h *history) map[string][]guard.Event {
	all := map[string][]guard.Event{}
	eachAnswer(h, func(task guard.Task, e guard.Event) {
		tell, tells := task.Deed.(guard.Tell)
		if _, told := e.Fact.(guard.Told); !tells || !told {
			return
		}
		name := string(tell.Notice.News)
		switch tell.Notice.News {
		case guard.NewsBreached:
			name += " " + tell.Notice.About
		case guard.NewsEscalated:
			name += " " + tell.Notice.Audience + " " + strings.Join(tell.Notice.Roles, ",")
		}
		all[name] = append(all[name], e)
	})
	return all
}

// eachAnswer goes through the answers that the journal holds, each with the task that it answers.
func eachAnswer(h *history, each func(guard.Task, guard.Event)) {
	var s guard.State
	for _, e := range h.Events {
		if at := slices.IndexFunc(s.Todo, func(t guard.Task) bool { return t.ID == e.Task }); e.Task != 0 && at >= 0 {
			each(s.Todo[at], e)
		}
		s = guard.Next(h.Plan, s, e)
	}
}

// escalated wants the steps of the plan in their order, none before its time, and each told after it was taken.
func (n *night) escalated(t *testing.T, h *history) {
	t.Helper()
	began := h.State.Incident.Began
	var steps []int
	taken := map[int]time.Time{}
	eachAnswer(h, func(task guard.Task, e guard.Event) {
		if d, is := task.Deed.(guard.Escalate); is {
			steps = append(steps, d.N)
			taken[d.N] = e.At
			if due := began.Add(h.Plan.Escalate[d.N].After.Std()); e.At.Before(due) || !task.NotBefore.Equal(due) {
				t.Errorf("step %d is taken at %s, and due at %s", d.N, e.At, due)
			}
		}
		if d, is := task.Deed.(guard.Remind); is && d.Kind == guard.DueActivate && e.At.Before(began.Add(time.Second)) {
			t.Errorf("nobody leads, which is said before anybody has to: %s", e.At)
		}
	})
	if !slices.Equal(steps, []int{0, 1, 2}) {
		t.Errorf("the steps taken are %v", steps)
	}
	news := newsTold(h)
	for step, name := range []string{"escalated team on_duty", "escalated team deputy", "escalated vendor PayCo"} {
		if len(news[name]) == 0 || news[name][0].At.Before(taken[step]) {
			t.Errorf("%s: told at %+v, and the step is taken at %s", name, news[name], taken[step])
		}
	}
}

// alerts waits until so many alerts of the incident fire.
func (n *night) alerts(t *testing.T, id string, want int) {
	t.Helper()
	query := url.Values{"filter": {`alertname="GoliveIncident"`, `rollout="` + id + `"`}}.Encode()
	var all []struct{ Labels map[string]string }
	eventually(t, fmt.Sprintf("%d alerts fire", want), func() bool {
		response, err := http.Get(n.alarm + "/api/v2/alerts?" + query)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		all = nil
		return json.NewDecoder(response.Body).Decode(&all) == nil && len(all) == want
	})
	if want > 0 && (all[0].Labels["severity"] != "critical" || all[0].Labels["service"] != "shop") {
		t.Errorf("the alert has the labels %v", all[0].Labels)
	}
}

// arrived wants each notice that the journal says was delivered where it says that it was, and nobody else's eyes on it.
func (n *night) arrived(t *testing.T, h *history) {
	t.Helper()
	address := map[string]string{"PayCo": "help@payco.test", "to[0]": "launches@shop.test"}
	for _, person := range h.Plan.Roster.People {
		address[person.Name] = person.Reach[1]["email"]
	}
	letters := n.letters()
	n.mu.Lock()
	defer n.mu.Unlock()
	mailed, posted := map[string]bool{}, 0
	eachAnswer(h, func(task guard.Task, e guard.Event) {
		tell, tells := task.Deed.(guard.Tell)
		told, ok := e.Fact.(guard.Told)
		if !tells || !ok {
			return
		}
		switch key := tell.Notice.Key; tell.Channel {
		case 0, 3:
			for _, handed := range told.Receipt.Handed {
				mailed[handed.Name] = true
				if !slices.ContainsFunc(letters, func(l letter) bool {
					return l.to == address[handed.Name] && strings.Contains(l.text, "X-Golive-Key: "+key+"\r\n")
				}) {
					t.Errorf("%s has no letter of %s (%s)", handed.Name, key, tell.Notice.News)
				}
			}
		case 1:
			if posted++; !slices.ContainsFunc(n.posts, func(post string) bool { return strings.Contains(post, `golive `+key+`"`) }) {
				t.Errorf("the chat has no post of %s (%s)", key, tell.Notice.News)
			}
		}
	})
	for _, name := range []string{"Wang Fang", "Ada Obi", "Luis Vega", "Mei Lin", "PayCo"} {
		if !mailed[name] {
			t.Errorf("%s was never written to", name)
		}
	}
	if posted == 0 {
		t.Error("nothing was posted to the chat")
	}
	for _, l := range letters {
		if strings.Contains(l.to, ",") || l.to == "help@payco.test" && (strings.Contains(l.text, "errors") || !strings.Contains(l.text, "C-17")) {
			t.Errorf("a letter that is not for everybody's eyes, to %s:\n%s", l.to, l.text)
		}
	}
}

// reports wants the facts of the night in the report, in both languages, and no names.
func (n *night) reports(t *testing.T, id string) {
	t.Helper()
	for language, title := range map[string]string{"en": "# Incident report: shop, v1 → v2\n", "zh": "# 应急处置报告"} {
		text := n.golive(t, exitOK, "report", id, "--language", language)
		for _, want := range []string{
			title, "the new index was missing", "one customer in three met an error", "quiet for an hour", "PayCo", "T-4711", "errors &#62; 20%",
			"command", "counts.json", "deploy.json",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the report (%s) does not say %q", language, want)
			}
		}
		for _, not := range []string{"Mei Lin", "Wang Fang", "7946", "@shop.test"} {
			if strings.Contains(text, not) {
				t.Errorf("the report (%s) says %q", language, not)
			}
		}
	}
}

// keptSecrets wants no secret of the night in any file that it has left, nor in any message.
func (n *night) keptSecrets(t *testing.T) {
	t.Helper()
	texts := map[string]string{"the story": n.shop.story.String()}
	for i, l := range n.letters() {
		texts[fmt.Sprintf("letter %d", i)] = l.text
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, post := range n.posts {
		texts[fmt.Sprintf("post %d", i)] = post
	}
	files := 0
	err := filepath.WalkDir(n.shop.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		texts[path] = string(text)
		files++
		return err
	})
	if err != nil || files < 8 {
		t.Errorf("%d files (%v)", files, err)
	}
	for where, text := range texts {
		for name, secret := range nightSecrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds the secret %s", where, name)
			}
		}
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s holds a part of a secret", where)
		}
	}
}
