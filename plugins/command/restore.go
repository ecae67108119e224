package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Restorer brings data back with one command, and compares it with another.
type Restorer struct {
	run, verify string
	within      guard.Share
	timeout     time.Duration
}

var _ guard.Restorer = (*Restorer)(nil)

// NewRestorer reads {run, verify, within, timeout}. The run command restores the backup that GOLIVE_BACKUP
// names into GOLIVE_INTO, an empty directory. The verify command prints what there is in the original and in
// what was restored, one thing a line: its name, its value in the one, its value in the other, like
//
//	orders 200000 200000
//
// The values are compared here: what a command thinks of its own success does not count for more than that
// there is something to compare. Numbers may differ by the share within, like 0.1%, for an original that has
// moved on since; unless it is given, they may not. Timeout bounds each command, an hour unless said otherwise.
func NewRestorer(with guard.With) (guard.Restorer, error) {
	config := struct {
		Run     string         `json:"run"`
		Verify  string         `json:"verify"`
		Within  guard.Share    `json:"within"`
		Timeout guard.Duration `json:"timeout"`
	}{Timeout: guard.Duration(time.Hour)}
	err := errors.Join(with.Decode(&config), need("run", config.Run), need("verify", config.Verify), positive(config.Timeout))
	if err != nil {
		return nil, err
	}
	return &Restorer{config.Run, config.Verify, config.Within, config.Timeout.Std()}, nil
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
