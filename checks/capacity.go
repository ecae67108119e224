package checks

import "github.com/golive-dev/golive/guard"

var capacityHeadroom = row(guard.Check{
	Code: "GL901", ID: "capacity.headroom", Title: "room is left for more traffic", Standard: guard.Advisory, S: []int{137, 145},
},
	`During a rollout two versions run at once, and when it goes back everything runs on the old one, with cold caches
	and all the retries of the last minutes. A service that was at its limit before is beyond it then.`,
	probe{
		whether: "whether processors, memory, disks, network and quotas are used to at most 70 percent when it is busiest",
		want:    "at most 70% used at the busiest hour",
		example: `{use: disk, with: {path: /var/lib/shop, used: 70%}}`,
	})

var tlsExpiry = row(guard.Check{
	Code: "GL905", ID: "tls.expiry", Title: "every certificate is good until after the launch", Standard: guard.Advisory, S: []int{141},
},
	`A certificate ends at a time that was known for months, and takes down every version at once: there is nothing to
	go back to. The worst time for that is in the middle of a launch, when everybody looks for the mistake in the new
	version.`,
	probe{
		whether: "whether the certificates of these addresses are valid and stay so for the next weeks",
		want:    "a valid certificate",
		example: `{use: tls, with: {address: "shop.test:443"}}`,
	})
