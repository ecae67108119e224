package checks

import "github.com/golive-dev/golive/guard"

var standbyReady = row(guard.Check{
	Code: "GL207", ID: "standby.ready", Title: "the standby is there to switch to", Standard: guard.Off, S: []int{8, 21},
},
	`Going back needs a place where the old version can run. When that place itself is lost, the standby is all there
	is, and a standby that has been down for a month is noticed on that very day.`,
	probe{whether: "whether the standby answers", want: "a standby that answers", example: `{use: http, with: {url: "https://standby.shop.test/health"}}`})

var standbyTested = row(guard.Check{
	Code: "GL208", ID: "standby.tested", Title: "the switch to the standby is rehearsed", Standard: guard.Off, S: []int{22},
},
	`A standby that answers is not one that carries the traffic: its data may be old, its limits low, its certificates
	gone. Only a switch shows that.`,
	record{
		done:  "a switch to the standby and back",
		do:    "switch to the standby and back, at a quiet hour",
		about: func(guard.Scene) []topic { return topics("standby.test", days(92), "") },
	})
