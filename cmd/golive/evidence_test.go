package main

import (
	"encoding/json"
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

// TestEvidenceCutInASecret keeps what was cut in the middle of a secret, on either side.
func TestEvidenceCutInASecret(t *testing.T) {
	const secret = "a-very-long-token-of-the-shop"
	p := &program{}
	p.settings.Journal = t.TempDir()
	p.secrets.remember("${TOKEN}", secret)
	kept, err := p.keeps(nil)(t.Context(), "log", []byte(secret[9:]+" and then "+secret[:20]))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(p.evidenceDir().Path(kept.SHA256))
	if err != nil || string(text) != "${TOKEN} and then ${TOKEN}" || kept.Redacted != 2 {
		t.Errorf("kept as %+v: %q, error %v", kept, text, err)
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

// TestForeignSecretsAreRedacted keeps what a command printed of secrets that the plan does not name: as evidence, and as what
// a probe found, which goes into the journal.
func TestForeignSecretsAreRedacted(t *testing.T) {
	p := &program{err: io.Discard}
	p.settings.Journal = t.TempDir()
	const said = "restored with password=hunter2secret by a token bucket"
	kept, err := p.keeps(nil)(t.Context(), "log", []byte(said))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(p.evidenceDir().Path(kept.SHA256))
	if want := "restored with password=[secret] by a token bucket"; err != nil || string(text) != want || kept.Redacted != 1 {
		t.Errorf("kept as %+v: %q, error %v; want %q", kept, text, err, want)
	}
	plan, err := guard.ParsePlan("golive.yaml", []byte(`
service: shop
rollout: {backend: {use: command, with: {inspect: "true", shift: "true"}}, steps: [100]}
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
recovery: {contain: {use: command, with: {run: "echo `+said+`"}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	parts, err := p.assemble(plan, builtin(p.err))
	if err != nil {
		t.Fatal(err)
	}
	found, err := parts.Contain.Probe(t.Context(), guard.Release{})
	told, _ := json.Marshal(found)
	if err != nil || strings.Contains(string(told), "hunter2") || !strings.Contains(string(told), "password=[secret] by a token bucket") {
		t.Errorf("found %s, error %v", told, err)
	}
}
