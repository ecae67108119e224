package journal_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard/journal"
)

// One at a time for each name, in a directory that need not be there yet.
func TestTurn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journals")
	take := func(name string) (func() error, error) {
		tooLong := errors.New("too long")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, tooLong)
		defer cancel()
		done, err := journal.Turn(ctx, dir, name)
		if err != nil && !errors.Is(err, tooLong) {
			t.Errorf("%s: %v, want the cause of the context", name, err)
		}
		return done, err
	}
	first, err := take("shop-test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := take("shop-test"); err == nil {
		t.Error("two have the same turn")
	}
	other, err := take("shop-production")
	if err != nil {
		t.Error("another environment has to wait")
	}
	for _, done := range []func() error{first, other} {
		if err := done(); err != nil {
			t.Error(err)
		}
	}
	again, err := take("shop-test")
	if err != nil {
		t.Fatal("the turn does not end")
	}
	if err := again(); err != nil {
		t.Error(err)
	}
	if entries, err := journal.List(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d journals (%v), want none: a turn is no journal", len(entries), err)
	}
}
