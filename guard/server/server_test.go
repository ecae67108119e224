package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/guard/server"
	"github.com/golive-dev/golive/guard/store"
)

// planOf is a plan whose rollouts take a few seconds.
func planOf(service string, more string) string {
	return `
service: ` + service + `
environment: test
rollout:
  backend: {use: world}
  steps: [50, 100]
  bake: {for: 1s, hold_back: 20%}
  ` + more + `
watch:
  source: {use: world}
  every: 1s
  warmup: 0s
  episodes: 0s
  promote: {min_step: 1s, max_step: 5m, margin: 5pp}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}', never: 40%}]
`
}

// A world is the traffic of all services: a backend and a source in one, which remembers every shift.
type world struct {
	mu     sync.Mutex
	places map[string]*place
}

type place struct {
	percent int
	seen    time.Time
	counts  map[guard.Arm]*[2]float64
	shifts  []int
}

func (w *world) at(service string) *place {
	p := w.places[service]
	if p == nil {
		p = &place{seen: time.Now(), counts: map[guard.Arm]*[2]float64{guard.Canary: {}, guard.Baseline: {}}}
		w.places[service] = p
	}
	return p
}

func (w *world) Inspect(_ context.Context, r guard.Release) (guard.Standing, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return guard.Standing{Percent: w.at(r.Service).percent, Undo: guard.Undo{Open: true}}, nil
}

func (w *world) Shift(_ context.Context, o guard.Order, percent int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.at(o.Service)
	p.percent = percent
	p.shifts = append(p.shifts, percent)
	return nil
}

func (w *world) Finish(context.Context, guard.Order) error { return nil }

// Read counts a thousand requests a second. A version that is called bad answers a third of them with errors.
func (w *world) Read(_ context.Context, q guard.Query) (guard.Reading, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.at(q.Release.Service)
	now := time.Now()
	n := 1000 * now.Sub(p.seen).Seconds()
	p.seen = now
	share := float64(p.percent) / 100
	reading := guard.Reading{At: now}
	for arm, share := range map[guard.Arm]float64{guard.Canary: share, guard.Baseline: 1 - share} {
		c := p.counts[arm]
		c[0] += n * share
		if arm == guard.Canary && q.Release.To == "bad" {
			c[1] += n * share / 3
		}
		reading.Series = append(reading.Series, guard.Series{Signal: "errors", Arm: arm, Instance: string(arm), At: now, Total: c[0], Bad: c[1]})
	}
	return reading, nil
}

func (w *world) parts(context.Context, *guard.Plan) (engine.Parts, func(), error) {
	return engine.Parts{
		Backend: w, Source: w,
		Checks: []guard.Check{{Code: "X1", ID: "fine", Title: "All is well", Run: func(context.Context, guard.Scene) ([]guard.Finding, error) {
			return []guard.Finding{{Verdict: guard.Pass, Reason: "fine"}}, nil
		}}},
	}, func() {}, nil
}

// A site is a store, a directory of plans, a world, and the servers before them.
type site struct {
	*testing.T
	world *world
	store *store.Store
	dir   string
	log   *logged
}

type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newSite(t *testing.T) *site {
	t.Helper()
	kept, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "golive.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	s := &site{T: t, world: &world{places: map[string]*place{}}, store: kept, dir: t.TempDir(), log: &logged{}}
	s.write("shop.yaml", planOf("shop", ""))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", s.log)
		}
	})
	return s
}

func (s *site) write(name, text string) {
	s.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
}

// A running is a server that can be ended, and asked.
type running struct {
	*site
	*server.Server
	web *httptest.Server
	end func() // waits
}

// start starts a server. Without a change to its options it lets everybody in.
func (s *site) start(node string, change func(*server.Options)) *running {
	s.Helper()
	plans, err := server.ReadPlans(s.dir)
	if err != nil {
		s.Fatal(err)
	}
	o := server.Options{
		Store: s.store, Plans: plans, Parts: s.world.parts, Node: node, TTL: 3 * time.Second, Version: "test",
		Log: slog.New(slog.NewTextHandler(s.log, nil)).With("node", node), Access: server.Access{Open: true},
		Report: func(*guard.Plan, []guard.Event) string { return "once upon a time" },
	}
	if change != nil {
		change(&o)
	}
	r := &running{site: s, Server: server.New(o)}
	r.web = httptest.NewServer(r.Handler())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	r.end = sync.OnceFunc(func() { cancel(); <-ended; r.web.Close() })
	s.Cleanup(r.end)
	for began := time.Now(); r.Ready(s.Context()) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			s.Fatalf("the server is not ready: %v", r.Ready(s.Context()))
		}
	}
	return r
}

// ask sends a request, and returns the status and the body.
func (r *running) ask(method, path, body string, headers ...string) (int, string) {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), method, r.web.URL+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

// want asks, and wants a status.
func (r *running) want(status int, method, path, body string, headers ...string) string {
	r.Helper()
	got, text := r.ask(method, path, body, headers...)
	if got != status {
		r.Fatalf("%s %s: %d %s, want %d", method, path, got, text, status)
	}
	return text
}

func (r *running) open(service, from, to string) string {
	r.Helper()
	var o struct{ ID string }
	text := r.want(201, "POST", "/v1/rollouts", fmt.Sprintf(`{"service": %q, "from": %q, "to": %q}`, service, from, to))
	if err := json.Unmarshal([]byte(text), &o); err != nil || o.ID == "" {
		r.Fatalf("%s: %v", text, err)
	}
	return o.ID
}

// state is where a rollout stands.
func (r *running) state(id string) guard.State {
	r.Helper()
	_, s, err := r.Desk().Get(r.Context(), id)
	if err != nil {
		r.Fatal(err)
	}
	return s
}

// await waits for a rollout.
func (r *running) await(id, what string, done func(guard.State) bool) guard.State {
	r.Helper()
	for began := time.Now(); ; {
		s := r.state(id)
		if time.Since(began) > 2*time.Minute {
			r.Fatalf("%s is %s (%s), and this does not come: %s", id, s.Phase, s.Why, what)
		}
		if done(s) {
			return s
		} else if s.Phase == guard.Over {
			r.Fatalf("%s is over (%s: %s) before this: %s", id, s.Outcome, s.Why, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *running) over(id string, want guard.Outcome) {
	r.Helper()
	s := r.await(id, "over", func(s guard.State) bool { return s.Phase == guard.Over })
	if s.Outcome != want {
		r.Errorf("%s is %s (%s), want %s", id, s.Outcome, s.Why, want)
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) { // until it is put away
		one, err := r.store.Find(r.Context(), id)
		if err != nil {
			r.Fatal(err)
		}
		if !one.Open {
			return
		}
		if time.Since(began) > 2*time.Minute {
			r.Fatalf("%s is over, and not put away", id)
		}
	}
}

func watching(s guard.State) bool { return s.Phase == guard.Watching }

// TestRollouts lets one server guard a good version, a bad one, and one that somebody orders back.
func TestRollouts(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"good", "bad", "ordered"} {
		s.write(name+".yaml", planOf(name, ""))
	}
	r := s.start("one", nil)
	good, harmful, ordered := r.open("good", "v1", "v2"), r.open("bad", "v1", "bad"), r.open("ordered", "v1", "v2")
	r.await(ordered, "watching", watching)
	r.want(202, "POST", "/v1/rollouts/"+ordered+"/orders", `{"verb": "hold", "why": "lunch"}`)
	r.await(ordered, "held", func(s guard.State) bool { return strings.Contains(s.Held, "lunch") })
	r.want(202, "POST", "/v1/rollouts/"+ordered+"/acknowledgement", "")
	r.want(202, "POST", "/v1/rollouts/"+ordered+"/orders", `{"verb": "rollback", "why": "customers complain"}`)
	r.over(ordered, guard.RolledBack)
	r.over(harmful, guard.RolledBack)
	r.over(good, guard.Live)
	for id, want := range map[string]string{good: `"verdict":"healthy"`, harmful: `"regressed":true`, ordered: `"outcome":"rolled back"`} {
		if text := r.want(200, "GET", "/v1/rollouts/"+id+"/verdict", ""); !strings.Contains(text, want) {
			t.Errorf("the verdict on %s is %s, without %s", id, text, want)
		}
	}
	for _, service := range []string{"bad", "ordered"} {
		if p := s.world.at(service); p.percent != 0 {
			t.Errorf("%s has %d %% of the traffic: %v", service, p.percent, p.shifts)
		}
	}
	path := filepath.Join(t.TempDir(), good+journal.Extension)
	if err := os.WriteFile(path, []byte(r.want(200, "GET", "/v1/rollouts/"+good+"/journal", "")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if sum, err := journal.Verify(path); err != nil || sum.Records == 0 {
		t.Errorf("the exported journal has %d records: %v", sum.Records, err)
	}
	if text := r.want(200, "GET", "/v1/rollouts/"+good+"/report", ""); text != "once upon a time" {
		t.Errorf("the report is %q", text)
	}
	var list struct {
		Rollouts []struct{ ID, Outcome string }
	}
	if err := json.Unmarshal([]byte(r.want(200, "GET", "/v1/rollouts?open=false", "")), &list); err != nil || len(list.Rollouts) != 3 {
		t.Errorf("%v, %d rollouts are over, want 3", err, len(list.Rollouts))
	}
	r.want(409, "POST", "/v1/rollouts/"+good+"/orders", `{"verb": "rollback"}`)
}

// TestGoesOn ends a server in the middle, and lets another go on with its rollout; no traffic is moved in between.
func TestGoesOn(t *testing.T) {
	s := newSite(t)
	r := s.start("one", nil)
	id := r.open("shop", "v1", "v2")
	r.await(id, "watching", watching)
	r.want(202, "POST", "/v1/rollouts/"+id+"/orders", `{"verb": "hold"}`)
	r.await(id, "held", func(s guard.State) bool { return s.Held != "" })
	r.end()
	if p := s.world.at("shop"); p.percent != 50 {
		t.Fatalf("the traffic was moved to %d %%", p.percent)
	}
	again := s.start("two", nil)
	again.want(202, "POST", "/v1/rollouts/"+id+"/orders", `{"verb": "resume"}`)
	again.over(id, guard.Live)
}

// TestTakesOver lets an owner stand still with its rollout, and a server take it: the owner can write nothing any more.
func TestTakesOver(t *testing.T) {
	s := newSite(t)
	r := s.start("one", nil)
	r.write("late.yaml", planOf("late", ""))
	id := r.open("shop", "v1", "v2")
	r.await(id, "watching", watching)
	r.end()
	still, err := s.store.Join(t.Context(), "stands still", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	leases, err := s.store.Claim(t.Context(), still, 10)
	if err != nil || len(leases) != 1 {
		t.Fatalf("%d leases, %v", len(leases), err)
	}
	s.start("other", nil).over(id, guard.Live)
	if err := leases[0].Append(time.Now(), "noted", json.RawMessage(`{"fact": {"text": "late"}}`)); !errors.Is(err, store.ErrFenced) {
		t.Errorf("who stood still appends: %v", err)
	}
}

// TestPartsComeBack takes a rollout on whose parts cannot be made for a while: an order to take it back is obeyed as soon as
// they can.
func TestPartsComeBack(t *testing.T) {
	s := newSite(t)
	r := s.start("one", nil)
	id := r.open("shop", "v1", "bad")
	r.await(id, "watching", func(s guard.State) bool { return s.Seen == 50 })
	r.end()
	var tries atomic.Int32
	again := s.start("two", func(o *server.Options) {
		o.Parts = func(ctx context.Context, p *guard.Plan) (engine.Parts, func(), error) {
			if tries.Add(1) <= 3 {
				return engine.Parts{}, nil, errors.New("the plugin does not start")
			}
			return s.world.parts(ctx, p)
		}
	})
	again.want(202, "POST", "/v1/rollouts/"+id+"/orders", `{"verb": "rollback"}`)
	again.over(id, guard.RolledBack)
}

// TestUnreadable: a rollout whose records this version cannot read is listed, and disturbs no other.
func TestUnreadable(t *testing.T) {
	s := newSite(t)
	_, _, err := s.store.Accept(t.Context(), store.Delivery{ID: "x", Source: "test", At: time.Now()}, store.Opening{
		Rollout: "from-the-future", Target: "future/test", Records: []store.Entry{{At: time.Now(), Kind: "teleported", Data: json.RawMessage("{}")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := s.start("one", nil)
	id := r.open("shop", "v1", "v2")
	if text := r.want(200, "GET", "/v1/rollouts", ""); !strings.Contains(text, `"phase":"unreadable"`) || !strings.Contains(text, id) {
		t.Errorf("the list is %s", text)
	}
	r.want(200, "GET", "/", "")
	r.over(id, guard.Live)
	if n := strings.Count(s.log.String(), "not guarded any more"); n > 3 {
		t.Errorf("it was tried %d times in a few seconds", n)
	}
}

// TestLostTail lets the store lose the end of a history that was looked at: the next owner begins with what is there.
func TestLostTail(t *testing.T) {
	s := newSite(t)
	path := filepath.Join(t.TempDir(), "old.db")
	r := s.start("one", nil)
	id := r.open("shop", "v1", "v2")
	r.await(id, "watching", watching)
	r.want(202, "POST", "/v1/rollouts/"+id+"/orders", `{"verb": "hold"}`)
	r.await(id, "held", func(s guard.State) bool { return s.Held != "" })
	if err := s.store.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	seen := r.state(id)
	r.want(202, "POST", "/v1/rollouts/"+id+"/notes", `{"text": "lost"}`)
	r.await(id, "noted", func(s guard.State) bool { return s.At.After(seen.At) })
	r.end()
	old, err := store.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = old.Close() })
	s.store = old
	again := s.start("two", nil)
	again.want(202, "POST", "/v1/rollouts/"+id+"/orders", `{"verb": "resume"}`)
	again.over(id, guard.Live)
}

// TestOnce sends the same twice.
func TestOnce(t *testing.T) {
	r := newSite(t).start("one", nil)
	body := `{"service": "shop", "from": "v1", "to": "v2"}`
	first := r.want(201, "POST", "/v1/rollouts", body, "Idempotency-Key: a")
	if again := r.want(201, "POST", "/v1/rollouts", body, "Idempotency-Key: a"); again != first {
		t.Errorf("the repeat is answered %s, want %s", again, first)
	}
	if other := r.want(201, "POST", "/v1/rollouts", body, "Idempotency-Key: b"); other != first {
		t.Errorf("the same release is opened again: %s, want %s", other, first)
	}
	if busy := r.want(409, "POST", "/v1/rollouts", `{"service": "shop", "from": "v1", "to": "v3"}`); !strings.Contains(busy, `"rollout":`) {
		t.Errorf("another release is answered %s, without the rollout that is under way", busy)
	}
	var o struct{ ID string }
	if err := json.Unmarshal([]byte(first), &o); err != nil {
		t.Fatal(err)
	}
	r.await(o.ID, "watching", watching)
	for range 3 {
		r.want(202, "POST", "/v1/rollouts/"+o.ID+"/notes", `{"text": "seen"}`, "Idempotency-Key: n")
	}
	r.want(202, "POST", "/v1/rollouts/"+o.ID+"/notes", `{"text": "seen"}`, "Idempotency-Key: m")
	r.want(202, "POST", "/v1/rollouts/"+o.ID+"/notes", `{"text": "seen again"}`, "Idempotency-Key: n") // no repeat: it says something else
	r.over(o.ID, guard.Live)
	var events []struct{ Kind string }
	if err := json.Unmarshal([]byte(r.want(200, "GET", "/v1/rollouts/"+o.ID+"/events", "")), &events); err != nil {
		t.Fatal(err)
	}
	notes := 0
	for _, e := range events {
		if e.Kind == "noted" {
			notes++
		}
	}
	if notes != 3 {
		t.Errorf("%d notes are in the journal, want 3", notes)
	}
}

// TestSupersede lets a new release push the old one out, where the plan says so.
func TestSupersede(t *testing.T) {
	for name, chapters := range map[string]string{
		"nobody answers for an incident":       "",
		"it would be one that has to be ended": "severity: [{level: 1, when: 'true'}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.write("shop.yaml", planOf("shop", "on_new_release: supersede")+chapters)
			r := s.start("one", nil)
			old := r.open("shop", "v1", "v2")
			r.await(old, "watching", watching)
			r.want(409, "POST", "/v1/rollouts", `{"service": "shop", "from": "v1", "to": "v3"}`)
			r.over(old, guard.RolledBack)
			if was := r.state(old); was.Cause != guard.CauseWithdrawn || !was.Incident.Began.IsZero() {
				t.Errorf("it was taken back as %s, and is an incident since %s", was.Cause, was.Incident.Began)
			}
			for {
				status, text := r.ask("POST", "/v1/rollouts", `{"service": "shop", "from": "v1", "to": "v3"}`)
				switch {
				case status == 201:
					return
				case status != 409 || strings.Contains(text, "stood down"):
					t.Fatalf("%d: %s", status, text)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
}

// TestNoIncident takes a version back of which a person says that nothing has gone wrong, and one of which nobody does.
func TestNoIncident(t *testing.T) {
	s := newSite(t)
	s.write("shop.yaml", planOf("shop", "")+"severity: [{level: 1, when: 'true'}]\n")
	r := s.start("one", nil)
	id := r.open("shop", "v1", "v2")
	r.await(id, "watching", watching)
	path := "/v1/rollouts/" + id + "/orders"
	r.want(400, "POST", path, `{"verb": "hold", "why": "lunch", "no_incident": true}`)
	r.want(400, "POST", path, `{"verb": "rollback", "no_incident": true}`)
	r.want(202, "POST", path, `{"verb": "rollback", "why": "the campaign was put off", "no_incident": true}`)
	r.over(id, guard.RolledBack)
	if was := r.state(id); !was.Incident.Began.IsZero() {
		t.Errorf("it is an incident: %s", was.Why)
	}
	for {
		if status, _ := r.ask("POST", "/v1/rollouts", `{"service": "shop", "from": "v1", "to": "v3"}`); status == 201 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	id = r.find("v3")
	r.await(id, "watching", watching)
	r.want(202, "POST", "/v1/rollouts/"+id+"/orders", `{"verb": "rollback", "why": "customers complain"}`)
	r.await(id, "an incident", func(s guard.State) bool { return s.Phase == guard.Over && s.Incident.Open() })
	r.want(400, "POST", "/v1/rollouts/"+id+"/statements", `{"what": "cause", "text": "a bad build", "class": "weather"}`)
	r.want(202, "POST", "/v1/rollouts/"+id+"/statements", `{"what": "cause", "text": "a bad build", "class": "data_loss"}`)
	for r.state(id).Incident.Scenario != "data_loss" {
		time.Sleep(20 * time.Millisecond)
	}
}

// find is the name of the rollout of a version of the shop.
func (r *running) find(to string) string {
	r.Helper()
	id, err := r.Desk().Find(r.Context(), guard.Release{Service: "shop", Environment: "test", To: to})
	if err != nil {
		r.Fatal(err)
	}
	return id
}

// TestEvents follows a rollout to its end, cut off in the middle.
func TestEvents(t *testing.T) {
	r := newSite(t).start("one", nil)
	id := r.open("shop", "v1", "v2")
	var seen []string
	follow := func(most int) (over bool) {
		request, err := http.NewRequestWithContext(t.Context(), "GET", r.web.URL+"/v1/rollouts/"+id+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "text/event-stream")
		if len(seen) > 0 {
			request.Header.Set("Last-Event-ID", seen[len(seen)-1])
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if number, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				if seen = append(seen, number); len(seen) == most {
					return false
				}
			}
			if lines.Text() == "event: over" {
				return true
			}
		}
		t.Fatalf("the events end without an end: %v", lines.Err())
		return false
	}
	if follow(3) {
		t.Fatal("over after three events")
	}
	if !follow(-1) {
		t.Fatal("not over")
	}
	for i, number := range seen {
		if number != fmt.Sprint(i+1) {
			t.Fatalf("the events came as %v", seen)
		}
	}
	if one := r.state(id); one.Outcome != guard.Live {
		t.Errorf("it is %s", one.Outcome)
	}
}

// TestPlansChange writes a new plan under a running server: rollouts under way keep theirs, and a slip changes nothing.
func TestPlansChange(t *testing.T) {
	s := newSite(t)
	r := s.start("one", nil)
	id := r.open("shop", "v1", "v2")
	r.want(404, "POST", "/v1/rollouts", `{"service": "blog", "to": "v2"}`)
	s.write("blog.yaml", planOf("blog", ""))
	s.write("shop.yaml", "service: [")
	for {
		if status, _ := r.ask("POST", "/v1/rollouts", `{"service": "blog", "from": "v1", "to": "v2"}`); status == 201 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	r.over(id, guard.Live)
	r.open("shop", "v1", "v3")
	if !strings.Contains(s.log.String(), "shop.yaml") {
		t.Error("nothing is said of the plan that is wrong")
	}
}

// TestPartsMissing opens a rollout whose parts cannot be made: it ends without a launch, and says why.
func TestPartsMissing(t *testing.T) {
	r := newSite(t).start("one", func(o *server.Options) {
		o.Parts = func(context.Context, *guard.Plan) (engine.Parts, func(), error) {
			return engine.Parts{}, nil, fmt.Errorf("no plugin named moon")
		}
	})
	id := r.open("shop", "v1", "v2")
	s := r.await(id, "over", func(s guard.State) bool { return s.Phase == guard.Over })
	if s.Outcome != guard.Unknowable || !strings.Contains(s.Why, "no plugin named moon") {
		t.Errorf("it is %s: %s", s.Outcome, s.Why)
	}
}

// TestRefused asks for what cannot be.
func TestRefused(t *testing.T) {
	r := newSite(t).start("one", nil)
	id := r.open("shop", "v1", "v2")
	for _, test := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"no JSON", "POST", "/v1/rollouts", "{", 400},
		{"a word nobody knows", "POST", "/v1/rollouts", `{"service": "shop", "too": "v2"}`, 400},
		{"more than JSON", "POST", "/v1/rollouts", `{"service": "shop", "to": "v2"} {}`, 400},
		{"no version", "POST", "/v1/rollouts", `{"service": "shop"}`, 400},
		{"a version for itself", "POST", "/v1/rollouts", `{"service": "shop", "from": "v1", "to": "v1"}`, 400},
		{"no such purpose", "POST", "/v1/rollouts", `{"service": "shop", "to": "v2", "purpose": "fun"}`, 400},
		{"no such service", "POST", "/v1/rollouts", `{"service": "nothing", "to": "v2"}`, 404},
		{"too much", "POST", "/v1/rollouts", `{"service": "` + strings.Repeat("x", 1<<20) + `"}`, 413},
		{"no such rollout", "GET", "/v1/rollouts/nothing", "", 404},
		{"no such rollout's events", "GET", "/v1/rollouts/nothing/events", "", 404},
		{"no such rollout's journal", "GET", "/v1/rollouts/nothing/journal", "", 404},
		{"orders to none", "POST", "/v1/rollouts/nothing/orders", `{"verb": "hold"}`, 404},
		{"no such verb", "POST", "/v1/rollouts/" + id + "/orders", `{"verb": "sing"}`, 400},
		{"extend for ever", "POST", "/v1/rollouts/" + id + "/orders", `{"verb": "extend", "for": "1000h"}`, 400},
		{"extend by nothing", "POST", "/v1/rollouts/" + id + "/orders", `{"verb": "extend"}`, 400},
		{"an empty note", "POST", "/v1/rollouts/" + id + "/notes", `{"text": " "}`, 400},
		{"events after nonsense", "GET", "/v1/rollouts/" + id + "/events?after=x", "", 400},
		{"a list of too many", "GET", "/v1/rollouts?limit=1000", "", 400},
		{"a list before nonsense", "GET", "/v1/rollouts?before=x", "", 400},
		{"another method", "DELETE", "/v1/rollouts", "", 405},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, text := r.ask(test.method, test.path, test.body)
			if status != test.status || len(text) > 1000 {
				t.Errorf("%d %.300s, want %d", status, text, test.status)
			}
		})
	}
}

// TestDescription holds the description of the API to what is served.
func TestDescription(t *testing.T) {
	r := newSite(t).start("one", nil)
	id := r.open("shop", "v1", "v2")
	var d struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct{ Schema map[string]any }
			}
		}
	}
	if err := json.Unmarshal([]byte(r.want(200, "GET", "/v1/openapi.json", "")), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Paths) < 10 {
		t.Fatalf("%d paths", len(d.Paths))
	}
	for path, item := range d.Paths {
		get, found := item["get"]
		if !found || strings.Contains(path, "{lease}") || strings.Contains(path, "{sha256}") { // a stream that does not end, and what only an incident has: they have tests of their own
			continue
		}
		status, text := r.ask("GET", strings.Replace(path, "{id}", id, 1), "")
		if status != 200 {
			t.Errorf("GET %s: %d %s", path, status, text)
			continue
		}
		content, described := get.Responses["200"].Content["application/json"]
		if !described {
			continue
		}
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Errorf("GET %s: %v", path, err)
			continue
		}
		if err := fits(value, content.Schema); err != nil {
			t.Errorf("GET %s: %v\n%s", path, err, text)
		}
	}
}

// literal is a pattern that stands in the source by itself, beside the table that the description is made of.
var literal = regexp.MustCompile(`"(GET|POST|PUT|PATCH|DELETE) (/[^"]*)"`)

// TestAllDescribed: what programs can ask for is described, with the hooks and the metrics. The pages are for people.
func TestAllDescribed(t *testing.T) {
	r := newSite(t).start("one", func(o *server.Options) { o.Access = known(t) })
	r.Hooks = hooks(r.Server)
	t.Cleanup(r.web.Close)
	r.web = httptest.NewServer(r.Handler())
	type operation struct {
		Security []map[string]any
		Right    server.Right `json:"x-golive-right"`
		Signed   bool         `json:"x-golive-signed"`
	}
	var d struct {
		Paths map[string]map[string]operation
	}
	if err := json.Unmarshal([]byte(r.want(200, "GET", "/v1/openapi.json", "")), &d); err != nil {
		t.Fatal(err)
	}
	token := []map[string]any{{"token": []any{}}}
	for path, want := range map[string]operation{
		"get /metrics":           {token, server.View, false},
		"post /v1/hooks/plain/":  {token, server.Deliver, false},
		"post /v1/hooks/signed/": {[]map[string]any{}, "", true},
	} {
		method, path, _ := strings.Cut(path, " ")
		got, found := d.Paths[path][method]
		if diff := cmp.Diff(want, got); !found || diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", method, path, diff)
		}
		status, _ := r.ask(strings.ToUpper(method), path, `{}`)
		if signed := got.Signed; status == 404 || signed != (status != 401) {
			t.Errorf("%s %s is answered %d without a token", method, path, status)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	pages := regexp.MustCompile(`^/(\{\$\}|rollouts/.*|assets/.*|login.*|logout|ack)$`)
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, pattern := range literal.FindAllStringSubmatch(string(text), -1) {
			found++
			if _, described := d.Paths[pattern[2]][strings.ToLower(pattern[1])]; !described && !pages.MatchString(pattern[2]) {
				t.Errorf("%s serves %s, which is not described", name, pattern[0])
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d patterns were found in the source", found)
	}
}

// fits says how a value differs from a schema, as far as the description of the API goes.
func fits(value any, schema map[string]any) error {
	switch schema["type"] {
	case "object":
		o, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%v is no object", value)
		}
		properties, described := schema["properties"].(map[string]any)
		if !described {
			return nil
		}
		for name, v := range o {
			p, known := properties[name].(map[string]any)
			if !known {
				return fmt.Errorf("%s is not described", name)
			}
			if err := fits(v, p); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, there := o[name.(string)]; !there {
				return fmt.Errorf("%s is missing", name)
			}
		}
	case "array":
		list, ok := value.([]any)
		if !ok {
			return fmt.Errorf("%v is no list", value)
		}
		for _, v := range list {
			if err := fits(v, schema["items"].(map[string]any)); err != nil {
				return err
			}
		}
	case "string":
		if _, ok := value.(string); !ok {
			return fmt.Errorf("%v is no string", value)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			return fmt.Errorf("%v is neither true nor false", value)
		}
	case "integer", "number":
		if _, ok := value.(float64); !ok {
			return fmt.Errorf("%v is no number", value)
		}
	}
	return nil
}
