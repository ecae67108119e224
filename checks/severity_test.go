package checks

import (
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
)

// inTrouble is a plan of a commander, somebody on duty and two vendors, with these lines.
func inTrouble(t *testing.T, lines ...string) guard.Scene {
	t.Helper()
	return scene(t, "\nroster: {people: [{name: Wang Fang, role: commander}, {name: Mei Lin, role: on_duty}, {name: TODO, role: executive}], "+
		"vendors: [{name: PayCo}, {name: HostCo}]}\n"+strings.Join(lines, "\n"), guard.Answer{})
}

func TestSeverityDefined(t *testing.T) {
	const (
		worst  = "  - {level: 1, when: errors > 20%, lead: commander, page: everyone}"
		middle = "  - {level: 2, when: errors > 5%, lead: on_duty, page: [commander, on_duty]}"
		least  = `  - {level: 3, when: "true", lead: on_duty, page: on_duty}`
	)
	levels := func(lines ...string) guard.Scene {
		return inTrouble(t, append([]string{"severity:"}, lines...)...)
	}
	tell(t, []tale{
		{"none", severityDefined, inTrouble(t), "fail: not configured: the plan does not say how bad it can be, and who leads then"},
		{"three", severityDefined, levels(worst, middle, least), "pass"},
		{"four", severityDefined, levels(worst, middle, `  - {level: 4, when: errors > 1%, activate: 30m, lead: on_duty, page: on_duty}`, `  - {level: 5, when: "true", activate: 1h, lead: on_duty, page: on_duty}`), "pass"},
		{"two", severityDefined, levels(worst, strings.Replace(least, "level: 3", "level: 2", 1)), "fail: how many: there are 2 of at least 3 levels"},
		{"two are enough here", severityDefined, levels(worst, least, "checks: {settings: {severity.defined: {least: 2}}}"), "pass"},
		{"not for everything", severityDefined, levels(worst, middle, strings.Replace(least, `"true"`, "errors > 1%", 1)), "fail: level 3, when: what fits none of the levels has none"},
		{"always the first", severityDefined, levels(strings.Replace(worst, "errors > 20%", `"true"`, 1), middle, least), "fail: level 1, when: it always holds, so that no level after it ever does"},
		{"not said when", severityDefined, levels(strings.Replace(worst, "errors > 20%", "TODO", 1), middle, least), "fail: level 1, when: it does not say when it holds"},
		{"in no order", severityDefined, levels(
			strings.Replace(middle, "lead", "activate: 10m, lead", 1), worst, least),
			"fail: level 1, level: it is worse than level 2, which is asked first"},
		{"the worst is led last", severityDefined, levels(strings.Replace(worst, "lead", "activate: 16m, lead", 1), middle, least), "fail: level 2, activate: it is led sooner than level 1, which is worse"},
		{"as soon as a worse one", severityDefined, levels(strings.Replace(worst, "lead", "activate: 15m, lead", 1), middle, least), "pass"},
		{"no time", severityDefined, levels(worst, middle, strings.Replace(least, "level: 3", "level: 4", 1)), "fail: level 4, activate: it does not say by when somebody leads"},
		{"nobody leads", severityDefined, levels(worst, strings.Replace(middle, "lead: on_duty", "lead: executive", 1), strings.Replace(least, "lead: on_duty, ", "", 1)),
			"fail: level 3, lead: nobody in the roster is named to lead\nfail: executive: nobody is named in the roster as executive"},
		{"nobody is called", severityDefined, levels(worst, strings.Replace(middle, "[commander, on_duty]", "[comms, commander]", 1), strings.Replace(least, ", page: on_duty", "", 1)),
			"fail: level 2, page: nobody in the roster is comms\nfail: level 3, page: nobody is called"},
	})
}

func TestEscalationDefined(t *testing.T) {
	escalate := func(steps string, lines ...string) guard.Scene {
		return inTrouble(t, append([]string{"escalate: " + steps}, lines...)...)
	}
	tell(t, []tale{
		{"none", escalationDefined, inTrouble(t), "fail: not configured: the plan does not say who is told when trouble goes on"},
		{"all, as late as may be", escalationDefined, escalate("[{after: 60m, to: [HostCo, customer]}, {after: 20h, to: management}]"), "pass"},
		{"everyone is no customer", escalationDefined, escalate("[{after: 5m, to: [everyone, PayCo, management]}]"), "fail: customer: nobody tells customer within 1h"},
		{"too late", escalationDefined, escalate("[{after: 61m, to: [HostCo, customer, management]}]"),
			"fail: PayCo or HostCo: nobody tells PayCo or HostCo within 1h\nfail: customer: nobody tells customer within 1h"},
		{"in time here", escalationDefined, escalate("[{after: 61m, to: [HostCo, customer, management]}]", "checks: {settings: {escalation.defined: {within: 2h}}}"), "pass"},
		{"no management", escalationDefined, escalate("[{after: 5m, to: [PayCo, customer, commander]}]"), "fail: management: nobody tells management"},
		{"strangers", escalationDefined, escalate("[{after: 5m, to: [PayCo, customer, management]}, {after: 6m, to: [executive, NoCo, on_duty]}]"),
			"fail: executive in escalate[1].to: there is nobody whose role is executive, and no such vendor\nfail: NoCo in escalate[1].to: there is nobody whose role is NoCo, and no such vendor"},
		{"not said who", escalationDefined, escalate("[{after: 5m, to: [TODO, PayCo, customer, management]}]"), "fail: escalate[0].to[0]: it is not said who is told"},
		{"no vendors", escalationDefined, scene(t, "\nescalate: [{after: 5m, to: [customer, management]}]", guard.Answer{}), "pass"},
	})
}
