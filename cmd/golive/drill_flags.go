package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
)

// mendsWithin is when what a drill has found is due to be mended.
const mendsWithin = 31 * 24 * time.Hour

// drillFlags are what people have to say about any drill.
type drillFlags struct {
	findings, feedback, participants []string
	by                               string
}

func (p *program) drillFlags(c *cobra.Command) *drillFlags {
	f := &drillFlags{}
	c.Flags().StringArrayVar(&f.findings, "finding", nil, "what is to be mended; it is owed from then on (any number of times)")
	c.Flags().StringArrayVar(&f.feedback, "feedback", nil, "what those who took part say of it (any number of times)")
	c.Flags().StringArrayVar(&f.participants, "participant", nil, "who took part, as ROLE=NAME (any number of times)")
	c.Flags().StringVar(&f.by, "by", p.settings.By, "who has it made ($GOLIVE_BY)")
	return f
}

// check refuses what could not be written down, before anything is done.
func (f *drillFlags) check() error {
	for _, text := range f.participants {
		if role, name, found := strings.Cut(text, "="); !found || role == "" || name == "" {
			return fail(exitUsage, "--participant %q: write ROLE=NAME", text)
		}
	}
	for flag, texts := range map[string][]string{"--finding": f.findings, "--feedback": f.feedback} {
		if slices.ContainsFunc(texts, func(text string) bool { return strings.TrimSpace(text) == "" }) {
			return fail(exitUsage, "%s says nothing: write a sentence", flag)
		}
	}
	return nil
}

// add puts what the flags say into an exercise.
func (f *drillFlags) add(e *guard.Exercise) {
	e.Findings = append(e.Findings, f.findings...)
	e.Feedback = append(e.Feedback, f.feedback...)
	for _, text := range f.participants {
		role, name, _ := strings.Cut(text, "=")
		e.Participants = append(e.Participants, guard.Participant{Role: role, Name: name})
	}
	e.By, e.Version = f.by, version()
}

// drilled is the entry of an exercise: whether it was passed is computed, and never said.
func drilled(plan *guard.Plan, kind, subject string, e guard.Exercise) guard.Entry {
	verdict, against := e.Result()
	entry := guard.Entry{
		At: e.Ended.UTC().Round(0), Act: guard.Result, Kind: kind, Subject: subject, Service: plan.Service, Environment: plan.Environment,
		By: e.By, Outcome: verdict, Says: guard.Line(strings.Join(against, "; "), 300), Took: e.Took.Recover, Lost: e.Took.Lost,
		Plan: plan.Digest(), Method: plan.Method(kind, subject), Exercise: &e,
	}
	return entry
}

// rememberDrill writes a drill down, and that what it found is owed.
func (p *program) rememberDrill(ctx context.Context, e guard.Entry, findings []string) error {
	if e.Outcome == guard.Pass {
		p.step.set("verdict", stepGo)
	} else {
		p.step.set("verdict", stepNoGo)
	}
	if err := p.remember(ctx, e); err != nil {
		return err
	}
	var problems []error
	for n, text := range findings {
		problems = append(problems, p.remember(ctx, guard.Entry{
			At: e.At, Act: guard.Obliged, Kind: "drill-finding", Subject: e.Subject, Service: e.Service, Environment: e.Environment, By: e.By,
			Says: guard.Line(text, 300), Until: e.At.Add(mendsWithin), Plan: e.Plan, ID: fmt.Sprintf("drill-%s-%d", e.At.Format("20060102-150405.000"), n+1),
		}))
	}
	return errors.Join(problems...)
}

// drillCode is the exit code of a drill.
func drillCode(e guard.Entry) error {
	if e.Outcome == guard.Pass {
		return nil
	}
	return quiet(exitNoGo)
}
