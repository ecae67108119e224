package checks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
)

// anyScenario is what a message is for that serves whatever has none of its own.
const anyScenario = "any"

var commsTemplates = row(guard.Check{
	Code: "GL701", ID: "comms.templates", Title: "it is agreed what customers and management are told", Path: "messages", Standard: guard.Advisory,
	S: []int{105, 107, 108},
},
	`The first sentence to customers is written by whoever is most tired, while the lawyers are asleep. What was agreed on
	beforehand is sent in a minute, promises nothing that cannot be kept, and says when the next one comes.`,
	lint{
		whether: "whether the plan has a message for customer and for management about each scenario that it does not accept, of its own or for any, " +
			"which says what happened, whom it concerns, what is done, until when, and when there is more",
		write: "agree on the words; what nobody knows yet is printed as unknown:\n\n    messages:\n      - scenario: any\n        audience: customer\n" +
			"        text: \"{{.Nature}}. It concerns {{.Scope}}. {{.Progress}}. We expect it to be over by {{.ETA}}, and tell you more at {{.NextUpdate}}.\"",
		want: "messages with " + list(guard.MessageWords, "and"),
		look: func(s guard.Scene) (string, []gap) {
			p := s.Plan
			if len(p.Messages) == 0 {
				return unset("messages", "what customers and management are told",
					`[{scenario: any, audience: customer, text: "{{.Nature}} {{.Scope}} {{.Progress}} {{.ETA}} {{.NextUpdate}}"}]`)
			}
			var gaps []gap
			for _, audience := range []string{customer, management} {
				if without := untold(p, audience); len(without) > 0 {
					gaps = append(gaps, gap{
						path: "messages", about: audience, why: fmt.Sprintf("there is no message for %s about %s", audience, list(without, "and")),
						remedy: fmt.Sprintf("add {scenario: %s, audience: %s, text: WORDS} to", without[0], audience),
					})
				}
			}
			for i, m := range p.Messages {
				if silent := unsaid(m, s.Release); len(silent) > 0 {
					path := fmt.Sprintf("messages[%d].text", i)
					gaps = append(gaps, gap{
						path: path, about: path, why: "it does not say {{." + strings.Join(silent, "}}, {{.") + "}}",
						remedy: "write {{." + strings.Join(silent, "}}, {{.") + "}} in",
					})
				}
			}
			return count(len(p.Messages), "message"), gaps
		},
	})

// untold are the scenarios of which an audience would hear nothing.
func untold(p *guard.Plan, audience string) (scenarios []string) {
	serves := func(scenario string) bool {
		return slices.ContainsFunc(p.Messages, func(m guard.Message) bool { return m.Audience == audience && m.Scenario == scenario })
	}
	if serves(anyScenario) {
		return nil
	}
	wanted := acted(p)
	if len(wanted) == 0 {
		return []string{anyScenario}
	}
	return slices.DeleteFunc(wanted, serves)
}

// unsaid are the words that a message has to say, and does not when it is filled in.
func unsaid(m guard.Message, r guard.Release) (words []string) {
	for _, word := range guard.MessageWords {
		const told = "\ue000" // which no plan holds
		filling := m.Words(r)
		filling[word] = told
		if text, err := guard.Fill(m.Text, filling); err != nil || !strings.Contains(text, told) {
			words = append(words, word)
		}
	}
	return words
}

// leastChannels there have to be: what is broken may be the very one.
const leastChannels = 2

var commsChannelTest = row(guard.Check{
	Code: "GL702", ID: "comms.channel_test", Title: "word is known to arrive by two ways", Path: "notify", Standard: guard.Advisory, Reads: []string{"least"}, S: []int{106, 113},
},
	`The chat hangs on the same network as the service, and its webhook was made by somebody who has left. Of two ways that
	do not depend on each other, one works; and only a message that somebody has seen shows which.`,
	record{
		done: "a test of each channel under notify",
		more: "There have to be two channels that do not depend on each other: by other hosts, or by other programs. What is written to this terminal (stdout) is none",
		do:   "send a message that says it is a test, wait until somebody has seen it",
		about: func(s guard.Scene) []topic {
			var subjects []string
			for i, c := range s.Plan.Notify {
				if reaches(c) {
					subjects = append(subjects, fmt.Sprintf("%s#%d", c.Use, i))
				}
			}
			return topics("channel.test", days(31), subjects...)
		},
		lacks: func(s guard.Scene) []gap {
			least := cmp.Or(s.Plan.Checks.Settings["comms.channel_test"].Least, leastChannels)
			found := independent(s.Plan.Notify)
			if found >= least {
				return nil
			}
			return []gap{{
				path: "notify", about: "how many", why: fmt.Sprintf("%sthere are %d of at least %d channels that are independent of each other", notConfigured, found, least),
				remedy: "add a channel by another host or program to",
			}}
		},
	})

// reaches says whether a channel reaches somebody who does not sit before this machine.
func reaches(c guard.Channel) bool { return c.Use != "stdout" }

// independent counts channels of other kinds or hosts. Secrets in a channel are still names here, and two channels
// whose whole address is a secret are told apart by its name.
func independent(channels []guard.Channel) int {
	ways := map[string]bool{}
	for _, c := range channels {
		if !reaches(c) {
			continue
		}
		address, _ := c.With["url"].(string)
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			ways[c.Use+" "+strings.ToLower(u.Host)] = true
			continue
		}
		with, err := json.Marshal(c.With)
		if err != nil {
			panic(err) // a parsed plan holds nothing that JSON cannot
		}
		ways[c.Use+" "+string(with)] = true
	}
	return len(ways)
}

var commsInbound = row(guard.Check{
	Code: "GL703", ID: "comms.inbound", Title: "a way to report trouble is open to customers", Standard: guard.Advisory, Critical: guard.Advisory,
	S: []int{110, 112},
},
	`Customers see what no metric measures, and they see it first. Where they find nobody to tell, they tell everybody.`,
	probe{
		whether: "whether the page answers on which customers report trouble, and says how",
		want:    "a page with a way to report trouble",
		example: `{use: http, with: {url: "https://shop.test/help", contains: "+44"}}`,
	})
