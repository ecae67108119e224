package checks

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var toolsPresent = guard.Check{
	Code:       "GL902",
	ID:         "tools.present",
	Title:      "every program that the plan needs is installed",
	Unwaivable: true,
	S:          []int{138},
	Doc: `
It asks whether every program that the plan needs is on this machine: golive-plugin-NAME for each plugin, and
the program with which each shell command of the plan begins. Programs that are given by a path, and what a
shell does by itself, are not looked for. What the plan lists under tools is looked for as well, and asked for its
version: the first number with a dot in it that the program prints.

The machine on which the plan was written is seldom the one on which it runs. A rollback that needs curl, on a
runner that was rebuilt last week without it, fails at the worst of all moments, and it fails with a message
about the shell, which nobody understands at once.

To mend it, install the program, or add the directory in which it lies to PATH for the user that runs golive.
"golive plugins" shows which plugins golive finds. Programs that others start, and versions, are for the plan to list:

    tools:
      - jq
      - {name: restic, at_least: "0.14", print: restic version}

It cannot be waived: what is missing now is missing in the middle of the launch, and on the way back.

It answers S138.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		wanted := toolsOf(s.Plan)
		if len(wanted) == 0 {
			return []guard.Finding{{
				Verdict:  guard.Pass,
				Title:    "every program that the plan needs is installed",
				Expected: "those of its plugins and commands",
				Observed: "it needs none",
			}}, nil
		}
		return each(wanted, func(t tool) guard.Finding {
			f := guard.Finding{
				Subject:  t.name,
				Title:    t.name + " is installed",
				Expected: "a program on PATH",
				Path:     t.path,
			}
			remedy := "install " + t.name + " on this machine, or add its directory to PATH"
			answer, err := s.Ask(ctx, guard.Question{Tool: t.name})
			if err != nil {
				return unknown(f, fmt.Errorf("%s needs it: %w", place(s.Plan, t.path), err), remedy)
			}
			f.Verdict, f.Observed = guard.Pass, brief(answer.Path)
			if answer.Path == "" {
				f.Verdict, f.Observed = guard.Fail, "no such program"
				f.Reason, f.Remedy = place(s.Plan, t.path)+" needs it", remedy
			}
			f.Evidence = evidence("PATH", f.Observed, answer)
			if f.Verdict == guard.Pass && t.atLeast != "" {
				return t.version(ctx, s, f)
			}
			return f
		}), nil
	},
}

// A tool is a program that something in the plan needs.
type tool struct {
	name, path     string
	atLeast, print string // its oldest version that will do, and the command that prints the one that is here; empty: any will do
}

// printed is a version in what a program prints.
var printed = regexp.MustCompile(`[0-9]+(\.[0-9]+)+`)

// version asks a program that is here for its version.
func (t tool) version(ctx context.Context, s guard.Scene, f guard.Finding) guard.Finding {
	f.Title, f.Expected = t.name+" is new enough", "version "+t.atLeast+" at least"
	answer, err := s.Ask(ctx, guard.Question{Probe: &guard.Part{Use: "command", With: guard.With{"run": t.print}}})
	is := printed.FindString(answer.Finding.Observed)
	switch said := answer.Finding; {
	case err != nil:
	case said.Verdict != guard.Pass:
		err = fmt.Errorf("%s does not say its version: %s", t.print, orElse(said.Reason, "no answer"))
	case is == "":
		err = fmt.Errorf("%s prints no version: %q", t.print, brief(said.Observed))
	}
	if err != nil {
		return unknown(f, err, "write the command that prints it under print in "+place(s.Plan, t.path))
	}
	f.Observed = "version " + is
	f.Evidence = append(f.Evidence, evidence(t.print, f.Observed, answer)...)
	if older(is, t.atLeast) {
		f.Verdict, f.Reason = guard.Fail, "the plan needs a newer one"
		f.Remedy = "install a newer " + t.name + ", or lower at_least in " + place(s.Plan, t.path)
	}
	return f
}

// older compares two versions number by number; what one has more than the other counts as 0 there.
func older(a, b string) bool {
	have, want := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(have), len(want)) {
		if h, w := part(have, i), part(want, i); h != w {
			return h < w
		}
	}
	return false
}

func part(numbers []string, i int) int {
	if i >= len(numbers) {
		return 0
	}
	n, _ := strconv.Atoi(numbers[i]) // the largest number there is, if it is larger than that
	return n
}

// toolsOf lists the programs that a plan needs, each with the first place that needs it.
func toolsOf(p *guard.Plan) []tool {
	var tools []tool
	need := func(name, path string) {
		known := slices.ContainsFunc(tools, func(t tool) bool { return t.name == name })
		if name != "" && !known {
			tools = append(tools, tool{name: name, path: path})
		}
	}
	for i, t := range p.Tools {
		tools = append(tools, tool{t.Name, fmt.Sprintf("tools[%d]", i), t.AtLeast, t.Print})
	}
	for i, plugin := range p.Plugins {
		need("golive-plugin-"+plugin.Name, fmt.Sprintf("plugins[%d]", i))
	}
	commands := func(part guard.Part, path string) {
		if part.Use != "command" {
			return
		}
		for _, key := range []string{"inspect", "shift", "finish", "run", "verify", "list"} {
			line, _ := part.With[key].(string)
			need(program(line), path+".with."+key)
		}
	}
	commands(p.Rollout.Backend, "rollout.backend")
	for i, probe := range p.Rollout.Verify {
		commands(probe, fmt.Sprintf("rollout.verify[%d]", i))
	}
	commands(p.Watch.Source, "watch.source")
	if p.Watch.Fallback != nil {
		commands(*p.Watch.Fallback, "watch.fallback")
	}
	for i, store := range p.Data {
		for j, source := range store.Backups {
			commands(source.Part, fmt.Sprintf("data[%d].backups[%d]", i, j))
		}
		if store.Restore != nil {
			commands(store.Restore.Part, fmt.Sprintf("data[%d].restore", i))
		}
	}
	for i, channel := range p.Notify {
		commands(channel.Part, fmt.Sprintf("notify[%d]", i))
	}
	return tools
}

// plain is the name of a program, without a path, a variable or anything else that a shell would work on.
var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)

// ofShell are the words that a shell understands by itself.
var ofShell = strings.Fields(`alias bg break case cd command continue do echo eval exec exit export false fg
	for function getopts hash if jobs kill local printf pwd read readonly return set shift source test time
	times trap true type ulimit umask unalias unset until wait while`)

// program is the program with which a shell command begins; empty if that cannot be said.
func program(command string) string {
	words := strings.Fields(command)
	if len(words) == 0 || !plain.MatchString(words[0]) || slices.Contains(ofShell, words[0]) {
		return ""
	}
	return words[0]
}
