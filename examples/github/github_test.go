// Package github_test holds the action of golive, and the workflows that show how it is used, to what GitHub makes of them.
package github_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v3"

	"github.com/golive-dev/golive/plugins/plugintest"
)

const (
	root   = "../.."
	action = root + "/.github/actions/golive"
	ours   = "golive-dev/golive/.github/actions/golive"
)

// workflows are all that are in the repository: the examples, and our own.
func workflows(t *testing.T) []string {
	t.Helper()
	examples, err := filepath.Glob("*.yml")
	if err != nil || len(examples) != 4 {
		t.Fatalf("%d examples (%v), want four", len(examples), err)
	}
	own, err := filepath.Glob(root + "/.github/workflows/*.yml")
	if err != nil || len(own) == 0 {
		t.Fatalf("there is no workflow of our own (%v)", err)
	}
	return append(examples, own...)
}

func parse(t *testing.T, file string) *actionlint.Workflow {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w, problems := actionlint.Parse(text)
	if w == nil || len(problems) > 0 {
		t.Fatalf("%s: %v", file, problems)
	}
	return w
}

// TestWorkflows asks actionlint, which knows contexts, expressions, events and permissions.
func TestWorkflows(t *testing.T) {
	linter, err := actionlint.NewLinter(os.Stderr, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	problems, err := linter.LintFiles(workflows(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

// pinned is an action by the hash of a commit, and the version that this is.
var pinned = regexp.MustCompile(`^\s*(?:- )?uses: ([^@\s]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+$`)

// TestWorkflowsAreCareful: actions are pinned, nobody has more rights than are named, nothing cuts a release off, and no expression
// stands in a script.
func TestWorkflowsAreCareful(t *testing.T) {
	for _, file := range workflows(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimRight(line, "\n")
			if !strings.Contains(line, "uses: ") || strings.Contains(line, "uses: "+ours+"@main # ") {
				continue
			}
			if !pinned.MatchString(line) {
				t.Errorf("%s: %q is not pinned to a commit, with its version", file, line)
			}
		}
		w := parse(t, file)
		if w.Permissions == nil || w.Permissions.All != nil && w.Permissions.All.Value == "write-all" {
			t.Errorf("%s does not say which permissions there are", file)
		}
		example := !strings.HasPrefix(file, root)
		if c := w.Concurrency; example && (c == nil || c.CancelInProgress == nil || c.CancelInProgress.Value) {
			t.Errorf("%s does not say that nothing is cancelled", file)
		}
		for name, job := range w.Jobs {
			if job.TimeoutMinutes == nil {
				t.Errorf("%s: the job %s may take for ever", file, name)
			}
			for _, step := range job.Steps {
				if run, is := step.Exec.(*actionlint.ExecRun); is && strings.Contains(run.Run.Value, "${{") {
					t.Errorf("%s: an expression stands in a script: %s", file, run.Run.Value)
				}
			}
		}
	}
}

// An actionFile is the part of action.yml that others rely on.
type actionFile struct {
	Inputs  map[string]any
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Using string
		Steps []struct {
			ID, Run string
			Env     map[string]string
		}
	}
}

func readAction(t *testing.T) (a actionFile) {
	t.Helper()
	text, err := os.ReadFile(action + "/action.yml")
	if err == nil {
		err = yaml.Unmarshal(text, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAction: every input reaches golive by the environment, and what the examples give and take is there.
func TestAction(t *testing.T) {
	a := readAction(t)
	if a.Runs.Using != "composite" || len(a.Runs.Steps) != 2 {
		t.Fatalf("the action is %s with %d steps, want composite with two", a.Runs.Using, len(a.Runs.Steps))
	}
	whole, err := os.ReadFile(action + "/action.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range a.Runs.Steps {
		if strings.Contains(step.Run, "${{") {
			t.Errorf("an expression stands in a script: %s", step.Run)
		}
	}
	for name := range a.Inputs {
		if !strings.Contains(string(whole), "${{ inputs."+name+" ") {
			t.Errorf("nothing reads the input %s", name)
		}
	}
	for _, name := range []string{"verdict", "exit-code", "failed-checks", "report-path", "sarif-path", "run-id", "under-way", "incident-id"} {
		if got := a.Outputs[name].Value; got != "${{ steps.run.outputs."+name+" }}" {
			t.Errorf("the output %s is %q", name, got)
		}
	}
	used := regexp.MustCompile(`steps\.(\w+)\.outputs\.([\w-]+)`)
	for _, file := range workflows(t) {
		for name, job := range parse(t, file).Jobs {
			mine := map[string]bool{}
			for _, step := range job.Steps {
				uses, is := step.Exec.(*actionlint.ExecAction)
				if !is || !strings.HasPrefix(uses.Uses.Value, ours+"@") {
					continue
				}
				if step.ID != nil {
					mine[step.ID.Value] = true
				}
				for input := range uses.Inputs {
					if _, known := a.Inputs[input]; !known {
						t.Errorf("%s: %s: the action has no input %s", file, name, input)
					}
				}
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range used.FindAllStringSubmatch(string(text), -1) {
				if _, known := a.Outputs[m[2]]; mine[m[1]] && !known {
					t.Errorf("%s: the action has no output %s", file, m[2])
				}
			}
		}
	}
}

// TestWayBack: what takes a rollout back on the way does so where one is under way, and not because nothing is decided: a version that
// has earned its traffic keeps it. And whoever is called hears how that ended.
func TestWayBack(t *testing.T) {
	w := parse(t, "canary.yml")
	back := false
	for _, step := range w.Jobs["rollout"].Steps {
		uses, is := step.Exec.(*actionlint.ExecAction)
		if !is || uses.Inputs["command"] == nil || uses.Inputs["command"].Value.Value != "rollback" {
			continue
		}
		back = true
		if when := step.If.Value; !strings.Contains(when, "steps.rollout.outputs.under-way == 'true'") || strings.Contains(when, "undecidable") {
			t.Errorf("it is taken back if %s", when)
		}
		if readme, err := os.ReadFile("README.md"); err != nil || !strings.Contains(string(readme), "- if: "+step.If.Value+"\n") {
			t.Errorf("the README says something else (%v)", err)
		}
	}
	if told := w.Jobs["rollout"].Outputs["verdict"].Value.Value; !back || !strings.HasPrefix(told, "${{ steps.back.outputs.verdict || ") {
		t.Errorf("the verdict is %s (is there a step that takes back? %t)", told, back)
	}
}

// TestLaunch: what was found before somebody approved is asked again before anything is deployed, a deployment that was cut off is
// guarded all the same, and nobody keeps a token.
func TestLaunch(t *testing.T) {
	job := parse(t, "launch.yml").Jobs["launch"]
	at := map[string]int{}
	for i, step := range job.Steps {
		switch exec := step.Exec.(type) {
		case *actionlint.ExecRun:
			at[exec.Run.Value] = i
		case *actionlint.ExecAction:
			command := exec.Inputs["command"]
			if command == nil {
				continue
			}
			at[command.Value.Value] = i
			if _, there := exec.Inputs["token"]; there {
				t.Errorf("%s is given a token", command.Value.Value)
			}
			if command.Value.Value == "watch" && (step.If == nil || !strings.HasPrefix(step.If.Value, "always() && ") || exec.Inputs["audience"] == nil) {
				t.Errorf("what is cut off is not guarded (%v), or any server may use the token", step.If)
			}
		}
	}
	if check, deploy, watch := at["check"], at["./deploy.sh"], at["watch"]; check == 0 || check > deploy || deploy > watch {
		t.Errorf("check is step %d, the deployment %d, watch %d", check, deploy, watch)
	}
	if scope := job.Permissions.Scopes["id-token"]; scope == nil || scope.Value.Value != "write" {
		t.Errorf("the job cannot prove who it is: %v", scope)
	}
}

// installing runs install.sh of a copy of the action, whose table of checksums is given. It returns the outputs, and what was said.
func installing(t *testing.T, table string, env ...string) (outputs, path, said string, err error) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there are releases for Linux and macOS alone")
	}
	dir := t.TempDir()
	script, err := os.ReadFile(action + "/install.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"install.sh": string(script), "checksums.txt": table} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(dir, "install.sh"))
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "RUNNER_TEMP=" + dir, "GITHUB_OUTPUT=" + dir + "/output", "GITHUB_PATH=" + dir + "/path"}, env...)
	out, err := cmd.CombinedOutput()
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		return string(text)
	}
	return read("output"), read("path"), string(out), err
}

// TestInstallRelease: nothing runs that is not what was released.
func TestInstallRelease(t *testing.T) {
	for _, program := range []string{"bash", "curl", "awk"} {
		plugintest.Needs(t, program, "apt-get install "+program)
	}
	const golive = "#!/bin/sh\necho golive\n"
	asked := ""
	releases := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		fmt.Fprint(w, golive)
	}))
	defer releases.Close()
	name := fmt.Sprintf("v1.2.3/golive-%s-%s", runtime.GOOS, runtime.GOARCH)
	env := []string{"GOLIVE_VERSION=v1.2.3", "GOLIVE_RELEASES=" + releases.URL}
	whole := fmt.Sprintf("# of releases\n%x  %s\n", sha256.Sum256([]byte(golive)), name)

	outputs, path, said, err := installing(t, whole, env...)
	installed, found := strings.CutPrefix(strings.TrimSpace(outputs), "golive=")
	if err != nil || !found || strings.TrimSpace(path) != filepath.Dir(installed) || asked != "/"+name {
		t.Fatalf("%v: outputs %q, path %q, asked for %q:\n%s", err, outputs, path, asked, said)
	}
	for _, c := range []struct{ name, table, want string }{
		{"another binary", fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte("other")), name), "is not what was released: its SHA-256 is "},
		{"no checksum", "# There is no release yet.\n", "knows no checksum of " + name + ", so it does not run it: leave the input out"},
		{"a checksum that is none", "x  " + name + "\n", "knows no checksum of " + name},
		{"the checksum of another release", strings.ReplaceAll(whole, "v1.2.3", "v1.2.30"), "knows no checksum of " + name},
	} {
		outputs, path, said, err := installing(t, c.table, env...)
		if err == nil || outputs+path != "" || !strings.Contains(said, "::error title=golive::version: ") || !strings.Contains(said, c.want) {
			t.Errorf("%s: %v, outputs %q, path %q:\n%s", c.name, err, outputs, path, said)
		}
	}
	// Today's table knows no release at all, and says so.
	table, err := os.ReadFile(action + "/checksums.txt")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, said, err := installing(t, string(table), "GOLIVE_VERSION=v0.0.0"); err == nil || !strings.Contains(said, "leave the input out, and golive is built from source") {
		t.Errorf("%v:\n%s", err, said)
	}
}

// TestInstallBinary: a golive that is there is taken, and a value that would be more than a path is not.
func TestInstallBinary(t *testing.T) {
	plugintest.Needs(t, "bash", "apt-get install bash")
	workspace := t.TempDir()
	here := filepath.Join(workspace, "a golive")
	for _, file := range []string{here, filepath.Join(workspace, "git")} {
		if err := os.WriteFile(file, []byte("#!/bin/sh\necho "+filepath.Base(file)+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	outputs, path, said, err := installing(t, "", "GOLIVE_BINARY="+here)
	installed, found := strings.CutPrefix(strings.TrimSpace(outputs), "golive=")
	if err != nil || !found || strings.TrimSpace(path) != filepath.Dir(installed) {
		t.Fatalf("%v, outputs %q, path %q:\n%s", err, outputs, path, said)
	}
	if told, err := exec.CommandContext(t.Context(), installed).Output(); err != nil || string(told) != "a golive\n" {
		t.Errorf("what is installed says %q (%v)", told, err)
	}
	// What lies beside it, as in the workspace of a pull request, comes into no step's way.
	if beside, err := os.ReadDir(filepath.Dir(installed)); err != nil || len(beside) != 1 {
		t.Errorf("on the PATH of the steps that follow there are %v (%v), want golive alone", beside, err)
	}
	for _, value := range []string{here + "\nverdict=go", "nowhere", "$(echo x)", "nowhere%0A::error::forged", "x\r::error::forged"} {
		outputs, path, said, err := installing(t, "", "GOLIVE_BINARY="+value)
		if err == nil || outputs+path != "" || strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "::error title=golive::binary: ") || strings.Contains(said, "%0A") {
			t.Errorf("%q: %v, outputs %q:\n%s", value, err, outputs, said)
		}
	}
	// Without Go there is nothing to build with.
	tools := t.TempDir()
	for _, name := range []string{"bash", "dirname", "mktemp"} {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(program, filepath.Join(tools, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, said, err := installing(t, "", "PATH="+tools); err == nil || !strings.Contains(said, "use actions/setup-go before") {
		t.Errorf("%v:\n%s", err, said)
	}
}

// TestReadme: what is said of the action is what it has.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	a := readAction(t)
	var names []string
	for name := range a.Inputs {
		names = append(names, name)
	}
	for name := range a.Outputs {
		names = append(names, name)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|")
	var said []string
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		said = append(said, m[1])
	}
	slices.Sort(names)
	slices.Sort(said)
	if !slices.Equal(names, said) {
		t.Errorf("the README has rows for %q, and the action has %q", said, names)
	}
}
