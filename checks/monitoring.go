package checks

import (
	"fmt"
	"time"

	"github.com/golive-dev/golive/guard"
)

// alertTakes is how long an alert may be on its way to somebody who answers it.
const alertTakes = 5 * time.Minute

var alertPath = row(guard.Check{
	Code: "GL405", ID: "alert.path", Title: "an alert is answered in time", Standard: guard.Advisory, S: []int{58},
},
	`Between a metric that is bad and a person who is awake lie six systems, and each can be broken in silence. The only
	alert that proves anything is one that somebody has answered.`,
	record{
		done:    "an alert that was raised on purpose, and answered within " + guard.Duration(alertTakes).String(),
		do:      "raise an alert on purpose, take the time until somebody answers",
		command: "golive record alert.path --took TIME",
		about:   func(guard.Scene) []topic { return topics("alert.path", days(31), "") },
		doubt: func(_ guard.Scene, _ topic, e guard.Entry) string {
			switch {
			case e.Took <= 0:
				return "it does not say how long it took until somebody answered"
			case e.Took.Std() > alertTakes:
				return fmt.Sprintf("it took %s longer than it may until somebody answered", span(e.Took.Std()-alertTakes))
			}
			return ""
		},
	})

var incidentsNone = row(guard.Check{
	Code: "GL406", ID: "incidents.none", Title: "no incident is open", Path: "depends_on", S: []int{82},
},
	`A launch into an open incident makes two causes of one, and takes the people away who work on the first. That an
	emergency is over is said by somebody, and until then it is not.`,
	obligation{
		owed:     "incidents of the service, and of those that it depends on",
		kinds:    []string{"incident"},
		open:     true,
		services: func(p *guard.Plan) []string { return p.DependsOn },
		do:       "end the incident, and wait until it is over for sure",
	})

var securityAlerts = row(guard.Check{
	Code: "GL407", ID: "security.alerts", Title: "no grave hole in the security is open", Standard: guard.Advisory, S: []int{60},
},
	`A hole that is known to you is known to others too, and a launch puts it in front of more people. Whether it matters
	here is a decision for somebody to sign by day, and not a thing to learn from an attacker.`,
	probe{
		whether: "whether what searches for holes in code and dependencies knows of any that is critical or high",
		want:    "none that is critical or high",
		example: `{use: github-alerts, with: {repository: acme/shop, token: "${GITHUB_TOKEN}"}}`,
	})

var logsReadable = row(guard.Check{
	Code: "GL408", ID: "logs.readable", Title: "the logs of the service can be read", Standard: guard.Advisory, S: []int{65},
},
	`When the numbers say that something is wrong, the logs say what. A token that has expired, or a collector that
	stopped on Tuesday, is noticed by whoever needs the last minute of them.`,
	probe{
		whether: "whether the latest lines of the logs can be read from here",
		want:    "lines of the last minutes",
		example: `{use: command, with: {run: "journalctl --unit shop --since -5min --lines 1 --quiet | grep ."}}`,
	})

var logsSpace = row(guard.Check{
	Code: "GL409", ID: "logs.space", Title: "room is left for the logs of a bad night", Standard: guard.Advisory, S: []int{63},
},
	`A version that fails writes a hundred times as much as one that works. Where the disk is full then, the logs end in
	the minute that matters, and often the service ends with them.`,
	probe{
		whether: "whether the disk of the logs has room for many times of what a launch writes",
		want:    "a disk with room",
		example: `{use: disk, with: {path: /var/log, used: 80%}}`,
	})

var inspectionFresh = row(guard.Check{
	Code: "GL410", ID: "inspection.fresh", Title: "the system is looked after", Standard: guard.Off, Critical: guard.Advisory,
	S: []int{8, 61, 62, 64, 70},
},
	`A fan that is loud, a battery that is old, a login from a strange country: no alarm goes off for any of them, and
	all are seen by somebody who looks. A launch on top of one finds it for you.`,
	record{
		done: "each round of the system",
		more: "There is one of the machines each day (inspection.daily), of the whole system (inspection.weekly) and of its logs (log-review) each week, " +
			"and of its security (security-check) and what backs it up (backup-system-check) each month",
		do: "make the round",
		about: func(guard.Scene) []topic {
			return []topic{
				{"inspection.daily", "", days(1)},
				{"inspection.weekly", "", days(7)},
				{"log-review", "", days(7)},
				{"security-check", "", days(31)},
				{"backup-system-check", "", days(31)},
			}
		},
	})

var alertsNone = row(guard.Check{
	Code: "GL412", ID: "alerts.none", Title: "no alert is open", Standard: guard.Advisory, Critical: guard.Advisory, S: []int{55},
},
	`What is already red before the launch hides what the launch makes red. And an alert that everybody has learned to
	pass over teaches them to pass over the next one.`,
	probe{
		whether: "whether any alert is firing that nobody has silenced",
		want:    "none that fires",
		example: `{use: alerts, with: {address: "http://localhost:9093"}}`,
	})

var commitChecked = row(guard.Check{
	Code: "GL413", ID: "commit.checked", Title: "whatever was tested about the commit is good", Standard: guard.Advisory, S: []int{131},
},
	`A commit is built by somebody who is in a hurry, from a branch whose tests are still running. Most of the mistakes
	that a canary finds were red in the pipeline first.`,
	probe{
		whether: "whether all that was run on the commit of the release is over, and went well",
		want:    "a commit that is green",
		example: `{use: github-status, with: {repository: acme/shop, token: "${GITHUB_TOKEN}"}}`,
	})

var commitReviewed = row(guard.Check{
	Code: "GL414", ID: "commit.reviewed", Title: "the commit is approved by somebody else", Standard: guard.Advisory, S: []int{131},
},
	`The second pair of eyes is what finds the line that was only meant for testing. Where it was skipped because of the
	hour, the hour is a reason to wait.`,
	probe{
		whether: "whether somebody other than its author has approved the commit of the release",
		want:    "a commit that was reviewed",
		example: `{use: github-reviews, with: {repository: acme/shop, token: "${GITHUB_TOKEN}"}}`,
	})

var traceLive = row(guard.Check{
	Code: "GL415", ID: "trace.live", Title: "a request can be followed through every service", Standard: guard.Advisory, Critical: guard.Advisory,
	S: []int{56},
},
	`Errors show at the door, and their cause sits five services behind it. Without traces each of the five teams proves
	that it is not theirs, one after the other.`,
	probe{
		whether: "whether there are traces of the service",
		want:    "traces of the service",
		example: `{use: http, with: {url: "http://localhost:16686/api/traces?service=shop&limit=1", contains: traceID}}`,
	})
