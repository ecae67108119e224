package guard

import "slices"

const (
	mostRemarks = 10  // of a reading, and of a rollout
	remarkHolds = 300 // characters
)

// Remarks makes what a source remarks on its answers fit to be told: each remark once, on one line and at most 300
// characters long, and only the first ten. That there are too many is no reason to do without the answers.
func Remarks(said []string) (kept []string) {
	for _, text := range said {
		remark := Line(text, remarkHolds)
		if remark != "" && len(kept) < mostRemarks && !slices.Contains(kept, remark) {
			kept = append(kept, remark)
		}
	}
	return kept
}

// Unheard are those of some remarks that a rollout has still to tell. A source says the same at each tick, and may
// count something in it: so there is an end to what is told.
func (s State) Unheard(said []string) (fresh []string) {
	for _, remark := range Remarks(said) {
		if len(s.Remarks)+len(fresh) < mostRemarks && !slices.Contains(s.Remarks, remark) {
			fresh = append(fresh, remark)
		}
	}
	return fresh
}
