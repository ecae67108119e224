package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

func TestClockFinding(t *testing.T) {
	for at, want := range map[string]guard.Verdict{"2027-01-01": guard.Pass, "1970-01-01": guard.Fail} {
		now, err := time.Parse(time.DateOnly, at)
		if err != nil {
			t.Fatal(err)
		}
		if f := clockFinding(now); f.Verdict != want {
			t.Errorf("%s: %s, want %s", at, f.Verdict, want)
		}
	}
}

// What doctor tries it leaves as it was, and what cannot be written to is found out.
func TestDoctorTriesDirectories(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("root can write everywhere: only a directory that is not there is tried")
	}
	dir := t.TempDir()
	if f := tempFinding(filepath.Join(dir, "none")); f.Verdict != guard.Fail || f.Remedy == "" {
		t.Errorf("a directory that is not there: %+v", f)
	}
	for _, f := range journalFindings(t.Context(), filepath.Join(dir, "a", "b")) {
		if f.Verdict != guard.Pass && f.Verdict != guard.Warn {
			t.Errorf("%s: %s %s", f.Title, f.Verdict, f.Reason)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v, error %v", left, err)
	}
	if os.Geteuid() != 0 {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		if f := journalFindings(t.Context(), dir)[0]; f.Verdict != guard.Fail {
			t.Errorf("a directory that cannot be written to: %+v", f)
		}
	}
}

// TestDoctorNamesPrograms has a machine on which nothing is installed, so that all that a backend needs is missing.
func TestDoctorNamesPrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for backend, want := range map[string][]string{
		"use: nginx, with: {file: a.conf}":                                    {"nginx"},
		"use: nginx, with: {nginx: /opt/nginx/sbin/nginx}":                    {"/opt/nginx/sbin/nginx"},
		"use: nginx, with: {nginx: '${NGINX}'}":                               nil,
		"use: releases, with: {root: /srv/shop}":                              {"sh"},
		"use: releases, with: {hosts: [{name: a, ssh: a}]}":                   {"ssh"},
		"use: releases, with: {hosts: [{name: a}, {name: b, ssh: deploy@b}]}": {"sh", "ssh"},
		"use: command, with: {inspect: 'echo 0'}":                             {"sh"},
		"use: flagd": nil,
	} {
		text := "service: shop\nrollout:\n  backend: {" + backend + "}\n  steps: [100]\n" +
			"watch:\n  source: {use: scrape}\n  signals: [{name: errors, total: a, bad: b}]\n" +
			"data: [{name: orders, backups: [{use: velero}]}]\n"
		plan, err := guard.ParsePlan("golive.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range programFindings(t.Context(), plan) {
			if name, of := strings.CutPrefix(f.ID, "program."); of && f.Verdict == guard.Fail {
				got = append(got, name)
			}
		}
		if want = append(want, "kubectl"); !slices.Equal(got, want) {
			t.Errorf("{%s} and backups of velero: missing are %q, want %q", backend, got, want)
		}
	}
}

// A plan that has somebody answer for an incident, and tells nobody, is told so; one that has nobody answer is not.
func TestChannelFindings(t *testing.T) {
	const levels = "\nseverity: [{level: 1, when: \"true\"}]\n"
	for _, tc := range []struct {
		name, chapters string
		want           []guard.Verdict
	}{
		{"nobody answers", "", nil},
		{"nobody is told", levels, []guard.Verdict{guard.Warn}},
		{"whoever looks at the terminal is told", levels + "notify: [{use: stdout}]", []guard.Verdict{guard.Warn}},
		{"a chat is told", levels + "notify: [{use: stdout}, {use: http, with: {url: 'https://chat.test'}}]", []guard.Verdict{guard.Pass}},
	} {
		plan, err := guard.ParsePlan("golive.yaml", []byte("service: shop\nrollout: {backend: {use: http}, steps: [10, 100]}\n"+
			"watch: {source: {use: scrape}, signals: [{name: errors, total: a, bad: b}]}\n"+tc.chapters))
		if err != nil {
			t.Fatal(err)
		}
		var got []guard.Verdict
		for _, f := range channelFindings(plan) {
			got = append(got, f.Verdict)
			if f.Verdict == guard.Warn && (f.Reason == "" || f.Remedy == "") {
				t.Errorf("%s: %+v has to say why, and how to mend it", tc.name, f)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
