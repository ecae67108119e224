package main

import (
	"context"
	"encoding/json"
	"io"
	"regexp"
	"slices"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
)

// discreet is w for texts about a plan: without phone numbers and e-mail addresses, unless w is a terminal or the plan
// publishes them. Each Write is a text of its own.
func (p *program) discreet(w io.Writer, plan *guard.Plan) io.Writer {
	if p.terminal(w) != nil {
		return w
	}
	return discreetWriter{w, report.DiscreetText(plan)}
}

// answerAbout is answer for what is about a plan, as discreet as a text is.
func (p *program) answerAbout(plan *guard.Plan, v any) error {
	if p.terminal(p.out) != nil {
		return writeJSON(p.out, v)
	}
	text := report.DiscreetText(plan)
	return writeJSON(discreetWriter{p.out, func(whole string) string {
		return literal.ReplaceAllStringFunc(whole, func(quoted string) string {
			var said string
			if err := json.Unmarshal([]byte(quoted), &said); err != nil {
				panic(err) // JSON of ours has quotes around nothing but texts
			}
			shown := text(said)
			if shown == said {
				return quoted
			}
			again, err := json.Marshal(shown)
			if err != nil {
				panic(err) // every string is JSON
			}
			return string(again)
		})
	}}, v)
}

// literal is a text in JSON. What stands outside of texts, numbers among it, is no contact.
var literal = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

type discreetWriter struct {
	to   io.Writer
	text func(string) string
}

func (d discreetWriter) Write(text []byte) (int, error) {
	if _, err := io.WriteString(d.to, d.text(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// discreetNotifier tells no contacts, since a notice leaves the machine.
type discreetNotifier struct {
	part guard.Notifier
	text func(string) string
}

func (d discreetNotifier) Notify(ctx context.Context, n guard.Notice) (guard.Receipt, error) {
	n.Title, n.Text, n.About = d.text(n.Title), d.text(n.Text), d.text(n.About)
	n.Blockers = slices.Clone(n.Blockers)
	for i := range n.Blockers {
		f := &n.Blockers[i].Finding
		for _, text := range []*string{&f.Subject, &f.Title, &f.Reason, &f.Remedy, &f.Expected, &f.Observed} {
			*text = d.text(*text)
		}
	}
	return d.part.Notify(ctx, n)
}
