package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

var backupCoverage = row(guard.Check{
	Code: "GL101", ID: "backup.coverage", Title: "all data is backed up", Path: "data", S: []int{2, 3, 4},
},
	`A release can be taken back within seconds; what it wrote to a database, or deleted from it, cannot. What nobody
	backs up is gone for good, and it is always the store that everybody thought somebody else was looking after. A
	program comes back without its configuration, too, and then nobody knows what stood in it.`,
	lint{
		whether: `whether every store in the plan has at least one vault. One that is critical has to have it; for another the
			lack is a warning. So it is in the critical tier for a plan that has no store of the kind config, or none of the
			kind app: what the service runs with, and what it is`,
		write: `say where each store is backed up, or "data: []" for a service that keeps none:

    data:
      - name: orders
        critical: true
        backups:
          - {use: file, with: {path: "/var/backups/orders/*.dump"}, max_age: 1d}`,
		want: "at least one vault for each store",
		look: func(s guard.Scene) (seen string, gaps []gap) {
			if s.Plan.Data == nil {
				return "nothing under data", []gap{{
					path: "data", why: notConfigured + "the plan does not say which data must survive", soft: true,
					remedy: "for a service that keeps none write data: [], or list the stores in",
				}}
			}
			var covered, kinds []string
			for i, store := range s.Plan.Data {
				kinds = append(kinds, store.Kind)
				if placeholder(store.Name) {
					gaps = append(gaps, gap{
						path: fmt.Sprintf("data[%d].name", i), about: "name of " + store.Name, why: "the store has no name",
						remedy: "for a service that keeps no data write data: [], or else a name in",
					})
				}
				if len(store.Backups) == 0 {
					gaps = append(gaps, gap{
						path: fmt.Sprintf("data[%d]", i), about: store.Name, soft: !store.Critical,
						why:    notConfigured + "the plan names no backups of " + store.Name,
						remedy: `add backups: [{use: file, with: {path: "DIRECTORY/*.dump"}}] to`,
					})
					continue
				}
				var by []string
				for _, source := range store.Backups {
					by = append(by, source.Use)
				}
				covered = append(covered, store.Name+" by "+list(by, "and"))
			}
			if s.Plan.Tier == guard.Critical && len(s.Plan.Data) > 0 {
				for _, kind := range []string{"config", "app"} {
					if !slices.Contains(kinds, kind) {
						gaps = append(gaps, gap{
							path: "data", about: "kind " + kind, soft: true,
							why:    notConfigured + "no store is of the kind " + kind,
							remedy: "add {name: NAME, kind: " + kind + `, backups: [{use: file, with: {path: "DIRECTORY/*"}}]} to`,
						})
					}
				}
			}
			return orElse(strings.Join(covered, ", "), "no vault"), gaps
		},
	})

var backupPlanComplete = row(guard.Check{
	Code: "GL109", ID: "backup.plan_complete", Title: "the plan for backups is complete", Path: "data", Standard: guard.Advisory, S: []int{15},
},
	`How often, for how long, by whom, and how long it takes to bring it back: whoever has to decide whether to restore
	needs that in a minute. A restore that takes longer than the service may be away is no answer to an outage.`,
	lint{
		whether: `whether the plan says of every store how often it is backed up, for how long backups are kept, who answers for
			them, how it is restored and how long that takes, and whether that is no longer than the service may be away`,
		write: `write down what is missing:

    data:
      - name: orders
        owner: Ada Obi
        schedule: 1h
        retention: 30d
        restore: {use: command, with: {run: ./restore.sh, verify: ./compare.sh}, expected: 20m}`,
		want: "schedule, retention, owner, and a restore within the RTO",
		look: func(s guard.Scene) (seen string, gaps []gap) {
			rto := s.Plan.Objectives.RTO
			for i, store := range s.Plan.Data {
				path := fmt.Sprintf("data[%d]", i)
				missing := lacking(
					key{store.Schedule > 0, "schedule: 1d"},
					key{store.Retention > 0, "retention: 30d"},
					key{!placeholder(store.Owner), "owner: NAME"},
					key{store.Restore != nil, "restore: {use: command, with: {run: ..., verify: ...}, expected: 20m}"},
					key{store.Restore == nil || store.Restore.Expected > 0, "expected: 20m under restore"},
				)
				if missing != "" {
					gaps = append(gaps, gap{
						path: path, about: store.Name,
						why: notConfigured + "the plan does not say all that has to be known of its backups", remedy: "write " + missing + " in",
					})
				}
				if store.Restore == nil || store.Restore.Expected == 0 {
					continue
				}
				switch expected := store.Restore.Expected; {
				case rto == 0:
					gaps = append(gaps, gap{
						path: "objectives", about: "restore of " + store.Name,
						why: notConfigured + "the plan does not say how long the service may be away", remedy: "write rto: 30m in",
					})
				case expected > rto:
					gaps = append(gaps, gap{
						path: path + ".restore", about: "restore of " + store.Name,
						why:    fmt.Sprintf("a restore takes %s, and the service may be away for %s", expected, rto),
						remedy: "find a faster way, or agree on a longer RTO, and write it in",
					})
				}
			}
			return count(len(s.Plan.Data), "store"), gaps
		},
	})
