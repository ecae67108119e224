package guard

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Tier says how much depends on a service, and so which checks are required of it.
type Tier string

const (
	Standard Tier = "standard"
	Critical Tier = "critical"
)

// ClausePattern is a regular expression for all clauses there are.
const ClausePattern = `^(large_upgrade|cross_border|new_tech|third_party)$`

var clauseShape = regexp.MustCompile(ClausePattern)

// A Clause is a circumstance that makes more checks required, whatever the tier.
type Clause string

const (
	LargeUpgrade Clause = "large_upgrade" // the launch comes in waves
	CrossBorder  Clause = "cross_border"  // people or customers live in several time zones
	NewTech      Clause = "new_tech"      // nobody has run this in production before
	ThirdParty   Clause = "third_party"   // the service depends on a vendor
)

// UnmarshalText accepts the clauses there are, and nothing else.
func (c *Clause) UnmarshalText(text []byte) error {
	if !clauseShape.Match(text) {
		known := strings.ReplaceAll(strings.Trim(ClausePattern, "^()$"), "|", ", ")
		return fmt.Errorf("%q is not a clause (there are: %s)", text, known)
	}
	*c = Clause(text)
	return nil
}

// Objectives are what was promised for the day on which it goes wrong.
type Objectives struct {
	RTO Duration `json:"rto,omitempty"` // how long the service may be away
	RPO Duration `json:"rpo,omitempty"` // how much of the latest work may be lost
}

// A Need says what a check means to a plan. The zero value is the strictest.
type Need int

const (
	Required Need = iota // what does not pass keeps the gate shut
	Advisory             // what does not pass is a warning
	Off                  // it is not asked
)

var needNames = [...]string{Required: "required", Advisory: "advisory", Off: "off"}

func (n Need) String() string {
	if n < 0 || int(n) >= len(needNames) {
		return fmt.Sprintf("need(%d)", int(n))
	}
	return needNames[n]
}

// MarshalText makes a need its name in JSON.
func (n Need) MarshalText() ([]byte, error) {
	if n < 0 || int(n) >= len(needNames) {
		return nil, fmt.Errorf("no need has the number %d", int(n))
	}
	return []byte(needNames[n]), nil
}

// UnmarshalText accepts the names that MarshalText writes, and nothing else.
func (n *Need) UnmarshalText(text []byte) error {
	i := slices.Index(needNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("%q is not a need (try required)", text)
	}
	*n = Need(i)
	return nil
}

// For says what the check means to a plan: what it means to the plan's tier, unless one of the plan's clauses or
// its settings require it. The need of a setting can only make a check stricter; its numbers are those of the plan, and
// may be more lenient than the ones that the check brings. A plan without a tier, which nobody has parsed, is held to
// the stricter one.
func (c Check) For(p *Plan) Need {
	need := c.byTier(p)
	if set := p.Checks.Settings[c.ID].Need; set != nil {
		need = min(need, *set)
	}
	return need
}

func (c Check) byTier(p *Plan) Need {
	required := func(clause Clause) bool { return slices.Contains(p.Clauses, clause) }
	switch {
	case slices.ContainsFunc(c.Clauses, required):
		return Required
	case p.Tier == Standard:
		return c.Standard
	}
	return c.Critical
}
