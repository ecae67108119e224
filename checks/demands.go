package checks

import (
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// Demands is how many demands there are on an emergency plan: S1 to S171.
const Demands = 171

// Means is the kind of thing that answers a demand.
type Means string

const (
	ByCheck   Means = "check"   // golive asks before each launch
	ByPeople  Means = "people"  // nothing can measure it: golive asks whether somebody states it
	ByRollout Means = "rollout" // golive does it during a launch
	ByCommand Means = "command" // golive says it when it is asked
	ByLater   Means = "later"   // this version of golive has no answer yet
	ByNobody  Means = "refused" // golive will not do it
)

// An Answered is a demand and what answers it.
type Answered struct {
	Demand int    `json:"demand"`
	By     Means  `json:"by"`
	With   string `json:"with"`            // the IDs of the checks, or a sentence
	Shown  string `json:"shown,omitempty"` // the test that shows it, where it is no check
}

// Coverage says of each demand that something answers what that is, in their order. The checks say themselves what they
// answer; a demand that neither they nor the table below know is not among them.
func Coverage(all []guard.Check) (covered []Answered) {
	for n := 1; n <= Demands; n++ {
		means, ids := ByCheck, []string(nil)
		for _, c := range all {
			if !slices.Contains(c.S, n) {
				continue
			}
			ids = append(ids, c.ID)
			if c.ID == attestFresh.ID {
				means = ByPeople
			}
		}
		if len(ids) > 0 {
			covered = append(covered, Answered{n, means, strings.Join(ids, ", "), ""})
		}
		for _, a := range beyondChecks {
			if a.Demand == n {
				covered = append(covered, a)
			}
		}
	}
	return covered
}

// beyondChecks are the demands that no question before a launch answers.
var beyondChecks = []Answered{
	{10, ByLater, "going back to the newest backup that is proven well enough, as a step of the way back", ""},
	{11, ByLater, "saying after a restore what is lost, and where the logs of that time are", ""},
	{12, ByLater, "holding fast before a launch which backup a restore would take", ""},
	{13, ByLater, "asking the customer before a restore replaces data", ""},
	{24, ByRollout, "takes all traffic from a version that does harm, before anything else", "guard/testdata/rollout/regressed.txt"},
	{25, ByRollout, "takes the traffic back first, then verifies, and says restored at last", "guard/testdata/rollout/regressed.txt"},
	{26, ByLater, "cutting off an attacker", ""},
	{28, ByRollout, "watches other services as signals that are compared with their own past", "guard/judge/judge_test.go"},
	{29, ByRollout, "gives traffic step by step, also to the version that brings the service back", "guard/testdata/rollout/live.txt"},
	{30, ByLater, "seeing that a configuration was mended by hand", ""},
	{31, ByLater, "calling for help against a flood of requests", ""},
	{33, ByLater, "trying one way back after the other", ""},
	{35, ByLater, "improvements as actions of a report", ""},
	{36, ByRollout, "holds while somebody mends it, for a time that has an end, and goes back then", "guard/testdata/rollout/watch_undecided.txt"},
	{57, ByRollout, "watches processors, memory, disks and networks as signals whose bounds are learned from their past", "guard/engine/memory_test.go"},
	{59, ByRollout, "watches whatever can be counted as a signal: tickets, complaints, mentions", "guard/judge/judge_test.go"},
	{66, ByRollout, "tells everybody by each channel, and remembers of each whether word has arrived", "cmd/golive/untold_test.go"},
	{67, ByCommand, "golive status shows what goes on and what went on", "cmd/golive/testdata/script/good.txtar"},
	{69, ByLater, "watching on for a while after going back", ""},
	{71, ByLater, "finding out the level of severity from what is measured", ""},
	{77, ByCommand, "golive explain says who or what started the way back, and why", "cmd/golive/testdata/script/orders.txtar"},
	{80, ByLater, "a first report to whoever leads", ""},
	{81, ByLater, "reminding people to tell how it goes on", ""},
	{85, ByRollout, "decides, tells and touches nothing in the mode observe", "cmd/golive/testdata/script/observe.txtar"},
	{93, ByLater, "drills that write down what was played, done, brought back and learned", ""},
	{97, ByLater, "drills that pass only if the service came back in time", ""},
	{98, ByLater, "drills that call people", ""},
	{100, ByLater, "what those who took part in a drill say about it", ""},
	{102, ByLater, "the plan as a document for everybody", ""},
	{104, ByLater, "telling management how it goes on, at each level as often as agreed", ""},
	{109, ByLater, "telling customers that it is over", ""},
	{111, ByLater, "answers to customers as actions of a report", ""},
	{115, ByLater, "asking the business whether it is over", ""},
	{116, ByLater, "asking the customer what is done about their data", ""},
	{117, ByLater, "telling customers about a hole in the security", ""},
	{118, ByLater, "what customers said, as a part of the report", ""},
	{121, ByLater, "what was seen, when, and whom it concerned, as a part of the report", ""},
	{123, ByLater, "the report on an incident", ""},
	{124, ByLater, "an archive of reports", ""},
	{126, ByLater, "the course of an incident, with what was learned", ""},
	{127, ByLater, "searching what happened before", ""},
	{129, ByNobody, "golive does not judge people: whoever has to fear a report hides what it needs, so a report names roles, and no sanctions", ""},
	{130, ByRollout, "asks the probes of rollout.verify after going back, and says restored only when they pass", "cmd/golive/testdata/script/rollback.txtar"},
	{132, ByLater, "looking on after a repair until nothing is left of it", ""},
	{135, ByLater, "incidents that are written down as drills are", ""},
	{136, ByRollout, "keeps secrets out of whatever it prints, sends and remembers", "cmd/golive/testdata/script/secrets.txtar"},
	{144, ByLater, "drills that measure how soon tools and spares are of use", ""},
	{153, ByRollout, "watches each region as a signal of its own, with limits of its own", "guard/selector_test.go"},
	{169, ByLater, "how many launches went well, and how soon the others were over", ""},
	{170, ByLater, "steps that are added to the plan while it is carried out", ""},
}
