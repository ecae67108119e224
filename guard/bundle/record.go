package bundle

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/golive-dev/golive/guard"
)

// A Recorder listens to one round of checks. The zero value is ready for the first; its methods may be called from
// several goroutines.
type Recorder struct {
	mu      sync.Mutex
	round   int
	scene   guard.Scene          // of this round
	answers map[string]Testimony // by the question's JSON
	earlier map[string]Testimony // of the rounds before, to what was not asked in this
	heard   map[string]hearing   // by the ID of the check
}

// A hearing is what a check said, when it was last asked.
type hearing struct {
	round    int
	findings []guard.Finding // nil: it said nothing that can be told again, or not in time
}

// Next is a recorder of another round. It keeps what the checks said before that are not asked in it, and the answers
// to what nobody asks again.
func (r *Recorder) Next() *Recorder {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &Recorder{round: r.round + 1, earlier: r.all(), heard: maps.Clone(r.heard)}
}

// Scene is a scene in which every question is recorded, with its answer. What it answers has no secrets any more.
// A check is told what the bundle holds, down to the last bit, so that it finds the same in both.
func (r *Recorder) Scene(s guard.Scene) guard.Scene {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scene = s
	ask := s.Ask
	s.Ask = func(ctx context.Context, q guard.Question) (guard.Answer, error) {
		r.forget(q)
		answer, err := ask(ctx, q)
		if err == nil {
			answer, err = copied(answer)
		}
		if err != nil {
			answer = guard.Answer{}
		}
		if ctx.Err() == nil { // otherwise it was the check that had no time, and the question may have an answer yet
			r.keep(q, answer, err)
		}
		return answer, err
	}
	return s
}

// forget drops what an earlier round answered. Who asks again and hears nothing does not know it any more.
func (r *Recorder) forget(q guard.Question) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.earlier, key(q))
}

// all are the answers of all rounds, the latest to each question. The caller holds the lock.
func (r *Recorder) all() map[string]Testimony {
	all := map[string]Testimony{}
	maps.Copy(all, r.earlier)
	maps.Copy(all, r.answers)
	return all
}

// copied is an answer as the bundle will give it.
func copied(a guard.Answer) (again guard.Answer, err error) {
	text, err := json.Marshal(a)
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil {
		return guard.Answer{}, fmt.Errorf("the answer cannot be written down: %w", err)
	}
	return again, nil
}

func (r *Recorder) keep(q guard.Question, a guard.Answer, err error) {
	t := Testimony{Question: q, Answer: a}
	if err != nil {
		t.Error = cmp.Or(err.Error(), "an error without a reason")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers == nil {
		r.answers = map[string]Testimony{}
	}
	r.answers[key(q)] = t
}

// key is the same for the same question.
func key(q guard.Question) string {
	text, err := json.Marshal(q)
	if err != nil {
		panic(err) // a plan holds nothing that JSON cannot
	}
	return string(text)
}

// Check is a check whose findings are recorded.
func (r *Recorder) Check(c guard.Check) guard.Check {
	run := c.Run
	c.Run = func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		r.hear(c.ID, nil)
		findings, err := run(ctx, s)
		if ctx.Err() == nil {
			r.hear(c.ID, retold(s, c, findings, err))
		}
		return findings, err
	}
	return c
}

func (r *Recorder) hear(id string, findings []guard.Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heard == nil {
		r.heard = map[string]hearing{}
	}
	r.heard[id] = hearing{r.round, findings}
}

// retold are findings in a form that leads the engine to the same ones again; nil if there is none.
func retold(s guard.Scene, c guard.Check, findings []guard.Finding, err error) []guard.Finding {
	if err != nil {
		findings = []guard.Finding{{Title: cmp.Or(c.Title, c.ID), Reason: guard.Printable(err.Error())}}
	}
	findings = slices.Clone(findings)
	for i := range findings {
		f := &findings[i]
		if f.At.IsZero() {
			f.At = s.Now
		}
		if _, err := f.Verdict.MarshalText(); err != nil {
			return nil
		}
	}
	return findings
}

// Bundle is what was recorded in this round, and is kept of the ones before. The manifest needs neither the scene nor
// the format. All are the checks that the plan could ask, its own too, in their order, of which foreign says which are
// those of a plugin; findings are what those that were asked came to.
func (r *Recorder) Bundle(m Manifest, plan []byte, all []guard.Check, foreign func(guard.Check) bool, findings []guard.Finding) Bundle {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.At, m.Release, m.Remembers, m.File = r.scene.Now, r.scene.Release, r.scene.Remembers, r.scene.Plan.File()
	b := Bundle{Manifest: m, Plan: plan}
	answers := r.all()
	for _, k := range slices.Sorted(maps.Keys(answers)) {
		b.Answers = append(b.Answers, answers[k])
	}
	for _, c := range all {
		h, started := r.heard[c.ID]
		told := Told{Check: c, Foreign: foreign(c), Findings: h.findings}
		if h.findings == nil && (started || m.Over != nil) {
			told.Findings = given(c, findings)
		}
		judged := h.findings != nil && h.round == r.round && !told.Foreign
		if told.Foreign || !judged && told.Findings != nil {
			b.Checks = append(b.Checks, told)
		}
	}
	return b
}

// given are the findings that the engine gave a check that said nothing. They are all unknown, whatever they weigh.
func given(c guard.Check, all []guard.Finding) (its []guard.Finding) {
	for _, f := range all {
		if f.ID == c.ID {
			f.Verdict = guard.Unknown
			its = append(its, f)
		}
	}
	return its
}
