package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
	"github.com/golive-dev/golive/plugins/scrape"
)

// The test binary is also golive and a plugin, so that the scripts run real processes and nothing needs to be built.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "8") // the scripts wait most of the time
	programs := map[string]func(){
		"golive":             main,
		"golive-plugin-fake": servesFake,
		"shopd":              servesRelease,
	}
	if programs[strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")] == nil {
		os.Unsetenv("GITHUB_ACTIONS") // where golive's own pipeline runs the tests, they are no step of it
	}
	testscript.Main(m, programs)
}

// servesFake is the main of the plugin. It appends to the file in FAKE_STARTS, and logs the value of FAKE_TOKEN, if it
// sees them.
func servesFake() {
	if path := os.Getenv("FAKE_STARTS"); path != "" {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err == nil {
			_, err = fmt.Fprintln(file, "started")
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			panic(err)
		}
	}
	if token := os.Getenv("FAKE_TOKEN"); token != "" {
		slog.New(slog.NewJSONHandler(os.Stderr, nil)).Warn("logged in\ngolive: all is well", "with", token)
	}
	plugins.Serve(fake)
}

// fake is the kit of the plugin: a backend whose traffic is in a file, a source that remarks on what it reads, and a
// check that says no when told so.
var fake = plugins.Kit{
	Name: "fake kit",
	Backends: map[string]func(guard.With) (guard.Backend, error){
		"fake": func(with guard.With) (guard.Backend, error) {
			var b fakeBackend
			return &b, with.Decode(&b)
		},
	},
	Sources: map[string]func(guard.With) (guard.Source, error){
		"fake": func(with guard.With) (guard.Source, error) {
			var c struct {
				Canary  []any    `json:"canary"`
				Stable  []any    `json:"stable"`
				Remarks []string `json:"remarks"`
			}
			if err := with.Decode(&c); err != nil {
				return nil, err
			}
			scraped, err := scrape.NewSource(guard.With{"canary": c.Canary, "stable": c.Stable})
			return fakeSource{scraped, c.Remarks}, err
		},
	},
	Checks: []guard.Check{{Code: "FAKE1", ID: "fake.mood", Doc: "Asks how the plugin feels.",
		Run: func(_ context.Context, s guard.Scene) ([]guard.Finding, error) {
			f := guard.Finding{Title: "the plugin is in a good mood", Verdict: guard.Pass}
			if strings.HasSuffix(s.Release.To, "-sad") {
				f.Verdict, f.Reason, f.Remedy = guard.Fail, "it does not like "+s.Release.To, "cheer it up"
			}
			return []guard.Finding{f}, nil
		},
	}},
}

// fakeBackend keeps the share in a file, and beside it, in FILE.log, what it was asked for: fence, seq and percent.
type fakeBackend struct {
	File string `json:"file"`
}

func (b *fakeBackend) Inspect(context.Context, guard.Release) (guard.Standing, error) {
	text, err := os.ReadFile(b.File)
	if err != nil {
		return guard.Standing{}, err
	}
	percent, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return guard.Standing{Percent: percent, Undo: guard.Undo{Open: true}}, err
}

func (b *fakeBackend) Shift(_ context.Context, o guard.Order, percent int) error {
	log, err := os.OpenFile(b.File+".log", os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(log, o.Fence, o.Seq, percent)
	return errors.Join(err, log.Close(), os.WriteFile(b.File, fmt.Appendln(nil, percent), 0o600))
}

func (b *fakeBackend) Finish(context.Context, guard.Order) error { return nil }

// fakeSource scrapes, and remarks on each reading.
type fakeSource struct {
	guard.Source
	remarks []string
}

func (s fakeSource) Read(ctx context.Context, q guard.Query) (guard.Reading, error) {
	reading, err := s.Source.Read(ctx, q)
	reading.Remarks = s.remarks
	return reading, err
}

// TestScripts runs golive as people do. Each script begins with the plan of testdata/golive.yaml for the shop that
// its command shop opens.
func TestScripts(t *testing.T) {
	plan, err := os.ReadFile("testdata/golive.yaml")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("GOLIVE_BY", "ada")
			e.Setenv("LANG", "C.UTF-8")
			e.Values[besides{}] = map[string]*beside{}
			path := filepath.Join(e.WorkDir, "golive.yaml")
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				text, err = plan, nil // the script has no plan of its own
			}
			return errors.Join(err, os.WriteFile(path, []byte(upToDate(string(text))), 0o600))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"shop": openShop, "exits": exits, "replace": replace,
			"output": handedOn, "start": start, "await": await, "signal": signalTo, "ended": ended,
			"hub":  func(ts *testscript.TestScript, _ bool, args []string) { hub(t, ts, args) },
			"port": func(ts *testscript.TestScript, neg bool, args []string) { port(t, ts, neg, args) },
		},
		RequireExplicitExec: true,
	})
}

// upToDate is a plan that people looked at today: on a later day the tests are what they are on this one.
func upToDate(plan string) string {
	return strings.ReplaceAll(plan, "2026-01-01", time.Now().UTC().Format(time.DateOnly))
}

// TestHelp holds every command to having a help that works: each example can be called.
func TestHelp(t *testing.T) {
	p := &program{env: envconfig.MapLookuper(nil)}
	if err := p.settings.read(t.Context(), p.env); err != nil {
		t.Fatal(err)
	}
	root := p.root()
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		if c.Short == "" || c.Long == "" || c.Example == "" {
			t.Errorf("%s: short, long and example have to be there", c.CommandPath())
		}
		for text := range strings.SplitSeq(c.Example, "\n") {
			words := strings.Fields(text)
			if len(words) == 0 || words[0] != "golive" {
				continue
			}
			called, rest, err := root.Find(words[1:])
			if err != nil || called == root {
				t.Errorf("%s: the example %q calls no command: %v", c.CommandPath(), text, err)
				continue
			}
			for _, word := range rest {
				name, isFlag := strings.CutPrefix(word, "--")
				if isFlag && called.Flag(name) == nil {
					t.Errorf("%s: the example %q has a flag that is not there: %s", c.CommandPath(), text, word)
				}
			}
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(root)
}

// A shop has a new version and an old one, and customers who never stop. Which share of them meets the new version
// stands in the file percent, and which share of those meets an error in the file errors. Its metrics count them.
type shop struct {
	dir string

	mu     sync.Mutex
	seen   time.Time
	visits map[string]float64
	errors map[string]float64
}

const customersPerSecond = 3000

// openShop is the command shop: it opens a shop in the directory of the script, and sets SHOP to its address.
func openShop(ts *testscript.TestScript, _ bool, _ []string) {
	s := &shop{dir: ts.Getenv("WORK"), seen: time.Now(), visits: map[string]float64{}, errors: map[string]float64{}}
	for name, text := range map[string]string{"percent": "0\n", "errors": "0.1\n"} {
		ts.Check(os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
	}
	ts.Check(beginLedger(s.dir))
	server := httptest.NewServer(s)
	ts.Defer(server.Close)
	ts.Setenv("SHOP", strings.TrimPrefix(server.URL, "http://"))
}

// beginLedger begins the ledger of the plan golive.yaml, in which nothing is owed.
func beginLedger(dir string) error {
	j, err := journal.Create(filepath.Join(dir, "golive.ledger"))
	if err != nil {
		return err
	}
	at := time.Now().UTC()
	_, err = j.Append(string(guard.Begun), at, guard.Entry{At: at, Act: guard.Begun, Kind: "ledger"})
	return errors.Join(err, j.Close())
}

// ServeHTTP answers /canary and /stable with the metrics of that version.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arm := strings.TrimPrefix(r.URL.Path, "/")
	share, errorRate := s.number("percent")/100, s.number("errors")/100
	if share < 0 || errorRate < 0 {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	customers := customersPerSecond * time.Since(s.seen).Seconds()
	s.seen = time.Now()
	for name, c := range map[string]struct{ share, errors float64 }{
		"canary": {share, errorRate},
		"stable": {1 - share, 0.001},
	} {
		s.visits[name] += customers * c.share
		s.errors[name] += customers * c.share * c.errors
	}
	good, bad := s.visits[arm]-s.errors[arm], s.errors[arm]
	fmt.Fprintf(w, "# TYPE http_requests_total counter\n")
	fmt.Fprintf(w, "http_requests_total{code=\"200\"} %.0f\n", good)
	fmt.Fprintf(w, "http_requests_total{code=\"500\"} %.0f\n", bad)
	fmt.Fprintf(w, "# TYPE http_request_duration_seconds histogram\n")
	for _, b := range []struct {
		bound string
		share float64
	}{{"0.05", .5}, {"0.1", .9}, {"0.25", .99}, {"+Inf", 1}} {
		fmt.Fprintf(w, "http_request_duration_seconds_bucket{le=%q} %.0f\n", b.bound, b.share*s.visits[arm])
	}
	fmt.Fprintf(w, "http_request_duration_seconds_sum %f\nhttp_request_duration_seconds_count %.0f\n", .08*s.visits[arm], s.visits[arm])
}

// number reads a file that holds one; -1 is one that holds none.
func (s *shop) number(name string) float64 {
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return -1
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil {
		return -1
	}
	return f
}

// exits is a command: exits CODE program [args...] demands the exit code of a program.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program [args...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	code := 0
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%s: %v", args[1], err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("%s: exit code %d, want %s", strings.Join(args[1:], " "), code, want)
	}
}

// replace is a command: replace OLD NEW FILE replaces a text that a file must hold. In the new one, as in the plan,
// 2026-01-01 is today.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace OLD NEW FILE")
	}
	path := ts.MkAbs(args[2])
	text, err := os.ReadFile(path)
	ts.Check(err)
	unquote := strings.NewReplacer(`\n`, "\n").Replace
	from, to := unquote(args[0]), upToDate(unquote(args[1]))
	if !bytes.Contains(text, []byte(from)) {
		ts.Fatalf("%s does not hold %q", args[2], from)
	}
	ts.Check(os.WriteFile(path, bytes.Replace(text, []byte(from), []byte(to), 1), 0o600))
}

// A beside is a program that runs beside a script. What it says is in NAME.out and NAME.err.
type beside struct {
	cmd  *exec.Cmd
	over chan struct{}
}

// besides is under which key the programs that run beside a script are kept, by name.
type besides struct{}

func programs(ts *testscript.TestScript) map[string]*beside {
	return ts.Value(besides{}).(map[string]*beside)
}

func programNamed(ts *testscript.TestScript, name string) *beside {
	b := programs(ts)[name]
	if b == nil {
		ts.Fatalf("no program %s was started", name)
	}
	return b
}

// start is a command: start NAME program [args...] runs a program beside the script.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME program [args...]")
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", `exec "$0" "$@"`}, args[1:]...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG", "GOLIVE_BY", "GOLIVE_SERVER", "GOLIVE_TOKEN", "GOLIVE_STORE", "SHOP", "GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	out, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	defer out.Close()
	story, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	defer story.Close()
	cmd.Stdout, cmd.Stderr = out, story
	ts.Check(cmd.Start())
	b := &beside{cmd, make(chan struct{})}
	programs(ts)[args[0]] = b
	go func() {
		cmd.Wait()
		close(b.over)
	}()
	ts.Defer(func() {
		cmd.Process.Kill()
		<-b.over
	})
}

// port is a command: port NAME sets a variable to a port that a server of the script can have, also again.
func port(t *testing.T, ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port NAME")
	}
	ts.Setenv(args[0], strconv.Itoa(plugintest.Port(t)))
}

const patience = 2 * time.Minute

// await is a command: await FILE PATTERN waits until a file holds what a regular expression says.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var text []byte
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err == nil && pattern.Match(text) {
			return
		}
	}
	ts.Fatalf("%s does not come to hold %q:\n%s", args[0], args[1], text)
}

// signalTo is a command: signal NAME INT sends a signal to a program that was started.
func signalTo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal NAME INT|TERM|HUP|KILL")
	}
	signals := map[string]os.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}
	ts.Check(programNamed(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// ended is a command: ended NAME CODE waits for a program that was started, and demands its exit code.
func ended(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ended NAME CODE")
	}
	b := programNamed(ts, args[0])
	select {
	case <-b.over:
	case <-time.After(patience):
		ts.Fatalf("%s does not end:\n%s", args[0], ts.ReadFile(args[0]+".err"))
	}
	if code := strconv.Itoa(b.cmd.ProcessState.ExitCode()); code != args[1] {
		ts.Fatalf("%s: exit code %s, want %s:\n%s%s", args[0], code, args[1], ts.ReadFile(args[0]+".out"), ts.ReadFile(args[0]+".err"))
	}
}
