package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/golive-dev/golive/guard"
)

var night = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

// write makes a file that was last changed at night plus age.
func write(t *testing.T, path, content string, age time.Duration) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, night.Add(age), night.Add(age)); err != nil {
		t.Fatal(err)
	}
}

func TestBackups(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"mon/a.dump":      "12345",
		"tue/b.dump":      "1",
		"tue/empty.dump":  "",
		"tue/c.dump.part": "1",
		"tue/d.DUMP.TMP":  "1",
		"tue/.e.dump":     "1",
		"tue/notes.txt":   "1",
		"tue/f.dump~":     "1",
		"wed/g.dump/x":    "1",
	} {
		write(t, filepath.Join(dir, name), content, time.Duration(len(content))*time.Hour)
	}
	if err := os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "mon", "link.dump")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		pattern string
		want    []guard.Backup
		err     string
	}{
		"all":             {"*/*", []guard.Backup{{ID: "mon/a.dump", Ended: night.Add(5 * time.Hour), Bytes: 5}, {ID: "tue/b.dump", Ended: night.Add(time.Hour), Bytes: 1}, {ID: "tue/notes.txt", Ended: night.Add(time.Hour), Bytes: 1}}, ""},
		"dumps":           {"mon/*.dump", []guard.Backup{{ID: "mon/a.dump", Ended: night.Add(5 * time.Hour), Bytes: 5}}, ""},
		"one file":        {"tue/b.dump", []guard.Backup{{ID: "tue/b.dump", Ended: night.Add(time.Hour), Bytes: 1}}, ""},
		"none":            {"mon/*.tar", nil, ""},
		"no directory":    {"thu/*.dump", nil, "no such file or directory"},
		"no directory 2":  {"thu/*/*.dump", nil, "no such file or directory"},
		"not a directory": {"mon/a.dump/*", nil, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := NewVault(guard.With{"path": filepath.Join(dir, c.pattern)})
			if err != nil {
				t.Fatal(err)
			}
			got, err := v.Backups(t.Context())
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("Backups = %v, error %v, want %q", got, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				got[i].ID, err = filepath.Rel(dir, got[i].ID)
				if err != nil {
					t.Fatal(err)
				}
			}
			byID := cmpopts.SortSlices(func(a, b guard.Backup) bool { return a.ID < b.ID })
			if diff := cmp.Diff(c.want, got, byID, cmpopts.EquateApproxTime(0)); diff != "" {
				t.Errorf("Backups (-want +got):\n%s", diff)
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
