package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/golive-dev/golive/guard"
)

const (
	questionTakes = 10 * time.Second // beyond a tick, which readings may be apart, unless the plan gives a part longer
	partTakes     = time.Second      // beyond the time that the plan gives it, so that it can say itself that it is over
	checkTakes    = time.Second      // beyond what its questions take, so that one without an answer does not spoil the others
	checksAtOnce  = 32
	fileHolds     = 1 << 20
)

// RunChecks asks all checks at once, but those that are off for the plan, and then those that are Last. It returns
// their findings in the order of the checks, those that are Last behind all others. Each finding is also told to found,
// if it is given, as soon as all those before it are. A check that fails to find out, panics, hangs or answers
// nonsense yields a finding of its own, and the verdict Unknown; so does one that has no answer when ctx ends, and one
// that needs another that did not pass, which is not asked. What an advisory check does not pass is a warning, and
// what is waived is marked. The needs have to be sound: see guard.CheckNeeds.
func RunChecks(ctx context.Context, s guard.Scene, checks []guard.Check, found func(guard.Finding)) []guard.Finding {
	checks = slices.DeleteFunc(slices.Clone(checks), func(c guard.Check) bool { return c.For(s.Plan) == guard.Off })
	var first, last []guard.Check
	for _, c := range checks {
		if c.Last {
			last = append(last, c)
		} else {
			first = append(first, c)
		}
	}
	runs := make(map[string]*checkRun, len(checks)) // by ID
	all := runAtOnce(ctx, s, first, runs, found)
	s.Found = slices.Concat(s.Found, all) // besides what the scene knows already
	return append(all, runAtOnce(ctx, s, last, runs, found)...)
}

// runAtOnce asks these checks, and adds them to the runs, which are those of the checks before.
func runAtOnce(ctx context.Context, s guard.Scene, checks []guard.Check, runs map[string]*checkRun, found func(guard.Finding)) []guard.Finding {
	inOrder := make([]*checkRun, len(checks))
	for i, c := range checks {
		inOrder[i] = &checkRun{check: c, done: make(chan struct{})}
		runs[c.ID] = inOrder[i]
	}
	slots := make(chan struct{}, checksAtOnce)
	for _, r := range inOrder {
		go func() {
			defer close(r.done)
			r.findings = r.run(ctx, s, runs, slots)
		}()
	}
	var all []guard.Finding
	for _, r := range inOrder {
		<-r.done
		for _, f := range s.Waive(r.check, weigh(r.check.For(s.Plan), r.findings)) {
			all = append(all, f)
			if found != nil {
				found(f)
			}
		}
	}
	return all
}

// weigh makes a warning of what an advisory check does not pass. What is given stays as it was found, for those
// who need it.
func weigh(need guard.Need, findings []guard.Finding) []guard.Finding {
	weighed := slices.Clone(findings)
	for i := range weighed {
		if f := &weighed[i]; need == guard.Advisory && f.Verdict != guard.Pass {
			f.Verdict = guard.Warn
		}
	}
	return weighed
}

// A checkRun is a check and what it comes to, which may be read once done is closed.
type checkRun struct {
	check    guard.Check
	done     chan struct{}
	findings []guard.Finding
}

// run waits for what the check needs and for its turn, and asks it. It returns when ctx ends, whatever it waits for.
func (r *checkRun) run(ctx context.Context, s guard.Scene, runs map[string]*checkRun, slots chan struct{}) []guard.Finding {
	for _, id := range r.check.Needs {
		need := runs[id]
		if need == nil {
			continue
		}
		select {
		case <-need.done:
		case <-ctx.Done():
			return unknown(s, r.check, "not asked: "+ended(ctx))
		}
		if !met(need.findings) {
			return unknown(s, r.check, fmt.Sprintf("not asked, because %s did not pass", need.name()))
		}
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return unknown(s, r.check, "not asked: "+ended(ctx))
	}
	defer func() { <-slots }()
	return runCheck(ctx, s, r.check)
}

func (r *checkRun) name() string {
	if r.check.Code == "" {
		return r.check.ID
	}
	return fmt.Sprintf("%s (%s)", r.check.ID, r.check.Code)
}

// met says that something passed. Where a check asks about several things, what depends on it can say something
// about those that pass, and people mend all of it at once.
func met(findings []guard.Finding) bool {
	return slices.ContainsFunc(findings, func(f guard.Finding) bool {
		return f.Verdict == guard.Pass || f.Verdict == guard.Warn
	})
}

func unknown(s guard.Scene, c guard.Check, reason string) []guard.Finding {
	return []guard.Finding{{Code: c.Code, ID: c.ID, Title: cmp.Or(c.Title, c.ID), Path: c.Path, Reason: reason, At: s.Now}}
}

// ended says why there is no more time.
func ended(ctx context.Context) string {
	why := context.Cause(ctx)
	if errors.Is(why, context.DeadlineExceeded) {
		return "the time for all checks is over"
	}
	return guard.Printable(why.Error())
}

// takes is how long a question may be open. Where the plan gives its part a timeout, or all that is kept before going
// back a budget, it is at least that.
func takes(p *guard.Plan, q guard.Question) time.Duration {
	part := guard.Part{}
	switch {
	case q.Standing:
		part = p.Rollout.Backend
	case q.Readings > 0, q.Past, q.Clock:
		part = p.Watch.Source
	case q.Backups != nil:
		part = *q.Backups
	case q.Probe != nil:
		part = *q.Probe
	case q.Restore != nil:
		part = *q.Restore
	}
	longest := questionTakes
	if text, written := part.With["timeout"].(string); written {
		if timeout, err := guard.ParseDuration(text); err == nil {
			longest = max(longest, timeout.Std()+partTakes)
		}
	}
	if q.Probe != nil && slices.ContainsFunc(p.Evidence.Collect, func(kept guard.Part) bool { return reflect.DeepEqual(kept, part) }) {
		longest = max(longest, p.Evidence.Budget.Std()+partTakes)
	}
	return longest + p.Watch.Every.Std()
}

// patience is how long a check may run: each question that it asks gives it the time that the question may take.
type patience struct {
	mu   sync.Mutex
	ends time.Time
	over *time.Timer
}

// wait calls over after so long, unless the patience grows until then. The caller stops it.
func wait(long time.Duration, over func()) *patience {
	return &patience{ends: time.Now().Add(long), over: time.AfterFunc(long, over)}
}

func (p *patience) grow(long time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ends := time.Now().Add(long); ends.After(p.ends) && p.over.Stop() {
		p.ends = ends
		p.over.Reset(long)
	}
}

// runCheck runs one check, and gives up on it when its time is over even if it does not listen. What it says after
// that is not heard.
func runCheck(whole context.Context, s guard.Scene, c guard.Check) []guard.Finding {
	ctx, cancel := context.WithCancel(whole)
	defer cancel()
	patience := wait(takes(s.Plan, guard.Question{})+checkTakes, cancel)
	defer patience.over.Stop()
	if ask := s.Ask; ask != nil {
		s.Ask = func(ctx context.Context, q guard.Question) (guard.Answer, error) {
			patience.grow(takes(s.Plan, q) + checkTakes)
			return ask(ctx, q)
		}
	}
	done := make(chan []guard.Finding, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- unknown(s, c, fmt.Sprintf("the check panicked: %v", p))
			}
		}()
		findings, err := c.Run(ctx, s)
		switch {
		case ctx.Err() != nil: // too late
		case err != nil:
			done <- unknown(s, c, explain(ctx, err))
		case len(findings) == 0:
			done <- unknown(s, c, "the check found nothing to say")
		default:
			done <- findings
		}
	}()
	select {
	case findings := <-done:
		for i := range findings {
			f := &findings[i]
			f.Code, f.ID = c.Code, c.ID
			f.Title = cmp.Or(f.Title, c.Title)
			f.Path = cmp.Or(f.Path, c.Path)
			if f.At.IsZero() {
				f.At = s.Now
			}
			if f.Verdict < guard.Unknown || f.Verdict > guard.Fail {
				f.Reason = fmt.Sprintf("the check answered %s", f.Verdict)
				f.Verdict = guard.Unknown
			}
		}
		return findings
	case <-ctx.Done():
		if whole.Err() != nil {
			return unknown(s, c, "no answer yet: "+ended(whole))
		}
		return unknown(s, c, "the check gave no answer in time")
	}
}

// Scene is what the checks look at, seen with these parts at this time. Questions that are still open when
// ctx ends have no answer.
func (p Parts) Scene(ctx context.Context, plan *guard.Plan, release guard.Release, now time.Time) guard.Scene {
	w := &witness{parts: p, plan: plan, release: release, asked: map[string]*testimony{}}
	_, remembers := p.Source.(guard.Historian)
	return guard.Scene{Plan: plan, Release: release, Now: now, Remembers: remembers, Ask: func(asker context.Context, q guard.Question) (guard.Answer, error) {
		return w.ask(ctx, asker, q)
	}}
}

// witness answers the questions of all checks, each question once.
type witness struct {
	parts   Parts
	plan    *guard.Plan
	release guard.Release

	mu    sync.Mutex
	asked map[string]*testimony // by the question's JSON
}

// A testimony may be used once done is closed.
type testimony struct {
	done   chan struct{}
	answer guard.Answer
	err    error
}

// ask waits for the answer as long as the asker does. The question goes on for the others.
func (w *witness) ask(ctx, asker context.Context, q guard.Question) (guard.Answer, error) {
	key, err := json.Marshal(q)
	if err != nil {
		return guard.Answer{}, err
	}
	w.mu.Lock()
	t := w.asked[string(key)]
	if t == nil {
		t = &testimony{done: make(chan struct{})}
		w.asked[string(key)] = t
		go func() {
			defer close(t.done)
			ctx, cancel := context.WithTimeout(ctx, takes(w.plan, q))
			defer cancel()
			t.answer, t.err = w.look(ctx, q)
		}()
	}
	w.mu.Unlock()
	select {
	case <-t.done:
		return t.answer, t.err
	case <-asker.Done():
		return guard.Answer{}, asker.Err()
	}
}

func (w *witness) look(ctx context.Context, q guard.Question) (a guard.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			a, err = guard.Answer{}, fmt.Errorf("panic: %v", p)
		}
	}()
	switch {
	case q.Standing:
		a.Standing, err = w.parts.Backend.Inspect(ctx, w.release)
	case q.Readings > 0:
		a.Readings, err = w.read(ctx, q.Readings)
	case q.Past:
		a.Readings, err = w.past(ctx)
	case q.Clock:
		a.Clock, err = w.skew(ctx)
	case q.Backups != nil:
		var vault guard.Vault
		if vault, err = w.parts.Vault(*q.Backups); err == nil {
			a.Backups, err = vault.Backups(ctx)
		}
	case q.Probe != nil:
		var probe guard.Probe
		if probe, err = w.parts.Probe(*q.Probe); err == nil {
			a.Finding, err = probe.Probe(ctx, w.release)
		}
	case q.Ledger:
		var l guard.Ledger
		if l, err = w.parts.Ledger(); err == nil {
			a.Ledger = &l
		}
	case q.Plans:
		a.Plans, err = w.parts.Plans()
	case q.Restore != nil:
		var restorer guard.Restorer
		if restorer, err = w.parts.Restorer(*q.Restore); err == nil {
			a.Finding, err = restorer.Ready(ctx)
		}
	case q.Tool != "":
		a.Path, err = lookPath(q.Tool)
	case q.File != "":
		a.Text, err = readText(q.File)
	default:
		err = errors.New("an empty question")
	}
	if err != nil {
		err = errors.New(explain(ctx, err))
	}
	return a, err
}

// read takes n readings, a tick apart.
func (w *witness) read(ctx context.Context, n int) ([]guard.Reading, error) {
	query := guard.Query{Release: w.release, Signals: w.plan.Watch.Signals}
	if w.parts.Fallback != nil { // which has to be there when it is needed
		if _, err := readFrom(ctx, w.parts.Fallback, query); err != nil {
			return nil, fmt.Errorf("the fallback: %w", err)
		}
	}
	var all []guard.Reading
	for {
		reading, err := w.parts.Source.Read(ctx, query)
		if err != nil {
			return nil, err
		}
		if reading.At.IsZero() {
			reading.At = time.Now().UTC()
		}
		reading.Remarks = guard.Remarks(reading.Remarks)
		if all = append(all, reading); len(all) == n {
			return all, nil
		}
		select {
		case <-time.After(w.plan.Watch.Every.Std()):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// skew compares the clock of the source with ours. That it has none is an answer.
func (w *witness) skew(ctx context.Context) (guard.Skew, error) {
	source, ok := w.parts.Source.(guard.Clock)
	if !ok {
		return guard.Skew{NoClock: true}, nil
	}
	return source.Skew(ctx, w.release)
}

// lookPath finds a program where golive looks for its plugins too: on PATH, and beside golive itself. One
// that is nowhere has the path "".
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if !errors.Is(err, exec.ErrNotFound) {
		return path, err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path, err = exec.LookPath(filepath.Join(filepath.Dir(self), name))
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return path, err
}

// readText reads a file that holds text. It looks before it opens, for whoever opens a pipe waits for its writer.
func readText(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, fileHolds+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > fileHolds:
		return "", fmt.Errorf("%s is larger than 1 MiB", name)
	case !utf8.Valid(text):
		return "", fmt.Errorf("%s holds no text in UTF-8", name)
	}
	return string(text), nil
}
