package server

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// rehearsed is the plan of the histories below.
const rehearsed = `
service: shop
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [{percent: 10, name: one host}, 50, 100]
  bake: {for: 10m, hold_back: 5%}
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  promote: {margin: 0.5pp}
  signals:
    - {name: errors, total: requests, bad: 'requests{code="500"}'}
    - {name: latency, histogram: request_seconds}
notify: [{use: stdout}]
`

// answering is what a plan says that has somebody answer when it goes wrong.
const answering = `
severity:
  - {level: 1, name: outage, when: "down", lead: commander, page: everyone}
  - {level: 2, name: impaired, when: "true", lead: commander}
escalate:
  - {after: 20m, to: executive, unless: acknowledged}
recovery: {sign_off: business}
roster:
  people:
    - {name: Ann Lee, role: commander, reach: [{email: ann@example.com}]}
    - {name: Bo Chen, role: business, reach: [{email: bo@example.com}]}
    - {name: Eve Ng, role: executive, reach: [{email: eve@example.com}]}
`

// A rehearsal is a made-up world in which a plan is rehearsed.
type rehearsal struct {
	plan   *guard.Plan
	judge  *judge.Judge
	step   judge.Step
	config judge.Config

	percent int
	at      time.Time
	counts  map[guard.Arm]*guard.Series // of latency; those of errors have the same Total and Bad

	// errors is the share of the canary's requests that fail at a time since the first measurement.
	errors func(time.Duration) float64
	blind  func(time.Duration) bool
	until  func(guard.State) bool // then the world stops to answer
	opened func(*guard.Opened)    // changes how it begins
	more   string                 // of the plan
	began  time.Time
}

var midnight = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

func rehearse(t testing.TB, r rehearsal) history {
	t.Helper()
	plan, err := guard.ParsePlan("shop.yaml", []byte(rehearsed+r.more))
	if err != nil {
		t.Fatal(err)
	}
	release := guard.Release{ID: "20261124-030000-v2-a1b2c3", Service: "shop", Environment: "production", From: "v1", To: "v2"}
	r.plan, r.config = plan, plan.Judge(release)
	if r.judge, err = judge.New(r.config); err != nil {
		t.Fatal(err)
	}
	bounds := []float64{.005, .01, .025, .05, .1, .25, .5, 1}
	r.counts = map[guard.Arm]*guard.Series{
		guard.Canary:   {Signal: "latency", Arm: guard.Canary, Instance: "c1", Bounds: bounds, Buckets: make([]float64, len(bounds))},
		guard.Baseline: {Signal: "latency", Arm: guard.Baseline, Instance: "s1", Bounds: bounds, Buckets: make([]float64, len(bounds))},
	}
	opened := guard.Opened{Release: release, Purpose: guard.ToRollout, Mode: guard.Enforce, Plan: rehearsed + r.more, File: "shop.yaml", Version: "test", Fence: 7}
	if r.opened != nil {
		r.opened(&opened)
	}
	events := guard.Rehearse(plan, opened, midnight, r.answer)
	return historyOf(t, plan, events)
}

func historyOf(t testing.TB, plan *guard.Plan, events []guard.Event) history {
	t.Helper()
	h := history{plan: plan, events: events, state: guard.Fold(plan, events)}
	h.last = journal.Record{Seq: int64(len(events)), At: events[len(events)-1].At, Hash: strings.Repeat("5e", 32)}
	return h
}

func (r *rehearsal) answer(s guard.State, t guard.Task) (guard.Fact, time.Duration) {
	if r.until != nil && r.until(s) {
		return nil, 0
	}
	now := s.At
	if t.NotBefore.After(now) {
		now = t.NotBefore
	}
	standing := guard.Standing{Percent: r.percent, Undo: guard.Undo{Open: true}}
	const took = 200 * time.Millisecond
	switch d := t.Deed.(type) {
	case guard.RunChecks:
		return guard.Checked{Findings: []guard.Finding{
			{Code: "GL101", ID: "plan.reviewed", Verdict: guard.Warn, Title: "the plan was reviewed of late", Reason: "nobody has reviewed it", Remedy: "go through it, and write reviewed: with the day"},
			{Code: "GL102", ID: "backup.age", Verdict: guard.Pass, Title: "the newest backup is young enough", Expected: "at most 24h", Observed: "3h"},
			{Code: "GL103", ID: "way.back", Verdict: guard.Pass, Title: "the way back is open"},
		}}, 3 * time.Second
	case guard.Inspect:
		return guard.Inspected{Standing: standing}, took
	case guard.Shift:
		r.percent = d.Percent
		return guard.Shifted(d), 2 * time.Second
	case guard.Measure:
		return r.measure(d, now, standing), took
	case guard.Verify:
		return guard.Verified{Standing: standing, Findings: []guard.Finding{{ID: "http", Verdict: guard.Pass, Title: "the page answers with v1"}}}, took
	case guard.Finish:
		return guard.Finished{}, took
	case guard.Gather:
		return guard.Gathered{Exhibits: []guard.Exhibit{
			{Name: "counts.json", At: now, SHA256: strings.Repeat("c0", 32), Bytes: 4711},
			{Name: "pods.txt", At: now, SHA256: strings.Repeat("de", 32), Bytes: 90210, Redacted: 2, Cut: true, Problem: "time was over"},
			{Name: "app.log", At: now, Problem: "open /var/log/app.log: permission denied"},
		}}, took
	case guard.Tell:
		if d.Notice.News != "" {
			handed := []guard.Handed{
				{Name: "Ann Lee", Role: "commander", Way: "email"}, {Name: "Eve Ng", Role: "executive", Way: "email", Problem: "the mailbox is full"},
			}
			if only := d.Notice.Only; len(only) > 0 {
				handed = slices.DeleteFunc(handed, func(h guard.Handed) bool { return !slices.Contains(only, h.Name) })
			}
			return guard.Told{Receipt: guard.Receipt{Handed: handed}}, took
		}
		return guard.Told{}, took
	}
	return guard.Elapsed{}, 0
}

// measure counts 200 requests a second, of which one in a thousand of the old version fails.
func (r *rehearsal) measure(d guard.Measure, now time.Time, standing guard.Standing) guard.Fact {
	if r.began.IsZero() {
		r.began = now
	}
	if d.Step != r.step {
		r.step = d.Step
		r.judge.Begin(d.Step)
	}
	since, passed := now.Sub(r.began), 10.
	if !r.at.IsZero() {
		passed = now.Sub(r.at).Seconds()
	}
	r.at = now
	reading := guard.Reading{At: now}
	if r.blind != nil && r.blind(since) {
		m := guard.Measured{Reading: reading, Problem: "connect to prometheus: connection refused", Standing: &standing}
		m.Ruling = r.judge.Observe(reading)
		return m
	}
	for _, arm := range []guard.Arm{guard.Canary, guard.Baseline} {
		share, bad := float64(r.percent)/100, .001
		if arm == guard.Baseline {
			share = 1 - share
		} else if r.errors != nil {
			bad = r.errors(since)
		}
		c := r.counts[arm]
		n := math.Round(200 * passed * share)
		c.Total += n
		c.Bad = c.Bad + n*bad
		for i, below := range []float64{.05, .3, .6, .8, .9, .97, .995, 1} {
			c.Buckets[i] = math.Round(c.Total * below)
		}
		latency := *c
		latency.Bounds, latency.Buckets, latency.At = slices.Clone(c.Bounds), slices.Clone(c.Buckets), now
		latency.Bad = 0
		reading.Series = append(reading.Series, latency,
			guard.Series{Signal: "errors", Arm: arm, Instance: c.Instance, At: now, Total: c.Total, Bad: math.Round(c.Bad)})
	}
	return guard.Measured{Reading: reading, Standing: &standing, Ruling: r.judge.Observe(reading)}
}

// after adds what comes from outside.
func after(t *testing.T, h history, later time.Duration, facts ...guard.Fact) history {
	t.Helper()
	events := slices.Clone(h.events)
	at := events[len(events)-1].At
	for _, f := range facts {
		at = at.Add(later)
		events = append(events, guard.Event{At: at, Fact: f})
	}
	return historyOf(t, h.plan, events)
}

func measures(n int) func(guard.State) bool {
	seen, last := 0, time.Time{}
	return func(s guard.State) bool {
		if !s.Ruling.At.Equal(last) {
			seen, last = seen+1, s.Ruling.At
		}
		return seen >= n
	}
}

// A situation is a rollout that somebody looks at.
type situation struct {
	history history
	node    string
	late    time.Duration // after the last record
	caller  Caller
}

var ann = Caller{Name: "ann", Rights: Rights}

func situations(t *testing.T) map[string]situation {
	t.Helper()
	inPhase := func(p guard.Phase) func(guard.State) bool {
		return func(s guard.State) bool { return s.Phase == p }
	}
	harm := func(since time.Duration) float64 {
		if since < time.Minute {
			return .001
		}
		return .04
	}
	watching := rehearse(t, rehearsal{until: measures(13)})
	incident := rehearse(t, rehearsal{errors: harm, more: answering, until: func(s guard.State) bool {
		return s.Phase == guard.Over && s.At.Sub(s.Incident.Began) > 40*time.Minute
	}})
	ended := after(t, incident, 2*time.Minute,
		guard.Acknowledged{By: "Ann Lee"},
		guard.Stated{What: guard.StateCause, Text: "the new pool was too small", By: "Ann Lee"},
		guard.Stated{What: guard.StateSignOff, Subject: "business", By: "Bo Chen"},
		guard.Stated{What: guard.StateContacted, Subject: "customer", Text: "ticket 4711", By: "Ann Lee"},
		guard.Stated{What: guard.StateAction, Text: "alert on the pool", Subject: "commander", Class: "detect", Due: midnight.AddDate(0, 0, 14), By: "Ann Lee"},
		guard.Stated{What: guard.StateStandDown, Text: "all is well", By: "Ann Lee"})
	return map[string]situation{
		"checking":     {rehearse(t, rehearsal{until: inPhase(guard.Checking)}), "node-1", time.Second, ann},
		"watching":     {watching, "node-1", 3 * time.Second, ann},
		"looking only": {watching, "node-1", 3 * time.Second, Caller{Name: "vic", Rights: []Right{View}}},
		"holding": {after(t, watching, 2*time.Second,
			guard.Ordered{Verb: guard.OrderHold, By: "bob", Why: "the database is slow"},
			guard.Voted{Alerts: []guard.Alert{{Key: "1", Name: "DiskFull", Since: watching.state.At, Summary: "db-1 has 2 % left"}}},
			guard.Noted{By: "bob", Text: "asked the database people"},
			guard.Acknowledged{By: "bob"}), "node-1", time.Second, ann},
		"going back":       {rehearse(t, rehearsal{errors: harm, until: inPhase(guard.Restoring)}), "node-1", time.Second, ann},
		"rolled back":      {rehearse(t, rehearsal{errors: harm}), "", time.Hour, ann},
		"live":             {rehearse(t, rehearsal{}), "", time.Hour, ann},
		"nobody":           {watching, "", 50 * time.Second, ann},
		"blind":            {rehearse(t, rehearsal{blind: func(d time.Duration) bool { return d > 30*time.Second }, until: measures(14)}), "node-1", time.Second, ann},
		"hostile incident": {hostileIncident(t, incident), "node-1", time.Second, Caller{Name: poison, Rights: Rights}},
		"incident":         {incident, "node-1", 7 * time.Minute, ann},
		"stood down":       {ended, "", time.Hour, ann},
		"hostile":          {hostile(t), "<b>node</b>", time.Second, ann},
		"first events":     {historyOf(t, watching.plan, watching.events[:1]), "", 0, ann},
	}
}

// poison is a text of others that would do harm if it were taken for more than a text.
const poison = `</p></main><script>alert(1)</script><img src=x onerror=alert(2)>"' onfocus=alert(3) autofocus {{.}} javascript:alert(4) ` + "\u202e\x1b[31m\x00 \xff"

// hostile is a history in which every text that others can choose is poison.
func hostile(t *testing.T) history {
	t.Helper()
	h := rehearse(t, rehearsal{until: measures(4), opened: func(o *guard.Opened) {
		o.Release.Service, o.Release.Environment, o.Release.From, o.Release.To = "s"+poison, "e"+poison, "f"+poison, "t"+poison
		o.BreakGlass = &guard.BreakGlass{Reason: poison, By: poison, ApprovedBy: poison}
	}})
	events := slices.Clone(h.events)
	for i, e := range events {
		if _, ok := e.Fact.(guard.Checked); ok {
			events[i].Fact = guard.Checked{Findings: []guard.Finding{
				{Code: poison, ID: poison, Subject: poison, Verdict: guard.Warn, Title: poison, Reason: poison, Remedy: poison, Expected: poison, Observed: poison},
			}}
		}
		if m, ok := e.Fact.(guard.Measured); ok {
			m.Ruling.Why, m.Ruling.Missing, m.Ruling.Warnings = poison, poison, []string{poison}
			m.Problem, m.Reading.Remarks = poison, []string{poison}
			m.Ruling.Signals = slices.Clone(m.Ruling.Signals)
			for k := range m.Ruling.Signals {
				m.Ruling.Signals[k].Signal = poison
			}
			events[i].Fact = m
		}
	}
	return after(t, historyOf(t, h.plan, events), time.Second,
		guard.Ordered{Verb: guard.OrderHold, By: poison, Why: poison},
		guard.Voted{Alerts: []guard.Alert{{Key: "k", Name: poison, Summary: poison, Since: midnight.Add(time.Hour)}}},
		guard.Noted{By: poison, Text: poison},
		guard.Acknowledged{By: poison})
}

// hostileIncident is an incident in which every text that others can choose is poison.
func hostileIncident(t *testing.T, h history) history {
	t.Helper()
	events := slices.Clone(h.events)
	for i, e := range events {
		switch f := e.Fact.(type) {
		case guard.Gathered:
			events[i].Fact = guard.Gathered{Exhibits: []guard.Exhibit{{Name: poison, SHA256: poison, Problem: poison}, {Name: poison, SHA256: strings.Repeat("c0", 32)}}}
		case guard.Told:
			f.Receipt.Handed = []guard.Handed{{Name: poison, Way: poison, Problem: poison}}
			events[i].Fact = f
		}
	}
	return after(t, historyOf(t, h.plan, events), time.Second,
		guard.Acknowledged{By: poison},
		guard.Stated{What: guard.StateCause, Text: poison, By: poison},
		guard.Stated{What: guard.StateSeverity, Level: 1, Text: poison, By: poison},
		guard.Stated{What: guard.StateSignOff, Subject: poison, By: poison},
		guard.Stated{What: guard.StateContacted, Subject: poison, Text: poison, By: poison},
		guard.Stated{What: guard.StateAction, Subject: poison, Class: poison, Text: poison, By: poison},
		guard.Stated{What: guard.StateAnswer, Subject: poison, Text: poison, By: poison})
}

func testServer(access Access) *Server {
	return New(Options{Version: "test", Node: "node-1", Access: access})
}

// draw renders the page of a situation.
func draw(t *testing.T, s *Server, c situation) string {
	t.Helper()
	now := c.history.state.At.Add(c.late)
	one := store.Rollout{ID: "20261124-030000-v2-a1b2c3", Node: c.node, Open: !c.history.state.Ended()}
	p := portray(c.history, s.show(c.history, one, now), c.caller, now)
	f := frame{Title: p.title(), Version: "test", Node: "node-1", Now: now, Who: c.caller.Name, Main: p}
	page, err := render("rollout.html", f)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// TestSituations compares what can be read on a page with what is to be read there. `go test -update` writes it.
func TestSituations(t *testing.T) {
	s := testServer(Access{Open: true})
	for name, c := range situations(t) {
		t.Run(name, func(t *testing.T) {
			page := draw(t, s, c)
			markup(t, page)
			got := legible(t, page)
			file := filepath.Join("testdata", "page", strings.ReplaceAll(name, " ", "_")+".txt")
			if *update {
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(got), 0o644)); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// TestList renders the list with rollouts in every situation.
func TestList(t *testing.T) {
	s := testServer(Access{Open: true})
	all := situations(t)
	o := overview{Services: []string{"shop", poison}, Service: poison, Older: "/?before=x&show=all"}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c := all[name]
		one := s.show(c.history, store.Rollout{ID: strings.ReplaceAll(name, " ", "-"), Node: c.node}, c.history.state.At.Add(c.late)).brief()
		if r := asRow(one); one.Phase == guard.Over {
			o.Over = append(o.Over, r)
		} else {
			o.Open = append(o.Open, r)
		}
	}
	page, err := render("list.html", frame{Title: o.title(), Now: midnight.Add(2 * time.Hour), SignIn: true, Main: o})
	if err != nil {
		t.Fatal(err)
	}
	markup(t, page)
	text := legible(t, page)
	for _, want := range []string{"Open", "shop / production", "watching", "held", "nobody", "blind", "rolled back", "live", "Older ones", "v1 → to v2"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the list:\n%s", want, text)
		}
	}
}

// markup holds a page to what every page has to keep: nothing inline that the policy forbids, no text of others that has
// become more than a text, and what people need who do not see the page as it was drawn.
func markup(t *testing.T, page string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	ids, labels, fields := map[string]bool{}, map[string]bool{}, map[string]bool{}
	mains, h1, level := 0, 0, 0
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			at := map[string]string{}
			for _, a := range n.Attr {
				at[a.Key] = a.Val
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || a.Key == "autofocus" {
					t.Errorf("<%s> has the attribute %s=%q", n.Data, a.Key, a.Val)
				}
				if slices.Contains([]string{"href", "src", "action"}, a.Key) && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") {
					t.Errorf("<%s> leads to %q, which is not of this server", n.Data, a.Val)
				}
			}
			if id := at["id"]; id != "" {
				if ids[id] {
					t.Errorf("there are two elements with the id %q", id)
				}
				ids[id] = true
			}
			switch n.DataAtom {
			case atom.Html:
				if at["lang"] != "en" {
					t.Error("the page does not say its language")
				}
			case atom.Script:
				if !strings.HasPrefix(at["src"], "/assets/live.") || n.FirstChild != nil {
					t.Errorf("there is a script: %v", at)
				}
			case atom.Style, atom.Img, atom.Iframe, atom.Object, atom.B:
				t.Errorf("there is a <%s>", n.Data)
			case atom.Main:
				mains++
			case atom.H1, atom.H2, atom.H3:
				now := int(n.Data[1] - '0')
				if now == 1 {
					h1++
				}
				if now > level+1 {
					t.Errorf("<%s> comes after a heading of level %d", n.Data, level)
				}
				level = now
			case atom.Table:
				first := n.FirstChild
				for first != nil && first.Type != html.ElementNode {
					first = first.NextSibling
				}
				if first == nil || first.DataAtom != atom.Caption {
					t.Error("there is a table without a caption")
				}
			case atom.Th:
				if at["scope"] == "" {
					t.Error("there is a <th> without a scope")
				}
			case atom.Label:
				labels[at["for"]] = true
			case atom.Input, atom.Select:
				if at["type"] != "hidden" {
					fields[at["id"]] = true
				}
			case atom.Svg:
				if at["aria-hidden"] != "true" && at["aria-label"] == "" && n.Parent.DataAtom != atom.Svg {
					t.Error("there is a drawing that says nothing to who does not see it")
				}
			case atom.Button, atom.A, atom.Summary:
				if at["id"] == "" && n.DataAtom != atom.A {
					t.Errorf("<%s> has no id, so it loses the focus when the page is brought up to date", n.Data)
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(doc)
	if mains != 1 || h1 != 1 {
		t.Errorf("there are %d <main> and %d <h1>", mains, h1)
	}
	for id := range fields {
		if !labels[id] {
			t.Errorf("the field %q has no label", id)
		}
	}
	for _, r := range page {
		if r != '\n' && r != '\t' && r < ' ' || r == '\u202e' {
			t.Fatalf("the page holds the character %U", r)
		}
	}
}

var spaces = regexp.MustCompile(`[ \t]+`)

// legible is what can be read on a page, drawings by what they say.
func legible(t *testing.T, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	blocks := []atom.Atom{atom.P, atom.H1, atom.H2, atom.H3, atom.Tr, atom.Li, atom.Section, atom.Caption, atom.Div, atom.Summary, atom.Figcaption, atom.Button, atom.Footer, atom.Header, atom.Form}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(strings.ReplaceAll(n.Data, "\n", " "))
			return
		case n.DataAtom == atom.Head:
			return
		case n.DataAtom == atom.Svg:
			for _, a := range n.Attr {
				if a.Key == "aria-label" {
					fmt.Fprintf(&b, "\n(%s)\n", a.Val)
				}
			}
			return
		case slices.Contains(blocks, n.DataAtom):
			b.WriteString("\n")
			defer b.WriteString("\n")
			if n.DataAtom == atom.Button {
				b.WriteString("[")
				defer b.WriteString("]")
			}
			if strings.HasPrefix(n.Data, "h") && len(n.Data) == 2 {
				b.WriteString(strings.Repeat("#", int(n.Data[1]-'0')) + " ")
			}
		case n.DataAtom == atom.Td, n.DataAtom == atom.Th, n.DataAtom == atom.Dd:
			b.WriteString(" | ")
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(doc)
	var lines []string
	for line := range strings.SplitSeq(b.String(), "\n") {
		if line = strings.TrimSpace(spaces.ReplaceAllString(line, " ")); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestFollowsEveryKind makes sure that a browser hears of every kind of fact.
func TestFollowsEveryKind(t *testing.T) {
	h := rehearse(t, rehearsal{})
	page := draw(t, testServer(Access{Open: true}), situation{history: h})
	for _, e := range h.events {
		kind, _, err := e.Encode()
		if err != nil || !regexp.MustCompile(`data-kinds="[^"]*\b`+kind+`\b`).MatchString(page) {
			t.Fatalf("%v: the page does not follow events of the kind %q", err, kind)
		}
	}
}

// TestGates lets in who may come in, and sends the others to where they can say who they are.
func TestGates(t *testing.T) {
	var tokens []Token
	secrets := map[string]string{}
	for name, rights := range map[string][]Right{"vic": {View}, "opi": {View, Operate}, "hook": {Deliver}} {
		secret, line := NewToken(name, rights)
		some, err := ParseTokens(line)
		if err != nil {
			t.Fatal(err)
		}
		secrets[name], tokens = secret, append(tokens, some...)
	}
	s := testServer(Access{Tokens: tokens})
	served := ""
	handler := func(right Right) http.Handler {
		return s.person(right, func(w http.ResponseWriter, r *http.Request) error {
			served = who(r.Context())
			return nil
		})
	}
	for _, c := range []struct {
		who, method, path string
		right             Right
		status            int
		location          string
	}{
		{"", "GET", "/rollouts/1?token=secret&a=b", View, 303, "/login?next=" + url.QueryEscape("/rollouts/1?a=b")},
		{"", "POST", "/rollouts/1/orders", Operate, 303, "/login"},
		{"vic", "GET", "/", View, 200, ""},
		{"vic", "POST", "/rollouts/1/orders", Operate, 403, ""},
		{"opi", "POST", "/rollouts/1/orders", Operate, 200, ""},
		{"hook", "GET", "/", View, 403, ""},
	} {
		served = ""
		r := httptest.NewRequest(c.method, c.path, nil)
		if c.who != "" {
			r.AddCookie(&http.Cookie{Name: CookieName, Value: secrets[c.who]})
		}
		w := httptest.NewRecorder()
		handler(c.right).ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("Location") != c.location {
			t.Errorf("%s %s by %q: %d to %q, want %d to %q", c.method, c.path, c.who, w.Code, w.Header().Get("Location"), c.status, c.location)
		}
		if may := c.status == 200; may != (served == c.who && c.who != "") {
			t.Errorf("%s %s by %q was served for %q", c.method, c.path, c.who, served)
		}
		guarded(t, w.Result())
		if c.status == 403 {
			markup(t, w.Body.String())
			if !strings.Contains(w.Body.String(), "Signed in as") {
				t.Errorf("%s %s does not say who is signed in:\n%s", c.method, c.path, w.Body)
			}
		}
	}
}

// guarded wants the headers that keep a browser from doing what a text of others says.
func guarded(t *testing.T, r *http.Response) {
	t.Helper()
	got := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(got, want) {
			t.Errorf("%d: the policy %q does not say %s", r.StatusCode, got, want)
		}
	}
	if strings.Contains(got, "unsafe") {
		t.Errorf("the policy is %q", got)
	}
}

// TestAssets loads what pages load, once, and again with what the browser has kept.
func TestAssets(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{name}", serveAsset)
	page := draw(t, testServer(Access{Open: true}), situation{history: rehearse(t, rehearsal{until: measures(1)})})
	found := regexp.MustCompile(`"(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(found) != 3 {
		t.Fatalf("the page loads %v", found)
	}
	for _, f := range found {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", f[1], nil))
		etag := w.Header().Get("ETag")
		if w.Code != 200 || etag == "" || !strings.Contains(f[1], strings.Trim(etag, `"`)) || w.Body.Len() == 0 {
			t.Errorf("%s: %d, ETag %s, %d bytes", f[1], w.Code, etag, w.Body.Len())
		}
		guarded(t, w.Result())
		again := httptest.NewRequest("GET", f[1], nil)
		again.Header.Set("If-None-Match", etag)
		w = httptest.NewRecorder()
		mux.ServeHTTP(w, again)
		if w.Code != http.StatusNotModified || w.Body.Len() != 0 {
			t.Errorf("%s again: %d with %d bytes", f[1], w.Code, w.Body.Len())
		}
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/assets/live.js", nil))
	if w.Code != 404 {
		t.Errorf("a name without its hash: %d", w.Code)
	}
}

// TestTrouble answers each kind of error with a page that says what to do.
func TestTrouble(t *testing.T) {
	s := testServer(Access{Open: true})
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{guard.ErrNoRollout, 404, "archive"},
		{fmt.Errorf("look: %w", guard.ErrOver), 409, "over"},
		{badRequest("<b>no</b>"), 400, "&lt;b&gt;no"},
		{errApprove, 403, "approve"},
		{errors.New("password=hunter2"), 503, "Try again"},
	} {
		w := httptest.NewRecorder()
		s.person(View, func(http.ResponseWriter, *http.Request) error { return c.err }).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%v: %d\n%s", c.err, w.Code, w.Body)
		}
		markup(t, w.Body.String())
		guarded(t, w.Result())
	}
}

// TestBuckets adds up histograms of instances that come, begin anew, and have bounds of their own.
func TestBuckets(t *testing.T) {
	series := func(instance string, native bool, total float64, pairs ...float64) guard.Series {
		s := guard.Series{Signal: "latency", Arm: guard.Canary, Instance: instance, Total: total, Native: native}
		for i := 0; i < len(pairs); i += 2 {
			s.Bounds, s.Buckets = append(s.Bounds, pairs[i]), append(s.Buckets, pairs[i+1])
		}
		return s
	}
	infinity := math.Inf(1)
	for _, c := range []struct {
		name          string
		first, latest []guard.Series
		want          rise
	}{
		{"grown", []guard.Series{series("a", false, 10, .1, 4, 1, 9)}, []guard.Series{series("a", false, 30, .1, 14, 1, 29)}, rise{.1: 10, 1: 20, infinity: 20}},
		{"began anew", []guard.Series{series("a", false, 10, .1, 4, 1, 9)}, []guard.Series{series("a", false, 3, .1, 1, 1, 2)}, rise{.1: 1, 1: 2, infinity: 3}},
		{"a new one", nil, []guard.Series{series("a", false, 3, .1, 1, 1, 2)}, rise{.1: 1, 1: 2, infinity: 3}},
		{"other bounds", nil, []guard.Series{series("a", false, 3, .1, 1, 1, 2), series("b", false, 5, .2, 1, 1, 4)}, rise{1: 6, infinity: 8}},
		{"native", []guard.Series{series("a", true, 2, .1, 2)}, []guard.Series{series("a", true, 5, .1, 3, .4, 5)}, rise{.1: 1, .4: 3, infinity: 3}},
		{"nothing", nil, nil, nil},
	} {
		d := plotter{first: guard.Reading{Series: c.first}, latest: guard.Reading{Series: c.latest}}
		if diff := cmp.Diff(c.want, d.rose("latency", guard.Canary)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestBins never shows more than fits, and loses no request on the way.
func TestBins(t *testing.T) {
	canary, baseline := rise{}, rise{}
	for i := range 160 {
		canary[math.Pow(1.1, float64(i))/1000] = float64(i)
		baseline[math.Pow(1.1, float64(i))/1000] = float64(min(i, 80))
	}
	canary[math.Inf(1)], baseline[math.Inf(1)] = 160, 80
	h, ok := histogramOf("latency", canary, baseline)
	if !ok || len(h.Bins) > mostBins {
		t.Fatalf("%v, %d bins", ok, len(h.Bins))
	}
	sums := [2]float64{}
	for _, b := range h.Bins {
		sums[0], sums[1] = sums[0]+b.Canary, sums[1]+b.Baseline
		if b.CanaryWidth < 0 || b.CanaryWidth > 100 || b.BaselineWidth < 0 || b.BaselineWidth > 100 {
			t.Errorf("%+v does not fit", b)
		}
	}
	if math.Abs(sums[0]-1) > 1e-9 || math.Abs(sums[1]-1) > 1e-9 {
		t.Errorf("the shares add up to %v", sums)
	}
}

// TestActs offers what makes sense, to who has the right to it.
func TestActs(t *testing.T) {
	all := situations(t)
	operator := Caller{Name: "opi", Rights: []Right{View, Operate}}
	for _, c := range []struct {
		situation string
		caller    Caller
		want      string
	}{
		{"checking", operator, "rollback hold acknowledge note"},
		{"watching", ann, "rollback hold extend proceed acknowledge note"},
		{"watching", operator, "rollback hold extend acknowledge note"},
		{"watching", Caller{Name: "vic", Rights: []Right{View}}, ""},
		{"holding", ann, "rollback resume extend proceed acknowledge note"},
		{"going back", ann, "acknowledge note"},
		{"rolled back", ann, ""},
		{"incident", ann, "acknowledge cause severity sign-off stand-down note"},
		{"incident", Caller{Name: "Ann Lee", Rights: []Right{View, Operate}}, "acknowledge cause severity stand-down note"},
		{"incident", Caller{Name: "bo@example.com", Rights: []Right{View, Operate}}, "acknowledge cause severity sign-off note"},
		{"incident", Caller{Name: "vic", Rights: []Right{View}}, ""},
		{"stood down", ann, ""},
	} {
		var got []string
		for _, a := range acts(all[c.situation].history, c.caller, midnight.Add(time.Hour)) {
			got = append(got, a.ID)
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s, %s: %q, want %q", c.situation, c.caller.Name, text, c.want)
		}
	}
}

// FuzzPortray draws a history with any text in it.
func FuzzPortray(f *testing.F) {
	f.Add(poison, 40.)
	f.Add("", 1e300)
	f.Add("\u2028<!--", -1e300)
	rehearsed := rehearse(f, rehearsal{until: measures(4)})
	f.Fuzz(func(t *testing.T, text string, odds float64) {
		if math.IsNaN(odds) || math.IsInf(odds, 0) {
			t.Skip("no journal can hold it")
		}
		h := rehearsed
		events := slices.Clone(h.events)
		for i, e := range events {
			if m, ok := e.Fact.(guard.Measured); ok && i%2 == 0 {
				m.Ruling.LogOdds, m.Ruling.Why, m.Problem = odds, text, text
				events[i].Fact = m
			}
		}
		h = after(t, historyOf(t, h.plan, events), time.Second, guard.Noted{By: text, Text: text}, guard.Ordered{Verb: guard.OrderHold, Why: text, By: text})
		markup(t, draw(t, testServer(Access{Open: true}), situation{history: h, node: text, caller: Caller{Name: text, Rights: Rights}}))
	})
}
