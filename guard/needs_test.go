package guard

import "testing"

func TestCheckNeeds(t *testing.T) {
	check := func(id string, needs ...string) Check { return Check{ID: id, Needs: needs} }
	for _, c := range []struct {
		name string
		all  []Check
		want string
	}{
		{"none", nil, ""},
		{"a chain, backwards", []Check{check("a", "b"), check("b", "c"), check("c")}, ""},
		{"two ways to one", []Check{check("a", "b", "c"), check("b", "d"), check("c", "d"), check("d")}, ""},
		{"unknown", []Check{check("backup.read", "backup.aeg"), check("backup.age")},
			`the check backup.read needs "backup.aeg", and there is no such check (did you mean backup.age?)`},
		{"one that is last", []Check{check("a", "b"), {ID: "b", Last: true}},
			"the check a needs b, which is asked when all others have answered (let a be last too)"},
		{"two that are last", []Check{{ID: "a", Last: true, Needs: []string{"b", "c"}}, {ID: "b", Last: true}, check("c")}, ""},
		{"itself", []Check{check("a", "a")}, "the check a needs itself: a needs a"},
		{"a circle beyond a chain", []Check{check("a", "b"), check("b", "c"), check("c", "d"), check("d", "b")},
			"the check b needs itself: b needs c needs d needs b"},
		{"unknown, and a circle", []Check{check("a", "b", "x"), check("b", "a")},
			"the check a needs \"x\", and there is no such check (did you mean a?)\nthe check a needs itself: a needs b needs a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := CheckNeeds(c.all); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
}
