package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

func TestClockFinding(t *testing.T) {
	for at, want := range map[string]guard.Verdict{"2027-01-01": guard.Pass, "1970-01-01": guard.Fail} {
		now, err := time.Parse(time.DateOnly, at)
		if err != nil {
			t.Fatal(err)
		}
		if f := clockFinding(now); f.Verdict != want {
			t.Errorf("%s: %s, want %s", at, f.Verdict, want)
		}
	}
}

// What doctor tries it leaves as it was, and what cannot be written to is found out.
func TestDoctorTriesDirectories(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("root can write everywhere: only a directory that is not there is tried")
	}
	dir := t.TempDir()
	if f := tempFinding(filepath.Join(dir, "none")); f.Verdict != guard.Fail || f.Remedy == "" {
		t.Errorf("a directory that is not there: %+v", f)
	}
	for _, f := range journalFindings(t.Context(), filepath.Join(dir, "a", "b")) {
		if f.Verdict != guard.Pass && f.Verdict != guard.Warn {
			t.Errorf("%s: %s %s", f.Title, f.Verdict, f.Reason)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v, error %v", left, err)
	}
	if os.Geteuid() != 0 {
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		if f := journalFindings(t.Context(), dir)[0]; f.Verdict != guard.Fail {
			t.Errorf("a directory that cannot be written to: %+v", f)
		}
	}
}
