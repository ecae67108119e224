package guard

import (
	"fmt"
	"slices"
)

// Classes are what an emergency plan has to have an answer to: `scenario.coverage` asks for each of them.
var Classes = []string{
	"bad_release", "crash", "network", "hardware", "data_loss", "data_leak", "vulnerability", "attack", "operator_error", "vendor_outage",
}

// Classes are what an incident of the plan can be: those that every plan has an answer to, and the cases of its own.
func (p *Plan) Classes() []string {
	all := slices.Clone(Classes)
	for _, s := range p.Scenarios {
		if !slices.Contains(all, s.Name) {
			all = append(all, s.Name)
		}
	}
	return all
}

// A Scenario is what can go wrong, and what is done about it then.
type Scenario struct {
	Name    string   `json:"name"`              // one of Classes, or a case of your own
	Trigger string   `json:"trigger,omitempty"` // how it is noticed
	Owner   string   `json:"owner,omitempty"`   // the role that leads
	Action  string   `json:"action,omitempty"`  // what is done first
	Within  Duration `json:"within,omitempty"`  // how long that may take
	Accept  string   `json:"accept,omitempty"`  // why nothing is planned; in place of the rest
}

// A Risk is what was thought of beforehand.
type Risk struct {
	Risk       string `json:"risk"`
	Likelihood string `json:"likelihood,omitempty" oneof:"low medium high"`
	Impact     string `json:"impact,omitempty" oneof:"low medium high"`
	Response   string `json:"response,omitempty"` // what is done about it
}

// A Message is a text that was agreed on before anybody is under pressure. It is a Template with the words
// {{.Nature}}, {{.Scope}}, {{.Progress}}, {{.ETA}} and {{.NextUpdate}}, and those of the release.
type Message struct {
	Scenario string   `json:"scenario"`                         // the name of a scenario; any: whatever has none of its own
	Audience string   `json:"audience"`                         // a role, or customer, management, vendor
	Language string   `json:"language,omitempty" oneof:"en zh"` // that it is written in; default that of the plan
	Text     Template `json:"text"`
}

// MessageWords are the words that a message about trouble has to say.
var MessageWords = []string{"Nature", "Scope", "Progress", "ETA", "NextUpdate"}

// Words are what a message can say of a release and of the trouble with it. What nobody knows yet is unknown.
func (m Message) Words(r Release) map[string]string {
	words := r.Words()
	for _, word := range MessageWords {
		words[word] = "unknown"
	}
	return words
}

// An Asset is a thing that has to be there when it is needed: a spare, a licence, a room.
type Asset struct {
	Name     string `json:"name"`
	Kind     string `json:"kind,omitempty"` // "spare", "licence", "power", or as you like
	Quantity int    `json:"quantity,omitempty"`
	Minimum  int    `json:"minimum,omitempty"`
	Owner    string `json:"owner,omitempty"`    // who can hand it out
	Contact  string `json:"contact,omitempty"`  // how to reach them
	Priority int    `json:"priority,omitempty"` // who is served first: 1 before 2
	Expires  Date   `json:"expires,omitzero"`   // its last day
}

// An Attestation is what people have to state again and again, as nothing can measure it.
type Attestation struct {
	Kind   string   `json:"kind"`             // "power", "site", "compliance:CN"
	Within Duration `json:"within,omitempty"` // how old the latest may be; default 183d
}

func (d *draft) scenarios(p *Plan) {
	seen := map[string]bool{"any": true}
	for i, s := range p.Scenarios {
		path := fmt.Sprintf("scenarios[%d]", i)
		d.name(path+".name", s.Name)
		d.unique(seen, path+".name", s.Name, "describe each scenario once; any is not a name")
		d.must(s.Accept == "" || s.Action == "" && s.Owner == "" && s.Within == 0, path+".accept",
			"it is both accepted and acted on (remove accept, or the rest)")
		span[Duration]{path + ".within", s.Within, 0, 30 * day}.apply(d)
	}
	for i, m := range p.Messages {
		path := fmt.Sprintf("messages[%d]", i)
		d.must(seen[m.Scenario], path+".scenario", "there is no scenario %q%s", m.Scenario, suggest(m.Scenario, seen))
		_, err := Fill(m.Text, m.Words(Release{}))
		d.must(err == nil, path+".text", "%v", err)
	}
	assets := map[string]bool{}
	for i, a := range p.Inventory {
		path := fmt.Sprintf("inventory[%d]", i)
		d.unique(assets, path+".name", a.Name, "list each thing once")
		d.must(a.Quantity >= 0 && a.Minimum >= 0 && a.Priority >= 0, path, "a number of things is not negative")
	}
	stated := map[string]bool{}
	for i, s := range p.Attestations {
		path := fmt.Sprintf("attestations[%d]", i)
		d.unique(stated, path+".kind", s.Kind, "ask for each attestation once")
		span[Duration]{path + ".within", s.Within, hour, 3650 * day}.apply(d)
	}
}
