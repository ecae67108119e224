package checks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each demand has one kind of answer, and each answer is there.
func TestCoverage(t *testing.T) {
	covered := Coverage(All())
	var open []int
	for n := 1; n <= Demands; n++ {
		of := slices.DeleteFunc(slices.Clone(covered), func(a Answered) bool { return a.Demand != n })
		switch len(of) {
		case 0:
			open = append(open, n)
		case 1:
		default:
			t.Errorf("S%d has %d kinds of answers: %+v", n, len(of), of)
		}
	}
	if len(open) > 0 {
		t.Errorf("nothing answers S%v", open)
	}
	ids := map[string]bool{}
	for _, c := range All() {
		ids[c.ID] = true
		for _, n := range c.S {
			if n < 1 || n > Demands {
				t.Errorf("%s answers S%d, and there is none", c.ID, n)
			}
		}
		if !slices.IsSorted(c.S) || len(slices.Compact(slices.Clone(c.S))) != len(c.S) {
			t.Errorf("%s lists what it answers in no order: %v", c.ID, c.S)
		}
	}
	var stated, refused []int
	for _, a := range covered {
		if a.With == "" {
			t.Errorf("S%d: %s answers it, and it does not say how", a.Demand, a.By)
		}
		switch a.By {
		case ByCheck, ByPeople:
			for id := range strings.SplitSeq(a.With, ", ") {
				if !ids[id] {
					t.Errorf("S%d: there is no check %s", a.Demand, id)
				}
			}
			if a.By == ByPeople {
				stated = append(stated, a.Demand)
			}
		case ByRollout, ByCommand:
			if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(a.Shown))); a.Shown == "" || err != nil {
				t.Errorf("S%d: nothing shows it: %v", a.Demand, err)
			}
		case ByNobody:
			refused = append(refused, a.Demand)
		case ByLater:
		default:
			t.Errorf("S%d: %q answers nothing", a.Demand, a.By)
		}
	}
	if want := []int{9, 17, 139, 142, 152}; !slices.Equal(stated, want) {
		t.Errorf("only people can state S%v, want S%v", stated, want)
	}
	if want := []int{129}; !slices.Equal(refused, want) {
		t.Errorf("refused are S%v, want S%v", refused, want)
	}
}
