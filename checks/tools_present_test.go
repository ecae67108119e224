package checks

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/checks/checktest"
	"github.com/golive-dev/golive/guard"
)

func TestToolsPresent(t *testing.T) {
	const plugin = "\nplugins: [{name: flags}]"
	silent := scene(t, plugin, guard.Answer{})
	silent.Ask = func(context.Context, guard.Question) (guard.Answer, error) {
		return guard.Answer{}, errors.New("permission denied")
	}
	const install = "install golive-plugin-flags on this machine, or add its directory to PATH"
	checktest.Run(t, toolsPresent, []checktest.Case{
		{Name: "there", Scene: scene(t, plugin, guard.Answer{Path: "/opt/golive-plugin-flags"}), Want: []guard.Finding{{
			Subject: "golive-plugin-flags", Verdict: guard.Pass, Title: "golive-plugin-flags is installed", Observed: "/opt/golive-plugin-flags",
		}}},
		{Name: "not there", Scene: scene(t, plugin, guard.Answer{}), Want: []guard.Finding{{
			Verdict: guard.Fail, Reason: "plugins[0] needs it", Remedy: install, Observed: "no such program",
		}}},
		{Name: "cannot be said", Scene: silent, Want: []guard.Finding{{
			Verdict: guard.Unknown, Reason: "plugins[0] needs it: permission denied", Remedy: install,
		}}},
		{Name: "none", Scene: scene(t, "", guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "it needs none"}}},
	})
}

// What a program is asked for is its version, and what it prints is compared number by number.
func TestToolVersions(t *testing.T) {
	const wanted = "\ntools: [{name: restic, at_least: 0.14.2, print: restic version}]"
	says := func(prints string) guard.Answer {
		return guard.Answer{Path: "/usr/bin/restic", Finding: guard.Finding{Verdict: guard.Pass, Title: "the command succeeds", Observed: prints}}
	}
	refuses := guard.Answer{Path: "/usr/bin/restic", Finding: guard.Finding{Verdict: guard.Fail, Title: "the command succeeds", Reason: "exit status 1"}}
	const mend = "write the command that prints it under print in tools[0]"
	checktest.Run(t, toolsPresent, []checktest.Case{
		{Name: "that very one", Scene: scene(t, wanted, says("restic 0.14.2 compiled with go1.19.8")), Want: []guard.Finding{{
			Subject: "restic", Verdict: guard.Pass, Title: "restic is new enough", Expected: "version 0.14.2 at least", Observed: "version 0.14.2",
		}}},
		{Name: "newer", Scene: scene(t, wanted, says("0.100")), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "version 0.100"}}},
		{Name: "older", Scene: scene(t, wanted, says("restic 0.14.1")), Want: []guard.Finding{{
			Verdict: guard.Fail, Observed: "version 0.14.1", Reason: "the plan needs a newer one", Remedy: "install a newer restic, or lower at_least in tools[0]",
		}}},
		{Name: "no version", Scene: scene(t, wanted, says("help")), Want: []guard.Finding{{Verdict: guard.Unknown, Reason: `restic version prints no version: "help"`, Remedy: mend}}},
		{Name: "refuses", Scene: scene(t, wanted, refuses), Want: []guard.Finding{{
			Verdict: guard.Unknown, Reason: "restic version does not say its version: exit status 1", Remedy: mend,
		}}},
		{Name: "not there", Scene: scene(t, wanted, guard.Answer{}), Want: []guard.Finding{{Verdict: guard.Fail, Reason: "tools[0] needs it"}}},
		{Name: "any version", Scene: scene(t, "\ntools: [restic]", guard.Answer{Path: "/usr/bin/restic"}), Want: []guard.Finding{{Verdict: guard.Pass, Observed: "/usr/bin/restic"}}},
	})
	for _, c := range []struct {
		a, b  string
		older bool
	}{{"1.2", "1.2.0", false}, {"1.2", "1.2.1", true}, {"1.10", "1.9", false}, {"2.0", "10.0", true}, {"1.2.3", "1.2", false}} {
		if got := older(c.a, c.b); got != c.older {
			t.Errorf("older(%s, %s) = %t", c.a, c.b, got)
		}
	}
}

func TestToolsOf(t *testing.T) {
	plan := parse(t, `
plugins: [{name: flags}]
rollout:
  backend: {use: command, with: {inspect: curl -s x, shift: "curl -X PUT x", finish: ./finish.sh, timeout: 1m}}
  steps: [100]
  verify: [{use: command, with: {run: "grep -q v1 /version", contains: "grep v1"}}, {use: http, with: {run: wget}}]
data:
  - name: orders
    backups: [{use: command, with: {list: restic snapshots}}]
    restore: {use: command, with: {run: pg_restore x, verify: psql -c x}}
notify: [{use: command, with: {run: sendmail ops}}]
`)
	want := []tool{
		{name: "golive-plugin-flags", path: "plugins[0]"},
		{name: "curl", path: "rollout.backend.with.inspect"},
		{name: "grep", path: "rollout.verify[0].with.run"},
		{name: "restic", path: "data[0].backups[0].with.list"},
		{name: "pg_restore", path: "data[0].restore.with.run"},
		{name: "psql", path: "data[0].restore.with.verify"},
		{name: "sendmail", path: "notify[0].with.run"},
	}
	if diff := cmp.Diff(want, toolsOf(plan), cmp.AllowUnexported(tool{})); diff != "" {
		t.Errorf("tools (-want +got):\n%s", diff)
	}
}

func TestProgram(t *testing.T) {
	for command, want := range map[string]string{
		"":                       "",
		"curl -s x":              "curl",
		"  python3.13 x.py":      "python3.13",
		"g++ x":                  "g++",
		"./rollback.sh":          "",
		"/usr/bin/curl x":        "",
		"$TOOL x":                "",
		"${TOOL} x":              "",
		"A=b curl x":             "",
		"if true; then x; fi":    "",
		"echo done":              "",
		"# first\ncurl x":        "",
		"'my tool' x":            "",
		"(cd /srv && ./back.sh)": "",
		"! grep x":               "",
		"curl;":                  "",
	} {
		if got := program(command); got != want {
			t.Errorf("program(%q) = %q, want %q", command, got, want)
		}
	}
}
