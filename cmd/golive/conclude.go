package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// A conclusion is the answer of what has come to its end.
type conclusion struct {
	account
	ExitCode int `json:"exit_code"`
}

// conclude answers how a history ended, unless it did not, and what is to be done now, if anything is. Asked says
// that this call wanted it taken back.
func (p *program) conclude(e ending, err error, asked bool) error {
	if err != nil {
		return err
	}
	code := exitOf(e.state, e.signalled, asked)
	if e.unkept != nil {
		fmt.Fprintf(p.err, "golive: %v\n", e.unkept)
		if code == exitOK {
			code = exitInternal // it went well, but nothing proves it
		}
	}
	p.tellEnd(e.history.asOf(e.state), e.state, code)
	return quiet(code)
}

func (p *program) tellEnd(h *history, s guard.State, code int) {
	p.handOn(p.step.ended(h, s, code))
	if p.settings.Output == asJSON {
		c := conclusion{h.account(), code}
		c.Holder = nil // ourselves, for a moment more
		if err := p.answerAbout(h.Plan, c); err != nil {
			fmt.Fprintf(p.err, "golive: %v\n", err)
		}
		return
	}
	i, out := p.ink(p.out), p.discreet(p.out, h.Plan)
	if s.Mode == guard.Observe && s.Purpose != guard.ToRollback {
		fmt.Fprintln(out, i.paint(loud, "observe: golive touched nothing"))
	}
	fmt.Fprintln(out, i.paint(toneOfOutcome(s.Outcome), hang(0, verdict(s), i.width)))
	for _, f := range s.Findings {
		stopped := s.Outcome == guard.NoGo || s.Outcome == guard.Unknowable
		if stopped && f.Counts() != guard.Pass && f.Counts() != guard.Warn {
			fmt.Fprintln(out, hang(0, findingText(f, i, false), i.width))
		}
	}
	for _, fact := range p.known(h, s, i) {
		fmt.Fprintf(out, "  %-11s%s\n", fact[0], hang(13, fact[1], i.width))
	}
}

// handOn tells that something could not be handed on to the steps of a workflow. It changes nothing of how a rollout ends.
func (p *program) handOn(err error) {
	if err != nil {
		fmt.Fprintf(p.err, "golive: %v\n", err)
	}
}

// asOf is the history as its journal tells it by now, or as much of it as is known without.
func (h *history) asOf(s guard.State) *history {
	if h.Name != "" { // a server has the journal
		latest := *h
		latest.State = s
		return &latest
	}
	latest, err := readHistory(h.Path)
	if err != nil {
		latest = &history{Path: h.Path, Plan: h.Plan, Events: h.Events}
	}
	latest.State = s
	return latest
}

// known is what else there is to know at the end, and what to do next.
func (p *program) known(h *history, s guard.State, i ink) (facts [][2]string) {
	add := func(name, format string, args ...any) {
		facts = append(facts, [2]string{name, fmt.Sprintf(format, args...)})
	}
	r := s.Release
	if s.BreakGlass != nil {
		add("glass", "%s", s.BreakGlass)
	}
	if r.First() && s.Purpose != guard.ToRollback {
		add("first", "a first release has nothing to compare with and nothing to go back to: only limits count")
	}
	failed := s.Outcome == guard.RollbackFailed
	if failed {
		add("last seen", "%s with %d %% of the traffic", r.To, s.Seen)
		if s.Trouble != "" {
			add("trouble", "%s", s.Trouble)
		}
	}
	if s.Outcome == guard.RolledBack || failed {
		if proof := proofOf(s, i); len(proof) > 0 {
			add("verified", "%s", strings.Join(proof, "\n"))
		}
	}
	facts = append(facts, incidentOf(h.Plan, s, time.Now()).facts(p, h.ID(), h.Name != "")...)
	add("journal", "%s", h.Path)
	if h.Page != "" {
		add("page", "%s", h.Page)
	}
	switch s.Outcome {
	case guard.NoGo, guard.Unknowable:
		if s.Purpose == guard.ToRollback {
			add("AGAIN", "mend it, then: %s\nor go back all the same: %s", p.goOnWith(h), p.call("rollback", "--from", r.From, "--to", r.To, "--force"))
			break
		}
		add("next", "mend it, then: %s", p.goOnWith(h))
	case guard.RollbackFailed:
		add("LOOK", "%s", p.call("explain", h.ID()))
		add("AGAIN", "%s", p.again(h, r))
	case guard.Unfinished:
		add("next", "look why: %s\nor take it back: %s", p.call("explain", h.ID()), p.again(h, r))
	case guard.Overdue, guard.Stopped:
		add("next", "begin again: %s", p.goOnWith(h))
	case guard.RolledBack, guard.WouldRollBack:
		if s.Purpose != guard.ToRollback {
			add("why", "%s", p.call("explain", h.ID()))
		}
	}
	return facts
}

// again is the command that takes the traffic back once more.
func (p *program) again(h *history, r guard.Release) string {
	if r.First() {
		return "by hand: " + r.To + " is the first release, golive knows no version to go back to"
	}
	return p.call("rollback", h.ID())
}

// proofOf says what the certainty about a way back rests on.
func proofOf(s guard.State, i ink) []string {
	if follows(s) && s.Purpose != guard.ToWatch {
		return nil // it was not golive that went back
	}
	backend := guard.Finding{Verdict: guard.Pass, Title: fmt.Sprintf("the backend says that %s has %d %% of the traffic", s.Release.To, s.Seen)}
	if s.Seen != 0 {
		backend.Verdict = guard.Fail
	}
	if s.Outcome == guard.RollbackFailed && s.Seen == 0 && len(s.Proof) == 0 {
		backend.Verdict = guard.Unknown
	}
	proof := []string{findingText(backend, i, false)}
	for _, f := range s.Proof {
		if f.Title == "" {
			f.Title = "a probe of rollout.verify agrees"
		}
		proof = append(proof, findingText(f, i, false))
	}
	return proof
}
