package borg

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/internal/backuptest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:   "borg",
	Vaults: map[string]func(guard.With) (guard.Vault, error){"borg": NewVault},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

const passphrase = "hunter2 and more"

// A repository is a real one.
type repository struct{ dir, base string }

func newRepository(t *testing.T) repository {
	t.Helper()
	backuptest.Program(t, "borg", "borgbackup")
	r := repository{filepath.Join(t.TempDir(), "repository"), t.TempDir()}
	r.borg(t, "init", "--encryption=repokey")
	return r
}

func (r repository) command(args ...string) *exec.Cmd {
	cmd := exec.Command("borg", args...)
	cmd.Env = append(os.Environ(), "BORG_REPO="+r.dir, "BORG_PASSPHRASE="+passphrase, "BORG_BASE_DIR="+r.base)
	return cmd
}

func (r repository) borg(t *testing.T, args ...string) {
	t.Helper()
	if output, err := r.command(args...).CombinedOutput(); err != nil {
		t.Fatalf("borg %s: %v: %s", args[0], err, output)
	}
}

func (r repository) backup(t *testing.T, name string) {
	t.Helper()
	r.borg(t, "create", "::"+name, backuptest.Scatter(t, 3, 100_000))
}

func (r repository) with() guard.With {
	return guard.With{"repository": r.dir, "passphrase": passphrase, "env": map[string]any{"BORG_BASE_DIR": r.base}}
}

func (r repository) vault(t *testing.T) guard.Vault { return plugintest.Make(t, NewVault, r.with()) }

func TestContract(t *testing.T) {
	r := newRepository(t)
	r.backup(t, "a")
	r.backup(t, "b")
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		plugintest.Vault(t, plugintest.Make(t, kit.Vaults["borg"], r.with()), 2)
	})
	plugintest.Prover(t, r.vault(t), guard.RungRestored)
}

func TestBackups(t *testing.T) {
	t.Setenv("TZ", "America/New_York") // of golive; borg would tell all times there
	r := newRepository(t)
	began := time.Now().Add(-time.Second)
	r.backup(t, "db-1")
	r.backup(t, "files-1")
	for name, c := range map[string]struct {
		with guard.With
		want int
		err  string
	}{
		"all":              {want: 2},
		"by name":          {with: guard.With{"archives": "db-*"}, want: 1},
		"none":             {with: guard.With{"archives": "mail-*"}, want: 0},
		"wrong passphrase": {with: guard.With{"passphrase": "swordfish"}, err: "is incorrect"},
		"no repository":    {with: guard.With{"repository": r.dir + "2"}, err: "does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			with := r.with()
			maps.Copy(with, c.with)
			got, err := plugintest.Make(t, NewVault, with).Backups(t.Context())
			if c.err != "" {
				backuptest.Error(t, err, c.err, passphrase, "swordfish")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != c.want {
				t.Fatalf("there are %d backups, want %d", len(got), c.want)
			}
			for _, b := range got {
				if b.Ended.Before(began) || b.Ended.After(time.Now()) {
					t.Errorf("archive %s began at %v, and was made just now", b.ID, b.Ended)
				}
			}
		})
	}
}

func TestParse(t *testing.T) {
	began := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		answer string
		want   []guard.Backup
		err    string
	}{
		"none":        {answer: `{"archives":[]}`},
		"no zone":     {answer: `{"archives":[{"name":"a","time":"2026-11-24T03:00:00.000000"}]}`, want: []guard.Backup{{ID: "a", Ended: began}}},
		"with a zone": {answer: `{"archives":[{"name":"a","time":"2026-11-24T05:00:00+02:00"}]}`, want: []guard.Backup{{ID: "a", Ended: began}}},
		"no time":     {answer: `{"archives":[{"name":"a"}]}`, err: `the archive "a", which began at ""`},
		"no archives": {answer: `{}`, err: "which is no list of archives"},
		"nothing":     {answer: "", err: "which is no list of archives"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse([]byte(c.answer))
			if c.err != "" {
				backuptest.Error(t, err, c.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("parse (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLies breaks real repositories, which borg lists all the same.
func TestLies(t *testing.T) {
	data := func(t *testing.T, r repository) string { return backuptest.Largest(t, filepath.Join(r.dir, "data")) }
	for name, c := range map[string]struct {
		harm func(t *testing.T, r repository)
		rung guard.Rung
		flaw string
	}{
		"nothing is wrong":  {func(*testing.T, repository) {}, guard.RungRestored, ""},
		"a flipped byte":    {func(t *testing.T, r repository) { backuptest.Flip(t, data(t, r)) }, guard.RungListed, "Data integrity error"},
		"a deleted segment": {func(t *testing.T, r repository) { backuptest.Remove(t, data(t, r)) }, guard.RungListed, "errors found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			r.backup(t, "a")
			c.harm(t, r)
			v := r.vault(t)
			if backups, err := v.Backups(t.Context()); err != nil || len(backups) != 1 {
				t.Errorf("Backups = %v, error %v: borg lists it all the same", backups, err)
			}
			backuptest.Proof(t, v, guard.RungRestored, c.rung, c.flaw)
		})
	}
}

// TestExtractFindsWhatIsBroken takes the rung above the checks alone, which would have stopped before it.
func TestExtractFindsWhatIsBroken(t *testing.T) {
	r := newRepository(t)
	r.backup(t, "a")
	backuptest.Flip(t, backuptest.Largest(t, filepath.Join(r.dir, "data")))
	v := r.vault(t).(*Vault)
	v.scratch = t.TempDir()
	_, flaw, err := v.extract(t.Context(), guard.Backup{ID: "a"})
	if err != nil || flaw == "" {
		t.Errorf("extract: flaw %q, error %v", flaw, err)
	}
	if left, err := os.ReadDir(v.scratch); err != nil || len(left) > 0 {
		t.Errorf("extract leaves %v behind, error %v", left, err)
	}
}

// An archive of nothing is whole, and brings nothing back.
func TestEmpty(t *testing.T) {
	r := newRepository(t)
	r.borg(t, "create", "::a", t.TempDir())
	backuptest.Proof(t, r.vault(t), guard.RungRestored, guard.RungRead, "the archive is empty")
}

func TestLocked(t *testing.T) {
	r := newRepository(t)
	r.backup(t, "a")
	hold := filepath.Join(t.TempDir(), "held")
	cmd := r.command("with-lock", "::", "sh", "-c", `touch "$0"; while [ -e "$0" ]; do sleep 0.05; done`, hold)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		os.Remove(hold)
		cmd.Wait()
	}()
	backuptest.Eventually(t, "the lock is held", func() bool { _, err := os.Stat(hold); return err == nil })
	v := r.vault(t)
	_, err := v.Backups(t.Context())
	backuptest.Error(t, err, "lock", passphrase)
	_, err = guard.Prove(t.Context(), v, guard.RungChecked)
	backuptest.Error(t, err, "lock", passphrase)
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing": {nil, "repository: missing (a path, or an address like ssh://HOST/PATH)"},
		"slip":    {guard.With{"repository": "r", "passphrse": "p"}, "passphrse: there is no such key (did you mean passphrase?)"},
		"no time": {guard.With{"repository": "r", "timeout": "0s"}, "timeout: must be longer than nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewVault(c.with); err == nil || err.Error() != c.err {
				t.Errorf("NewVault: error %v, want %s", err, c.err)
			}
		})
	}
}
