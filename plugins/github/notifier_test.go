package github

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/github/githubtest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// showing are the settings of a notifier on a hub that shows whatever is named.
func showing(h *githubtest.Hub, what ...string) guard.With {
	with := guard.With{
		"repository": githubtest.Repository, "address": h.URL, "app_id": githubtest.AppID, "private_key": h.Key(),
		"link": "https://golive.test/rollouts/{{.ID}}", "timeout": "1m",
	}
	for _, name := range what {
		with[name] = true
	}
	return with
}

var everywhere = []string{"check_run", "buttons", "deployment", "comment", "issue"}

func notifierOf(t *testing.T, h *githubtest.Hub, what ...string) *Notifier {
	t.Helper()
	return plugintest.Make(t, NewNotifier, showing(h, what...)).(*Notifier)
}

// noon is when the first notice was written; each later one is a minute later.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// noticeOf is the n-th of a rollout.
func noticeOf(n int, change func(*guard.Notice)) guard.Notice {
	one := guard.Notice{Key: fmt.Sprintf("r7/%d", n), Release: release, At: noon.Add(time.Duration(n) * time.Minute)}
	change(&one)
	return one
}

// going tells of a phase, and ended of an end.
func going(n int, phase guard.Phase, percent int) guard.Notice {
	return noticeOf(n, func(one *guard.Notice) {
		one.Passing, one.Title, one.Text = true, string(phase), "because"
		one.Progress = guard.Progress{Phase: phase, Percent: percent}
	})
}

func ended(n int, o guard.Outcome) guard.Notice {
	return noticeOf(n, func(one *guard.Notice) {
		one.Title, one.Text = string(o), "errors: canary 4 of 182 (2.2 %), baseline 0 of 1,636 (0 %)"
		one.Progress = guard.Progress{Phase: guard.Over, Outcome: o}
	})
}

// news is a notice of the incident.
func news(n int, what guard.News, phase guard.Phase) guard.Notice {
	return noticeOf(n, func(one *guard.Notice) {
		one.News, one.Audience, one.Title, one.Text = what, "team", "shop test: "+string(what), "Level: 1\nLed by: nobody yet"
		one.To = []guard.Recipient{{Name: "Ada Obi", Role: "commander"}}
		one.Ends = what == guard.NewsStoodDown
		one.Progress = guard.Progress{Phase: phase, Outcome: map[guard.Phase]guard.Outcome{guard.Over: guard.RolledBack}[phase], Incident: !one.Ends}
	})
}

func tell(t *testing.T, n *Notifier, notices ...guard.Notice) guard.Receipt {
	t.Helper()
	var last guard.Receipt
	for _, one := range notices {
		receipt, err := n.Notify(t.Context(), one)
		if err != nil {
			t.Fatalf("%s %s: %v", one.Key, one.Title, err)
		}
		last = receipt
	}
	return last
}

// field reads a value of an object by its path.
func field(o githubtest.Object, path ...string) any {
	for _, name := range path[:len(path)-1] {
		next, _ := o[name].(map[string]any)
		o = next
	}
	return o[path[len(path)-1]]
}

// TestBodyFits: whatever others wrote, GitHub takes the body, with the mark in front of it, and it says what is in the way and
// where there is more.
func TestBodyFits(t *testing.T) {
	for name, c := range map[string]struct{ text, reason string }{
		"long":      {strings.Repeat("x\n", 30000), strings.Repeat(`{"x":"[1]"} `, 20)},
		"wide":      {strings.Repeat("é", 40000), strings.Repeat("影响", 120)},
		"mentions":  {strings.Repeat("@", 70000), strings.Repeat("@", 240)},
		"all fence": {strings.Repeat("`", 70000), strings.Repeat("`", 240)},
	} {
		t.Run(name, func(t *testing.T) {
			far := strings.Repeat("@", 400)
			a := about{Notice: guard.Notice{Text: c.text, Release: guard.Release{ID: far, Service: far, Environment: far, From: far, To: far}}, link: "https://golive.example.org/r"}
			for range 30 {
				a.Blockers = append(a.Blockers, guard.Blocker{Finding: guard.Finding{Code: "GL102", ID: "a_b", Verdict: guard.Fail, Reason: c.reason, Remedy: c.reason}})
			}
			body := a.body()
			if len(body) > bodyMost || !utf8.ValidString(body) {
				t.Errorf("the body has %d bytes, want %d at most, in whole characters", len(body), bodyMost)
			}
			if !strings.Contains(body, "\n- **GL102 a_b** fail") || !strings.Contains(body, " more\n\n[More, and the report](https://golive.example.org/r)") {
				t.Errorf("the body ends %q", body[max(0, len(body)-300):])
			}
			if kept := strings.Count(body, c.text[:1]); kept < 1000 {
				t.Errorf("of the text there is next to nothing: %d", kept)
			}
		})
	}
	short := about{Notice: guard.Notice{Text: "one ``` two"}}
	if body := short.body(); !strings.HasSuffix(body, "\n````\none ``` two\n````\n") {
		t.Errorf("a short text is shown as %q", body)
	}
}

func TestNotifier(t *testing.T) {
	for _, far := range []bool{false, true} {
		t.Run(fmt.Sprint("far ", far), func(t *testing.T) {
			h := githubtest.New(t)
			make := kit.Notifiers["github"]
			if far {
				make = plugintest.Open(t, kit.Name, plugins.Options{}).Notifiers["github"]
			}
			plugintest.Notifier(t, plugintest.Make(t, make, showing(h, everywhere...)), func() int { return len(h.List("check-runs")) })
			if runs := h.List("check-runs"); len(runs) != 2 {
				t.Errorf("%d check runs after repeats, want the state and the buttons", len(runs))
			}
		})
	}
}

// TestCheckRunFollows shows the state of a rollout on one check run, from the first question to the end.
func TestCheckRunFollows(t *testing.T) {
	for o, want := range map[guard.Outcome]string{
		guard.Live: "success", guard.RolledBack: "failure", guard.NoGo: "failure", guard.Unknowable: "failure", guard.Recovered: "failure",
		guard.WouldRollBack: "failure", guard.RollbackFailed: "action_required", guard.ForwardOnly: "action_required", guard.Overdue: "timed_out", guard.Stopped: "cancelled",
	} {
		t.Run(string(o), func(t *testing.T) {
			h := githubtest.New(t)
			n := notifierOf(t, h, "check_run")
			for i, c := range []struct {
				notice             guard.Notice
				status, conclusion any
				title              string
			}{
				{going(0, guard.Checking, 0), "queued", nil, "asking the checks"},
				{going(1, guard.Watching, 10), "in_progress", nil, "watching, 10 % of the traffic"},
				{ended(2, o), "completed", want, string(o)},
			} {
				tell(t, n, c.notice, c.notice)
				runs := h.List("check-runs")
				if len(runs) != 1 {
					t.Fatalf("%d: %d check runs", i, len(runs))
				}
				got := []any{runs[0]["name"], runs[0]["head_sha"], runs[0]["external_id"], runs[0]["status"], runs[0]["conclusion"], field(runs[0], "output", "title"), runs[0]["details_url"]}
				if diff := cmp.Diff([]any{"golive: shop test", githubtest.Commit(2), "r7", c.status, c.conclusion, c.title, "https://golive.test/rollouts/r7"}, got); diff != "" {
					t.Errorf("%d (-want +got)\n%s", i, diff)
				}
			}
			if summary := field(h.List("check-runs")[0], "output", "summary").(string); !strings.Contains(summary, "canary 4 of 182 (2.2 %)") || !strings.Contains(summary, "v1 → v2") {
				t.Errorf("summary without counts or versions: %s", summary)
			}
		})
	}
}

// TestLateNotice: a notice that comes after a later one does not take back what that says, anywhere.
func TestLateNotice(t *testing.T) {
	h := githubtest.New(t)
	h.Deployed("test", githubtest.Commit(2), "in_progress")
	h.Pull(githubtest.Commit(2), "open")
	n := notifierOf(t, h, everywhere...)
	tell(t, n, going(1, guard.Watching, 10), news(2, guard.NewsOpened, guard.Restoring), news(5, guard.NewsStoodDown, guard.Over))
	kinds := []string{"check-runs", "issues", "comments/1", fmt.Sprintf("statuses/%v", int64(h.List("deployments")[0]["id"].(float64)))}
	var before, after []any
	for _, kind := range kinds {
		before = append(before, h.List(kind))
	}
	tell(t, n, news(5, guard.NewsStoodDown, guard.Over), news(2, guard.NewsOpened, guard.Restoring), going(1, guard.Watching, 10))
	for _, kind := range kinds {
		after = append(after, h.List(kind))
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
}

// blocked is a no-go with so many findings.
func blocked(n, findings int) guard.Notice {
	one := ended(n, guard.NoGo)
	for i := range findings {
		one.Blockers = append(one.Blockers, guard.Blocker{Line: i + 1, Finding: guard.Finding{
			Code: "GL308", ID: "vendor.contact", Subject: fmt.Sprint("vendor ", i), Verdict: guard.Fail, Reason: "nobody knows the number", Remedy: "write it down",
		}})
	}
	return one
}

// linesOf are the lines that a check run has notes on, in order.
func linesOf(t *testing.T, run githubtest.Object) (all []int) {
	t.Helper()
	notes, _ := field(run, "output", "annotations").([]any)
	for _, note := range notes {
		all = append(all, int(field(note.(map[string]any), "start_line").(float64)))
	}
	return all
}

// TestAnnotations notes each finding once, fifty at a time, also where it was cut off between two requests.
func TestAnnotations(t *testing.T) {
	for _, c := range []struct{ findings, before int }{{0, 0}, {1, 0}, {50, 0}, {51, 0}, {120, 0}, {120, 1}, {120, 2}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			h := githubtest.New(t)
			n := notifierOf(t, h, "check_run")
			tell(t, n, going(0, guard.Checking, 0))
			sent := 0
			if c.before > 0 {
				broken := notifierOf(t, h, "check_run")
				api, err := enterprise(&http.Client{Transport: &cutting{broken.repository.api.Client().Transport, c.before}}, h.URL)
				if err != nil {
					t.Fatal(err)
				}
				broken.repository.api = api
				if _, err := broken.Notify(t.Context(), blocked(1, c.findings)); err == nil {
					t.Fatal("it was not cut off")
				}
				if sent = len(linesOf(t, h.List("check-runs")[0])); sent != 50*c.before {
					t.Fatalf("%d notes before it was cut off", sent)
				}
			}
			tell(t, n, blocked(1, c.findings), blocked(1, c.findings))
			var want []int
			for i := range c.findings {
				want = append(want, i+1)
			}
			run := h.List("check-runs")[0]
			if diff := cmp.Diff(want, linesOf(t, run)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if c.findings > 0 {
				note := field(run, "output", "annotations").([]any)[0].(map[string]any)
				if note["path"] != "golive.yaml" || note["annotation_level"] != "failure" || !strings.Contains(note["message"].(string), "write it down") {
					t.Errorf("note %v", note)
				}
			}
		})
	}
}

// cutting lets so many changes through, and then loses the connection.
type cutting struct {
	next  http.RoundTripper
	after int
}

func (c *cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPatch {
		if c.after == 0 {
			closeBody(r)
			return nil, fmt.Errorf("the connection is lost")
		}
		c.after--
	}
	return c.next.RoundTrip(r)
}

// TestButtons offers what can be done, and takes it away again.
func TestButtons(t *testing.T) {
	h := githubtest.New(t)
	n := notifierOf(t, h, "buttons")
	for _, c := range []struct {
		notice guard.Notice
		want   []string
	}{
		{going(0, guard.Checking, 0), []string{"rollback"}},
		{going(1, guard.Shifting, 0), []string{"rollback"}},
		{going(2, guard.Watching, 10), []string{"rollback", "extend"}},
		{news(3, guard.NewsOpened, guard.Restoring), nil},
		{news(4, guard.NewsRecovered, guard.Over), []string{"stand-down"}},
		{news(5, guard.NewsStoodDown, guard.Over), nil},
	} {
		tell(t, n, c.notice)
		runs := h.List("check-runs")
		var got []string
		actions, _ := runs[0]["actions"].([]any)
		for _, one := range actions {
			got = append(got, one.(map[string]any)["identifier"].(string))
		}
		if diff := cmp.Diff(c.want, got); diff != "" || len(runs) != 1 || runs[0]["conclusion"] != "neutral" {
			t.Errorf("%s: %d runs, %v (-want +got)\n%s", c.notice.Title, len(runs), runs[0]["conclusion"], diff)
		}
	}
}

// TestDeploymentStatus shows the state on the deployment of the commit, and on no other.
func TestDeploymentStatus(t *testing.T) {
	type told = []string
	for name, c := range map[string]struct {
		was     string
		notices []guard.Notice
		want    told
	}{
		"goes live":             {"pending", []guard.Notice{going(0, guard.Checking, 0), going(1, guard.Watching, 10), going(2, guard.Baking, 100), ended(3, guard.Live)}, told{"pending", "queued", "in_progress", "success"}},
		"goes back":             {"in_progress", []guard.Notice{going(0, guard.Checking, 0), going(1, guard.Watching, 10), ended(3, guard.RolledBack)}, told{"in_progress", "failure"}},
		"deployed already":      {"success", []guard.Notice{going(1, guard.Watching, 10), ended(3, guard.Live)}, told{"success"}},
		"deployed, and harms":   {"success", []guard.Notice{going(1, guard.Watching, 10), ended(3, guard.RolledBack)}, told{"success", "failure"}},
		"deployed, undecided":   {"success", []guard.Notice{ended(3, guard.Overdue)}, told{"success"}},
		"undecided":             {"in_progress", []guard.Notice{ended(3, guard.Overdue)}, told{"in_progress", "error"}},
		"nobody knows where":    {"in_progress", []guard.Notice{ended(3, guard.RollbackFailed)}, told{"in_progress", "error"}},
		"another try, and live": {"failure", []guard.Notice{going(1, guard.Watching, 10), ended(3, guard.Live)}, told{"failure", "success"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := githubtest.New(t)
			id := h.Deployed("test", githubtest.Commit(2), c.was)
			other := h.Deployed("test", githubtest.Commit(1), "failure")
			elsewhere := h.Deployed("production", githubtest.Commit(2), "pending")
			n := notifierOf(t, h, "deployment")
			for _, one := range c.notices {
				one.Text = strings.Repeat("é", 500)
				tell(t, n, one, one)
			}
			var got told
			for _, s := range h.List(fmt.Sprint("statuses/", id)) {
				got = append(got, s["state"].(string))
				text, given := s["description"].(string)
				if runes := []rune(text); given && (!strings.HasPrefix(text, ownWords) || len(runes) != 140 || runes[139] != '…') {
					t.Errorf("description %q of %d characters", text, len(runes))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for _, id := range []int64{other, elsewhere} {
				if n := len(h.List(fmt.Sprint("statuses/", id))); n != 1 {
					t.Errorf("deployment %d got %d statuses", id, n-1)
				}
			}
		})
	}
	h := githubtest.New(t)
	if receipt := tell(t, notifierOf(t, h, "deployment"), ended(1, guard.Live)); !strings.Contains(receipt.Detail, "no deployment of") {
		t.Errorf("without a deployment: %+v", receipt)
	}
}

// TestSticky keeps one comment for each service and environment, which it finds on whatever page, and edits none that is
// somebody else's.
func TestSticky(t *testing.T) {
	h := githubtest.New(t)
	h.Pages(2)
	h.Pull(githubtest.Commit(2), "open")
	h.Pull(githubtest.Commit(2), "merged")
	h.Pull(githubtest.Commit(2), "closed")
	forged := mark{markOf("comment", "shop", "test"), noon, "r7/0"}.String() + "all is well"
	h.Add("comments/1", githubtest.Object{"body": forged, "user": githubtest.Object{"login": "mallory", "type": "User"}})
	n := notifierOf(t, h, "comment")
	tell(t, n, going(0, guard.Checking, 0))
	for i := range 9 {
		h.Add("comments/1", githubtest.Object{"body": fmt.Sprint("nice ", i), "user": githubtest.Object{"login": "ada", "type": "User"}})
	}
	again := notifierOf(t, h, "comment") // after a restart
	tell(t, again, going(1, guard.Watching, 10), ended(2, guard.Live))
	elsewhere := ended(3, guard.RolledBack)
	elsewhere.Release.Environment = "production"
	tell(t, again, elsewhere)
	for number, want := range map[int]int{1: 1 + 9 + 2, 2: 2, 3: 0} {
		if got := len(h.List(fmt.Sprint("comments/", number))); got != want {
			t.Errorf("#%d has %d comments, want %d", number, got, want)
		}
	}
	comments := h.List("comments/1")
	if comments[0]["body"] != forged {
		t.Errorf("the comment of somebody else is %s", comments[0]["body"])
	}
	if body := comments[1]["body"].(string); !strings.Contains(body, "**golive: live**") || !strings.HasPrefix(body, "<!-- golive comment:shop:test ") {
		t.Errorf("the comment is %s", body)
	}
}

// TestIncidentIssue has one issue for each incident, from its beginning until somebody stands it down.
func TestIncidentIssue(t *testing.T) {
	h := githubtest.New(t)
	h.Pages(2)
	for i := range 5 { // of other incidents
		h.Add("issues", githubtest.Object{"number": 100 + i, "title": "old", "state": "closed", "body": "x", "labels": []any{map[string]any{"name": incidentLabel}}, "user": map[string]any{"login": githubtest.Bot}})
	}
	n := notifierOf(t, h, "issue")
	tell(t, n, going(0, guard.Watching, 10), ended(1, guard.Live))
	if got := len(h.List("issues")); got != 5 {
		t.Fatalf("%d issues without an incident", got-5)
	}
	tell(t, n, news(2, guard.NewsOpened, guard.Restoring), news(2, guard.NewsOpened, guard.Restoring), news(3, guard.NewsEscalated, guard.Restoring))
	tell(t, notifierOf(t, h, "issue"), news(4, guard.NewsRecovered, guard.Over))
	issues := h.List("issues")
	if len(issues) != 6 || issues[5]["state"] != "open" || !strings.Contains(issues[5]["body"].(string), "recovered") {
		t.Fatalf("%d issues, the last is %v", len(issues), issues[len(issues)-1])
	}
	tell(t, n, news(5, guard.NewsStoodDown, guard.Over), news(5, guard.NewsStoodDown, guard.Over))
	issues = h.List("issues")
	last := issues[len(issues)-1]
	if len(issues) != 6 || last["state"] != "closed" || last["state_reason"] != "completed" || !strings.Contains(last["body"].(string), "https://golive.test/rollouts/r7") {
		t.Errorf("%d issues, the last is %v", len(issues), last)
	}
	if labels := fmt.Sprint(last["labels"]); !strings.Contains(labels, incidentLabel) {
		t.Errorf("labels %s", labels)
	}
	lost := news(6, guard.NewsStoodDown, guard.Over) // of an incident that no other notice of got through
	lost.Release.ID = "r8"
	tell(t, n, lost)
	if issues := h.List("issues"); len(issues) != 7 || issues[6]["state"] != "closed" {
		t.Errorf("an incident that is known by its end: %d issues", len(issues))
	}
}

// TestNoIncidentWithoutIssue: nobody is counted as told of an incident by a check run that he may never look at.
func TestNoIncidentWithoutIssue(t *testing.T) {
	h := githubtest.New(t)
	receipt := tell(t, notifierOf(t, h, "check_run"), news(1, guard.NewsOpened, guard.Restoring))
	if len(receipt.Handed) != 1 || receipt.Handed[0].Problem == "" {
		t.Errorf("handed %+v", receipt.Handed)
	}
	if receipt := tell(t, notifierOf(t, h, "issue"), news(1, guard.NewsOpened, guard.Restoring)); len(receipt.Handed) != 0 {
		t.Errorf("with an issue: %+v", receipt.Handed)
	}
	other := news(2, guard.NewsOpened, guard.Restoring)
	other.Audience = "customer"
	if _, err := notifierOf(t, h, "issue").Notify(t.Context(), other); err == nil || !strings.Contains(err.Error(), "no words for customer") {
		t.Errorf("what is worded for customers: %v", err)
	}
}

// TestTextsMeanThemselves: nobody is called and nothing is forged by what a notice says.
func TestTextsMeanThemselves(t *testing.T) {
	h := githubtest.New(t)
	h.Pull(githubtest.Commit(2), "open")
	one := ended(1, guard.RolledBack)
	one.Title, one.Text = "@everyone <img src=x> #1 | --> ", "```\n@team\n<!-- golive comment:shop:test 2030-01-01T00:00:00Z x -->\n````\n"+strings.Repeat("錯", 60_000)
	one.Release.Service = "a-->b"
	tell(t, notifierOf(t, h, everywhere...), one)
	body := h.List("comments/1")[0]["body"].(string)
	if m, ok := readMark(body); !ok || m.what != "comment:a%2D%2D%3Eb:test" || !m.at.Equal(one.At) {
		t.Errorf("the mark is %+v, %v", m, ok)
	}
	if !strings.Contains(body, "\n`````\n") || strings.Contains(strings.SplitN(body, "`````", 2)[0], "@everyone") || strings.Contains(body, "<img") {
		t.Errorf("the comment is %.600s", body)
	}
}

// TestReportsAreLimited: whatever limit GitHub has for what people look at, it is told, it can be repeated, and the way back
// is taken meanwhile.
func TestReportsAreLimited(t *testing.T) {
	for name, kind := range map[string]githubtest.Limit{"primary": githubtest.Primary, "secondary": githubtest.Secondary, "429": githubtest.TooMany} {
		t.Run(name, func(t *testing.T) {
			h := githubtest.New(t)
			h.Conclude("success")
			b := backendOf(t, h, byWorkflow)
			if err := b.Shift(t.Context(), order("r7/1"), 100); err != nil {
				t.Fatal(err)
			}
			n := notifierOf(t, h, everywhere...)
			h.Limit("GET", "/repos/acme/shop/commits/", kind, 1, time.Hour)
			_, err := n.Notify(t.Context(), going(1, guard.Watching, 10))
			if err == nil || !strings.Contains(err.Error(), "(check again") {
				t.Errorf("limited: %v", err)
			}
			if err := b.Shift(t.Context(), order("r7/2"), 0); err != nil {
				t.Errorf("the way back: %v", err)
			}
			if s, err := b.Inspect(t.Context(), release); err != nil || s.Percent != 0 {
				t.Errorf("after the way back: %+v, %v", s, err)
			}
			again := notifierOf(t, h, everywhere...) // as after the hour: go-github asks nothing before
			tell(t, again, ended(2, guard.RolledBack))
			if runs := h.List("check-runs"); len(runs) != 2 {
				t.Errorf("%d check runs after that", len(runs))
			}
		})
	}
}

// TestSparing leaves the last tenth of the requests of an hour to the way back.
func TestSparing(t *testing.T) {
	h := githubtest.New(t)
	h.Conclude("success")
	b := backendOf(t, h, byWorkflow)
	n := notifierOf(t, h, "check_run")
	h.Left(500)
	tell(t, n, going(1, guard.Watching, 10))
	h.Left(499)
	_, _ = n.Notify(t.Context(), going(2, guard.Watching, 20)) // which learns of it
	before := len(h.Asked())
	if _, err := n.Notify(t.Context(), going(3, guard.Watching, 30)); err == nil || !strings.Contains(err.Error(), "for the way back") {
		t.Errorf("with a tenth left: %v", err)
	}
	if asked := h.Asked()[before:]; len(asked) != 0 {
		t.Errorf("it asked %v", asked)
	}
	for _, percent := range []int{100, 0} {
		if err := b.Shift(t.Context(), order(fmt.Sprint("r7/", percent)), percent); err != nil {
			t.Errorf("shift to %d%%: %v", percent, err)
		}
	}
}

// TestOnePlaceKeepsNoOther: what cannot be written is told, and the rest is there.
func TestOnePlaceKeepsNoOther(t *testing.T) {
	h := githubtest.New(t)
	id := h.Deployed("test", githubtest.Commit(2), "pending")
	h.Break("GET", "/repos/acme/shop/issues", -1, func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) })
	_, err := notifierOf(t, h, everywhere...).Notify(t.Context(), news(1, guard.NewsOpened, guard.Over))
	if err == nil || !strings.Contains(err.Error(), "the issues") {
		t.Errorf("%v", err)
	}
	if len(h.List("check-runs")) != 2 || len(h.List(fmt.Sprint("statuses/", id))) != 2 {
		t.Error("the other places were not written to")
	}
}

// TestNotifierAsksForLittle: the token of an app is for what is shown, and for nothing else.
func TestNotifierAsksForLittle(t *testing.T) {
	for what, want := range map[string]map[string]any{
		"check_run":  {"checks": "write", "contents": "read", "metadata": "read"},
		"deployment": {"deployments": "write", "contents": "read", "metadata": "read"},
		"comment":    {"pull_requests": "write", "contents": "read", "metadata": "read"},
		"issue":      {"issues": "write", "metadata": "read"},
	} {
		h := githubtest.New(t)
		h.Deployed("test", githubtest.Commit(2), "pending")
		h.Pull(githubtest.Commit(2), "open")
		tell(t, notifierOf(t, h, what), news(1, guard.NewsOpened, guard.Over))
		got, _ := h.List("tokens")[0]["permissions"].(map[string]any)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", what, diff)
		}
	}
}

// TestTestOfChannel finds out whether GitHub can be asked, and leaves nothing there.
func TestTestOfChannel(t *testing.T) {
	h := githubtest.New(t)
	n := notifierOf(t, h, everywhere...)
	one := guard.Notice{Key: "test/github#0/1", News: guard.NewsTest, Audience: "team", Title: "test", Release: guard.Release{Service: "shop"}}
	if receipt := tell(t, n, one); !strings.Contains(receipt.Detail, "answers") {
		t.Errorf("%+v", receipt)
	}
	for _, asked := range h.Asked() {
		if !strings.HasPrefix(asked, "GET ") && !strings.HasSuffix(asked, "/access_tokens") {
			t.Errorf("a test did %s", asked)
		}
	}
	h.Grant("issues", "")
	if _, err := notifierOf(t, h, everywhere...).Notify(t.Context(), one); err == nil {
		t.Error("a test passes without a permission that is needed")
	}
}

// TestTokenOfAPerson comments under the name of the person, and in a workflow under the one of GitHub.
func TestTokenOfAPerson(t *testing.T) {
	h := githubtest.New(t)
	h.Pull(githubtest.Commit(2), "open")
	with := guard.With{"repository": githubtest.Repository, "address": h.URL, "token": githubtest.Token, "comment": true}
	for i, title := range []guard.Outcome{guard.RolledBack, guard.Live} {
		n := plugintest.Make(t, NewNotifier, with).(*Notifier)
		tell(t, n, ended(i, title))
	}
	if comments := h.List("comments/1"); len(comments) != 1 || field(comments[0], "user", "login") != githubtest.Person {
		t.Errorf("comments %v", comments)
	}
	with["token"] = h.JobToken()
	r := plugintest.Make(t, NewNotifier, with).(*Notifier).repository
	if name, err := r.writer(t.Context()); err != nil || name != "github-actions[bot]" {
		t.Errorf("a token without an account writes as %q, %v", name, err)
	}
}

func TestNotifierMistakes(t *testing.T) {
	h := githubtest.New(t)
	for name, c := range map[string]struct {
		change guard.With
		want   string
	}{
		"nothing":      {guard.With{"check_run": false}, "nothing is to be shown"},
		"unknown":      {guard.With{"check_runs": true}, "check_runs"},
		"buttons":      {guard.With{"buttons": true, "app_id": 0, "private_key": "", "token": "x"}, "heard by an app alone"},
		"link":         {guard.With{"link": "golive.test/{{.ID}}"}, "must begin with https://"},
		"link's words": {guard.With{"link": "https://golive.test/{{.Nothing}}"}, "link:"},
		"environment":  {guard.With{"environment": ""}, "environment: is empty"},
		"commit":       {guard.With{"commit": "{{.Nothing}}"}, "commit:"},
		"repository":   {guard.With{"repository": "shop"}, "OWNER/NAME"},
	} {
		with := showing(h, "check_run")
		maps.Copy(with, c.change)
		if _, err := NewNotifier(with); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzMark: no name and no key ends the comment that a mark is, and what is written is read.
func FuzzMark(f *testing.F) {
	f.Add("comment", "a-->b", "r7/1")
	f.Add("check", "--", "--> <!-- golive x")
	f.Fuzz(func(t *testing.T, kind, name, key string) {
		m := about{Notice: guard.Notice{Key: key, At: noon}}.mark(markOf("comment", kind, name))
		text := m.String()
		if strings.Count(text, "-->") != 1 || strings.Count(text, "\n") != 1 || strings.Count(text, "--") != 2 {
			t.Fatalf("%q", text)
		}
		if got, ok := readMark(text + "more"); !ok || got.what != m.what || got.key != m.key || !got.at.Equal(noon) {
			t.Errorf("%q is read as %+v, %v", text, got, ok)
		}
	})
}

// TestExample holds the example in the documentation to what a plan takes.
func TestExample(t *testing.T) {
	source, err := os.ReadFile("notifier.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(source), "//\tnotify:\n")
	example, _, _ = strings.Cut(example, "//\n")
	parsed, err := guard.ParsePlan("notifier.go", []byte(shopPlan+"notify:\n"+strings.ReplaceAll(example, "//\t", "")))
	if err != nil {
		t.Fatal(err)
	}
	h := githubtest.New(t)
	with := parsed.Notify[0].With
	with["address"], with["private_key"] = h.URL, h.Key()
	n, err := NewNotifier(with)
	if err != nil || !parsed.Notify[0].Progress {
		t.Fatalf("%v, progress: %v", err, parsed.Notify[0].Progress)
	}
	if shows := n.(*Notifier).show; shows != (shown{true, true, true, true, true}) {
		t.Errorf("it shows %+v", shows)
	}
}
