package server

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/guard/report"
)

// This file says what stands on the pages. It asks nobody: histories in, words and numbers out.

// A mark is a word with a tone and a shape, so that nobody has to tell colours apart.
type mark struct {
	Word, Tone, Shape string
}

// A row is a rollout in the list.
type row struct {
	shown
	State mark
	Mind  mark // what golive thinks
	Alone bool // nobody guards it, though somebody should
	Held  bool
}

// An overview is the list of rollouts.
type overview struct {
	Open, Over []row
	OnlyOpen   bool
	Paged      bool // it begins behind others
	Service    string
	Services   []string
	Older      string // where the older ones are; empty: there are none
}

func (o overview) title() string {
	if len(o.Open) > 0 {
		return fmt.Sprintf("(%d open) Rollouts", len(o.Open))
	}
	return "Rollouts"
}

// overview reads the list that a request asks for: those that are open, and after them those that are over.
func (s *Server) overview(r *http.Request) (overview, error) {
	q := r.URL.Query()
	o := overview{Service: q.Get("service"), OnlyOpen: q.Get("show") == "open", Paged: q.Get("before") != ""}
	for _, c := range s.Plans.All() {
		if !slices.Contains(o.Services, c.Plan.Service) {
			o.Services = append(o.Services, c.Plan.Service)
		}
	}
	if o.Service != "" && !slices.Contains(o.Services, o.Service) {
		o.Services = append(o.Services, o.Service)
	}
	ask := func(open bool, before string) ([]row, string, error) {
		asked := url.Values{"open": {strconv.FormatBool(open)}}
		if o.Service != "" {
			asked.Set("service", o.Service)
			if e := q.Get("environment"); e != "" {
				asked.Set("environment", e)
			}
		}
		if open {
			asked.Set("limit", strconv.Itoa(listMost))
		}
		if before != "" {
			asked.Set("before", before)
		}
		request := r.Clone(r.Context())
		request.URL.RawQuery = asked.Encode()
		list, err := s.list(request)
		if err != nil {
			return nil, "", err
		}
		rows := make([]row, len(list.Rollouts))
		for i, one := range list.Rollouts {
			rows[i] = asRow(one)
		}
		return rows, list.Next, nil
	}
	var next string
	var err error
	if o.OnlyOpen || !o.Paged {
		if o.Open, next, err = ask(true, q.Get("before")); err != nil {
			return o, err
		}
	}
	if !o.OnlyOpen {
		if o.Over, next, err = ask(false, q.Get("before")); err != nil {
			return o, err
		}
	}
	if next != "" {
		asked := url.Values{"before": {next}}
		for _, key := range []string{"show", "service", "environment"} {
			if v := q.Get(key); v != "" {
				asked.Set(key, v)
			}
		}
		o.Older = "/?" + asked.Encode()
	}
	return o, nil
}

func asRow(one shown) row {
	return row{
		shown: one, State: markOfPhase(one.Phase, one.Outcome), Mind: markOfOpinion(one.Opinion),
		Alone: one.Open && one.Guard == "", Held: one.Held != "",
	}
}

// A portrait is one rollout as its page shows it.
type portrait struct {
	row
	Now        time.Time
	Happening  string // what goes on, in a sentence
	Next       string // what becomes of it, and when, if nothing else comes
	Meaning    string // of the opinion
	Notices    []notice
	Bar        bar
	Incident   *panel // what it has become; nil: nothing
	Acts       []act
	MayAct     bool
	Decided    *judge.Ruling // the latest ruling of the judge
	Rule       string        // what its rule means
	Odds       string
	Missing    string
	Chart      *chart
	Counts     []counted
	Histograms []histogram
	Tally      string
	Findings   []found // what is not as it should be, the gravest first
	Passed     []found
	ProofTally string
	ProofOf    []found
	Owed       []owed
	Timeline   []saying
	Untold     int // so many older lines are left out
	Journal    []kept
	Hash       string // of the last record
	Kinds      []string
}

func (p portrait) title() string {
	return fmt.Sprintf("%s: %s %s (%s)", p.State.Word, p.Service, p.To, p.Environment)
}

// A notice is something that has to be seen before all else.
type notice struct {
	mark
	Text string
}

// An act is something that a person can do about a rollout.
type act struct {
	ID, Verb, Path string
	Name           string // on the button
	Says           string // what will happen
	Sure           string // on the button that does it
	Danger         bool
	Why, For       bool // what it asks for
	Force          bool // of an order that takes it

	What    guard.Statement // of what is said of an incident
	Ask     string          // what its text is; empty: it has none
	Levels  []guard.Level   // to choose from
	Roles   []string        // to choose from
	Classes []string        // to choose from, or none
	Missing string          // why it cannot be done yet; then there is no button
}

// A bar is the share of the traffic, and the steps on its way.
type bar struct {
	Seen, Aim int
	Says      string
	Steps     []stepMark
}

type stepMark struct {
	Percent int
	Name    string
	Word    string // done, now, to come
	Now     bool
}

// counted is what was counted of one signal in this step.
type counted struct {
	Name             string
	Canary, Baseline judge.Tally
	Alone            bool // there is no old version to compare with
	Difference       string
	Odds             string
	Excluded         string
}

// found is a finding.
type found struct {
	guard.Finding
	mark
	Waiver string
}

// owed is a task that is not done yet.
type owed struct {
	What  string
	At    time.Time // zero: at once
	Tries int
}

// A saying is a line of the timeline.
type saying struct {
	At time.Time
	mark
	Text string
}

// kept is a record of the journal.
type kept struct {
	Seq  int64
	At   time.Time
	Kind string
	Task int
}

// How much of a long history a page shows. The report and the journal hold all of it.
const (
	timelineShows = 200
	journalShows  = 20
)

// portray draws a rollout for who looks at it. Nothing in it is younger than now.
func portray(h history, one shown, c Caller, now time.Time) portrait {
	st := h.state
	p := portrait{row: asRow(one), Now: now, Kinds: guard.Kinds()}
	p.Happening, p.Next = happening(h.plan, st), next(st)
	p.Meaning = meaning(one.Opinion, st)
	p.Notices = notices(h, one, now)
	p.Bar = barOf(h.plan, st)
	p.Incident = panelOf(h, one, now)
	p.Acts, p.MayAct = acts(h, c, now), c.MayFor(Operate, targetOf(st))
	if r := one.Ruling; r != nil {
		p.Decided, p.Rule, p.Odds = r, report.Meaning(r.Rule), report.Against(r.LogOdds)
		p.Missing = report.Missing(*r)
		for _, sight := range r.Signals {
			p.Counts = append(p.Counts, countedOf(sight))
		}
	}
	if len(st.Findings) > 0 {
		p.Tally = report.TallyOf(st.Findings).String()
	}
	for _, f := range gravestFirst(st.Findings) {
		if f.Verdict == guard.Pass {
			p.Passed = append(p.Passed, f)
		} else {
			p.Findings = append(p.Findings, f)
		}
	}
	if len(st.Proof) > 0 {
		p.ProofTally = report.TallyOf(st.Proof).String()
		p.ProofOf = gravestFirst(st.Proof)
	}
	for _, t := range st.Todo {
		p.Owed = append(p.Owed, owed{deedWords(h.plan, st, t.Deed), t.NotBefore, t.Tries})
	}
	slices.SortStableFunc(p.Owed, func(a, b owed) int { return a.At.Compare(b.At) })

	teller := teller{plan: h.plan}
	plotter := plotter{}
	var state guard.State
	for _, e := range h.events {
		was := state
		state = guard.Next(h.plan, state, e)
		p.Timeline = append(p.Timeline, teller.tell(e, was, state)...)
		plotter.see(e, was, state)
	}
	p.Chart, p.Histograms = plotter.chart(st), plotter.histograms(h.plan)
	slices.Reverse(p.Timeline)
	if more := len(p.Timeline) - timelineShows; more > 0 {
		p.Timeline, p.Untold = p.Timeline[:timelineShows], more
	}
	for i := len(h.events) - 1; i >= max(0, len(h.events)-journalShows); i-- {
		e := h.events[i]
		kind, _, _ := e.Encode()
		p.Journal = append(p.Journal, kept{int64(i + 1), e.At, kind, e.Task})
	}
	p.Hash = h.last.Hash
	return p
}

// notices are what has to be seen first, the gravest first.
func notices(h history, one shown, now time.Time) (all []notice) {
	st := h.state
	add := func(m mark, format string, args ...any) {
		all = append(all, notice{m, fmt.Sprintf(format, args...)})
	}
	open := st.Phase != guard.Over // the traffic's part; nobody is to stay away from what goes on after it, either
	if st.Outcome == guard.RollbackFailed {
		add(mark{"Act now", bad, cross}, "golive could not make sure that the traffic is back. Move it with your own tools, and look at what it says below.")
	}
	if one.Open && one.Guard == "" {
		add(mark{"Nobody guards it", bad, alarm}, "No server drives this rollout just now, so nothing moves and nobody watches; the last record is from %s, %s ago. "+
			"A server that runs takes it on by itself; if none does within a minute, start one. What you order is recorded, and done once one has taken it on.",
			report.Clock(st.At), report.Span(now.Sub(st.At)))
	}
	if stale := now.Sub(st.At); open && one.Guard != "" && st.Phase != guard.Resorting && stale > staleAfter(h.plan) { // a restore may say nothing for long
		add(mark{"No news", bad, alarm}, "The last record is from %s, %s ago. Its guard (%s) may stand still, or be unable to reach the store.", report.Clock(st.At), report.Span(stale), one.Guard)
	}
	if open && st.Asked {
		add(mark{asking(h.plan, st), doubt, alarm}, "The evidence does not decide. It holds until %s, and then goes back: %s", report.Clock(st.Until), cmp.Or(st.Ruling.Why, st.Why))
	}
	if open && st.Held != "" {
		add(mark{"Held", doubt, pausedShape}, "It takes no further step until somebody says resume: %s", st.Held)
	}
	for _, a := range st.Alerts {
		if open {
			add(mark{"An alert fires", doubt, alarm}, "%s, since %s. %s", a.Name, report.Clock(a.Since), a.Summary)
		}
	}
	if open && st.Alarm != "" && len(st.Alerts) == 0 {
		add(mark{"Alerts", doubt, alarm}, "%s", st.Alarm)
	}
	if open && st.Trouble != "" {
		add(mark{"Trouble", doubt, alarm}, "%s", st.Trouble)
	}
	if open {
		for _, warning := range st.Ruling.Warnings {
			add(mark{"Look at this", doubt, alarm}, "%s", warning)
		}
		for _, remark := range st.Remarks {
			add(mark{"The source remarks", calm, dots}, "%s", remark)
		}
	}
	if st.BreakGlass != nil {
		add(mark{"Break-glass", doubt, alarm}, "%s", st.BreakGlass)
	}
	if st.Mode == guard.Observe && st.Purpose != guard.ToRollback {
		add(mark{"Observe", calm, dots}, "golive decides and reports, and touches nothing.")
	}
	if st.Release.First() {
		add(mark{"First release", calm, dots}, "There is nothing to compare with and nothing to go back to; only limits count.")
	}
	if st.Acknowledged != "" {
		add(mark{"Acknowledged", good, check}, "%s looks after it.", st.Acknowledged)
	}
	return all
}

// asking says what is wanted of people when the evidence does not decide.
func asking(plan *guard.Plan, s guard.State) string {
	then := plan.Rollout.Scarce.Then
	if s.Ruling.Call == judge.Blind {
		then = plan.Rollout.Blind.Then
	}
	if then == guard.ThenAsk {
		return "A person has to decide"
	}
	return "Holding"
}

// barOf is the share of the traffic.
func barOf(plan *guard.Plan, st guard.State) bar {
	b := bar{Seen: st.Seen, Aim: st.Aim, Says: fmt.Sprintf("%s has %d %% of the traffic", st.Release.To, st.Seen)}
	if st.Aim != st.Seen {
		b.Says += fmt.Sprintf(", and is to have %d %%", st.Aim)
	}
	if st.Purpose == guard.ToRollback {
		return b
	}
	back := st.Cause != "" || st.Phase == guard.Over && st.Outcome != guard.Live
	for i, step := range plan.Rollout.Steps {
		m := stepMark{Percent: step.Percent, Name: step.Name, Word: "to come"}
		begun := st.Phase != guard.Checking && st.Phase != ""
		switch {
		case led(st):
			m.Word = ""
		case st.Outcome == guard.Live, begun && i < st.Step:
			m.Word = "done"
		case begun && i == st.Step && st.Phase == guard.Over && st.Seen == 0 && st.Cause == "":
			m.Word = "not begun"
		case begun && i == st.Step:
			m.Word, m.Now = "now", true
			if back {
				m.Word = "ended here"
			} else if st.Phase == guard.Finishing {
				m.Word = "done"
				m.Now = false
			}
		case back:
			m.Word = "not begun"
		}
		b.Steps = append(b.Steps, m)
	}
	return b
}

// acts are what the caller can do about a rollout now: neither what makes no sense, nor what he has no right to.
func acts(h history, c Caller, now time.Time) (all []act) {
	st := h.state
	if !c.MayFor(Operate, targetOf(st)) || st.Ended() || st.Phase == "" {
		return nil
	}
	all = responses(h, c, now)
	all = append(all, orders(st, c)...)
	if st.Acknowledged == "" || st.Acknowledged != c.Name {
		all = append(all, act{
			ID: "acknowledge", Path: "acknowledgement", Name: "I look after it", Sure: "I look after it",
			Says: "Others see that you have taken notice. It changes nothing else.",
		})
		if i := len(all) - 1; st.Incident.Open() {
			all[i].Says = "Others see that you have taken notice. If nobody leads yet, you do from now on."
			all = slices.Concat(all[i:], all[:i]) // what comes first at night
		}
	}
	all = append(all, act{
		ID: "note", Path: "notes", Name: "Add a note", Ask: "Note", Sure: "Record the note",
		Says: "It stands in the timeline and in the journal, for ever. It changes nothing.",
	})
	return all
}

// orders are what the caller can do about the traffic.
func orders(st guard.State, c Caller) (all []act) {
	r := st.Release
	watches := st.Phase == guard.Watching || st.Phase == guard.Baking
	moving := st.Phase == guard.Shifting || watches
	switch {
	case st.Phase == guard.Checking && st.Purpose != guard.ToRollback:
		all = append(all, act{
			ID: "rollback", Verb: string(guard.OrderRollback), Name: "Call it off", Danger: true, Why: true,
			Says: r.To + " has got no traffic yet, and gets none. The rollout is over then.", Sure: "Yes, call it off",
		})
	case st.ReturnsAgain(true):
		a := act{
			ID: "rollback", Verb: string(guard.OrderRollback), Name: "Take it back once more", Danger: true, Why: true, Force: !st.ReturnsAgain(false),
			Says: fmt.Sprintf("golive tries again to take all traffic from %s (%d %% when it was last seen), and verifies that it is gone.", r.To, st.Seen),
			Sure: "Yes, take " + r.To + " back",
		}
		if a.Force {
			a.Says = "golive did not go back, since the plan says that the migration cannot be undone. Do this only if the old version works with the data as it is now. " + a.Says
		}
		all = append(all, a)
	case moving || st.Phase == guard.Finishing:
		a := act{
			ID: "rollback", Verb: string(guard.OrderRollback), Name: "Roll back to " + r.From, Danger: true, Why: true,
			Says: fmt.Sprintf("All traffic goes from %s (%d %% now) back to %s, at once. This rollout does not go up again.", r.To, st.Seen, r.From),
			Sure: "Yes, roll back to " + r.From,
		}
		if r.First() {
			a.Name, a.Sure = "Take it out of the traffic", "Yes, take "+r.To+" out"
			a.Says = fmt.Sprintf("%s (%d %% now) loses all traffic, and there is no older version to take it.", r.To, st.Seen)
		}
		if st.Mode == guard.Observe {
			a.Says = "golive only observes: it records that it would go back, ends, and touches nothing. Move the traffic with your own tools."
		}
		all = append(all, a)
	}
	if st.Held == "" && (moving || st.Phase == guard.Checking) {
		all = append(all, act{
			ID: "hold", Verb: string(guard.OrderHold), Name: "Hold", Why: true, Sure: "Hold",
			Says: "It takes no further step. It goes on watching, and goes back by itself if harm is found.",
		})
	}
	if st.Held != "" && st.Phase != guard.Over {
		all = append(all, act{
			ID: "resume", Verb: string(guard.OrderResume), Name: "Resume", Why: true, Sure: "Resume",
			Says: "It takes steps again, as the evidence allows.",
		})
	}
	if watches {
		all = append(all, act{
			ID: "extend", Verb: string(guard.OrderExtend), Name: "More time", Why: true, For: true, Sure: "Give it more time",
			Says: fmt.Sprintf("This part ends at %s at the latest. It gets more time to come to something.", report.Clock(st.Until)),
		})
	}
	if c.MayFor(Approve, targetOf(st)) && watches && st.Seen > 0 && (st.Phase == guard.Baking || !led(st)) {
		all = append(all, act{
			ID: "proceed", Verb: string(guard.OrderProceed), Name: "Proceed anyway", Danger: true, Why: true, Sure: "Yes, I answer for it: proceed",
			Says: "It goes on although harm is not excluded. Your name stands in the journal for that.",
		})
	}
	for i := range all {
		all[i].Path = "orders"
	}
	return all
}

// led says that somebody else moves the traffic up.
func led(s guard.State) bool { return s.Purpose == guard.ToWatch || s.Mode == guard.Observe }

func countedOf(s judge.Sight) counted {
	c := counted{
		Name: signalWords(s), Canary: s.Step.Canary, Baseline: s.Step.Baseline, Alone: s.Step.Baseline.Requests == 0,
		Odds: report.Odds(s.LogOdds), Excluded: exclusion(s),
	}
	if s.Step.Canary.Requests > 0 && !c.Alone {
		c.Difference = fmt.Sprintf("%s to %s percentage points", report.Points(s.Low), report.Points(s.High))
	}
	return c
}

// gravestFirst are findings in the order in which somebody has to look at them; waived ones come last.
func gravestFirst(all []guard.Finding) []found {
	gravest := []guard.Verdict{guard.Fail, guard.Unknown, guard.Waiting, guard.Warn, guard.Pass}
	var some []found
	for _, f := range all {
		one := found{Finding: f, mark: markOfVerdict(f.Verdict)}
		if f.Waived != nil && f.Counts() != f.Verdict {
			one.mark, one.Waiver = mark{"waived", faint, dash}, f.Waived.String()
		}
		some = append(some, one)
	}
	rank := func(f found) int {
		if f.Waiver != "" {
			return len(gravest)
		}
		return slices.Index(gravest, f.Verdict)
	}
	slices.SortStableFunc(some, func(a, b found) int { return rank(a) - rank(b) })
	return some
}
