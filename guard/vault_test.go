package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

var (
	night = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	older = guard.Backup{ID: "older", Ended: night.Add(-time.Hour)}
	newer = guard.Backup{ID: "newer", Ended: night}
)

func TestRungText(t *testing.T) {
	for rung := guard.RungNone; rung <= guard.RungVerified; rung++ {
		text, err := json.Marshal(rung)
		if err != nil {
			t.Fatal(err)
		}
		back := guard.RungVerified + 1
		if err := json.Unmarshal(text, &back); err != nil || back != rung {
			t.Errorf("%s becomes %v, error %v", text, back, err)
		}
	}
	for text, want := range map[string]string{
		`"reed"`: `"reed" is not a rung (did you mean read?)`,
		`""`:     `"" is not a rung`,
		`3`:      "cannot unmarshal",
	} {
		var r guard.Rung
		if err := json.Unmarshal([]byte(text), &r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
	if _, err := json.Marshal(guard.Rung(6)); err == nil {
		t.Error("a rung above the ladder has a name")
	}
}

// A shelf is a vault of these backups, or one that cannot be asked.
type shelf struct {
	backups []guard.Backup
	err     error
}

func (s shelf) Backups(context.Context) ([]guard.Backup, error) { return s.backups, s.err }

func TestClimb(t *testing.T) {
	broken := errors.New("the disk is on fire")
	ascent := func(to guard.Rung, flaw string, err error) guard.Ascent {
		return guard.Ascent{To: to, Take: func(_ context.Context, b guard.Backup) (guard.Evidence, string, error) {
			return guard.Evidence{Asked: to.String(), Answer: b.ID}, flaw, err
		}}
	}
	whole := []guard.Ascent{ascent(guard.RungChecked, "", nil), ascent(guard.RungRead, "", nil)}
	both := shelf{backups: []guard.Backup{older, newer}}
	for name, c := range map[string]struct {
		vault   guard.Vault
		want    guard.Rung
		ascents []guard.Ascent
		rung    guard.Rung
		flaw    string
		seen    int
		err     error
	}{
		"as far as wanted":    {both, guard.RungChecked, whole, guard.RungChecked, "", 1, nil},
		"no work for listed":  {both, guard.RungListed, whole, guard.RungListed, "", 0, nil},
		"as far as it can":    {both, guard.RungVerified, whole, guard.RungRead, "", 2, nil},
		"it cannot climb":     {both, guard.RungRead, nil, guard.RungListed, "", 0, nil},
		"over a missing rung": {both, guard.RungChecked, whole[1:], guard.RungRead, "", 1, nil},
		"a flaw":              {both, guard.RungRead, []guard.Ascent{whole[0], ascent(guard.RungRead, "torn", nil)}, guard.RungChecked, "torn", 2, nil},
		"no step on a flaw":   {both, guard.RungRead, []guard.Ascent{ascent(guard.RungChecked, "torn", nil), whole[1]}, guard.RungListed, "torn", 1, nil},
		"not found out":       {both, guard.RungRead, []guard.Ascent{whole[0], ascent(guard.RungRead, "", broken)}, guard.RungNone, "", 0, broken},
		"no backup":           {shelf{}, guard.RungRead, whole, guard.RungNone, "the vault holds no completed backup", 0, nil},
		"no vault":            {shelf{err: broken}, guard.RungRead, whole, guard.RungNone, "", 0, broken},
	} {
		t.Run(name, func(t *testing.T) {
			proof, err := guard.Climb(t.Context(), c.vault, c.want, c.ascents)
			if !errors.Is(err, c.err) {
				t.Fatalf("Climb: error %v, want %v", err, c.err)
			}
			if proof.Rung != c.rung || proof.Flaw != c.flaw || len(proof.Evidence) != c.seen {
				t.Errorf("Climb = %+v, want the rung %s, the flaw %q and %d pieces of evidence", proof, c.rung, c.flaw, c.seen)
			}
			if err == nil {
				if err := proof.Check(); err != nil {
					t.Error(err)
				}
			}
			if c.rung > guard.RungNone {
				if diff := cmp.Diff(newer, proof.Backup); diff != "" {
					t.Errorf("it is not the newest backup (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestProve(t *testing.T) {
	proof, err := guard.Prove(t.Context(), shelf{backups: []guard.Backup{newer, older}}, guard.RungVerified)
	if err != nil || proof.Rung != guard.RungListed || proof.Backup != newer {
		t.Errorf("Prove of a vault that cannot climb = %+v, error %v", proof, err)
	}
}

func TestProofReaches(t *testing.T) {
	for name, c := range map[string]struct {
		proof guard.Proof
		rung  guard.Rung
		want  bool
	}{
		"that high":      {guard.Proof{Rung: guard.RungRead}, guard.RungRead, true},
		"higher":         {guard.Proof{Rung: guard.RungVerified}, guard.RungRead, true},
		"not that high":  {guard.Proof{Rung: guard.RungChecked}, guard.RungRead, false},
		"with a flaw":    {guard.Proof{Rung: guard.RungRead, Flaw: "torn"}, guard.RungChecked, false},
		"nothing at all": {guard.Proof{}, guard.RungNone, false},
	} {
		if got := c.proof.Reaches(c.rung); got != c.want {
			t.Errorf("%s: Reaches(%s) = %t", name, c.rung, got)
		}
	}
}

func TestProofCheck(t *testing.T) {
	for name, c := range map[string]struct {
		proof guard.Proof
		err   string
	}{
		"read":          {guard.Proof{Backup: newer, Rung: guard.RungRead}, ""},
		"none":          {guard.Proof{Flaw: "no backup"}, ""},
		"nothing":       {guard.Proof{}, "no flaw that tells why"},
		"of no backup":  {guard.Proof{Rung: guard.RungRead}, "without a name or an end"},
		"without end":   {guard.Proof{Rung: guard.RungRead, Backup: guard.Backup{ID: "a"}}, "without a name or an end"},
		"above the top": {guard.Proof{Backup: newer, Rung: 6}, "no rung has the number 6"},
		"below nothing": {guard.Proof{Backup: newer, Rung: -1}, "no rung has the number -1"},
	} {
		err := c.proof.Check()
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: error %v, want %q", name, err, c.err)
		}
	}
}
