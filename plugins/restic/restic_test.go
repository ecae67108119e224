package restic

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/internal/backuptest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:   "restic",
	Vaults: map[string]func(guard.With) (guard.Vault, error){"restic": NewVault},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

const password = "hunter2 and more"

// A repository is a real one.
type repository struct{ dir, cache string }

// newRepository makes a repository with one backup, by host h1 and with the tag nightly. One of its files has two
// names.
func newRepository(t *testing.T) repository {
	t.Helper()
	backuptest.Program(t, "restic", "restic")
	r := repository{filepath.Join(t.TempDir(), "repository"), t.TempDir()}
	r.restic(t, "init")
	source := backuptest.Scatter(t, 3, 200_000)
	if err := os.Link(filepath.Join(source, "0"), filepath.Join(source, "again")); err != nil {
		t.Fatal(err)
	}
	r.restic(t, "backup", source, "--host=h1", "--tag=nightly")
	return r
}

// duplicate is another repository with the same content, to be changed.
func (r repository) duplicate(t *testing.T) repository {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(r.dir)); err != nil {
		t.Fatal(err)
	}
	return repository{dir, r.cache}
}

func (r repository) command(args ...string) *exec.Cmd {
	cmd := exec.Command("restic", args...)
	cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+r.dir, "RESTIC_PASSWORD="+password, "XDG_CACHE_HOME="+r.cache)
	return cmd
}

func (r repository) restic(t *testing.T, args ...string) {
	t.Helper()
	if output, err := r.command(args...).CombinedOutput(); err != nil {
		t.Fatalf("restic %s: %v: %s", args[0], err, output)
	}
}

// backup makes another backup.
func (r repository) backup(t *testing.T, args ...string) {
	t.Helper()
	r.restic(t, append([]string{"backup", backuptest.Scatter(t, 1, 1000)}, args...)...)
}

// pack is the largest file of the repository: the data.
func (r repository) pack(t *testing.T) string {
	return backuptest.Largest(t, filepath.Join(r.dir, "data"))
}

func (r repository) with() guard.With {
	return guard.With{"repository": r.dir, "password": password, "env": map[string]any{"XDG_CACHE_HOME": r.cache}}
}

func (r repository) vault(t *testing.T) guard.Vault { return plugintest.Make(t, NewVault, r.with()) }

// TestRepository makes a repository once, for restic takes most of a second to open one.
func TestRepository(t *testing.T) {
	sound := newRepository(t)
	for name, test := range map[string]func(*testing.T, repository){
		"contract": testContract, "backups": testBackups, "lies": testLies, "restore": testRestore, "no backup": testNoBackup, "empty": testEmpty, "locked": testLocked,
	} {
		t.Run(name, func(t *testing.T) { test(t, sound.duplicate(t)) })
	}
}

func testContract(t *testing.T, r repository) {
	r.backup(t)
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		plugintest.Vault(t, plugintest.Make(t, kit.Vaults["restic"], r.with()), 2)
	})
	plugintest.Prover(t, r.vault(t), guard.RungRestored)
}

func testBackups(t *testing.T, r repository) {
	began := time.Now().Add(-time.Minute)
	r.backup(t, "--host=h2", "--tag=nightly", "--tag=db")
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		with guard.With
		want int
		err  string
	}{
		"all":              {with: guard.With{"password": password}, want: 2},
		"password in file": {with: guard.With{"password_file": file}, want: 2},
		"of a host":        {with: guard.With{"password": password, "host": "h1"}, want: 1},
		"with both tags":   {with: guard.With{"password": password, "tags": []any{"nightly", "db"}}, want: 1},
		"none fits":        {with: guard.With{"password": password, "host": "h3"}, want: 0},
		"no such path":     {with: guard.With{"password": password, "paths": []any{"/elsewhere"}}, want: 0},
		"wrong password":   {with: guard.With{"password": "swordfish"}, err: "wrong password"},
		"no password file": {with: guard.With{"password_file": file + "2"}, err: "does not exist"},
		"no repository":    {with: guard.With{"password": password, "repository": r.dir + "2"}, err: "unable to open"},
		"too slow":         {with: guard.With{"password": password, "timeout": "1ns"}, err: "not done after 1ns"},
		"secret address":   {with: guard.With{"password": password, "repository": "rest:http://me:t0psecret@127.0.0.1:9/x"}, err: "connect"},
	} {
		t.Run(name, func(t *testing.T) {
			with := r.with()
			delete(with, "password")
			maps.Copy(with, c.with)
			got, err := plugintest.Make(t, NewVault, with).Backups(t.Context())
			if c.err != "" {
				backuptest.Error(t, err, c.err, password, "swordfish", "t0psecret", "me:")
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
					t.Errorf("backup %s ended at %v, and was made just now", b.ID, b.Ended)
				}
			}
		})
	}
}

// TestParse has what releases other than the installed one print.
func TestParse(t *testing.T) {
	began := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		answer string
		want   []guard.Backup
		err    string
	}{
		"none":       {answer: "[]"},
		"none, null": {answer: "null\n"},
		"0.14":       {answer: `[{"time":"2026-11-24T03:00:00+01:00","tree":"t","id":"a"}]`, want: []guard.Backup{{ID: "a", Ended: began}}},
		"0.17": {
			answer: `[{"time":"2026-11-24T02:00:00Z","id":"a","program_version":"restic 0.17.0","summary":{"backup_end":"2026-11-24T02:30:00Z","total_bytes_processed":7}}]`,
			want:   []guard.Backup{{ID: "a", Ended: began.Add(30 * time.Minute), Bytes: 7}},
		},
		"nothing":  {answer: "", err: "which is no list of snapshots"},
		"a lock":   {answer: "unable to create lock", err: "which is no list of snapshots"},
		"no time":  {answer: `[{"id":"a"}]`, err: "without id or time"},
		"cut off":  {answer: `[{"id":"a","time":"2026-11-24T02:00:00Z"}`, err: "which is no list of snapshots"},
		"an error": {answer: `{"message_type":"exit_error","code":10}`, err: "which is no list of snapshots"},
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

// testLies breaks real repositories in ways that some command of restic passes over.
func testLies(t *testing.T, sound repository) {
	for name, c := range map[string]struct {
		harm func(t *testing.T, r repository)
		rung guard.Rung
		flaw string
	}{
		"nothing is wrong": {func(*testing.T, repository) {}, guard.RungRestored, ""},
		"a flipped byte":   {func(t *testing.T, r repository) { backuptest.Flip(t, r.pack(t)) }, guard.RungChecked, "Pack ID does not match"},
		"a deleted pack":   {func(t *testing.T, r repository) { backuptest.Remove(t, r.pack(t)) }, guard.RungListed, "does not exist"},
		"a broken index": {func(t *testing.T, r repository) {
			backuptest.Flip(t, backuptest.Largest(t, filepath.Join(r.dir, "index")))
		}, guard.RungListed, "LoadIndex returned errors"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sound.duplicate(t)
			c.harm(t, r)
			v := r.vault(t)
			if backups, err := v.Backups(t.Context()); err != nil || len(backups) != 1 {
				t.Errorf("Backups = %v, error %v: restic lists it all the same", backups, err)
			}
			backuptest.Proof(t, v, guard.RungRestored, c.rung, c.flaw)
		})
	}
}

// testRestore looks at the rung above the checks alone, which would have stopped before it.
func testRestore(t *testing.T, r repository) {
	backuptest.Flip(t, r.pack(t))
	v := r.vault(t).(*Vault)
	v.scratch = t.TempDir()
	backups, err := v.Backups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, flaw, err := v.restore(t.Context(), backups[0])
	if err != nil || !strings.Contains(flaw, "ciphertext verification failed") {
		t.Errorf("restore: flaw %q, error %v", flaw, err)
	}
	if left, err := os.ReadDir(v.scratch); err != nil || len(left) > 0 {
		t.Errorf("restore leaves %v behind, error %v", left, err)
	}
}

func testNoBackup(t *testing.T, r repository) {
	with := r.with()
	with["host"] = "another"
	backuptest.Proof(t, plugintest.Make(t, NewVault, with), guard.RungRead, guard.RungNone, "no completed backup")
}

// testEmpty backs up nothing, which is whole, and brings nothing back.
func testEmpty(t *testing.T, r repository) {
	r.restic(t, "backup", t.TempDir(), "--host=empty")
	with := r.with()
	with["host"] = "empty"
	backuptest.Proof(t, plugintest.Make(t, NewVault, with), guard.RungRestored, guard.RungRead, "the snapshot is empty")
}

// testLocked lists a repository that somebody else has locked, but does not pretend to have checked it.
func testLocked(t *testing.T, r repository) {
	stop := filepath.Join(t.TempDir(), "stop")
	// A backup of what never ends keeps its lock.
	cmd := exec.Command("sh", "-c", `(while [ ! -e "$0" ]; do echo more; sleep 0.05; done) | restic backup --stdin`, stop)
	cmd.Env = r.command().Env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		os.WriteFile(stop, nil, 0o600)
		cmd.Wait()
	}()
	backuptest.Eventually(t, "the backup locks the repository", func() bool {
		locks, _ := os.ReadDir(filepath.Join(r.dir, "locks"))
		return len(locks) > 0
	})
	v := r.vault(t).(*Vault)
	backups, err := v.Backups(t.Context())
	if err != nil || len(backups) != 1 {
		t.Errorf("Backups = %v, error %v, want the one that is complete", backups, err)
	}
	_, err = v.Prove(t.Context(), guard.RungChecked)
	backuptest.Error(t, err, "already locked", password)
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing":       {nil, "repository: missing (a path, or an address like s3:HOST/BUCKET)"},
		"two passwords": {guard.With{"repository": "r", "password": "p", "password_file": "f"}, "password_file: there is a password too (keep one of them)"},
		"slip":          {guard.With{"repository": "r", "pasword_file": "f"}, "pasword_file: there is no such key (did you mean password_file?)"},
		"no time":       {guard.With{"repository": "r", "timeout": "0s"}, "timeout: must be longer than nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewVault(c.with); err == nil || err.Error() != c.err {
				t.Errorf("NewVault: error %v, want %s", err, c.err)
			}
		})
	}
}
