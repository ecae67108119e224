package engine

import (
	"context"
	"errors"
	"testing"
)

func TestExplain(t *testing.T) {
	over, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	given, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		err  string
		want string
	}{
		"as it says":        {t.Context(), "exit status 1: no space left\n  on /var", "exit status 1: no space left\n  on /var"},
		"too late":          {over, "context deadline exceeded", "gave no answer in time: context deadline exceeded"},
		"given up":          {given, "context canceled", "context canceled"},
		"to steer terminal": {t.Context(), "\x1b]0;owned\a\x1b[2J", "?]0;owned??[2J"},
	} {
		if got := explain(c.ctx, errors.New(c.err)); got != c.want {
			t.Errorf("%s: explain(%q) = %q, want %q", name, c.err, got, c.want)
		}
	}
}
