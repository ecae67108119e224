package guard

import "fmt"

// Recovery is what is done when it goes wrong, beside taking the traffic back.
type Recovery struct {
	Contain   *Part    `json:"contain,omitempty"`    // a probe that stops the harm from spreading, before all else: a kill switch
	Resorts   []Resort `json:"resorts,omitempty"`    // what is tried, one after the other, if the traffic cannot be taken back
	Soak      Duration `json:"soak,omitempty"`       // how long everything has to stay well before it counts as recovered
	Ramp      []Part   `json:"ramp,omitempty"`       // probes that let the traffic in again where contain kept it out, one after the other; each is watched for soak
	SignOff   string   `json:"sign_off,omitempty"`   // a role that has to agree before it can be stood down
	StandDown string   `json:"stand_down,omitempty"` // the role that says that it is over
	Deadline  Terms    `json:"deadline,omitzero"`
}

// A Resort is what is tried when going back has not helped: a fail-over, a restore.
type Resort struct {
	Name     string   `json:"name"`
	Do       Part     `json:"do"`                 // a probe that does it, and passes once it is done; of a restore, {{.Backup}} in its texts is the ID of the backup
	Data     string   `json:"data,omitempty"`     // of a restore: the store, whose newest backup that nothing is known against is taken
	Within   Duration `json:"within,omitempty"`   // how long it may take, all tries together; default 5m
	Verify   []Part   `json:"verify,omitempty"`   // probes that have to pass afterwards; none: those of rollout.verify
	Approval string   `json:"approval,omitempty"` // the role that has to agree first, within the same time
}

// Terms bound what people owe once it has gone wrong. golive's own decision activates the plan: they do not wait for a
// person to lead.
type Terms struct {
	Contain Duration `json:"contain,omitempty"` // from the decision to go back until it does no more harm
	Report  Duration `json:"report,omitempty"`  // from the decision to go back until those who command have heard of it
	Vendor  Duration `json:"vendor,omitempty"`  // from the decision to go back until vendors and the customer know, unless the cause does
	Notice  Duration `json:"notice,omitempty"`  // from standing down until all who have heard of it know that it is over
	File    Duration `json:"file,omitempty"`    // from standing down until the report is written
	Learn   Duration `json:"learn,omitempty"`   // from the report until the plan has changed, or somebody has signed that it need not
}

func (d *draft) recovery(p *Plan) {
	r := p.Recovery
	stores := map[string]bool{}
	for _, s := range p.Data {
		if len(s.Backups) > 0 {
			stores[s.Name] = true
		}
	}
	seen := map[string]bool{}
	for i, resort := range r.Resorts {
		path := fmt.Sprintf("recovery.resorts[%d]", i)
		d.unique(seen, path+".name", resort.Name, "give each resort a name of its own")
		d.must(resort.Data == "" || stores[resort.Data], path+".data", "there is no store %q with backups%s", resort.Data, suggest(resort.Data, stores))
		span[Duration]{path + ".within", resort.Within, second, day}.apply(d)
	}
	for _, s := range []span[Duration]{
		{"recovery.soak", r.Soak, 0, day},
		{"recovery.deadline.contain", r.Deadline.Contain, second, day},
		{"recovery.deadline.report", r.Deadline.Report, second, 30 * day},
		{"recovery.deadline.vendor", r.Deadline.Vendor, second, 30 * day},
		{"recovery.deadline.notice", r.Deadline.Notice, second, 30 * day},
		{"recovery.deadline.file", r.Deadline.File, second, 365 * day},
		{"recovery.deadline.learn", r.Deadline.Learn, second, 3650 * day},
	} {
		s.apply(d)
	}
}
