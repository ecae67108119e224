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
		{"golive-plugin-flags", "plugins[0]"},
		{"curl", "rollout.backend.with.inspect"},
		{"grep", "rollout.verify[0].with.run"},
		{"restic", "data[0].backups[0].with.list"},
		{"pg_restore", "data[0].restore.with.run"},
		{"psql", "data[0].restore.with.verify"},
		{"sendmail", "notify[0].with.run"},
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
