package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/report"
)

// What a step is told of an answer. Only stepGo lets a launch go on.
const (
	stepGo             = "go"
	stepNoGo           = "no-go"
	stepUndecidable    = "undecidable"
	stepRolledBack     = "rolled-back"
	stepRollbackFailed = "rollback-failed" // or left as it is: not certain where the traffic is
	stepHandedOver     = "handed-over"     // a server guards, and has not decided yet
)

// stepOutputs are the names of all outputs. A call that writes one writes all of them, so that none is left from something else.
var stepOutputs = []string{"verdict", "exit-code", "failed-checks", "report-path", "sarif-path", "run-id", "under-way", "incident-id", "page"}

// A step is what a call hands on where it is a step of GitHub Actions: outputs for what comes after it, a summary, and annotations. A
// call that is none has nil, whose methods do nothing. The files belong to the runner, which makes them anew for each step.
type step struct {
	outputs, summaries string // files; "": the runner has none
	within             string // the working directory, as seen from the top of the repository

	mu       sync.Mutex // a command that was left behind may still be speaking
	said     map[string]string
	summary  bytes.Buffer
	commands bytes.Buffer
}

// stepOf is the step that this call is; nil: none.
func stepOf(env envconfig.Lookuper) *step {
	get := func(name string) string {
		value, _ := env.Lookup(name)
		return value
	}
	if get("GITHUB_ACTIONS") != "true" {
		return nil
	}
	s := &step{outputs: get("GITHUB_OUTPUT"), summaries: get("GITHUB_STEP_SUMMARY"), said: map[string]string{}}
	if here, err := os.Getwd(); err == nil {
		if within, err := filepath.Rel(get("GITHUB_WORKSPACE"), here); err == nil && filepath.IsLocal(within) && within != "." {
			s.within = filepath.ToSlash(within)
		}
	}
	return s
}

// inside is where files are named from; "": from the working directory.
func (s *step) inside() string {
	if s == nil {
		return ""
	}
	return s.within
}

// set remembers an output. An empty value says nothing.
func (s *step) set(name, value string) {
	if s == nil || value == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said[name] = value
}

func (s *step) get(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said[name]
}

// began is called once a rollout has a journal. What is known of it is written at once, and as undecided: a runner kills what does
// not end soon enough, and the steps after it have to find the rollout.
func (s *step) began(id string) error {
	if s == nil {
		return nil
	}
	s.set("run-id", id)
	s.set("under-way", "true")
	s.set("verdict", stepUndecidable)
	return s.write()
}

// handed is called once a server has a rollout that this call does not follow.
func (s *step) handed(id, page string) {
	s.set("run-id", id)
	s.set("page", page)
	s.set("verdict", stepHandedOver)
}

// wrote is called for each file that an answer was written to. The steps after this one may run in another directory.
func (s *step) wrote(form, file string) {
	if whole, err := filepath.Abs(file); err == nil {
		file = whole
	}
	switch {
	case s == nil:
	case form == "sarif":
		s.set("sarif-path", file)
	case s.get("report-path") == "":
		s.set("report-path", file)
	}
}

// checked takes the answer of golive check. Loud: it is to be said as annotations, and stdout does not do so already.
func (s *step) checked(a report.Assessment, loud bool) error {
	if s == nil {
		return nil
	}
	verdict := stepUndecidable
	switch {
	case a.ExitCode == exitDeadline, a.ExitCode == exitInternal:
	case a.Verdict == guard.Fail, a.ExitCode == exitWarnings:
		verdict = stepNoGo
	case a.Verdict == guard.Pass, a.Verdict == guard.Warn:
		verdict = stepGo
	}
	s.set("verdict", verdict)
	s.set("failed-checks", failedChecks(a.Findings))
	s.mu.Lock()
	defer s.mu.Unlock()
	err := report.WriteSummary(&s.summary, a)
	if loud {
		err = errors.Join(err, report.Write(&s.commands, "github", a))
	}
	return err
}

// failedChecks are the codes of what keeps the gate shut, each once, as the checks were asked.
func failedChecks(findings []guard.Finding) string {
	var codes []string
	for _, f := range findings {
		code := cmp.Or(f.Code, f.ID)
		if v := f.Counts(); v != guard.Pass && v != guard.Warn && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	return strings.Join(codes, ",")
}

// ended takes how a rollout ended, or what stands if somebody left it.
func (s *step) ended(h *history, state guard.State, code int) error {
	if s == nil {
		return nil
	}
	verdict := stepUndecidable
	switch {
	case code == exitRollbackFailed:
		verdict = stepRollbackFailed
	case state.Outcome == guard.RolledBack, state.Outcome == guard.Recovered:
		verdict = stepRolledBack
	case state.Purpose == guard.ToRollback:
	case state.Outcome == guard.Live && code == exitOK:
		verdict = stepGo
	case state.Outcome == guard.NoGo, state.Outcome == guard.Stopped, state.Outcome == guard.WouldRollBack:
		verdict = stepNoGo
	}
	s.set("verdict", verdict)
	s.set("run-id", h.ID())
	s.set("under-way", strconv.FormatBool(state.Phase != guard.Over)) // a version that has earned its traffic is undecidable, too
	s.set("page", h.Page)
	if !state.Incident.Began.IsZero() {
		s.set("incident-id", h.ID())
	}
	if state.Outcome == guard.NoGo || state.Outcome == guard.Unknowable {
		s.set("failed-checks", failedChecks(state.Findings))
	}
	e := report.Ending{Plan: h.Plan, State: state, Events: h.Events, Verdict: verdict, Within: s.within, Page: h.Page}
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(e.WriteSummary(&s.summary), e.WriteGitHub(&s.commands))
}

// end writes what the call has said, now that its exit code is known, and returns the commands to the runner. Nothing but an
// answer of golive, and exit code 0, is a go.
func (s *step) end(code int) (commands []byte, err error) {
	verdict := s.get("verdict")
	if verdict == "" && code == exitOK {
		return nil, nil // what was looked up decides nothing, and is not to stand in the place of what did
	}
	switch {
	case verdict == stepGo && code != exitOK:
		verdict = stepUndecidable
	case verdict != "":
	case code == exitNoGo, code == exitWarnings:
		verdict = stepNoGo
	case code == exitRolledBack:
		verdict = stepRolledBack
	case code == exitRollbackFailed:
		verdict = stepRollbackFailed
	default:
		verdict = stepUndecidable
	}
	s.set("verdict", verdict)
	s.set("exit-code", fmt.Sprint(code))
	err = errors.Join(s.write(), s.summarize())
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.commands.Bytes()), err
}

// write adds the outputs to the file of the runner, in which the last value of a name counts.
func (s *step) write() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text strings.Builder
	for _, name := range stepOutputs {
		text.WriteString(report.GitHubOutput(name, guard.Printable(s.said[name]), rand.Text))
	}
	if err := appendTo(s.outputs, text.String()); err != nil {
		return fmt.Errorf("hand on the outputs of this step (GITHUB_OUTPUT): %w", err)
	}
	return nil
}

// largestSummary is the most that the runner takes, in bytes; of a larger one it shows nothing.
const largestSummary = 1 << 20

func (s *step) summarize() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.summary.Len() == 0 || s.summaries == "" {
		return nil
	}
	var there int64
	if info, err := os.Stat(s.summaries); err == nil {
		there = info.Size()
	}
	err := fmt.Errorf("%d bytes are there, %d more would be more than %d, of which GitHub shows nothing", there, s.summary.Len(), largestSummary)
	if there+int64(s.summary.Len())+1 <= largestSummary {
		err = appendTo(s.summaries, s.summary.String()+"\n")
	}
	if err != nil {
		return fmt.Errorf("write the summary of this step (GITHUB_STEP_SUMMARY): %w", err)
	}
	return nil
}

func appendTo(file, text string) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

func (p *program) stepCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "step",
		Short: "Run another command as a step of GitHub Actions",
		Long: `step is what the action of golive runs (.github/actions/golive). It takes the command from the environment, where no
shell reads it: GOLIVE_COMMAND is the command, such as check or drill restore, and GOLIVE_ARGS its arguments, one on each line, as
they are. It writes the papers of the answer into GOLIVE_REPORT_DIR, or into a directory of its own below RUNNER_TEMP.

Every command that decides something says more where GITHUB_ACTIONS is true, also without this one: the outputs verdict, exit-code, failed-checks,
report-path, sarif-path, run-id, under-way, incident-id and page (GITHUB_OUTPUT), a summary of the step (GITHUB_STEP_SUMMARY), and
annotations at the lines of the plan. There a second signal is no insisting: the runner sends one 7.5 seconds after the first, and what takes
the traffic back goes on until it is done or killed.

The verdict is go, no-go, undecidable, rolled-back, rollback-failed or handed-over. The exit code is that of the command.`,
		Example: `  GOLIVE_COMMAND=check GOLIVE_FROM=v1 GOLIVE_TO=v2 golive step`,
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return p.runStep(c.Context()) },
	}
}

func (p *program) runStep(ctx context.Context) error {
	words := strings.Fields(p.settings.Command)
	if len(words) == 0 || words[0] == "step" || words[0] == "serve" {
		return fail(exitUsage, "GOLIVE_COMMAND is %q: name the command that the step is to run, such as check or rollout", p.settings.Command)
	}
	dir, err := p.reportDir()
	if err != nil {
		return fail(exitUsage, "GOLIVE_REPORT_DIR: %w", err)
	}
	args, err := lines(p.settings.Args)
	if err != nil {
		return err
	}
	if words[0] == "check" {
		words = append(words, "-o", "markdown="+filepath.Join(dir, "golive.md"), "-o", "sarif="+filepath.Join(dir, "golive.sarif"), "-o", "json="+filepath.Join(dir, "golive.json"))
	}
	err = p.command(ctx, append(words, args...))
	if slices.Contains([]string{"rollout", "watch", "rollback", "respond"}, words[0]) && ctx.Err() == nil {
		p.reportStep(ctx, dir)
	}
	return err
}

// reportStep writes the report on the rollout of this step. It is beside the point of the step, and fails nothing.
func (p *program) reportStep(ctx context.Context, dir string) {
	if p.step == nil || p.step.get("run-id") == "" || p.step.get("verdict") == stepHandedOver {
		return
	}
	html, text := filepath.Join(dir, "golive.html"), filepath.Join(dir, "golive.json")
	if err := p.command(ctx, []string{"report", p.step.get("run-id"), "-o", "html=" + html, "-o", "json=" + text}); err != nil {
		fmt.Fprintf(p.err, "golive: there is no report: %v\n", err)
	}
}

// lines are arguments, one on each line.
func lines(text string) (args []string, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		flag, _, _ := strings.Cut(line, "=")
		switch {
		case line == "":
		case strings.HasPrefix(line, "-") && strings.ContainsAny(flag, " \t"):
			return nil, fail(exitUsage, "args: %q is one argument, since it stands on one line: write --flag=VALUE, and each on a line of its own, without quotes", line)
		default:
			args = append(args, line)
		}
	}
	return args, nil
}

// reportDir is where the papers of a step go.
func (p *program) reportDir() (string, error) {
	if dir := p.settings.ReportDir; dir != "" {
		return dir, os.MkdirAll(dir, 0o700)
	}
	return os.MkdirTemp(p.lookup("RUNNER_TEMP"), "golive-")
}
