package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/evidence"
	"github.com/golive-dev/golive/guard/report"
)

// evidenceDir is where evidence lies: beside the journals.
func (p *program) evidenceDir() evidence.Dir {
	return evidence.Dir(filepath.Join(p.settings.Journal, "evidence"))
}

// keeps keeps pieces of evidence about a service. Secrets are taken out of them before they touch the disk, and phone
// numbers and e-mail addresses, unless the plan says that these may be published.
func (p *program) keeps(plan *guard.Plan) func(context.Context, string, []byte) (guard.Exhibit, error) {
	discreet := report.DiscreetText(plan)
	return func(_ context.Context, name string, content []byte) (guard.Exhibit, error) {
		e := guard.Exhibit{Name: name, At: time.Now().UTC().Round(0)}
		text := strings.ToValidUTF8(string(content), "?")
		if excess := len(text) - guard.ExhibitAtMost; excess > 0 { // what came last counts most
			text, e.Cut = strings.ToValidUTF8(text[excess:], ""), true
		}
		// It may begin and end in the middle of a secret: here, or where a collector had to stop.
		hidden := strings.TrimSuffix(strings.TrimPrefix(p.secrets.hide(dots+text+dots), dots), dots)
		e.Redacted = signs(hidden, "${", guard.Redacted) - signs(text, "${", guard.Redacted)
		kept := discreet(hidden)
		e.Redacted += signs(kept, "[phone]", "[e-mail]") - signs(hidden, "[phone]", "[e-mail]")
		sha, err := p.evidenceDir().Keep([]byte(kept))
		if err != nil {
			return e, fmt.Errorf("keep %s: %w", name, err)
		}
		e.SHA256, e.Bytes = sha, int64(len(kept))
		return e, nil
	}
}

// dots stand where a text was cut.
const dots = "..."

// signs counts what stands in a text where something was taken out.
func signs(text string, all ...string) (n int) {
	for _, mark := range all {
		n += strings.Count(text, mark)
	}
	return n
}
