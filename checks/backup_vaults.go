package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var backupAge = row(guard.Check{
	Code: "GL102", ID: "backup.age", Title: "every backup is young enough", Path: "data", S: []int{1, 2},
},
	`At three in the morning the age of the newest backup is the amount of work that is lost for good. That is a bad
	moment to find out that the nightly job has not run since the password was changed.`,
	vaults{
		whether: `every vault that the plan names when its newest completed backup ended, and compares the age with max_age, which
			is a day unless the plan says otherwise. A backup that is exactly max_age old is still young enough; above four
			fifths of it there is a warning. A vault without any backup and a backup that is too old keep the gate shut. So
			does a vault that cannot be asked, or whose newest backup ends more than five minutes in the future: then a clock
			is wrong, and no age can be believed`,
		write: `run the backup and look at why it did not run by itself, then check again. How old a backup may be stands beside its
vault:

    data:
      - name: orders
        backups:
          - {use: file, with: {path: "/var/backups/orders/*.dump"}, max_age: 1d}`,
		want: "a newest backup no older than max_age",
		each: "is backed up often enough",
		judge: func(s guard.Scene, held []stock, f guard.Finding) guard.Finding {
			h := held[0]
			limit := h.source.MaxAge.Std()
			f.Expected = "newest backup at most " + h.source.MaxAge.String() + " old"
			f.Remedy = "run the backup of " + h.subject + " now, then check again"
			if len(h.backups) == 0 {
				f.Verdict, f.Observed = guard.Fail, "no backup"
				f.Reason = "the vault holds no completed backup"
				f.Remedy = "run the backup of " + h.subject + " now, or mend where it is looked for in " + place(s.Plan, h.path)
				return f
			}
			f.Observed = h.told(s)
			switch age := h.age(s); {
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
		},
	})

var backup321 = row(guard.Check{
	Code: "GL104", ID: "backup.321", Title: "every store is kept three times, in two ways, and once elsewhere", Path: "data",
	Standard: guard.Advisory, S: []int{5, 6},
},
	`A backup on the disk of its database burns with it. Two copies of one kind fail for one reason, and what can be
	reached from the machine can be encrypted from it.`,
	vaults{
		whether: `of every store that has a vault whether there are three copies of it, on two media, one of them offsite. The store
			itself is a copy, on disk. Of the vaults, those count whose newest backup is no older than its max_age`,
		write: `back it up to another place as well, and say of what kind that is:

    data:
      - name: orders
        backups:
          - {use: file, with: {path: "/var/backups/orders/*.dump"}, medium: disk}
          - {use: restic, with: {repository: "s3:s3.shop.test/orders"}, medium: object-store, offsite: true}`,
		want:     "3 copies with the original, 2 media, 1 offsite",
		each:     "is kept three times, in two ways, and once elsewhere",
		together: true,
		judge: func(s guard.Scene, held []stock, f guard.Finding) guard.Finding {
			copies, offsite, media := 1, 0, []string{"disk"}
			counted := map[string]bool{} // a vault that is listed twice is one copy
			for _, h := range held {
				part := h.source.Digest()
				if !h.young(s) || counted[part] {
					continue
				}
				counted[part] = true
				copies++
				if h.source.Offsite {
					offsite++
				}
				if medium := h.source.Medium; medium != "" && !slices.Contains(media, medium) {
					media = append(media, medium)
				}
			}
			f.Observed = fmt.Sprintf("%s, media %s, %d offsite", copiesOf(copies), brief(strings.Join(media, " and ")), offsite)
			var missing []string
			if copies < 3 {
				missing = append(missing, "a copy")
			}
			if len(media) < 2 {
				missing = append(missing, "another medium")
			}
			if offsite < 1 {
				missing = append(missing, "one that is offsite")
			}
			f.Verdict = guard.Pass
			if len(missing) > 0 {
				f.Verdict = guard.Fail
				f.Reason = list(missing, "and") + " is missing of " + f.Subject + ", counting only what has a young backup"
				f.Remedy = "back it up to a place of another kind, and add it with medium: KIND and offsite: true to " + place(s.Plan, f.Path)
			}
			return f
		},
	})

// copiesOf is how many copies there are, in words.
func copiesOf(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}

var backupSizeSane = row(guard.Check{
	Code: "GL107", ID: "backup.size_sane", Title: "every backup is as large as it used to be", Path: "data",
	Standard: guard.Advisory, Critical: guard.Advisory, S: []int{1},
},
	`A backup that is a tenth of the one before is not a better one. It is what is left when a disk was full, a table was
	locked or a password was wrong, and the job that made it ended well all the same.`,
	vaults{
		whether: `every vault how large its newest backup is, and compares that with the median of the five before. Less than half
			of it and more than twice of it are warnings; a backup of no bytes is a failure. Where a vault does not tell any
			sizes, nothing is known`,
		write: "look at what the job that makes the backup printed, and let it run again. If the data has grown or shrunk so much, the " +
			"warning goes away with the next few backups.",
		want: "0.5 to 2 times the median of the five before",
		each: "is as large as it used to be",
		judge: func(s guard.Scene, held []stock, f guard.Finding) guard.Finding {
			h := held[0]
			f.Remedy = "look at what the job that makes the backup of " + h.subject + " printed, and let it run again"
			if len(h.backups) == 0 {
				f.Observed = "no backup"
				f.Reason = "the vault holds no completed backup"
				f.Remedy = "run the backup of " + h.subject + " now, or mend where it is looked for in " + place(s.Plan, h.path)
				return f
			}
			newest, known := h.backups[0].Bytes, false
			var before []int64
			for i, b := range h.backups {
				known = known || b.Bytes > 0
				if i > 0 && len(before) < 5 && b.Bytes > 0 {
					before = append(before, b.Bytes)
				}
			}
			slices.Sort(before)
			f.Observed = fmt.Sprintf("%s has %s", brief(h.backups[0].ID), size(newest))
			switch {
			case !known:
				f.Observed = "no sizes"
				f.Reason = "the vault does not tell how large its backups are"
				f.Remedy = "have a backup of " + h.subject + " read now and then instead, which GL103 asks for: golive explain GL103"
				return f
			case newest == 0:
				f.Verdict, f.Reason = guard.Fail, "the newest backup is empty"
				return f
			case len(before) == 0:
				f.Verdict, f.Reason = guard.Warn, "there is no earlier backup to compare it with"
				f.Remedy = "wait for the next backup of " + h.subject + ", and keep more than one"
				return f
			}
			median := before[len(before)/2]
			if n := len(before); n%2 == 0 {
				median = before[n/2-1] + (before[n/2]-before[n/2-1])/2
			}
			f.Observed += fmt.Sprintf(", the median of the %d before is %s", len(before), size(median))
			switch ratio := float64(newest) / float64(median); {
			case ratio < 0.5:
				f.Verdict, f.Reason = guard.Warn, fmt.Sprintf("the newest backup is %.2g times as large as it used to be", ratio)
			case ratio > 2:
				f.Verdict, f.Reason = guard.Warn, fmt.Sprintf("the newest backup is %.3g times as large as it used to be", ratio)
			default:
				f.Verdict, f.Remedy = guard.Pass, ""
			}
			return f
		},
	})

// size is a number of bytes for people.
func size(bytes int64) string {
	value, units := float64(bytes), []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}
	for value >= 1000 && len(units) > 1 {
		value, units = value/1000, units[1:]
	}
	return fmt.Sprintf("%.3g %s", value, units[0])
}

var backupTargetSpace = row(guard.Check{
	Code: "GL108", ID: "backup.target_space", Title: "room is left for the next backup", Standard: guard.Advisory, S: []int{16},
},
	`The backup that fails because the disk is full is the one before the launch that goes wrong. Many tools delete the
	oldest one first and then find out that the new one does not fit.`,
	probe{
		whether: "whether the place of the backups has room for one more, 1.2 times as large as the last",
		want:    "room for 1.2 times the last backup",
		example: `{use: disk, with: {path: /var/backups, used: 80%}}`,
	})
