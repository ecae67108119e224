// Package command makes parts of shell commands: a backend, a probe, a vault and a restorer. Whatever can be scripted can
// be guarded, with nothing to build.
//
// A command is run by sh -c. It learns of the release through GOLIVE_RELEASE, GOLIVE_SERVICE,
// GOLIVE_ENVIRONMENT, GOLIVE_FROM and GOLIVE_TO, of its order through GOLIVE_FENCE, GOLIVE_SEQ and GOLIVE_KEY,
// and of the share to give to the new version through GOLIVE_PERCENT.
package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Backend moves traffic with three commands.
type Backend struct {
	inspect, shift, finish string
	timeout                time.Duration
}

var (
	_ guard.Backend = (*Backend)(nil)
	_ guard.Fencer  = (*Backend)(nil)
)

// NewBackend reads {inspect, shift, finish, timeout}. The inspect command prints a standing as JSON, like
// {"percent":10,"undo":{"open":true}}; without a finish command there is nothing to finish.
func NewBackend(with guard.With) (guard.Backend, error) {
	config := struct {
		Inspect string         `json:"inspect"`
		Shift   string         `json:"shift"`
		Finish  string         `json:"finish"`
		Timeout guard.Duration `json:"timeout"`
	}{Timeout: guard.Duration(time.Minute)}
	err := errors.Join(with.Decode(&config),
		need("inspect", config.Inspect), need("shift", config.Shift), positive(config.Timeout))
	if err != nil {
		return nil, err
	}
	return &Backend{config.Inspect, config.Shift, config.Finish, config.Timeout.Std()}, nil
}

// Inspect runs the inspect command, and believes nothing that is not a standing.
func (b *Backend) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	output, err := run.Shell(b.inspect, b.timeout, releaseEnv(r)...).Run(ctx)
	if err != nil {
		return guard.Standing{}, fmt.Errorf("the inspect command: %w", err)
	}
	standing, err := guard.ParseStanding(output.Answer)
	if err != nil {
		return guard.Standing{}, fmt.Errorf("the inspect command printed nonsense: %w", err)
	}
	return standing, nil
}

// Fences is advisory where the shift command itself names GOLIVE_FENCE and GOLIVE_SEQ, to refuse a pair that is too low;
// else it is none. A program that the command starts finds both in its environment, too, and nobody can see from here
// whether it looks.
func (b *Backend) Fences() guard.Fence {
	if strings.Contains(b.shift, "GOLIVE_FENCE") && strings.Contains(b.shift, "GOLIVE_SEQ") {
		return guard.FenceAdvisory
	}
	return guard.FenceNone
}

// Shift runs the shift command.
func (b *Backend) Shift(ctx context.Context, o guard.Order, percent int) error {
	env := append(orderEnv(o), "GOLIVE_PERCENT="+strconv.Itoa(percent))
	if err := b.move(ctx, b.shift, env); err != nil {
		return fmt.Errorf("the shift command: %w", err)
	}
	return nil
}

// move runs a script that may start the server of a version, and leave it running.
func (b *Backend) move(ctx context.Context, script string, env []string) error {
	command := run.Shell(script, b.timeout, env...)
	command.Daemons = true
	_, err := command.Run(ctx)
	return err
}

// Finish runs the finish command, if there is one.
func (b *Backend) Finish(ctx context.Context, o guard.Order) error {
	if b.finish == "" {
		return nil
	}
	if err := b.move(ctx, b.finish, orderEnv(o)); err != nil {
		return fmt.Errorf("the finish command: %w", err)
	}
	return nil
}

// Probe asks its question with a command: exit status 0 is yes.
type Probe struct {
	run      string
	contains guard.Template
	timeout  time.Duration
}

var _ guard.Probe = (*Probe)(nil)

// NewProbe reads {run, contains, timeout}. The command passes if its exit status is 0 and, where contains is
// given, if it prints that text; contains may hold {{.From}}, {{.To}} and the other words of a release.
func NewProbe(with guard.With) (guard.Probe, error) {
	config := struct {
		Run      string         `json:"run"`
		Contains guard.Template `json:"contains"`
		Timeout  guard.Duration `json:"timeout"`
	}{Timeout: guard.Duration(30 * time.Second)}
	err := errors.Join(with.Decode(&config), need("run", config.Run), positive(config.Timeout))
	if _, mistake := guard.Fill(config.Contains, guard.Release{}.Words()); mistake != nil {
		err = errors.Join(err, fmt.Errorf("contains: %w", mistake))
	}
	if err != nil {
		return nil, err
	}
	return &Probe{config.Run, config.Contains, config.Timeout.Std()}, nil
}

// Exit statuses with which a shell says that it could not run the command at all.
const (
	notExecutable = 126
	notFound      = 127
)

// refusal tells a command that ran and said no from one that could not be run.
func refusal(err error) (status int, refused bool) {
	var no *exec.ExitError
	if !errors.As(err, &no) || no.ExitCode() <= 0 || no.ExitCode() == notExecutable || no.ExitCode() == notFound {
		return 0, false
	}
	return no.ExitCode(), true
}

// Probe runs the command. A command that says no is a finding; one that could not be run is an error.
func (p *Probe) Probe(ctx context.Context, r guard.Release) (guard.Finding, error) {
	finding := guard.Finding{Title: "the command succeeds", Expected: "exit status 0"}
	contains, err := guard.Fill(p.contains, r.Words())
	switch {
	case err != nil:
		return guard.Finding{}, fmt.Errorf("contains: %w", err)
	case contains == "" && p.contains != "":
		return guard.Finding{}, fmt.Errorf("contains: %s is empty in this release, and every output would contain it", p.contains)
	case contains != "":
		finding.Title = fmt.Sprintf("the command prints %q", contains)
		finding.Expected = finding.Title
	}

	output, err := run.Shell(p.run, p.timeout, releaseEnv(r)...).Run(ctx)
	switch status, refused := refusal(err); {
	case refused:
		finding.Verdict = guard.Fail
		finding.Observed = fmt.Sprintf("exit status %d", status)
		finding.Reason = "the command ended with " + err.Error()
	case err != nil:
		return guard.Finding{}, fmt.Errorf("the command: %w", err)
	case !bytes.Contains(output.Answer, []byte(contains)):
		finding.Verdict = guard.Fail
		finding.Observed = run.Ending(output.Answer)
		finding.Reason = fmt.Sprintf("the command does not print %q", contains)
	default:
		finding.Verdict = guard.Pass
		finding.Observed = run.Ending(output.Answer)
	}
	finding.Evidence = []guard.Evidence{{Asked: "command", Answer: finding.Observed}}
	return finding, nil
}

// Vault lists backups with a command.
type Vault struct {
	list    string
	timeout time.Duration
}

var _ guard.Vault = (*Vault)(nil)

// NewVault reads {list, timeout}. The list command prints either a JSON array of backups, like
// [{"id":"a","ended":"2026-11-24T03:00:00Z","bytes":5}], or one backup a line: when it ended, and its name.
func NewVault(with guard.With) (guard.Vault, error) {
	config := struct {
		List    string         `json:"list"`
		Timeout guard.Duration `json:"timeout"`
	}{Timeout: guard.Duration(time.Minute)}
	err := errors.Join(with.Decode(&config), need("list", config.List), positive(config.Timeout))
	if err != nil {
		return nil, err
	}
	return &Vault{config.List, config.Timeout.Std()}, nil
}

// Backups runs the list command. Printing nothing says that there are no backups.
func (v *Vault) Backups(ctx context.Context) ([]guard.Backup, error) {
	output, err := run.Shell(v.list, v.timeout).Run(ctx)
	if err != nil {
		return nil, fmt.Errorf("the list command: %w", err)
	}
	backups, err := parseBackups(output.Answer)
	if err != nil {
		return nil, fmt.Errorf("the list command printed nonsense: %w", err)
	}
	return backups, nil
}

func parseBackups(output []byte) ([]guard.Backup, error) {
	var backups []guard.Backup
	if bytes.HasPrefix(bytes.TrimSpace(output), []byte("[")) {
		decoder := json.NewDecoder(bytes.NewReader(output))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&backups); err != nil {
			return nil, fmt.Errorf(`%.200q is not a list of backups like [{"id":"a","ended":"2026-11-24T03:00:00Z"}]: %w`, output, err)
		}
		for _, b := range backups {
			if b.Ended.IsZero() {
				return nil, fmt.Errorf("backup %q has not ended: leave out what is not complete", b.ID)
			}
		}
		return backups, nil
	}
	for line := range strings.Lines(string(output)) {
		stamp, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if stamp == "" {
			continue
		}
		ended, err := time.Parse(time.RFC3339, stamp)
		if err != nil {
			return nil, fmt.Errorf("%.200q does not begin with a time like 2026-11-24T03:00:00Z", line)
		}
		if name = strings.TrimSpace(name); name == "" {
			name = stamp
		}
		backups = append(backups, guard.Backup{ID: name, Ended: ended})
	}
	return backups, nil
}

func releaseEnv(r guard.Release) []string {
	return []string{
		"GOLIVE_RELEASE=" + r.ID,
		"GOLIVE_SERVICE=" + r.Service,
		"GOLIVE_ENVIRONMENT=" + r.Environment,
		"GOLIVE_FROM=" + r.From,
		"GOLIVE_TO=" + r.To,
	}
}

func orderEnv(o guard.Order) []string {
	return append(releaseEnv(o.Release),
		"GOLIVE_FENCE="+strconv.FormatInt(o.Fence, 10),
		"GOLIVE_SEQ="+strconv.FormatInt(o.Seq, 10),
		"GOLIVE_KEY="+o.Key,
	)
}

func need(key, value string) error {
	if strings.TrimSpace(value) == "" {
		return fmt.Errorf("%s: missing (a shell command)", key)
	}
	return nil
}

func positive(timeout guard.Duration) error {
	if timeout <= 0 {
		return errors.New("timeout: must be longer than nothing")
	}
	return nil
}
