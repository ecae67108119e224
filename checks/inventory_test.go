package checks

import (
	"testing"

	"github.com/golive-dev/golive/guard"
)

func TestInventoryPresent(t *testing.T) {
	things := func(list string) guard.Scene { return scene(t, "\ninventory: ["+list+"]", guard.Answer{}) }
	const disks = "{name: disks, quantity: 2, minimum: 2, owner: Ada Obi, contact: room 4, priority: 1}"
	tell(t, []tale{
		{"nothing", inventoryPresent, scene(t, "", guard.Answer{}), "fail: not configured: the plan does not say what has to be there when it is needed"},
		{"enough", inventoryPresent, things(disks), "pass"},
		{"too few", inventoryPresent, things("{name: disks, quantity: 1, minimum: 2, owner: Ada Obi, contact: room 4, priority: 1}"), "fail: disks, quantity: there are 1 of at least 2"},
		{"none at all", inventoryPresent, things("{name: disks, owner: TODO, contact: room 4}"),
			"fail: disks, quantity: there are 0 of at least 1\nfail: disks, owner: nobody hands it out\nfail: disks, priority: it does not say who is served first"},
		{"promised twice", inventoryPresent, things(disks + ", {name: hosts, quantity: 1, owner: Ada Obi, priority: 1}"),
			"fail: hosts, contact: nobody knows how to get it\nfail: hosts, priority: disks has the same"},
	})
}

func TestLicenseExpiry(t *testing.T) {
	// A launch from 03:00 takes at most 50 minutes, so that a week later is 2026-12-01 03:50, and 30 days 2026-12-24.
	until := func(day string) guard.Scene {
		return scene(t, "\ninventory: [{name: database, expires: "+day+"}, {name: disks}]", guard.Answer{})
	}
	tell(t, []tale{
		{"nothing", licenseExpiry, scene(t, "", guard.Answer{}), "fail: not configured: the plan does not say what has to be there when it is needed"},
		{"nothing ends", licenseExpiry, scene(t, "\ninventory: [{name: disks}]", guard.Answer{}), "pass"},
		{"to the day", licenseExpiry, until("2026-12-01"), "pass"},
		{"a day short", licenseExpiry, until("2026-11-30"), "fail: database: it is good until 2026-11-30, and has to be until 2026-12-01"},
		{"to the day of a critical service", licenseExpiry, of(until("2026-12-24"), guard.Critical), "pass"},
		{"a day short of a critical service", licenseExpiry, of(until("2026-12-23"), guard.Critical), "fail: database: it is good until 2026-12-23, and has to be until 2026-12-24"},
		{"further ahead", licenseExpiry, scene(t, "\ninventory: [{name: database, expires: 2026-12-24}]\nchecks: {settings: {license.expiry: {within: 60d}}}", guard.Answer{}),
			"fail: database: it is good until 2026-12-24, and has to be until 2027-01-23"},
	})
}
