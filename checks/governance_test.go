package checks

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

const oneDay = 24 * time.Hour

// withLedger is a scene whose ledger holds these entries, each written under the plan of the scene unless it says
// that it was under another.
func withLedger(t *testing.T, chapters string, entries ...guard.Entry) guard.Scene {
	t.Helper()
	s := scene(t, chapters, guard.Answer{})
	for i := range entries {
		e := &entries[i]
		if e.Plan == "" {
			e.Plan, e.Method = s.Plan.Digest(), s.Plan.Method(e.Kind, e.Subject)
		}
	}
	s.Ask = func(context.Context, guard.Question) (guard.Answer, error) {
		return guard.Answer{Ledger: &guard.Ledger{Entries: entries}}, nil
	}
	return s
}

// resultOf is a result that went well so long ago.
func resultOf(kind, subject string, age time.Duration, changes ...func(*guard.Entry)) guard.Entry {
	e := guard.Entry{At: now.Add(-age), Act: guard.Result, Kind: kind, Subject: subject, Service: "shop", Outcome: guard.Pass}
	for _, change := range changes {
		change(&e)
	}
	return e
}

func went(wrong string) func(*guard.Entry) {
	return func(e *guard.Entry) { e.Outcome, e.Says = guard.Fail, wrong }
}

// statementOf is what somebody stated so long ago.
func statementOf(kind, subject, by string, age time.Duration, changes ...func(*guard.Entry)) guard.Entry {
	e := guard.Entry{
		At: now.Add(-age), Act: guard.Attested, Kind: kind, Subject: subject, Service: "shop", By: by, Says: "it is so", Until: now.Add(500 * oneDay),
	}
	for _, change := range changes {
		change(&e)
	}
	return e
}

func underAnotherPlan(e *guard.Entry) { e.Plan, e.Method = "another", "another" }

// inShort are the findings of a check about a scene, in short: the verdict, the subject and the reason of each.
func inShort(t *testing.T, c guard.Check, s guard.Scene) string {
	t.Helper()
	for _, problem := range checktest.Problems(t.Context(), c, s) {
		t.Errorf("%s: %s", c.ID, problem)
	}
	findings, err := c.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range findings {
		line := f.Verdict.String()
		for _, more := range []string{f.Subject, f.Reason} {
			if more != "" {
				line += ": " + more
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// A tale is a scene and what a check tells about it.
type tale struct {
	name  string
	check guard.Check
	scene guard.Scene
	want  string
}

func tell(t *testing.T, tales []tale) {
	t.Helper()
	for _, tc := range tales {
		t.Run(tc.check.ID+" "+tc.name, func(t *testing.T) {
			if got := inShort(t, tc.check, tc.scene); got != tc.want {
				t.Errorf("told:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}

const commanded = "\nroster: {people: [{name: Wang Fang, role: commander}, {name: Mei Lin, role: on_duty}, {name: Bo Ek, role: on_duty}]}"

func TestPlanScope(t *testing.T) {
	released := func(service, environment string) guard.Scene {
		s := scene(t, "", guard.Answer{})
		s.Release.Service, s.Release.Environment = service, environment
		return s
	}
	tell(t, []tale{
		{"the same", planScope, released("shop", "production"), "pass"},
		{"another service", planScope, released("cart", "production"), "fail: service: the plan is for shop"},
		{"another environment", planScope, released("shop", "staging"), "fail: environment: the plan is for production"},
		{"nothing is said", planScope, released("", ""), "fail: service: the plan is for shop\nfail: environment: the plan is for production"},
	})
}

func TestPlanApproved(t *testing.T) {
	approved := func(by string, age time.Duration, changes ...func(*guard.Entry)) guard.Scene {
		return withLedger(t, commanded, statementOf("plan.approved", "", by, age, changes...))
	}
	tell(t, []tale{
		{"by the commander", planApproved, approved("Wang Fang", oneDay), "pass"},
		{"as old as it may be", planApproved, approved("Wang Fang", 366*oneDay), "pass"},
		{"too old", planApproved, approved("Wang Fang", 366*oneDay+time.Second), "fail: it is 1s older than it may be"},
		{"never", planApproved, withLedger(t, commanded), "fail: nobody states it"},
		{"by somebody who may not", planApproved, approved("Mei Lin", oneDay), "fail: Mei Lin may not state it: that takes a commander, deputy or executive"},
		{"by a stranger", planApproved, approved("Eve", oneDay), "fail: Eve is not in the roster"},
		{"before the plan was changed", planApproved, approved("Wang Fang", oneDay, underAnotherPlan), "fail: the plan has changed since"},
		{"from tomorrow", planApproved, approved("Wang Fang", -oneDay), "unknown: clock skew: entry 1 of the ledger was written 1d from now"},
	})
}

func TestPlanDrift(t *testing.T) {
	reviewed := func(age time.Duration, changes ...func(*guard.Entry)) guard.Scene {
		return withLedger(t, "", resultOf("plan.reviewed", "", age, changes...))
	}
	tell(t, []tale{
		{"reviewed", planDrift, reviewed(183 * oneDay), "pass"},
		{"too old", planDrift, reviewed(183*oneDay + time.Second), "fail: the latest is 1s older than it may be"},
		{"never", planDrift, withLedger(t, ""), "fail: the ledger has no result of it"},
		{"not content", planDrift, reviewed(oneDay, went("the limits are guesses")), "fail: the latest went wrong: the limits are guesses"},
		{"changed since", planDrift, reviewed(oneDay, underAnotherPlan), "fail: the way has changed since: the plan says something else of it today"},
	})
	// What nobody had to think through again may change.
	before := parse(t, "")
	s := withLedger(t, "\nowner: somebody else", resultOf("plan.reviewed", "", oneDay, func(e *guard.Entry) {
		e.Plan, e.Method = before.Digest(), before.Method("plan.reviewed", "")
	}))
	if got := inShort(t, planDrift, s); got != "pass" {
		t.Errorf("after a change of the owner: %s", got)
	}
}

func TestPlanUnique(t *testing.T) {
	beside := func(plans ...string) guard.Scene { return scene(t, "", guard.Answer{Plans: plans}) }
	refused := scene(t, "", guard.Answer{})
	refused.Ask = func(context.Context, guard.Question) (guard.Answer, error) {
		return guard.Answer{Plans: []string{}}, errors.New("permission denied")
	}
	tell(t, []tale{
		{"nobody has looked", planUnique, beside(), "unknown: nobody has looked for other plans"},
		{"alone", planUnique, scene(t, "", guard.Answer{Plans: []string{}}), "pass"},
		{"two more", planUnique, beside("old.yaml", "shop.yml"), "fail: there is another plan for it: old.yaml, shop.yml"},
		{"refused", planUnique, refused, "unknown: permission denied"},
	})
}

func TestPlanAcknowledged(t *testing.T) {
	mei, bo := statementOf("plan.acknowledged", "Mei Lin", "Mei Lin", oneDay), statementOf("plan.acknowledged", "Bo Ek", "Bo Ek", oneDay)
	changed := func(e guard.Entry, change func(*guard.Entry)) guard.Entry { change(&e); return e }
	const fine = "pass: plan.acknowledged of Mei Lin\n"
	tell(t, []tale{
		{"by everybody", planAcknowledged, withLedger(t, commanded, mei, bo), fine + "pass: plan.acknowledged of Bo Ek"},
		{"by one", planAcknowledged, withLedger(t, commanded, mei), fine + "fail: plan.acknowledged of Bo Ek: nobody states it"},
		{"for another", planAcknowledged, withLedger(t, commanded, mei, changed(bo, func(e *guard.Entry) { e.By = "Wang Fang" })),
			fine + "fail: plan.acknowledged of Bo Ek: Wang Fang stated it, and not Bo Ek"},
		{"of another plan", planAcknowledged, withLedger(t, commanded, mei, changed(bo, underAnotherPlan)),
			fine + "fail: plan.acknowledged of Bo Ek: the plan has changed since"},
		{"nobody is on duty", planAcknowledged, withLedger(t, ""), "fail: not configured: the roster names nobody as on_duty"},
	})
}

func TestRiskRegister(t *testing.T) {
	tell(t, []tale{
		{"none", riskRegister, scene(t, "", guard.Answer{}), "fail: not configured: the plan does not say what may go wrong"},
		{"one", riskRegister, scene(t, "\nrisks: [{risk: cold caches, likelihood: high, impact: low, response: a small step}]", guard.Answer{}), "pass"},
		{"half of one", riskRegister, scene(t, "\nrisks: [{risk: cold caches, likelihood: high, impact: low, response: a small step}, {risk: cold feet, response: TODO}]", guard.Answer{}),
			"fail: risks[1]: it has no likelihood, impact and response"},
	})
}

func TestPlanReferencesAndCompared(t *testing.T) {
	const cases, whole = "case-review", "architecture-review"
	tell(t, []tale{
		{"stated by anybody", planReferences, withLedger(t, commanded, statementOf("plan.references", "", "Mei Lin", 366*oneDay)), "pass"},
		{"too old", planReferences, withLedger(t, commanded, statementOf("plan.references", "", "Mei Lin", 367*oneDay)), "fail: it is 1d older than it may be"},
		{"both", planCompared, withLedger(t, "", resultOf(cases, "", 92*oneDay), resultOf(whole, "", 366*oneDay)), "pass: case-review\npass: architecture-review"},
		{"too old", planCompared, withLedger(t, "", resultOf(cases, "", 93*oneDay), resultOf(whole, "", 367*oneDay)),
			"fail: case-review: the latest is 1d older than it may be\nfail: architecture-review: the latest is 1d older than it may be"},
		{"never", planCompared, withLedger(t, ""), "fail: case-review: the ledger has no result of it\nfail: architecture-review: the ledger has no result of it"},
	})
}
