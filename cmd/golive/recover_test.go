//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
)

// TestResortTakesASoundBackup restores by a plan, from vaults and a ledger that say different things of the backups.
func TestResortTakesASoundBackup(t *testing.T) {
	const text = `
service: shop
rollout: {backend: {use: command, with: {inspect: "true", shift: "true"}}, steps: [100]}
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, preset: promhttp}]
data:
  - name: orders
    backups:
      - {use: command, with: {list: "cat first"}}
      - {use: command, with: {list: "cat second"}}
recovery:
  resorts:
    - {name: restore, data: orders, do: {use: command, with: {run: "echo of {{.Backup}} for $$TARGET >restored"}}}
    - {name: fail-over, do: {use: command, with: {run: "echo {{.Backup}}"}}}
`
	flaw := func(id string, outcome guard.Verdict, rung guard.Rung) func(p *guard.Plan) guard.Entry {
		return func(p *guard.Plan) guard.Entry {
			proof := guard.Proof{Backup: guard.Backup{ID: id, Ended: time.Unix(1, 0)}, Rung: rung}
			if outcome == guard.Fail {
				proof.Flaw = "a table is missing"
			}
			return guard.Entry{At: time.Unix(2, 0), Act: guard.Result, Kind: "drill.verify", Subject: "orders", Outcome: outcome, Proof: &proof, Vault: p.Data[0].Backups[0].Digest()}
		}
	}
	const old, young = "2026-11-24T03:00:00Z old.dump\n", "2026-11-25T03:00:00Z young.dump\n"
	for name, c := range map[string]struct {
		first, second string
		ledger        []func(*guard.Plan) guard.Entry
		want, remark  string
		err           string
	}{
		"the newest":                {first: old + young, want: "young.dump"},
		"the newest of both vaults": {first: old, second: young, want: "young.dump"},
		"not one with a flaw":       {first: old + young, ledger: []func(*guard.Plan) guard.Entry{flaw("young.dump", guard.Fail, guard.RungRead)}, want: "old.dump", remark: "1 passed over"},
		"one whose flaw is mended": {first: old + young, ledger: []func(*guard.Plan) guard.Entry{
			flaw("young.dump", guard.Fail, guard.RungChecked), flaw("young.dump", guard.Pass, guard.RungRestored),
		}, want: "young.dump"},
		"one whose flaw a glance did not see": {first: old + young, ledger: []func(*guard.Plan) guard.Entry{
			flaw("young.dump", guard.Fail, guard.RungRead), flaw("young.dump", guard.Pass, guard.RungChecked),
		}, want: "old.dump", remark: "1 passed over"},
		"a flaw in another vault": {second: young, ledger: []func(*guard.Plan) guard.Entry{flaw("young.dump", guard.Fail, guard.RungRead)}, want: "young.dump"},
		"a vault that is down":    {first: "nonsense", second: old, want: "old.dump", remark: "command gave no answer: "},
		"both down":               {first: "nonsense", second: "nonsense", err: "no backup of orders is known: "},
		"none":                    {err: "the vaults of orders hold no completed backup"},
		"only bad ones":           {first: young, ledger: []func(*guard.Plan) guard.Entry{flaw("young.dump", guard.Fail, guard.RungRead)}, err: "the ledger knows a flaw of every backup of orders (1)"},
		"a name that does harm":   {first: "2026-11-25T03:00:00Z x;touch harm", err: "could mean something else to a command"},
		"a name that is a switch": {first: "2026-11-25T03:00:00Z --help", err: "could mean something else to a command"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			for file, content := range map[string]string{"first": c.first, "second": c.second} {
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			plan, err := guard.ParsePlan("golive.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			p := &program{env: envconfig.MapLookuper(nil), err: t.Output()}
			p.settings.Journal = filepath.Join(dir, "journal")
			parts, err := p.assemble(plan, builtin(p.err))
			if err != nil {
				t.Fatal(err)
			}

			parts.Ledger = func() (l guard.Ledger, err error) {
				for _, entry := range c.ledger {
					l.Entries = append(l.Entries, entry(plan))
				}
				return l, nil
			}
			b, remarks, err := soundest(t.Context(), plan, "orders", parts)
			if err == nil {
				var resort engine.Resort
				if resort, err = p.resort(plan, builtin(p.err), 0, b); err == nil {
					f, asked := fromBackup{resort.Do, b, remarks}.Probe(t.Context(), guard.Release{})
					if asked != nil || f.Verdict != guard.Pass || !strings.Contains(f.Evidence[len(f.Evidence)-1].Answer, c.want) {
						t.Errorf("%+v, error %v", f, asked)
					}
				}
			}
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			restored, err := os.ReadFile("restored")
			if err != nil || !strings.HasPrefix(string(restored), "of "+c.want+" for ") {
				t.Errorf("it did %q, error %v; want %s", restored, err, c.want)
			}
			if got := strings.Join(remarks, "; "); (c.remark == "") != (got == "") || !strings.Contains(got, c.remark) {
				t.Errorf("the remarks are %q, want %q", got, c.remark)
			}
		})
	}
}
