package plugintest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// Vault holds a vault to its contract; want is how many backups the test has set up.
func Vault(t *testing.T, v guard.Vault, want int) {
	t.Helper()
	backups, err := v.Backups(t.Context())
	if err != nil {
		t.Fatalf("Backups: %v", err)
	}
	if len(backups) != want {
		t.Errorf("there are %d backups, want %d: %v", len(backups), want, backups)
	}
	seen := make(map[string]bool)
	for _, b := range backups {
		if b.ID == "" || seen[b.ID] || b.Ended.IsZero() || b.Bytes < 0 {
			t.Errorf("backup %+v needs an ID of its own, an end, and no negative size", b)
		}
		seen[b.ID] = true
	}
	heedsContext(t, "Backups", func(ctx context.Context) error { _, err := v.Backups(ctx); return err })
}

// Prover holds a vault to the contract of one that can climb the ladder, up to the rung top. Its newest backup
// has to be sound.
func Prover(t *testing.T, v guard.Vault, top guard.Rung) {
	t.Helper()
	backups, err := v.Backups(t.Context())
	if err != nil {
		t.Fatalf("Backups: %v", err)
	}
	newest, found := guard.Newest(backups)
	if !found {
		t.Fatal("there is no backup to climb with")
	}
	for _, want := range []guard.Rung{guard.RungListed, guard.RungVerified} { // no further, and as far as it can
		proof, err := guard.Prove(t.Context(), v, want)
		if err != nil {
			t.Fatalf("Prove %s: %v", want, err)
		}
		if err := proof.Check(); err != nil {
			t.Errorf("Prove %s: %v", want, err)
		}
		if proof.Flaw != "" {
			t.Errorf("Prove %s: a sound backup has the flaw %q", want, proof.Flaw)
		}
		if proof.Rung != min(want, top) {
			t.Errorf("Prove %s comes up to %s, want %s", want, proof.Rung, min(want, top))
		}
		if proof.Rung > guard.RungListed && len(proof.Evidence) == 0 {
			t.Errorf("Prove %s: nothing tells what %s rests on", want, proof.Rung)
		}
		if diff := cmp.Diff(newest, proof.Backup); diff != "" {
			t.Errorf("Prove %s takes another backup than the newest (-want +got):\n%s", want, diff)
		}
	}
	after, err := v.Backups(t.Context())
	if err != nil {
		t.Fatalf("Backups: %v", err)
	}
	if diff := cmp.Diff(backups, after); diff != "" {
		t.Errorf("Prove has changed the vault (-before +after):\n%s", diff)
	}
	heedsContext(t, "Prove", func(ctx context.Context) error { _, err := guard.Prove(ctx, v, top); return err })
}

// Restorer holds a restorer to its contract; b is a sound backup that it can restore.
func Restorer(t *testing.T, r guard.Restorer, b guard.Backup) {
	t.Helper()
	for range 2 { // it may be repeated
		finding, err := r.Ready(t.Context())
		if err != nil {
			t.Fatalf("Ready: %v", err)
		}
		if finding.Verdict != guard.Pass || finding.Title == "" || finding.Observed == "" {
			t.Errorf("Ready: %+v is no pass that says what was found", finding)
		}
		into := t.TempDir()
		proof, err := r.Restore(t.Context(), b, into)
		if err != nil {
			t.Fatalf("Restore: %v", err)
		}
		if err := proof.Check(); err != nil {
			t.Errorf("Restore: %v", err)
		}
		if !proof.Reaches(guard.RungVerified) || len(proof.Evidence) == 0 {
			t.Errorf("Restore: a sound backup comes up to %s with the flaw %q and %d pieces of evidence", proof.Rung, proof.Flaw, len(proof.Evidence))
		}
		if diff := cmp.Diff(b, proof.Backup); diff != "" {
			t.Errorf("Restore: the proof is of another backup (-want +got):\n%s", diff)
		}
	}
	heedsContext(t, "Ready", func(ctx context.Context) error { _, err := r.Ready(ctx); return err })
	heedsContext(t, "Restore", func(ctx context.Context) error { _, err := r.Restore(ctx, b, t.TempDir()); return err })
}
