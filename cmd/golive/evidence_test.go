package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
)

// TestEvidenceIsRedacted keeps what a careless command printed: no secret of the plan and nobody's number may lie on the
// disk, in any form.
func TestEvidenceIsRedacted(t *testing.T) {
	p := &program{env: envconfig.MapLookuper(map[string]string{"DB": "postgres://shop:hunter2hunter2@db/shop"}), err: io.Discard}
	p.settings.Journal = t.TempDir()
	plan, err := guard.ParsePlan("golive.yaml", []byte(`
service: shop
rollout: {backend: {use: command, with: {inspect: "true", shift: "echo ${DB}"}}, steps: [100]}
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
roster: {people: [{name: Ada Obi, role: commander, reach: [{phone: "+44 20 7946 0001"}]}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	p.secrets.of(plan, p.env)
	content := "connect postgres://shop:hunter2hunter2@db/shop\npassword hunter2hunter2\ncall 020 7946 0001 or ada@shop.test\n\xff\nthe rest stays\n"
	kept, err := p.keeps(plan)(t.Context(), "log", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(p.evidenceDir().Path(kept.SHA256))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "7946", "ada@"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("it holds %q:\n%s", secret, text)
		}
	}
	if !strings.HasSuffix(string(text), "the rest stays\n") || kept.Bytes != int64(len(text)) || kept.Redacted != 4 || kept.Cut {
		t.Errorf("kept as %+v:\n%s", kept, text)
	}
	files, err := filepath.Glob(filepath.Join(p.settings.Journal, "evidence", "*"))
	if err != nil || len(files) != 1 {
		t.Errorf("the disk holds %v (%v), want one file", files, err)
	}
}

func TestEvidenceIsCut(t *testing.T) {
	p := &program{}
	p.settings.Journal = t.TempDir()
	kept, err := p.keeps(nil)(t.Context(), "log", []byte(strings.Repeat("a line\n", guard.ExhibitAtMost/6)))
	if err != nil || !kept.Cut || kept.Bytes > guard.ExhibitAtMost {
		t.Errorf("kept as %+v (%v), want it cut", kept, err)
	}
}
