package incident

import (
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
)

// Everything that a report can say it can say in both languages, and a name is the same in a message, a report and a plan.
func TestWords(t *testing.T) {
	for key, text := range words {
		family, name, _ := strings.Cut(key, "_")
		if text[1] == "" && strings.TrimSpace(text[0]) != "" && guard.Chinese(family, name) == "" {
			t.Errorf("%s has no Chinese", key)
		}
	}
	for family, names := range map[string][]string{
		"scenario": guard.Classes,
		"standing": {"met", "met late", "breached", "waived", "open"},
		"due": {
			string(guard.DueActivate), string(guard.DueContain), string(guard.DueReport), string(guard.DueUpdate), string(guard.DueVendor),
			string(guard.DueRecover), string(guard.DueNotice), string(guard.DueFiled), string(guard.DueLearned),
		},
		"role": {"commander", "deputy", "on_duty", "technical_lead", "comms", "scribe", "executive", "business", "customer", "management", "everyone"},
	} {
		for _, name := range names {
			zh := guard.Chinese(family, name)
			if zh == "" || language("zh").name(family, name) != zh {
				t.Errorf("%s %s is %q in Chinese, and %q in a report", family, name, zh, language("zh").name(family, name))
			}
			if _, known := words[family+"_"+name]; !known {
				t.Errorf("%s %s has no English", family, name)
			}
		}
	}
}

// Why nothing is owed any more is told in the language of the report, with the role of whoever said so.
func TestWaived(t *testing.T) {
	for why, want := range map[string]string{
		"stood down by commander": "由总指挥解除响应", "stood down by Ada": "由Ada解除响应", "the cause is known": "原因已查明", "": "", "something else": "something else",
	} {
		if got := language("zh").waived(why); got != want {
			t.Errorf("%q is %q, want %q", why, got, want)
		}
	}
}
