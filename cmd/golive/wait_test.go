package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// What is asked in the next round is what blocks, what it needs if that did not pass, and what needs either.
func TestAgain(t *testing.T) {
	q := inquiry{checks: []guard.Check{
		{ID: "a"}, {ID: "b", Needs: []string{"a"}}, {ID: "c", Needs: []string{"b"}}, {ID: "d"}, {ID: "e", Needs: []string{"d"}}, {ID: "off", Needs: []string{"a"}},
	}}
	f := func(id string, v guard.Verdict) guard.Finding { return guard.Finding{ID: id, Verdict: v} }
	for _, c := range []struct {
		name     string
		strict   bool
		findings []guard.Finding
		want     []string
	}{
		{"nothing", false, []guard.Finding{f("a", guard.Pass), f("b", guard.Warn)}, nil},
		{"a warning that counts", true, []guard.Finding{f("a", guard.Pass), f("b", guard.Warn)}, []string{"b"}},
		{"each verdict that blocks", false, []guard.Finding{f("a", guard.Unknown), f("d", guard.Waiting), f("e", guard.Fail)}, []string{"a", "d", "e"}},
		{"one of two findings", false, []guard.Finding{f("d", guard.Pass), f("d", guard.Fail)}, []string{"d"}},
		{"what needs it, and what needs that", false, []guard.Finding{f("a", guard.Fail), f("b", guard.Pass), f("c", guard.Pass), f("d", guard.Pass), f("e", guard.Pass)}, []string{"a", "b", "c"}},
		{"what it needs, which is only a warning", false, []guard.Finding{f("d", guard.Warn), f("e", guard.Unknown)}, []string{"d", "e"}},
		{"not what it needs, which passes", false, []guard.Finding{f("d", guard.Pass), f("e", guard.Fail)}, []string{"e"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q.strict = c.strict
			var got []string
			for _, check := range q.again(c.findings) {
				got = append(got, check.ID)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestMerge(t *testing.T) {
	checks := []guard.Check{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	f := func(id, reason string) guard.Finding { return guard.Finding{ID: id, Reason: reason} }
	got := merge(checks, []guard.Finding{f("a", "1"), f("b", "1"), f("b", "2"), f("c", "1")}, []guard.Finding{f("b", "3")})
	if diff := cmp.Diff([]guard.Finding{f("a", "1"), f("b", "3"), f("c", "1")}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
