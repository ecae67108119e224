package guard

// Checks says how the checks are tuned.
type Checks struct {
	Settings map[string]Setting `json:"settings,omitempty"` // by the ID of the check
}

// A Setting tunes one check. What it leaves out is as the check has it.
type Setting struct {
	Within Duration `json:"within,omitempty"` // how old what the check looks at may be, or how far ahead it looks
	Least  int      `json:"least,omitempty"`  // how many there have to be of what the check counts
	Ask    []Part   `json:"ask,omitempty"`    // the parts that know the answer
}
