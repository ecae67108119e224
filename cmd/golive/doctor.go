package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/checks"
	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/github"
)

// exitUnfit says that this machine cannot do what the plan asks of it.
const exitUnfit = 1

func (p *program) doctorCommand() *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Ask whether golive and this machine are fit for a launch",
		Long: `doctor looks at the tool and at the machine, where check looks at a release: the clock, the directory of the
journals and its locks, the room for temporary files, the plugins, and the programs and environment variables that
the plan needs. It shows no values of variables, and leaves nothing behind. It asks nobody over the network but GitHub, and
that only where $GOLIVE_GITHUB_APP_ID names an app: what the app lacks to be the gate of deployments (golive serve). Without a
plan, or with one that cannot be read, it says what it can.

Exit codes: 0 fit, perhaps with warnings, 1 not.`,
		Example: `  golive doctor
  golive doctor --plan shop.yaml -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.doctor(c.Context(), verbose) },
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "say also what was expected and found where all is well")
	return c
}

func (p *program) doctor(ctx context.Context, verbose bool) error {
	plan, _, mistakes := p.readPlan()
	source, _ := readAtMost(p.settings.Plan, planHolds) // one with mistakes too; that there is none is said below
	var findings []guard.Finding
	findings = append(findings, p.tool(), clockFinding(time.Now()), zonesFinding(), p.terminalFinding(), tempFinding(os.TempDir()))
	findings = append(findings, p.planFinding(mistakes))
	findings = append(findings, p.variables(plan, source)...)
	findings = append(findings, journalFindings(ctx, p.settings.Journal)...)
	findings = append(findings, p.appFindings(ctx)...)
	if plan != nil {
		for i := range plan.Plugins {
			findings = append(findings, p.pluginFinding(ctx, plan, i))
		}
		findings = append(findings, programFindings(ctx, plan)...)
		findings = append(findings, channelFindings(plan)...)
	}
	verdict, code := guard.Worst(findings), exitOK
	if verdict != guard.Pass && verdict != guard.Warn {
		code = exitUnfit
	}
	if p.settings.Output == asJSON {
		return errors.Join(p.answer(struct {
			Schema   string          `json:"schema"`
			Verdict  guard.Verdict   `json:"verdict"`
			Findings []guard.Finding `json:"findings"`
			ExitCode int             `json:"exit_code"`
		}{"golive.doctor/1", verdict, findings, code}), quiet(code))
	}
	b := &blocks{out: p.out, ink: p.ink(p.out), verbose: verbose}
	for _, f := range findings {
		b.found(f)
	}
	answer := map[guard.Verdict]string{guard.Pass: "this machine is fit", guard.Warn: "this machine is fit, with warnings"}[verdict]
	fmt.Fprintf(p.out, "\n%s\n", b.ink.paint(toneOfVerdict(verdict), cmp.Or(answer, "this machine is not fit for a launch")))
	return quiet(code)
}

// appFindings sees that the GitHub App that golive serve is has what the gate of deployments needs, if it is one.
func (p *program) appFindings(ctx context.Context) []guard.Finding {
	if p.settings.GitHubApp == 0 && p.settings.GitHubKey == "" {
		return nil
	}
	f := guard.Finding{ID: "github.app", Verdict: guard.Pass, Title: "the GitHub App can be the gate of deployments",
		Expected: "Actions: read, Deployments: read and write, and the event Deployment protection rule", Observed: "all of it"}
	lacks, err := github.App{ID: p.settings.GitHubApp, Key: p.settings.GitHubKey}.Lacks(ctx, p.settings.GitHubAPI)
	switch {
	case err != nil:
		f.Verdict, f.Observed, f.Reason = guard.Unknown, "no answer", err.Error()
		f.Remedy = "see to GOLIVE_GITHUB_APP_ID, GOLIVE_GITHUB_APP_KEY and GOLIVE_GITHUB_API, then ask again"
	case len(lacks) > 0:
		f.Verdict, f.Observed = guard.Fail, "not "+strings.Join(lacks, ", nor ")
		f.Reason = "no job waits for golive, or none hears its answer"
		f.Remedy = "give it that in the settings of the app (Permissions & events), and have its installations accept it"
	}
	return []guard.Finding{f}
}

// channelFindings sees that somebody hears of an incident, if the plan has somebody answer for one: who has to look at what
// golive prints, or at its journal, hears of nothing at night.
func channelFindings(plan *guard.Plan) []guard.Finding {
	if !plan.Responds() {
		return nil
	}
	f := guard.Finding{ID: "notify.reaches", Verdict: guard.Pass, Title: "somebody hears of an incident", Expected: "a channel that reaches people"}
	var channels []string
	for _, n := range plan.Routes("team", []string{"commander", "on_duty"}) {
		if use := plan.Notify[n].Use; use != "stdout" {
			channels = append(channels, use)
		}
	}
	if f.Observed = strings.Join(channels, ", "); len(channels) == 0 {
		f.Verdict, f.Observed, f.Unset = guard.Warn, "none", true
		f.Reason = "the plan says who answers for an incident, and no channel tells them of it"
		f.Remedy = "write one into notify, such as {use: http, with: {url: \"${CHAT}\"}}"
	}
	return []guard.Finding{f}
}

// tool says which golive this is.
func (p *program) tool() guard.Finding {
	b := thisBuild()
	return guard.Finding{ID: "golive.version", Verdict: guard.Pass, Title: fmt.Sprintf("golive %s is at work, %s %s", b.Version, b.Go, b.Platform),
		Expected: "any", Observed: cmp.Or(b.Commit, "no commit is known")}
}

// clockFinding sees that now is not before this was written.
func clockFinding(now time.Time) guard.Finding {
	written := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	f := guard.Finding{ID: "machine.clock", Verdict: guard.Pass, Title: "the clock is not behind", Expected: "a time after " + moment(written), Observed: moment(now)}
	if now.Before(written) {
		f.Verdict, f.Reason, f.Remedy = guard.Fail, "this golive was written later than the clock says it is", "set the clock: timedatectl set-ntp true"
	}
	return f
}

// zonesFinding sees that times of other places can be understood.
func zonesFinding() guard.Finding {
	f := guard.Finding{ID: "machine.zones", Verdict: guard.Pass, Title: "the time zones of the world are known", Expected: "Asia/Shanghai, America/New_York", Observed: "both"}
	for _, name := range []string{"Asia/Shanghai", "America/New_York"} {
		if _, err := time.LoadLocation(name); err != nil {
			f.Verdict, f.Observed, f.Reason, f.Remedy = guard.Fail, "not "+name, err.Error(), "install the package tzdata, or unset ZONEINFO"
		}
	}
	return f
}

func (p *program) terminalFinding() guard.Finding {
	i := p.ink(p.out)
	shows := []string{i.either("Unicode", "ASCII only")}
	if i.width > 0 {
		shows = append(shows, fmt.Sprintf("%d columns", i.width))
	} else {
		shows = append(shows, "no terminal")
	}
	if i.colour {
		shows = append(shows, "colour")
	}
	return guard.Finding{ID: "machine.terminal", Verdict: guard.Pass, Title: "what golive says can be shown: " + strings.Join(shows, ", "),
		Expected: "any", Observed: "LANG, TERM, NO_COLOR and CI decide"}
}

// leastTemp is how much room a restore of a small backup takes.
const leastTemp = 1 << 30

func tempFinding(dir string) guard.Finding {
	f := guard.Finding{ID: "machine.temp", Verdict: guard.Pass, Title: "there is room for temporary files", Expected: "1 GiB in " + dir, Observed: "it can be written to"}
	const remedy = "make room there, or set TMPDIR to a directory that has some"
	if err := tryDir(dir, func(string) error { return nil }); err != nil {
		f.Verdict, f.Observed, f.Reason, f.Remedy = guard.Fail, "none", err.Error(), remedy
		return f
	}
	if _, free, known := fileSystem(dir); known {
		f.Observed = fmt.Sprintf("%d MiB", free>>20)
		if free < leastTemp {
			f.Verdict, f.Reason, f.Remedy = guard.Warn, "a backup that is restored to prove it may find no room", remedy
		}
	}
	return f
}

// tryDir makes a directory in dir, writes a file in it, calls try with it, and removes it.
func tryDir(dir string, try func(scratch string) error) error {
	scratch, err := os.MkdirTemp(dir, ".golive-doctor-*")
	if err != nil {
		return err
	}
	err = writeWhole(filepath.Join(scratch, "written"), []byte("golive doctor\n"), 0o600)
	if err == nil {
		err = try(scratch)
	}
	return errors.Join(err, os.RemoveAll(scratch))
}

// planFinding says whether the plan can be read, and what is wrong with it at first.
func (p *program) planFinding(mistakes error) guard.Finding {
	name := p.settings.Plan
	f := guard.Finding{ID: "plan.readable", Verdict: guard.Pass, Title: name + " can be read", Expected: "a plan without mistakes", Observed: "it is one"}
	var wrong *guard.PlanError
	switch _, err := os.Stat(name); {
	case mistakes == nil:
		return f
	case errors.Is(err, fs.ErrNotExist):
		f.Verdict, f.Observed = guard.Warn, "no such file"
		f.Reason = "there is no plan here, so nothing is known of what it needs"
		f.Remedy = "golive init writes a first one; --plan and GOLIVE_PLAN name another"
	case errors.As(mistakes, &wrong):
		m := wrong.Mistakes[0]
		f.Verdict, f.Observed = guard.Fail, plural(len(wrong.Mistakes), "mistake")
		f.Reason = fmt.Sprintf("%s:%d:%d: %s: %s", name, m.Position.Line, m.Position.Column, m.Path, m.Text)
		f.Remedy = "mend what golive check says of it"
	default:
		f.Verdict, f.Observed, f.Reason, f.Remedy = guard.Fail, "none", mistakes.Error(), "say with --plan where the plan is"
	}
	return f
}

// variable is how the plan names one of the environment.
var variable = regexp.MustCompile(`(?:^|[^$])\$\{([^{}\s]+)\}`)

// variables says of each variable that the plan names whether it is set, and nothing of what it is. A plan with
// mistakes is searched as a text.
func (p *program) variables(plan *guard.Plan, source []byte) (findings []guard.Finding) {
	var names []string
	if plan != nil {
		names = variablesOf(plan)
	} else {
		for _, found := range variable.FindAllSubmatch(source, -1) {
			names = append(names, string(found[1]))
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	for _, name := range names {
		f := guard.Finding{ID: "environment." + name, Verdict: guard.Pass, Title: name + " is set", Expected: "a value", Observed: "one"}
		value, set := p.env.Lookup(name)
		switch {
		case !set:
			f.Verdict, f.Observed = guard.Fail, "none"
			f.Reason, f.Remedy = p.settings.Plan+" names ${"+name+"}", "set it for the user that runs golive: export "+name+"=..."
		case value == "":
			f.Verdict, f.Observed = guard.Warn, "an empty one"
			f.Reason, f.Remedy = p.settings.Plan+" names ${"+name+"}, and it is empty", "set it for the user that runs golive: export "+name+"=..."
		}
		findings = append(findings, f)
	}
	return findings
}

// journalFindings sees that a journal can be written where the journals are, that it stays, and that two processes
// cannot write the same one. A directory that is not there yet is tried where it would be made.
func journalFindings(ctx context.Context, dir string) []guard.Finding {
	there := dir
	info, err := os.Stat(there)
	for err != nil && there != filepath.Dir(there) {
		there = filepath.Dir(there)
		info, err = os.Stat(there)
	}
	const remedy = "give the user that runs golive the right to write there, or name another directory: --journal or GOLIVE_JOURNAL"
	write := guard.Finding{ID: "journal.directory", Verdict: guard.Pass, Title: "journals can be written in " + dir, Expected: "a directory on a disk", Observed: "it can be written to"}
	lock := guard.Finding{ID: "journal.lock", Verdict: guard.Pass, Title: "two processes cannot write the same journal", Expected: "a lock that keeps the second out", Observed: "it does"}
	if err == nil && !info.IsDir() {
		write.Verdict, write.Observed, write.Reason, write.Remedy = guard.Fail, "no directory", there+" is a file", remedy
		return []guard.Finding{write}
	}
	locked := false
	err = tryDir(there, func(scratch string) error {
		done, err := journal.Turn(ctx, scratch, "doctor")
		if err != nil {
			return err
		}
		second, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if again, err := journal.Turn(second, scratch, "doctor"); err != nil {
			locked = true
		} else if err := again(); err != nil {
			return err
		}
		return done()
	})
	if err != nil {
		write.Verdict, write.Observed, write.Reason, write.Remedy = guard.Fail, "it cannot be written to", err.Error(), remedy
		return []guard.Finding{write}
	}
	if !locked {
		lock.Verdict, lock.Observed = guard.Fail, "it does not"
		lock.Reason, lock.Remedy = "two rollouts could write one journal", "keep the journals on a local disk: --journal or GOLIVE_JOURNAL"
	}
	if kind, _, _ := fileSystem(there); kind != "" {
		write.Verdict, write.Observed = guard.Warn, kind
		write.Reason = "a journal there may be gone when it is needed"
		write.Remedy = "keep the journals on a local disk: --journal or GOLIVE_JOURNAL"
	}
	return []guard.Finding{write, lock}
}

// pluginFinding sees that a plugin is there, that it answers, and that it is the one that the plan means.
func (p *program) pluginFinding(ctx context.Context, plan *guard.Plan, i int) guard.Finding {
	plugin := plan.Plugins[i]
	f := guard.Finding{ID: "plugin." + plugin.Name, Title: "the plugin " + plugin.Name + " answers", Expected: "golive-plugin-" + plugin.Name + ", pinned by its SHA-256"}
	f.Remedy = "install it beside golive or on PATH, in the version that the plan means"
	path, err := plugins.Find(plugin.Name)
	if err != nil {
		f.Verdict, f.Observed, f.Reason = guard.Fail, "none", err.Error()
		return f
	}
	f.Observed = path
	if info, err := buildinfo.ReadFile(path); err == nil && info.Main.Version != "" {
		f.Observed += " " + info.Main.Version
	}
	kit, closeIt, err := p.open(ctx, plan, i)
	if err != nil {
		f.Verdict, f.Reason = guard.Fail, err.Error()
		return f
	}
	closeIt()
	s := supplies(plugin.Name, path, kit)
	f.Verdict, f.Remedy = guard.Pass, ""
	f.Title += ": " + plural(len(s.Backends)+len(s.Sources)+len(s.Notifiers)+len(s.Probes)+len(s.Vaults), "part") + ", " + plural(len(s.Checks), "check")
	if plugin.SHA256 == "" {
		f.Verdict = guard.Warn
		f.Reason = "the plan does not pin it: whoever can write to PATH decides what runs in its place"
		f.Remedy = "name the program that is meant in plugins[" + fmt.Sprint(i) + "]"
		if digest, err := digestOf(path); err == nil {
			f.Remedy += ": sha256: " + digest
		}
	}
	return f
}

func digestOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, file); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", digest.Sum(nil)), nil
}

// programsOf are the programs without which a built-in part can do nothing here.
func programsOf(part guard.Part) []string {
	switch part.Use {
	case "borg", "pgbackrest", "restic":
		return []string{part.Use}
	case "command":
		return []string{"sh"}
	case "nginx":
		own, _ := part.With["nginx"].(string)
		if strings.Contains(own, "${") {
			return nil // what the environment holds is kept to itself
		}
		return []string{cmp.Or(own, "nginx")}
	case "releases":
		return programsOfHosts(part.With["hosts"])
	case "velero":
		return []string{"kubectl"}
	}
	return nil
}

// programsOfHosts are those that reach the hosts of the part releases: ssh, or a shell for this machine.
func programsOfHosts(setting any) (programs []string) {
	hosts, _ := setting.([]any)
	if len(hosts) == 0 {
		return []string{"sh"}
	}
	for _, host := range hosts {
		words, _ := host.(map[string]any)
		if destination, _ := words["ssh"].(string); destination != "" {
			programs = append(programs, "ssh")
		} else {
			programs = append(programs, "sh")
		}
	}
	return programs
}

// programFindings sees that the programs that the parts of a plan need are there: those that the parts run by
// themselves, and those in its shell commands, about which the check tools.present asks.
func programFindings(ctx context.Context, plan *guard.Plan) (findings []guard.Finding) {
	var needed []string
	need := func(part guard.Part) {
		for _, name := range programsOf(part) {
			if !slices.Contains(needed, name) {
				needed = append(needed, name)
			}
		}
	}
	need(plan.Rollout.Backend)
	need(plan.Watch.Source)
	if plan.Watch.Fallback != nil {
		need(*plan.Watch.Fallback)
	}
	for _, part := range plan.Rollout.Verify {
		need(part)
	}
	for _, store := range plan.Data {
		for _, source := range store.Backups {
			need(source.Part)
		}
	}
	for _, channel := range plan.Notify {
		need(channel.Part)
	}
	for _, name := range needed {
		f := guard.Finding{ID: "program." + name, Verdict: guard.Pass, Title: name + " is installed", Expected: "a program on PATH"}
		path, err := exec.LookPath(name)
		if f.Observed = path; err != nil {
			f.Verdict, f.Observed = guard.Fail, "none"
			f.Reason, f.Remedy = "a part of the plan runs it: "+err.Error(), "install "+name+", or add its directory to PATH"
		}
		findings = append(findings, f)
	}
	present := slices.DeleteFunc(checks.All(), func(c guard.Check) bool { return c.ID != "tools.present" })
	scene := engine.Parts{}.Scene(ctx, plan, guard.Release{}, time.Now().UTC())
	for _, f := range engine.RunChecks(ctx, scene, present, nil) {
		ofPlugin := strings.HasPrefix(f.Subject, "golive-plugin-") // which has a finding of its own
		if f.ID = "program." + f.Subject; f.Subject != "" && !ofPlugin && !slices.Contains(needed, f.Subject) {
			findings = append(findings, f)
		}
	}
	return findings
}
