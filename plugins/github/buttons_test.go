package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/plugins/github/githubtest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// staffed is a plan whose people have logins at GitHub.
var staffed = shopPlan + `
severity:
  - {level: 1, when: "true"}
roster:
  people:
    - {name: Ada Obi, role: commander, reach: [{phone: "+8613800000001"}, {github: ada}]}
    - {name: Wang Fang, role: ops, reach: [{github: "@Wang-F"}]}
    - {name: Bo, role: ops, reach: [{github: twins}]}
    - {name: Li, role: ops, reach: [{github: twins}]}
`

// A theatre is a world with a rollout, and the check run that has its buttons.
type theatre struct {
	*world
	run int64
}

// onStage has a rollout watched.
func onStage(t *testing.T) *theatre {
	t.Helper()
	desk := plugintest.NewDesk(t, staffed)
	s := &theatre{world: newWorld(t, func(setup *GateSetup) { setup.Desk = desk })}
	s.desk = desk
	r := guard.Release{Service: "shop", Environment: "production", From: "v1", To: "v2"}
	id, err := desk.Open(t.Context(), guard.Delivery{ID: "test/open/1", Source: "test", At: time.Now()}, r, guard.ToWatch)
	if err != nil || id != "shop-1" {
		t.Fatal(id, err)
	}
	desk.Watch(t, id, 10, judge.Continue)
	notice := going(1, guard.Watching, 10)
	notice.Release = r
	notice.Release.ID = id
	tell(t, notifierOf(t, s.hub, "buttons"), notice)
	s.run = int64(s.hub.List("check-runs")[0]["id"].(float64))
	return s
}

// press is what GitHub sends when somebody presses a button, once the check run says what it says now.
func (s *theatre) press(t testing.TB, login, button string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/check_run.json")
	if err != nil {
		t.Fatal(err)
	}
	body := string(text)
	pressed, _ := field(s.hub.List("check-runs")[0], "output", "text").(string)
	for old, now := range map[string]string{
		`"identifier": "rollback"`: fmt.Sprintf(`"identifier": %q`, button),
		`"id": 7100`:               fmt.Sprintf(`"id": %d`, s.run),
		`"text": null`:             fmt.Sprintf(`"text": %q`, pressed),
	} {
		if !strings.Contains(body, old) {
			t.Fatalf("the fixture has no %s", old)
		}
		body = strings.ReplaceAll(body, old, now)
	}
	i := strings.LastIndex(body, `"login": "ada"`) // of the sender
	return body[:i] + fmt.Sprintf(`"login": %q`, login) + body[i+len(`"login": "ada"`):]
}

// send has the gate hear a message.
func (s *theatre) send(body string) *httptest.ResponseRecorder {
	r := request(body, "X-GitHub-Event", "check_run")
	w := httptest.NewRecorder()
	s.gate.ServeHTTP(w, r)
	return w
}

// remarks are the lines under the buttons.
func (s *theatre) remarks() []string {
	text, _ := field(s.hub.List("check-runs")[0], "output", "text").(string)
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// TestPress does what a button is for, in the name of the person of the roster, and remarks on it.
func TestPress(t *testing.T) {
	for name, c := range map[string]struct {
		login, button string
		want          guard.Fact
		remark        string
	}{
		"rollback": {"ada", "rollback", guard.Ordered{Verb: guard.OrderRollback, By: "Ada Obi", Why: "a button at GitHub, pressed by ada"}, "ada: roll back now, ordered by Ada Obi"},
		"extend":   {"wang-f", "extend", guard.Ordered{Verb: guard.OrderExtend, By: "Wang Fang", Why: "a button at GitHub, pressed by wang-f", For: guard.Duration(10 * time.Minute)}, "wang-f: 10m more, ordered by Wang Fang"},
	} {
		t.Run(name, func(t *testing.T) {
			s := onStage(t)
			body := s.press(t, c.login, c.button)
			for range 2 { // GitHub may send everything again
				if w := s.send(body); w.Code != 202 {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			if diff := cmp.Diff([]guard.Fact{c.want}, s.desk.Told("shop-1")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if lines := s.remarks(); len(lines) != 1 || !strings.Contains(lines[0], c.remark) {
				t.Errorf("remarks %q", lines)
			}
			_, state, err := s.desk.Get(t.Context(), "shop-1")
			if err != nil || name == "rollback" && state.Cause != guard.CauseOrdered || name == "extend" && state.Extra != 10*time.Minute {
				t.Errorf("%v: cause %q, extra %v", err, state.Cause, state.Extra)
			}
		})
	}
}

// TestPressTwice: two presses of one button are two, for the check run says what became of the first.
func TestPressTwice(t *testing.T) {
	s := onStage(t)
	for range 2 {
		if w := s.send(s.press(t, "ada", "extend")); w.Code != 202 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if told := s.desk.Told("shop-1"); len(told) != 2 || len(s.remarks()) != 2 {
		t.Errorf("told %v, remarked %q", told, s.remarks())
	}
}

// TestPressRefused does nothing for who may not, and tells them.
func TestPressRefused(t *testing.T) {
	for name, c := range map[string]struct {
		login, button string
		status        int
		want          string
	}{
		"not in the roster":     {"mallory", "rollback", 403, `"mallory" is not in the roster`},
		"a name as a login":     {"Ada Obi", "rollback", 403, "is not in the roster"},
		"two people":            {"twins", "rollback", 403, "is not in the roster"},
		"not for him to say":    {"wang-f", "stand-down", 403, "this is not for"},
		"nothing to stand down": {"ada", "stand-down", 409, "there is no open incident"},
		"another button":        {"ada", "format-disk", 400, "is no button of golive"},
	} {
		t.Run(name, func(t *testing.T) {
			s := onStage(t)
			before, state, err := s.desk.Get(t.Context(), "shop-1")
			if err != nil {
				t.Fatal(err)
			}
			if w := s.send(s.press(t, c.login, c.button)); w.Code != c.status || !strings.Contains(strings.ReplaceAll(w.Body.String(), `\"`, `"`), c.want) {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, c.status, c.want)
			}
			_, after, _ := s.desk.Get(t.Context(), "shop-1")
			if told := s.desk.Told("shop-1"); len(told) != 0 || !cmp.Equal(state.Phase, after.Phase) || before == nil {
				t.Errorf("told %v, from %s to %s", told, state.Phase, after.Phase)
			}
			if lines := s.remarks(); len(lines) != 1 || !strings.Contains(lines[0], "refused: ") {
				t.Errorf("remarks %q", lines)
			}
		})
	}
}

// TestPressUnread refuses a message in which something is missing, and another rollout's.
func TestPressUnread(t *testing.T) {
	s := onStage(t)
	good := s.press(t, "ada", "rollback")
	for name, c := range map[string]struct {
		old, now string
		status   int
	}{
		"no rollout":      {`"external_id": "shop-1"`, `"external_id": ""`, 400},
		"another rollout": {`"external_id": "shop-1"`, `"external_id": "shop-9"`, 404},
		"no number":       {fmt.Sprintf(`"id": %d`, s.run), `"id": 0`, 400},
		"no repository":   {`"full_name": "acme/shop"`, `"full_name": "../../user"`, 400},
		"no action":       {`"requested_action": {`, `"unrequested": {`, 400},
	} {
		body := strings.Replace(good, c.old, c.now, 1)
		if body == good {
			t.Fatalf("%s: the message has no %s", name, c.old)
		}
		if w := s.send(body); w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.status)
		}
	}
	if w := s.send(strings.Replace(good, `"action": "requested_action"`, `"action": "completed"`, 1)); w.Code != 202 || !strings.Contains(w.Body.String(), nothing) {
		t.Errorf("another action: %d %s", w.Code, w.Body)
	}
	r := request(good, "X-GitHub-Event", "check_run", "X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
	w := httptest.NewRecorder()
	if s.gate.ServeHTTP(w, r); w.Code != 401 {
		t.Errorf("a forged signature: %d", w.Code)
	}
	s.desk.Away(errors.New("the store is gone"))
	if w := s.send(good); w.Code != 503 {
		t.Errorf("while nobody can say: %d %s", w.Code, w.Body)
	}
	s.desk.Away(nil)
	if told := s.desk.Told("shop-1"); len(told) != 0 {
		t.Errorf("told %v", told)
	}
}

// TestPressStandDown ends an incident, for who may say so.
func TestPressStandDown(t *testing.T) {
	s := onStage(t)
	s.desk.Watch(t, "shop-1", 10, judge.Regressed)
	s.desk.Happen(t, "shop-1", guard.Shifted{Percent: 0})
	state := s.desk.Happen(t, "shop-1", guard.Verified{Standing: guard.Standing{Undo: guard.Undo{Open: true}}})
	if state.Phase != guard.Over || !state.Incident.Open() {
		t.Fatalf("it is %s, with the incident %+v", state.Phase, state.Incident)
	}
	body := s.press(t, "ada", "stand-down")
	for range 2 {
		if w := s.send(body); w.Code != 202 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if _, state, err := s.desk.Get(t.Context(), "shop-1"); err != nil || state.Incident.StoodBy != "Ada Obi" {
		t.Errorf("%v: stood down by %q", err, state.Incident.StoodBy)
	}
	if w := s.send(s.press(t, "ada", "rollback")); w.Code != 409 {
		t.Errorf("a rollback of what is over: %d %s", w.Code, w.Body)
	}
}

// TestPressForged: a button counts at the app's own webhook alone, of a check run of the app, in a repository that the plan
// names.
func TestPressForged(t *testing.T) {
	s := onStage(t)
	good := s.press(t, "ada", "rollback")
	if w, _ := signedMessage("check_run", good).send(t, s.desk, secret); w.Code != 200 || !strings.Contains(w.Body.String(), nothing) {
		t.Errorf("at the webhook of a repository: %d %s", w.Code, w.Body)
	}
	const app = `"id": 7,
      "slug"`
	for name, c := range map[string]struct{ body, says string }{
		"of a stranger's repository": {strings.ReplaceAll(good, "acme/shop", "evil/toy"), `the repository \"evil/toy\" does not speak for this service`},
		"of another app":             {strings.Replace(good, app, strings.Replace(app, "7", "8", 1), -1), "golive is the app 7"},
		"of no app":                  {strings.Replace(good, `"app": {`, `"unused": {`, -1), "golive is the app 7"},
	} {
		if c.body == good {
			t.Fatalf("%s: the fixture has another form", name)
		}
		if w := s.send(c.body); w.Code != 403 || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if told := s.desk.Told("shop-1"); len(told) != 0 {
		t.Errorf("told %v", told)
	}
}

// TestRemarkIsNotNeeded: what was ordered is done, also where GitHub takes no remark.
func TestRemarkIsNotNeeded(t *testing.T) {
	s := onStage(t)
	s.hub.Limit("GET", "/repos/acme/shop/check-runs/", githubtest.TooMany, -1, time.Hour)
	if w := s.send(s.press(t, "ada", "rollback")); w.Code != 202 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if told := s.desk.Told("shop-1"); len(told) != 1 {
		t.Errorf("told %v", told)
	}
}

// TestRemarksAreBounded keeps the latest.
func TestRemarksAreBounded(t *testing.T) {
	s := onStage(t)
	var m pressed
	if err := json.Unmarshal(fmt.Appendf(nil, `{"check_run": {"id": %d}, "repository": {"full_name": %q}}`, s.run, githubtest.Repository), &m); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		if err := s.gate.remark(t.Context(), m, fmt.Sprint("id-", i), fmt.Sprint(i, " ", strings.Repeat("é", 1500))); err != nil {
			t.Fatal(err)
		}
	}
	lines := s.remarks()
	if n := len(strings.Join(lines, "\n")); n > remarksMost || n < remarksMost/2 || !strings.HasPrefix(lines[len(lines)-1], "- 11 ") {
		t.Errorf("%d bytes in %d lines", n, len(lines))
	}
}
