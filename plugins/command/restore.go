package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Restorer brings data back with one command, and compares it with another.
type Restorer struct {
	run, verify, check string
	within             guard.Share
	timeout            time.Duration
}

var _ guard.Restorer = (*Restorer)(nil)

// readyWithin bounds the check command: checks before a launch have seconds, not hours.
const readyWithin = 30 * time.Second

// mostWithin is how far an original may have moved on since its backup. With all of it, nothing would be near enough
// to something.
const mostWithin guard.Share = 0.1

// NewRestorer reads {run, verify, check, within, timeout}. The run command restores the backup that GOLIVE_BACKUP
// names into GOLIVE_INTO, an empty directory. The verify command prints what there is in the original and in
// what was restored, one thing a line: its name, its value in the one, its value in the other, like
//
//	orders 200000 200000
//
// The values are compared here: what a command thinks of its own success does not count for more than that
// there is something to compare. Numbers may differ by the share within, like 0.1%, for an original that has
// moved on since, 10% at most; unless it is given, they may not. Timeout bounds each command, an hour unless said otherwise.
// The check command, which need not be there, says by its exit status whether a restore could begin now, such as
// "restic cat config"; it changes nothing, and has half a minute.
func NewRestorer(with guard.With) (guard.Restorer, error) {
	config := struct {
		Run     string         `json:"run"`
		Verify  string         `json:"verify"`
		Check   string         `json:"check"`
		Within  guard.Share    `json:"within"`
		Timeout guard.Duration `json:"timeout"`
	}{Timeout: guard.Duration(time.Hour)}
	err := errors.Join(with.Decode(&config), need("run", config.Run), need("verify", config.Verify), positive(config.Timeout))
	if config.Within > mostWithin {
		err = errors.Join(err, fmt.Errorf("within: %s is more than %s, and would pass a restore that lost data", config.Within, mostWithin))
	}
	if err != nil {
		return nil, err
	}
	return &Restorer{config.Run, config.Verify, config.Check, config.Within, config.Timeout.Std()}, nil
}

// plainWord is a word that a shell takes as it stands, and may run.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./+-]*$`)

// Ready asks the shell whether it understands the commands and finds the program that each begins with, and runs
// the check command, if there is one. What a command runs further on, only the check can know.
func (r *Restorer) Ready(ctx context.Context) (guard.Finding, error) {
	f := guard.Finding{
		Title: "a restore can begin now", Verdict: guard.Pass,
		Expected: "commands that can be run", Observed: "the programs of run and verify are here",
	}
	refuse := func(reason, remedy string) (guard.Finding, error) {
		f.Verdict, f.Observed, f.Reason, f.Remedy = guard.Fail, "commands that cannot be run", reason, remedy
		return f, nil
	}
	for _, step := range []struct{ name, script string }{{"run", r.run}, {"verify", r.verify}} {
		_, err := run.Command{Program: "sh", Args: []string{"-n", "-c", step.script}, Timeout: readyWithin}.Run(ctx)
		switch _, refused := refusal(err); {
		case refused:
			return refuse(fmt.Sprintf("the shell does not understand the %s command: %v", step.name, err), "mend the "+step.name+" command")
		case err != nil:
			return guard.Finding{}, fmt.Errorf("the %s command: %w", step.name, err)
		}
		first := strings.Fields(step.script)[0]
		if !plainWord.MatchString(first) {
			continue
		}
		_, err = run.Shell("command -v "+first+" >/dev/null || exit 1", readyWithin).Run(ctx)
		switch _, refused := refusal(err); {
		case refused:
			return refuse(fmt.Sprintf("there is no program %s, which the %s command begins with", first, step.name), "install "+first+", or write where it is")
		case err != nil:
			return guard.Finding{}, fmt.Errorf("look for %s: %w", first, err)
		}
	}
	if r.check == "" {
		f.Observed += ", and no check command says more"
		return f, nil
	}
	output, err := run.Shell(r.check, readyWithin).Run(ctx)
	switch _, refused := refusal(err); {
	case refused && !output.Trouble():
		return refuse(fmt.Sprintf("the check command ended with %v", err), "mend what the check command complains about")
	case err != nil:
		return guard.Finding{}, fmt.Errorf("the check command: %w", err)
	}
	f.Observed += ", and the check command succeeds"
	f.Evidence = []guard.Evidence{output.Evidence("the check command")}
	return f, nil
}

// Restore runs both commands and compares what the second one prints. A command that says no is a flaw of the
// backup; one that could not be run, or that leaves nothing to compare, is an error.
func (r *Restorer) Restore(ctx context.Context, b guard.Backup, into string) (guard.Proof, error) {
	proof := guard.Proof{Backup: b, Rung: guard.RungListed}
	env := []string{"GOLIVE_BACKUP=" + b.ID, "GOLIVE_INTO=" + into}
	var output run.Output
	for _, step := range []struct{ name, script string }{{"run", r.run}, {"verify", r.verify}} {
		var err error
		output, err = run.Shell(step.script, r.timeout, env...).Run(ctx)
		switch _, refused := refusal(err); {
		case refused && !output.Trouble():
			proof.Flaw = fmt.Sprintf("the %s command ended with %v", step.name, err)
			return proof, nil
		case err != nil:
			return guard.Proof{}, fmt.Errorf("the %s command: %w", step.name, err)
		}
		proof.Evidence = append(proof.Evidence, output.Evidence("the "+step.name+" command"))
	}
	comparisons, err := parseComparisons(output.Answer)
	if err != nil {
		return guard.Proof{}, fmt.Errorf("the verify command printed nonsense: %w", err)
	}
	var differences []string
	for _, c := range comparisons {
		if !c.agree(r.within) {
			differences = append(differences, fmt.Sprintf("%s: %s in the original, %s restored", c.name, c.original, c.restored))
		}
	}
	if proof.Flaw = strings.Join(differences, "; "); proof.Flaw == "" {
		proof.Rung = guard.RungVerified
	}
	return proof, nil
}

// A comparison is a line of the verify command.
type comparison struct{ name, original, restored string }

// agree says that the values are the same, or numbers that are near enough to each other.
func (c comparison) agree(within guard.Share) bool {
	if c.original == c.restored {
		return true
	}
	original, err := strconv.ParseFloat(c.original, 64)
	restored, err2 := strconv.ParseFloat(c.restored, 64)
	return cmp.Or(err, err2) == nil && math.Abs(original-restored) <= float64(within)*math.Abs(original)
}

// parseComparisons wants three words a line: a query that fails inside of a line leaves two. Zeros alone are
// no comparison, for nothing agrees with nothing.
func parseComparisons(output []byte) ([]comparison, error) {
	var comparisons []comparison
	something := false
	for line := range strings.Lines(string(output)) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 3 {
			return nil, fmt.Errorf("%.200q is not a name, a value in the original, and a value in what was restored", strings.TrimSpace(line))
		}
		comparisons = append(comparisons, comparison{words[0], words[1], words[2]})
		something = something || words[1] != "0"
	}
	if !something {
		return nil, fmt.Errorf("%.200q leaves nothing to compare: print lines like orders 200000 200000", output)
	}
	return comparisons, nil
}
