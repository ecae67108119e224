package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/server"
)

// answeringPlan is a plan that has somebody answer when it goes wrong.
func answeringPlan(service string) string {
	return planOf(service, "") + `
notify: [{use: post}]
severity:
  - {level: 1, name: outage, when: "down", lead: commander, activate: 1h}
  - {level: 2, name: impaired, when: "true", lead: commander, activate: 1h}
escalate:
  - {after: 2h, to: executive, unless: acknowledged}
roster:
  people:
    - {name: ann, role: commander, reach: [{email: ann@example.com}]}
    - {name: bo, role: developer}
`
}

// A post is a channel that remembers what it was given.
type post struct {
	mu      sync.Mutex
	notices []guard.Notice
}

func (p *post) Notify(_ context.Context, n guard.Notice) (guard.Receipt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notices = append(p.notices, n)
	return guard.Receipt{Handed: []guard.Handed{{Name: "ann", Role: "commander", Way: "email"}}}, nil
}

func (p *post) all() []guard.Notice {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.notices)
}

// kept is what lies in the evidence.
const kept = "<script>alert(1)</script>\n"

// keptDigest is its name there.
var keptDigest = fmt.Sprintf("%x", sha256.Sum256([]byte(kept)))

// startAnswering starts a server whose plan has somebody answer. Its ledger is what it was told to remember.
func startAnswering(s *site, node string, channel *post, ledger *ledger, change func(*server.Options)) *running {
	s.Helper()
	return s.start(node, func(o *server.Options) {
		o.Parts = func(ctx context.Context, p *guard.Plan) (engine.Parts, func(), error) {
			parts, letGo, err := s.world.parts(ctx, p)
			parts.Notifiers = []guard.Notifier{channel}
			return parts, letGo, err
		}
		o.Address, o.LinkKey = "https://golive.example.com/", strings.Repeat("k", 40)
		o.Remember = ledger.remember
		o.Evidence = func(digest string) (io.ReadCloser, error) {
			if digest != keptDigest {
				return nil, fmt.Errorf("open %s: %w", digest, fs.ErrNotExist)
			}
			return io.NopCloser(strings.NewReader(kept)), nil
		}
		if change != nil {
			change(o)
		}
	})
}

// A ledger remembers each entry once, as that of golive serve does.
type ledger struct {
	mu  sync.Mutex
	all guard.Ledger
}

func (l *ledger) remember(_ *guard.Plan, entries []guard.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		if !l.all.Has(e) {
			l.all.Entries = append(l.all.Entries, e)
		}
	}
}

func (l *ledger) kinds() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, e := range l.all.Entries {
		all = append(all, fmt.Sprintf("%s %s", e.Act, e.Kind))
	}
	return strings.Join(all, ", ")
}

func (l *ledger) await(t *testing.T, want string) {
	t.Helper()
	for began := time.Now(); l.kinds() != want; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("the ledger has %q, want %q", l.kinds(), want)
		}
	}
}

// befallen opens a release that does harm, and waits until the traffic is back and everybody was told so.
func (r *running) befallen(service string, channel *post) string {
	r.Helper()
	id := r.open(service, "v1", "bad")
	r.awaitIncident(id, "back, and told", func(s guard.State) bool {
		return s.Phase == guard.Over && s.Incident.Open() && slices.ContainsFunc(channel.all(), func(n guard.Notice) bool { return n.News == guard.NewsRecovered })
	})
	return id
}

// awaitIncident is await of what comes when the traffic is back.
func (r *running) awaitIncident(id, what string, done func(guard.State) bool) guard.State {
	r.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		s := r.state(id)
		if done(s) {
			return s
		}
		if time.Since(began) > 2*time.Minute {
			r.Fatalf("%s is %s (%s), and this does not come: %s\n%+v\n%+v", id, s.Phase, s.Why, what, s.Incident, s.Todo)
		}
	}
}

// TestIncident keeps an incident through the restart of its server and a second server, until somebody stands it down:
// what is owed stays as it is, no notice is lost, and whoever asks about the traffic is answered as if there were none.
func TestIncident(t *testing.T) {
	s := newSite(t)
	s.write("shop.yaml", answeringPlan("shop"))
	channel, book := &post{}, &ledger{}
	r := startAnswering(s, "one", channel, book, nil)
	id := r.befallen("shop", channel)
	owed := r.state(id).Incident.Owed
	if len(owed) == 0 {
		t.Fatal("nothing is owed")
	}
	book.await(t, "obligation incident, result rollout")
	r.end()

	r = startAnswering(s, "two", channel, book, nil)
	r.awaitIncident(id, "taken on by the second server", func(guard.State) bool {
		one, err := r.store.Find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return one.Open && one.Node == "two"
	})
	if diff := cmp.Diff(owed, r.state(id).Incident.Owed); diff != "" {
		t.Errorf("a restart has changed what is owed (-before +after):\n%s", diff)
	}

	// Tools are answered as before.
	if text := r.want(200, "GET", "/v1/rollouts/"+id+"/verdict", ""); !strings.Contains(text, `"over":true`) || !strings.Contains(text, `"outcome":"rolled back"`) {
		t.Errorf("the verdict: %s", text)
	}
	desk := r.Desk()
	for name, f := range map[string]guard.Fact{"an order": guard.Ordered{Verb: guard.OrderRollback}, "a vote": guard.Voted{By: "alertmanager"}} {
		if err := desk.Tell(t.Context(), guard.Delivery{ID: name, Source: "test"}, id, f); !errors.Is(err, guard.ErrOver) {
			t.Errorf("%s is told: %v", name, err)
		}
	}
	over := false
	r.follow(id, func(event string) bool { over = event == "over"; return !over })
	if !over {
		t.Error("who follows waits for the end of the incident")
	}
	if text := r.want(409, "POST", "/v1/rollouts", `{"service": "shop", "from": "v1", "to": "v3"}`); !strings.Contains(text, "stand it down first") || !strings.Contains(text, id) {
		t.Errorf("the next release: %s", text)
	}

	// People are heard.
	text := r.want(200, "GET", "/v1/rollouts/"+id, "")
	for _, want := range []string{`"open":true`, `"level":2`, `"why":"true"`, `"obligations":[`, `"standing":"open"`, `"guard":"two"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the rollout is shown without %s:\n%s", want, text)
		}
	}
	r.want(202, "POST", "/v1/rollouts/"+id+"/acknowledgement", "")
	r.want(202, "POST", "/v1/rollouts/"+id+"/statements", `{"what": "cause", "text": "a bad build"}`)
	said := []string{"Idempotency-Key: down"}
	r.awaitIncident(id, "led", func(s guard.State) bool { return s.Incident.Lead != "" && s.Incident.Cause == "a bad build" })
	r.want(202, "POST", "/v1/rollouts/"+id+"/statements", `{"what": "stand-down", "text": "all is well"}`, said...)
	next := r.open("shop", "v1", "v3") // at once: what was said counts, whether it was acted on yet or not
	r.over(id, guard.RolledBack)
	r.want(202, "POST", "/v1/rollouts/"+id+"/statements", `{"what": "stand-down", "text": "all is well"}`, said...)
	r.want(409, "POST", "/v1/rollouts/"+id+"/statements", `{"what": "stand-down", "text": "once more"}`)
	book.await(t, "obligation incident, result rollout, settled incident, obligation report")

	// What is said when it is put away stands in the records, and the next release can begin.
	digest := strings.Repeat("a1", 32)
	r.want(202, "POST", "/v1/rollouts/"+id+"/statements", fmt.Sprintf(`{"what": "filed", "subject": %q}`, digest))
	if i := r.state(id).Incident; i.Filed.IsZero() {
		t.Error("the report is not filed")
	}
	if !strings.HasPrefix(book.kinds(), "obligation incident, result rollout, settled incident, obligation report, settled report") {
		t.Errorf("the ledger has %s", book.kinds())
	}
	keys := map[string]int{}
	for _, n := range channel.all() {
		keys[string(n.News)]++
	}
	for _, news := range []guard.News{guard.NewsOpened, guard.NewsRecovered, guard.NewsStoodDown} {
		if keys[string(news)] == 0 {
			t.Errorf("nobody was told %s: %v", news, keys)
		}
	}
	journal := r.want(200, "GET", "/v1/rollouts/"+id+"/journal", "")
	if strings.Contains(journal, "/ack?") || strings.Contains(journal, "seal") {
		t.Error("a link stands in the journal")
	}
	r.over(next, guard.Live)
}

// follow reads events until hear has had enough.
func (r *running) follow(id string, hear func(event string) bool) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", r.web.URL+"/v1/rollouts/"+id+"/events", nil)
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	buffer, text := make([]byte, 32<<10), ""
	for {
		n, err := response.Body.Read(buffer)
		text += string(buffer[:n])
		for {
			line, rest, whole := strings.Cut(text, "\n")
			if !whole {
				break
			}
			text = rest
			if event, is := strings.CutPrefix(line, "event: "); is && !hear(event) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// TestFailOver lets a server die with an incident, without a word: another goes on with what is owed.
func TestFailOver(t *testing.T) {
	s := newSite(t)
	s.write("shop.yaml", answeringPlan("shop"))
	channel, book := &post{}, &ledger{}
	r := startAnswering(s, "one", channel, book, nil)
	id := r.befallen("shop", channel)
	owed := r.state(id).Incident.Owed
	r.end()
	still, err := s.store.Join(t.Context(), "stands still", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	leases, err := s.store.Claim(t.Context(), still, 10)
	if err != nil || len(leases) != 1 {
		t.Fatalf("%d leases, %v", len(leases), err)
	}
	other := startAnswering(s, "other", channel, book, nil)
	other.want(202, "POST", "/v1/rollouts/"+id+"/acknowledgement", "")
	state := other.awaitIncident(id, "led by who has acknowledged", func(s guard.State) bool { return s.Incident.Lead != "" })
	for i, o := range state.Incident.Owed[:len(owed)] {
		if o.Kind == guard.DueActivate {
			o.Met, o.By = owed[i].Met, owed[i].By
		}
		if diff := cmp.Diff(owed[i], o); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	}
	if err := leases[0].Append(time.Now(), "noted", json.RawMessage(`{"fact": {"text": "late"}}`)); err == nil {
		t.Error("who stood still still appends")
	}
}

// TestStatements refuses what makes no sense, and what is not for its caller to say.
func TestStatements(t *testing.T) {
	s := newSite(t)
	s.write("shop.yaml", answeringPlan("shop"))
	var lines string
	secrets := map[string]string{}
	for _, name := range []string{"ann", "ann@example.com", "bo", "bo@example.com", "ci", "release", "vic"} {
		rights := []server.Right{server.View, server.Operate}
		switch name {
		case "vic":
			rights = rights[:1]
		case "release", "bo":
			rights = append(rights, server.Approve)
		}
		secret, line := server.NewToken(name, rights)
		secrets[name], lines = secret, lines+line+"\n"
	}
	tokens, err := server.ParseTokens(lines)
	if err != nil {
		t.Fatal(err)
	}
	channel := &post{}
	r := startAnswering(s, "one", channel, &ledger{}, func(o *server.Options) { o.Access = server.Access{Tokens: tokens} })
	as := func(who string) string { return "Authorization: Bearer " + secrets[who] }
	text := r.want(201, "POST", "/v1/rollouts", `{"service": "shop", "from": "v1", "to": "bad"}`, as("ann"))
	id := strings.Split(text, `"`)[3]
	path := "/v1/rollouts/" + id + "/statements"
	r.want(409, "POST", path, `{"what": "severity", "level": 1, "text": "x"}`, as("ci"))
	r.awaitIncident(id, "back", func(s guard.State) bool { return s.Phase == guard.Over })
	for _, c := range []struct {
		name, who, body string
		status          int
		says            string
	}{
		{"nobody", "", `{"what": "cause", "text": "x"}`, 401, ""},
		{"no right", "vic", `{"what": "cause", "text": "x"}`, 403, "operate"},
		{"an unknown statement", "ann", `{"what": "panic"}`, 400, "cannot be stated"},
		{"an unknown word", "ann", `{"what": "cause", "text": "x", "by": "eve"}`, 400, "by"},
		{"an offset", "ann", `{"what": "cause", "text": "x", "offset": 1}`, 400, "offset"},
		{"no text", "ann", `{"what": "cause", "text": " \n"}`, 400, "what made it happen"},
		{"a level that there is not", "ann", `{"what": "severity", "level": 3, "text": "x"}`, 400, "no level"},
		{"a level without a reason", "ann", `{"what": "severity", "level": 1}`, 400, "why"},
		{"an unknown field", "ann", `{"what": "answer", "subject": "blame", "text": "x"}`, 400, "blame"},
		{"an unknown class", "ann", `{"what": "action", "subject": "commander", "class": "punish", "text": "x", "due": "2099-01-01T00:00:00Z"}`, 400, "punish"},
		{"an action of the past", "ann", `{"what": "action", "subject": "commander", "class": "detect", "text": "x", "due": "2001-01-01T00:00:00Z"}`, 409, "past"},
		{"an unknown vendor", "ann", `{"what": "contacted", "subject": "nobody Ltd"}`, 400, "nobody Ltd"},
		{"no digest", "ann", `{"what": "filed", "subject": "report.md"}`, 400, "SHA-256"},
		{"a report of what goes on", "ann", `{"what": "filed", "subject": "` + strings.Repeat("ab", 32) + `"}`, 409, "stand it down"},
		{"signed off by another role", "bo", `{"what": "sign-off", "subject": "commander"}`, 403, "ann (commander)"},
		{"stood down by another role", "bo", `{"what": "stand-down", "text": "x"}`, 403, "ann (commander)"},
		{"an address of the roster", "ann@example.com", `{"what": "sign-off", "subject": "commander"}`, 202, ""},
		{"an answer", "bo", `{"what": "answer", "subject": "lucky", "text": "it was night"}`, 202, ""},
		{"worse", "ann", `{"what": "severity", "level": 1, "text": "the board calls"}`, 202, ""},
		{"signed off by a token that is nobody of the roster", "ci", `{"what": "sign-off", "subject": "commander"}`, 403, "ann (commander)"},
		{"stood down by one", "ci", `{"what": "stand-down", "text": "x"}`, 403, `has the right \"approve\"`},
		{"stood down by a person whose address is not in the roster", "bo@example.com", `{"what": "stand-down", "text": "x"}`, 403, "by the name or the e-mail address"},
		{"all else such a token may say", "ci", `{"what": "answer", "subject": "well", "text": "the pager"}`, 202, ""},
		{"a token that may approve", "release", `{"what": "stand-down", "text": "x"}`, 202, ""},
	} {
		headers := []string{}
		if c.who != "" {
			headers = append(headers, as(c.who))
		}
		if status, text := r.ask("POST", path, c.body, headers...); status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s, want %d with %q", c.name, status, text, c.status, c.says)
		}
	}
	i := r.awaitIncident(id, "stood down", guard.State.Ended).Incident
	if last := i.Grades[len(i.Grades)-1]; i.StoodBy != "release" || last.By != "ann" || i.Answers["lucky"] == "" || i.Signed["commander"] != "ann" {
		t.Errorf("stood down by %q, graded by %q, signed by %v, answers %v", i.StoodBy, last.By, i.Signed, i.Answers)
	}
	r.want(404, "POST", "/v1/rollouts/none/statements", `{"what": "cause", "text": "x"}`, as("ann"))
}

// TestLink takes an incident on from a notice, by the button alone, and opens to nobody else.
func TestLink(t *testing.T) {
	s := newSite(t)
	s.write("shop.yaml", answeringPlan("shop"))
	s.write("desk.yaml", answeringPlan("desk"))
	_, line := server.NewToken("ann", server.Rights)
	tokens, err := server.ParseTokens(line)
	if err != nil {
		t.Fatal(err)
	}
	secret, line := server.NewToken("ci", server.Rights)
	more, err := server.ParseTokens(line)
	if err != nil {
		t.Fatal(err)
	}
	channel := &post{}
	r := startAnswering(s, "one", channel, &ledger{}, func(o *server.Options) { o.Access = server.Access{Tokens: append(tokens, more...)} })
	opened := func(service string) string {
		text := r.want(201, "POST", "/v1/rollouts", fmt.Sprintf(`{"service": %q, "from": "v1", "to": "bad"}`, service), "Authorization: Bearer "+secret)
		id := strings.Split(text, `"`)[3]
		r.awaitIncident(id, "back", func(s guard.State) bool { return s.Phase == guard.Over })
		return id
	}
	id, other := opened("shop"), opened("desk")
	var link *url.URL
	for _, n := range channel.all() {
		if n.News != guard.NewsOpened || n.Release.ID != id {
			continue
		}
		if link, err = url.Parse(n.Reply); err != nil || link.Host != "golive.example.com" || link.Scheme != "https" {
			t.Fatalf("the link is %q: %v", n.Reply, err)
		}
	}
	if link == nil {
		t.Fatalf("no notice has a link: %+v", channel.all())
	}
	changed := func(key, value string) string {
		q := link.Query()
		q.Set(key, value)
		return "/ack?" + q.Encode()
	}
	good := "/ack?" + link.RawQuery
	page := r.want(200, "GET", good, "")
	if !strings.Contains(page, "I look after it") || !strings.Contains(page, "Level 2") {
		t.Errorf("the page: %s", page)
	}
	elsewhere := startAnswering(newSite(t), "elsewhere", channel, &ledger{}, func(o *server.Options) { o.LinkKey = strings.Repeat("x", 40) })
	for _, c := range []struct {
		name, path string
		at         *running
		status     int
	}{
		{"changed notice", changed("notice", "x/1"), r, 403},
		{"another rollout", changed("rollout", other), r, 403},
		{"longer", changed("until", "9999999999"), r, 403},
		{"no time", changed("until", "soon"), r, 403},
		{"no seal", changed("seal", ""), r, 403},
		{"nothing", "/ack", r, 403},
		{"another key", good, elsewhere, 403},
	} {
		for _, method := range []string{"GET", "POST"} {
			if status, text := c.at.ask(method, c.path, ""); status != c.status {
				t.Errorf("%s, %s: %d, want %d\n%s", c.name, method, status, c.status, text)
			}
		}
	}
	if lead := r.state(id).Incident.Lead; lead != "" {
		t.Fatalf("%q leads before the button was pressed", lead)
	}
	for range 2 { // the second time is a repeat
		status, _, text := r.send(good, "", url.Values{"name": {"Ann <b>Lee</b>"}})
		if status != 200 || !strings.Contains(text, "Recorded") {
			t.Fatalf("%d\n%s", status, text)
		}
	}
	state := r.awaitIncident(id, "led", func(s guard.State) bool { return s.Incident.Lead != "" })
	if state.Incident.Lead != "link (Ann <b>Lee</b>)" {
		t.Errorf("%q leads", state.Incident.Lead)
	}
	if lead := r.state(other).Incident.Lead; lead != "" {
		t.Errorf("%q leads the other incident", lead)
	}
	events := r.want(200, "GET", "/v1/rollouts/"+id+"/events", "", "Authorization: Bearer "+secret)
	if n := strings.Count(events, `"kind":"acknowledged"`); n != 1 {
		t.Errorf("it was acknowledged %d times", n)
	}
	if strings.Contains(events, link.Query().Get("seal")) || strings.Contains(s.log.String(), link.Query().Get("seal")) {
		t.Error("a link was kept")
	}
	r.want(202, "POST", "/v1/rollouts/"+id+"/statements", `{"what": "stand-down", "text": "x"}`, "Authorization: Bearer "+secret)
	r.awaitIncident(id, "stood down", guard.State.Ended)
	r.want(409, "GET", good, "")
	r.want(409, "POST", good, "")
}

// TestEvidence sends what belongs to a rollout, as a file and to who may see it.
func TestEvidence(t *testing.T) {
	s := newSite(t)
	s.write("shop.yaml", answeringPlan("shop"))
	r := startAnswering(s, "one", &post{}, &ledger{}, nil)
	id := r.open("shop", "v1", "bad")
	r.await(id, "watching", watching)
	path := "/v1/rollouts/" + id + "/evidence/"
	r.want(404, "GET", path+keptDigest, "") // it is there, and not of this rollout
	r.end()
	session, err := s.store.Join(t.Context(), "a client", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	leases, err := s.store.Claim(t.Context(), session, 10)
	if err != nil || len(leases) != 1 {
		t.Fatalf("%d leases, %v", len(leases), err)
	}
	defer func() { _ = session.Leave(t.Context()) }()
	lost := strings.Repeat("0", 64)
	append1 := func(f guard.Fact, task int) {
		kind, data, err := guard.Event{Task: task, Fact: f}.Encode()
		if err == nil {
			err = leases[0].Append(time.Now(), kind, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	append1(guard.Resumed{Fence: leases[0].Fence}, 0)
	append1(guard.Ordered{Verb: guard.OrderRollback, By: "ann"}, 0)
	state := r.state(id)
	i := slices.IndexFunc(state.Todo, func(t guard.Task) bool { _, is := t.Deed.(guard.Gather); return is })
	if i < 0 {
		t.Fatalf("nothing is to be gathered: %+v", state.Todo)
	}
	append1(guard.Gathered{Exhibits: []guard.Exhibit{{Name: "../etc/pods \"x\"", SHA256: keptDigest, Bytes: 5}, {Name: "lost", SHA256: lost}}}, state.Todo[i].ID)

	r = startAnswering(s, "two", &post{}, &ledger{}, nil)
	request, err := http.NewRequestWithContext(t.Context(), "GET", r.web.URL+path+keptDigest, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Equal(content, []byte(kept)) || response.StatusCode != 200 {
		t.Fatalf("%d %q: %v", response.StatusCode, content, err)
	}
	for header, want := range map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Content-Disposition": `attachment; filename=__etc_pods_x_.txt`, "Content-Security-Policy": "default-src 'none'; sandbox",
	} {
		if got := response.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	if text := r.want(404, "GET", path+lost, ""); !strings.Contains(text, "another server") {
		t.Errorf("what lies elsewhere: %s", text)
	}
	r.want(404, "GET", path+strings.Repeat("1", 64), "")
	r.want(404, "GET", path+"..%2f..%2fetc", "")
}

// A broken backend takes no traffic back.
type broken struct {
	*world
	now *atomic.Bool
}

func (b broken) Shift(ctx context.Context, o guard.Order, percent int) error {
	if b.now.Load() && percent == 0 {
		return errors.New("connection refused")
	}
	return b.world.Shift(ctx, o, percent)
}

// TestBackAgain: once the way back has failed people have mended the backend, and golive takes the traffic back when they say
// so, although nobody has signed that the incident can be stood down.
func TestBackAgain(t *testing.T) {
	for name, ways := range map[string]struct{ path, body string }{
		"an order":   {"/v1/rollouts/%s/orders", `{"verb": "rollback", "why": "the backend is mended"}`},
		"an opening": {"/v1/rollouts", `{"service": "shop", "from": "v1", "to": "bad", "purpose": "rollback"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.write("shop.yaml", strings.Replace(answeringPlan("shop"), "bake: {for: 1s", "deadline: {rollback: 1s}\n  bake: {for: 1s", 1)+"recovery: {sign_off: business}\n")
			var now atomic.Bool
			now.Store(true)
			r := startAnswering(s, "one", &post{}, &ledger{}, func(o *server.Options) {
				was := o.Parts
				o.Parts = func(ctx context.Context, p *guard.Plan) (engine.Parts, func(), error) {
					parts, letGo, err := was(ctx, p)
					parts.Backend = broken{s.world, &now}
					return parts, letGo, err
				}
			})
			id := r.open("shop", "v1", "bad")
			failed := r.awaitIncident(id, "failed", func(s guard.State) bool { return s.Phase == guard.Over })
			if failed.Outcome != guard.RollbackFailed || failed.Seen == 0 {
				t.Fatalf("it ended as %s with %d %%", failed.Outcome, failed.Seen)
			}
			r.want(409, "POST", "/v1/rollouts", `{"service": "shop", "from": "v0", "to": "bad", "purpose": "rollback"}`)
			r.want(409, "POST", "/v1/rollouts/"+id+"/orders", `{"verb": "hold"}`)
			r.want(400, "POST", "/v1/rollouts/"+id+"/orders", `{"verb": "hold", "force": true}`)
			if page := r.want(200, "GET", "/rollouts/"+id, ""); !strings.Contains(page, "Take it back once more") {
				t.Error("the page does not offer to take it back once more")
			}

			now.Store(false)
			path, key := strings.Replace(ways.path, "%s", id, 1), "Idempotency-Key: again"
			status := 202
			if path == "/v1/rollouts" {
				status = 201
			}
			for range 2 { // the second is a repeat of the first, whose answer was lost
				if text := r.want(status, "POST", path, ways.body, key); !strings.Contains(text, id) {
					t.Errorf("the answer names another rollout: %s", text)
				}
			}
			r.follow(id, func(event string) bool { return event != "over" })
			st := r.state(id)
			if st.Phase != guard.Over || st.Outcome != guard.RolledBack || st.Seen != 0 || !st.Incident.Open() || st.Incident.Again != 1 {
				t.Errorf("who follows is told that it is over, and it is %s, %s, %d %%, taken back again %d times", st.Phase, st.Outcome, st.Seen, st.Incident.Again)
			}
			if at, err := s.world.Inspect(t.Context(), guard.Release{Service: "shop"}); err != nil || at.Percent != 0 {
				t.Errorf("the bad version has %d %% of the traffic (%v)", at.Percent, err)
			}
			r.want(409, "POST", "/v1/rollouts/"+id+"/orders", `{"verb": "rollback", "why": "too late"}`)
		})
	}
}

// TestFiledWhileItIsPutAway files a report while the ledger takes its time, after the engine has ended: what is filed is known
// to the ledger, too.
func TestFiledWhileItIsPutAway(t *testing.T) {
	s := newSite(t)
	s.write("shop.yaml", answeringPlan("shop"))
	channel, book, slow := &post{}, &ledger{}, make(chan struct{})
	r := startAnswering(s, "one", channel, book, func(o *server.Options) {
		o.Remember = func(p *guard.Plan, all []guard.Entry) {
			if slices.ContainsFunc(all, func(e guard.Entry) bool { return e.Act == guard.Settled && e.Kind == guard.KindIncident }) {
				<-slow
			}
			book.remember(p, all)
		}
	})
	id := r.befallen("shop", channel)
	path := "/v1/rollouts/" + id + "/statements"
	r.want(202, "POST", path, `{"what": "stand-down", "text": "all is well"}`)
	r.awaitIncident(id, "stood down, and told", func(s guard.State) bool {
		return s.Ended() && !slices.ContainsFunc(s.Todo, func(t guard.Task) bool { _, tells := t.Deed.(guard.Tell); return tells })
	})
	filed := fmt.Sprintf(`{"what": "filed", "subject": %q}`, strings.Repeat("ab", 32))
	r.want(202, "POST", path, filed)
	if one, err := r.store.Find(t.Context(), id); err != nil || !one.Open || !r.state(id).Incident.Filed.IsZero() {
		t.Errorf("it is put away already: %+v, %v", one, err)
	}
	close(slow)
	book.await(t, "obligation incident, result rollout, settled incident, obligation report, settled report, obligation lesson")
	r.awaitIncident(id, "filed", func(s guard.State) bool { return !s.Incident.Filed.IsZero() })
}

// TestTwoReaders: two people press the link of the same notice, one of them twice. Both are in the journal, each once, and the
// second hears of the first.
func TestTwoReaders(t *testing.T) {
	s := newSite(t)
	s.write("shop.yaml", answeringPlan("shop"))
	channel := &post{}
	r := startAnswering(s, "one", channel, &ledger{}, nil)
	id := r.befallen("shop", channel)
	var good string
	for _, n := range channel.all() {
		if link, err := url.Parse(n.Reply); err == nil && n.News == guard.NewsOpened {
			good = "/ack?" + link.RawQuery
		}
	}
	for _, c := range []struct{ name, says string }{
		{"Ann", "Recorded: Ann looks after it. The others"},
		{"Ann", "Recorded: Ann looks after it. The others"},
		{"Bo", "Recorded: Bo looks after it, as link (Ann) did already. The others"},
	} {
		status, _, text := r.send(good, "", url.Values{"name": {c.name}})
		if status != 200 || !strings.Contains(text, c.says) {
			t.Errorf("%s is answered %d, without %q:\n%s", c.name, status, c.says, text)
		}
		r.awaitIncident(id, "acknowledged by "+c.name, func(s guard.State) bool { return s.Acknowledged == "link ("+c.name+")" })
	}
	events := r.want(200, "GET", "/v1/rollouts/"+id+"/events", "")
	if n := strings.Count(events, `"kind":"acknowledged"`); n != 2 || r.state(id).Incident.Lead != "link (Ann)" {
		t.Errorf("it was acknowledged %d times, and %q leads", n, r.state(id).Incident.Lead)
	}
}

// TestSaidSecret has people write a secret into everything that they can say. It is nowhere afterwards.
func TestSaidSecret(t *testing.T) {
	const secret = "correct-horse"
	s := newSite(t)
	s.write("shop.yaml", answeringPlan("shop"))
	channel, book := &post{}, &ledger{}
	r := startAnswering(s, "one", channel, book, func(o *server.Options) {
		o.Clean = func(text string) string { return strings.ReplaceAll(text, secret, "${DB}") }
		o.AcceptPlans = true
	})
	id := r.open("shop", "v1", "v2")
	r.await(id, "watching", watching)
	at := "/v1/rollouts/" + id
	r.want(202, "POST", at+"/notes", `{"text": "note `+secret+`"}`)
	r.want(202, "POST", at+"/orders", `{"verb": "rollback", "why": "order `+secret+`"}`)
	r.awaitIncident(id, "back", func(s guard.State) bool { return s.Phase == guard.Over && s.Incident.Open() })
	r.want(202, "POST", at+"/statements", `{"what": "cause", "text": "cause `+secret+`"}`)
	r.want(202, "POST", at+"/statements", `{"what": "action", "subject": "commander", "class": "detect", "text": "action `+secret+`", "due": "2099-01-01T00:00:00Z"}`)
	r.want(202, "POST", at+"/statements", `{"what": "stand-down", "text": "down `+secret+`"}`)
	r.awaitIncident(id, "stood down", guard.State.Ended)
	r.want(202, "POST", at+"/statements", `{"what": "answer", "subject": "lucky", "text": "answer `+secret+`"}`)

	s.write("desk.yaml", answeringPlan("desk"))
	b := r.borrowBy(lendBody("desk", "v2", "1s", answeringPlan("desk"), time.Now()))
	b.keep(200, guard.Resumed{Version: "test", Fence: b.Fence})
	b.keep(200, guard.Noted{Text: "lent " + secret})

	journal := r.want(200, "GET", at+"/journal", "") + r.want(200, "GET", "/v1/rollouts/"+b.ID+"/journal", "")
	for _, said := range []string{"note", "order", "cause", "action", "down", "answer", "lent"} {
		if !strings.Contains(journal, said+" ${DB}") {
			t.Errorf("the journal has no %q", said)
		}
	}
	store := r.want(200, "POST", "/v1/backup", "") // with its inbox
	if !strings.Contains(store, "order ${DB}") {
		t.Error("the store cannot be read")
	}
	for where, text := range map[string]string{
		"store": store, "journal": journal, "notices": fmt.Sprintf("%+v", channel.all()), "ledger": fmt.Sprintf("%+v", book.all.Entries), "log": s.log.String(),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%s: the secret is there:\n%s", where, text)
		}
	}
}

// A door is a channel that takes no news of one kind while it is shut.
type door struct {
	*post
	shut guard.News
}

func (d door) Notify(ctx context.Context, n guard.Notice) (guard.Receipt, error) {
	if n.News == d.shut {
		return guard.Receipt{}, errors.New("connection refused")
	}
	return d.post.Notify(ctx, n)
}

// TestEndIsTold: mail is away when an incident is stood down, and the server ends before it is there again. The next server
// tells it, and the next release may begin then.
func TestEndIsTold(t *testing.T) {
	s := newSite(t)
	s.write("shop.yaml", answeringPlan("shop"))
	channel, book := &post{}, &ledger{}
	r := startAnswering(s, "one", channel, book, func(o *server.Options) {
		was := o.Parts
		o.Parts = func(ctx context.Context, p *guard.Plan) (engine.Parts, func(), error) {
			parts, letGo, err := was(ctx, p)
			parts.Notifiers = []guard.Notifier{door{channel, guard.NewsStoodDown}}
			return parts, letGo, err
		}
	})
	id := r.befallen("shop", channel)
	r.want(202, "POST", "/v1/rollouts/"+id+"/statements", `{"what": "stand-down", "text": "all is well"}`)
	r.awaitIncident(id, "stood down", func(s guard.State) bool { return s.Ended() && s.Untold() > 0 })
	if text := r.want(200, "GET", "/v1/rollouts/"+id, ""); !strings.Contains(text, `"untold":1`) {
		t.Errorf("nobody sees that it is not told: %s", text)
	}
	if text := r.want(409, "POST", "/v1/rollouts", `{"service": "shop", "from": "v1", "to": "v3"}`); !strings.Contains(text, "still tells people so") {
		t.Errorf("the next release: %s", text)
	}
	r.end()

	r = startAnswering(s, "two", channel, book, nil)
	told := func(n guard.Notice) bool { return n.News == guard.NewsStoodDown }
	state := r.awaitIncident(id, "told by the second server", func(s guard.State) bool {
		return s.Untold() == 0 && slices.ContainsFunc(channel.all(), told)
	})
	if notice, owed := state.Incident.Owes(guard.DueNotice); owed && notice.Met.IsZero() {
		t.Errorf("it is still owed: %+v", notice)
	}
	r.over(r.open("shop", "v1", "v3"), guard.Live)
}
