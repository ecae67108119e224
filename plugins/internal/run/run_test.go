//go:build unix

package run

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		command Command
		answer  string
		err     string
	}{
		"answer":            {Command{Program: "sh", Args: []string{"-c", "echo noise >&2; echo yes"}}, "yes\n", ""},
		"environment":       {Command{Program: "sh", Args: []string{"-c", "echo $A"}, Env: []string{"A=b"}}, "b\n", ""},
		"directory":         {Command{Program: "pwd", Dir: "/"}, "/\n", ""},
		"no input":          {Command{Program: "cat"}, "", ""},
		"no":                {Shell("echo why >&2; exit 3", 0), "", "exit status 3: why"},
		"no such program":   {Command{Program: "no-such-program-here"}, "", "executable file not found"},
		"too slow":          {Shell("exec sleep 60", 50*time.Millisecond), "", "not done after 50ms"},
		"too much":          {Command{Program: "sh", Args: []string{"-c", "echo 12345"}, Limit: 5}, "", "it printed more than 5 bytes"},
		"secret":            {Command{Program: "sh", Args: []string{"-c", "echo with hunter2, twice hunter2; exit 1"}, Secrets: []string{"", "hunter2"}}, "", "exit status 1: with ***, twice ***"},
		"short secret":      {Command{Program: "sh", Args: []string{"-c", "echo true; exit 1"}, Secrets: []string{"t"}}, "", "exit status 1: true"},
		"password in a URL": {Shell("echo at rest:https://me:s@cret@host/x and s3://key@h/; exit 1", 0), "", "exit status 1: at rest:https://***@host/x and s3://***@h/"},
		"no password":       {Shell("echo at https://host/me@home; exit 1", 0), "", "exit status 1: at https://host/me@home"},
	} {
		t.Run(name, func(t *testing.T) {
			output, err := c.command.Run(t.Context())
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("Run: error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(output.Answer) != c.answer {
				t.Errorf("Run = %q, want %q", output.Answer, c.answer)
			}
		})
	}
}

// TestLeavesNothing has commands that end, well or not, before a child that holds none of their output.
func TestLeavesNothing(t *testing.T) {
	for name, end := range map[string]string{"well": "", "not well": "; exit 1"} {
		output, _ := Shell("sleep 300 >/dev/null 2>&1 & echo $!"+end, 0).Run(t.Context())
		pid, err := strconv.Atoi(strings.TrimSpace(string(output.Answer)))
		if err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(5 * time.Second)
		for alive(pid) {
			if time.Now().After(deadline) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				t.Fatalf("%s: the child %d is alive", name, pid)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// alive says that a process runs. One that has ended, and that nobody has waited for yet, does not.
func alive(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(string(state), "Z")
}

// TestCutSecret cuts the story in the middle of a secret.
func TestCutSecret(t *testing.T) {
	secret := strings.Repeat("s", 2000)
	for name, script := range map[string]string{
		"plain": "echo " + secret + "; head -c 4000 /dev/zero | tr '\\0' '\\n'; echo end; exit 1",
		"URL":   "echo https://" + secret + "@host; head -c 3000 /dev/zero | tr '\\0' '\\n'; echo end; exit 1",
	} {
		command := Shell(script, 0)
		command.Secrets = []string{secret}
		_, err := command.Run(t.Context())
		if err == nil || strings.Contains(err.Error(), "sss") || !strings.HasSuffix(err.Error(), "end") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestOutputOfRefusal(t *testing.T) {
	output, err := Shell("echo some; echo Permission denied >&2; exit 1", 0).Run(t.Context())
	var no *exec.ExitError
	if !errors.As(err, &no) || string(output.Answer) != "some\n" {
		t.Errorf("Run = %q, error %v, want the answer and an exit status", output.Answer, err)
	}
	if !output.Trouble() || !output.Says("other", "SOME") || output.Says("none") {
		t.Errorf("the output %q, story %q, is misread", output.Answer, output.Story)
	}
	const digest = "2922bee6973370915cc63ab5ab8b7a57e1cab909477d7a030b2e4661e7aa2202"
	if e := output.Evidence("sh"); e.Asked != "sh" || !strings.Contains(e.Answer, "some") || e.Digest != digest {
		t.Errorf("Evidence = %+v, want the digest of the answer alone", e)
	}
}
