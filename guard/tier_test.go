package guard_test

import (
	"encoding/json"
	"testing"

	"github.com/golive-dev/golive/guard"
)

func TestCheckFor(t *testing.T) {
	critical := guard.Check{Standard: guard.Off, Critical: guard.Advisory}
	border := guard.Check{Standard: guard.Off, Critical: guard.Off, Clauses: []guard.Clause{guard.CrossBorder, guard.NewTech}}
	for _, test := range []struct {
		name  string
		check guard.Check
		plan  guard.Plan
		want  guard.Need
	}{
		{"says nothing", guard.Check{}, guard.Plan{Tier: guard.Standard}, guard.Required},
		{"standard", critical, guard.Plan{Tier: guard.Standard}, guard.Off},
		{"critical", critical, guard.Plan{Tier: guard.Critical}, guard.Advisory},
		{"a plan that nobody has parsed", critical, guard.Plan{}, guard.Advisory},
		{"without its clauses", border, guard.Plan{Tier: guard.Critical, Clauses: []guard.Clause{guard.ThirdParty}}, guard.Off},
		{"with one of its clauses", border, guard.Plan{Tier: guard.Standard, Clauses: []guard.Clause{guard.ThirdParty, guard.NewTech}}, guard.Required},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.check.For(&test.plan); got != test.want {
				t.Errorf("For = %s, want %s", got, test.want)
			}
		})
	}
}

func TestNeedInJSON(t *testing.T) {
	for n, want := range map[guard.Need]string{guard.Required: `"required"`, guard.Advisory: `"advisory"`, guard.Off: `"off"`} {
		text, err := json.Marshal(n)
		var far guard.Need
		if err != nil || string(text) != want || json.Unmarshal(text, &far) != nil || far != n {
			t.Errorf("%s is %s (error %v) and comes back as %s", n, text, err, far)
		}
	}
	if _, err := json.Marshal(guard.Need(3)); err == nil {
		t.Error("a need that there is not was written")
	}
	var n guard.Need
	if err := json.Unmarshal([]byte(`"optional"`), &n); err == nil {
		t.Error("a need that there is not was read")
	}
}
