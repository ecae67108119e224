package report

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

func TestDiscretion(t *testing.T) {
	d := discretionOf(plan(t, planText))
	for _, c := range []struct{ name, text, want string }{
		{"international", "call +44 20 7946 0001 now", "call [phone] now"},
		{"with brackets", "call +44 (0)20-7946.0001!", "call [phone]!"},
		{"with dots", "+1.555.010.0199", "[phone]"},
		{"after 00", "0044 20 7946 0001", "[phone]"},
		{"national", "020 7946 0001, 030/12345678, (030) 1234567", "[phone], [phone], [phone]"},
		{"American", "(555) 010-0199 or 555-010-0199 or 1-555-010-0199", "[phone] or [phone] or 1-[phone]"},
		{"Chinese", "13812345678, 138 1234 5678, +86 138 1234 5678", "[phone], [phone], [phone]"},
		{"wide digits", "＋４４ ２０ ７９４６ ０００１", "[phone]"},
		{"odd spaces", "+44\u00a020\u20117946\u20130001", "[phone]"},
		{"in a URI", "tel:+442079460001", "tel:[phone]"},
		{"two in a row", "+442079460001,+442079460002", "[phone],[phone]"},
		{"with an extension", "020 7946 0001x12", "[phone]x12"},
		{"of the roster, in another form", "5551234567 or 555 1234567 or 1 (55) 51 23 45 67", "[phone] or [phone] or [phone]"},

		{"mail", "ask ada.obi+ops@shop.example.co.uk.", "ask [e-mail]."},
		{"mail in brackets", "<ada@shop.test>", "<[e-mail]>"},
		{"mail to", "mailto:ada%40shop.test", "mailto:[e-mail]"},
		{"mail abroad", "佐藤@例え.テスト and ada@xn--r8jz45g.xn--zckzah", "[e-mail] and [e-mail]"},
		{"a password", "postgres://app:secret@db.shop.test/x", "postgres://app:[e-mail]/x"},

		{"nothing", "all is well", "all is well"},
		{"a time", "ended at 2026-11-24T03:12:07.012345678Z, 2026-11-24 03:12:07", "ended at 2026-11-24T03:12:07.012345678Z, 2026-11-24 03:12:07"},
		{"a rollout", "20261124-031207-v3", "20261124-031207-v3"},
		{"counts", "4 of 182 (2.2%), baseline 0 of 1,636, 10000000000 bytes", "4 of 182 (2.2%), baseline 0 of 1,636, 10000000000 bytes"},
		{"fractions", "0.0123456789, 1.0138123456789, -0.25", "0.0123456789, 1.0138123456789, -0.25"},
		{"addresses", "127.0.0.1:8080, 192.168.100.200, [2001:db8::1]:443", "127.0.0.1:8080, 192.168.100.200, [2001:db8::1]:443"},
		{"versions", "v1.41.0, left-pad@1.3.0, golang@sha256:0a1b", "v1.41.0, left-pad@1.3.0, golang@sha256:0a1b"},
		{"a digest", "a0123456789b" + strings.Repeat("1380013800138", 2), "a0123456789b" + strings.Repeat("1380013800138", 2)},
		{"a short digest", "digest 0123456789ab, 13812345678c.", "digest 0123456789ab, 13812345678c."},
		{"an extension in letters", "02079460001ext 5, 02079460001 extension", "[phone]ext 5, [phone] extension"},
		{"a place", "golive.yaml:12:5: roster.people[0]", "golive.yaml:12:5: roster.people[0]"},
		{"a handle", "@ops, reach: [{slack: \"@ada\"}]", "@ops, reach: [{slack: \"@ada\"}]"},

		{"not clean", "a\xff\x1b[31m\u202eb\r\nc\td", "a\ufffd\ufffd[31m\ufffdb\nc\td"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, d.text(c.text)); diff != "" {
				t.Errorf("%q (-want +got):\n%s", c.text, diff)
			}
		})
	}
}

// Every text of a finding is looked at; a digest is one, and not a number.
func TestDiscreet(t *testing.T) {
	const phone, digest = "+44 20 7946 0001", "0123456789012345678901234567890123456789012345678901234567890123"
	got := Discreet(nil)(guard.Finding{
		Code: phone, ID: phone, Subject: phone, Title: phone, Reason: phone, Remedy: phone, Expected: phone, Observed: phone, Path: phone,
		Evidence: []guard.Evidence{{Asked: phone, Answer: phone, Digest: phone}, {Digest: digest}},
	})
	const p = "[phone]"
	want := guard.Finding{
		Code: p, ID: p, Subject: p, Title: p, Reason: p, Remedy: p, Expected: p, Observed: p, Path: p,
		Evidence: []guard.Evidence{{Asked: p, Answer: p, Digest: p}, {Digest: digest}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
}

// The findings themselves are for others to keep as they are.
func TestDiscreetKeepsItsInput(t *testing.T) {
	f := guard.Finding{Evidence: []guard.Evidence{{Asked: "ada@shop.test"}}}
	Discreet(nil)(f)
	if f.Evidence[0].Asked != "ada@shop.test" {
		t.Error("the evidence was changed")
	}
}
