//go:build unix

package dump

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/internal/backuptest"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:   "dump",
	Vaults: map[string]func(guard.With) (guard.Vault, error){"dump": NewVault},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

// TestLies breaks real dumps of a real PostgreSQL, in each format.
func TestLies(t *testing.T) {
	postgres := backuptest.NewPostgres(t, "")
	postgres.Orders(t, 20_000)
	for name, flag := range map[string]string{"x.dump": "-Fc", "x.tar": "-Ft", "x.dir": "-Fd", "x.sql": "-Fp"} {
		postgres.Run(t, "pg_dump", flag, "--file="+filepath.Join(postgres.Dir, name), "shop")
	}
	zip(t, filepath.Join(postgres.Dir, "x.sql"), filepath.Join(postgres.Dir, "x.sql.gz"))
	half := filepath.Join(postgres.Dir, "half.sql")
	backuptest.Write(t, half, backuptest.Read(t, filepath.Join(postgres.Dir, "x.sql")))
	backuptest.Truncate(t, half)
	zip(t, half, filepath.Join(postgres.Dir, "half.sql.gz"))

	sound := func(testing.TB, string) {}
	inside := func(harm func(testing.TB, string)) func(testing.TB, string) {
		return func(t testing.TB, dir string) { harm(t, backuptest.Largest(t, dir)) }
	}
	sealed := func(harm func(testing.TB, string)) func(testing.TB, string) {
		return func(t testing.TB, path string) { seal(t, path); harm(t, path) }
	}
	for name, c := range map[string]struct {
		dump string
		harm func(t testing.TB, path string)
		rung guard.Rung
		flaw string
	}{
		"custom":                       {"x.dump", sound, guard.RungRead, ""},
		"custom, half":                 {"x.dump", backuptest.Truncate, guard.RungListed, "pg_restore cannot read it"},
		"custom, a flipped byte":       {"x.dump", backuptest.Flip, guard.RungListed, "pg_restore cannot read it"},
		"custom, digest":               {"x.dump", sealed(sound), guard.RungRead, ""},
		"custom, half, digest of that": {"x.dump", func(t testing.TB, path string) { backuptest.Truncate(t, path); seal(t, path) }, guard.RungChecked, "pg_restore cannot read it"},
		"directory":                    {"x.dir", sound, guard.RungRead, ""},
		"directory, half":              {"x.dir", inside(backuptest.Truncate), guard.RungListed, "pg_restore cannot read it"},
		"directory, a flipped byte":    {"x.dir", inside(backuptest.Flip), guard.RungListed, "pg_restore cannot read it"},
		"directory, a file is missing": {"x.dir", inside(backuptest.Remove), guard.RungListed, "pg_restore cannot read it"},
		"tar":                          {"x.tar", sound, guard.RungChecked, ""},
		"tar, half":                    {"x.tar", backuptest.Truncate, guard.RungListed, "unexpected EOF"},
		"tar, digest":                  {"x.tar", sealed(sound), guard.RungRead, ""},
		"tar, digest, a flipped byte":  {"x.tar", sealed(backuptest.Flip), guard.RungChecked, "its SHA-256 is"},
		"plain":                        {"x.sql", sound, guard.RungChecked, ""},
		"plain, half":                  {"x.sql", backuptest.Truncate, guard.RungNone, "no completed backup"},
		"plain, digest":                {"x.sql", sealed(sound), guard.RungRead, ""},
		"plain, digest, flipped byte":  {"x.sql", sealed(backuptest.Flip), guard.RungChecked, "its SHA-256 is"},
		"gzip":                         {"x.sql.gz", sound, guard.RungRead, ""},
		"gzip, half":                   {"x.sql.gz", backuptest.Truncate, guard.RungListed, "unexpected EOF"},
		"gzip, a flipped byte":         {"x.sql.gz", backuptest.Flip, guard.RungListed, "it cannot be read to its end"},
		"gzip of half a plain one":     {"half.sql.gz", sound, guard.RungListed, `its last line, "-- PostgreSQL database dump complete", is missing`},
		"empty":                        {"x.dump", func(t testing.TB, path string) { backuptest.Write(t, path, nil) }, guard.RungNone, "no completed backup"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.dump)
			duplicate(t, filepath.Join(postgres.Dir, c.dump), path)
			c.harm(t, path)
			v := plugintest.Make(t, NewVault, guard.With{"path": filepath.Join(filepath.Dir(path), "*")})
			backuptest.Proof(t, v, guard.RungRestored, c.rung, c.flaw)
		})
	}
	t.Run("contract", func(t *testing.T) {
		plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
			v := plugintest.Make(t, kit.Vaults["dump"], guard.With{"path": postgres.Dir + "/x.*"})
			plugintest.Vault(t, v, 5)
			dumps := plugintest.Make(t, kit.Vaults["dump"], guard.With{"path": postgres.Dir + "/x.dump"})
			plugintest.Prover(t, dumps, guard.RungRead)
		})
	})
}

// duplicate copies a file, or a directory.
func duplicate(t *testing.T, from, to string) {
	t.Helper()
	if info, err := os.Stat(from); err != nil {
		t.Fatal(err)
	} else if !info.IsDir() {
		backuptest.Write(t, to, backuptest.Read(t, from))
	} else if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// seal writes the digest of a file beside it.
func seal(t testing.TB, path string) {
	t.Helper()
	backuptest.Write(t, path+digestSuffix, fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(backuptest.Read(t, path)), filepath.Base(path)))
}

func zip(t *testing.T, from, to string) {
	t.Helper()
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(backuptest.Read(t, from)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	backuptest.Write(t, to, zipped.Bytes())
}

func TestBackups(t *testing.T) {
	night := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	long := "-- MySQL dump 10.13\n" + string(bytes.Repeat([]byte("INSERT\n"), 1000))
	for name, c := range map[string]struct {
		file, text string
		complete   bool
	}{
		"plain":                    {"a.sql", "--\n-- PostgreSQL database dump\n--\n...\n-- PostgreSQL database dump complete\n--\n", true},
		"plain, a line after it":   {"a.sql", "--\n-- PostgreSQL database dump\n--\n\\restrict x\n...\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict x\n", true},
		"plain, cut off":           {"a.sql", "--\n-- PostgreSQL database dump\n--\n...\n", false},
		"cluster":                  {"a.sql", "--\n-- PostgreSQL database cluster dump\n--\n-- PostgreSQL database dump complete\n-- PostgreSQL database cluster dump complete\n", true},
		"cluster, cut off":         {"a.sql", "--\n-- PostgreSQL database cluster dump\n--\n-- PostgreSQL database dump complete\n", false},
		"MySQL":                    {"a.sql", long + "-- Dump completed on 2026-11-24  3:00:00\n", true},
		"MySQL, cut off":           {"a.sql", long, false},
		"MySQL, line in the data":  {"a.sql", "-- MySQL dump 10.13\n-- Dump completed" + long, false},
		"MariaDB, after a comment": {"a.sql", "/*!999999\\- enable the sandbox mode */\n-- MariaDB dump 10.19\n-- Dump completed on 2026-11-24\n", true},
		"of an unknown format":     {"a.bin", "\x00\x01", true},
		"nothing":                  {"a.sql", "", false},
		"under way":                {"a.bin.part", "\x00\x01", false},
		"a digest alone":           {"a.bin.sha256", "00", false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.file)
			backuptest.Write(t, path, []byte(c.text))
			if err := os.Chtimes(path, night, night); err != nil {
				t.Fatal(err)
			}
			got, err := plugintest.Make(t, NewVault, guard.With{"path": filepath.Dir(path) + "/*"}).Backups(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var want []guard.Backup
			if c.complete {
				want = []guard.Backup{{ID: path, Ended: night, Bytes: int64(len(c.text))}}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Backups (-want +got):\n%s", diff)
			}
		})
	}
	_, err := plugintest.Make(t, NewVault, guard.With{"path": t.TempDir() + "/gone/*"}).Backups(t.Context())
	backuptest.Error(t, err, "no such file or directory")
}

// TestTrouble wants what the machine does to be no fault of the dump.
func TestTrouble(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.dump")
	backuptest.Write(t, path, []byte("PGDMP and more"))
	b := guard.Backup{ID: path, Ended: time.Now()}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, take := range map[string]func(context.Context, guard.Backup) (guard.Evidence, string, error){
		"pg_restore": pgRestore, "gunzip": gunzip, "tar": walk, "digest": digest,
	} {
		seal(t, path)
		if _, flaw, err := take(over, b); err == nil {
			t.Errorf("%s, and nobody waits: flaw %q, and no error", name, flaw)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, flaw, err := pgRestore(t.Context(), b); err == nil {
		t.Errorf("pg_restore is not installed: flaw %q, and no error", flaw)
	}
	backuptest.Write(t, path+digestSuffix, []byte("not a digest"))
	if _, flaw, err := digest(t.Context(), b); err == nil {
		t.Errorf("the digest is none: flaw %q, and no error", flaw)
	}
}

// TestCutOffBetweenMembers has a tar archive that ends where a reader would not miss anything.
func TestCutOffBetweenMembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.tar")
	header := make([]byte, 512)
	copy(header, "toc.dat")
	copy(header[100:], "0000600\x00")
	copy(header[124:], "00000000000\x00")
	copy(header[257:], "ustar\x0000")
	sum := 8 * int(' ')
	for _, b := range slices.Concat(header[:148], header[156:]) {
		sum += int(b)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
	for name, c := range map[string]struct {
		content []byte
		flaw    string
	}{
		"whole":   {append(header[:512:512], make([]byte, 1024)...), ""},
		"cut off": {slices.Concat(header, header, header), "the end of the tar archive is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			backuptest.Write(t, path, c.content)
			_, flaw, err := walk(t.Context(), guard.Backup{ID: path, Bytes: int64(len(c.content))})
			if err != nil || flaw != c.flaw {
				t.Errorf("walk: flaw %q, error %v, want %q", flaw, err, c.flaw)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing":       {nil, "path: missing (a pattern like /backups/*.dump)"},
		"not a pattern": {guard.With{"path": "/b/[x"}, `path: "/b/[x" is not a pattern (try /backups/*.dump)`},
		"slip":          {guard.With{"path": "x", "pth": "y"}, "pth: there is no such key (did you mean path?)"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewVault(c.with); err == nil || err.Error() != c.err {
				t.Errorf("NewVault: error %v, want %s", err, c.err)
			}
		})
	}
}
