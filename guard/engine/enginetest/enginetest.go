// Package enginetest holds a journal to its contract, whatever keeps it: a file, or a store that servers share.
package enginetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/journal"
)

// A Kept journal, and what can be done with it beside appending.
type Kept struct {
	engine.Journal
	// Export writes what is kept as a file of package journal holds it.
	Export func(io.Writer) error
	// Close lets go of it: every later Append fails.
	Close func() error
	// Again opens what Close has let go of, to go on with it.
	Again func() Kept
}

// Journal holds a journal to its contract. Open makes one that holds nothing, or what somebody else has begun.
func Journal(t *testing.T, open func(*testing.T) Kept) {
	at := time.Date(2026, 11, 30, 3, 0, 0, 123456789, time.UTC)
	add := func(t *testing.T, k Kept, n int) {
		t.Helper()
		if err := k.Append(at.Add(time.Duration(n)*time.Millisecond), "noted", json.RawMessage(fmt.Sprintf(`{"fact":{"text":"note %d <&>"}}`, n))); err != nil {
			t.Fatalf("append %d: %v", n, err)
		}
	}
	t.Run("keeps what it was given, in order", func(t *testing.T) {
		k := open(t)
		before := len(exported(t, k))
		for n := range 20 {
			add(t, k, n)
		}
		records := exported(t, k)[before:]
		if len(records) != 20 {
			t.Fatalf("%d records, want 20", len(records))
		}
		for n, r := range records {
			want := fmt.Sprintf(`{"fact":{"text":"note %d <&>"}}`, n)
			if r.Kind != "noted" || string(r.Data) != want || !r.At.Equal(at.Add(time.Duration(n)*time.Millisecond)) {
				t.Errorf("record %d is %s %s at %s, want %s", n, r.Kind, r.Data, r.At, want)
			}
		}
	})
	t.Run("goes on where it was", func(t *testing.T) {
		k := open(t)
		before := len(exported(t, k))
		add(t, k, 1)
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		again := k.Again()
		add(t, again, 2)
		if got := len(exported(t, again)) - before; got != 2 {
			t.Errorf("%d records, want 2", got)
		}
	})
	t.Run("refuses what is no record, and keeps the rest", func(t *testing.T) {
		k := open(t)
		before := len(exported(t, k))
		add(t, k, 1)
		for what, data := range map[string]string{"broken JSON": `{"fact":`, "nothing": ``, "too much": `"` + strings.Repeat("x", journal.MaxRecord) + `"`} {
			if err := k.Append(at, "noted", json.RawMessage(data)); err == nil {
				t.Errorf("%s is taken", what)
			}
		}
		if err := k.Append(at, "no kind", json.RawMessage(`{}`)); err == nil {
			t.Error("a kind with a space is taken")
		}
		add(t, k, 2)
		if got := len(exported(t, k)) - before; got != 2 {
			t.Errorf("%d records, want 2", got)
		}
	})
	t.Run("takes nothing once it is let go of", func(t *testing.T) {
		k := open(t)
		add(t, k, 1)
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := k.Append(at, "noted", json.RawMessage(`{"fact":{}}`)); err == nil {
				t.Error("a record is taken")
			}
		}
	})
}

// exported is what a journal holds, every record checked against the one before.
func exported(t *testing.T, k Kept) (records []journal.Record) {
	t.Helper()
	var text bytes.Buffer
	if err := k.Export(&text); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "exported"+journal.Extension)
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for r, err := range journal.Read(path) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}
