package guard

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Checks says how the checks are tuned, which ones the plan adds, and what a launch may happen in spite of. All
// that golive and the plugins bring are asked in any case.
type Checks struct {
	Settings map[string]Setting `json:"settings,omitempty"` // by the ID of the check
	Extra    []Extra            `json:"extra,omitempty"`    // checks of the plan's own
	Waivers  []Waiver           `json:"waivers,omitempty"`  // each lets a launch happen in spite of one check, for some days
}

// A Setting tunes one check. What it leaves out is as the check has it. A check looks at need, and at those of the
// others that it reads. They replace what the check has, and so may be more lenient than that, too.
type Setting struct {
	Need   *Need    `json:"need,omitempty"`   // required: what does not pass keeps the gate shut; nothing else can be set
	Within Duration `json:"within,omitempty"` // how old what the check looks at may be, or how far ahead it looks
	Least  int      `json:"least,omitempty"`  // how many there have to be of what the check counts
	Ask    []Part   `json:"ask,omitempty"`    // the parts that know the answer
	// Ledgers are the files of the ledgers of other services, by the name of the service. A path that is not absolute begins at the plan.
	Ledgers map[string]string `json:"ledgers,omitempty"`
}

// An Extra is a check of the plan's own: a probe that has to pass before a launch.
type Extra struct {
	ID string `json:"id"` // its code too; it may not begin with GL
	Part
	Required *bool  `json:"required,omitempty"` // whether what does not pass keeps the gate shut, or is a warning; default true
	Title    string `json:"title,omitempty"`    // a sentence that is true when all is well
	Fix      string `json:"fix,omitempty"`      // the one thing to do when it does not pass
}

// Extras are the checks of the plan's own, in its order.
func (p *Plan) Extras() (all []Check) {
	for i, x := range p.Checks.Extra {
		all = append(all, x.check(fmt.Sprintf("checks.extra[%d]", i)))
	}
	return all
}

func (x Extra) check(path string) Check {
	c := Check{
		Code: x.ID, ID: x.ID, Path: path,
		Title: cmp.Or(x.Title, "the check "+x.ID+" of the plan is passed"),
		Run: func(ctx context.Context, s Scene) ([]Finding, error) {
			answer, err := s.Ask(ctx, Question{Probe: &x.Part})
			f := answer.Finding
			if err != nil {
				f = Finding{Reason: err.Error()}
			}
			f.Title = cmp.Or(x.Title, f.Title)
			if f.Verdict != Pass {
				f.Remedy = cmp.Or(x.Fix, f.Remedy)
			}
			return []Finding{f}, nil
		},
	}
	if x.Required != nil && !*x.Required {
		c.Standard, c.Critical = Advisory, Advisory
	}
	mend := "look at what the probe says"
	if x.Fix != "" {
		mend = x.Fix
	}
	c.Doc = fmt.Sprintf(`
It asks the probe %s whether %s.

The plan brings this check itself, under %s: golive asks it beside its own, and knows no more about it.

To mend it, %s.
`, x.Use, c.Title, path, strings.TrimSuffix(mend, "."))
	return c
}

// Fits says which checks the plan names that are none, and what it sets that nothing reads: known are all checks that
// golive and the plugins bring. The error is a *PlanError. A name that means nothing would be a guard that is not there, so nothing may begin with one;
// what has begun keeps to the checks that it was asked.
func (p *Plan) Fits(known []Check) error {
	d := &draft{plan: p, wrong: map[string]bool{}, marred: map[string]bool{}}
	ids := map[string]bool{}
	for _, c := range known {
		ids[c.ID] = true
	}
	for i, x := range p.Checks.Extra {
		taken := slices.ContainsFunc(known, func(c Check) bool { return c.is(x.ID) })
		d.must(!taken, fmt.Sprintf("checks.extra[%d].id", i), "there is a check %q already (choose another id)", x.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(p.Checks.Settings)) {
		own := !ids[id] && slices.ContainsFunc(p.Checks.Extra, func(x Extra) bool { return x.ID == id })
		path := child("checks.settings", id)
		d.must(!own, path, "%q is a check of the plan's own (say there what it needs, in checks.extra)", id)
		d.must(own || ids[id], path, "there is no check %q%s", id, suggest(id, ids))
		for _, c := range known {
			if c.ID == id {
				d.unread(c, path)
			}
		}
	}
	all := slices.Concat(known, p.Extras())
	for _, x := range p.Checks.Extra {
		ids[x.ID] = true
	}
	for i, w := range p.Checks.Waivers {
		path := fmt.Sprintf("checks.waivers[%d].check", i)
		at := slices.IndexFunc(all, func(c Check) bool { return c.is(w.Check) })
		d.must(at >= 0, path, "there is no check %q%s", w.Check, suggest(w.Check, ids))
		d.must(at < 0 || !all[at].Unwaivable, path, "%s cannot be waived (golive explain %s says why)", w.Check, w.Check)
	}
	if len(d.mistakes) == 0 {
		return nil
	}
	slices.SortStableFunc(d.mistakes, func(a, b Mistake) int { return a.Position.compare(b.Position) })
	return &PlanError{File: p.file, Mistakes: d.mistakes}
}

// unread refuses the keys of a setting that its check does not look at.
func (d *draft) unread(c Check, path string) {
	can := strings.Join(append([]string{"need"}, c.Reads...), ", ")
	for _, key := range []string{"within", "least", "ask", "ledgers"} {
		d.must(slices.Contains(c.Reads, key) || !d.plan.Writes(path+"."+key), path+"."+key,
			"%s does not look at %s, so this would change nothing (take it out; what can be set there: %s)", c.ID, key, can)
	}
}

// is says whether a name means the check: its ID, or its code.
func (c Check) is(name string) bool { return c.ID == name || strings.EqualFold(c.Code, name) }

// tuning applies the rules of the chapter checks. Which checks there are, the plan does not know: Fits does.
func (d *draft) tuning(c Checks, r Roster) {
	for _, id := range slices.Sorted(maps.Keys(c.Settings)) {
		s, path := c.Settings[id], child("checks.settings", id)
		d.must(s.Need == nil || *s.Need == Required, path+".need",
			"a check can be made stricter here, and not %s (write need: required; to launch in spite of it, write a waiver)", needOf(s))
		if at := path + ".within"; d.plan.Writes(at) {
			span[Duration]{at, s.Within, second, 3650 * day}.apply(d)
		}
		if at := path + ".least"; d.plan.Writes(at) {
			d.must(s.Least >= 1 && s.Least <= 1000, at, "%d is not how many there have to be (1 to 1000)", s.Least)
		}
		for _, service := range slices.Sorted(maps.Keys(s.Ledgers)) {
			at := child(path+".ledgers", service)
			d.must(slices.Contains(d.plan.DependsOn, service), at, "the plan does not depend on %q (add it to depends_on, or take it out here)", service)
			d.must(strings.TrimSpace(s.Ledgers[service]) != "", at, "it does not say where the ledger lies (write its path)")
		}
	}
	seen := map[string]bool{}
	for i, x := range c.Extra {
		path := fmt.Sprintf("checks.extra[%d].id", i)
		d.name(path, x.ID)
		d.must(!strings.HasPrefix(strings.ToUpper(x.ID), "GL"), path, "%q is for golive's own checks (choose an id that does not begin with GL)", x.ID)
		d.unique(seen, path, x.ID, "give each check an id of its own")
	}
	waived := map[[2]string]bool{}
	for i, w := range c.Waivers {
		path := fmt.Sprintf("checks.waivers[%d]", i)
		key, why := w.refusal(r)
		d.must(why == "" || !d.intact("roster.people"), path+"."+key, "%s", why)
		d.must(!waived[[2]string{w.Check, w.Subject}], path, "there is a waiver of this already (renew that one)")
		waived[[2]string{w.Check, w.Subject}] = true
	}
}

func needOf(s Setting) Need {
	if s.Need == nil {
		return Required
	}
	return *s.Need
}
