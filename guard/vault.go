package guard

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Backup is one completed backup of a data store.
type Backup struct {
	ID    string    `json:"id"`
	Ended time.Time `json:"ended"`
	Bytes int64     `json:"bytes,omitempty"` // 0: not known
}

// A Vault lists the backups of a data store, in any order. None is not an error.
type Vault interface {
	Backups(ctx context.Context) ([]Backup, error)
}

// Newest returns the backup that ended last, and whether there is any.
func Newest(backups []Backup) (newest Backup, found bool) {
	for _, b := range backups {
		if !found || b.Ended.After(newest.Ended) {
			newest, found = b, true
		}
	}
	return newest, found
}

// A Rung is a step of the ladder of assurance: how sure it is that a backup brings the data back. Each is worth
// more than the one below it. The zero value is that nothing is known.
type Rung int

const (
	RungNone     Rung = iota // nothing is known
	RungListed               // the vault lists the backup
	RungChecked              // its structure is whole: nothing is missing, and nothing ends early
	RungRead                 // every byte of it was read, and agrees with a checksum
	RungRestored             // it was restored into a scratch place, and all of it arrived
	RungVerified             // it was restored, and the data in it was compared with the original
)

var rungNames = [...]string{
	RungNone: "none", RungListed: "listed", RungChecked: "checked", RungRead: "read", RungRestored: "restored", RungVerified: "verified",
}

func (r Rung) String() string {
	if r < 0 || int(r) >= len(rungNames) {
		return fmt.Sprintf("rung(%d)", int(r))
	}
	return rungNames[r]
}

// MarshalText makes a rung its name in JSON.
func (r Rung) MarshalText() ([]byte, error) {
	if r < 0 || int(r) >= len(rungNames) {
		return nil, fmt.Errorf("no rung has the number %d", int(r))
	}
	return []byte(rungNames[r]), nil
}

// UnmarshalText accepts the names that MarshalText writes, and nothing else.
func (r *Rung) UnmarshalText(text []byte) error {
	for i, name := range rungNames {
		if name == string(text) {
			*r = Rung(i)
			return nil
		}
	}
	known := make(map[string]Rung, len(rungNames))
	for i, name := range rungNames {
		known[name] = Rung(i)
	}
	return fmt.Errorf("%q is not a rung%s", text, suggest(string(text), known))
}

// A Proof says how far up the ladder one backup came.
type Proof struct {
	Backup   Backup     `json:"backup,omitzero"`
	Rung     Rung       `json:"rung"`               // the highest on which it stood
	Flaw     string     `json:"flaw,omitempty"`     // what is wrong with it; empty: nothing was found to be wrong
	Evidence []Evidence `json:"evidence,omitempty"` // what each rung rests on
}

// Reaches says that the backup stands on a rung. A backup with a flaw stands on none, however high it came:
// what was found to be broken does not get better by what was looked at before.
func (p Proof) Reaches(r Rung) bool { return p.Flaw == "" && p.Rung >= r && r > RungNone }

// Check says what is impossible in a proof.
func (p Proof) Check() error {
	if _, err := p.Rung.MarshalText(); err != nil {
		return err
	}
	switch named := p.Backup.ID != "" && !p.Backup.Ended.IsZero(); {
	case p.Rung > RungNone && !named:
		return fmt.Errorf("the rung %s of a backup without a name or an end", p.Rung)
	case p.Rung == RungNone && p.Flaw == "":
		return errors.New("a proof of nothing, and no flaw that tells why")
	}
	return nil
}

// A Prover is a vault that can climb the ladder.
type Prover interface {
	Vault
	// Prove takes the newest backup up to the rung that is wanted, or the next above it, or as far as the vault
	// can climb, and does the work that each rung stands for. It may be repeated, and leaves neither the vault changed nor anything
	// behind. A broken backup, and a vault without any, are proofs with a flaw; an error means that it could
	// not find out. It takes as long as reading or restoring the backup does: ctx is its only bound.
	Prove(ctx context.Context, want Rung) (Proof, error)
}

// Prove asks any vault for a proof. One that cannot climb stands on RungListed.
func Prove(ctx context.Context, v Vault, want Rung) (Proof, error) {
	if prover, can := v.(Prover); can {
		return prover.Prove(ctx, want)
	}
	return Climb(ctx, v, want, nil)
}

// An Ascent takes a backup up to a rung, from the one below it.
type Ascent struct {
	To Rung
	// Take says what it saw, and what is wrong with the backup, if anything is. An error means that it could
	// not find out.
	Take func(ctx context.Context, b Backup) (seen Evidence, flaw string, err error)
}

// Climb is what provers have in common: it takes the newest backup of a vault up rung after rung, until it
// stands on the one that is wanted or above, and stops at the first flaw. The ascents are in the order of the
// ladder, and need not have all of its rungs.
func Climb(ctx context.Context, v Vault, want Rung, ascents []Ascent) (Proof, error) {
	backups, err := v.Backups(ctx)
	if err != nil {
		return Proof{}, err
	}
	newest, found := Newest(backups)
	if !found {
		return Proof{Flaw: "the vault holds no completed backup"}, nil
	}
	proof := Proof{Backup: newest, Rung: RungListed}
	for _, ascent := range ascents {
		if proof.Rung >= want {
			break
		}
		seen, flaw, err := ascent.Take(ctx, newest)
		if err != nil {
			return Proof{}, fmt.Errorf("prove that backup %s can be %s: %w", newest.ID, ascent.To, err)
		}
		proof.Evidence = append(proof.Evidence, seen)
		if flaw != "" {
			proof.Flaw = flaw
			break
		}
		proof.Rung = ascent.To
	}
	return proof, nil
}

// Flawed says that something was found to be wrong with a backup of a store, by its ID and the digest of its vault, and
// that no proof has come further since.
func (l Ledger) Flawed(p *Plan, store, vault, id string) (flawed bool) {
	var worst Rung
	for _, e := range l.Entries {
		proof := e.Act == Result && (e.Kind == "drill.restore" || e.Kind == "drill.verify") && e.Proof != nil
		if !proof || e.Subject != store || e.Vault != vault || e.Proof.Backup.ID != id || !e.For(p.Service, p.Environment) {
			continue
		}
		switch {
		case e.Outcome != Pass:
			flawed, worst = true, max(worst, e.Proof.Rung)
		case e.Proof.Rung > worst:
			flawed = false
		}
	}
	return flawed
}

// A Restorer brings a data store back from one of its backups.
type Restorer interface {
	// Ready says whether a restore could begin now: whether its programs are there, and whether it is let in. It
	// changes nothing, and may be repeated. A finding that is not Pass says what is missing; an error means that it
	// could not find out.
	Ready(ctx context.Context) (Finding, error)
	// Restore puts the backup into the directory into, which is empty, absolute and of no use to anybody else,
	// and compares what has arrived there with the original. It stops whatever it started there; the caller
	// removes the directory. The rung of the proof is RungVerified, or lower with a flaw. An error means that it
	// could not find out.
	Restore(ctx context.Context, b Backup, into string) (Proof, error)
}
