package server_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/server"
	"github.com/golive-dev/golive/guard/store"
)

// A borrower is a client that guards by itself, told by hand what to do.
type borrower struct {
	*running
	ID       string
	Lease    string
	Fence    int64
	Accepted bool
	seq      int64
	headers  []string
}

// borrow opens a rollout by this plan of its own.
func (r *running) borrow(plan, to string, headers ...string) *borrower {
	r.Helper()
	return r.borrowBy(lendBody("shop", to, "1s", plan, time.Now()), headers...)
}

// borrowWatch is borrow for who may not say what the evidence is.
func (r *running) borrowWatch(plan, to string, headers ...string) *borrower {
	r.Helper()
	return r.borrowBy(strings.Replace(lendBody("shop", to, "1s", plan, time.Now()), "{", `{"purpose": "watch", `, 1), headers...)
}

func (r *running) borrowBy(body string, headers ...string) *borrower {
	r.Helper()
	b := &borrower{running: r, seq: 1, headers: headers}
	text := r.want(201, "POST", "/v1/rollouts", body, headers...)
	if err := json.Unmarshal([]byte(text), b); err != nil || b.ID == "" {
		r.Fatalf("%s: %v", text, err)
	}
	return b
}

func lendBody(service, to, every, plan string, at time.Time) string {
	return fmt.Sprintf(`{"service": %q, "from": "v1", "to": %q, "guard": {"every": %q, "plan": %q, "at": %q}}`,
		service, to, every, plan, at.UTC().Format(time.RFC3339Nano))
}

// record is the body of a record of this number.
func record(t *testing.T, seq int64, f guard.Fact) string {
	t.Helper()
	at := time.Now().UTC()
	kind, data, err := guard.Event{At: at, Fact: f}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"seq": %d, "at": %q, "kind": %q, "data": %s}`, seq, at.Format(time.RFC3339Nano), kind, data)
}

// keep has a fact kept, and wants a status.
func (b *borrower) keep(status int, f guard.Fact) string {
	b.Helper()
	body := record(b.T, b.seq+1, f)
	text := b.want(status, "POST", "/v1/leases/"+b.Lease+"/records", body, b.headers...)
	if status == http.StatusOK {
		b.seq++
	}
	return body + text
}

// empty takes all traffic from the new version of the shop.
func (s *site) empty() {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.world.at("shop").percent = 0
}

func accepting(o *server.Options) { o.AcceptPlans = true }

// TestBorrowed has a client guard by itself, and repeat what it may repeat.
func TestBorrowed(t *testing.T) {
	s := newSite(t)
	r := s.start("one", accepting)
	plan := planOf("shop", "advance: time")
	first := r.borrow(plan, "v2", "Idempotency-Key: step 7")
	if first.Lease == "" || first.Fence == 0 || !first.Accepted {
		t.Fatalf("borrowed %+v, want a lease under a fence, by the plan that was sent", first)
	}
	if again := r.borrow(plan, "v2", "Idempotency-Key: step 7"); again.Lease != first.Lease || again.ID != first.ID {
		t.Errorf("the repeat borrows %+v, want what the first did: %+v", again, first)
	}
	if other := r.borrow(plan, "v2", "Idempotency-Key: step 8"); other.Lease != "" || other.ID != first.ID {
		t.Errorf("another call for the same release borrows %+v, want its name alone", other)
	}
	began, state, err := r.Desk().Get(r.Context(), first.ID)
	if err != nil || began.Digest() == "" || state.Release.To != "v2" {
		t.Fatalf("%v, %+v", err, state)
	}
	if text := r.want(200, "GET", "/v1/rollouts/"+first.ID+"/journal", ""); !strings.Contains(text, "advance: time") {
		t.Error("the rollout does not begin with the plan that was sent")
	}

	// A record that was kept is kept once, however often its answer is lost.
	first.keep(200, guard.Resumed{Version: "test", Fence: first.Fence})
	body := record(t, first.seq+1, guard.Noted{Text: "once"})
	for range 3 {
		r.want(200, "POST", "/v1/leases/"+first.Lease+"/records", body)
	}
	first.seq++
	if text := r.want(200, "GET", "/v1/rollouts/"+first.ID+"/events", ""); strings.Count(text, `"once"`) != 1 {
		t.Errorf("a record that was repeated is kept otherwise than once: %s", text)
	}

	for name, bad := range map[string]string{
		"a gap":           record(t, first.seq+2, guard.Noted{Text: "late"}),
		"another content": record(t, first.seq, guard.Noted{Text: "other"}),
		"no fact":         fmt.Sprintf(`{"seq": %d, "at": "2026-11-24T12:00:00Z", "kind": "dreamt", "data": {}}`, first.seq+1),
		"opened again":    record(t, first.seq+1, guard.Opened{}),
		"no JSON":         `{"seq": 3, "soq": 4}`,
	} {
		t.Run(name, func(t *testing.T) { r.want(400, "POST", "/v1/leases/"+first.Lease+"/records", bad) })
	}

	// What is told to the rollout reaches the client, and the server guards nothing of it.
	request, err := http.NewRequestWithContext(t.Context(), "GET", r.web.URL+"/v1/leases/"+first.Lease+"/told", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	told, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer told.Body.Close()
	r.want(202, "POST", "/v1/rollouts/"+first.ID+"/orders", `{"verb": "rollback", "why": "customers complain"}`)
	for lines := bufio.NewScanner(told.Body); ; {
		if !lines.Scan() {
			t.Fatal("the order does not reach the client")
		}
		if strings.HasPrefix(lines.Text(), "data: ") && strings.Contains(lines.Text(), "customers complain") {
			break
		}
	}
	if p := s.world.at("shop"); len(p.shifts) > 0 {
		t.Errorf("the server has moved the traffic of a rollout that a client guards: %v", p.shifts)
	}

	// Given back in the middle, it is any server's, which takes the order that the client did not.
	r.want(200, "POST", "/v1/leases/"+first.Lease+"/beat", "")
	r.want(200, "DELETE", "/v1/leases/"+first.Lease, "")
	r.want(410, "DELETE", "/v1/leases/"+first.Lease, "")
	r.want(410, "POST", "/v1/leases/"+first.Lease+"/beat", "")
	first.keep(410, guard.Noted{Text: "too late"})
	s1 := r.await(first.ID, "over", func(s guard.State) bool { return s.Phase == guard.Over })
	if !strings.Contains(s1.Why, "customers complain") {
		t.Errorf("it ended as %s: %s", s1.Outcome, s1.Why)
	}
}

// TestBorrowedAndLost has clients that do not beat any more, and a server that ends.
func TestBorrowedAndLost(t *testing.T) {
	s := newSite(t)
	r := s.start("one", accepting)
	silent := r.borrow(planOf("shop", ""), "v2")
	silent.keep(200, guard.Resumed{Version: "test", Fence: silent.Fence})
	s2 := r.await(silent.ID, "guarded by the server", func(s guard.State) bool { return s.Fence > silent.Fence })
	if s2.Release.To != "v2" {
		t.Errorf("the server guards %+v", s2.Release)
	}
	if text := silent.keep(409, guard.Noted{Text: "back again"}); !strings.Contains(text, silent.ID) {
		t.Errorf("a client that was replaced is told %s, without the name of its rollout", text)
	}
	r.want(410, "POST", "/v1/leases/"+silent.Lease+"/beat", "")
	r.over(silent.ID, guard.Live)

	s.empty()
	beating := r.borrow(planOf("shop", ""), "v3")
	beating.keep(200, guard.Resumed{Version: "test", Fence: beating.Fence})
	last, stalled := time.Now(), false
	for began := last; time.Since(began) < 4*time.Second; time.Sleep(100 * time.Millisecond) { // for longer than three beats
		status, text := r.ask("POST", "/v1/leases/"+beating.Lease+"/beat", "")
		stalled = stalled || time.Since(last) > time.Second // the machine is too busy for this question
		if last = time.Now(); status != 200 && !stalled {
			t.Fatalf("a client that beats is told %d %s", status, text)
		}
	}
	if s := r.state(beating.ID); s.Fence != beating.Fence && !stalled {
		t.Errorf("a client that beats was replaced: fence %d after %d", s.Fence, beating.Fence)
	}
	r.end()
	two := s.start("two", accepting)
	two.over(beating.ID, guard.Live)
	two.want(410, "POST", "/v1/leases/"+beating.Lease+"/beat", "")
}

// TestBorrowedPlans says whose plan counts, and who may send one.
func TestBorrowedPlans(t *testing.T) {
	s := newSite(t)
	own := planOf("shop", "")
	closed := s.start("closed", nil)
	foreign := closed.borrow(planOf("shop", "advance: time"), "v2")
	if foreign.Accepted || foreign.Lease == "" {
		t.Errorf("a server that takes no plans answers %+v", foreign)
	}
	if text := closed.want(200, "GET", "/v1/rollouts/"+foreign.ID+"/journal", ""); strings.Contains(text, "advance: time") {
		t.Error("a server that takes no plans has kept one")
	}
	closed.want(200, "DELETE", "/v1/leases/"+foreign.Lease, "")
	closed.over(foreign.ID, guard.Live)
	s.empty()
	if same := closed.borrow(own, "v3"); !same.Accepted {
		t.Errorf("the plan that the server has itself is answered %+v", same)
	} else {
		closed.want(409, "POST", "/v1/rollouts", lendBody("shop", "v4", "1s", own, time.Now()))
		closed.want(200, "DELETE", "/v1/leases/"+same.Lease, "")
		closed.over(same.ID, guard.Live)
	}
	closed.want(404, "POST", "/v1/rollouts", lendBody("other", "v2", "1s", planOf("other", ""), time.Now()))
	closed.end()

	s.empty()
	open := s.start("open", accepting)
	for name, body := range map[string]string{
		"a plan of another service": lendBody("shop", "v2", "1s", planOf("other", ""), time.Now()),
		"a plan with mistakes":      lendBody("shop", "v2", "1s", "servise: shop", time.Now()),
		"too slow":                  lendBody("shop", "v2", "1h", own, time.Now()),
		"too fast":                  lendBody("shop", "v2", "1ms", own, time.Now()),
		"a clock that is ahead":     lendBody("shop", "v2", "1s", own, time.Now().Add(time.Hour)),
		"no version":                lendBody("shop", "", "1s", own, time.Now()),
	} {
		t.Run(name, func(t *testing.T) {
			if text := open.want(400, "POST", "/v1/rollouts", body); strings.Contains(text, "Idempotency") {
				t.Error(text)
			}
		})
	}
	elsewhere := open.want(201, "POST", "/v1/rollouts", lendBody("other", "v2", "1s", planOf("other", ""), time.Now()))
	if !strings.Contains(elsewhere, `"accepted":true`) {
		t.Errorf("a service that the server has no plan of is answered %s", elsewhere)
	}
}

// TestBorrowedByWhom lets nobody speak of a lease but who has it, and nobody have one who may not operate.
func TestBorrowedByWhom(t *testing.T) {
	s := newSite(t)
	secrets := map[string]string{}
	var lines []string
	for name, right := range map[string]server.Right{"step": server.Operate, "other": server.Operate, "reader": server.View} {
		secret, line := server.NewToken(name, []server.Right{right})
		secrets[name], lines = "Authorization: Bearer "+secret, append(lines, line)
	}
	tokens, err := server.ParseTokens(strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := s.start("one", func(o *server.Options) {
		accepting(o)
		o.Access = server.Access{Tokens: tokens}
	})
	r.want(403, "POST", "/v1/rollouts", lendBody("shop", "v2", "1s", planOf("shop", ""), time.Now()), secrets["reader"])
	r.want(403, "POST", "/v1/rollouts", lendBody("shop", "v2", "1s", planOf("shop", ""), time.Now()), secrets["step"])
	b := r.borrowWatch(planOf("shop", ""), "v2", secrets["step"])
	for name, status := range map[string]int{"other": 410, "reader": 403} {
		r.want(status, "POST", "/v1/leases/"+b.Lease+"/beat", "", secrets[name])
		r.want(status, "DELETE", "/v1/leases/"+b.Lease, "", secrets[name])
		r.want(status, "GET", "/v1/leases/"+b.Lease+"/told", "", secrets[name])
		r.want(status, "POST", "/v1/leases/"+b.Lease+"/records", record(t, 2, guard.Noted{Text: "x"}), secrets[name])
	}
	b.keep(200, guard.Noted{Text: "mine"})
}

// TestBorrowedAndForged has a client write what nobody has said, and what it may not say.
func TestBorrowedAndForged(t *testing.T) {
	tokens, err := server.ParseTokens("step operate,view " + viewSecret + "\nann view,operate,approve " + allSecret)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	r := s.start("one", func(o *server.Options) {
		accepting(o)
		o.Access = server.Access{Tokens: tokens}
	})
	b := r.borrowWatch(planOf("shop", ""), "v2", as(viewSecret))
	events := func() string { return r.want(200, "GET", "/v1/rollouts/"+b.ID+"/events", "", as(allSecret)) }
	if text := events(); !strings.Contains(text, `"by":"step"`) {
		t.Errorf("it does not say who has opened it: %s", text)
	}
	if text := s.log.String(); !strings.Contains(text, "msg=changed") || !strings.Contains(text, "what=opened by=step") {
		t.Error("the log does not say who has opened it")
	}
	b.keep(400, guard.Resumed{Fence: b.Fence + 1})
	b.keep(200, guard.Resumed{Fence: b.Fence})
	b.keep(403, guard.Ordered{Verb: guard.OrderProceed, By: "ann", Why: "all is well"})
	b.keep(200, guard.Noted{Text: "mine", By: "ann"})
	if text := events(); !strings.Contains(text, `"by":"step (ann)"`) {
		t.Errorf("a client speaks in the name of another: %s", text)
	}
	at := func(seq int64, at time.Time) string {
		return fmt.Sprintf(`{"seq": %d, "at": %q, "kind": "noted", "data": {"fact": {"text": "x"}}}`, seq, at.UTC().Format(time.RFC3339Nano))
	}
	for _, wrong := range []time.Duration{time.Hour, -time.Hour} {
		r.want(400, "POST", "/v1/leases/"+b.Lease+"/records", at(b.seq+1, time.Now().Add(wrong)), as(viewSecret))
	}

	// What was told is handed on as it was told, once, by whom it was told.
	r.want(202, "POST", "/v1/rollouts/"+b.ID+"/orders", `{"verb": "proceed", "why": "seen"}`, as(allSecret))
	pending, err := s.store.Pending(t.Context(), b.ID)
	if err != nil || len(pending) != 1 {
		t.Fatalf("%v, %v", pending, err)
	}
	n := pending[0].N
	b.keep(400, guard.Ordered{Verb: guard.OrderProceed, By: "ann", Why: "seen", Offset: n + 1})
	b.keep(400, guard.Ordered{Verb: guard.OrderProceed, By: "bob", Why: "seen", Offset: n})
	b.keep(400, guard.Noted{Text: "seen", By: "ann", Offset: n})
	b.keep(200, guard.Ordered{Verb: guard.OrderProceed, By: "ann", Why: "seen", Offset: n})
	b.keep(400, guard.Ordered{Verb: guard.OrderProceed, By: "ann", Why: "seen", Offset: n})
	if text := events(); !strings.Contains(text, `"by":"ann"`) {
		t.Errorf("what ann has ordered is handed on as another's: %s", text)
	}

	// Who may approve may do so where he guards, too.
	s.write("other.yaml", planOf("other", ""))
	var o borrower
	text := r.want(201, "POST", "/v1/rollouts", lendBody("other", "v2", "1m", planOf("other", ""), time.Now()), as(allSecret))
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	r.want(200, "POST", "/v1/leases/"+o.Lease+"/records", record(t, 2, guard.Ordered{Verb: guard.OrderProceed}), as(allSecret))
}

// TestBorrowedAndUnchecked gives back what nobody has checked, and what was watched by a client: the server checks, and
// watches the step from its beginning.
func TestBorrowedAndUnchecked(t *testing.T) {
	s := newSite(t)
	r := s.start("one", accepting)
	events := func(id string) string { return r.want(200, "GET", "/v1/rollouts/"+id+"/events", "") }
	unchecked := r.borrow(planOf("shop", ""), "v2")
	unchecked.answer(guard.Checked{Findings: []guard.Finding{{Verdict: guard.Pass, Reason: "said by the client"}}})
	if text := events(unchecked.ID); strings.Contains(text, `"fine"`) || len(r.state(unchecked.ID).Findings) != 1 {
		t.Fatalf("what the client has found is not kept: %s", text)
	}
	r.want(200, "DELETE", "/v1/leases/"+unchecked.Lease, "")
	r.await(unchecked.ID, "watching", watching)
	if text := events(unchecked.ID); !strings.Contains(text, `"reason":"fine"`) {
		t.Errorf("the server has not checked by itself: %s", text)
	}
	r.over(unchecked.ID, guard.Live)

	s.write("other.yaml", planOf("other", ""))
	watched := &borrower{running: r, seq: 1}
	text := r.want(201, "POST", "/v1/rollouts", lendBody("other", "v2", "1m", planOf("other", ""), time.Now()))
	if err := json.Unmarshal([]byte(text), watched); err != nil {
		t.Fatal(err)
	}
	standing := guard.Standing{Undo: guard.Undo{Open: true}}
	watched.answer(guard.Checked{Findings: []guard.Finding{{Verdict: guard.Pass, Reason: "said by the client"}}})
	watched.answer(guard.Inspected{Standing: standing})
	watched.answer(guard.Shifted{Percent: 50})
	standing.Percent = 50
	watched.answer(guard.Inspected{Standing: standing})
	before := r.state(watched.ID)
	if before.Phase != guard.Watching || before.Seen != 50 {
		t.Fatalf("the client has come to %s at %d %%", before.Phase, before.Seen)
	}
	s.world.mu.Lock()
	s.world.at("other").percent = 50
	s.world.mu.Unlock()
	r.want(200, "DELETE", "/v1/leases/"+watched.Lease, "")
	r.await(watched.ID, "watched by the server", func(s guard.State) bool {
		return s.Phase == guard.Watching && s.Fence > before.Fence && s.Began.After(before.Began)
	})
	r.over(watched.ID, guard.Live)
}

// TestBorrowedAndCutOff gives a lease back whose rollout is over, again after the first try was cut off.
func TestBorrowedAndCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "golive.db")
	kept, err := store.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	s := newSite(t)
	s.store = kept
	r := s.start("one", accepting)
	var b borrower
	text := r.want(201, "POST", "/v1/rollouts", lendBody("shop", "v2", "1m", planOf("shop", ""), time.Now()))
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	r.want(200, "POST", "/v1/leases/"+b.Lease+"/records", record(t, 2, guard.Interrupted{Signal: "terminated"}))
	if s := r.state(b.ID); s.Phase != guard.Over {
		t.Fatalf("it is %s", s.Phase)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lock, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := lock.ExecContext(t.Context(), "PRAGMA busy_timeout = 30000; BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ctx, cut := context.WithTimeout(t.Context(), time.Second)
	defer cut()
	request, err := http.NewRequestWithContext(ctx, "DELETE", r.web.URL+"/v1/leases/"+b.Lease, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Fatalf("it is given back while nothing can be written: %s", response.Status)
	}
	if _, err := lock.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	r.want(200, "DELETE", "/v1/leases/"+b.Lease, "")
	if one, err := kept.Find(t.Context(), b.ID); err != nil || one.Open {
		t.Errorf("it is open still: %v (%v)", one.Open, err)
	}
}

// answer has an answer kept to what its rollout waits for.
func (b *borrower) answer(f guard.Fact) {
	b.Helper()
	task := 0
	for _, todo := range b.state(b.ID).Todo {
		if _, waits := todo.Deed.(guard.Wait); !waits {
			task = todo.ID
		}
	}
	at := time.Now().UTC()
	kind, data, err := guard.Event{At: at, Task: task, Fact: f}.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.seq++
	b.want(200, "POST", "/v1/leases/"+b.Lease+"/records",
		fmt.Sprintf(`{"seq": %d, "at": %q, "kind": %q, "data": %s}`, b.seq, at.Format(time.RFC3339Nano), kind, data), b.headers...)
}

// TestBorrowedMakesRoom: a watch that a client guards by itself takes the place of the watch of an older version.
func TestBorrowedMakesRoom(t *testing.T) {
	r := newSite(t).start("one", accepting)
	var old struct{ ID string }
	text := r.want(201, "POST", "/v1/rollouts", `{"service": "shop", "from": "v1", "to": "v2", "purpose": "watch"}`)
	if err := json.Unmarshal([]byte(text), &old); err != nil {
		t.Fatal(err)
	}
	r.await(old.ID, "watching", watching)
	b := r.borrowWatch(planOf("shop", ""), "v3")
	r.over(old.ID, guard.Overdue)
	b.keep(200, guard.Noted{Text: "mine"})
}

// TestBorrowedAndStated: who guards by itself says no more of the incident than elsewhere.
func TestBorrowedAndStated(t *testing.T) {
	s := newSite(t)
	secret, line := server.NewToken("bo", []server.Right{server.View, server.Operate})
	tokens, err := server.ParseTokens(line)
	if err != nil {
		t.Fatal(err)
	}
	r := startAnswering(s, "one", &post{}, &ledger{}, func(o *server.Options) {
		o.Access = server.Access{Tokens: tokens}
		o.AcceptPlans = true
	})
	b := r.borrowWatch(answeringPlan("shop"), "v2", "Authorization: Bearer "+secret)
	b.keep(200, guard.Resumed{Version: "test", Fence: b.Fence})
	b.keep(400, guard.Stated{What: guard.StateCause, Text: "too early"})
	b.answer(guard.Checked{Findings: []guard.Finding{{Verdict: guard.Pass}}})
	b.answer(guard.Inspected{Standing: guard.Standing{Percent: 50, Undo: guard.Undo{Open: true}}})
	b.keep(200, guard.Ordered{Verb: guard.OrderRollback, Why: "nobody can pay"})
	if s := r.state(b.ID); !s.Incident.Open() {
		t.Fatalf("no incident is open: %s, %s", s.Phase, s.Why)
	}
	for _, refused := range []guard.Stated{
		{What: guard.StateSignOff, Subject: "commander"}, {What: guard.StateStandDown, Text: "it is over"},
	} {
		if text := b.keep(403, refused); !strings.Contains(text, "ann (commander)") {
			t.Errorf("%s: %s", refused.What, text)
		}
	}
	b.keep(400, guard.Stated{What: "panic"})
	b.keep(200, guard.Stated{What: guard.StateCause, Text: "a bad build"})
	if i := r.state(b.ID).Incident; !i.Open() || i.Cause != "a bad build" || len(i.Signed) > 0 {
		t.Errorf("%+v", i)
	}
}
