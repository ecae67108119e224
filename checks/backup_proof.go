package checks

import (
	"fmt"
	"slices"

	"github.com/golive-dev/golive/guard"
)

var backupVerify = row(guard.Check{
	Code: "GL103", ID: "backup.verify", Title: "every backup is proven to be good", Path: "data", S: []int{1, 7, 149},
},
	`The job that makes a backup says that it went well; so it did on the night when it backed up an empty directory. A
	backup is as good as the last time that somebody looked into it. How far that has to go is for the plan to say: that
	nothing of it is missing is quickly seen, that its bytes are those that were written takes longer, and that it brings
	the data back shows only by bringing it back.`,
	record{
		done: "a proof of a store's backups",
		more: `It may be a week old, and has to have come as far as the store's assurance says: checked, read, restored or
			verified. That is checked unless the plan says otherwise, and restored in the critical tier. A flaw counts until a
			proof of a backup in the same vault comes further than it, or the plan names that vault no more; a store whose backups need only be listed is not asked about, for backup.age lists
			them`,
		do: "have the newest backup proven",
		options: func(s guard.Scene, t topic, e guard.Entry) (options string) {
			rung, flawed := assurance(s.Plan, t.subject), e.Kind != "" && e.Outcome != guard.Pass
			switch {
			case flawed && e.Kind == "drill.restore": // what a restore found wrong, only a restore finds mended
				rung = guard.RungVerified
			case flawed && e.Proof != nil:
				rung = max(rung, e.Proof.Rung+1)
			}
			if i := slices.Index(vaultsOf(s.Plan, t.subject), e.Vault); flawed && i > 0 {
				options = fmt.Sprintf(" --from %d", i)
			}
			if rung < guard.RungRestored && climbs(s.Plan, t.subject) { // further up, not every vault climbs by itself
				options += " --to " + rung.String()
			}
			return options
		},
		about: func(s guard.Scene) (wanted []topic) {
			for _, store := range s.Plan.Data {
				// That a backup is listed is seen anew each time, by backup.age.
				if len(store.Backups) > 0 && assurance(s.Plan, store.Name) > guard.RungListed {
					wanted = append(wanted, topic{"drill.verify", store.Name, days(7)})
				}
			}
			return wanted
		},
		lacks: func(s guard.Scene) (gaps []gap) {
			for i, store := range s.Plan.Data {
				if placeholder(store.Name) && len(store.Backups) > 0 {
					gaps = append(gaps, gap{
						path: fmt.Sprintf("data[%d].name", i), why: "the store has no name, by which a proof of its backups could be found",
						remedy: "mend GL101 first: write it in",
					})
				}
			}
			return gaps
		},
		pick: best,
		doubt: func(s guard.Scene, t topic, e guard.Entry) string {
			rung := assurance(s.Plan, t.subject)
			switch {
			case e.Proof == nil:
				return "it does not say of which backup, nor how far up the ladder that came"
			case !e.Proof.Reaches(rung):
				return fmt.Sprintf("that backup was %s, and has to be %s", e.Proof.Rung, rung)
			}
			return ""
		},
		none: "no backup has to be proven",
	})

// assurance is how far up the ladder the backups of a store have to be proven.
func assurance(p *guard.Plan, store string) guard.Rung {
	for _, s := range p.Data {
		switch {
		case s.Name != store:
		case s.Assurance != guard.RungNone:
			return s.Assurance
		case p.Tier == guard.Standard:
			return guard.RungChecked
		}
	}
	return guard.RungRestored
}

// best is the proof of a store's backups that came furthest, of those that are fresh and of today's way: a
// glance each night does not undo what was restored on Sunday. Where none is, it is the latest. A flaw counts for more than all that, until
// a proof of the same kind, or a restore, comes further up than the flaw. It has to be one of the same vault: a good
// copy elsewhere does not mend a broken one. Vaults that the plan does not name any more do not count.
func best(s guard.Scene, l guard.Ledger, t topic) (best guard.Entry, found bool) {
	rung := func(e guard.Entry) guard.Rung {
		if e.Proof == nil {
			return guard.RungNone
		}
		return e.Proof.Rung
	}
	fresh := func(e guard.Entry) bool { return s.Now.Sub(e.At) <= t.within.Std() && e.OfToday(s.Plan) }
	vaults := vaultsOf(s.Plan, t.subject)
	var flaws []guard.Entry
	for _, e := range l.Entries {
		proof := e.Act == guard.Result && (e.Kind == "drill.restore" || e.Kind == "drill.verify")
		if !proof || e.Subject != t.subject || !e.For(s.Plan.Service, s.Plan.Environment) || !slices.Contains(vaults, e.Vault) {
			continue
		}
		if e.Outcome != guard.Pass {
			flaws = append(flaws, e)
			if e.Vault == best.Vault {
				best, found = guard.Entry{}, false
			}
			continue
		}
		flaws = slices.DeleteFunc(flaws, func(flaw guard.Entry) bool {
			return e.Vault == flaw.Vault && (e.Kind == flaw.Kind || e.Kind == "drill.restore") && rung(e) > rung(flaw)
		})
		if !found || !fresh(best) || fresh(e) && rung(e) >= rung(best) {
			best, found = e, true
		}
	}
	if len(flaws) > 0 {
		return flaws[len(flaws)-1], true
	}
	return best, found
}

// vaultsOf are the digests of the vaults of a store, in the order of the plan.
func vaultsOf(p *guard.Plan, store string) (digests []string) {
	for _, s := range p.Data {
		if s.Name == store {
			for _, source := range s.Backups {
				digests = append(digests, source.Digest())
			}
		}
	}
	return digests
}

var backupRestoreDrill = row(guard.Check{
	Code: "GL105", ID: "backup.restore_drill", Title: "every store is restored now and then", Path: "data",
	Standard: guard.Advisory, S: []int{1, 6, 7},
},
	`Nobody needs a backup; everybody needs a restore. Whoever does it for the first time in an emergency finds out what
	is missing in the emergency: a key, a version of the database, two hundred gigabytes of room.`,
	record{
		done: "a drill that restored a store",
		more: `Every store with a vault has to have been restored, and its data compared with the original, in the last month, and
			in the critical tier in the last week. It counts only if the plan restores the store in the same way today`,
		do: "restore it into a scratch place, and compare",
		about: func(s guard.Scene) (wanted []topic) {
			for _, store := range s.Plan.Data {
				within := days(31)
				if s.Plan.Tier == guard.Critical {
					within = days(7)
				}
				if len(store.Backups) > 0 {
					wanted = append(wanted, topic{"drill.restore", store.Name, within})
				}
			}
			return wanted
		},
		doubt: func(_ guard.Scene, _ topic, e guard.Entry) string {
			switch {
			case e.Proof == nil:
				return "it does not say which backup was restored"
			case !e.Proof.Reaches(guard.RungVerified):
				return fmt.Sprintf("that backup was %s, and its data was not compared with the original", e.Proof.Rung)
			}
			return ""
		},
		none: "the plan has no store with a vault",
	})

var backupRestorePath = row(guard.Check{
	Code: "GL106", ID: "backup.restore_path", Title: "a restore can begin now", Path: "data", S: []int{14},
},
	`A restore that nobody has written down is one that somebody invents at three in the morning, from memory, on the
	machine that holds the only copy. And one that is written down does not begin either when its program was never
	installed here, or its password has changed.`,
	probe{
		whether: `the part that restores each store whether it could begin now: whether its programs are here, and what it checks
			of its own is well. Nothing is restored`,
		want:    "a restore that could begin now",
		example: `restore: {use: command, with: {run: "restic restore $GOLIVE_BACKUP --target $GOLIVE_INTO", verify: ./compare.sh, check: "restic cat config"}}`,
		things: func(p *guard.Plan) (things []thing) {
			for i, store := range p.Data {
				t := thing{name: store.Name, path: fmt.Sprintf("data[%d]", i), unsaid: "how it is restored", soft: !store.Critical}
				if store.Restore != nil {
					t.path, t.part = t.path+".restore", &store.Restore.Part
				}
				things = append(things, t)
			}
			return things
		},
	})

// climbs says whether a vault of the store may prove more than that it lists a backup. Those of plugins may.
func climbs(p *guard.Plan, store string) bool {
	for _, s := range p.Data {
		for _, b := range s.Backups {
			if s.Name == store && !slices.Contains([]string{"command", "file", "velero"}, b.Use) {
				return true
			}
		}
	}
	return false
}
