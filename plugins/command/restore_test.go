//go:build unix

package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/backuptest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var lastNight = guard.Backup{ID: "b 1", Ended: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)}

func TestRestore(t *testing.T) {
	for name, c := range map[string]struct {
		run, verify string
		with        guard.With
		rung        guard.Rung
		flaw, err   string
	}{
		"all is back":         {verify: "echo orders 200000 200000; echo sum ab12 ab12", rung: guard.RungVerified},
		"some rows":           {verify: "echo orders 200000 25903; echo sum ab12 ab12", rung: guard.RungListed, flaw: "orders: 200000 in the original, 25903 restored"},
		"another sum":         {verify: "echo orders 2 2; echo sum ab12 ab13", rung: guard.RungListed, flaw: "sum: ab12 in the original, ab13 restored"},
		"none":                {verify: "echo orders 7 0", rung: guard.RungListed, flaw: "orders: 7 in the original, 0 restored"},
		"near enough":         {verify: "echo orders 1000 999", with: guard.With{"within": "0.1%"}, rung: guard.RungVerified},
		"not near enough":     {verify: "echo orders 1000 998", with: guard.With{"within": "0.1%"}, rung: guard.RungListed, flaw: "998 restored"},
		"more than there was": {verify: "echo orders 1000 1001", rung: guard.RungListed, flaw: "1001 restored"},
		"none, nearly":        {verify: "echo orders 200000 0", with: guard.With{"within": "10%"}, rung: guard.RungListed, flaw: "orders: 200000 in the original, 0 restored"},
		"words are not near":  {verify: "echo sum 10a 10b", with: guard.With{"within": "10%"}, rung: guard.RungListed, flaw: "10b restored"},
		"it learns what":      {run: `echo "$GOLIVE_BACKUP" > "$GOLIVE_INTO/id"`, verify: `echo id b-1 "$(tr ' ' - < "$GOLIVE_INTO/id")"`, rung: guard.RungVerified},
		"a success is none":   {verify: "true", err: "leaves nothing to compare"},
		"zeros":               {verify: "echo orders 0 0", err: "leaves nothing to compare"},
		"a query failed":      {verify: `echo orders 7 "$(false)"`, err: `"orders 7" is not a name`},
		"run says no":         {run: "echo denied >&2; exit 3", verify: "echo orders 1 1", rung: guard.RungListed, flaw: "the run command ended with exit status 3: denied"},
		"verify says no":      {verify: "echo orders 1 1; exit 1", rung: guard.RungListed, flaw: "the verify command ended with exit status 1"},
		"no such program":     {run: "no-such-program-here", verify: "echo orders 1 1", err: "the run command: exit status 127"},
		"no room":             {run: "echo No space left on device >&2; exit 1", verify: "echo orders 1 1", err: "the run command: exit status 1: No space left"},
		"too slow":            {run: "exec sleep 60", verify: "echo orders 1 1", with: guard.With{"timeout": "50ms"}, err: "the run command: not done after 50ms"},
	} {
		t.Run(name, func(t *testing.T) {
			with := guard.With{"run": "true", "verify": c.verify}
			if c.run != "" {
				with["run"] = c.run
			}
			for key, value := range c.with {
				with[key] = value
			}
			checkRestore(t, with, lastNight, c.rung, c.flaw, c.err)
		})
	}
}

func checkRestore(t *testing.T, with guard.With, b guard.Backup, rung guard.Rung, flaw, wantErr string) {
	t.Helper()
	r, err := NewRestorer(with)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := r.Restore(t.Context(), b, t.TempDir())
	if wantErr != "" {
		backuptest.Error(t, err, wantErr)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	backuptest.CheckProof(t, proof, rung, flaw)
	if proof.Backup != b {
		t.Errorf("the proof is of %+v, want %+v", proof.Backup, b)
	}
}

// TestRestorePostgres restores real dumps. psql ends with success on half of a plain one.
func TestRestorePostgres(t *testing.T) {
	postgres := backuptest.NewPostgres(t, "")
	postgres.Orders(t, 20_000)
	t.Setenv("PGHOST", postgres.Dir)
	t.Setenv("PGUSER", "postgres")
	plain := filepath.Join(postgres.Dir, "x.sql")
	postgres.Run(t, "pg_dump", "--file="+plain, "shop")
	half := filepath.Join(postgres.Dir, "half.sql")
	backuptest.Write(t, half, backuptest.Read(t, plain))
	backuptest.Truncate(t, half)
	with := guard.With{
		"run": `dropdb --if-exists scratch && createdb scratch && psql -q -v ON_ERROR_STOP=1 -d scratch -f "$GOLIVE_BACKUP"`,
		"verify": `value() { psql -At -d "$1" -c "$2"; }
			rows='select count(*) from orders'
			sum='select md5(string_agg(what, $$,$$ order by id)) from orders'
			echo orders.rows "$(value shop "$rows")" "$(value scratch "$rows")"
			echo orders.sum "$(value shop "$sum")" "$(value scratch "$sum")"`,
	}
	for name, c := range map[string]struct {
		file      string
		rung      guard.Rung
		flaw, err string
	}{
		"healthy":    {file: plain, rung: guard.RungVerified},
		"half of it": {file: half, rung: guard.RungListed, flaw: "orders.rows: 20000 in the original, "},
		"no such":    {file: plain + "2", rung: guard.RungListed, flaw: "the run command ended with exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			checkRestore(t, with, guard.Backup{ID: c.file, Ended: lastNight.Ended}, c.rung, c.flaw, c.err)
		})
	}
}

// What is near enough to everything proves nothing.
func TestWithinIsBounded(t *testing.T) {
	for within, want := range map[string]string{"10%": "", "10.1%": "within: 10.1% is more than 10%", "100%": "within: 100% is more than 10%"} {
		_, err := NewRestorer(guard.With{"run": "true", "verify": "true", "within": within})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("within %s: error %v, want %q", within, err, want)
		}
	}
}

func TestRestorerContract(t *testing.T) {
	plugintest.Restorer(t, plugintest.Make(t, NewRestorer, guard.With{
		"run": `echo 7 > "$GOLIVE_INTO/orders"`, "verify": `echo orders 7 "$(cat "$GOLIVE_INTO/orders")"`, "check": "true",
	}), lastNight)
}

func TestReady(t *testing.T) {
	marks := t.TempDir()
	for name, c := range map[string]struct {
		with        guard.With
		verdict     guard.Verdict
		reason, err string
	}{
		"programs are here":       {with: guard.With{}, verdict: guard.Pass},
		"a builtin":               {with: guard.With{"run": "set -eu; true"}, verdict: guard.Pass},
		"nobody knows":            {with: guard.With{"run": `"$HOME"/restore`, "verify": "PGHOST=x psql"}, verdict: guard.Pass},
		"not installed":           {with: guard.With{"run": "no-such-program-here --fast"}, verdict: guard.Fail, reason: "there is no program no-such-program-here, which the run command begins with"},
		"no such script":          {with: guard.With{"verify": "./no-such-script-here"}, verdict: guard.Fail, reason: "no program ./no-such-script-here, which the verify command"},
		"half a script":           {with: guard.With{"run": "if true; then"}, verdict: guard.Fail, reason: "the shell does not understand the run command: exit status 2: "},
		"the check succeeds":      {with: guard.With{"check": "echo repository 7"}, verdict: guard.Pass},
		"the check says no":       {with: guard.With{"check": "echo wrong password >&2; exit 1"}, verdict: guard.Fail, reason: "the check command ended with exit status 1: wrong password"},
		"the check cannot be run": {with: guard.With{"check": "no-such-program-here"}, err: "the check command: exit status 127"},
		"the way is shut":         {with: guard.With{"check": "echo connection refused >&2; exit 1"}, err: "the check command: exit status 1: connection refused"},
		"nothing is restored":     {with: guard.With{"run": "touch " + marks + "/run", "verify": "touch " + marks + "/verify"}, verdict: guard.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			with := guard.With{"run": "true", "verify": "echo orders 1 1"}
			for key, value := range c.with {
				with[key] = value
			}
			finding, err := plugintest.Make(t, NewRestorer, with).Ready(t.Context())
			if c.err != "" {
				backuptest.Error(t, err, c.err)
				return
			}
			if err != nil || finding.Verdict != c.verdict || !strings.Contains(finding.Reason, c.reason) {
				t.Errorf("%+v, error %v, want %s because %q", finding, err, c.verdict, c.reason)
			}
			if finding.Verdict != guard.Pass && finding.Remedy == "" {
				t.Error("there is no remedy")
			}
		})
	}
	if left, err := os.ReadDir(marks); err != nil || len(left) > 0 {
		t.Errorf("Ready has run what it should only look at: %v, error %v", left, err)
	}
}

func TestRestoreConfig(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing":     {nil, "run: missing (a shell command)\nverify: missing (a shell command)"},
		"no verify":   {guard.With{"run": "r"}, "verify: missing (a shell command)"},
		"not a share": {guard.With{"run": "r", "verify": "v", "within": "much"}, "within: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewRestorer(c.with)
			backuptest.Error(t, err, c.err)
		})
	}
}
