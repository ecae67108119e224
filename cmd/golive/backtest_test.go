package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"
)

// The past of the tests is seven launches of half an hour on three instances, scraped every 15 seconds. Everybody
// was ill for ten minutes of launch 2, which proves nothing against any of them. Instance b was ill in launch 4, in
// which it stands in for the new version. Then the scrapes stopped: of launch 6 nobody has counted anything.
const (
	launchLength = 30 * time.Minute
	illTogether  = 2
	illAlone     = 4
	dark         = 6
)

// pastShop is the past as promtool reads it. It begins a little before the first launch.
func pastShop(first, end time.Time) string {
	random := rand.New(rand.NewPCG(3, 1))
	var lines [2]map[string]*strings.Builder
	for i := range lines {
		lines[i] = map[string]*strings.Builder{}
	}
	const tick = 15 * time.Second
	for _, name := range []string{"a", "b", "c"} {
		good, bad := &strings.Builder{}, &strings.Builder{}
		lines[0][name], lines[1][name] = good, bad
		requests, failed := 0, 0
		for at := first.Add(-time.Minute); !at.After(end); at = at.Add(tick) {
			launch, minute := int(at.Sub(first)/launchLength), at.Sub(first)%launchLength/time.Minute
			rate := .005
			if ill := minute >= 10 && minute < 20; ill && (launch == illTogether || launch == illAlone && name == "b") {
				rate = .3
			}
			for range 150 {
				requests++
				if random.Float64() < rate {
					failed++
				}
			}
			if at.After(first.Add(dark*launchLength - 6*time.Minute)) {
				break // Prometheus shows a value for five minutes
			}
			fmt.Fprintf(good, "http_requests_total{version=\"v1\",instance=%q,code=\"200\"} %d %d\n", name, requests-failed, at.Unix())
			fmt.Fprintf(bad, "http_requests_total{version=\"v1\",instance=%q,code=\"500\"} %d %d\n", name, failed, at.Unix())
		}
	}
	var all strings.Builder
	all.WriteString("# TYPE http_requests counter\n")
	for _, name := range []string{"a", "b", "c"} {
		all.WriteString(lines[0][name].String() + lines[1][name].String())
	}
	return all.String() + "# EOF\n"
}

// remember runs a real Prometheus that remembers this, and returns its address. It scrapes what the configuration
// says; where that is "", it scrapes nothing.
func remember(t *testing.T, openMetrics, config string) string {
	t.Helper()
	for _, name := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(name); err != nil && os.Getenv("CI") != "" {
			t.Fatal(name + " is not on PATH")
		} else if err != nil {
			t.Skip(name + " is not on PATH (apt-get install -y --no-install-recommends prometheus)")
		}
	}
	dir := t.TempDir()
	text, data, file := filepath.Join(dir, "past.txt"), filepath.Join(dir, "data"), filepath.Join(dir, "prometheus.yml")
	for path, content := range map[string]string{text: openMetrics, file: config} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "tsdb", "create-blocks-from", "openmetrics", text, data).CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v\n%s", err, out)
	}
	host := free(t)
	serve(t, "http://"+host+"/-/ready", "prometheus", "--config.file="+file, "--storage.tsdb.path="+data,
		"--web.listen-address="+host, "--log.level=error")
	return "http://" + host
}

// free is an address of this machine at which nobody listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serve runs a server until the test ends, and returns as soon as it answers at this address.
func serve(t *testing.T, ready, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, program+" is ready", func() bool {
		answer, err := http.Get(ready)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// eventually waits for another process, which no synctest bubble can hold.
func eventually(t *testing.T, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !true(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// call runs golive in a directory and returns its exit code, its answer and its story.
func call(t *testing.T, dir string, args ...string) (code int, answer, story string) {
	t.Helper()
	var out, err bytes.Buffer
	args = append(args, "--plan", filepath.Join(dir, "golive.yaml"), "--journal", filepath.Join(dir, ".golive"))
	code = run(t.Context(), args, strings.NewReader(""), &out, &err, envconfig.MapLookuper(map[string]string{"LANG": "C.UTF-8"}), nil)
	return code, out.String(), err.String()
}

// pastPlan writes a plan that watches the shop by this source, and returns its directory.
func pastPlan(t *testing.T, source string, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	plan := `service: shop
rollout: {backend: {use: command, with: {inspect: "echo '{\"percent\":0,\"undo\":{\"open\":true}}'", shift: "true"}}, steps: [5, 25, 100]}
watch:
  source: ` + source + `
  every: 15s
  signals:
    - {name: errors, total: 'http_requests_total{version="$version"}', bad: 'http_requests_total{version="$version",code=~"5.."}'}
` + strings.Join(more, "\n")
	if err := os.WriteFile(filepath.Join(dir, "golive.yaml"), []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBacktest(t *testing.T) {
	end := time.Now().UTC().Truncate(15 * time.Second)
	source := fmt.Sprintf("{use: prometheus, with: {address: %q}}", remember(t, pastShop(end.Add(-7*launchLength), end), ""))
	dir := pastPlan(t, source)

	t.Run("by instance", func(t *testing.T) {
		code, answer, story := call(t, dir, "backtest", "--from", "v1", "--since", "210m", "--sizes", "0.01%,5%")
		if code != exitOK {
			t.Fatalf("exit code %d: %s", code, story)
		}
		for _, want := range []string{
			`^shop \(production\), v1: \S+ \S+Z to \S+ \S+Z`,
			`would have raised 1 false alarm in 6 launches of 30m \(17 %; it allows 1%\)`,
			`1[0-4]m\S* into the launch, with b as new version: errors`,
			`(?m)^5 % +[56] of 6 +\d`,
			`another real instance in 5 launches, and 5 % of the requests at random in 1\.`,
			`Not seen: 1 piece of 30m without any data\.`,
		} {
			if !regexp.MustCompile(want).MatchString(answer) {
				t.Errorf("the answer has no %q:\n%s", want, answer)
			}
		}
	})
	t.Run("at random, as JSON", func(t *testing.T) {
		dir := pastPlan(t, source, "    - {name: payments, total: payments_total, bad: 'payments_total{ok=\"false\"}'}")
		code, answer, story := call(t, dir, "backtest", "--from", "v1", "--since", "210m", "--weight", "20%", "--sizes", "5%", "-o", "json")
		if code != exitOK {
			t.Fatalf("exit code %d: %s", code, story)
		}
		var x backtested
		if err := json.Unmarshal([]byte(answer), &x); err != nil {
			t.Fatal(err)
		}
		if x.Watches != 6 || x.Unseen != 1 || x.ByInstance != 0 || x.FalseAlarms != 0 || x.Caught[0].Found < 5 || x.Version != "v1" ||
			x.Seen["errors"] != 6 || x.Seen["payments"] != 0 {
			t.Errorf("%s", answer)
		}
	})
	t.Run("too little", func(t *testing.T) {
		code, _, story := call(t, dir, "backtest", "--from", "v0", "--since", "1h")
		if code != exitUnknown || !strings.Contains(story, "remembers no requests in the last 1h") {
			t.Errorf("exit code %d: %s", code, story)
		}
	})
}

// TestBacktestRefuses: what cannot be tried is said with what to do instead.
func TestBacktestRefuses(t *testing.T) {
	forgetful := pastPlan(t, `{use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}`)
	closed := pastPlan(t, `{use: prometheus, with: {address: "http://127.0.0.1:1"}}`)
	for _, k := range []struct {
		name string
		dir  string
		args []string
		code int
		want string
	}{
		{"no history", forgetful, []string{"--from", "v1"}, exitUsage, "watch.source: the source scrape keeps no history"},
		{"no version", closed, nil, exitUsage, "signal errors selects by $version: say which one served with --from VERSION"},
		{"unreachable", closed, []string{"--from", "v1"}, exitUnknown, "connection refused"},
		{"shorter than a launch", closed, []string{"--from", "v1", "--since", "10m"}, exitUsage, "--since 10m is shorter than one launch of 30m"},
		{"no duration", closed, []string{"--from", "v1", "--since", "a while"}, exitUsage, `--since: "a while" is not a duration`},
		{"too short", closed, []string{"--from", "v1", "--length", "1m"}, exitUsage, "a launch takes 30 ticks at least, which is 7m30s"},
		{"no share", closed, []string{"--from", "v1", "--weight", "5"}, exitUsage, `--weight: "5" is not a share`},
		{"most of it", closed, []string{"--from", "v1", "--weight", "60%"}, exitUsage, "--weight 60%: say more than 0%, and at most 50%"},
		{"nothing to find", closed, []string{"--from", "v1", "--sizes", "0%"}, exitUsage, "--sizes 0%: say more than 0%"},
	} {
		t.Run(k.name, func(t *testing.T) {
			code, answer, story := call(t, k.dir, append([]string{"backtest"}, k.args...)...)
			if code != k.code || !strings.Contains(story, k.want) || answer != "" {
				t.Errorf("exit code %d, want %d with %q:\n%s%s", code, k.code, k.want, answer, story)
			}
		})
	}
}
