// Package scenario plays what can go wrong with a plan, in a made-up world and in no time at all: the plan's own machine
// decides, the judge judges made-up counts, and made-up people answer as the roster of the plan has them. What comes of it
// is an exercise, as of any other drill. It touches nothing; how a drill is made for real is the business of cmd.
package scenario

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

// Options are what is different from a world in which everybody answers.
type Options struct {
	Seed   uint64   // of the noise in the counts, and of how long people take
	Absent []string // roles that nobody with the role answers for
	Dead   []int    // channels, by their place in plan.Notify, that deliver nothing
}

// A Play is what came of a scenario.
type Play struct {
	World    World
	Events   []guard.Event
	State    guard.State
	Onset    time.Time // when it began to go wrong; zero: it never came to it
	Exercise guard.Exercise
}

const (
	traffic   = 200.0            // requests in a second, of both versions together
	usually   = 0.001            // the share of requests that fails when all is well
	handles   = 2 * time.Second  // what a backend takes for an order
	gathers   = 5 * time.Second  // what evidence takes
	answers   = 3 * time.Minute  // what somebody takes at least who is called
	hesitates = 4                // minutes that it may take longer
	patience  = 26 * time.Hour   // after this nothing more is waited for in an incident that is not over
	reports   = 2 * time.Hour    // what it takes to write the report, once it is over
	learns    = 48 * time.Hour   // and then to change the plan
	alerted   = 2 * time.Minute  // what an alerting system takes
	signs     = 10 * time.Minute // what somebody takes who has to agree
	mostTasks = 5000             // of a play: what asks for more goes round in circles
)

// Run plays a scenario of a plan that responds to incidents. The same input has the same answer.
func Run(p *guard.Plan, w World, start time.Time, o Options) (Play, error) {
	release := guard.Release{ID: "tabletop-" + w.Name, Service: p.Service, Environment: p.Environment, From: "old", To: "new"}
	j, err := judge.New(p.Judge(release))
	if err != nil {
		return Play{}, fmt.Errorf("play %s: %w", w.Name, err)
	}
	least, _ := p.Rollout.Takes()
	s := &stage{
		World: w, plan: p, options: o, start: start, judge: j, counts: map[string]*counters{}, done: map[string]bool{},
		random: rand.New(rand.NewPCG(o.Seed, uint64(len(w.Name)))), //nolint:gosec // the same each time
		soon:   min(2*time.Minute, least/8), notice: min(w.Notice, least/2),
	}
	opened := guard.Opened{Release: release, Purpose: guard.ToRollout, Mode: guard.Enforce}
	play := Play{World: w}
	play.Events = guard.RehearseWith(p, opened, start, s.world, s.outside)
	if s.tasks > mostTasks {
		return play, fmt.Errorf("play %s: it did not come to an end within %d tasks, which is a mistake in golive", w.Name, mostTasks)
	}
	play.State, play.Onset = guard.Fold(p, play.Events), s.onset
	play.Exercise = s.exercise(play)
	return play, nil
}

// stage is a world while it is played.
type stage struct {
	World
	plan    *guard.Plan
	options Options
	start   time.Time
	random  *rand.Rand
	judge   *judge.Judge
	step    judge.Step

	soon, notice time.Duration // from the first traffic until it goes wrong, and from then until somebody has noticed
	onset        time.Time
	percent      int
	moved        time.Time // when the share changed last
	read         time.Time
	counts       map[string]*counters // by signal and arm
	mended       bool                 // a resort has brought the data back

	queue []guard.Event // of what comes from people, the earliest first
	done  map[string]bool
	told  []delivery
	tasks int // answered so far
}

// A delivery is one try to deliver a notice.
type delivery struct {
	at      time.Time
	channel int
	notice  guard.Notice
	problem string
}

type counters struct{ total, bad, slow float64 }

// wrong says whether it has gone wrong by a moment.
func (s *stage) wrong(at time.Time) bool { return !s.onset.IsZero() && !at.Before(s.onset) }

// ill says whether the old version does badly at a moment.
func (s *stage) ill(at time.Time) bool {
	return s.Old > 0 && s.wrong(at) && (s.Lasts == 0 || at.Before(s.onset.Add(s.Lasts)))
}

// unreachable says whether the backend takes no orders at a moment.
func (s *stage) unreachable(at time.Time) bool {
	return s.Away > 0 && s.wrong(at) && at.Before(s.onset.Add(s.Away))
}

func (s *stage) standing() guard.Standing {
	return guard.Standing{Percent: s.percent, Undo: guard.Undo{Open: true}}
}

// world answers the tasks of the machine.
func (s *stage) world(st guard.State, t guard.Task) (guard.Fact, time.Duration) {
	now := latest(st.At, t.NotBefore)
	if s.tasks++; s.tasks > mostTasks {
		return nil, 0
	}
	if st.Incident.Open() && now.Sub(st.Incident.Began) > patience {
		return nil, 0
	}
	const silent = "the backend does not answer"
	switch d := t.Deed.(type) {
	case guard.RunChecks:
		return guard.Checked{Findings: []guard.Finding{{ID: "tabletop", Verdict: guard.Pass, Title: "the launch may begin"}}}, 0
	case guard.Inspect:
		if s.unreachable(now) {
			return guard.Failed{Error: silent}, handles
		}
		return guard.Inspected{Standing: s.standing()}, 0
	case guard.Shift:
		if s.unreachable(now) {
			return guard.Failed{Error: silent}, handles
		}
		s.shift(now.Add(handles), d.Percent)
		return guard.Shifted(d), handles
	case guard.Measure:
		return s.measure(now, d.Step), 0
	case guard.Verify:
		if s.unreachable(now) {
			return guard.Failed{Error: silent}, handles
		}
		return guard.Verified{Standing: s.standing(), Findings: s.probes(s.Stale && !s.mended)}, time.Second
	case guard.Finish:
		return guard.Finished{}, handles
	case guard.Intervene:
		if d.Move == guard.MoveResort {
			s.mended = true
			return s.intervened(d), s.plan.Recovery.Resorts[d.N].Within.Std() / 2
		}
		return s.intervened(d), handles
	case guard.Gather:
		return guard.Gathered{Exhibits: []guard.Exhibit{{Name: "tabletop", At: now.Add(gathers)}}}, min(gathers, max(0, d.By.Sub(now)))
	case guard.Soak:
		return s.soak(now), 0
	case guard.Tell:
		return s.tell(now, d), 0
	}
	return guard.Elapsed{}, 0
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// shift moves the traffic. The first of it sets the moment at which it goes wrong.
func (s *stage) shift(at time.Time, percent int) {
	s.percent, s.moved = percent, at
	if percent > 0 && s.onset.IsZero() {
		s.onset = at.Add(s.soon)
	}
}

// probes are what rollout.verify says, or whoever looks in its place where the plan has no probes.
func (s *stage) probes(stale bool) (findings []guard.Finding) {
	f := guard.Finding{ID: "verify", Verdict: guard.Pass, Title: "the old version does well"}
	if stale {
		f.Verdict, f.Reason = guard.Fail, "the data that was deleted is missing"
	}
	for range max(1, len(s.plan.Rollout.Verify)) {
		findings = append(findings, f)
	}
	return findings
}

func (s *stage) intervened(d guard.Intervene) guard.Intervened {
	return guard.Intervened{Findings: []guard.Finding{{ID: string(d.Move), Verdict: guard.Pass, Title: "it is done"}}}
}

// measure makes counts up, and has them judged.
func (s *stage) measure(now time.Time, step judge.Step) guard.Measured {
	m := guard.Measured{Reading: guard.Reading{At: now}}
	if s.unreachable(now) {
		m.Unseen = "the backend does not answer"
	} else {
		standing := s.standing()
		m.Standing = &standing
	}
	if s.Gone && s.wrong(now) {
		m.Problem = "the metrics cannot be reached"
	} else {
		m.Reading.Series = s.series(now)
	}
	if step != s.step {
		s.judge.Begin(step)
		s.step = step
	}
	m.Ruling = s.judge.Observe(m.Reading)
	return m
}

// series are the counters of both versions as they stand now.
func (s *stage) series(now time.Time) (all []guard.Series) {
	since := s.read
	if since.IsZero() {
		since = now.Add(-s.plan.Watch.Every.Std())
	}
	s.read = now
	seconds := now.Sub(since).Seconds()
	for _, arm := range []struct {
		arm   guard.Arm
		share float64
		bad   float64
	}{{guard.Canary, float64(s.percent) / 100, s.Bad}, {guard.Baseline, 1 - float64(s.percent)/100, s.Old}} {
		for _, signal := range s.plan.Watch.Signals {
			c := s.counts[signal.Name+string(arm.arm)]
			if c == nil {
				c = &counters{total: 1000, bad: 1, slow: 1}
				s.counts[signal.Name+string(arm.arm)] = c
			}
			rate := usually
			if arm.bad > 0 && s.wrong(now) && (s.Lasts == 0 || s.ill(now)) {
				rate = arm.bad
			}
			n := math.Round(traffic * arm.share * seconds)
			bad := math.Floor(n*rate + s.random.Float64())
			c.total, c.bad, c.slow = c.total+n, c.bad+bad, c.slow+math.Floor(n*usually+s.random.Float64())
			all = append(all, c.series(signal, arm.arm))
		}
	}
	return all
}

// series is one signal of one arm, as its kind has it: what fails makes no request slower, and no gauge move.
func (c *counters) series(signal guard.Signal, arm guard.Arm) guard.Series {
	one := guard.Series{Signal: signal.Name, Arm: arm, Instance: "one"}
	switch signal.Kind() {
	case judge.Gauge:
		one.Value = new(1.0)
	case judge.Latency:
		one.Total = c.total
		one.Bounds, one.Buckets = []float64{0.01, 0.1, 1}, []float64{math.Floor(c.total / 2), c.total - c.slow, c.total}
	default:
		one.Total, one.Bad = c.total, c.bad
	}
	return one
}

// soak is one look at the old version, by word: it does badly for as long as the world has it so.
func (s *stage) soak(now time.Time) guard.Soaked {
	f := guard.Soaked{
		Reading: guard.Reading{At: now}, Findings: s.probes(s.Stale && !s.mended),
		Ruling: judge.Ruling{At: now, Call: judge.Continue, Why: "the old version does well"},
	}
	standing := s.standing()
	f.Standing = &standing
	if s.ill(now) {
		f.Ruling.Call, f.Ruling.Why = judge.Regressed, "the old version does badly"
	}
	return f
}

// tell delivers a notice, unless its channel is dead.
func (s *stage) tell(now time.Time, d guard.Tell) guard.Fact {
	one := delivery{at: now, channel: d.Channel, notice: d.Notice}
	if slices.Contains(s.options.Dead, d.Channel) {
		one.problem = "the channel is dead"
		s.told = append(s.told, one)
		return guard.Failed{Error: one.problem}
	}
	s.told = append(s.told, one)
	s.react(now, d.Notice)
	return guard.Told{Receipt: guard.Receipt{Detail: "as it would be"}}
}

// People.

// holders are who can answer for a role: people of the roster, a vendor, or the customer.
func (s *stage) holder(role string) (name string, found bool) {
	if slices.Contains(s.options.Absent, role) {
		return "", false
	}
	for _, person := range s.plan.Roster.People {
		if (person.Role == role || role == "everyone") && !guard.Placeholder(person.Name) && !slices.Contains(s.options.Absent, person.Role) {
			return person.Name, true
		}
	}
	for _, v := range s.plan.Roster.Vendors {
		if v.Name == role {
			return v.Name, true
		}
	}
	return role, role == "customer" || role == "business" || role == "management"
}

// takes is how long somebody takes who is called.
func (s *stage) takes() time.Duration {
	return answers + time.Duration(s.random.IntN(hesitates))*time.Minute
}

func (s *stage) at(when time.Time, f guard.Fact) {
	s.queue = append(s.queue, guard.Event{At: when, Fact: f})
	slices.SortStableFunc(s.queue, func(a, b guard.Event) int { return a.At.Compare(b.At) })
}

// once says whether something has not been done before.
func (s *stage) once(what string) bool {
	first := !s.done[what]
	s.done[what] = true
	return first
}

// react is what people do who have got a notice.
func (s *stage) react(now time.Time, n guard.Notice) {
	if n.News == "" || s.done["answer "+n.Key] {
		return
	}
	s.done["answer "+n.Key] = true
	for _, role := range n.Roles {
		name, there := s.holder(role)
		switch {
		case !there:
		case n.News == guard.NewsForward && s.asked(role):
			if s.once("agree " + role) {
				s.at(now.Add(min(signs, s.shortest()/4)), guard.Stated{What: guard.StateSignOff, Subject: role, By: name})
			}
		case n.Audience == "vendor" || n.Audience == "customer":
			if s.once("contact " + role) {
				s.at(now.Add(5*time.Minute), guard.Stated{What: guard.StateContacted, Subject: role, Text: "tabletop", By: name})
			}
		case n.Audience == "team" && n.Urgent && s.once("acknowledge"):
			s.at(now.Add(s.takes()), guard.Acknowledged{By: name})
		}
	}
}

// asked says whether a resort of the plan waits for a role to agree.
func (s *stage) asked(role string) bool {
	return slices.ContainsFunc(s.plan.Recovery.Resorts, func(r guard.Resort) bool { return r.Approval == role })
}

// shortest is the time of the resort that has the least.
func (s *stage) shortest() time.Duration {
	least := signs
	for _, r := range s.plan.Recovery.Resorts {
		least = min(least, r.Within.Std())
	}
	return least
}

// outside is what comes from people and alerts.
func (s *stage) outside(st guard.State, now, before time.Time) (guard.Event, bool) {
	s.think(st, now)
	if len(s.queue) == 0 || s.queue[0].At.After(before) {
		return guard.Event{}, false
	}
	e := s.queue[0]
	s.queue = s.queue[1:]
	return e, true
}

// class is what kind of trouble people say that it was, which no reading can tell.
func (s *stage) class() string {
	if slices.Contains(s.plan.Classes(), s.Name) {
		return s.Name
	}
	return ""
}

// think has people decide what to do as things stand now. Who leads is who has acknowledged; without anybody nothing is done
// beyond what the machine does.
func (s *stage) think(st guard.State, now time.Time) {
	i := st.Incident
	if !s.onset.IsZero() && s.once("onset") {
		if s.Alert != "" {
			at := s.onset.Add(min(alerted, s.soon))
			s.at(at, guard.Voted{Alerts: []guard.Alert{{Key: s.Alert, Name: s.Alert, Since: s.onset, Summary: s.What}}, By: "alerts"})
		}
		if s.Notice > 0 {
			s.at(s.onset.Add(s.notice), guard.Ordered{Verb: guard.OrderRollback, By: "whoever notices", Why: s.What})
		}
	}
	if fires := s.Alert != "" && s.done["onset"]; fires && !i.Reverted.IsZero() && s.once("alert ends") {
		over := i.Reverted.Add(alerted)
		if s.Lasts > 0 {
			over = latest(over, s.onset.Add(s.Lasts))
		}
		s.at(over, guard.Voted{Alerts: []guard.Alert{{Key: s.Alert, Name: s.Alert, Since: s.onset, Ended: true, Summary: s.What}}, By: "alerts"})
	}
	if s.Drift && s.wrong(now) && s.percent > 0 && s.once("drift") {
		s.percent = 0
	}
	if !i.Activated.IsZero() && s.once("lead") {
		if level, why, found := s.plan.Grade(guard.Situation{Scenario: s.Name, Acknowledged: true, Tier: string(s.plan.Tier), Peak: st.Peak, Cause: string(st.Cause)}); found && i.Scenario != s.Name && (i.Level == 0 || level.Level < i.Level) {
			s.at(now.Add(time.Minute), guard.Stated{What: guard.StateSeverity, Level: level.Level, Text: why, By: i.Lead})
		}
		s.at(latest(now, i.Began.Add(s.Cause)), guard.Stated{What: guard.StateCause, Text: s.What, Class: s.class(), By: i.Lead})
	}
	well := st.Phase == guard.Over && (st.Outcome == guard.RolledBack || st.Outcome == guard.Recovered) && !s.ill(now)
	if role := s.plan.Recovery.SignOff; well && i.Open() && role != "" && s.once("sign "+role) {
		if name, there := s.holder(role); there {
			s.at(now.Add(signs), guard.Stated{What: guard.StateSignOff, Subject: role, By: name})
		}
	}
	if _, ready := s.plan.Ready(st); ready && well && !i.Activated.IsZero() && i.Cause != "" && s.once("over") {
		if name, there := s.holder(cmp.Or(s.plan.Recovery.StandDown, "commander")); there {
			s.at(now.Add(5*time.Minute), guard.Stated{What: guard.StateStandDown, Text: "tabletop", By: name})
		}
	}
	if !i.StoodDown.IsZero() && i.Lead != "" && s.once("report") {
		s.at(i.StoodDown.Add(reports), guard.Stated{What: guard.StateFiled, By: i.Lead})
		s.at(i.StoodDown.Add(reports+learns), guard.Stated{What: guard.StateLearned, Text: "tabletop", By: i.Lead})
	}
}
