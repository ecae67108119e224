package stdout

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

func TestNotify(t *testing.T) {
	at := time.Date(2026, 11, 24, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		notice guard.Notice
		want   string
	}{
		"one line": {guard.Notice{Title: "v2 is live", At: at}, "03:04:05  v2 is live\n"},
		"urgent":   {guard.Notice{Title: "v3 went back", Urgent: true, At: at}, "03:04:05  URGENT: v3 went back\n"},
		"an incident": {
			guard.Notice{Title: "t", Text: "x", Audience: "team", Roles: []string{"commander", "scribe"}, Reply: "https://golive.test/a\nb", At: at},
			"03:04:05  t (for commander, scribe)\n          x\n          https://golive.test/a b\n",
		},
		"with text":        {guard.Notice{Title: "t", Text: "one\ntwo\n", At: at}, "03:04:05  t\n          one\n          two\n"},
		"terminal escapes": {guard.Notice{Title: "a\x1b[2Jb\nc", Text: "\u009bx", At: at}, "03:04:05  a?[2Jb c\n          ?x\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			n, err := NewNotifier(&b)(nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := n.Notify(t.Context(), c.notice); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, b.String()); diff != "" {
				t.Errorf("Notify (-want +got):\n%s", diff)
			}
		})
	}
}

// full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestNotWrittenIsNotDelivered(t *testing.T) {
	n, err := NewNotifier(full{})(guard.With{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Notify(t.Context(), guard.Notice{}); err == nil {
		t.Error("a notice that was not written counts as delivered")
	}
}

func TestNothingToSetUp(t *testing.T) {
	if _, err := NewNotifier(full{})(guard.With{"url": "x"}); err == nil {
		t.Error("an unknown key is accepted")
	}
}
