package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/checks"
	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/report"
	"github.com/golive-dev/golive/guard/report/plandoc"
)

func (p *program) planCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "plan",
		Short:   "Write the emergency plan as a document",
		Long:    `plan makes of golive.yaml what people read, sign and keep: the same plan, in chapters.`,
		Example: `  golive plan render -o html=plan.html`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return fail(exitUsage, "say render: golive plan --help")
		},
	}
	c.AddCommand(p.planRenderCommand())
	return c
}

// A rendering is how golive plan render was called.
type rendering struct {
	*paper
	contacts, now bool
	check         string // a file
	release       *guard.Release
	timeout       time.Duration
}

func (p *program) planRenderCommand() *cobra.Command {
	var r rendering
	c := &cobra.Command{
		Use:   "render",
		Short: "Write the plan in chapters, with what the checks found last",
		Long: `render writes the emergency plan as a document: purpose, people, risks, monitoring, levels, procedure, backups,
communication, resources, drills, special clauses, approval, appendix. It is made of the same golive.yaml that golive
carries out, so it cannot say anything else. Beside each clause stands the check that holds to it, and its last result.

Checks that need nothing but the plan and the ledger are asked at once. What the others found is taken from the JSON of a
golive check (--check FILE), or they are asked now (--now, with --to and --from). What the plan leaves out is said to be
missing, with the check that asks for it.

Phone numbers and e-mail addresses are left out, unless the plan says roster.publish: true or the call --with-contacts,
and then the cover says so. HTML needs no other file, and prints on A4: chromium --headless --print-to-pdf=plan.pdf plan.html`,
		Example: `  golive plan render
  golive plan render -o html=plan.html --language zh
  golive plan render --check check.json -o html=plan.html
  golive plan render --now --from v1 --to v2 -o html=plan.html -o json=plan.json
  golive plan render --with-contacts -o html=drawer.html`,
		Args: cobra.NoArgs,
	}
	r.paper = p.paperFlags(c)
	r.release = p.releaseFlags(c)
	c.Flags().BoolVar(&r.contacts, "with-contacts", false, "print phone numbers and e-mail addresses")
	c.Flags().StringVar(&r.check, "check", "", "what golive check -o json has answered: a `FILE`")
	c.Flags().BoolVar(&r.now, "now", false, "ask all checks now, about --to and --from")
	c.Flags().DurationVar(&r.timeout, "timeout", checkTakes, "how long all checks together may take")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case r.now && r.check != "":
			return fail(exitUsage, "--now asks the checks, and --check says what they have answered before: leave one of them out")
		case !r.now && r.release.To != "":
			return fail(exitUsage, "--to and --from are for --now: add it, or leave them out")
		case r.timeout <= 0:
			return fail(exitUsage, "--timeout has to be longer than nothing, such as 2m")
		}
		return p.renderPlan(c.Context(), r)
	}
	return c
}

// say is what the cover says in the language of the document.
func (r rendering) say(plan *guard.Plan, english, chinese string) string {
	if cmp.Or(r.language, plan.Language) == "zh" {
		return chinese
	}
	return english
}

func (p *program) renderPlan(ctx context.Context, r rendering) error {
	if err := r.paper.check(p); err != nil {
		return err
	}
	plan, _, err := p.readPlan()
	if err != nil {
		return err
	}
	ledger, err := p.knownLedger(plan)
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	s := plandoc.Source{
		Plan: plan, Ledger: ledger, Now: time.Now().UTC(), Language: r.language, Contacts: r.contacts, Version: version(),
	}
	at := s.Now.Format("2006-01-02 15:04 UTC")
	switch {
	case r.now:
		m, err := p.world(ctx, &checkCall{release: *r.release})
		if err != nil {
			return err
		}
		defer m.close()
		q := inquiry{checks: m.checks, scene: m.scene, timeout: r.timeout, pending: p.pending(plan)}
		var over error
		s.Findings, over = q.once(ctx, func(guard.Finding) {})
		q.pending.close()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.Checks, s.Asked = m.checks, at+", "+guard.Line(m.release.From+" -> "+m.release.To, 200)
		if over != nil {
			s.Asked += " (" + over.Error() + ")"
		}
	default:
		s.Checks = append(checks.All(), plan.Extras()...)
		s.Findings, s.Asked = offline(ctx, plan, s.Checks, ledger, s.Now), at+r.say(plan, ", by the plan and the ledger alone", "，仅依据预案与台账")
		if r.check == "" {
			break
		}
		kept, about, err := keptAnswer(r.check, plan)
		if err != nil {
			return err
		}
		s.Asked += r.say(plan, "; the others ", "；其余 ") + about
		s.Checks, s.Findings = withKept(s.Checks, s.Findings, kept)
	}
	return p.print(plandoc.Of(s), r.paper)
}

// ofRelease are the checks that look at the release alone, which a document is not about.
var ofRelease = []string{"plan.scope", "rollback.target", "release.quarantine"}

// errBeyond answers what neither the plan nor the ledger knows.
var errBeyond = errors.New("this was not asked")

// offline is what those checks find that need nothing but the plan and the ledger. The findings of the others are left out,
// for they would say nothing but that nobody was asked; so are those of checks that judge what the others found.
func offline(ctx context.Context, plan *guard.Plan, all []guard.Check, ledger guard.Ledger, now time.Time) []guard.Finding {
	var mu sync.Mutex
	beyond := map[string]bool{}
	var asked []guard.Check
	for _, c := range all {
		if c.Last || slices.Contains(ofRelease, c.ID) {
			continue
		}
		run := c.Run
		c.Needs = nil // a check that another one needs says by itself what it does not know
		c.Run = func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
			s.Ask = func(_ context.Context, q guard.Question) (guard.Answer, error) {
				switch {
				case q.Ledger:
					return guard.Answer{Ledger: &ledger}, nil
				case q.Plans:
					others, err := otherPlans(plan)
					return guard.Answer{Plans: others}, err
				}
				mu.Lock()
				defer mu.Unlock()
				beyond[c.ID] = true
				return guard.Answer{}, errBeyond
			}
			return run(ctx, s)
		}
		asked = append(asked, c)
	}
	// A version has a name, or the checks would take this for a first release.
	release := guard.Release{Service: plan.Service, Environment: plan.Environment, From: "this", To: "next"}
	found := engine.RunChecks(ctx, guard.Scene{Plan: plan, Release: release, Now: now}, asked, nil)
	mu.Lock()
	defer mu.Unlock()
	return slices.DeleteFunc(found, func(f guard.Finding) bool { return beyond[f.ID] })
}

// keptAnswer reads what golive check -o json has answered about the service of a plan, and says when and about what.
func keptAnswer(path string, plan *guard.Plan) (found []guard.Finding, about string, err error) {
	text, err := readAtMost(path, 16<<20)
	if err != nil {
		return nil, "", fail(exitUsage, "--check: %w", err)
	}
	var answer struct {
		Schema   string          `json:"schema"`
		Release  guard.Release   `json:"release"`
		Findings []guard.Finding `json:"findings"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, "", fail(exitUsage, "--check %s: %w; it takes what golive check -o json answers", path, err)
	}
	r := answer.Release
	switch {
	case answer.Schema != report.Schema:
		return nil, "", fail(exitUsage, "--check %s: this is no answer of golive check -o json (its schema is %q, not %q)", path, guard.Line(answer.Schema, 60), report.Schema)
	case r.Service != plan.Service || r.Environment != plan.Environment:
		return nil, "", fail(exitUsage, "--check %s: this is about %s in %s, and the plan is for %s in %s",
			path, guard.Line(r.Service, 60), guard.Line(r.Environment, 60), plan.Service, plan.Environment)
	}
	var last time.Time
	for _, f := range answer.Findings {
		if f.At.After(last) {
			last = f.At
		}
	}
	when := "at a time that it does not say"
	if !last.IsZero() {
		when = last.UTC().Format("2006-01-02 15:04 UTC")
	}
	return answer.Findings, fmt.Sprintf("%s, about %s -> %s", when, guard.Line(r.From, 60), guard.Line(r.To, 60)), nil
}

// withKept adds what was kept of checks that were not asked now. A check of a plugin, which nobody has started, is known by
// what it found.
func withKept(all []guard.Check, now, kept []guard.Finding) ([]guard.Check, []guard.Finding) {
	fresh := map[string]bool{}
	for _, f := range now {
		fresh[f.ID] = true
	}
	for _, f := range kept {
		if fresh[f.ID] {
			continue
		}
		now = append(now, f)
		if !slices.ContainsFunc(all, func(c guard.Check) bool { return c.ID == f.ID }) {
			all = append(all, guard.Check{Code: f.Code, ID: f.ID, Title: strings.TrimSuffix(f.Title, " ("+f.Subject+")")})
		}
	}
	return all, now
}
