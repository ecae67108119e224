package scenario

import (
	"time"

	"github.com/golive-dev/golive/guard"
)

// A World is what happens in a scenario, and how golive or people come to know of it. The zero values mean that all is well.
type World struct {
	Name string // one of guard.Classes
	What string // happens, in a sentence

	// What the metrics show from then on.
	Bad  float64 // the share of requests that fail on the new version
	Old  float64 // and on the old one
	Gone bool    // there are none any more

	Alert  string        // the alert that fires, two minutes later; empty: none does
	Notice time.Duration // after which a person has noticed, and orders to go back; zero: nobody needs to
	Drift  bool          // a person takes the traffic away by hand

	Away  time.Duration // so long the backend takes no orders
	Stale bool          // going back alone does not help: what verifies it fails until a resort has brought the data back
	Lasts time.Duration // so long it stays bad on the old version, from the beginning

	Cause  time.Duration // after detection, a person knows the cause
	Expect string        // what has to come about, in a sentence
	Holds  func(p *guard.Plan, s guard.State) bool
}

// back says that the old version has the traffic, and that this was verified.
func back(_ *guard.Plan, s guard.State) bool { return !s.Incident.Reverted.IsZero() }

// resorted says that a resort of the plan brought the service back.
func resorted(_ *guard.Plan, s guard.State) bool { return s.Outcome == guard.Recovered }

// known says that vendors and the customer know, or that the plan has nobody of them told.
func known(p *guard.Plan, s guard.State) bool {
	o, owed := s.Incident.Owes(guard.DueVendor)
	return back(p, s) && (!owed || !o.Met.IsZero())
}

// Worlds has one for each of guard.Classes, in their order.
var Worlds = []World{
	{
		Name: "bad_release", What: "the new version fails every fifth request", Bad: 0.2, Cause: 20 * time.Minute,
		Expect: "the old version has the traffic again, verified", Holds: back,
	},
	{
		Name: "crash", What: "the new version crashes at every request", Bad: 1, Cause: 15 * time.Minute,
		Expect: "the old version has the traffic again, verified", Holds: back,
	},
	{
		Name: "network", What: "the network to the hosts is gone: neither metrics nor the backend can be reached", Gone: true, Away: 2 * time.Minute,
		Cause: 30 * time.Minute, Expect: "golive goes back as soon as the backend can be reached", Holds: back,
	},
	{
		Name: "hardware", What: "the hosts of the new version lose a disk: most requests fail, and the backend hangs for a minute", Bad: 0.7, Away: time.Minute,
		Cause: 40 * time.Minute, Expect: "golive goes back as soon as the backend can be reached", Holds: back,
	},
	{
		Name: "data_loss", What: "the new version deletes rows, and answers well meanwhile", Notice: 8 * time.Minute, Stale: true, Cause: 25 * time.Minute,
		Expect: "the data comes back by a resort of the plan, since going back brings none back", Holds: resorted,
	},
	{
		Name: "data_leak", What: "the new version shows customers the data of others", Notice: 12 * time.Minute, Cause: 3 * time.Hour,
		Expect: "the old version has the traffic again, and the customer knows within the hour", Holds: known,
	},
	{
		Name: "vulnerability", What: "a hole in the new version becomes known", Alert: "KnownVulnerability", Notice: 20 * time.Minute, Cause: 30 * time.Minute,
		Expect: "the old version has the traffic again, verified", Holds: back,
	},
	{
		Name: "attack", What: "a flood of requests makes both versions fail", Bad: 0.3, Old: 0.3, Lasts: 25 * time.Minute, Alert: "RequestFlood", Notice: 10 * time.Minute,
		Cause: 2 * time.Hour, Expect: "the old version has the traffic again, and vendors and the customer know within the hour", Holds: known,
	},
	{
		Name: "operator_error", What: "somebody takes the traffic away from the new version by hand", Drift: true, Cause: 10 * time.Minute,
		Expect: "golive notices, and verifies that the old version has it", Holds: back,
	},
	{
		Name: "vendor_outage", What: "a vendor is down, and both versions fail", Bad: 0.4, Old: 0.4, Lasts: 50 * time.Minute, Notice: 10 * time.Minute, Cause: 3 * time.Hour,
		Expect: "the old version has the traffic again, and the vendor knows within the hour", Holds: known,
	},
}

// Of is the world of a scenario.
func Of(name string) (World, bool) {
	for _, w := range Worlds {
		if w.Name == name {
			return w, true
		}
	}
	return World{}, false
}
