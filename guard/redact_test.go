package guard_test

import (
	"strings"
	"testing"

	"github.com/golive-dev/golive/guard"
)

// Every text here says hunter2 where its secret is; none of it may be left, and the rest has to be.
func TestRedact(t *testing.T) {
	const key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEhunter2\nabc+/=\n-----END RSA PRIVATE KEY-----"
	for text, want := range map[string]string{
		"password=hunter2secret":                                               "password=[secret]",
		"restored, password=hunter2 user=shop":                                 "restored, password=[secret] user=shop",
		"DB_PASSWORD: hunter2":                                                 "DB_PASSWORD: [secret]",
		"passwd = 'hunter2 and more'":                                          "passwd = '[secret]'",
		`{"password":"hun\"ter2hunter2","user":"shop"}`:                        `{"password":"[secret]","user":"shop"}`,
		`{"log":"{\"api_key\":\"hunter2\",\"n\":1}"}`:                          `{"log":"{\"api_key\":\"[secret]\",\"n\":1}"}`,
		`"token": "hunter2 cut of`:                                             `"token": "[secret] cut of`,
		"X-Api-Key: hunter2":                                                   "X-Api-Key: [secret]",
		"AWS_SECRET_ACCESS_KEY=hunter2/abc+d=":                                 "AWS_SECRET_ACCESS_KEY=[secret]",
		"client_secret=hunter2&grant=x":                                        "client_secret=[secret]&grant=x",
		"?token=hunter2&page=2":                                                "?token=[secret]&page=2",
		"api key: hunter2":                                                     "api key: [secret]",
		":token => 'hunter2'":                                                  ":token => '[secret]'",
		"+ mysql --password hunter2 shop":                                      "+ mysql --password [secret] shop",
		"密码：hunter2":                                                           "密码：[secret]",
		"Authorization: Basic hunter2==":                                       "Authorization: [secret]",
		`curl -H "Authorization: Bearer hunter2" http:x`:                       `curl -H "Authorization: [secret]" http:x`,
		"authorization=hunter2":                                                "authorization=[secret]",
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, Signature=hunter2": "Authorization: [secret]",
		"sent Bearer hunter2.abc to it":                                        "sent Bearer [secret] to it",
		"postgres://shop:hunter2@db.test/x":                                    "postgres://shop:[secret]@db.test/x",
		"postgres://shop:hun@hunter2@db.test/x":                                "postgres://shop:[secret]@db.test/x",
		"https://hunter2@github.test/x":                                        "https://[secret]@github.test/x",
		"https://a:hunter2@b.test and https://c:hunter2@d.test":                "https://a:[secret]@b.test and https://c:[secret]@d.test",
		"kept: " + key + "\nand on":                                            "kept: [secret]\nand on",
		"kept: " + strings.ReplaceAll(key, "\n", `\n`) + " and on":             "kept: [secret] and on",
		"cut: " + key[:45]:                                                     "cut: [secret]",
		key[36:] + "\nand on":                                                  "[secret]\nand on",
	} {
		got := guard.Redact(text)
		if got != want || strings.Contains(got, "hunter2") {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if again := guard.Redact(got); again != got {
			t.Errorf("%q: once more it is %q", got, again)
		}
	}
}

// What holds none stays as it is.
func TestRedactLeavesTheRest(t *testing.T) {
	for _, text := range []string{
		"",
		"the token bucket: 5 of 10 left", "secret santa: Bob", "the secretary: Ada", "tokens: 4096, max_tokens=20", "passwords: 3 changed",
		"password: required", "token: expired.", "Password: ", "authorization: denied", "a bearer of bad news", "Bearer authentication is required", "Bearer token",
		"error: --token is required", "--token=${TOKEN} --password ${PASSWORD}", "Authorization: Bearer ${TOKEN}", "password=***", `"secret": null`,
		"automountServiceAccountToken: false", "secretName: shop", "a public key: -----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----",
		"http://shop.test/version?a=b", "ssh://git@github.test/x", "postgres://shop:${PASS}@db/x", "mail ada@shop.test; see https://shop.test/@ada",
		"errors: canary 4 of 80 (5 %), baseline 0 of 727 (0 %) against at most x1.25; odds 178:1, limit 100:1",
		"golive journal verify .golive/20261124-031200-v2.jsonl", "left-pad@1.3.0, key: value, primary key: id",
	} {
		if got := guard.Redact(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}
