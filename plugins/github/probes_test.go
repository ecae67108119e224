package github

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

func TestAlerts(t *testing.T) {
	var many []object
	for i := range 7 {
		many = append(many, dependabot(i+1, "high", fmt.Sprintf("package%d", i), ""))
	}
	secret := object{"number": 8, "state": "open", "secret_type_display_name": "GitHub Personal Access Token", "secret": "ghp_leaked"}
	for name, c := range map[string]struct {
		lists   map[string][]object
		with    guard.With
		verdict guard.Verdict
		texts   []string
	}{
		"none": {verdict: guard.Pass, texts: []string{"dependabot: none; code-scanning: none", "severity high or above"}},
		"all pages": {map[string][]object{"dependabot/alerts?severity=high": many}, nil, guard.Fail,
			[]string{"dependabot: 7 high: #1 package0 GHSA-x, #2 package1 GHSA-x, #3 package2 GHSA-x and 4 more"}},
		"both kinds": {map[string][]object{
			"dependabot/alerts?severity=critical":    {dependabot(3, "critical", "log4j", "CVE-2021-44228")},
			"code-scanning/alerts?severity=critical": {codeScanning(4, "critical", "error", "js/sql-injection", "src/db.js")},
			"code-scanning/alerts?severity=error":    {codeScanning(4, "critical", "error", "js/sql-injection", "src/db.js"), codeScanning(5, "", "error", "js/syntax", "")},
		}, nil, guard.Fail, []string{"dependabot: 1 critical: #3 log4j CVE-2021-44228", "code-scanning: 1 critical, 1 error: #4 js/sql-injection in src/db.js, #5 js/syntax"}},
		"critical alone": {map[string][]object{"dependabot/alerts?severity=high": many}, guard.With{"severity": "critical"}, guard.Pass, []string{"severity critical"}},
		"low too": {map[string][]object{"dependabot/alerts?severity=low": {dependabot(1, "low", "a", "")}, "dependabot/alerts?severity=medium": {}},
			guard.With{"severity": "low", "alerts": []any{"dependabot"}}, guard.Fail, []string{"1 low"}},
		"secrets are not asked for": {map[string][]object{"secret-scanning/alerts": {secret}}, nil, guard.Pass, nil},
		"secrets": {map[string][]object{"secret-scanning/alerts": {secret, {"number": 9, "secret_type": "aws"}, {"number": 10, "secret_type": "gcp"}}},
			guard.With{"alerts": []any{"secret-scanning"}}, guard.Fail, []string{"secret-scanning: 3: #8 GitHub Personal Access Token, #9 aws, #10 gcp"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			for path, list := range c.lists {
				h.lists[path] = list
			}
			f, err := h.probe(t, "github-alerts", c.with)
			want(t, f, err, c.verdict, c.texts...)
			if told, _ := json.Marshal(f); strings.Contains(string(told), "ghp_") {
				t.Errorf("a secret is told: %s", told)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	const statuses, runs = "commits/" + sha + "/status", "commits/" + sha + "/check-runs"
	of := func(state string) object { return object{"context": "ci/" + state, "state": state} }
	var many []object
	for i := range 5 {
		many = append(many, run(fmt.Sprint("job", i), "completed", "success"))
	}
	for name, c := range map[string]struct {
		statuses, runs []object
		with           guard.With
		verdict        guard.Verdict
		texts          []string
	}{
		"statuses alone":         {[]object{of("success")}, nil, nil, guard.Pass, []string{"acme/shop@6dcb09b5b5"}},
		"runs alone":             {nil, many, nil, guard.Pass, []string{"5 success"}},
		"nothing":                {nil, nil, nil, guard.Fail, []string{"nothing was run on this commit"}},
		"all skipped":            {nil, []object{run("a", "completed", "skipped")}, nil, guard.Fail, []string{"nothing was run"}},
		"failed":                 {[]object{of("success"), of("failure")}, many, nil, guard.Fail, []string{"not passed: ci/failure (failure)"}},
		"error":                  {[]object{of("error")}, many, nil, guard.Fail, []string{"ci/error (error)"}},
		"pending status":         {[]object{of("pending")}, many, nil, guard.Waiting, []string{"not over yet: ci/pending (pending)"}},
		"queued":                 {[]object{of("success")}, []object{run("a", "queued", "")}, nil, guard.Waiting, []string{"a (queued)"}},
		"in progress, last page": {nil, append(many[:4:4], run("slow", "in_progress", "")), nil, guard.Waiting, []string{"slow (in_progress)"}},
		"failed and pending":     {[]object{of("pending")}, []object{run("a", "completed", "timed_out")}, nil, guard.Fail, []string{"not passed: a (timed_out)"}},
		"cancelled":              {nil, []object{run("a", "completed", "cancelled")}, nil, guard.Fail, []string{"a (cancelled)"}},
		"action required":        {nil, []object{run("a", "completed", "action_required")}, nil, guard.Fail, []string{"a (action_required)"}},
		"stale":                  {nil, []object{run("a", "completed", "stale")}, nil, guard.Fail, []string{"a (stale)"}},
		"start-up failure":       {nil, []object{run("a", "completed", "startup_failure")}, nil, guard.Fail, nil},
		"a new word":             {nil, []object{run("a", "completed", "mostly_fine")}, nil, guard.Fail, []string{"a (mostly_fine)"}},
		"a new state":            {nil, []object{run("a", "resting", "")}, nil, guard.Fail, []string{"a (resting)"}},
		"required":               {[]object{of("success")}, many, guard.With{"required": []any{"job4", "ci/success"}}, guard.Pass, nil},
		"required, missing":      {nil, many, guard.With{"required": []any{"job4", "e2e"}}, guard.Fail, []string{"required, and not run: e2e"}},
		"required, skipped":      {nil, append(many[:4:4], run("e2e", "completed", "skipped")), guard.With{"required": []any{"e2e"}}, guard.Fail, []string{"not run: e2e"}},
		"required, later":        {nil, append(many[:4:4], run("build", "in_progress", "")), guard.With{"required": []any{"e2e"}}, guard.Waiting, nil},
		"golive's own job":       {nil, append(many[:4:4], run("deploy", "in_progress", "")), guard.With{"ignore": []any{"deploy"}}, guard.Pass, nil},
		"nothing else":           {nil, []object{run("deploy", "completed", "success")}, guard.With{"ignore": []any{"deploy"}}, guard.Fail, []string{"nothing was run"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			h.lists[statuses], h.lists[runs] = c.statuses, c.runs
			if c.statuses == nil {
				h.lists[statuses] = []object{}
			}
			if c.runs == nil {
				h.lists[runs] = []object{}
			}
			f, err := h.probe(t, "github-status", c.with)
			want(t, f, err, c.verdict, c.texts...)
		})
	}

	t.Run("fewer than counted", func(t *testing.T) {
		h := newHub(t)
		h.answers[runs] = text(`{"total_count":2,"check_runs":[{"name":"a","status":"completed","conclusion":"success"}]}`)
		if f, err := h.probe(t, "github-status", nil); err == nil || !strings.Contains(err.Error(), "it counts 2, and lists 1") {
			t.Errorf("%+v, error %v", f, err)
		}
	})
}

// TestCommit finds the commit by all kinds of names, and lets none of them change what is asked.
func TestCommit(t *testing.T) {
	for name, c := range map[string]struct {
		commit, to, path, err string
	}{
		"tag":            {commit: "", to: "v2", path: "commits/v2"},
		"tag of version": {commit: "v{{.To}}", to: "2", path: "commits/v2"},
		"full":           {commit: "", to: sha, path: "commits/" + sha},
		"branch":         {commit: "heads/release/{{.To}}", to: "2 ?x=1", path: "commits/heads/release/2 ?x=1"},
		"none":           {commit: "", to: "", err: `commit: "" names no commit`},
		"way up":         {commit: "", to: "../../../user", err: "names no commit"},
		"root":           {commit: "", to: "/user", err: "names no commit"},
		"unknown":        {commit: "", to: "v3", err: `commit "v3" of acme/shop: it answers status 404`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			if c.path != "" {
				h.answers[c.path] = text(sha)
			}
			with := h.with(nil)
			if c.commit != "" {
				with["commit"] = c.commit
			}
			f, err := plugintest.Make(t, NewStatus, with).Probe(t.Context(), guard.Release{To: c.to})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			want(t, f, err, guard.Pass)
			if h.asked[0] != c.path {
				t.Errorf("asked for %q, want %q", h.asked[0], c.path)
			}
		})
	}
}

func TestReviews(t *testing.T) {
	const merged = "2026-11-23T10:00:00Z"
	bot := func(state string) object {
		r := review(9, state, sha)
		r["user"] = object{"id": 9, "login": "renovate[bot]", "type": "Bot"}
		return r
	}
	gone := func(state string) object {
		r := review(0, state, sha)
		r["user"] = nil
		return r
	}
	earlier, later := review(2, "APPROVED", sha), review(2, "CHANGES_REQUESTED", sha)
	for name, c := range map[string]struct {
		pulls   []object
		reviews []object
		with    guard.With
		verdict guard.Verdict
		texts   []string
	}{
		"approved":             {nil, []object{review(2, "APPROVED", sha)}, nil, guard.Pass, []string{"#12: approved by user2"}},
		"open":                 {[]object{pull(12, "open", "")}, []object{review(2, "APPROVED", sha)}, nil, guard.Pass, nil},
		"no pull request":      {[]object{}, nil, nil, guard.Fail, []string{"the commit came without a pull request"}},
		"closed, not merged":   {[]object{pull(12, "closed", "")}, []object{review(2, "APPROVED", sha)}, nil, guard.Fail, []string{"without a pull request"}},
		"nobody":               {nil, []object{}, nil, guard.Fail, []string{"#12 has 0 of 1 approvals"}},
		"comment alone":        {nil, []object{review(2, "COMMENTED", sha)}, nil, guard.Fail, []string{"0 of 1"}},
		"comment later":        {nil, []object{review(2, "APPROVED", sha), review(2, "COMMENTED", sha)}, nil, guard.Pass, nil},
		"author":               {nil, []object{review(1, "APPROVED", sha)}, nil, guard.Fail, []string{"user1 (the author)"}},
		"two, of one":          {nil, []object{review(2, "APPROVED", sha), review(2, "APPROVED", sha)}, guard.With{"approvals": 2}, guard.Fail, []string{"1 of 2"}},
		"two":                  {nil, []object{review(2, "APPROVED", sha), review(2, "COMMENTED", sha), review(3, "APPROVED", sha)}, guard.With{"approvals": 2}, guard.Pass, nil},
		"changed mind":         {nil, []object{review(2, "CHANGES_REQUESTED", sha), review(2, "APPROVED", sha)}, nil, guard.Pass, nil},
		"changes requested":    {nil, []object{review(2, "APPROVED", sha), review(3, "CHANGES_REQUESTED", sha)}, nil, guard.Fail, []string{"changes are requested by user3"}},
		"of an older commit":   {nil, []object{review(3, "CHANGES_REQUESTED", older), review(2, "APPROVED", sha)}, nil, guard.Fail, []string{"changes are requested by user3"}},
		"against again":        {nil, []object{review(2, "APPROVED", sha), review(2, "CHANGES_REQUESTED", sha)}, nil, guard.Fail, []string{"changes are requested by user2"}},
		"out of order":         {nil, []object{later, earlier}, nil, guard.Fail, []string{"changes are requested by user2"}},
		"dismissed":            {nil, []object{review(2, "DISMISSED", sha)}, nil, guard.Fail, []string{"0 of 1"}},
		"demand dismissed":     {nil, []object{review(2, "APPROVED", sha), review(3, "DISMISSED", sha)}, nil, guard.Pass, nil},
		"older":                {nil, []object{review(2, "APPROVED", older)}, nil, guard.Fail, []string{"user2 (of the older commit c3d0be41ec)"}},
		"older will do":        {nil, []object{review(2, "APPROVED", older)}, guard.With{"stale": true}, guard.Pass, nil},
		"a stranger":           {nil, []object{review(4, "APPROVED", sha)}, nil, guard.Fail, []string{"user4 (may not write to the repository)"}},
		"a stranger against":   {nil, []object{review(2, "APPROVED", sha), review(4, "CHANGES_REQUESTED", sha)}, nil, guard.Pass, nil},
		"a bot":                {nil, []object{bot("APPROVED")}, nil, guard.Fail, []string{"renovate[bot] (not a person"}},
		"a bot against":        {nil, []object{bot("CHANGES_REQUESTED"), review(2, "APPROVED", sha)}, nil, guard.Fail, []string{"changes are requested by renovate[bot]"}},
		"somebody gone":        {nil, []object{gone("APPROVED")}, nil, guard.Fail, []string{"somebody who has left GitHub (not a person"}},
		"two gone":             {nil, []object{gone("CHANGES_REQUESTED"), gone("APPROVED"), review(2, "APPROVED", sha)}, nil, guard.Fail, []string{"changes are requested by somebody"}},
		"two pull requests":    {[]object{pull(11, "open", ""), pull(12, "closed", merged)}, []object{review(2, "APPROVED", sha)}, nil, guard.Pass, []string{"#12: approved by user2"}},
		"two, and none enough": {[]object{pull(11, "open", ""), pull(12, "closed", merged)}, []object{}, nil, guard.Fail, []string{"#11 has 0 of 1 approvals; #12 has 0 of 1 approvals"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			h.lists["pulls/11/reviews"] = []object{}
			h.lists["pulls/12/reviews"] = c.reviews
			if c.pulls != nil {
				h.lists["commits/"+sha+"/pulls"] = c.pulls
			}
			f, err := h.probe(t, "github-reviews", c.with)
			want(t, f, err, c.verdict, c.texts...)
		})
	}
}
