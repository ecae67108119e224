package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/journal"
)

// TestKilledAfterEveryRecord kills a real golive, whose backend is a real plugin, after each record of its
// journal, and starts the same command again. It has to end as if nothing had happened.
func TestKilledAfterEveryRecord(t *testing.T) {
	for _, version := range []struct {
		name, errors string
		exit         int
		shares       []string // that the backend was asked for, repeats left out
	}{
		{"good", "0.1", exitOK, []string{"20", "80", "100"}},
		{"bad", "30", exitRolledBack, []string{"20", "0"}},
	} {
		t.Run(version.name, func(t *testing.T) {
			undisturbed := killedShop(t, version.errors)
			if code := undisturbed.run(t); code != version.exit {
				t.Fatalf("undisturbed: exit code %d, want %d\n%s", code, version.exit, undisturbed.story.String())
			}
			records := undisturbed.records(t)
			for k := 1; k < records; k++ {
				t.Run(fmt.Sprintf("record %d of %d", k, records), func(t *testing.T) {
					t.Parallel()
					s := killedShop(t, version.errors)
					for !s.killAt(t, k) {
						if s.overBy(t, k) {
							return // what comes after the end, such as evidence, is for the test of an incident
						}
						s = killedShop(t, version.errors)
					}
					if code := s.run(t); code != version.exit {
						t.Fatalf("exit code %d, want %d\n%s", code, version.exit, s.story.String())
					}
					if diff := cmp.Diff(version.shares, s.shares(t)); diff != "" {
						t.Errorf("shares asked for (-want +got):\n%s\n%s", diff, s.story.String())
					}
					s.records(t)
				})
			}
		})
	}
}

// ready is what a plan has to hold for its checks to let a release pass, beside how traffic moves and what is watched.
const ready = `data: []
roster:
  people:
    - {name: A, role: commander, reach: [{phone: "+44 20 7946 0001"}, {email: a@shop.test}]}
    - {name: B, role: deputy, reach: [{phone: "+44 20 7946 0002"}, {email: b@shop.test}]}
    - {name: C, role: technical_lead, reach: [{phone: "+44 20 7946 0003"}, {email: c@shop.test}]}
    - {name: D, role: on_duty, reach: [{phone: "+44 20 7946 0004"}, {email: d@shop.test}]}
    - {name: E, role: comms, reach: [{phone: "+44 20 7946 0005"}, {email: e@shop.test}]}
  verified: 2026-01-01
  shifts: [{name: D, when: 24x7}]
  vendors: []
severity:
  - {level: 1, when: errors > 20%, lead: commander, page: everyone}
  - {level: 2, when: errors > 5%, lead: technical_lead, page: on_duty}
  - {level: 3, when: "true", lead: on_duty, page: on_duty}
escalate: [{after: 60m, to: [customer, management]}]
calendar: {allowed: [24x7]}
`

// A crashSite is a shop and the golive that is killed in front of it.
type crashSite struct {
	dir   string
	addr  string
	story bytes.Buffer
}

// killedShop opens a shop whose new version has so many errors, in percent. Chapters are added to its plan.
func killedShop(t *testing.T, errors string, chapters ...string) *crashSite {
	t.Helper()
	s := &shop{dir: t.TempDir(), seen: time.Now(), visits: map[string]float64{}, errors: map[string]float64{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	for name, text := range map[string]string{
		"percent": "0", "errors": errors,
		"golive.yaml": `
service: shop
plugins: [{name: fake}]
rollout:
  backend: {use: fake, with: {file: percent}}
  steps: [20, 100]
  bake: {for: 1s, hold_back: 20%}
watch:
  source:
    use: scrape
    with: {canary: ["http://${SHOP}/canary"], stable: ["http://${SHOP}/stable"]}
  every: 1s
  warmup: 0s
  episodes: 0s
  promote: {min_step: 2s, max_step: 20s, margin: 2pp}
  signals:
    - {name: errors, total: http_requests_total, bad: 'http_requests_total{code=~"5.."}', never: 40%}
    - {name: latency, histogram: http_request_duration_seconds}
` + ready + strings.Join(chapters, ""),
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(upToDate(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := beginLedger(s.dir); err != nil {
		t.Fatal(err)
	}
	return &crashSite{dir: s.dir, addr: strings.TrimPrefix(server.URL, "http://")}
}

func (s *crashSite) command(t *testing.T, args ...string) *exec.Cmd {
	if len(args) == 0 {
		args = []string{"rollout", "--from", "v1", "--to", "v2"}
	}
	cmd := exec.CommandContext(t.Context(), "golive", args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "SHOP="+s.addr)
	cmd.Stderr = &s.story
	cmd.Stdout = &s.story
	return cmd
}

func (s *crashSite) run(t *testing.T, args ...string) int {
	t.Helper()
	cmd := s.command(t, args...)
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// killAt starts golive and kills it with SIGKILL as soon as its journal holds k records. It says whether the
// rollout was still under way then: on a busy machine the kill can come after the last record.
func (s *crashSite) killAt(t *testing.T, k int) bool {
	t.Helper()
	cmd := s.command(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var path string
	for {
		found, _ := filepath.Glob(filepath.Join(s.dir, ".golive", "*"+journal.Extension))
		if len(found) == 1 {
			path = found[0]
			if text, _ := os.ReadFile(path); bytes.Count(text, []byte("\n")) >= k {
				break
			}
		}
		time.Sleep(200 * time.Microsecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // it was killed, which is an error
	h, err := readHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	return !h.over()
}

// overBy says whether the rollout was over with the first k records of its journal, so that no kill could have come before.
func (s *crashSite) overBy(t *testing.T, k int) bool {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(s.dir, ".golive", "*"+journal.Extension))
	h, err := readHistory(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return guard.Fold(h.Plan, h.Events[:k]).Phase == guard.Over
}

// TestIncidentKilledAfterEveryRecord kills a real golive after each record of a journal in which a version is taken back, and
// goes on as people would: the same command while the traffic is not back, and then ack and stand-down. It has to end with
// the same obligations, in the journal and in the ledger, and each notice has to arrive at a real address.
func TestIncidentKilledAfterEveryRecord(t *testing.T) {
	undisturbed := toldShop(t)
	if code := undisturbed.run(t); code != exitRolledBack {
		t.Fatalf("undisturbed: exit code %d, want %d\n%s", code, exitRolledBack, undisturbed.story.String())
	}
	records := undisturbed.records(t)
	want := undisturbed.endIncident(t)
	if len(want) < 8 {
		t.Fatalf("undisturbed, it owes %q\n%s", want, undisturbed.story.String())
	}
	for k := 1; k < records; k++ {
		t.Run(fmt.Sprintf("record %d of %d", k, records), func(t *testing.T) {
			t.Parallel()
			s := toldShop(t)
			if s.killAt(t, k) {
				if code := s.run(t); code != exitRolledBack {
					t.Fatalf("exit code %d, want %d\n%s", code, exitRolledBack, s.story.String())
				}
			}
			if diff := cmp.Diff(want, s.endIncident(t)); diff != "" {
				t.Errorf("what is owed at the end (-undisturbed +killed):\n%s\n%s", diff, s.story.String())
			}
		})
	}
}

// A toldSite is a crashSite whose notices arrive somewhere.
type toldSite struct {
	*crashSite
	mu    sync.Mutex
	times map[string]int // by key: how often a notice arrived
}

func toldShop(t *testing.T) *toldSite {
	t.Helper()
	s := &toldSite{times: map[string]int{}}
	inbox := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n guard.Notice
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil || n.Key == "" {
			http.Error(w, "this is no notice", http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.times[n.Key]++
	}))
	t.Cleanup(inbox.Close)
	s.crashSite = killedShop(t, "30", fmt.Sprintf("notify: [{use: http, with: {url: %q}}]\nobjectives: {rto: 30m}\n", inbox.URL))
	return s
}

// endIncident says that somebody looks after the incident, and that it is over, and returns what is owed then: by kind, in
// the journal with how it stands, and in the ledger. Each notice that the journal ever asked for has to have arrived.
func (s *toldSite) endIncident(t *testing.T) (owed []string) {
	t.Helper()
	for _, args := range [][]string{{"ack", "--by", "A"}, {"stand-down", "--why", "quiet for an hour", "--by", "A"}} {
		if code := s.run(t, args...); code != exitOK {
			t.Fatalf("golive %q: exit code %d\n%s", args, code, s.story.String())
		}
	}
	s.records(t) // verified
	found, _ := filepath.Glob(filepath.Join(s.dir, ".golive", "*"+journal.Extension))
	h, err := readHistory(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var state guard.State
	asked := map[string]string{}
	for _, e := range h.Events {
		state = guard.Next(h.Plan, state, e)
		for _, todo := range state.Todo {
			if tell, is := todo.Deed.(guard.Tell); is {
				asked[tell.Notice.Key] = tell.Notice.Title
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, title := range asked {
		if s.times[key] == 0 {
			t.Errorf("the notice %s (%s) never arrived; there arrived %v\n%s", key, title, s.times, s.story.String())
		}
	}
	for _, o := range state.Incident.Owed {
		owed = append(owed, string(o.Kind)+" "+o.Standing(state.At))
	}
	p := &program{settings: settings{Ledger: filepath.Join(s.dir, "golive.ledger")}}
	l, err := p.readLedger()
	if err != nil || l.Broken != "" {
		t.Fatalf("the ledger: %v %s", err, l.Broken)
	}
	for _, e := range l.Entries {
		owed = append(owed, fmt.Sprintf("ledger: %s %s", e.Act, e.Kind))
	}
	return owed
}

// records counts the records of the only journal there is, and verifies them.
func (s *crashSite) records(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, ".golive", "*"+journal.Extension))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d journals (%v), want one: the rollout has to go on in the one it began", len(found), err)
	}
	summary, err := journal.Verify(found[0])
	if err != nil {
		t.Error(err)
	}
	return int(summary.Records)
}

// shares is what the backend was asked for, in order and without repeats. Each call has to stand behind the
// one before: a call of a process that was killed may never come after its successor's.
func (s *crashSite) shares(t *testing.T) (asked []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "percent.log"))
	if err != nil {
		t.Fatal(err)
	}
	var fence, seq int64
	for line := range strings.Lines(string(text)) {
		var f, n int64
		var percent string
		if _, err := fmt.Sscan(line, &f, &n, &percent); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if f < fence || f == fence && n <= seq {
			t.Errorf("call (%d, %d) came after (%d, %d)", f, n, fence, seq)
		}
		fence, seq = f, n
		asked = append(asked, percent)
	}
	return slices.Compact(asked)
}
