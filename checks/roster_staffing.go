package checks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golive-dev/golive/guard"
)

var rosterStaffing = guard.Check{
	Code:     "GL306",
	ID:       "roster.staffing",
	Title:    "enough people are on duty at every moment of the launch",
	Path:     "roster.shifts",
	Standard: guard.Advisory,
	S:        []int{49},
	Doc: `
It asks whether enough people have a shift at every moment from now until the launch is over: as many as
roster.min_on_duty says, which is one unless the plan says otherwise. Everybody of the roster counts, whatever the
role, and nobody counts twice. In the standard tier it is a warning if there are too few.

Whoever is alone on duty has to look for the cause, talk to customers and decide, all at once, and cannot so much as
fetch a coffee.

To mend it, give a second person a shift, or launch when there is one:

    roster:
      min_on_duty: 2

It answers S49.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		_, whole := launch(s)
		least := s.Plan.Roster.MinOnDuty
		f := guard.Finding{Expected: fmt.Sprintf("at least %d", max(1, least))}
		r, err := duty(ctx, s, whole)
		switch {
		case errors.Is(err, noShifts):
			f.Verdict, f.Observed = guard.Fail, "no shifts"
			f.Reason, f.Remedy = err.Error(), shiftsRemedy(s.Plan)
			return []guard.Finding{f}, nil
		case err != nil:
			return []guard.Finding{unknown(f, err, "mend "+place(s.Plan, "roster.shifts"))}, nil
		}
		fewest, during := r.fewest(names(s.Plan.Roster.People), whole)
		f.Verdict, f.Evidence = guard.Pass, r.evidence
		f.Observed = fmt.Sprintf("%d, by %s", fewest, r.said)
		if fewest < max(1, least) {
			f.Verdict = guard.Fail
			f.Reason = fmt.Sprintf("only %d on duty from %s", fewest, clocks(during, zonesOf(s.Plan.Roster.People)))
			f.Remedy = "give somebody a shift in " + place(s.Plan, "roster.shifts") + ", or wait until there are enough"
		}
		return []guard.Finding{f}, nil
	},
}

// fewest is how many of these people are on duty when fewest are, and the first time at which that is so.
func (r rota) fewest(people []string, whole guard.Period) (least int, when guard.Period) {
	turns := map[string][]guard.Period{}
	moments := []time.Time{whole.From, whole.To} // between two of them that follow each other nothing changes
	for _, name := range people {
		turns[name] = r.of(name)
		for _, p := range turns[name] {
			moments = append(moments, p.From, p.To)
		}
	}
	moments = slices.DeleteFunc(moments, func(t time.Time) bool { return !whole.Has(t) && !t.Equal(whole.To) })
	slices.SortFunc(moments, time.Time.Compare)
	least = len(people) + 1
	for i, from := range moments[:len(moments)-1] {
		to, on := moments[i+1], 0
		for _, periods := range turns {
			if slices.ContainsFunc(periods, func(p guard.Period) bool { return p.Has(from) }) {
				on++
			}
		}
		if from.Before(to) && on < least {
			least, when = on, guard.Period{From: from, To: to}
		}
	}
	return least, when
}
