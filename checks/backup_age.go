package checks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
)

var backupAge = guard.Check{
	Code:  "GL102",
	ID:    "backup.age",
	Title: "all data is backed up",
	S:     []int{1, 2},
	Doc: `
It asks every vault that the plan names when its newest completed backup ended, and compares the age with
max_age, which is a day unless the plan says otherwise. A backup that is exactly max_age old is still young
enough; above four fifths of it there is a warning. A critical store that has no vault, a vault without any
backup and a backup that is too old keep the gate shut. So does a vault that cannot be asked, or whose newest
backup ends more than five minutes in the future: then a clock is wrong, and no age can be believed.

A release can be taken back within seconds, what it wrote to a database cannot. At three in the morning the
age of the newest backup is the amount of work that is lost for good; that is a bad moment to find out that
the nightly job has not run since the password was changed.

To mend it, run the backup and look at why it did not run by itself, then check again. A store gets its
vaults like this:

    data:
      - name: orders-db
        critical: true
        backups:
          - {use: file, with: {path: "/var/backups/orders/*.dump"}, max_age: 1d}

A service that keeps no data says so with "data: []".

It answers S1 and S2.
`,
	Run: func(ctx context.Context, s guard.Scene) ([]guard.Finding, error) {
		if len(s.Plan.Data) == 0 {
			return []guard.Finding{noData(s.Plan)}, nil
		}
		var vaults []vault
		for i, store := range s.Plan.Data {
			if len(store.Backups) == 0 {
				vaults = append(vaults, vault{store: store, path: fmt.Sprintf("data[%d]", i)})
			}
			same := map[string]int{}
			for j, source := range store.Backups {
				v := vault{store, &source, fmt.Sprintf("data[%d].backups[%d]", i, j), store.Name + " by " + source.Use}
				if same[source.Use]++; same[source.Use] > 1 {
					v.subject += fmt.Sprintf(" #%d", same[source.Use])
				}
				vaults = append(vaults, v)
			}
		}
		return each(vaults, func(v vault) guard.Finding {
			if v.source == nil {
				return notBackedUp(s.Plan, v)
			}
			return v.age(ctx, s)
		}), nil
	},
}

// A vault keeps backups of a store, or is the lack of one.
type vault struct {
	store   guard.Store
	source  *guard.BackupSource
	path    string
	subject string
}

// noData tells a plan that says that there is no data from one that says nothing.
func noData(p *guard.Plan) guard.Finding {
	f := guard.Finding{
		Verdict:  guard.Pass,
		Title:    "all data is backed up",
		Expected: "every store that must survive, under data",
		Observed: "the plan says that there is none",
		Path:     "data",
	}
	if p.Data == nil {
		f.Verdict, f.Observed = guard.Warn, "nothing under data"
		f.Reason = "the plan does not say which data must survive"
		f.Remedy = "list the stores in " + place(p, "data") + ", or write data: [] for a service that keeps none"
	}
	return f
}

func notBackedUp(p *guard.Plan, v vault) guard.Finding {
	f := guard.Finding{
		Subject:  v.store.Name,
		Verdict:  guard.Warn,
		Title:    v.store.Name + " is backed up",
		Reason:   "not configured: the plan names no backups of " + v.store.Name,
		Remedy:   `add backups: [{use: file, with: {path: "DIRECTORY/*.dump"}}] to ` + place(p, v.path),
		Expected: "at least one vault",
		Observed: "none",
		Path:     v.path,
	}
	if v.store.Critical {
		f.Verdict, f.Expected = guard.Fail, "at least one vault, as the store is critical"
	}
	return f
}

// age asks the vault for its newest backup.
func (v vault) age(ctx context.Context, s guard.Scene) guard.Finding {
	limit := v.source.MaxAge.Std()
	f := guard.Finding{
		Subject:  v.subject,
		Title:    v.subject + " is backed up often enough",
		Expected: "newest backup at most " + v.source.MaxAge.String() + " old",
		Remedy:   "run the backup of " + v.subject + " now, then check again",
		Path:     v.path,
	}
	mend := "mend the vault that is set up in " + place(s.Plan, v.path)
	answer, err := s.Ask(ctx, guard.Question{Backups: &v.source.Part})
	if err != nil {
		return unknown(f, err, mend)
	}
	f.Evidence = evidence(v.source.Use+" of "+v.path, count(len(answer.Backups), "backup"), answer)
	if len(answer.Backups) == 0 {
		f.Verdict, f.Observed = guard.Fail, "no backup"
		f.Reason = "the vault holds no completed backup"
		return f
	}

	newest := answer.Backups[0]
	for _, b := range answer.Backups {
		if b.Ended.IsZero() || b.Bytes < 0 {
			return unknown(f, fmt.Errorf("the vault lists %q, which has no end or a size below nothing", brief(b.ID)), mend)
		}
		if b.Ended.After(newest.Ended) {
			newest = b
		}
	}
	age := s.Now.Sub(newest.Ended)
	f.Observed = fmt.Sprintf("%s ended %s ago, at %s", brief(newest.ID), span(max(0, age)), newest.Ended.UTC().Format(time.RFC3339))
	f.Evidence[0].Answer += ", newest " + f.Observed
	switch {
	case age < -skew:
		f.Observed = fmt.Sprintf("%s ends at %s", brief(newest.ID), newest.Ended.UTC().Format(time.RFC3339))
		return unknown(f, errors.New("clock skew: the newest backup ends "+span(-age)+" from now"),
			"set the clocks of this machine and of the vault, then check again")
	case age > limit:
		f.Verdict = guard.Fail
		f.Reason = fmt.Sprintf("the newest backup is %s older than it may be", span(age-limit))
	case age > limit-limit/5:
		f.Verdict = guard.Warn
		f.Reason = fmt.Sprintf("the newest backup will be too old in %s", span(limit-age))
	default:
		f.Verdict, f.Remedy = guard.Pass, ""
	}
	return f
}
