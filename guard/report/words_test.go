package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
)

func TestNumbers(t *testing.T) {
	late := time.Date(2026, 11, 24, 1, 2, 3, 0, time.FixedZone("", 2*60*60))
	for name, c := range map[string]struct{ got, want string }{
		"number":             {Number(1234567), "1,234,567"},
		"small number":       {Number(999), "999"},
		"negative number":    {Number(-1234), "-1,234"},
		"percent":            {Percent(.00481), "0.48 %"},
		"no percent":         {Percent(0), "0 %"},
		"round percent":      {Percent(.2), "20 %"},
		"small percent":      {Percent(.00021), "0.021 %"},
		"rise":               {Points(.0123), "+1.23"},
		"fall":               {Points(-.0123), "-1.23"},
		"odds for":           {Odds(math.Log(640)), "640:1"},
		"odds against":       {Odds(-math.Log(4)), "1:4"},
		"even odds":          {Odds(0), "1:1"},
		"limit":              {Odds(math.Log(100)), "100:1"},
		"certain":            {Odds(math.Log(2e6)), "over 1,000,000:1"},
		"impossible":         {Odds(-1e300), "under 1:1,000,000"},
		"time span":          {Span(90*time.Second + 300*time.Millisecond), "1m30s"},
		"negative time span": {Span(-time.Second), "0s"},
		"one":                {Plural(1, "record"), "1 record"},
		"many":               {Plural(2, "record"), "2 records"},
		"round tenth":        {Percent(.005), "0.5 %"},
		"nearly ten percent": {Percent(.09996), "10 %"},
		"below ten percent":  {Percent(.0995), "9.95 %"},
		"ahead":              {Against(math.Log(3)), "3:1 against the new version"},
		"behind":             {Against(-math.Log(3)), "1:3"},
		"clock":              {Clock(late), "23:02:03Z"},
		"moment":             {Moment(late), "2026-11-23 23:02:03Z"},
		"missing":            {Missing(judge.Ruling{Missing: "40 requests", Remain: 90}), "40 requests; about 1m30s more"},
		"missing for ever":   {Missing(judge.Ruling{Missing: "40 requests"}), "40 requests"},
		"nothing missing":    {Missing(judge.Ruling{Remain: 90}), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

// A rule or a call that golive has no words for would leave a gap on the page and in golive explain.
func TestJudgeHasWords(t *testing.T) {
	if got := Call(judge.Regressed); got != "harm" {
		t.Errorf("harm is called %q", got)
	}
	for c := range judge.Regressed + 1 {
		if Call(c) == "" {
			t.Errorf("no words for the call %s", c)
		}
	}
	for _, r := range rules(t) {
		if Meaning(r) == "" {
			t.Errorf("the rule %s is not explained", r)
		}
	}
}

func TestVerdict(t *testing.T) {
	r := guard.Release{From: "v1", To: "v2"}
	first := guard.Release{To: "v2"}
	for name, c := range map[string]struct {
		state guard.State
		want  [2]string
	}{
		"under way":     {guard.State{Release: r, Phase: guard.Watching}, [2]string{}},
		"going back":    {guard.State{Release: r, Phase: guard.Restoring, Purpose: guard.ToRollback}, [2]string{}},
		"live":          {guard.State{Release: r, Outcome: guard.Live}, [2]string{"", "v2 is live"}},
		"unfinished":    {guard.State{Release: r, Outcome: guard.Unfinished, Seen: 90}, [2]string{"", "v2 was last seen with 90 % of the traffic, and the backend could not finish"}},
		"no-go":         {guard.State{Release: r, Outcome: guard.NoGo}, [2]string{"", "no-go: v2 got no traffic"}},
		"unknowable":    {guard.State{Release: r, Outcome: guard.Unknowable}, [2]string{"", "no-go: whether v2 may go on could not be found out, so it got no traffic"}},
		"overdue":       {guard.State{Release: r, Outcome: guard.Overdue}, [2]string{"", "time ran out before anything was decided about v2"}},
		"stopped":       {guard.State{Release: r, Outcome: guard.Stopped}, [2]string{"", "stopped before v2 got any traffic"}},
		"stopped watch": {guard.State{Release: r, Outcome: guard.Stopped, Purpose: guard.ToWatch}, [2]string{"", "stopped watching v2"}},
		"looking only":  {guard.State{Release: r, Outcome: guard.Stopped, Mode: guard.Observe}, [2]string{"", "stopped watching v2"}},
		"back":          {guard.State{Release: r, Outcome: guard.RolledBack}, [2]string{"", "v2 was rolled back to v1, verified"}},
		"first back":    {guard.State{Release: first, Outcome: guard.RolledBack}, [2]string{"", "v2 was taken out of the traffic again, verified"}},
		"seen back":     {guard.State{Release: r, Outcome: guard.RolledBack, Mode: guard.Observe}, [2]string{"", "v2 was taken back, and not by golive"}},
		"ordered back": {
			guard.State{Release: r, Outcome: guard.RolledBack, Mode: guard.Observe, Purpose: guard.ToRollback},
			[2]string{"", "v2 was rolled back to v1, verified"},
		},
		"failed": {
			guard.State{Release: r, Outcome: guard.RollbackFailed, Purpose: guard.ToRollback},
			[2]string{"rollback failed", "it is not certain that v1 has the traffic again"},
		},
		"first failed": {
			guard.State{Release: first, Outcome: guard.RollbackFailed},
			[2]string{"rollback failed", "it is not certain that v2 is out of the traffic"},
		},
		"nothing taken": {
			guard.State{Release: r, Outcome: guard.Overdue, Purpose: guard.ToRollback},
			[2]string{"not rolled back", "nothing was taken from v2"},
		},
		"would": {guard.State{Release: r, Outcome: guard.WouldRollBack, Mode: guard.Observe}, [2]string{"", "v2 would have been taken back"}},
	} {
		warning, text := Verdict(c.state)
		if diff := cmp.Diff(c.want, [2]string{warning, text}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLate(t *testing.T) {
	for p, want := range map[guard.Phase]string{
		guard.Checking:  "it ends, and no traffic was moved",
		guard.Shifting:  "it goes back",
		guard.Watching:  "it goes back",
		guard.Baking:    "it goes back",
		guard.Finishing: "it ends as unfinished",
		guard.Restoring: "it ends as a failed rollback",
		guard.Verifying: "it ends as a failed rollback",
	} {
		if got := Late(p); got != want {
			t.Errorf("%s: %q, want %q", p, got, want)
		}
	}
}

func TestOrdered(t *testing.T) {
	for want, f := range map[string]guard.Ordered{
		"somebody ordered hold":               {Verb: guard.OrderHold},
		"ann ordered extend by 1h":            {Verb: guard.OrderExtend, By: "ann", For: guard.Duration(time.Hour)},
		"ann b?[31m ordered rollback: it is":  {Verb: guard.OrderRollback, By: "ann\nb\x1b[31m", Why: "it is"},
		"bob ordered hold: the disks are old": {Verb: guard.OrderHold, By: "bob", Why: "the disks are old", For: guard.Duration(time.Hour)},
	} {
		if diff := cmp.Diff(want, Ordered(f)); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	}
}

func TestChannel(t *testing.T) {
	plan := &guard.Plan{Notify: []guard.Channel{{Part: guard.Part{Use: "slack"}}}}
	if got, want := Channel(plan, 0)+", "+Channel(plan, 1), "slack, channel 2"; got != want {
		t.Errorf("channels %q, want %q", got, want)
	}
}

// rules are those that the judge declares, read from its source: it has no list of them.
func rules(t *testing.T) (all []judge.Rule) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../judge/judge.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Rule" {
			return true
		}
		for _, v := range spec.Values {
			text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, judge.Rule(text))
		}
		return true
	})
	if len(all) < 2 {
		t.Fatalf("the judge declares %d rules in judge.go; they have moved", len(all))
	}
	return all
}
