package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/engine/enginetest"
	"github.com/golive-dev/golive/guard/store"
)

// TestKeeper holds the journals of a store to the contract that those of files keep, too.
func TestKeeper(t *testing.T) {
	enginetest.Journal(t, func(t *testing.T) enginetest.Kept {
		kept, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "golive.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = kept.Close() })
		_, _, err = kept.Accept(t.Context(), store.Delivery{ID: "1", Source: "test", At: time.Now()}, store.Opening{
			Rollout: "r", Target: "shop/test", Records: []store.Entry{{At: time.Now(), Kind: "opened", Data: json.RawMessage("{}")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return claimed(t, kept)
	})
}

func claimed(t *testing.T, kept *store.Store) enginetest.Kept {
	t.Helper()
	session, err := kept.Join(t.Context(), "test", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	leases, err := kept.Claim(t.Context(), session, 1)
	if err != nil || len(leases) != 1 {
		t.Fatalf("%d leases: %v", len(leases), err)
	}
	return enginetest.Kept{
		Journal: keeper{leases[0]},
		Export:  func(w io.Writer) error { return kept.Export(context.Background(), "r", w) },
		Close:   func() error { return leases[0].Release(t.Context()) },
		Again:   func() enginetest.Kept { return claimed(t, kept) },
	}
}

// TestFencedKeeper: who has lost a rollout is told so in the engine's words.
func TestFencedKeeper(t *testing.T) {
	kept, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "golive.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	_, _, err = kept.Accept(t.Context(), store.Delivery{ID: "1", Source: "test", At: time.Now()}, store.Opening{
		Rollout: "r", Target: "shop/test", Records: []store.Entry{{At: time.Now(), Kind: "opened", Data: json.RawMessage("{}")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	k := claimed(t, kept)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.Append(time.Now(), "noted", json.RawMessage("{}")); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("it says %v", err)
	}
}
