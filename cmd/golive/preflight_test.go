//go:build unix

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/report"
)

// A trouble is one thing that is wrong in a world that is well otherwise.
type trouble struct {
	name    string
	first   bool                                      // the launch is of the first version, v3
	harm    func(t *testing.T, s site)                // makes it wrong
	finds   string                                    // the ID of the check that has to see it
	verdict guard.Verdict                             // of that check
	says    string                                    // as its reason, a regular expression
	remedy  string                                    // a regular expression
	mend    func(t *testing.T, s site, remedy string) // does what the remedy says
}

// TestPreflight asks a world of real components whether a launch may begin. Where all is well it may; each trouble
// alone keeps the gate shut, under the name of the right check, until somebody does what golive says.
func TestPreflight(t *testing.T) {
	w := newWorld(t)
	places := make(chan struct{}, 4) // more at once, and a slow machine lets restic miss the ten seconds that an answer has
	enter := func(t *testing.T) {
		places <- struct{}{}
		t.Cleanup(func() { <-places })
	}
	t.Run("all is well", func(t *testing.T) {
		t.Parallel()
		enter(t)
		s := w.site(t)
		plan := s.plan(t)
		a := s.check(t, trouble{})
		if a.ExitCode != exitOK {
			t.Fatalf("exit code %d, want %d: %+v", a.ExitCode, exitOK, a.blocking())
		}
		advisory := map[string]bool{}
		for _, c := range builtin(io.Discard).Checks {
			advisory[c.ID] = c.For(plan) == guard.Advisory
		}
		for _, f := range a.Findings {
			if f.Verdict != guard.Pass && !advisory[f.ID] {
				t.Errorf("%s %s is a required one: %s: %s", f.Verdict, f.ID, f.Title, f.Reason)
			}
		}
		s.drill(t, exitOK, "--data", "orders")
		s.drill(t, exitOK, "--data", "cluster")
		s.drill(t, exitOK, "--data", "images")
	})
	for _, x := range troubles {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			enter(t)
			s := w.site(t)
			x.harm(t, s)
			a := s.check(t, x)
			want := exitNoGo
			if x.verdict == guard.Unknown {
				want = exitUnknown
			}
			if a.ExitCode != want {
				t.Errorf("exit code %d, want %d", a.ExitCode, want)
			}
			found, _ := a.of(x.finds)
			if found.Verdict != x.verdict || !regexp.MustCompile(x.says).MatchString(found.Reason) || !regexp.MustCompile(x.remedy).MatchString(found.Remedy) {
				t.Errorf("%s says %s: %s\n-> %s\nwant %s: %s\n-> %s", x.finds, found.Verdict, found.Reason, found.Remedy, x.verdict, x.says, x.remedy)
			}
			for _, f := range a.blocking() {
				if f.ID != x.finds && !rests(f.ID, x.finds) {
					t.Errorf("%s of %s is blamed too: %s: %s (%s)", f.ID, f.Subject, f.Verdict, f.Reason, f.Observed)
				}
			}
			if t.Failed() {
				return
			}
			x.mend(t, s, found.Remedy)
			if a = s.check(t, x, "--only", x.finds); a.ExitCode != exitOK {
				t.Errorf("after doing what it says the exit code is %d, not %d: %+v", a.ExitCode, exitOK, a.blocking())
			}
		})
	}
}

// nobody is an address at which nobody answers.
const nobody = "http://127.0.0.1:9"

// troubles are what TestPreflight tries, one at a time.
var troubles = []trouble{
	{
		name:  "the newest backup is too old",
		harm:  func(t *testing.T, s site) { s.sh(t, `touch -d "5 hours ago" dumps/*`) },
		finds: "backup.age", verdict: guard.Fail,
		says:   `^the newest backup is 3h\S* older than it may be$`,
		remedy: `^run the backup of orders by dump now, then check again$`,
		mend:   func(t *testing.T, s site, _ string) { s.sh(t, "pg_dump -Fc -f dumps/now.dump shop") },
	},
	{
		name: "a dump is cut off",
		harm: func(t *testing.T, s site) {
			s.sh(t, "pg_dump -Fc -f whole shop; head -c $(($(stat -c %s whole) / 2)) whole >dumps/now.dump")
			s.drill(t, exitNoGo, "--data", "orders", "--to", "read")
		},
		finds: "backup.verify", verdict: guard.Fail,
		says:   `^the latest went wrong: pg_restore cannot read it: `,
		remedy: `, then: golive drill restore --data orders --to read$`,
		mend: func(t *testing.T, s site, remedy string) {
			s.sh(t, "mv whole dumps/again.dump; touch dumps/again.dump")
			s.obey(t, remedy)
		},
	},
	{
		name: "a dump restores fewer rows",
		harm: func(t *testing.T, s site) {
			s.sh(t, `createdb lost$$; pg_dump -Fc shop | pg_restore -d lost$$; psql -qd lost$$ -c "DELETE FROM orders WHERE id > 100"
				pg_dump -Fc -f dumps/now.dump lost$$`)
			s.drill(t, exitOK, "--data", "orders", "--to", "read")
			s.drill(t, exitNoGo, "--data", "orders")
		},
		finds: "backup.verify", verdict: guard.Fail,
		says:   `^the latest went wrong: count\(\*\): 20000 in the original, 100 restored; `,
		remedy: `, then: golive drill restore --data orders$`,
		mend: func(t *testing.T, s site, remedy string) {
			s.sh(t, "pg_dump -Fc -f dumps/again.dump shop")
			s.obey(t, remedy)
		},
	},
	{
		name: "a byte of a restic pack is flipped",
		harm: func(t *testing.T, s site) {
			s.sh(t, `cp -r repository whole; pack=$(ls -S repository/data/*/* | head -1); chmod u+w $pack
				printf '\377\377\377' | dd of=$pack bs=1 seek=$(($(stat -c %s $pack) / 2)) conv=notrunc 2>&1`)
			s.drill(t, exitNoGo, "--data", "images", "--to", "read")
		},
		finds: "backup.verify", verdict: guard.Fail,
		says:   `^the latest went wrong: the repository is damaged: `,
		remedy: `, then: golive drill restore --data images --to read$`,
		mend: func(t *testing.T, s site, remedy string) {
			s.sh(t, "rm -r repository; mv whole repository")
			s.obey(t, remedy)
		},
	},
	{
		name: "a restic pack is deleted",
		harm: func(t *testing.T, s site) {
			s.sh(t, `cp -r repository whole; rm -f $(ls -S repository/data/*/* | head -1)`)
			s.drill(t, exitNoGo, "--data", "images", "--to", "checked")
		},
		finds: "backup.verify", verdict: guard.Fail,
		says:   `^the latest went wrong: the repository is damaged: `,
		remedy: `, then: golive drill restore --data images --to read$`,
		mend: func(t *testing.T, s site, remedy string) {
			s.sh(t, "rm -r repository; mv whole repository")
			s.obey(t, remedy)
		},
	},
	expired(),
	{
		name:  "Prometheus is dead",
		harm:  func(t *testing.T, s site) { s.replace(t, s.source, nobody) },
		finds: "metrics.live", verdict: guard.Unknown,
		says:   `connection refused`,
		remedy: `^see that the source answers, or name another in watch\.source \(golive\.yaml:\d+:\d+\)$`,
		mend:   func(t *testing.T, s site, remedy string) { s.amend(t, remedy, nobody, s.source) },
	},
	{
		name: "a signal has no series",
		harm: func(t *testing.T, s site) {
			s.replace(t, `total: http_requests_total`, `total: http_request_total`)
			s.replace(t, `bad: http_requests_total`, `bad: http_request_total`)
		},
		finds: "metrics.live", verdict: guard.Fail,
		says:   `^the source has no sample of v1$`,
		remedy: `^compare watch\.signals\[0\] \(golive\.yaml:\d+:\d+\) with the metrics that v1 shows after a first request$`,
		mend: func(t *testing.T, s site, remedy string) {
			s.amend(t, remedy, `total: http_request_total`, `total: http_requests_total`)
			s.amend(t, remedy, `bad: http_request_total`, `bad: http_requests_total`)
		},
	},
	{
		name: "a signal has two series that are no one thing",
		harm: func(t *testing.T, s site) {
			s.replace(t, `histogram: http_request_duration_seconds{`, `histogram: page_seconds{`)
		},
		finds: "metrics.live", verdict: guard.Fail,
		says:   `^the source has no sample of v1$`,
		remedy: `^compare watch\.signals\[1\] `,
		mend: func(t *testing.T, s site, remedy string) {
			s.amend(t, remedy, `histogram: page_seconds{`, `histogram: page_seconds{page="cart",`)
		},
	},
	{
		name:  "nobody has counted anything of the first version",
		first: true,
		harm:  func(*testing.T, site) {},
		finds: "metrics.live", verdict: guard.Fail,
		says:   `^the source has no sample of v3$`,
		remedy: `^compare watch\.signals\[0\] \(golive\.yaml:\d+:\d+\) with the metrics that v3 shows after a first request$`,
		mend: func(t *testing.T, s site, _ string) {
			s.counter.deploy("v3")
			eventually(t, "Prometheus has seen v3", func() bool { return s.scraped(t, `http_requests_total{version="v3"}`) })
		},
	},
	skewed(),
	fires(),
	{
		name: "a contract ends before the launch does",
		harm: func(t *testing.T, s site) {
			s.replace(t, "until: 2999-12-31", "until: "+time.Now().UTC().Format(time.DateOnly))
			s.replace(t, "bake: {for: 30m}", "bake: {for: 26h}")
		},
		finds: "vendor.contract", verdict: guard.Fail,
		says:   `^it ends before the launch does, which may last until `,
		remedy: `^renew the contract, and write contract: {id: NUMBER, until: DAY} in roster\.vendors\[0\] \(golive\.yaml:\d+:\d+\)$`,
		mend: func(t *testing.T, s site, remedy string) {
			s.amend(t, remedy, "until: "+time.Now().UTC().Format(time.DateOnly), "until: 2999-12-31")
		},
	},
}

// expired is a certificate that ended yesterday.
func expired() trouble {
	var server *tlsServer
	return trouble{
		name: "a certificate has expired",
		harm: func(t *testing.T, s site) {
			server = s.identity.server(t, time.Now().AddDate(0, 0, -1))
			s.point(t, "tls", server.address)
		},
		finds: "tls.expiry", verdict: guard.Fail,
		says:   `^the certificate of shop\.test ended on .*, 1d ago$`,
		remedy: `^renew it, and let the server load the new one$`,
		mend:   func(t *testing.T, _ site, _ string) { server.renew(t, time.Now().AddDate(1, 0, 0)) },
	}
}

// skewed is a Prometheus whose machine has another time.
func skewed() trouble {
	var ahead atomic.Int64
	return trouble{
		name: "the clock of Prometheus is wrong",
		harm: func(t *testing.T, s site) {
			ahead.Store(int64(time.Minute))
			address, err := url.Parse(s.source)
			if err != nil {
				t.Fatal(err)
			}
			proxy := httputil.NewSingleHostReverseProxy(address)
			proxy.ModifyResponse = func(answer *http.Response) error {
				answer.Header.Set("Date", time.Now().Add(time.Duration(ahead.Load())).UTC().Format(http.TimeFormat))
				return nil
			}
			server := httptest.NewServer(proxy)
			t.Cleanup(server.Close)
			s.replace(t, s.source, server.URL)
		},
		finds: "clock.skew", verdict: guard.Fail,
		says:   `^it is more than 5s from ours$`,
		remedy: `^set the clocks of this machine and of the source by the network \(NTP\), then check again$`,
		mend:   func(*testing.T, site, string) { ahead.Store(0) },
	}
}

// fires is an alert that nobody has looked at.
func fires() trouble {
	var address string
	return trouble{
		name: "an alert is firing",
		harm: func(t *testing.T, s site) {
			address = newAlertmanager(t, "DiskFull")
			s.point(t, "alerts", address)
		},
		finds: "alerts.none", verdict: guard.Fail,
		says:   `^firing: DiskFull`,
		remedy: `silence them in Alertmanager until the launch is over$`,
		mend: func(t *testing.T, _ site, _ string) {
			silence, err := json.Marshal(map[string]any{
				"matchers": []any{map[string]any{"name": "alertname", "value": "DiskFull", "isRegex": false}},
				"startsAt": time.Now().Add(-time.Second), "endsAt": time.Now().Add(time.Hour), "createdBy": "ada", "comment": "the launch",
			})
			if err != nil {
				t.Fatal(err)
			}
			send(t, address+"/api/v2/silences", string(silence))
		},
	}
}

// TestPreflightClocks has a rota without a gap in winter. In summer nobody is there from two to three in the night,
// which begins in the night after that in which the clocks change.
func TestPreflightClocks(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/preflight")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	s := site{dir, nil}
	s.replace(t, "oncall.ics", "clocks.ics")
	p := &program{err: t.Output(), env: envconfig.MapLookuper(nil)}
	p.settings.Plan = "golive.yaml"
	plan, _, err := p.readPlan()
	if err != nil {
		t.Fatal(err)
	}
	asks := slices.DeleteFunc(builtin(io.Discard).Checks, func(c guard.Check) bool { return c.ID != "roster.coverage" })
	check := func(now string) (guard.Finding, int) {
		t.Helper()
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		scene := engine.Parts{Checks: asks}.Scene(t.Context(), plan, guard.Release{Service: "shop", From: "v1", To: "v2"}, at)
		found := engine.RunChecks(t.Context(), scene, asks, nil)
		return found[0], exitCode(report.Assessment{Mode: plan.Mode, Verdict: guard.Worst(found)}, false, nil)
	}
	for _, night := range []string{"2027-03-27T01:50:00+01:00", "2027-03-28T01:50:00+01:00", "2027-11-01T01:50:00+01:00"} {
		if f, code := check(night); f.Verdict != guard.Pass || code != exitOK {
			t.Errorf("%s: %s: %s, exit code %d", night, f.Verdict, f.Reason, code)
		}
	}
	const summer = "2027-03-29T01:50:00+02:00"
	f, code := check(summer)
	if f.Verdict != guard.Fail || code != exitNoGo ||
		!strings.Contains(f.Reason, "nobody is there as on_duty for 50m, from") || !strings.Contains(f.Reason, "Mon 2027-03-29 02:00 CEST to 02:50 CEST in Europe/Berlin") ||
		!strings.HasPrefix(f.Remedy, "find somebody for the gap in roster.shifts (golive.yaml:") {
		t.Errorf("%s: %s: %s\n-> %s\nexit code %d", summer, f.Verdict, f.Reason, f.Remedy, code)
	}
	rota, err := os.ReadFile("clocks.ics")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "clocks.ics"), strings.Replace(string(rota), "END:VCALENDAR", `BEGIN:VEVENT
UID:gap
DTSTAMP:20260101T000000Z
SUMMARY:On call: Luis Vega
DTSTART;TZID=Europe/Berlin:20270329T020000
DTEND;TZID=Europe/Berlin:20270329T030000
END:VEVENT
END:VCALENDAR`, 1))
	if f, code = check(summer); f.Verdict != guard.Pass || code != exitOK {
		t.Errorf("after somebody was found: %s: %s, exit code %d", f.Verdict, f.Reason, code)
	}
}

// An assessment is what golive check answers as JSON.
type assessment struct {
	ExitCode int             `json:"exit_code"`
	Verdict  guard.Verdict   `json:"verdict"`
	Findings []guard.Finding `json:"findings"`
}

// check asks everything about a launch, unless the options leave something out.
func (s site) check(t *testing.T, x trouble, options ...string) (a assessment) {
	t.Helper()
	release := []string{"--from", "v1", "--to", "v2"}
	if x.first {
		release = []string{"--to", "v3"}
	}
	code, answer, story := s.golive(t, slices.Concat([]string{"check", "-o", "json"}, release, options)...)
	if err := json.Unmarshal([]byte(answer), &a); err != nil || a.ExitCode != code || len(a.Findings) == 0 {
		t.Fatalf("golive check: exit code %d, error %v:\n%s%s", code, err, answer, story)
	}
	return a
}

// of is the worst finding of a check.
func (a assessment) of(id string) (worst guard.Finding, found bool) {
	for _, f := range a.Findings {
		if f.ID == id && (!found || guard.Worst([]guard.Finding{worst, f}) != worst.Verdict) {
			worst, found = f, true
		}
	}
	return worst, found
}

// blocking are the findings that keep the gate shut.
func (a assessment) blocking() (all []guard.Finding) {
	for _, f := range a.Findings {
		if f.Verdict != guard.Pass && f.Verdict != guard.Warn {
			all = append(all, f)
		}
	}
	return all
}

// rests says whether one check cannot be answered without another, or asks the same that is dead.
func rests(id, on string) bool {
	for _, c := range builtin(io.Discard).Checks {
		if c.ID == id {
			return slices.Contains(c.Needs, on) || id == "clock.skew" && on == "metrics.live"
		}
	}
	return false
}

func (s site) plan(t *testing.T) *guard.Plan {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(s.dir, "golive.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := guard.ParsePlan("golive.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// obey types the command that a remedy ends with.
func (s site) obey(t *testing.T, remedy string) {
	t.Helper()
	_, command, found := strings.Cut(remedy, "then: golive ")
	if !found {
		t.Fatalf("the remedy %q names no command", remedy)
	}
	if code, answer, story := s.golive(t, strings.Fields(command)...); code != exitOK {
		t.Errorf("golive %s: exit code %d:\n%s%s", command, code, answer, story)
	}
}

// amend replaces a text of the plan at the place that a remedy names, or in the three lines after it.
func (s site) amend(t *testing.T, remedy, from, to string) {
	t.Helper()
	place := regexp.MustCompile(`\(golive\.yaml:(\d+):\d+\)`).FindStringSubmatch(remedy)
	if place == nil {
		t.Fatalf("the remedy %q names no place in the plan", remedy)
	}
	number, err := strconv.Atoi(place[1])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, "golive.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for i := number - 1; i < min(number+3, len(lines)); i++ {
		if strings.Contains(lines[i], from) {
			lines[i] = strings.Replace(lines[i], from, to, 1)
			write(t, path, strings.Join(lines, ""))
			return
		}
	}
	t.Fatalf("there is no %q near line %d, which the remedy %q names", from, number, remedy)
}

// point has the probe of the plan ask another address.
func (s site) point(t *testing.T, use, address string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "golive.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	was := regexp.MustCompile(`use: ` + use + `, with: {address: "([^"]*)"`).FindSubmatch(text)
	if was == nil {
		t.Fatalf("the plan has no probe %s", use)
	}
	s.replace(t, string(was[1]), address)
}
