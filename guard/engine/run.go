package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

const (
	inspectTakes = 20 * time.Second
	measureTakes = 5 * time.Second // or a tick, if that is longer
	verifyTakes  = 30 * time.Second
	tellTakes    = 15 * time.Second
	tellAfter    = 20 * time.Second // for so long after the end, undelivered notices are tried again
	mostSeries   = 5000             // of a reading, which has to fit into a record of the journal
)

// run is a rollout while it runs. One goroutine, that of loop, owns everything in it.
type run struct {
	*Rollout
	state   guard.State
	watcher watcher
	soaker  soaker
	tasks   map[int]*task // whose goroutines have not ended yet, asked for still or not
	answers chan answer
	running sync.WaitGroup
	broken  error // why the journal cannot be written
	leaving bool  // because of that
	fenced  error // somebody else owns the rollout
	version string
	pace    pace

	backlog  backlog
	renewing bool      // a phase is given its whole time again
	halted   time.Time // Rollout.MayAdvance forbids to go forward since then; zero: it does not
	begun    bool      // a move forward may have been, by this process or by one before it
}

// A task is a deed that somebody is busy with.
type task struct {
	guard.Task
	cancel context.CancelFunc
}

type answer struct {
	task int
	fact guard.Fact
}

// see makes a fact durable, and then true. What answers a task that nobody asks for any more is dropped.
func (r *run) see(id int, f guard.Fact) {
	i := slices.IndexFunc(r.state.Todo, func(t guard.Task) bool { return t.ID == id })
	if id != 0 && i < 0 {
		return
	}
	if measured, ok := f.(guard.Measured); ok && i >= 0 {
		if deed, ok := r.state.Todo[i].Deed.(guard.Measure); ok {
			measured.Ruling = r.watcher.observe(deed.Step, measured.Reading)
			measured.Reading.Remarks = r.state.Unheard(measured.Reading.Remarks) // each stands in the journal once
			r.watcher.counts.note(deed.Step, measured)
			f = measured
		}
	}
	if soaked, ok := f.(guard.Soaked); ok && i >= 0 {
		if deed, ok := r.state.Todo[i].Deed.(guard.Soak); ok {
			soaked.Ruling = r.soaker.look(r.Plan, r.state.Release, deed.Began, soaked.Reading)
			soaked.Reading.Remarks = r.state.Unheard(soaked.Reading.Remarks)
			f = soaked
		}
	}
	e := guard.Event{At: r.now(), Task: id, Fact: f}
	r.watcher.learn(f)
	r.keep(e)
	r.giveUp()
	if r.fenced != nil || r.broken != nil && r.state.Phase == "" { // what nobody remembers has not begun
		return
	}
	r.apply(e)
}

// giveUp goes back once the journal cannot be written: forward needs it, back never does. The order comes before the
// fact that could not be kept.
func (r *run) giveUp() {
	if r.broken == nil || r.leaving || r.state.Phase == guard.Over { // an incident may have reasons not to go back
		return
	}
	r.leaving = true
	r.apply(guard.Event{At: r.now(), Fact: guard.Ordered{Verb: guard.OrderRollback, By: "golive", Why: r.broken.Error()}})
}

func (r *run) apply(e guard.Event) {
	r.state = guard.Next(r.Plan, r.state, e)
	if r.Saw != nil {
		r.Saw(e, r.state)
	}
}

func (r *run) keep(e guard.Event) {
	if r.broken != nil {
		return
	}
	kind, data, err := e.Encode()
	fact := record{e.At, kind, data}
	if err == nil && r.away() {
		r.backlog.records = append(r.backlog.records, fact)
		return
	}
	if err == nil {
		err = r.Journal.Append(fact.at, fact.kind, fact.data)
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrFenced):
		r.fenced = err
	case errors.Is(err, ErrAway):
		r.goAway(fact, err)
	default:
		r.broken = fmt.Errorf("%w: %w", ErrJournal, err)
	}
}

// now is the time by which the rollout goes. It may be asked from several goroutines.
func (r *run) now() time.Time { return r.pace.now() }

// A pace is a clock that goes on from the last record of a journal, even if the machine that wrote it was ahead of this
// one: it always flows, at least as fast as time does, so that ticks come and deadlines pass. Where the clock of this
// machine is put forward, or has slept, it follows.
type pace struct {
	mu    sync.Mutex
	ahead time.Duration // of the clock of this machine, since the journal was
	last  time.Time     // what was said last
	read  time.Time     // when that was, with its monotonic reading
}

// begin sets the clock, before anybody asks it.
func (p *pace) begin(latest time.Time) {
	p.read = time.Now()
	p.last = wall(p.read)
	if latest.After(p.last) {
		p.ahead = latest.Sub(p.last)
		p.last = latest.UTC().Round(0)
	}
}

func (p *pace) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	read := time.Now()
	next := p.last.Add(read.Sub(p.read))
	if shown := wall(read).Add(p.ahead); shown.After(next) {
		next = shown
	}
	p.last, p.read = next, read
	return next
}

// translate puts the times of a reading on this clock, for the judge compares them with the beginning of a step.
func (p *pace) translate(reading guard.Reading) guard.Reading {
	reading.At = p.now()
	if p.ahead == 0 {
		return reading
	}
	reading.Series = slices.Clone(reading.Series) // the source may keep its own
	for i, s := range reading.Series {
		reading.Series[i].At = s.At.Add(p.ahead)
	}
	return reading
}

func wall(t time.Time) time.Time { return t.UTC().Round(0) }

func clock() time.Time { return wall(time.Now()) }

// cancelDropped ends what nobody asks for any more, so that the next task need not wait for it: a shift
// under way must not delay the way back.
func (r *run) cancelDropped() {
	for id, t := range r.tasks {
		if !slices.ContainsFunc(r.state.Todo, func(todo guard.Task) bool { return todo.ID == id }) {
			t.cancel()
		}
	}
}

// start begins every task that is due.
func (r *run) start(ctx context.Context) {
	for r.look(); r.fenced == nil; r.look() {
		r.cancelDropped()
		i := slices.IndexFunc(r.state.Todo, func(t guard.Task) bool { return r.startable(t) && !t.NotBefore.After(r.now()) })
		if i < 0 {
			return
		}
		t := r.state.Todo[i]
		if timer(t.Deed) {
			r.see(t.ID, guard.Elapsed{})
			continue
		}
		limited, cancel := context.WithTimeout(ctx, r.limit(t.Deed))
		r.tasks[t.ID] = &task{t, cancel}
		state, counts, letGo := r.state, r.watcher.counts, context.CancelFunc(func() {})
		r.begun = r.begun || forward(t.Deed)
		if r.MayAdvance != nil && (forward(t.Deed) || ramps(t.Deed)) {
			limited, letGo = r.whileItMay(limited)
		}
		r.running.Go(func() {
			defer cancel()
			defer letGo()
			a := answer{t.ID, r.perform(limited, state, counts, t)}
			select {
			case r.answers <- a:
			case <-ctx.Done():
			}
		})
	}
}

// startable says that a task is not begun yet, and may be: two moves of the traffic never overlap, not even
// when the first was given up, and no move goes forward while the journal is away.
func (r *run) startable(t guard.Task) bool {
	if r.tasks[t.ID] != nil || r.barred(t) {
		return false
	}
	for _, other := range r.tasks {
		if conflicts(t.Deed, other.Deed) {
			return false
		}
	}
	return true
}

// timer says that a deed asks for nothing but its time to come.
func timer(d guard.Deed) bool {
	switch d.(type) {
	case guard.Wait, guard.Remind, guard.Escalate, guard.Regrade:
		return true
	}
	return false
}

// busy says that there is more to do than to wait for what an incident owes.
func (r *run) busy() bool {
	return slices.ContainsFunc(r.state.Todo, func(t guard.Task) bool {
		_, waits := t.Deed.(guard.Wait)
		return waits || !timer(t.Deed)
	})
}

func moves(d guard.Deed) bool {
	switch d.(type) {
	case guard.Shift, guard.Finish:
		return true
	}
	return false
}

// nextDue is when the next task that can begin wants to. When all have begun, answers are all there is to
// wait for.
func (r *run) nextDue() time.Time {
	next := r.now().Add(time.Hour)
	if at := r.tooLong(); !at.IsZero() && at.Before(next) {
		next = at
	}
	if soon := r.now().Add(lookAgain); r.MayAdvance != nil && standsStill(r.state.Phase) && soon.Before(next) {
		next = soon
	}
	for _, t := range r.state.Todo {
		if r.startable(t) && t.NotBefore.Before(next) {
			next = t.NotBefore
		}
	}
	return next
}

// limit is how long a deed may take. A move of the traffic gets a third of the time for all tries.
func (r *run) limit(d guard.Deed) time.Duration {
	switch d := d.(type) {
	case guard.RunChecks:
		return r.state.Until.Sub(r.now())
	case guard.Shift:
		if d.Percent == 0 {
			return r.Plan.Rollout.Deadline.Rollback.Std() / 3
		}
		return r.Plan.Rollout.Deadline.Shift.Std() / 3
	case guard.Finish:
		return r.Plan.Rollout.Deadline.Shift.Std() / 3
	case guard.Measure, guard.Soak:
		return max(measureTakes, r.Plan.Watch.Every.Std())
	case guard.Intervene:
		return r.interveneTakes(d)
	case guard.Gather:
		return d.By.Sub(r.now())
	case guard.Verify:
		return verifyTakes
	case guard.Tell:
		return tellTakes
	}
	return inspectTakes
}

// interveneTakes is how long a probe of the chapter recovery may take.
func (r *run) interveneTakes(d guard.Intervene) time.Duration {
	recovery := r.Plan.Recovery
	switch {
	case d.Move == guard.MoveContain && recovery.Deadline.Contain > 0:
		return recovery.Deadline.Contain.Std()
	case d.Move == guard.MoveResort && d.N < len(recovery.Resorts):
		return recovery.Resorts[d.N].Within.Std()
	}
	return rampTakes
}

// perform does a task and returns what came of it. It never panics: a part that does has failed.
func (r *run) perform(ctx context.Context, s guard.State, counts decisive, t guard.Task) (fact guard.Fact) {
	defer func() {
		if p := recover(); p != nil {
			fact = guard.Failed{Error: fmt.Sprintf("panic: %v", p)}
		}
	}()
	order := guard.Order{Release: s.Release, Fence: s.Fence, Seq: int64(t.ID), Key: fmt.Sprintf("%s/%d", s.Release.ID, t.ID)}
	var err error
	switch d := t.Deed.(type) {
	case guard.RunChecks:
		scene := r.Parts.Scene(ctx, r.Plan, s.Release, clock())
		scene.BreakGlass = s.BreakGlass
		return guard.Checked{Findings: RunChecks(ctx, scene, r.Parts.Checks, r.Found)}
	case guard.Inspect:
		var inspected guard.Inspected
		var remembering sync.WaitGroup
		if s.Phase == guard.Checking && s.Purpose != guard.ToRollback { // a way back waits for nothing
			remembering.Go(func() {
				var forgot error
				if inspected.History, forgot = r.recall(ctx, s.Release); forgot != nil {
					inspected.Problem = explain(ctx, forgot)
				}
			})
		}
		inspected.Standing, err = r.inspect(ctx, s.Release)
		remembering.Wait()
		if err == nil {
			return inspected
		}
	case guard.Shift:
		if err = r.Parts.Backend.Shift(ctx, order, d.Percent); err == nil {
			return guard.Shifted(d)
		}
	case guard.Finish:
		if err = r.Parts.Backend.Finish(ctx, order); err == nil {
			return guard.Finished{}
		}
	case guard.Measure:
		return r.measure(ctx, s.Release)
	case guard.Verify:
		return r.verify(ctx, s.Release)
	case guard.Intervene:
		if fact, err = r.intervene(ctx, s.Release, d); err == nil {
			return fact
		}
	case guard.Gather:
		return r.gather(ctx, s, counts)
	case guard.Soak:
		return r.soak(ctx, s.Release)
	case guard.Tell:
		if fact, err = r.tell(ctx, d); err == nil {
			return fact
		}
	default:
		panic(fmt.Sprintf("nobody knows how to do %T", d))
	}
	return guard.Failed{Error: explain(ctx, err)}
}

// explain says why something could not be done, in words that may be shown and kept; "context deadline exceeded"
// tells nobody anything.
func explain(ctx context.Context, err error) string {
	why := guard.Printable(err.Error())
	if errors.Is(context.Cause(ctx), errHalted) {
		return fmt.Sprintf("given up under way: %v (%s)", errHalted, why)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "gave no answer in time: " + why
	}
	return why
}

// inspect asks the backend, and believes nothing impossible.
func (r *run) inspect(ctx context.Context, release guard.Release) (guard.Standing, error) {
	st, err := r.Parts.Backend.Inspect(ctx, release)
	if err == nil {
		err = st.Check()
	}
	return st, err
}

// measure reads the counts, and asks where the traffic is at the same time: somebody else may have moved it.
func (r *run) measure(ctx context.Context, release guard.Release) guard.Fact {
	var fact guard.Measured
	var inspecting sync.WaitGroup
	inspecting.Go(func() {
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
	query := guard.Query{Release: release, Signals: r.Plan.Watch.Signals}
	fact.Reading, fact.Problem = r.read(ctx, query)
	inspecting.Wait()
	return fact
}

// fallback is the name of the fallback in readings; that of the source is empty.
const fallback = "fallback"

// read asks the source, and the fallback if the source cannot be asked. The problem says why it could not.
func (r *run) read(ctx context.Context, query guard.Query) (reading guard.Reading, problem string) {
	defer func() { reading = r.pace.translate(reading) }()
	first, cancel := ctx, context.CancelFunc(func() {})
	if deadline, limited := ctx.Deadline(); limited && r.Parts.Fallback != nil { // which needs time, too
		half := time.Until(deadline) / 2
		first, cancel = context.WithTimeout(ctx, half)
	}
	defer cancel()
	reading, err := readFrom(first, r.Parts.Source, query)
	if err == nil {
		return reading, ""
	}
	problem = explain(first, err)
	if r.Parts.Fallback == nil {
		return reading, problem
	}
	if reading, err = readFrom(ctx, r.Parts.Fallback, query); err != nil {
		return reading, problem + "; the fallback: " + explain(ctx, err)
	}
	reading.Source = fallback
	return reading, problem + " (the fallback was asked)"
}

// readFrom asks a source, and believes nothing impossible. Of a source that could not be asked there is only the time.
func readFrom(ctx context.Context, source guard.Source, query guard.Query) (reading guard.Reading, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		reading.At, reading.Source = clock(), ""
		if err != nil {
			reading.Series, reading.Remarks = nil, nil
		}
	}()
	if reading, err = source.Read(ctx, query); err != nil {
		return reading, err
	}
	reading.At = clock()
	if len(reading.Series) > mostSeries {
		return reading, fmt.Errorf("%d series are more than a rollout can remember (%d): let the selectors say less", len(reading.Series), mostSeries)
	}
	return reading, guard.CheckReading(query, reading)
}

// verify asks the backend and every probe of the plan whether the old version is back.
func (r *run) verify(ctx context.Context, release guard.Release) guard.Fact {
	var findings []guard.Finding
	var probing sync.WaitGroup
	probing.Go(func() { findings = askAll(ctx, r.Parts.Verify, release) })
	st, err := r.inspect(ctx, release)
	probing.Wait()
	if err != nil {
		return guard.Failed{Error: explain(ctx, err)}
	}
	return guard.Verified{Standing: st, Findings: findings}
}

// ask puts the question of one probe. Whatever goes wrong is an Unknown finding.
func ask(ctx context.Context, probe guard.Probe, release guard.Release) (f guard.Finding) {
	defer func() {
		if p := recover(); p != nil {
			f = guard.Finding{Reason: fmt.Sprintf("panic: %v", p)}
		}
	}()
	f, err := probe.Probe(ctx, release)
	if err != nil {
		return guard.Finding{Reason: explain(ctx, err)}
	}
	f.Waived = nil // no probe waives its own answer
	return f
}

// watcher is the judge and the step that it judges.
type watcher struct {
	config judge.Config
	judge  *judge.Judge
	step   judge.Step
	counts decisive // of the latest step that was measured
}

// learn gives the judge the history that the journal keeps, as long as it has not judged anything.
func (w *watcher) learn(f guard.Fact) {
	inspected, ok := f.(guard.Inspected)
	if !ok || len(inspected.History) == 0 || w.step != (judge.Step{}) {
		return
	}
	w.config.History = inspected.History
	learned, err := judge.New(w.config)
	if err != nil {
		panic(err) // the configuration was good without a history, which cannot be wrong
	}
	w.judge = learned
}

// observe never panics: a judge that does has seen nothing.
func (w *watcher) observe(step judge.Step, reading guard.Reading) (ruling judge.Ruling) {
	defer func() {
		if p := recover(); p != nil {
			ruling = judge.Ruling{At: reading.At, Call: judge.Blind, Why: fmt.Sprintf("the judge panicked, which is a mistake in golive: %v", p)}
		}
	}()
	if step != w.step {
		w.judge.Begin(step)
		w.step = step
	}
	return w.judge.Observe(reading)
}

// replay brings the judge to where a history has left it. The rulings of the past stand as they are written.
func (w *watcher) replay(p *guard.Plan, past []guard.Event, release guard.Release) (err error) {
	w.config = p.Judge(release)
	if w.judge, err = judge.New(w.config); err != nil {
		return err
	}
	var s guard.State
	for _, e := range past {
		w.learn(e.Fact)
		for _, t := range s.Todo {
			deed, asked := t.Deed.(guard.Measure)
			if m, ok := e.Fact.(guard.Measured); ok && asked && t.ID == e.Task {
				w.observe(deed.Step, m.Reading)
				w.counts.note(deed.Step, m)
			}
		}
		s = guard.Next(p, s, e)
	}
	return nil
}
