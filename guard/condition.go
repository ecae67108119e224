package guard

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"
)

// A Situation is what the conditions of severity are about: what is known of an incident at one moment.
type Situation struct {
	Signals        map[string]float64 // by name: the share of bad requests on the new version, in this step; of a gauge, of its observations
	Down           bool               // the new version, or both, answer nothing, or nearly nothing but errors
	RolledBack     bool               // the traffic is back, verified
	RollbackFailed bool               // the way back was tried in vain
	Blind          bool               // the metrics are gone
	Percent        int                // share of the traffic on the new version
	Peak           int                // the greatest share that it has had
	Alerts         int                // that fire
	Minutes        float64            // since detection
	Cause          string             // what made the rollout go back: one of the Causes
	Scenario       string             // one of Classes, or of the plan
	Tier           string
	Acknowledged   bool
}

// env is the situation as the words of a condition, for a plan: its signals can be named alone if nothing else has the name.
func (p *Plan) env(s Situation) map[string]any {
	env := map[string]any{
		"signals": map[string]float64{}, "down": s.Down, "rolled_back": s.RolledBack, "rollback_failed": s.RollbackFailed, "blind": s.Blind,
		"percent": s.Percent, "peak": s.Peak, "alerts": s.Alerts, "minutes": s.Minutes, "cause": s.Cause, "scenario": s.Scenario,
		"tier": s.Tier, "acknowledged": s.Acknowledged,
	}
	all := map[string]float64{}
	for _, signal := range p.Watch.Signals {
		all[signal.Name] = s.Signals[signal.Name]
		if _, taken := env[signal.Name]; !taken {
			env[signal.Name] = s.Signals[signal.Name]
		}
	}
	env["signals"] = all
	return env
}

// percentage is a number with a per cent sign that is no remainder: nothing that could be divided by follows.
var percentage = regexp.MustCompile(`\b(\d+(?:\.\d+)?)\s*%(\s*(?:$|[)\]<>=&|?:,]|and\b|or\b))`)

// condition reads a condition of the plan, in the language of expr-lang/expr, in which 5% may be written for 0.05.
func (p *Plan) condition(text string) (*vm.Program, error) {
	written := percentage.ReplaceAllString(text, "($1/100)$2")
	program, err := expr.Compile(written, expr.Env(p.env(Situation{})), expr.AsBool())
	if err != nil {
		return nil, fmt.Errorf("this is no condition: %s (it may speak of %s)", firstLine(err.Error()), p.vocabulary())
	}
	return program, nil
}

// keep remembers a condition that was read.
func (p *Plan) keep(text string, program *vm.Program) {
	if p.conditions == nil {
		p.conditions = map[string]*vm.Program{}
	}
	if program != nil {
		p.conditions[text] = program
	}
}

func (p *Plan) vocabulary() string {
	words := slices.Sorted(maps.Keys(p.env(Situation{})))
	return fmt.Sprint(words)
}

func firstLine(text string) string {
	for i, r := range text {
		if r == '\n' {
			return text[:i]
		}
	}
	return text
}

// Grade is the first level, from the top, whose condition holds; false if none does, or the plan has no levels. A
// condition that cannot be evaluated holds: what nobody can tell is not taken for harmless.
func (p *Plan) Grade(s Situation) (level Level, why string, found bool) {
	env := p.env(s)
	for _, l := range p.Severity {
		program, err := p.program(l)
		if err != nil {
			return l, err.Error(), true
		}
		holds, err := expr.Run(program, env)
		if err != nil {
			return l, fmt.Sprintf("%s, of which nobody can tell whether it holds: %v", l.When, err), true
		}
		if holds == true {
			return l, l.When, true
		}
	}
	return Level{}, "", false
}

// program is the condition of a level, ready to be asked.
func (p *Plan) program(l Level) (*vm.Program, error) {
	if program := p.conditions[l.When]; program != nil {
		return program, nil
	}
	return p.condition(l.When) // of a plan that nobody has parsed, or a placeholder
}

// turns is the first time after another, both since detection, from which a condition may hold only because time has
// passed; false: none speaks of time any more. Where minutes is compared with numbers it is right behind the next of them,
// since what happens at that very moment is not over it; of any other use it is the next whole minute.
func (p *Plan) turns(after time.Duration) (next time.Duration, ever bool) {
	sooner := func(at time.Duration) {
		if at > after && (!ever || at < next) {
			next, ever = at, true
		}
	}
	for _, l := range p.Severity {
		program, err := p.program(l)
		if err != nil {
			continue // it holds already
		}
		node, times := program.Node(), times{}
		ast.Walk(&node, &times)
		for _, minutes := range times.limits {
			sooner(time.Duration(minutes*float64(time.Minute)) + time.Millisecond)
		}
		if times.mentions > len(times.limits) {
			sooner(after.Truncate(time.Minute) + time.Minute)
		}
	}
	return next, ever
}

// times is how a condition speaks of time.
type times struct {
	mentions int       // of minutes
	limits   []float64 // the numbers with which minutes is compared, for as many of the mentions
}

// Visit implements ast.Visitor.
func (t *times) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "minutes" || n.Value == "$env" { // which holds minutes, too
			t.mentions++
		}
	case *ast.BinaryNode:
		if !slices.Contains([]string{"<", "<=", ">", ">="}, n.Operator) {
			return
		}
		for _, sides := range [][2]ast.Node{{n.Left, n.Right}, {n.Right, n.Left}} {
			name, named := sides[0].(*ast.IdentifierNode)
			limit, is := number(sides[1])
			if named && name.Value == "minutes" && is && limit < farOff {
				t.limits = append(t.limits, limit)
			}
		}
	}
}

// farOff is a limit, in minutes, that a time.Duration can still hold, and no incident comes near.
const farOff = 1e7

func number(node ast.Node) (float64, bool) {
	switch n := node.(type) {
	case *ast.IntegerNode:
		return float64(n.Value), true
	case *ast.FloatNode:
		return n.Value, true
	}
	return 0, false
}
