package checks

import (
	"testing"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

func TestPlanValid(t *testing.T) {
	checktest.Run(t, planValid, []checktest.Case{
		{
			Name:  "a plan that was read",
			Scene: scene(t, whole, guard.Answer{}),
			Want: []guard.Finding{{
				Verdict: guard.Pass,
				Title:   "the plan is valid",
				Observed: "shop in production, mode enforce: 3 steps, 3 signals, 1 data store, 5 roles, 1 vendor, digest " +
					parse(t, whole).Digest()[:12],
			}},
		},
		{
			Name:  "a plan that nobody read",
			Scene: guard.Scene{Plan: &guard.Plan{}},
			Want: []guard.Finding{{
				Verdict: guard.Unknown,
				Title:   "the plan is valid",
				Reason:  "the plan lacks what every plan that was read has",
				Remedy:  "write a first plan: golive init",
			}},
		},
		{
			Name:  "a plan without steps",
			Scene: guard.Scene{Plan: &guard.Plan{Service: "shop", Watch: guard.Watch{Signals: []guard.Signal{{}}}}},
			Want:  []guard.Finding{{Verdict: guard.Unknown}},
		},
		{
			Name:  "a plan without signals",
			Scene: guard.Scene{Plan: &guard.Plan{Service: "shop", Rollout: guard.Rollout{Steps: []guard.Step{{}}}}},
			Want:  []guard.Finding{{Verdict: guard.Unknown}},
		},
	})
}

func TestPlanValidNamesTheFile(t *testing.T) {
	plan, err := guard.ParsePlan("shop.yaml", []byte("service: shop\nrollout: {backend: {use: http}, steps: [100]}\n"+
		"watch: {source: {use: scrape}, signals: [{name: errors, preset: promhttp}]}"))
	if err != nil {
		t.Fatal(err)
	}
	findings, err := planValid.Run(t.Context(), guard.Scene{Plan: plan})
	if err != nil || len(findings) != 1 {
		t.Fatalf("%d findings, %v", len(findings), err)
	}
	if got, want := findings[0].Title, "the plan in shop.yaml is valid"; got != want {
		t.Errorf("title %q, want %q", got, want)
	}
}
