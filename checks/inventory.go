package checks

import (
	"cmp"
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
)

// noInventory is a plan that lists nothing.
func noInventory() (string, []gap) {
	return unset("inventory", "what has to be there when it is needed", "[{name: WHAT, kind: spare, quantity: 2, minimum: 1, owner: NAME, contact: NUMBER, priority: 1}]")
}

var inventoryPresent = row(guard.Check{
	Code: "GL903", ID: "inventory.present", Title: "what may be needed is there", Path: "inventory", Standard: guard.Advisory,
	S: []int{34, 51, 138, 140, 143},
},
	`The spare disk was used in spring, and nobody has bought another. Whoever needs it learns that at night, from an empty
	shelf, and then learns that two teams were promised the same one.`,
	lint{
		whether: "whether there is enough of each thing that the plan lists, and whether it says who hands it out, how to reach them, and who is served first",
		write: "count them, and write it down:\n\n    inventory:\n" +
			"      - {name: disks, kind: spare, quantity: 4, minimum: 2, owner: Ada Obi, contact: \"+44 20 7946 0001\", priority: 1}",
		want: "enough of each, with owner, contact and a priority of its own",
		look: func(s guard.Scene) (string, []gap) {
			if len(s.Plan.Inventory) == 0 {
				return noInventory()
			}
			var gaps []gap
			priorities := map[int]string{}
			for i, a := range s.Plan.Inventory {
				path := fmt.Sprintf("inventory[%d]", i)
				add := func(key, why, remedy string) {
					gaps = append(gaps, gap{path: path + "." + key, about: a.Name + ", " + key, why: why, remedy: remedy})
				}
				if least := max(1, a.Minimum); a.Quantity < least {
					add("quantity", fmt.Sprintf("there are %d of at least %d", a.Quantity, least), "get what is missing, then write how many there are in")
				}
				if placeholder(a.Owner) {
					add("owner", "nobody hands it out", "write a name in")
				}
				if placeholder(a.Contact) {
					add("contact", "nobody knows how to get it", "write a number or a place in")
				}
				switch other := priorities[a.Priority]; {
				case a.Priority == 0:
					add("priority", "it does not say who is served first", "write a number, 1 before 2, in")
				case other != "":
					add("priority", brief(other)+" has the same", "write a number that no other has in")
				default:
					priorities[a.Priority] = a.Name
				}
			}
			return count(len(s.Plan.Inventory), "thing"), gaps
		},
	})

var licenseExpiry = row(guard.Check{
	Code: "GL904", ID: "license.expiry", Title: "whatever ends is good until after the launch", Path: "inventory", Standard: guard.Advisory, Reads: []string{"within"}, S: []int{141},
},
	`A licence ends at midnight, and with it the database, the load balancer or the way to reach whoever could renew it. No
	version of the service can be gone back to then.`,
	lint{
		whether: "whether everything in the inventory that ends is good for as long as the launch may take, and for a week after it, or 30 days in a critical service",
		write:   "renew it, and write down its new last day:\n\n    inventory:\n      - {name: database licence, kind: licence, expires: 2028-01-31}",
		want:    "an end that is far enough away",
		look: func(s guard.Scene) (string, []gap) {
			if len(s.Plan.Inventory) == 0 {
				return noInventory()
			}
			ahead := days(30)
			if s.Plan.Tier == guard.Standard {
				ahead = days(7)
			}
			ahead = cmp.Or(s.Plan.Checks.Settings["license.expiry"].Within, ahead)
			_, whole := launch(s)
			until := whole.To.Add(ahead.Std())
			var gaps []gap
			ends := 0
			for i, a := range s.Plan.Inventory {
				if a.Expires.IsZero() {
					continue
				}
				ends++
				if end := a.Expires.AddDate(0, 0, 1); end.Before(until) { // its last day is good until its end, in UTC
					gaps = append(gaps, gap{
						path: fmt.Sprintf("inventory[%d].expires", i), about: a.Name,
						why:    fmt.Sprintf("it is good until %s, and has to be until %s", a.Expires, until.UTC().Format(time.DateOnly)),
						remedy: "renew it, then write its new last day in",
					})
				}
			}
			return fmt.Sprintf("%s, of which %d end", count(len(s.Plan.Inventory), "thing"), ends), gaps
		},
	})

var componentEOL = row(guard.Check{
	Code: "GL906", ID: "component.eol", Title: "every component is still kept up by its maker", Standard: guard.Advisory, Critical: guard.Advisory,
	S: []int{68},
},
	`A system whose maker has stopped gets no more repairs. The next hole in it stays open, and the way out is an upgrade
	under pressure, which is the worst kind of launch.`,
	probe{
		whether: "whether operating system, runtime and libraries still get repairs from their makers",
		want:    "components that get repairs",
		example: `{use: command, with: {run: ./scripts/end-of-life.sh}}`,
	})
