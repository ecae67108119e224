package guard

import "fmt"

// A Level says how bad it is, and what that starts. The first level whose condition holds is the one.
type Level struct {
	Level    int      `json:"level" jsonschema:"minimum=1,maximum=9"` // 1 is the worst
	Name     string   `json:"name,omitempty"`
	When     string   `json:"when"`               // a condition, or true
	Activate Duration `json:"activate,omitempty"` // from detection until somebody leads; default 10m, 15m, 30m
	Lead     string   `json:"lead,omitempty"`     // the role that leads
	Page     Names    `json:"page,omitempty"`     // the roles that are called, or everyone
	Update   Duration `json:"update,omitempty"`   // how often people hear how it goes; default 15m, 30m, 60m
}

// An Escalation is who is told next, unless it is over.
type Escalation struct {
	After  Duration `json:"after"` // from detection
	To     Names    `json:"to"`    // roles, vendors, or customer
	Unless string   `json:"unless,omitempty" oneof:"acknowledged cause_known"`
}

// Names are one or several. A bare name is a list of one.
type Names []string

// activation is how soon somebody has to lead at each level, unless the plan says otherwise.
var activation = map[int]Duration{1: 10 * minute, 2: 15 * minute, 3: 30 * minute}

// Activation is how soon somebody has to lead at the level that leaves the least time for it; 0: the plan has no levels.
func (p *Plan) Activation() (least Duration) {
	for _, l := range p.Severity {
		if l.Activate > 0 && (least == 0 || l.Activate < least) {
			least = l.Activate
		}
	}
	return least
}

// updates is how often people hear how it goes at each level, unless the plan says otherwise; of lesser levels it is the last.
var updates = map[int]Duration{1: 15 * minute, 2: 30 * minute, 3: 60 * minute}

// A Drill is a rehearsal that comes round.
type Drill struct {
	Name      string   `json:"name"`                // rollback, restore, tabletop, live, full_system, security, or as you like
	Every     Duration `json:"every"`               // how old the latest may be
	Data      string   `json:"data,omitempty"`      // the store that is restored
	Scenarios []string `json:"scenarios,omitempty"` // what is rehearsed
}

// Preserve is what is kept before going back.
type Preserve struct {
	Budget  Duration `json:"budget,omitempty"`  // how long the way back may wait for it
	Collect []Part   `json:"collect,omitempty"` // probes whose output is kept
}

func (d *draft) severity(p *Plan) {
	levels := map[string]bool{}
	for i, l := range p.Severity {
		path := fmt.Sprintf("severity[%d]", i)
		d.must(l.Level >= 1 && l.Level <= 9, path+".level", "%d is not a level (1 is the worst, 9 the least)", l.Level)
		d.unique(levels, path+".level", fmt.Sprint(l.Level), "describe each level once")
		span[Duration]{path + ".activate", l.Activate, 0, day}.apply(d)
		span[Duration]{path + ".update", l.Update, minute, 7 * day}.apply(d)
		if len(p.Watch.Signals) > 0 && !Placeholder(l.When) { // without signals its words are not known
			program, err := p.condition(l.When)
			p.keep(l.When, program)
			d.must(err == nil, path+".when", "%v", err)
		}
	}
	for i, e := range p.Escalate {
		path := fmt.Sprintf("escalate[%d]", i)
		span[Duration]{path + ".after", e.After, 0, 30 * day}.apply(d)
		d.must(len(e.To) > 0, path+".to", "nobody is told (name a role, a vendor or customer)")
	}
	stores, known := map[string]bool{"": true}, map[string]bool{}
	for _, s := range p.Data {
		stores[s.Name] = true
	}
	for _, s := range p.Scenarios {
		known[s.Name] = true
	}
	for i, drill := range p.Drills {
		path := fmt.Sprintf("drills[%d]", i)
		span[Duration]{path + ".every", drill.Every, hour, 3650 * day}.apply(d)
		d.must(stores[drill.Data], path+".data", "there is no store %q%s", drill.Data, suggest(drill.Data, stores))
		for j, name := range drill.Scenarios {
			d.must(known[name], fmt.Sprintf("%s.scenarios[%d]", path, j), "there is no scenario %q%s", name, suggest(name, known))
		}
	}
	span[Duration]{"evidence.budget", p.Evidence.Budget, second, 10 * minute}.apply(d)
}
