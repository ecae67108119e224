// Package plugintest holds parts to the contracts of package guard: one suite for every kind of part, the same
// for a part that is linked in and for one that is reached through a plugin's process.
//
// The test of a plugin runs its own binary as the plugin, so that there is nothing to build:
//
//	func TestMain(m *testing.M) { plugintest.Main(m, kit) }
//
//	func TestBackend(t *testing.T) {
//		with := plugins.With{"file": filepath.Join(t.TempDir(), "flags.json")}
//		plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
//			plugintest.Backend(t, plugintest.Make(t, kit.Backends["flags"], with), plugintest.BackendCase{})
//		})
//	}
package plugintest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
)

// prefix of the names of plugins' programs.
const prefix = "golive-plugin-"

// Main runs the tests, or, in a process that Open started, one of the kits as a plugin. Each kit needs a name.
func Main(m *testing.M, kits ...plugins.Kit) {
	program := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	name, plugin := strings.CutPrefix(program, prefix)
	if !plugin {
		os.Exit(m.Run())
	}
	for _, kit := range kits {
		if kit.Name == name {
			plugins.Serve(kit)
			return
		}
	}
	fmt.Fprintf(os.Stderr, "no kit is called %s\n", name)
	os.Exit(1)
}

// Open runs the test's own binary as the plugin with a name, for as long as the test takes. It changes PATH,
// and so cannot be used in parallel tests.
func Open(t *testing.T, name string, options plugins.Options) plugins.Kit {
	t.Helper()
	Install(t, name)
	return open(t, name, options)
}

// Program runs a program that is there already, in whatever language, as a plugin, for as long as the test takes, and
// returns its kit. First it holds the program to what golive relies on: the questions of golive plugins verify. The
// suites of this package then take the parts of the kit, made by Make.
//
//	kit := plugintest.Program(t, "dist/golive-plugin-flags", plugins.Options{})
//	plugintest.Backend(t, plugintest.Make(t, kit.Backends["flags"], with), plugintest.BackendCase{})
//
// It changes PATH, and so cannot be used in parallel tests.
func Program(t *testing.T, path string, options plugins.Options) plugins.Kit {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(filepath.Base(path), prefix)
	name = strings.TrimSuffix(name, filepath.Ext(name)) // .exe, .py
	install(t, name, path)
	_, findings := plugins.Verify(t.Context(), name, logged(t, name, options))
	for _, f := range findings {
		said := fmt.Sprintf("%s: %s: %v, %s (%s)", name, f.Title, f.Verdict, f.Reason, f.Remedy)
		switch f.Verdict {
		case guard.Pass:
		case guard.Warn: // a start that is slow on a busy machine, a program that was just built and is not pinned
			t.Log(said)
		default:
			t.Error(said)
		}
	}
	return open(t, name, options)
}

// logged tells the log of a plugin to the test, if nobody else takes it.
func logged(t *testing.T, name string, options plugins.Options) plugins.Options {
	if options.Log == nil {
		options.Log = func(line plugins.Line) { t.Logf("plugin %s: %s", name, line) }
	}
	return options
}

func open(t *testing.T, name string, options plugins.Options) plugins.Kit {
	t.Helper()
	kit, stop, err := plugins.Open(t.Context(), name, logged(t, name, options))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return kit
}

// Install puts the test's own binary on PATH as the program of a plugin, and returns where it is.
func Install(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return install(t, name, self)
}

func install(t *testing.T, name, program string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, prefix+name)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if err := os.Symlink(program, path); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return path
}

// Both runs a test twice: near, with the kit itself, and far, with the kit of a plugin that serves it.
func Both(t *testing.T, kit plugins.Kit, test func(t *testing.T, kit plugins.Kit)) {
	t.Run("near", func(t *testing.T) { test(t, kit) })
	t.Run("far", func(t *testing.T) { test(t, Open(t, kit.Name, plugins.Options{})) })
}

// Make makes a part.
func Make[P any](t *testing.T, maker func(guard.With) (P, error), with guard.With) P {
	t.Helper()
	if maker == nil {
		t.Fatal("the kit has no such part")
	}
	part, err := maker(with)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

// patience is how long a part may take to notice that nobody waits for it any more.
const patience = 5 * time.Second

// heedsContext calls a part with a context that is over, and wants an error soon.
func heedsContext(t *testing.T, what string, call func(context.Context) error) {
	t.Helper()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	if err := call(over); err == nil {
		t.Errorf("%s: no error although its context is over (give ctx to whatever it waits for)", what)
	}
	if took := time.Since(start); took > patience {
		t.Errorf("%s: took %v to notice that its context is over", what, took)
	}
}

// A BackendCase says how a backend is tested. The zero value will do for most.
type BackendCase struct {
	Release guard.Release // default: from v1 to v2 of shop
	Shares  []int         // to be tried; default 1, 10, 50, or those that the standing names
	Fenced  bool          // as a backend does that says so itself (guard.Fencer): it refuses orders with a lower (Fence, Seq) than the highest that it saw
}

// Backend holds a backend to its contract. The traffic is all on the old version at first, and in the end all
// on the new one.
func Backend(t *testing.T, b guard.Backend, c BackendCase) {
	t.Helper()
	if c.Release == (guard.Release{}) {
		c.Release = guard.Release{ID: "r1", Service: "shop", Environment: "test", From: "v1", To: "v2"}
	}
	var seq int64
	order := func() guard.Order {
		seq++
		return guard.Order{Release: c.Release, Fence: 7, Seq: seq, Key: fmt.Sprintf("%s/%d", c.Release.ID, seq)}
	}
	inspect := func(t *testing.T) guard.Standing {
		t.Helper()
		s, err := b.Inspect(t.Context(), c.Release)
		if err != nil {
			t.Fatalf("Inspect: %v", err)
		}
		if err := s.Check(); err != nil {
			t.Fatalf("Inspect: %v", err)
		}
		return s
	}
	shift := func(t *testing.T, percent int) {
		t.Helper()
		o := order()
		for range 2 { // it may be repeated
			if err := b.Shift(t.Context(), o, percent); err != nil {
				t.Fatalf("Shift to %d%%: %v", percent, err)
			}
			if got := inspect(t).Percent; got != percent {
				t.Fatalf("after Shift to %d%% Inspect says %d%%", percent, got)
			}
		}
	}

	t.Run("inspect changes nothing", func(t *testing.T) {
		before := inspect(t)
		if diff := cmp.Diff(before, inspect(t)); diff != "" {
			t.Errorf("Inspect twice (-first +second):\n%s", diff)
		}
		if before.Percent != 0 {
			t.Errorf("Inspect says %d%% before the first Shift", before.Percent)
		}
		if !before.Undo.Open && before.Undo.Detail == "" {
			t.Error("the way back is closed, and Undo.Detail does not say why")
		}
	})
	t.Run("shift and undo", func(t *testing.T) {
		shares := c.Shares
		if shares == nil {
			shares = inspect(t).Shares
		}
		if shares == nil {
			shares = []int{1, 10, 50}
		}
		for _, percent := range append(shares, 100, 0, 100, 0) {
			shift(t, percent)
		}
	})
	t.Run("context", func(t *testing.T) {
		heedsContext(t, "Inspect", func(ctx context.Context) error { _, err := b.Inspect(ctx, c.Release); return err })
		heedsContext(t, "Shift", func(ctx context.Context) error { return b.Shift(ctx, order(), 0) })
		if got := inspect(t).Percent; got != 0 {
			t.Errorf("Inspect says %d%% after the tests with a context that is over", got)
		}
	})
	if fencer, ok := b.(guard.Fencer); ok && fencer.Fences() != "" && guard.FenceOf(b) == "" {
		t.Errorf("Fences says %q, which is none of the words that there are", fencer.Fences())
	}
	if c.Fenced || guard.FenceOf(b) == guard.FenceEnforced {
		t.Run("fence", func(t *testing.T) {
			late := order()
			shift(t, 0)
			older := order()
			older.Fence--
			older.Seq += 100
			for _, o := range []guard.Order{late, older} {
				if err := b.Shift(t.Context(), o, 100); err == nil {
					t.Errorf("Shift with fence %d and seq %d, after fence 7 and seq %d, is obeyed", o.Fence, o.Seq, seq)
				}
			}
			if got := inspect(t).Percent; got != 0 {
				t.Errorf("Inspect says %d%% after orders that are too late", got)
			}
		})
	}
	t.Run("finish", func(t *testing.T) {
		shift(t, 100)
		o := order()
		for range 2 {
			if err := b.Finish(t.Context(), o); err != nil {
				t.Fatalf("Finish: %v", err)
			}
		}
		if got := inspect(t).Percent; got != 100 {
			t.Errorf("after Finish Inspect says %d%%", got)
		}
	})
}

// A SourceCase says how a source is tested.
type SourceCase struct {
	Query guard.Query // of which there has to be data, for both arms unless the release is the first
}

// Source holds a source to its contract.
func Source(t *testing.T, s guard.Source, c SourceCase) {
	t.Helper()
	read := func(t *testing.T, q guard.Query) guard.Reading {
		t.Helper()
		r, err := s.Read(t.Context(), q)
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		if err := guard.CheckReading(q, r); err != nil {
			t.Fatalf("Read: %v", err)
		}
		return r
	}
	t.Run("data", func(t *testing.T) {
		first, second := read(t, c.Query), read(t, c.Query)
		if second.At.Before(first.At) {
			t.Errorf("the second reading is from %v, the first from %v", second.At, first.At)
		}
		type key struct {
			signal   string
			arm      guard.Arm
			instance string
		}
		seen := make(map[key]guard.Series)
		arms := make(map[key]bool)
		for _, series := range first.Series {
			k := key{series.Signal, series.Arm, series.Instance}
			if _, twice := seen[k]; twice {
				t.Errorf("there are two series of %+v in one reading", k)
			}
			seen[k] = series
			arms[key{signal: series.Signal, arm: series.Arm}] = true
		}
		for _, series := range second.Series {
			before, known := seen[key{series.Signal, series.Arm, series.Instance}]
			if known && (series.Total < before.Total || series.At.Before(before.At)) {
				t.Errorf("series %s of %s on %s goes back, from %v to %v", series.Signal, series.Arm, series.Instance, before, series)
			}
		}
		for _, signal := range c.Query.Signals {
			for _, arm := range []guard.Arm{guard.Canary, guard.Baseline} {
				if !arms[key{signal: signal.Name, arm: arm}] && !(arm == guard.Baseline && c.Query.Release.First()) {
					t.Errorf("there is no data of %s for %s", signal.Name, arm)
				}
			}
		}
	})
	t.Run("no data is no error", func(t *testing.T) {
		nothing := guard.Signal{Name: "nothing", Total: "golive_no_such_metric_total", Bad: "golive_no_such_metric_total"}
		if r := read(t, guard.Query{Release: c.Query.Release, Signals: []guard.Signal{nothing}}); len(r.Series) > 0 {
			t.Errorf("there are series of a metric that there is not: %v", r.Series)
		}
	})
	t.Run("context", func(t *testing.T) {
		heedsContext(t, "Read", func(ctx context.Context) error { _, err := s.Read(ctx, c.Query); return err })
	})
}

// Notifier holds a notifier to its contract. Delivered, if it is given, counts what has arrived so far.
func Notifier(t *testing.T, n guard.Notifier, delivered func() int) {
	t.Helper()
	notice := guard.Notice{
		Key:     "r1/1",
		Release: guard.Release{ID: "r1", Service: "shop", Environment: "test", From: "v1", To: "v2"},
		Title:   `v2 was taken back: {{.To}} <b>&amp; "quotes"`,
		Text:    "one\ntwo\n",
		At:      time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC),
	}
	for range 2 { // it may be repeated
		if _, err := n.Notify(t.Context(), notice); err != nil {
			t.Fatalf("Notify: %v", err)
		}
	}
	if delivered != nil && delivered() == 0 {
		t.Error("Notify has no error, and nothing arrived")
	}
	heedsContext(t, "Notify", func(ctx context.Context) error { _, err := n.Notify(ctx, notice); return err })
}

// Collector holds a collector to its contract, and to something that it has to bring from the world as the test has set
// it up.
func Collector(t *testing.T, c guard.Collector, r guard.Release, want string) {
	t.Helper()
	for range 2 { // it may be repeated
		content, err := c.Collect(t.Context(), r)
		if err != nil {
			t.Fatalf("Collect: %v", err)
		}
		if !strings.Contains(string(content), want) {
			t.Errorf("Collect brings %d bytes without %q", len(content), want)
		}
		if len(content) > guard.ExhibitAtMost {
			t.Errorf("Collect brings %d bytes, more than the %d that are kept", len(content), guard.ExhibitAtMost)
		}
	}
	heedsContext(t, "Collect", func(ctx context.Context) error { _, err := c.Collect(ctx, r); return err })
}

// Probe holds a probe to its contract, and to the verdict that is true of the world as the test has set it up.
func Probe(t *testing.T, p guard.Probe, r guard.Release, want guard.Verdict) {
	t.Helper()
	finding, err := p.Probe(t.Context(), r)
	if err != nil {
		t.Fatalf("Probe: %v", err)
	}
	if finding.Verdict != want {
		t.Errorf("Probe says %v (%s), want %v", finding.Verdict, finding.Reason, want)
	}
	complete(t, finding)
	heedsContext(t, "Probe", func(ctx context.Context) error { _, err := p.Probe(ctx, r); return err })
}

// complete holds a finding to what a person needs.
func complete(t *testing.T, f guard.Finding) {
	t.Helper()
	if _, err := f.Verdict.MarshalText(); err != nil {
		t.Error(err)
	}
	if f.Title == "" {
		t.Errorf("a finding has no title: %+v", f)
	}
	if f.Verdict != guard.Pass && f.Reason == "" {
		t.Errorf("the finding %q says %v without a reason", f.Title, f.Verdict)
	}
}

// Check holds a check to its contract in each scene, one of which should be the zero Scene with a plan: a check
// has to cope with what is missing. It returns the findings of the last scene.
func Check(t *testing.T, c guard.Check, scenes ...guard.Scene) (last []guard.Finding) {
	t.Helper()
	if c.Code == "" || c.ID == "" || c.Doc == "" {
		t.Errorf("check %q, code %q, doc %q: one of them is missing", c.ID, c.Code, c.Doc)
	}
	for _, scene := range scenes {
		findings, err := c.Run(t.Context(), scene)
		if err != nil {
			t.Fatalf("check %s: %v", c.ID, err)
		}
		if len(findings) == 0 {
			t.Errorf("check %s finds nothing, which counts as Unknown (say Pass if all is well)", c.ID)
		}
		for _, f := range findings {
			complete(t, f)
		}
		again, err := c.Run(t.Context(), scene)
		if err != nil || !reflect.DeepEqual(findings, again) {
			t.Errorf("check %s finds another thing the second time: %v, error %v, at first %v", c.ID, again, err, findings)
		}
		last = findings
	}
	return last
}
