package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

const (
	rampTakes   = time.Minute
	keepTakes   = 3 * time.Second // before the evidence has to be there, collectors are asked to end, so that what they have can be kept
	problemSays = 300             // characters of what is wrong with a piece of evidence
)

// A Collector is one that the plan names, under the name of what it brings.
type Collector struct {
	Name string
	guard.Collector
}

// A Resort is one that the plan names, made for the moment at which it is needed.
type Resort struct {
	Do     guard.Probe
	Backup *guard.Backup // that it restores; nil: none
	Verify []guard.Probe // what looks afterwards; none: Parts.Verify does
}

// conflicts says whether a deed has to wait until another has ended: moves of the traffic never overlap, and neither do
// interventions. Containing waits for nothing, and nothing that leads back waits for an intervention: what hangs was
// cancelled, and may not hold up what helps.
func conflicts(d, other guard.Deed) bool {
	switch d := d.(type) {
	case guard.Shift, guard.Finish:
		return moves(other)
	case guard.Intervene:
		_, intervenes := other.(guard.Intervene)
		return intervenes && d.Move != guard.MoveContain
	}
	return false
}

// intervene runs a probe that changes something. That it could not be asked is a finding; an error says that there was
// nothing that could be done.
func (r *run) intervene(ctx context.Context, release guard.Release, d guard.Intervene) (guard.Fact, error) {
	made := Resort{Do: r.Parts.Contain}
	switch d.Move {
	case guard.MoveRamp:
		made.Do = nil
		if d.N < len(r.Parts.Ramp) {
			made.Do = r.Parts.Ramp[d.N]
		}
	case guard.MoveResort:
		if r.Parts.Resort == nil {
			return nil, errors.New("nobody knows how to make the resorts of the plan")
		}
		var err error
		if made, err = r.Parts.Resort(ctx, d.N, release); err != nil {
			return nil, err
		}
		if len(made.Verify) == 0 {
			made.Verify = r.Parts.Verify
		}
	}
	if made.Do == nil {
		return nil, fmt.Errorf("the plan has nothing for %s %d", d.Move, d.N)
	}
	done := ask(ctx, made.Do, release)
	if done.ID == "" {
		done.ID = string(d.Move)
	}
	findings := []guard.Finding{done}
	if verdict := done.Counts(); verdict == guard.Pass || verdict == guard.Warn {
		findings = append(findings, askAll(ctx, made.Verify, release)...)
	}
	return guard.Intervened{Findings: findings, Backup: made.Backup}, nil
}

// askAll puts the questions of several probes at once.
func askAll(ctx context.Context, probes []guard.Probe, release guard.Release) []guard.Finding {
	findings := make([]guard.Finding, len(probes))
	var asking sync.WaitGroup
	for i, probe := range probes {
		asking.Go(func() { findings[i] = ask(ctx, probe, release) })
	}
	asking.Wait()
	return findings
}

// decisive are the readings that decided about a step: the counts are cumulative, so that the first and the latest
// together say what happened on it.
type decisive struct {
	Step   judge.Step      `json:"step"`
	First  *guard.Measured `json:"first,omitempty"`
	Latest *guard.Measured `json:"latest,omitempty"`
}

// note remembers a reading of a step.
func (d *decisive) note(step judge.Step, m guard.Measured) {
	if d.First == nil || d.Step != step {
		*d = decisive{Step: step, First: &m}
	}
	d.Latest = &m
}

// The evidence that golive has itself.
const (
	countsName = "counts.json"
	deployName = "deploy.json"
)

// deployed is what deploy.json holds.
type deployed struct {
	Release  guard.Release   `json:"release"`
	At       time.Time       `json:"at"`
	Aim      int             `json:"aim"`  // percent that the new version was to have
	Seen     int             `json:"seen"` // percent that it was last seen to have
	Standing *guard.Standing `json:"standing,omitempty"`
	Problem  string          `json:"problem,omitempty"` // why the backend could not say where the traffic is
}

// gather collects all evidence at once, and keeps it. It returns when its time is over, whoever is still busy: what is
// not there by then is named as missing, and is not kept later either.
func (r *run) gather(ctx context.Context, s guard.State, counts decisive) guard.Fact {
	collectors := slices.Clone(r.Parts.Collect)
	collectors = append(collectors,
		Collector{countsName, collect(func(context.Context) ([]byte, error) { return written(counts) })},
		Collector{deployName, collect(func(ctx context.Context) ([]byte, error) {
			d := deployed{Release: s.Release, At: r.now(), Aim: s.Aim, Seen: s.Seen}
			standing, err := r.inspect(ctx, s.Release)
			if err == nil {
				d.Standing = &standing
			} else {
				d.Problem = explain(ctx, err)
			}
			return written(d)
		})})

	asking, cancel := early(ctx, keepTakes)
	defer cancel()
	type piece struct {
		place   int
		exhibit guard.Exhibit
	}
	pieces := make(chan piece, len(collectors)) // nobody who is late has to wait for a reader
	for i, c := range collectors {
		go func() { pieces <- piece{i, r.exhibit(ctx, asking, c, s.Release)} }()
	}
	exhibits := make([]guard.Exhibit, len(collectors))
	for i, c := range collectors {
		exhibits[i] = guard.Exhibit{Name: c.Name, At: r.now(), Cut: true, Problem: "it was not there in time"}
	}
	for range collectors {
		select {
		case p := <-pieces:
			exhibits[p.place] = p.exhibit
			continue
		case <-ctx.Done():
		}
		break
	}
	return guard.Gathered{Exhibits: exhibits}
}

// early is ctx that ends sooner, but for a quarter of its time at most.
func early(ctx context.Context, sooner time.Duration) (context.Context, context.CancelFunc) {
	deadline, limited := ctx.Deadline()
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(sooner, time.Until(deadline)/4)))
}

// collect makes a collector of a function.
type collect func(ctx context.Context) ([]byte, error)

func (c collect) Collect(ctx context.Context, _ guard.Release) ([]byte, error) { return c(ctx) }

func written(v any) ([]byte, error) { return json.MarshalIndent(v, "", "  ") }

// exhibit collects one piece of evidence and keeps it, as long as its time, that of whole, is not over.
func (r *run) exhibit(whole, ctx context.Context, c Collector, release guard.Release) (e guard.Exhibit) {
	e = guard.Exhibit{Name: c.Name, At: r.now()}
	defer func() {
		if p := recover(); p != nil {
			e = guard.Exhibit{Name: c.Name, At: e.At, Problem: guard.Line(fmt.Sprintf("panic: %v", p), problemSays)}
		}
	}()
	content, err := c.Collect(ctx, release)
	var problem string
	cut := err != nil && (ctx.Err() != nil || len(content) >= guard.ExhibitAtMost) // of more than that, a collector has the end
	if err != nil {
		problem = guard.Line(explain(ctx, err), problemSays)
	}
	switch {
	case whole.Err() != nil:
		e.Cut, e.Problem = true, "it was not there in time"
		return e
	case len(content) == 0 && err != nil:
		e.Cut, e.Problem = cut, problem
		return e
	case r.Parts.Keep == nil:
		e.Problem = "there is no place where it could be kept"
		return e
	}
	kept, err := r.Parts.Keep(whole, c.Name, content)
	if err != nil {
		e.Problem = guard.Line("it could not be kept: "+explain(whole, err), problemSays)
		return e
	}
	kept.Name, kept.At = e.Name, e.At
	kept.Cut = kept.Cut || cut
	if problem != "" {
		kept.Problem = problem
	}
	return kept
}

// soak looks once whether the old version does well. Its counts are those of the old version in the release itself, since a
// source may know the arms by where they run: nobody else could tell them apart after a name has changed sides.
func (r *run) soak(ctx context.Context, release guard.Release) guard.Fact {
	var fact guard.Soaked
	var looking sync.WaitGroup
	looking.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				fact.Unseen = fmt.Sprintf("panic: %v", p)
			}
		}()
		if st, err := r.inspect(ctx, release); err == nil {
			fact.Standing = &st
		} else {
			fact.Unseen = explain(ctx, err)
		}
	})
	looking.Go(func() { fact.Findings = askAll(ctx, r.Parts.Verify, release) })
	if release.First() {
		fact.Reading.At = r.now()
	} else {
		fact.Reading, fact.Problem = r.read(ctx, guard.Query{Release: release, Signals: r.Plan.Watch.Signals})
	}
	looking.Wait()
	fact.Reading.Series = slices.DeleteFunc(slices.Clone(fact.Reading.Series), func(s guard.Series) bool { return s.Arm != guard.Baseline })
	return fact
}

// A soaker judges the old version after the way back, by the limits of the plan alone.
type soaker struct {
	watcher
	began time.Time
}

// look lets the judge see a reading of the old version. Each time that everything has to stay well from now on, it forgets
// what was before.
func (k *soaker) look(p *guard.Plan, release guard.Release, began time.Time, reading guard.Reading) judge.Ruling {
	if release.First() {
		return judge.Ruling{At: reading.At, Call: judge.Continue, Why: "there is no older version whose counts could be watched"}
	}
	old := guard.Release{ID: release.ID, Service: release.Service, Environment: release.Environment, To: release.From}
	if k.judge == nil || !k.began.Equal(began) {
		anew := soaker{began: began}
		anew.config = p.Judge(old)
		var err error
		if anew.judge, err = judge.New(anew.config); err != nil {
			panic(err) // the same plan was good for the rollout
		}
		*k = anew
	}
	series := slices.Clone(reading.Series)
	for i := range series {
		series[i].Arm = guard.Canary // to the judge of a first release, whatever serves is the canary
	}
	reading.Series = series
	lasts := p.Recovery.Soak.Std()
	return k.observe(judge.Step{At: began, Weight: 1, AtLeast: lasts, AtMost: max(lasts, p.Watch.Every.Std()), Absolute: true, Last: true}, reading)
}

// tell delivers a notice to those behind its roles at this minute. Their addresses go no further than the channel.
func (r *run) tell(ctx context.Context, d guard.Tell) (guard.Fact, error) {
	if d.Channel >= len(r.Parts.Notifiers) || d.Channel >= len(r.Plan.Notify) {
		return nil, errors.New("the plan has no such channel")
	}
	n := d.Notice
	var remark string
	n.To, remark = r.recipients(ctx, n, r.Plan.Notify[d.Channel])
	if r.Reply != nil {
		n.Reply = r.Reply(n)
	}
	receipt, err := r.Parts.Notifiers[d.Channel].Notify(ctx, n)
	if err != nil {
		return nil, errors.New(withoutAddresses(explain(ctx, err), n.To))
	}
	receipt.Detail = withoutAddresses(receipt.Detail, n.To)
	receipt.Handed = slices.Clone(receipt.Handed)
	for i := range receipt.Handed {
		h := &receipt.Handed[i]
		h.Name, h.Way, h.Problem = withoutAddresses(h.Name, n.To), withoutAddresses(h.Way, n.To), withoutAddresses(h.Problem, n.To)
	}
	switch {
	case remark != "" && receipt.Detail != "":
		receipt.Detail = remark + "; " + receipt.Detail
	case remark != "":
		receipt.Detail = remark
	}
	return guard.Told{Receipt: receipt}, nil
}

// recipients asks who is on duty, and finds those whom a notice is for. That nobody knows who is on duty keeps nobody from
// hearing it.
func (r *run) recipients(ctx context.Context, n guard.Notice, c guard.Channel) ([]guard.Recipient, string) {
	var duty []string
	var err error
	if n.Audience != "" && r.Parts.OnDuty != nil {
		duty, err = r.onDuty(ctx)
	}
	to, remark := r.Plan.Recipients(n, c, duty)
	if err != nil && remark != "" {
		remark += fmt.Sprintf(" (who is on duty is not known: %s)", guard.Line(explain(ctx, err), problemSays))
	}
	return to, remark
}

func (r *run) onDuty(ctx context.Context) (names []string, err error) {
	defer func() {
		if p := recover(); p != nil {
			names, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	ctx, cancel := early(ctx, tellTakes*2/3) // the notice has to be delivered after that
	defer cancel()
	return r.Parts.OnDuty(ctx, r.now())
}

// withoutAddresses puts the kind of an address in the place of each that the recipients have.
func withoutAddresses(text string, to []guard.Recipient) string {
	for _, recipient := range to {
		for _, way := range recipient.Reach {
			for kind, address := range way {
				if address != "" && kind != guard.GitHubLogin { // which is often a word
					text = strings.ReplaceAll(text, address, "["+kind+"]")
				}
			}
		}
	}
	return text
}
