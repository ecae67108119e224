package guard

// A Roster is who is there when it goes wrong.
type Roster struct {
	Verified  Date              `json:"verified,omitzero"`     // when somebody last went through it
	MinOnDuty int               `json:"min_on_duty,omitempty"` // how many people have to be on duty at every moment of a launch
	People    []Person          `json:"people,omitempty"`
	Owners    map[string]string `json:"owners,omitempty"` // of a domain, a data centre, the customers: who answers for it
	Skills    []string          `json:"skills,omitempty"` // what somebody has to know
	Shifts    Shifts            `json:"shifts,omitzero"`
	Vendors   []Vendor          `json:"vendors,omitempty"`
	Publish   bool              `json:"publish,omitempty"` // phone numbers and e-mail addresses may stand in what leaves this machine
}

// A Person holds one role; whoever holds two is listed twice.
type Person struct {
	Name   string   `json:"name"`
	Role   string   `json:"role"`
	TZ     string   `json:"tz,omitempty"`
	OnCall bool     `json:"on_call,omitempty"` // may be called at night
	Reach  []Reach  `json:"reach,omitempty"`
	Skills []string `json:"skills,omitempty"` // what this person knows
}

// Reach is one way to reach somebody: one kind ("phone", "email", "slack", ...) and its address.
type Reach map[string]string

// GitHubLogin is the kind of a Reach that rings nobody: it says who somebody is at GitHub, for what is pressed there.
const GitHubLogin = "github"

// Shifts say who is on duty when. A bare list is List.
type Shifts struct {
	File string `json:"file,omitempty"` // iCalendar; a shift belongs to whoever its summary names, or it invites by e-mail
	List []Duty `json:"list,omitempty" plan:"short"`
}

// A Duty is one person's turn: each week, or once from a moment to another.
type Duty struct {
	Name string `json:"name"`
	When Window `json:"when,omitzero"`
	From string `json:"from,omitempty"` // RFC 3339
	To   string `json:"to,omitempty"`
}

// A Vendor is somebody else on whom the service depends.
type Vendor struct {
	Name     string   `json:"name"`
	Reach    []Reach  `json:"reach,omitempty"`
	Contract Contract `json:"contract,omitzero"`
	SLA      SLA      `json:"sla,omitzero"`
}

// A Contract gives the right to call a vendor.
type Contract struct {
	ID    string `json:"id,omitempty"`
	Until Date   `json:"until,omitzero"`
}

// An SLA is what a vendor promised.
type SLA struct {
	Respond Duration `json:"respond,omitempty"`
	Hours   Window   `json:"hours,omitzero"` // when somebody answers
}
