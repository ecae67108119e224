package checks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// A primitive is a way to find something out. There are five, and every row of the catalogue is one of them:
//
//	lint        is the plan complete?
//	probe       measure it now
//	record      is there a result in the ledger that is fresh enough?
//	attest      does somebody state it, who may, and does that hold still?
//	obligation  is nothing owed any more?
type primitive interface {
	// find returns one finding for each subject. Findings without a title have that of the check.
	find(ctx context.Context, s guard.Scene, c guard.Check) []guard.Finding
	// asks goes on after "It asks"; mend goes on after "To mend it,". Both are sentences of a doc, and mend may
	// go on with lines that are indented, to be typed.
	asks() string
	mend(c guard.Check) string
	// reads are the keys of the check's setting that every one of its kind looks at.
	reads() []string
}

// row makes a row of the catalogue: a check that finds out by a primitive. Why it matters is what a reader of its
// doc cannot see from the rest.
func row(c guard.Check, why string, by primitive) guard.Check {
	first, rest, _ := strings.Cut(strings.TrimSpace(by.mend(c)), "\n\n")
	c.Doc = fmt.Sprintf("\n%s\n\n%s\n\n%s\n\nIt answers %s.\n",
		fold("It asks "+by.asks()+"."), fold(why), strings.TrimSpace(fold("To mend it, "+first)+"\n\n"+rest), demands(c.S))
	c.Reads = append(by.reads(), c.Reads...)
	c.Run = func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		return by.find(ctx, s, c), nil
	}
	return c
}

// fold breaks paragraphs into lines that fit on a terminal.
func fold(text string) string {
	if first, rest, more := strings.Cut(text, "\n\n"); more {
		return fold(first) + "\n\n" + fold(rest)
	}
	const width = 110
	var b strings.Builder
	line := 0
	for _, word := range strings.Fields(text) {
		switch {
		case line == 0:
		case line+1+len(word) > width:
			b.WriteByte('\n')
			line = 0
		default:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(word)
		line += len(word)
	}
	return b.String()
}

// demands names the demands on an emergency plan: "S1, S2 and S7".
func demands(numbers []int) string {
	var names []string
	for _, n := range numbers {
		names = append(names, fmt.Sprintf("S%d", n))
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return strings.Join(names, "")
}

// days make durations of the catalogue readable.
func days(n int) guard.Duration { return guard.Duration(time.Duration(n) * 24 * time.Hour) }

// setting is how the plan tunes a check.
func setting(p *guard.Plan, c guard.Check) guard.Setting { return p.Checks.Settings[c.ID] }

// settingPath is where the plan tunes it.
func settingPath(c guard.Check) string { return "checks.settings." + c.ID }

// A topic is what an entry of the ledger has to be about.
type topic struct {
	kind, subject string
	within        guard.Duration
}

// about names the topic in a sentence.
func (t topic) about() string {
	if t.subject == "" {
		return t.kind
	}
	return t.kind + " of " + brief(t.subject)
}

// typed are the commands for what a plan that has one of each makes topics of, indented, each a line; if it makes
// none, the command for something of this kind.
func typed(about func(s guard.Scene) []topic, kind string, command func(topic) string) string {
	var b strings.Builder
	for _, t := range about(guard.Scene{Plan: sample()}) {
		fmt.Fprintf(&b, "    %s\n", command(t))
	}
	if b.Len() == 0 {
		fmt.Fprintf(&b, "    %s\n", command(topic{kind: orElse(kind, "KIND"), subject: "SUBJECT"}))
	}
	return b.String()
}

// sample is a plan that has one of each, by names that stand for any.
func sample() *guard.Plan {
	return &guard.Plan{
		Data:         []guard.Store{{Name: "STORE", Critical: true, Backups: []guard.BackupSource{{}}}},
		Roster:       guard.Roster{People: []guard.Person{{Name: "NAME", Role: "on_duty"}}},
		Scenarios:    []guard.Scenario{{Name: "SCENARIO"}},
		Attestations: []guard.Attestation{{Kind: "KIND", Within: days(183)}},
		Notify:       []guard.Channel{{Part: guard.Part{Use: "CHANNEL"}}},
	}
}

// each subject of a kind is a topic.
func topics(kind string, within guard.Duration, subjects ...string) (all []topic) {
	for _, subject := range subjects {
		all = append(all, topic{kind, subject, within})
	}
	return all
}

// titled is the title of a check, for one of its subjects.
func titled(c guard.Check, t topic, many bool) string {
	switch {
	case t.subject != "":
		return c.Title + " (" + brief(t.subject) + ")"
	case many:
		return c.Title + " (" + t.kind + ")"
	}
	return c.Title
}
