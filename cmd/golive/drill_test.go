package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

// shelf is a vault with these backups.
type shelf []guard.Backup

func (s shelf) Backups(context.Context) ([]guard.Backup, error) { return s, nil }

// restoring is a restorer of which only that matters.
type restoring struct {
	guard.Restorer
	do func(b guard.Backup, into string) (guard.Proof, error)
}

func (r restoring) Restore(_ context.Context, b guard.Backup, into string) (guard.Proof, error) {
	return r.do(b, into)
}

// TestDrillScratch restores into a place that is empty and private, and leaves nothing there whatever happens.
func TestDrillScratch(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	nightly := guard.Backup{ID: "nightly", Ended: time.Now().Add(-time.Hour)}
	backups := shelf{{ID: "older", Ended: nightly.Ended.Add(-time.Hour)}, nightly, {ID: "oldest", Ended: nightly.Ended.Add(-2 * time.Hour)}}
	restores := func(do func(b guard.Backup, into string) (guard.Proof, error)) (proof guard.Proof, err error) {
		defer func() {
			if recover() != nil {
				err = errors.New("panic")
			}
		}()
		p := &program{err: t.Output()}
		return p.restore(t.Context(), backups, restoring{do: do}, "")
	}
	for name, end := range map[string]func() (guard.Proof, error){
		"well":      func() (guard.Proof, error) { return guard.Proof{Backup: nightly, Rung: guard.RungVerified}, nil },
		"an error":  func() (guard.Proof, error) { return guard.Proof{}, errors.New("no") },
		"in a heap": func() (guard.Proof, error) { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			called := false
			_, _ = restores(func(b guard.Backup, into string) (guard.Proof, error) {
				called = true
				held, err := os.ReadDir(into)
				if err != nil || len(held) > 0 || !filepath.IsAbs(into) || !strings.HasPrefix(into, tmp) {
					t.Errorf("%s is not an empty directory of its own: %v, error %v", into, held, err)
				}
				if b != nightly {
					t.Errorf("%s is restored, want the newest", b.ID)
				}
				locked := filepath.Join(into, "locked")
				if err := errors.Join(os.Mkdir(locked, 0o700), os.WriteFile(filepath.Join(locked, "orders"), nil, 0o400), os.Chmod(locked, 0o500)); err != nil {
					t.Error(err)
				}
				return end()
			})
			left, err := os.ReadDir(tmp)
			if err != nil || len(left) > 0 || !called {
				t.Errorf("left behind: %v, error %v; restored: %v", left, err, called)
			}
		})
	}
}

func TestDrillRefuses(t *testing.T) {
	p := &program{err: t.Output()}
	nothing := restoring{do: func(guard.Backup, string) (guard.Proof, error) {
		t.Error("it is restored all the same")
		return guard.Proof{}, nil
	}}
	proof, err := p.restore(t.Context(), shelf{}, nothing, "")
	if err != nil || proof.Flaw != "the vault holds no completed backup" {
		t.Errorf("no backup: %+v, error %v, want a flaw", proof, err)
	}
	_, err = p.restore(t.Context(), shelf{{ID: "tomorrow", Ended: time.Now().Add(24 * time.Hour)}}, nothing, "")
	if err == nil || !strings.HasPrefix(err.Error(), "clock skew: the backup tomorrow ends ") {
		t.Errorf("a backup of tomorrow: error %v", err)
	}
	_, err = keepQuiet[guard.Restorer](&p.secrets, nothing).Restore(t.Context(), guard.Backup{ID: "/backups/${TOKEN}.dump"}, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "holds a secret") {
		t.Errorf("a name that was cleaned: error %v", err)
	}
}
