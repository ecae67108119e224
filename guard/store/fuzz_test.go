package store

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard/journal"
)

// Whatever is appended without an error is loaded as a journal has it, and whatever a journal would not take is refused.
func FuzzAppend(f *testing.F) {
	f.Add("opened", []byte(`{"a": [1, "\u0000", "ü"]}`), int64(0))
	f.Add("two words", []byte(`null`), int64(1)<<62)
	f.Add("k", []byte("\"\xff\""), int64(-1))
	f.Add("k", []byte("{"), int64(5))
	s, err := Open(f.Context(), filepath.Join(f.TempDir(), "golive.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	mustAccept(f, s, "r1", "shop/prod")
	l := mustClaim(f, s, mustJoin(f, s, "a"), "r1")[0]
	f.Fuzz(func(t *testing.T, kind string, data []byte, nanos int64) {
		head, at := l.head, time.Unix(0, nanos)
		want, _, sealErr := journal.Seal(head, at, kind, json.RawMessage(data))
		err := l.Append(at, kind, data)
		if sealErr != nil && err == nil {
			t.Fatalf("a journal says %v, and the store takes it", sealErr)
		}
		if err != nil {
			return
		}
		got := mustLoad(t, s, "r1", head.Seq)
		if len(got) != 1 || got[0].Hash != want.Hash || !got[0].At.Equal(at) || !bytes.Equal(got[0].Data, want.Data) || got[0].Prev != head.Hash {
			t.Fatalf("%+v is loaded, want %+v", got, want)
		}
	})
}
