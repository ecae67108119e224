package checks

import (
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
)

func TestCommsTemplates(t *testing.T) {
	const (
		all     = `text: "{{.Nature}} {{ .Scope }} {{.Progress}} {{.ETA}} {{.NextUpdate}} of {{.Service}}"}`
		two     = "\nscenarios: [{name: crash, action: restart}, {name: attack, action: block}, {name: hardware, accept: it is rented}]"
		toAny   = "\n  - {scenario: any, audience: customer, " + all
		boss    = "\n  - {scenario: any, audience: management, " + all
		crashes = "\n  - {scenario: crash, audience: customer, " + all
	)
	messages := func(texts string) guard.Scene { return scene(t, two+"\nmessages:"+texts, guard.Answer{}) }
	tell(t, []tale{
		{"none", commsTemplates, scene(t, two, guard.Answer{}), "fail: not configured: the plan does not say what customers and management are told"},
		{"for any", commsTemplates, messages(toAny + boss), "pass"},
		{"one of its own too", commsTemplates, messages(toAny + boss + crashes), "pass"},
		{"each of its own", commsTemplates, messages(crashes + "\n  - {scenario: attack, audience: customer, " + all + boss), "pass"},
		{"one has none", commsTemplates, messages(crashes + boss), "fail: customer: there is no message for customer about attack"},
		{"for one audience", commsTemplates, messages(toAny), "fail: management: there is no message for management about crash and attack"},
		{"without scenarios", commsTemplates, scene(t, "\nmessages:"+toAny, guard.Answer{}), "fail: management: there is no message for management about any"},
		{"says half", commsTemplates, messages(boss + "\n  - {scenario: any, audience: customer, text: \"{{.Nature}} Scope, Progress {{.NextUpdate}}\"}"),
			"fail: messages[1].text: it does not say {{.Scope}}, {{.Progress}}, {{.ETA}}"},
	})
}

func TestCommsChannelTest(t *testing.T) {
	notify := func(channels string, entries ...guard.Entry) guard.Scene {
		return withLedger(t, "\nnotify: ["+channels+"]", entries...)
	}
	const (
		chat  = `{use: http, with: {url: "https://chat.test/${CHAT}"}}`
		pager = `{use: http, with: {url: "https://PAGER.test/v1"}}`
	)
	both := []guard.Entry{resultOf("channel.test", "http#0", 31*oneDay), resultOf("channel.test", "http#1", 31*oneDay)}
	tell(t, []tale{
		{"two", commsChannelTest, notify(chat+", "+pager, both...), "pass: channel.test of http#0\npass: channel.test of http#1"},
		{"of secret addresses", commsChannelTest, notify(`{use: http, with: {url: "${CHAT}"}}, {use: http, with: {url: "${PAGER}"}}`, both...), "pass: channel.test of http#0\npass: channel.test of http#1"},
		{"by one host", commsChannelTest, notify(chat+`, {use: http, with: {url: "https://Chat.test/other"}}`, both...),
			"fail: how many: not configured: there are 1 of at least 2 channels that are independent of each other"},
		{"one too old, one never", commsChannelTest, notify(chat+", "+pager, resultOf("channel.test", "http#0", 31*oneDay+time.Second)),
			"fail: channel.test of http#0: the latest is 1s older than it may be\nfail: channel.test of http#1: the ledger has no result of it"},
		{"none", commsChannelTest, withLedger(t, ""), "fail: how many: not configured: there are 0 of at least 2 channels that are independent of each other"},
		{"only this terminal", commsChannelTest, notify("{use: stdout}"), "fail: how many: not configured: there are 0 of at least 2 channels that are independent of each other"},
		{"one is enough here", commsChannelTest, withLedger(t, "\nnotify: ["+chat+"]\nchecks: {settings: {comms.channel_test: {least: 1}}}", both[0]), "pass"},
	})
}
