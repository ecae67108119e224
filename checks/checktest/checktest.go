// Package checktest holds a check to its contract, a built-in one as well as one of a plugin: unknown is not a
// pass, a finding says what, why and how to mend it, and the same answers always lead to the same findings.
package checktest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// A Case is a scene and what a check has to find in it.
type Case struct {
	Name  string
	Scene guard.Scene
	Want  []guard.Finding // a text that is left empty may be anything; evidence, code and time are not compared
}

// Run tries a check on each case, and holds it to its contract there.
func Run(t *testing.T, c guard.Check, cases []Case) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.Name, func(t *testing.T) {
			got, err := c.Run(t.Context(), tc.Scene)
			if err != nil {
				t.Fatalf("%s could not find out: %v", c.ID, err)
			}
			if diff := cmp.Diff(tc.Want, masked(got, tc.Want)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.ID, diff)
			}
			for _, problem := range Problems(t.Context(), c, tc.Scene) {
				t.Errorf("%s: %s", c.ID, problem)
			}
		})
	}
}

// masked empties what the findings that are wanted leave open.
func masked(got, want []guard.Finding) []guard.Finding {
	got = slices.Clone(got)
	for i := range got {
		f := &got[i]
		f.Code, f.ID, f.Evidence, f.At = "", "", nil, time.Time{}
		if i >= len(want) {
			continue
		}
		for _, text := range []struct {
			want string
			got  *string
		}{
			{want[i].Subject, &f.Subject}, {want[i].Title, &f.Title}, {want[i].Reason, &f.Reason},
			{want[i].Remedy, &f.Remedy}, {want[i].Expected, &f.Expected}, {want[i].Observed, &f.Observed},
			{want[i].Path, &f.Path},
		} {
			if text.want == "" {
				*text.got = ""
			}
		}
	}
	return got
}

// Problems says how a check breaks its contract in a scene: as it stands, and with everything that can go
// wrong with an answer done to each of them and then to all.
func Problems(ctx context.Context, c guard.Check, s guard.Scene) []string {
	p := &problems{check: c}
	if c.Code == "" || c.ID == "" || strings.TrimSpace(c.Doc) == "" {
		p.add("", "it needs a code, an ID and a doc")
	}
	before := key(s)
	listener := &listener{ask: s.Ask}
	s.Ask = listener.answer
	findings := p.try(ctx, s, "")
	if diff := cmp.Diff(findings, p.try(ctx, s, "")); diff != "" {
		p.add("", "the same answers lead to other findings (-first +second):\n%s", diff)
	}
	if key(s) != before {
		p.add("", "it changes its scene")
	}
	if len(listener.asked) == 0 {
		return p.found
	}
	for _, q := range listener.asked {
		if n := fields(q); n != 1 {
			p.add("", "the question %s has %d fields and not 1", key(q), n)
		}
		for _, trouble := range troubles {
			p.mustShut(ctx, s, trouble, key(q))
		}
	}
	for _, trouble := range troubles {
		for _, f := range p.mustShut(ctx, s, trouble, "") {
			if open(f.Verdict) && len(f.Evidence) > 0 {
				p.add(trouble.name, "%q rests on an answer and is %s", f.Title, f.Verdict)
			}
		}
	}
	return p.found
}

// problems are those of one check.
type problems struct {
	check guard.Check
	found []string
}

func (p *problems) add(when, format string, args ...any) {
	if problem := fmt.Sprintf(format, args...); when != "" {
		p.found = append(p.found, when+": "+problem)
	} else {
		p.found = append(p.found, problem)
	}
}

// mustShut does a trouble to the answer to one question, or to all if victim is empty. The gate has to shut.
func (p *problems) mustShut(ctx context.Context, s guard.Scene, trouble trouble, victim string) []guard.Finding {
	ask := s.Ask
	s.Ask = func(ctx context.Context, q guard.Question) (guard.Answer, error) {
		answer, err := ask(ctx, q)
		if err != nil || victim != "" && key(q) != victim {
			return answer, err
		}
		return trouble.befall(ctx, q, answer)
	}
	when := trouble.name
	if victim != "" {
		when += " to " + victim
	}
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	findings := p.try(ctx, s, when)
	if verdict := guard.Worst(findings); open(verdict) {
		p.add(when, "the verdict is %s, and unknown is not a pass", verdict)
	}
	return findings
}

func open(v guard.Verdict) bool { return v == guard.Pass || v == guard.Warn }

// try runs the check and looks at the shape of what it finds. An error finds nothing, which is unknown.
func (p *problems) try(ctx context.Context, s guard.Scene, when string) (findings []guard.Finding) {
	defer func() {
		if r := recover(); r != nil {
			p.add(when, "it panics: %v", r)
		}
	}()
	findings, err := p.check.Run(ctx, s)
	if err != nil {
		return nil
	}
	if len(findings) == 0 {
		p.add(when, "it has nothing to say")
	}
	subjects := map[string]bool{}
	for _, f := range findings {
		if f.Title == "" {
			f.Title = p.check.Title // as the engine has it
		}
		for _, problem := range shape(f) {
			p.add(when, "%q: %s", f.Title, problem)
		}
		if subjects[f.Subject] {
			p.add(when, "there are two findings about %q", f.Subject)
		}
		subjects[f.Subject] = true
	}
	return findings
}

// shape says what a reader would miss in a finding.
func shape(f guard.Finding) (problems []string) {
	must := func(ok bool, problem string) {
		if !ok {
			problems = append(problems, problem)
		}
	}
	must(f.Verdict >= guard.Unknown && f.Verdict <= guard.Fail, "there is no such verdict")
	must(len(strings.Fields(f.Title)) >= 3, "the title is not a sentence")
	if f.Verdict == guard.Pass {
		must(f.Reason == "" && f.Remedy == "", "a pass needs neither reason nor remedy")
		must(f.Expected != "" && f.Observed != "", "a pass has to say what was expected and observed")
	} else {
		must(f.Reason != "", "the reason is missing")
		must(f.Remedy != "", "the remedy is missing")
	}
	texts := []string{f.Subject, f.Title, f.Reason, f.Remedy, f.Expected, f.Observed}
	for _, e := range f.Evidence {
		texts = append(texts, e.Asked, e.Answer, e.Digest)
	}
	for _, text := range texts {
		must(len(text) <= 2000, "a text is not bounded")
		must(!strings.ContainsFunc(text, unicode.IsControl), "a text holds control characters")
		must(!strings.HasSuffix(text, "."), "a text ends in a full stop")
	}
	return problems
}

// A listener writes down what is asked.
type listener struct {
	ask   func(context.Context, guard.Question) (guard.Answer, error)
	mu    sync.Mutex
	asked []guard.Question // each once
}

func (l *listener) answer(ctx context.Context, q guard.Question) (guard.Answer, error) {
	l.mu.Lock()
	if !slices.ContainsFunc(l.asked, func(other guard.Question) bool { return key(other) == key(q) }) {
		l.asked = append(l.asked, q)
	}
	l.mu.Unlock()
	return l.ask(ctx, q)
}

// key is a value as JSON.
func key(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // plans, releases and questions hold nothing that JSON cannot
	}
	return string(text)
}

// fields counts what a question asks for.
func fields(q guard.Question) (n int) {
	v := reflect.ValueOf(q)
	for i := range v.NumField() {
		if !v.Field(i).IsZero() {
			n++
		}
	}
	return n
}
