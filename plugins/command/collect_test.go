//go:build unix

package command

import (
	"errors"
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

func TestCollect(t *testing.T) {
	for name, c := range map[string]struct {
		with  guard.With
		want  string // the content
		err   string
		bytes int // of the content, if it is too long to be written here
	}{
		"both outputs, in order":     {with: guard.With{"run": "echo one; echo two >&2; echo three"}, want: "one\ntwo\nthree\n"},
		"the release":                {with: guard.With{"run": "echo $GOLIVE_FROM $GOLIVE_TO"}, want: "v1 v2\n"},
		"more than an error tells":   {with: guard.With{"run": "yes 123456789 | head -c 2000000"}, bytes: 2_000_000},
		"more than is kept":          {with: guard.With{"run": "yes 123456789 | head -c 30000000"}, err: "there was more than is kept", bytes: guard.ExhibitBytes - 8},
		"nothing to show":            {with: guard.With{"run": "true"}},
		"a command that ended badly": {with: guard.With{"run": "echo half; exit 3"}, want: "half\n", err: "exit status 3"},
		"a command that is too slow": {with: guard.With{"run": "echo half; exec sleep 60", "timeout": "200ms"}, want: "half\n", err: "not done after 200ms"},
		"no such program":            {with: guard.With{"run": "no-such-program-here"}, err: "the command: exit status 127"},
	} {
		t.Run(name, func(t *testing.T) {
			content, err := plugintest.Make(t, NewCollector, c.with).Collect(t.Context(), release)
			if c.bytes == 0 && !strings.HasPrefix(string(content), c.want) || c.bytes > 0 && len(content) != c.bytes {
				t.Errorf("Collect brings %d bytes, %.100q; want %q", len(content), content, c.want)
			}
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("Collect: error %v, want %q", err, c.err)
			}
			if cut := errors.Is(err, guard.ErrCut); cut != (name == "more than is kept") {
				t.Errorf("the error says cut: %v (%v)", cut, err)
			}
		})
	}
	plugintest.Collector(t, plugintest.Make(t, NewCollector, guard.With{"run": "echo ready; exec sleep 0"}), release, "ready")
	for name, with := range map[string]guard.With{
		"nothing to run": {}, "an unknown key": {"run": "true", "contains": "x"}, "no time": {"run": "true", "timeout": "0s"},
	} {
		if _, err := NewCollector(with); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
