package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed golive.yaml
var plan string

// What golive's exit codes say.
const (
	goliveOK         = 0
	goliveNoGo       = 3
	goliveRolledBack = 10
)

// A story is what is needed to tell it: a shop with customers, and golive in a directory with a plan.
type story struct {
	teller
	golive string // the program
	report string // where the report is left; empty: in dir
	dir    string // golive works here
	plan   string // golive.yaml as it should be
	admin  string // URL of the proxy's admin API

	closeShop func() string // sends the customers home, and returns what they have seen
}

// play sets the stage, tells the story, and clears the stage whatever happens.
func play(ctx context.Context, t teller, golive, shop, report string, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "golive-demo-")
	if err != nil {
		return err
	}
	if keep {
		defer t.note("kept: %s", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}

	addrs, err := freeAddrs(5)
	if err != nil {
		return err
	}
	proxy, admin, v1, v2, v3 := addrs[0], addrs[1], addrs[2], addrs[3], addrs[4]
	for _, args := range [][]string{
		{"serve", "--version", "v1", "--listen", v1, "--announce"},
		{"serve", "--version", "v2", "--listen", v2, "--announce"},
		{"serve", "--version", "v3", "--listen", v3, "--announce", "--errors", "2%"},
		{"proxy", "--listen", proxy, "--admin", admin, "--announce"},
	} {
		stop, err := server(ctx, t.stderr, shop, args...)
		if err != nil {
			return err
		}
		defer stop()
	}
	s := &story{teller: t, golive: golive, report: report, dir: dir, admin: "http://" + admin}
	for _, v := range []struct{ name, addr string }{{"v1", v1}, {"v2", v2}, {"v3", v3}} {
		body := fmt.Sprintf(`{"url":"http://%s"}`, v.addr)
		if _, err := s.ask(ctx, http.MethodPut, "/versions/"+v.name, body); err != nil {
			return err
		}
	}
	var seen bytes.Buffer
	leave, err := background(ctx, &seen, nil, shop, "load", "--url", "http://"+proxy, "--rate", "600")
	if err != nil {
		return err
	}
	defer leave()
	s.closeShop = func() string {
		leave()
		return seen.String()
	}
	s.plan = strings.NewReplacer("127.0.0.1:18080", proxy, "127.0.0.1:18090", admin,
		lookedAt, time.Now().UTC().Format(time.DateOnly)).Replace(plan)
	return s.tell(ctx)
}

// lookedAt is the day in golive.yaml on which people last looked at it.
const lookedAt = "2026-11-24"

func (s *story) tell(ctx context.Context) error {
	s.act("A shop with 600 requests per second",
		"v1 is live behind a proxy. v2 and v3 are ready; v3 has a bug that nobody knows of.")
	if err := s.backUp(); err != nil {
		return err
	}
	select {
	case <-time.After(time.Second): // so that there is something to see in the metrics
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for _, act := range []struct {
		headline, text string
		play           func(context.Context) error
	}{
		{"1. Are we ready?", "The plan names a vendor, but no phone number to call at three in the morning.", s.notReady},
		{"2. Now we are", "The number is in the plan.", s.ready},
		{"3. A good release", "v2 gets 10 %, 50 %, then all of the traffic, each step when the evidence suffices.", s.good},
		{"4. A bad release", "v3 fails 2 % of its requests. Watch how far it gets.", s.bad},
		{"5. Why?", "golive wrote down each fact before it acted on it.", s.why},
		{"6. The report", "What happened, what was done and what it cost, from the same journal, as a file to open and to print.", s.tellAll},
	} {
		s.act(act.headline, act.text)
		if err := act.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", act.headline, err)
		}
	}
	s.act("The end", "v2 is live, v3 is not, and nobody had to watch a dashboard.")
	return nil
}

// backUp leaves a file as the nightly backup would.
func (s *story) backUp() error {
	name := filepath.Join(s.dir, "backups", time.Now().Format("orders-2006-01-02.dump"))
	if err := os.Mkdir(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return os.WriteFile(name, []byte("INSERT INTO orders VALUES (1, 'one pot, two cups');\n"), 0o600)
}

func (s *story) notReady(ctx context.Context) error {
	const phone = `{phone: "+44 808 157 0123"}, `
	draft := strings.Replace(s.plan, phone, "", 1)
	if draft == s.plan {
		return fmt.Errorf("golive.yaml does not hold %s", phone)
	}
	if err := s.writePlan(draft); err != nil {
		return err
	}
	if err := s.run(ctx, goliveOK, "ledger", "init"); err != nil {
		return err
	}
	return s.run(ctx, goliveNoGo, "check", "--from", "v1", "--to", "v2")
}

func (s *story) ready(ctx context.Context) error {
	if err := s.writePlan(s.plan); err != nil {
		return err
	}
	return s.run(ctx, goliveOK, "check", "--from", "v1", "--to", "v2")
}

func (s *story) good(ctx context.Context) error {
	if err := s.run(ctx, goliveOK, "rollout", "--from", "v1", "--to", "v2"); err != nil {
		return err
	}
	return s.share(ctx, "v2", 100)
}

func (s *story) bad(ctx context.Context) error {
	if err := s.run(ctx, goliveRolledBack, "rollout", "--from", "v2", "--to", "v3"); err != nil {
		return err
	}
	if err := s.share(ctx, "v3", 0); err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "\nWhat the customers saw, from first to last:\n%s", s.closeShop())
	return nil
}

func (s *story) why(ctx context.Context) error {
	if err := s.run(ctx, goliveOK, "explain"); err != nil {
		return err
	}
	journal, err := s.newestJournal()
	if err != nil {
		return err
	}
	if err := s.tail(journal, 3); err != nil {
		return err
	}
	return s.run(ctx, goliveOK, "journal", "verify", journal)
}

// tellAll leaves the report on the rollback.
func (s *story) tellAll(ctx context.Context) error {
	file := s.report
	if file == "" {
		file = filepath.Join(s.dir, "report.html")
	}
	if err := s.run(ctx, goliveOK, "report", "-o", "html="+file); err != nil {
		return err
	}
	if s.report != "" {
		s.note("open it: file://%s", filepath.ToSlash(file))
	}
	return nil
}

func (s *story) writePlan(text string) error {
	return os.WriteFile(filepath.Join(s.dir, "golive.yaml"), []byte(text), 0o600)
}

// run runs golive before the reader's eyes, and demands an exit code.
func (s *story) run(ctx context.Context, want int, args ...string) error {
	line := "golive " + strings.Join(args, " ")
	s.command(line)
	cmd := command(ctx, s.golive, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, s.stdout, s.stderr
	cmd.Env = slices.DeleteFunc(os.Environ(), func(setting string) bool {
		return strings.HasPrefix(setting, "GOLIVE_") // the user's own are for other services
	})
	err := cmd.Run()
	if cmd.Process != nil {
		endGroup(cmd)
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && !errors.As(err, &exit):
		return err
	}
	got := cmd.ProcessState.ExitCode()
	s.note("exit %d", got)
	if got != want {
		return fmt.Errorf("%s: exit %d, want %d", line, got, want)
	}
	return nil
}

// share asks the proxy itself, not golive, how much traffic a version has.
func (s *story) share(ctx context.Context, version string, want int) error {
	path := "/versions/" + version
	s.command("curl " + s.admin + path)
	text, err := s.ask(ctx, http.MethodGet, path, "")
	if err != nil {
		return err
	}
	fmt.Fprintln(s.stdout, text)
	var standing struct{ Percent int }
	if err := json.Unmarshal([]byte(text), &standing); err != nil {
		return fmt.Errorf("what the proxy says of %s: %w", version, err)
	}
	if standing.Percent != want {
		return fmt.Errorf("the proxy says that %s has %d %% of the traffic, want %d %%", version, standing.Percent, want)
	}
	return nil
}

// ask calls the proxy's admin API.
func (s *story) ask(ctx context.Context, method, path, body string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.admin+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	return strings.TrimSpace(string(text)), nil
}

// newestJournal is the one that was written last, as a path from golive's directory.
func (s *story) newestJournal() (string, error) {
	files, err := filepath.Glob(filepath.Join(s.dir, ".golive", "*.jsonl"))
	if err != nil {
		return "", err
	}
	if len(files) == 0 {
		return "", errors.New("golive left no journal in .golive")
	}
	written := func(file string) time.Time {
		info, err := os.Stat(file)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	newest := slices.MaxFunc(files, func(a, b string) int { return written(a).Compare(written(b)) })
	return filepath.Rel(s.dir, newest)
}

// tail shows the last n lines of a file, cut to fit a terminal.
func (s *story) tail(file string, n int) error {
	s.command(fmt.Sprintf("tail -n %d %s | cut -c 1-110", n, file))
	text, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, line := range lines[max(0, len(lines)-n):] {
		fmt.Fprintf(s.stdout, "%.110s\n", line)
	}
	return nil
}
