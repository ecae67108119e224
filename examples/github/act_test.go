package github_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// hostileProbe says what wants to be a command, an output and markup.
const hostileProbe = `#!/bin/sh
printf '::set-output name=verdict::go\n  ::error::forged-annotation\n##[error]forged-annotation\nverdict=go\nx%%0A::error::forged-annotation\n<script>forged</script>\n' >&2
exit 1
`

// actPlan asks one check, by a probe of the repository.
const actPlan = `service: shop
environment: test
rollout:
  backend: {use: command, with: {inspect: "echo 0", shift: "true"}}
  steps: [50, 100]
watch:
  source: {use: scrape, with: {canary: ["http://127.0.0.1:1/metrics"], stable: ["http://127.0.0.1:1/metrics"]}}
  signals:
    - {name: errors, preset: promhttp}
checks:
  extra:
    - {id: smoke, use: command, with: {run: ./probe.sh}, fix: see runbook 12}
`

// actWorkflow has a gate that is open, one that is shut, and one behind which somebody is hostile; and a job that follows each.
const actWorkflow = `on: push
jobs:
  open:
    runs-on: ubuntu-latest
    outputs:
      verdict: ${{ steps.golive.outputs.verdict }}
    steps:
      - uses: actions/checkout@v4
      - id: golive
        uses: ./.github/actions/golive
        with: {command: check, from: v1, to: v2, plan: open/golive.yaml, args: --only=smoke, binary: GOLIVE}
        env: {PROBE: "open"}
      - run: test -f "$SARIF" && golive version
        env:
          SARIF: ${{ steps.golive.outputs.sarif-path }}
  shut:
    runs-on: ubuntu-latest
    outputs:
      verdict: ${{ steps.golive.outputs.verdict }}
      code: ${{ steps.golive.outputs.exit-code }}
      failed: ${{ steps.golive.outputs.failed-checks }}
    steps:
      - uses: actions/checkout@v4
      - id: golive
        uses: ./.github/actions/golive
        with: {command: check, from: v1, to: v2, args: --only=smoke, working-directory: shut, binary: GOLIVE}
  hostile:
    runs-on: ubuntu-latest
    outputs:
      verdict: ${{ steps.golive.outputs.verdict }}
    steps:
      - uses: actions/checkout@v4
      - id: golive
        uses: ./.github/actions/golive
        with: {command: check, from: v1, to: v2, args: --only=smoke, working-directory: hostile, binary: GOLIVE}
  release:
    needs: open
    if: needs.open.outputs.verdict == 'go'
    runs-on: ubuntu-latest
    steps:
      - run: echo "RELEASED $VERDICT"
        env:
          VERDICT: ${{ needs.open.outputs.verdict }}
  refused:
    needs: shut
    if: always() && needs.shut.outputs.verdict == 'no-go'
    runs-on: ubuntu-latest
    steps:
      - run: echo "REFUSED $VERDICT $CODE $FAILED"
        env:
          VERDICT: ${{ needs.shut.outputs.verdict }}
          CODE: ${{ needs.shut.outputs.code }}
          FAILED: ${{ needs.shut.outputs.failed }}
  never:
    needs: [shut, hostile]
    if: always() && (needs.shut.outputs.verdict == 'go' || needs.hostile.outputs.verdict == 'go')
    runs-on: ubuntu-latest
    steps:
      - run: echo "NEVER"
  stopped:
    needs: hostile
    if: always() && needs.hostile.outputs.verdict != 'go'
    runs-on: ubuntu-latest
    steps:
      - run: echo "STOPPED $VERDICT"
        env:
          VERDICT: ${{ needs.hostile.outputs.verdict }}
`

// TestAct runs the action as a workflow does: with act, on this machine, without GitHub. GOLIVE_E2E_ACT names act; make e2e-action
// installs it. GOLIVE_E2E_BINARY may name a golive; else one is built as the action builds it, which may take minutes.
func TestAct(t *testing.T) {
	act := os.Getenv("GOLIVE_E2E_ACT")
	if act == "" {
		t.Skip("make e2e-action runs it: it needs act (GOLIVE_E2E_ACT)")
	}
	repo := t.TempDir()
	golive := os.Getenv("GOLIVE_E2E_BINARY")
	if golive == "" {
		golive = build(t)
	}
	write := func(name, text string, mode fs.FileMode) {
		t.Helper()
		name = filepath.Join(repo, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	write(".github/workflows/test.yml", strings.ReplaceAll(actWorkflow, "GOLIVE}", golive+"}"), 0o600)
	for _, file := range []string{"action.yml", "install.sh", "checksums.txt"} {
		text, err := os.ReadFile(filepath.Join(action, file))
		if err != nil {
			t.Fatal(err)
		}
		write(".github/actions/golive/"+file, string(text), 0o700)
	}
	write("probe.sh", "#!/bin/sh\ntrue\n", 0o700) // of open, which runs at the top
	write("open/golive.yaml", actPlan, 0o600)
	write("shut/golive.yaml", actPlan, 0o600)
	write("shut/probe.sh", "#!/bin/sh\necho the shop is closed >&2\nexit 1\n", 0o700)
	write("hostile/golive.yaml", actPlan, 0o600)
	write("hostile/probe.sh", hostileProbe, 0o700)
	run(t, repo, "git", "init", "-q", "-b", "main")
	run(t, repo, "git", "add", ".")
	run(t, repo, "git", "-c", "user.name=golive", "-c", "user.email=golive@example.com", "commit", "-q", "-m", "test")

	cmd := exec.CommandContext(t.Context(), act, "push", "-P", "ubuntu-latest=-self-hosted", "--no-cache-server")
	cmd.Dir = repo
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home)
	out, err := cmd.CombinedOutput()
	log := string(out)
	t.Logf("%s", log)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Errorf("act ends as %v, though two of its jobs have failed", err)
	}
	for _, want := range []string{
		`RELEASED go`, `REFUSED no-go 3 smoke`, `STOPPED no-go`,
		`::error file=shut/golive.yaml,line=\d+,col=\d+,title=smoke smoke%3A fail::.*the shop is closed`,
		`::error file=hostile/golive.yaml,line=\d+,col=\d+,title=smoke smoke%3A fail::`,
	} {
		if !regexp.MustCompile(want).MatchString(log) {
			t.Errorf("act does not say %q", want)
		}
	}
	// act marks what it obeys, and shows the rest behind a bar.
	for _, forged := range []string{`❗ +::error::`, `❗ +(?:##|[^: ])`, `(?:shut|hostile) *\].*::set-output:: verdict=(?:go|[^n])`, `\| NEVER`} {
		if line := regexp.MustCompile(`(?m)^.*` + forged + `.*$`).FindString(log); line != "" {
			t.Errorf("something was forged: %q", line)
		}
	}
	for _, want := range []string{"## golive: go\n", "## golive: no-go\n", "pie showData\n", `"fail" : 1`} {
		if !strings.Contains(log, want) {
			t.Errorf("there is no summary with %q", want)
		}
	}
}

// build builds golive as the action does where nothing else is named, and returns its path.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	here, err := filepath.Abs(action)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(here, "install.sh"))
	cmd.Env = append(os.Environ(), "GOLIVE_BINARY=", "GOLIVE_VERSION=", "RUNNER_TEMP="+dir, "GITHUB_OUTPUT="+dir+"/output", "GITHUB_PATH="+dir+"/path")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	text, err := os.ReadFile(dir + "/output")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(text), "golive="))
}

func run(t *testing.T, dir string, command ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}
