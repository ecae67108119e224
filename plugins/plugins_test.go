//go:build unix

package plugins_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// The kits that this test's own binary serves as a plugin.
var (
	good = plugins.Kit{
		Name: "good",
		Backends: map[string]func(guard.With) (guard.Backend, error){
			"memory": func(with guard.With) (guard.Backend, error) {
				m := &memory{}
				return m, with.Decode(&m.config)
			},
		},
		Sources:   map[string]func(guard.With) (guard.Source, error){"memory": func(guard.With) (guard.Source, error) { return memorySource{}, nil }},
		Notifiers: map[string]func(guard.With) (guard.Notifier, error){"memory": func(guard.With) (guard.Notifier, error) { return memoryNotifier{}, nil }},
		Probes:    map[string]func(guard.With) (guard.Probe, error){"memory": func(guard.With) (guard.Probe, error) { return memoryProbe{}, nil }},
		Vaults:    map[string]func(guard.With) (guard.Vault, error){"memory": func(guard.With) (guard.Vault, error) { return memoryVault{}, nil }},
		Checks:    []guard.Check{release},
	}
	bad = plugins.Kit{
		Name: "bad",
		Backends: map[string]func(guard.With) (guard.Backend, error){
			"bad": func(with guard.With) (guard.Backend, error) {
				if with["crash"] != nil {
					panic("no such flag")
				}
				return &badBackend{}, nil
			},
		},
		Sources: map[string]func(guard.With) (guard.Source, error){"bad": func(guard.With) (guard.Source, error) { return badSource{}, nil }},
		Probes:  map[string]func(guard.With) (guard.Probe, error){"bad": func(guard.With) (guard.Probe, error) { return badProbe{}, nil }},
	}
	terse = plugins.Kit{Name: "terse", Checks: []guard.Check{{Code: "T1", ID: "terse", Run: release.Run}}}
	thief = plugins.Kit{Name: "thief", Checks: []guard.Check{{Code: "GL101", ID: "plan.valid", Doc: "d"}}}
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) { // programs that are not even plugins
	case "golive-plugin-garbage":
		fmt.Println("hello, world")
		time.Sleep(time.Minute)
	case "golive-plugin-dies":
		fmt.Fprintln(os.Stderr, "no licence")
		os.Exit(3)
	case "golive-plugin-mute":
		time.Sleep(time.Minute)
	case "host":
		host()
	case "golive-plugin-newer":
		plugins.ServeNewer(good)
	case "golive-plugin-clings": // to life: it neither watches its standard input nor heeds signals
		plugins.ServeNewer(bad)
	case "golive-plugin-older":
		plugins.ServeOlder(good, "Notify")
	case "golive-plugin-past": // speaks the versions of the protocol before this one
		defer plugins.Speak(plugins.Versions{Oldest: 1, Newest: 2})()
		plugins.Serve(good)
	case "golive-plugin-future":
		defer plugins.Speak(plugins.Versions{Oldest: 3, Newest: 4})()
		plugins.Serve(good)
	default:
		plugintest.Main(m, good, bad, thief, plugins.Kit{Name: "nothing"}, terse)
	}
}

// memory is a backend that holds the traffic in its head.
type memory struct {
	config struct {
		Detail string `json:"detail"`
	}
	mu         sync.Mutex
	fence, seq int64
	percent    int
}

func (m *memory) Inspect(ctx context.Context, _ guard.Release) (guard.Standing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return guard.Standing{Percent: m.percent, Undo: guard.Undo{Open: true}, Detail: m.config.Detail}, ctx.Err()
}

func (m *memory) Shift(ctx context.Context, o guard.Order, percent int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.Fence < m.fence || o.Fence == m.fence && o.Seq < m.seq {
		return fmt.Errorf("order %d.%d comes after %d.%d", o.Fence, o.Seq, m.fence, m.seq)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m.fence, m.seq, m.percent = o.Fence, o.Seq, percent
	return nil
}

func (m *memory) Finish(ctx context.Context, o guard.Order) error { return ctx.Err() }

func (m *memory) Fences() guard.Fence { return guard.FenceEnforced }

var bornAt = time.Now()

type memorySource struct{}

func (memorySource) Read(ctx context.Context, q guard.Query) (guard.Reading, error) {
	at := time.Now()
	r := guard.Reading{At: at}
	for _, signal := range q.Signals {
		if signal.Total != "requests_total" {
			continue
		}
		for _, arm := range []guard.Arm{guard.Canary, guard.Baseline} {
			half := math.Floor(at.Sub(bornAt).Seconds()) / 2
			r.Series = append(r.Series, guard.Series{Signal: signal.Name, Arm: arm, Instance: "a", At: at,
				Total: 2 * half, Bounds: []float64{0.1, 1}, Buckets: []float64{half, half}, Sum: 1.0 / 3})
		}
	}
	return r, ctx.Err()
}

type memoryNotifier struct{}

func (memoryNotifier) Notify(ctx context.Context, n guard.Notice) (guard.Receipt, error) {
	return guard.Receipt{Detail: n.Title}, ctx.Err()
}

type memoryProbe struct{}

func (memoryProbe) Probe(ctx context.Context, r guard.Release) (guard.Finding, error) {
	return guard.Finding{Title: "the probe is told " + r.To, Verdict: guard.Warn, Reason: "r", Evidence: []guard.Evidence{{Asked: "a", Answer: "b"}}}, ctx.Err()
}

type memoryVault struct{}

var _ guard.Prover = memoryVault{}

func (memoryVault) Backups(ctx context.Context) ([]guard.Backup, error) {
	return []guard.Backup{{ID: "a", Ended: time.Unix(1764000000, 5).UTC(), Bytes: 7}, {ID: "b", Ended: time.Unix(1764000001, 0).UTC()}}, ctx.Err()
}

func (v memoryVault) Prove(ctx context.Context, want guard.Rung) (guard.Proof, error) {
	return guard.Climb(ctx, v, want, []guard.Ascent{{To: guard.RungRead, Take: func(ctx context.Context, b guard.Backup) (guard.Evidence, string, error) {
		return guard.Evidence{Asked: "memory", Answer: b.ID}, "", ctx.Err()
	}}})
}

var release = guard.Check{Code: "M1", ID: "memory.release", Doc: "It asks for a version.", Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
	f := guard.Finding{Title: "the release has a version", Verdict: guard.Pass}
	if s.Release.To == "" {
		f.Verdict, f.Reason = guard.Fail, "it has none"
	}
	return []guard.Finding{f}, nil
}}

// rawOutput is past the stream that go-plugin puts in the place of os.Stdout. It is never collected: that would close it.
var rawOutput = os.NewFile(1, "standard output")

// badBackend does what the ID of the release says.
type badBackend struct{}

func (*badBackend) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	switch r.ID {
	case "pid":
		return guard.Standing{Detail: strconv.Itoa(os.Getpid())}, nil
	case "environment":
		var names []string
		for _, variable := range os.Environ() {
			name, _, _ := strings.Cut(variable, "=")
			names = append(names, name)
		}
		return guard.Standing{Detail: strings.Join(names, " ")}, nil
	case "deadline":
		deadline, set := ctx.Deadline()
		return guard.Standing{Detail: fmt.Sprint(set, time.Until(deadline).Round(time.Minute))}, nil
	case "panic":
		panic("out of cheese")
	case "exit":
		os.Exit(3)
	case "child": // starts a process that holds its output open
		return startChild(exec.Command("sleep", r.To))
	case "daemon":
		return startChild(exec.Command("setsid", "sleep", r.To))
	case "json":
		slog.New(slog.NewJSONHandler(os.Stderr, nil)).Warn("flagd is slow", "attempt", 3, "where", "port 8013")
		hclog.New(&hclog.LoggerOptions{Output: os.Stderr, JSONFormat: true, Name: "inner"}).Error("gone\nfor good", "code", 7)
	case "flood":
		for i := range 5000 {
			fmt.Fprintln(os.Stderr, "line", i)
		}
		fmt.Fprintln(os.Stderr, strings.Repeat("x", 100<<10))
	case "raw":
		_, err := fmt.Fprintln(rawOutput, strings.Repeat("y", 300<<10)+"\nprinted")
		return guard.Standing{}, err
	case "stderr":
		fmt.Fprintln(os.Stderr, "a line\nanother")
		fmt.Println("and one to stdout")
	case "wait":
		<-ctx.Done()
		return guard.Standing{}, os.WriteFile(r.To, nil, 0o644)
	case "400%":
		return guard.Standing{Percent: 400}, nil
	case "huge":
		return guard.Standing{Detail: strings.Repeat("x", 17<<20)}, nil
	case "error":
		return guard.Standing{Percent: 50}, errors.New("rpc error: the balancer is on fire")
	}
	return guard.Standing{}, nil
}

// startChild starts what a plugin may start: a program that outlives its call. It says its process.
func startChild(cmd *exec.Cmd) (guard.Standing, error) {
	cmd.Stdout, cmd.Stderr = os.NewFile(1, "standard output"), os.NewFile(2, "standard error")
	if err := cmd.Start(); err != nil {
		return guard.Standing{}, err
	}
	return guard.Standing{Detail: strconv.Itoa(cmd.Process.Pid)}, nil
}

func (*badBackend) Shift(ctx context.Context, o guard.Order, _ int) error {
	if o.ID == "deaf" { // to its context
		time.Sleep(time.Minute)
	}
	return ctx.Err()
}

func (b *badBackend) Finish(ctx context.Context, o guard.Order) error { return b.Shift(ctx, o, 0) }

type badSource struct{}

func (badSource) Read(_ context.Context, q guard.Query) (guard.Reading, error) {
	s := guard.Series{Signal: q.Signals[0].Name, Arm: guard.Canary, At: time.Now(), Total: 1}
	switch q.Release.ID {
	case "NaN":
		s.Total = math.NaN()
	case "negative":
		s.Total = -1
	case "arm":
		s.Arm = "left"
	case "signal":
		s.Signal = "another"
	}
	return guard.Reading{At: time.Now(), Series: []guard.Series{s}}, nil
}

type badProbe struct{}

func (badProbe) Probe(context.Context, guard.Release) (guard.Finding, error) {
	return guard.Finding{Title: "t", Verdict: 99}, nil
}

func TestContracts(t *testing.T) {
	plugintest.Both(t, good, func(t *testing.T, kit plugins.Kit) {
		t.Run("backend", func(t *testing.T) {
			b := plugintest.Make(t, kit.Backends["memory"], guard.With{"detail": "d"})
			plugintest.Backend(t, b, plugintest.BackendCase{})
			if fence := guard.FenceOf(b); fence != guard.FenceEnforced {
				t.Errorf("the fence is %q, want that of the backend, %q", fence, guard.FenceEnforced)
			}
			s, err := b.Inspect(t.Context(), guard.Release{})
			if err != nil || s.Detail != "d" {
				t.Errorf("Inspect = %+v, %v, want the detail that the part was set up with", s, err)
			}
		})
		t.Run("source", func(t *testing.T) {
			plugintest.Source(t, plugintest.Make(t, kit.Sources["memory"], nil), plugintest.SourceCase{Query: guard.Query{
				Release: guard.Release{From: "v1", To: "v2"}, Signals: []guard.Signal{{Name: "s", Total: "requests_total", MaxIncrease: 0.1}}}})
		})
		t.Run("notifier", func(t *testing.T) {
			n := plugintest.Make(t, kit.Notifiers["memory"], nil)
			plugintest.Notifier(t, n, nil)
			got, err := n.Notify(t.Context(), guard.Notice{Title: "é<"})
			if err != nil || got.Detail != "é<" {
				t.Errorf("Notify = %+v, %v", got, err)
			}
		})
		t.Run("probe", func(t *testing.T) {
			plugintest.Probe(t, plugintest.Make(t, kit.Probes["memory"], nil), guard.Release{To: "v2"}, guard.Warn)
		})
		t.Run("vault", func(t *testing.T) {
			v := plugintest.Make(t, kit.Vaults["memory"], nil)
			plugintest.Vault(t, v, 2)
			plugintest.Prover(t, v, guard.RungRead)
			got, err := v.Backups(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want, _ := memoryVault{}.Backups(t.Context())
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Backups (-want +got):\n%s", diff)
			}
		})
		t.Run("check", func(t *testing.T) {
			plan := &guard.Plan{Service: "shop", Watch: guard.Watch{FalseRollback: 0.01}}
			last := plugintest.Check(t, kit.Checks[0], guard.Scene{Plan: plan}, guard.Scene{Plan: plan, Release: guard.Release{To: "v2"}, Now: time.Now()})
			if guard.Worst(last) != guard.Pass {
				t.Errorf("with a version: %+v", last)
			}
		})
		t.Run("set-up with a mistake", func(t *testing.T) {
			_, err := kit.Backends["memory"](guard.With{"detial": "d"})
			if err == nil || !strings.Contains(err.Error(), "detial: there is no such key (did you mean detail?)") {
				t.Errorf("error %v", err)
			}
		})
	})
}

// says calls the bad backend, and returns what it says or the error.
func says(t *testing.T, b guard.Backend, id string) string {
	t.Helper()
	s, err := b.Inspect(t.Context(), guard.Release{ID: id})
	if err != nil {
		return err.Error()
	}
	return s.Detail
}

func TestNonsense(t *testing.T) {
	kit := plugintest.Open(t, "bad", plugins.Options{})
	b := plugintest.Make(t, kit.Backends["bad"], nil)
	for id, want := range map[string]string{
		"400%":  "plugin bad: a share of 400% cannot be: it is 0 to 100",
		"error": "plugin bad: rpc error: the balancer is on fire",
		"huge":  "plugin bad: trying to send message larger than max",
	} {
		if got := says(t, b, id); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
	s := plugintest.Make(t, kit.Sources["bad"], nil)
	for id, want := range map[string]string{
		"":         "",
		"NaN":      "json: unsupported value: NaN",
		"negative": "a counter is negative",
		"arm":      `there is no arm "left"`,
		"signal":   "nobody asked for this signal",
	} {
		got, err := s.Read(t.Context(), guard.Query{Release: guard.Release{ID: id}, Signals: []guard.Signal{{Name: "s"}}})
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Read = %+v, error %v, want %q", id, got, err, want)
		}
	}
	p := plugintest.Make(t, kit.Probes["bad"], nil)
	if got, err := p.Probe(t.Context(), guard.Release{}); err == nil || !strings.Contains(err.Error(), "no verdict has the number 99") {
		t.Errorf("verdict 99: Probe = %+v, error %v", got, err)
	}
	if got := says(t, b, "pid"); strings.Contains(got, "plugin bad") {
		t.Errorf("after all that the plugin says %s", got)
	}
}

func TestCrash(t *testing.T) {
	kit := plugintest.Open(t, "bad", plugins.Options{})
	b := plugintest.Make(t, kit.Backends["bad"], nil)
	before := says(t, b, "pid")
	if got, want := says(t, b, "panic"), "plugin bad: it ended during the call (its last words: panic: out of cheese"; !strings.HasPrefix(got, want) {
		t.Errorf("panic: %q, want %q", got, want)
	}
	if after := says(t, b, "pid"); after == before || strings.Contains(after, "plugin bad") {
		t.Errorf("after a crash the plugin says %s, before it %s", after, before)
	}
	for range 3 {
		if got, want := says(t, b, "exit"), "plugin bad: it ended during the call"; !strings.HasPrefix(got, want) {
			t.Errorf("exit: %q, want %q", got, want)
		}
	}
	if got, want := says(t, b, "pid"), "plugin bad: it crashed 4 times within 1m0s, and is left alone until "; !strings.HasPrefix(got, want) {
		t.Errorf("after four crashes: %q, want %q", got, want)
	}
}

// TestOrdersAfterCrashes crashes a plugin until questions are refused. An order, which may be the way back, only waits.
func TestOrdersAfterCrashes(t *testing.T) {
	kit := plugintest.Open(t, "bad", plugins.Options{})
	b := plugintest.Make(t, kit.Backends["bad"], nil)
	for range 4 {
		says(t, b, "exit")
	}
	if got, want := says(t, b, "pid"), "it crashed 4 times within 1m0s"; !strings.Contains(got, want) {
		t.Fatalf("a question after four crashes: %q, want %q", got, want)
	}
	hurried, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.Shift(hurried, guard.Order{}, 0); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "it crashed 4 times") {
		t.Errorf("an order that does not wait: error %v", err)
	}
	if err := b.Shift(t.Context(), guard.Order{}, 0); err != nil {
		t.Errorf("an order after four crashes: %v", err)
	}
	if got := says(t, b, "pid"); strings.Contains(got, "plugin bad") {
		t.Errorf("a question about the order: %s", got)
	}
	says(t, b, "exit")
	began := time.Now()
	if err := b.Finish(t.Context(), guard.Order{}); err != nil {
		t.Errorf("an order after five crashes: %v", err)
	}
	if took := time.Since(began); took < 1500*time.Millisecond || took > 10*time.Second {
		t.Errorf("an order after five crashes took %v, want the pause of 2s", took)
	}
}

// TestCrashInMake ends a plugin while a part is made. The next part is made by a new process.
func TestCrashInMake(t *testing.T) {
	kit := plugintest.Open(t, "bad", plugins.Options{})
	_, err := kit.Backends["bad"](guard.With{"crash": true})
	if want := "plugin bad: it ended during the call (its last words: panic: no such flag"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("a crash in Make: error %v, want %q", err, want)
	}
	if got := says(t, plugintest.Make(t, kit.Backends["bad"], nil), "pid"); strings.Contains(got, "plugin bad") {
		t.Errorf("after a crash in Make the plugin says %s", got)
	}
}

// TestCallsEndWithTheirContext hangs a plugin, in calls that see the end of their context and that do not.
func TestCallsEndWithTheirContext(t *testing.T) {
	kit := plugintest.Open(t, "bad", plugins.Options{})
	b := plugintest.Make(t, kit.Backends["bad"], nil)
	if got := says(t, b, "deadline"); !strings.HasPrefix(got, "false ") {
		t.Errorf("a call without deadline has one: %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Minute)
	defer cancel()
	if s, err := b.Inspect(ctx, guard.Release{ID: "deadline"}); err != nil || s.Detail != "true 7m0s" {
		t.Errorf("the plugin sees the deadline %q, error %v", s.Detail, err)
	}

	before := says(t, b, "pid")
	ctx, cancelCause := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancelCause(errors.New("the aim has changed")) })
	start := time.Now()
	err := b.Shift(ctx, guard.Order{Release: guard.Release{ID: "deaf"}}, 50)
	if err == nil || err.Error() != "plugin bad: the aim has changed" || time.Since(start) > 10*time.Second {
		t.Errorf("Shift given up: error %v after %v", err, time.Since(start))
	}
	pid, err := strconv.Atoi(before)
	if err != nil {
		t.Fatal(err)
	}
	if !gone(pid) {
		t.Error("an order that was given up may still take effect: its process lives")
	}
	if after := says(t, b, "pid"); after == before || strings.Contains(after, "plugin bad") {
		t.Errorf("the next call says %s", after)
	}
}

// TestCancellationCrosses gives up a question, and waits until the plugin has seen it.
func TestCancellationCrosses(t *testing.T) {
	kit := plugintest.Open(t, "bad", plugins.Options{})
	b := plugintest.Make(t, kit.Backends["bad"], nil)
	seen := filepath.Join(t.TempDir(), "seen")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := b.Inspect(ctx, guard.Release{ID: "wait", To: seen}); !errors.Is(err, context.Canceled) {
		t.Errorf("Inspect: error %v, want %v", err, context.Canceled)
	}
	eventually(t, "the plugin sees the end of the context", func() bool { _, err := os.Stat(seen); return err == nil })
}

func TestEnvironmentIsFiltered(t *testing.T) {
	t.Setenv("PLUGIN_NEEDS_THIS", "yes")
	t.Setenv("GOLIVE_SECRET", "hunter2")
	t.Setenv("LANG", "C.UTF-8")
	kit := plugintest.Open(t, "bad", plugins.Options{Env: []string{"PLUGIN_NEEDS_THIS", "NOT_SET"}})
	got := strings.Fields(says(t, plugintest.Make(t, kit.Backends["bad"], nil), "environment"))
	slices.Sort(got)
	want := []string{"GOLIVE_PLUGIN", "HOME", "LANG", "PATH", "PLUGIN_MAX_PORT", "PLUGIN_MIN_PORT", "PLUGIN_NEEDS_THIS",
		"PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestLog(t *testing.T) {
	heard := make(chan string, 10)
	kit := plugintest.Open(t, "bad", plugins.Options{Log: func(line plugins.Line) { heard <- line.String() }})
	if got := says(t, plugintest.Make(t, kit.Backends["bad"], nil), "stderr"); got != "" {
		t.Fatal(got)
	}
	var got []string
	for range 3 {
		select {
		case line := <-heard:
			got = append(got, line)
		case <-time.After(5 * time.Second):
			t.Fatalf("only %q arrived", got)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"a line", "and one to stdout", "another"}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestDigest(t *testing.T) {
	path := plugintest.Install(t, "good")
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	right := hex.EncodeToString(sum[:])
	_, stop, err := plugins.Open(t.Context(), "good", plugins.Options{SHA256: strings.ToUpper(right)})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	_, _, err = plugins.Open(t.Context(), "good", plugins.Options{SHA256: strings.Repeat("0", 64)})
	want := fmt.Sprintf("plugin good: start %s: it is another program: its SHA-256 is %s, and the plan has %s", path, right, strings.Repeat("0", 64))
	if err == nil || err.Error() != want {
		t.Errorf("Open of another program: error %v, want %s", err, want)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for _, name := range []string{"garbage", "dies", "mute", "thief"} {
		plugintest.Install(t, name)
	}
	for name, want := range map[string]string{
		"garbage":      `is no plugin of golive: it answers "hello, world" instead of the handshake`,
		"dies":         `(its last words: no licence)`,
		"mute":         `plugin mute: context deadline exceeded`,
		"thief":        `plugin thief: check "plan.valid" has the code "GL101" (an ID is like flags.name, a code like FLAGS1, and none begins with GL)`,
		"not-here":     `plugin not-here: there is no program golive-plugin-not-here beside golive or on PATH (install it there)`,
		"../etc/x":     `plugin "../etc/x": a name has small letters, digits and dashes (it is no path)`,
		"/bin/sh":      `it is no path`,
		"":             `plugin "": a name has`,
		"-x":           `plugin "-x": a name has`,
		"garbage\nfoo": `a name has`,
	} {
		patience := 30 * time.Second
		if name == "mute" {
			patience = 2 * time.Second
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		kit, _, err := plugins.Open(ctx, name, plugins.Options{})
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %v, error %v, want %q", name, kit, err, want)
		}
	}
}

func TestStartedByHand(t *testing.T) {
	output, err := exec.CommandContext(t.Context(), plugintest.Install(t, "good")).CombinedOutput()
	if err == nil || !strings.Contains(string(output), "name it under plugins: in golive.yaml") {
		t.Errorf("by hand: %s, error %v", output, err)
	}
}

// host is golive in little: it opens a plugin, says the processes of the plugin and of a child of it, and waits for its
// end.
func host() {
	kit, _, err := plugins.Open(context.Background(), os.Args[1], plugins.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	b, err := kit.Backends["bad"](nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	plugin, err := b.Inspect(context.Background(), guard.Release{ID: "pid"})
	child, err2 := b.Inspect(context.Background(), guard.Release{ID: "child", To: "300"})
	fmt.Println(plugin.Detail, child.Detail, errors.Join(err, err2))
	// An order that never comes to its end, so that the plugin is busy when its host dies.
	_ = b.Shift(context.Background(), guard.Order{Release: guard.Release{ID: "deaf"}}, 1)
}

// TestNothingStaysBehind kills a host by kill -9, which can tell nobody, and looks for the plugin, for the child of the
// plugin, and for the directory of its socket. A plugin that does not watch its standard input ends too where the
// system sees to it; what it has started it would have to end itself.
func TestNothingStaysBehind(t *testing.T) {
	for name, careful := range map[string]bool{"bad": true, "clings": false} {
		t.Run(name, func(t *testing.T) {
			if !careful && runtime.GOOS != "linux" {
				t.Skip("only Linux ends a program whose parent is gone")
			}
			plugin := plugintest.Install(t, name)
			program := filepath.Join(filepath.Dir(plugin), "host")
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(self, program); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), program, name)
			scratch := t.TempDir()
			cmd.Env = append(os.Environ(), "TMPDIR="+scratch)
			output, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(output).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			var pid, child int
			var rest string
			if _, err := fmt.Sscan(line, &pid, &child, &rest); err != nil || rest != "<nil>" {
				t.Fatalf("the host says %q", line)
			}
			defer func() {
				_ = syscall.Kill(child, syscall.SIGKILL) // an error means that it has ended
			}()
			if gone(pid) || gone(child) {
				t.Fatal("the plugin or its child does not run")
			}
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // says that it was killed
			eventually(t, "the plugin ends with its host", func() bool { return gone(pid) })
			if careful {
				eventually(t, "the child of the plugin ends with it", func() bool { return gone(child) })
				eventually(t, "the directory of the socket is gone", func() bool {
					left, err := os.ReadDir(scratch)
					return err == nil && len(left) == 0
				})
			}
		})
	}
}

// eventually waits for another process, which no synctest bubble can hold.
func eventually(t *testing.T, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !true(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10s: %s", what)
		}
	}
}

// gone says that a process runs no more; one that nobody waited for yet is gone too.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func TestJoin(t *testing.T) {
	backend := func(guard.With) (guard.Backend, error) { return &memory{}, nil }
	probe := func(guard.With) (guard.Probe, error) { return memoryProbe{}, nil }
	backends := func(names ...string) map[string]func(guard.With) (guard.Backend, error) {
		m := make(map[string]func(guard.With) (guard.Backend, error))
		for _, name := range names {
			m[name] = backend
		}
		return m
	}
	ours := plugins.Kit{Name: "golive", Backends: backends("http", "command"), Probes: map[string]func(guard.With) (guard.Probe, error){"http": probe},
		Checks: []guard.Check{{Code: "GL1", ID: "a"}}}
	for name, c := range map[string]struct {
		kits   []plugins.Kit
		parts  int
		checks int
		err    string
	}{
		"nothing":           {nil, 0, 0, ""},
		"one":               {[]plugins.Kit{ours}, 2, 1, ""},
		"two":               {[]plugins.Kit{ours, {Name: "plugin a", Backends: backends("a"), Checks: []guard.Check{{Code: "A1", ID: "b"}}}}, 3, 2, ""},
		"backend twice":     {[]plugins.Kit{ours, {Name: "plugin a", Backends: backends("http")}}, 0, 0, "the backend http is supplied by golive and by plugin a"},
		"check twice":       {[]plugins.Kit{ours, {Name: "plugin a", Checks: []guard.Check{{Code: "A1", ID: "a"}}}}, 0, 0, "the check a is supplied by golive and by plugin a"},
		"two mistakes":      {[]plugins.Kit{ours, ours}, 0, 0, "the backend command is supplied by golive and by golive\nthe backend http is supplied by golive and by golive\nthe check GL1 is supplied by golive and by golive\nthe check a is supplied by golive and by golive\nthe probe http is supplied by golive and by golive"},
		"needs of ours":     {[]plugins.Kit{ours, {Name: "plugin a", Checks: []guard.Check{{Code: "A1", ID: "b", Needs: []string{"a"}}}}}, 2, 2, ""},
		"needs nobody":      {[]plugins.Kit{ours, {Name: "plugin a", Checks: []guard.Check{{Code: "A1", ID: "b", Needs: []string{"xyz"}}}}}, 0, 0, `the check b needs "xyz", and there is no such check (there are: a, b)`},
		"of different kind": {[]plugins.Kit{ours, {Name: "plugin a", Sources: map[string]func(guard.With) (guard.Source, error){"http": nil}}}, 2, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := plugins.Join(c.kits...)
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("Join: error %v\nwant %s", err, c.err)
				}
				return
			}
			if err != nil || len(got.Backends) != c.parts || len(got.Checks) != c.checks {
				t.Errorf("Join has %d backends and %d checks, error %v, want %d and %d", len(got.Backends), len(got.Checks), err, c.parts, c.checks)
			}
		})
	}
}

// BenchmarkCall is the cost of a plugin: one question there and back.
func BenchmarkCall(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "golive-plugin-good")); err != nil {
		b.Fatal(err)
	}
	b.Setenv("PATH", dir)
	kit, stop, err := plugins.Open(b.Context(), "good", plugins.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	backend, err := kit.Backends["memory"](nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := backend.Inspect(b.Context(), guard.Release{}); err != nil {
			b.Fatal(err)
		}
	}
}
