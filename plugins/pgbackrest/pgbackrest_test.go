//go:build unix

package pgbackrest

import (
	"fmt"
	"maps"
	"os"
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
	Name:   "pgbackrest",
	Vaults: map[string]func(guard.With) (guard.Vault, error){"pgbackrest": NewVault},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

const cipher = "hunter2-cipher"

// A world is a directory with a repository, and with the configuration that finds it.
type world string

// configure writes the configuration for the repository in this world.
func (w world) configure(t *testing.T, postgres *backuptest.Postgres) {
	backuptest.Write(t, w.config(), fmt.Appendf(nil, `[global]
repo1-path=%[1]s/repository
repo1-cipher-type=aes-256-cbc
lock-path=%[1]s/lock
log-level-file=off
spool-path=%[1]s/spool
start-fast=y
archive-check=n
compress-level=1
job-retry=0
[shop]
pg1-path=%[2]s
pg1-socket-path=%[3]s
`, w, postgres.Data, postgres.Dir))
	if err := os.Chmod(w.config(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (w world) config() string { return filepath.Join(string(w), "pgbackrest.conf") }

func (w world) with() guard.With {
	return guard.With{"stanza": "shop", "config": w.config(), "env": map[string]any{"PGBACKREST_REPO1_CIPHER_PASS": cipher}}
}

func (w world) vault(t *testing.T) guard.Vault { return plugintest.Make(t, NewVault, w.with()) }

// TestStanza has one PostgreSQL with one backup, and copies of the repository to break.
func TestStanza(t *testing.T) {
	backuptest.Program(t, "pgbackrest", "pgbackrest")
	t.Setenv("PGBACKREST_REPO1_CIPHER_PASS", cipher)
	postgres := backuptest.NewPostgres(t, "archive_mode = on\narchive_command = "+
		`'pgbackrest --config="$(dirname "$PWD")/world/pgbackrest.conf" --stanza=shop archive-push %p'`+"\n")
	sound := world(filepath.Join(postgres.Dir, "world"))
	postgres.Run(t, "mkdir", string(sound))
	sound.configure(t, postgres)
	pgbackrest := func(args ...string) {
		t.Helper()
		postgres.Run(t, "pgbackrest", append(args, "--config="+sound.config(), "--stanza=shop")...)
	}

	t.Run("no stanza", func(t *testing.T) {
		_, err := sound.vault(t).Backups(t.Context())
		backuptest.Error(t, err, "the stanza shop has the status 1: missing stanza path", cipher)
	})
	pgbackrest("stanza-create")
	t.Run("no backup", func(t *testing.T) {
		backuptest.Proof(t, sound.vault(t), guard.RungRead, guard.RungNone, "no completed backup")
	})
	postgres.Orders(t, 20_000)
	began := time.Now().Add(-time.Second)
	pgbackrest("backup", "--type=full")

	t.Run("contract", func(t *testing.T) {
		plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
			plugintest.Vault(t, plugintest.Make(t, kit.Vaults["pgbackrest"], sound.with()), 1)
		})
		plugintest.Prover(t, sound.vault(t), guard.RungRestored)
	})
	t.Run("end", func(t *testing.T) {
		backups, err := sound.vault(t).Backups(t.Context())
		if err != nil || len(backups) != 1 {
			t.Fatalf("Backups = %v, error %v", backups, err)
		}
		if b := backups[0]; b.Ended.Before(began) || b.Ended.After(time.Now()) || b.Bytes < 1<<20 {
			t.Errorf("the backup that was made just now is %+v", b)
		}
	})
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		// What a wrong key makes of a file is garbage, or has no end: pgBackRest says the one or the other.
		"wrong cipher":     {guard.With{"env": map[string]any{"PGBACKREST_REPO1_CIPHER_PASS": "swordfish"}}, "pgbackrest info"},
		"no configuration": {guard.With{"config": sound.config() + "2"}, "unable to open missing file"},
		"no such stanza":   {guard.With{"stanza": "other"}, "the stanza other has the status"},
		"too slow":         {guard.With{"timeout": "1ns"}, "not done after 1ns"},
	} {
		t.Run(name, func(t *testing.T) {
			with := sound.with()
			maps.Copy(with, c.with)
			_, err := plugintest.Make(t, NewVault, with).Backups(t.Context())
			backuptest.Error(t, err, c.err, cipher, "swordfish")
		})
	}

	for name, c := range map[string]struct {
		harm func(t testing.TB, file string)
		flaw string
	}{
		"a flipped byte": {backuptest.Flip, "checksum invalid: 1"},
		"half a file":    {backuptest.Truncate, "checksum invalid: 1"},
		"a deleted file": {backuptest.Remove, "missing: 1"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := world(t.TempDir())
			if err := os.CopyFS(filepath.Join(string(broken), "repository"), os.DirFS(filepath.Join(string(sound), "repository"))); err != nil {
				t.Fatal(err)
			}
			broken.configure(t, postgres)
			backups := filepath.Join(string(broken), "repository", "backup", "shop", "*F", "pg_data", "base")
			base, err := filepath.Glob(backups)
			if err != nil || len(base) != 1 {
				t.Fatalf("%s: %v, error %v", backups, base, err)
			}
			c.harm(t, backuptest.Largest(t, base[0]))
			v := broken.vault(t).(*Vault)
			backuptest.Proof(t, v, guard.RungRestored, guard.RungListed, c.flaw)

			// The rung above, alone: it has to find by itself what verify would have found before it.
			v.scratch = t.TempDir()
			newest, err := v.Backups(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, flaw, err := v.restore(t.Context(), newest[0])
			if err != nil || flaw == "" {
				t.Errorf("restore: flaw %q, error %v", flaw, err)
			}
			if left, err := os.ReadDir(v.scratch); err != nil || len(left) > 0 {
				t.Errorf("restore leaves %v behind, error %v", left, err)
			}
		})
	}
}

// A restore that leaves nothing behind is none, and pgBackRest does not always tell sizes. No real PostgreSQL has such
// a backup, so a program stands in that does nothing, and does it well.
func TestEmpty(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "pgbackrest"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	v := plugintest.Make(t, NewVault, guard.With{"stanza": "shop"}).(*Vault)
	_, flaw, err := v.restore(t.Context(), guard.Backup{ID: "a"})
	if err != nil || !strings.Contains(flaw, "the backup is empty") {
		t.Errorf("restore: flaw %q, error %v, want a flaw", flaw, err)
	}
}

// TestParse has what cannot be made to happen here.
func TestParse(t *testing.T) {
	const head, tail = `[{"name":"shop","status":{"code":0,"message":"ok","lock":{"backup":{"held":true}}},"backup":[`, `]}]`
	want := []guard.Backup{{ID: "20261124-030000F", Ended: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC), Bytes: 7}}
	const good = `{"label":"20261124-030000F","error":false,"info":{"size":7},"timestamp":{"start":1795488000,"stop":1795489200}}`
	for name, c := range map[string]struct {
		answer string
		want   []guard.Backup
		err    string
	}{
		"one, and one under way": {answer: head + good + tail, want: want},
		"damaged pages":          {answer: head + good + `,{"label":"b","error":true,"timestamp":{"stop":1795492800}}` + tail, want: want},
		"pages not looked at":    {answer: head + `{"label":"20261124-030000F","error":null,"info":{"size":7},"timestamp":{"stop":1795489200}}` + tail, want: want},
		"not ended":              {answer: head + `{"label":"b","timestamp":{"start":1795488000}}` + tail, err: `"b" that has no label or no end`},
		"mixed":                  {answer: `[{"name":"shop","status":{"code":4,"message":"different across repos"}}]`, err: "the status 4: different across repos"},
		"no status":              {answer: `[{"name":"shop"}]`, err: "does not tell of the stanza shop alone"},
		"another stanza":         {answer: `[{"name":"mail","status":{"code":0}}]`, err: "does not tell of the stanza shop alone"},
		"nothing at all":         {answer: `[]`, err: "does not tell of the stanza shop alone"},
		"not JSON":               {answer: `No stanzas exist in the repository.`, err: "which is no list of stanzas"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse([]byte(c.answer), "shop")
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

func TestJudge(t *testing.T) {
	const (
		stanza = "stanza: shop\nstatus: ok\n"
		valid  = "  backup: a, status: valid, total files checked: 3, total valid files: 3\n    missing: 0, checksum invalid: 0, size invalid: 0, other: 0\n"
		other  = "  backup: b, status: invalid, total files checked: 3, total valid files: 2\n    missing: 0, checksum invalid: 1, size invalid: 0, other: 0\n"
	)
	for name, c := range map[string]struct {
		report string
		flaw   string
		known  bool
	}{
		"valid":            {stanza + valid, "", true},
		"older is broken":  {"stanza: shop\nstatus: error\n" + valid + other, "pgbackrest verify says of backup b: status: invalid, total files checked: 3, total valid files: 2; missing: 0, checksum invalid: 1, size invalid: 0, other: 0", true},
		"archive is gone":  {"stanza: shop\nstatus: error\n" + valid, "pgbackrest verify says status: error", true},
		"one under way":    {stanza + valid + "  backup: b, status: in-progress\n", "", true},
		"it is under way":  {stanza + "  backup: a, status: in-progress\n", "", false},
		"not told of":      {stanza, "", false},
		"nothing":          {"", "", false},
		"another stanza":   {"stanza: mail\nstatus: ok\n" + valid, "", false},
		"a longer name":    {stanza + "  backup: ab, status: valid, total files checked: 3\n", "", false},
		"without a status": {"stanza: shop\n" + valid, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			flaw, known := judge([]byte(c.report), "shop", "a")
			if flaw != c.flaw || known != c.known {
				t.Errorf("judge = %q, %t, want %q, %t", flaw, known, c.flaw, c.known)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing": {nil, "stanza: missing (pgbackrest info lists them)"},
		"slip":    {guard.With{"stanza": "s", "confg": "c"}, "confg: there is no such key (did you mean config?)"},
		"repo":    {guard.With{"stanza": "s", "repo": -1}, "repo: must be the number of a repository, from 1"},
		"no time": {guard.With{"stanza": "s", "timeout": "0s"}, "timeout: must be longer than nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewVault(c.with); err == nil || err.Error() != c.err {
				t.Errorf("NewVault: error %v, want %s", err, c.err)
			}
		})
	}
}
