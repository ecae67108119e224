package releases

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// script is what a host is told to do. It takes its values as arguments, and is never put together from them.
//
//go:embed host.sh
var script string

// A host is one place where releases lie and one of them runs.
type host struct {
	name          string
	ssh           string // where ssh finds it; empty: this machine
	root, service string // as the host sees them
	health        string // an address, or nothing
	weight        int
}

// A state is what is so on a host.
type state struct {
	link  string            // the release that current points to; a path, if it points elsewhere; empty if nowhere
	pid   string            // of what the supervisor runs; 0 if nothing runs
	start string            // tells it from a later process of the same number
	runs  string            // the release that it is of; empty if that is none, or cannot be seen
	gone  bool              // its program was deleted from under it
	saw   string            // its program and its directory
	lacks map[string]string // by release, of those that were asked about: what it lacks
	bars  []string          // what bars the way back

	restarted bool // by the switch that found this
}

// on says that a host has come to rest on a release: current points to it, and it runs.
func (s state) on(release string) bool {
	return s.link == release && s.runs == release && !s.gone
}

// touches says that a host has to do with a release: it runs, or will after the next restart.
func (s state) touches(release string) bool {
	return s.link == release || s.runs == release
}

// strange says what is not as golive can have left it: then nobody knows what the share means.
func (s state) strange(r guard.Release) error {
	if s.pid != "0" && s.runs == "" {
		return fmt.Errorf("it runs a process of which nobody can tell the release: its program and directory are %q (let it be started in current, or let golive see it, with sudo: true)", s.saw)
	}
	if r.First() {
		return nil
	}
	for _, version := range []string{s.link, s.runs} {
		if version != "" && version != r.From && version != r.To {
			return fmt.Errorf("it has to do with %s, which is neither %s nor %s: somebody else put it there, and the next shift puts it right", version, r.From, r.To)
		}
	}
	return nil
}

// String says where a host stands.
func (s state) String() string {
	running := "runs " + s.runs
	switch {
	case s.pid == "0":
		running = "runs nothing"
	case s.runs == "":
		running = fmt.Sprintf("runs a process (%s) of no release", s.pid)
	case s.gone:
		running += ", whose program was deleted"
	}
	switch {
	case s.link == "":
		return running + ", current is not there"
	case s.link != s.runs || s.pid == "0":
		return running + ", current points to " + s.link
	}
	return running
}

// ask has the script do something on a host. Its errors do not name the host.
func (b *Backend) ask(ctx context.Context, h host, verb string, args ...string) (state, error) {
	sudo := ""
	if b.sudo {
		sudo = "sudo -n"
	}
	args = append([]string{
		"golive", h.root, b.run, strings.Join(b.files, "\n"), b.supervisor, h.service, b.config, sudo, b.restart, b.pid, verb,
	}, args...)
	command := run.Command{Program: "sh", Args: append([]string{"-c", script}, args...), Daemons: true}
	if h.ssh != "" {
		// Whoever ends ssh does not end what it started.
		seconds := strconv.FormatFloat(math.Ceil(b.timeout.Seconds()), 'f', 0, 64)
		command = b.remote(h.ssh, append([]string{"timeout", seconds, "sh", "-c", script}, args...))
	}
	output, err := command.Run(ctx)
	if err != nil {
		return state{}, blame(err, h, output)
	}
	return parse(string(output.Answer))
}

// remote is a command on another machine. The system's own ssh runs it, so that its configuration, jump hosts, agents
// and tokens are those that people use by hand; but it never asks anybody, never trusts a key that it does not know, and
// leaves no shared connection behind, though it uses one that is there.
func (b *Backend) remote(destination string, words []string) run.Command {
	args := []string{
		"-T", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oRemoteCommand=none", "-oControlMaster=no",
		"-oConnectTimeout=10", "-oServerAliveInterval=5", "-oServerAliveCountMax=2",
	}
	if b.sshConfig != "" {
		args = append(args, "-F", b.sshConfig)
	}
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return run.Command{Program: "ssh", Args: append(args, "--", destination, strings.Join(quoted, " ")), Daemons: true}
}

// quote makes one word of any text for a POSIX shell, which takes nothing in it for a command.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// unreachable is the exit status of ssh itself.
const unreachable = 255

// blame says in few words why a host did not do as it was told.
func blame(err error, h host, output run.Output) error {
	var no *exec.ExitError
	if !errors.As(err, &no) {
		return err
	}
	var said []string
	for line := range strings.Lines(output.Story) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, mark) {
			said = append(said, line)
		}
	}
	story := strings.Join(said, "; ")
	switch {
	case h.ssh != "" && no.ExitCode() == unreachable:
		return fmt.Errorf("ssh %s: %s", h.ssh, story)
	case story == "":
		return err
	}
	return errors.New(story)
}

// mark begins what the script answers. Whatever else a login prints is no answer.
const mark = "@"

// parse reads an answer of the script, which has to be whole.
func parse(answer string) (s state, err error) {
	s.lacks = map[string]string{}
	begun, ended := false, false
	for line := range strings.Lines(answer) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch {
		case key == "@begin":
			begun = true
		case !begun || !strings.HasPrefix(key, mark):
		case key == "@link":
			s.link = value
		case key == "@pid":
			s.pid = value
		case key == "@start":
			s.start = value
		case key == "@runs":
			s.runs = value
		case key == "@deleted":
			s.gone = value != ""
		case key == "@saw":
			s.saw = value
		case key == "@lacks":
			release, what, _ := strings.Cut(value, " ")
			s.lacks[release] = what
		case key == "@bar":
			s.bars = append(s.bars, value)
		case key == "@restarted":
			s.restarted = true
		case key == "@end":
			ended = true
		}
	}
	if !ended {
		return state{}, fmt.Errorf("the answer is not whole: %.200q", answer)
	}
	return s, nil
}

// word says whether a version can be the name of a directory, and stand in an answer of the script.
func word(version string) error {
	if version == "" || strings.ContainsAny(version[:1], ".-") || strings.ContainsFunc(version, func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f }) {
		return fmt.Errorf("the version %q cannot be the name of a directory of releases (it is one word, without / and not beginning with . or -)", version)
	}
	return nil
}

// versions checks the versions of a release.
func versions(r guard.Release) error {
	if r.First() {
		return word(r.To)
	}
	if r.From == r.To {
		return fmt.Errorf("the release goes from %s to itself", r.To)
	}
	return errors.Join(word(r.From), word(r.To))
}
