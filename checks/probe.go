package checks

import (
	"context"
	"errors"
	"fmt"

	"github.com/golive-dev/golive/guard"
)

// A probe asks the parts that the plan names for a check, now.
type probe struct {
	whether string // what they are asked: "whether the standby answers"
	want    string // the same in a few words, for findings
	example string // a part that could be asked: `{use: http, with: {url: "https://standby.shop.test/health"}}`
	// within is how long they may take, all at once; nil: as long as a check may.
	within func(p *guard.Plan) guard.Duration
	// parts are those that stand elsewhere in the plan, with their paths; nil: those under checks.settings.
	parts func(p *guard.Plan) (parts []guard.Part, path string)
	// things have a part each, which is asked whether it could restore them now; nil: there are none, see parts.
	things func(p *guard.Plan) []thing
}

// A thing is something in the plan that a part answers for.
type thing struct {
	name, path string
	part       *guard.Part // nil: nobody answers for it
	unsaid     string      // what the plan does not say then: "how it is restored"
	soft       bool        // the plan can do without
}

func (p probe) asks() string {
	if p.things != nil {
		return p.whether
	}
	return p.whether + ". The plan says whom to ask; each of them has to say yes"
}

func (p probe) mend(c guard.Check) string {
	if p.parts != nil || p.things != nil {
		return "mend what the finding names, or what the plan says about it:\n\n    " + p.example
	}
	return fmt.Sprintf("say whom to ask, or mend what they complain about:\n\n    checks:\n      settings:\n        %s: {ask: [%s]}", c.ID, p.example)
}

func (p probe) reads() []string {
	if p.parts != nil || p.things != nil {
		return nil
	}
	return []string{"ask"}
}

func (p probe) find(ctx context.Context, s guard.Scene, c guard.Check) []guard.Finding {
	if p.things != nil {
		return p.findThings(ctx, s, c)
	}
	parts, path := setting(s.Plan, c).Ask, settingPath(c)+".ask"
	if p.parts != nil {
		parts, path = p.parts(s.Plan)
	}
	if len(parts) == 0 {
		remedy := fmt.Sprintf("write %s: {ask: [%s]} in %s", c.ID, p.example, place(s.Plan, "checks.settings"))
		if p.parts != nil {
			remedy = fmt.Sprintf("write [%s] in %s", p.example, place(s.Plan, path))
		}
		return []guard.Finding{{
			Verdict: guard.Fail, Path: path, Expected: p.want, Observed: "nobody to ask", Unset: true,
			Reason: notConfigured + "the plan does not say " + p.whether, Remedy: remedy,
		}}
	}
	if p.within != nil {
		s.Ask = inTime(s.Ask, p.within(s.Plan))
	}
	indices := make([]int, len(parts))
	for i := range indices {
		indices[i] = i
	}
	return each(indices, func(i int) guard.Finding {
		path := fmt.Sprintf("%s[%d]", path, i)
		f := p.ask(ctx, s, guard.Question{Probe: &parts[i]}, parts[i].Use, path)
		if len(parts) > 1 {
			f.Subject = fmt.Sprintf("%s in %s", brief(parts[i].Use), path)
		}
		return f
	})
}

// findThings asks the part of each thing.
func (p probe) findThings(ctx context.Context, s guard.Scene, c guard.Check) []guard.Finding {
	things := p.things(s.Plan)
	if len(things) == 0 {
		return []guard.Finding{{Verdict: guard.Pass, Expected: p.want, Observed: "the plan has nothing to ask about"}}
	}
	return each(things, func(t thing) guard.Finding {
		if t.part == nil {
			g := gap{path: t.path, about: t.name, soft: t.soft, why: notConfigured + "the plan does not say " + t.unsaid, remedy: "add " + p.example + " to"}
			return g.finding(s, c, p.want, "nobody to ask")
		}
		f := p.ask(ctx, s, guard.Question{Restore: t.part}, t.part.Use, t.path)
		f.Subject, f.Title = brief(t.name), fmt.Sprintf("%s (%s)", c.Title, brief(t.name))
		return f
	})
}

// ask puts the question to one part.
func (p probe) ask(ctx context.Context, s guard.Scene, q guard.Question, use, path string) guard.Finding {
	mend := "mend what is set up in " + place(s.Plan, path)
	answer, err := s.Ask(ctx, q)
	said := answer.Finding
	f := guard.Finding{
		Verdict: said.Verdict, Title: guard.Line(said.Title, 300), Path: path,
		Reason: brief(said.Reason), Remedy: brief(said.Remedy),
		Expected: brief(said.Expected), Observed: brief(said.Observed),
	}
	if f.Expected == "" {
		f.Expected = p.want
	}
	switch {
	case err != nil:
		return unknown(f, err, mend)
	case said.Verdict == guard.Pass:
		f.Reason, f.Remedy = "", ""
		if f.Observed == "" {
			f.Observed = "it says so"
		}
	case said.Verdict == guard.Warn, said.Verdict == guard.Fail, said.Verdict == guard.Waiting:
		if f.Reason == "" {
			f.Reason = "the probe says no"
		}
	default:
		return unknown(f, errors.New(orElse(f.Reason, "the probe had nothing to say")), mend)
	}
	if f.Verdict != guard.Pass && f.Remedy == "" {
		f.Remedy = "find out what it complains about; it is set up in " + place(s.Plan, path)
	}
	f.Evidence = evidence(use+" of "+path, f.Observed, answer)
	return f
}

// inTime makes no answer within a time an answer, which is no. An end that came from outside says nothing.
func inTime(
	ask func(context.Context, guard.Question) (guard.Answer, error), within guard.Duration,
) func(context.Context, guard.Question) (guard.Answer, error) {
	return func(ctx context.Context, q guard.Question) (guard.Answer, error) {
		limited, cancel := context.WithTimeout(ctx, within.Std())
		defer cancel()
		answer, err := ask(limited, q)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return guard.Answer{Finding: guard.Finding{
				Verdict: guard.Fail, Reason: "it takes longer than " + within.String(), Observed: "no answer in time",
			}}, nil
		}
		return answer, err
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
