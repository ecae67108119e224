package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// TestNotifyCommand tests channels of which one works and one does not, and asks what is known of them before and after.
func TestNotifyCommand(t *testing.T) {
	var mu sync.Mutex
	var got []guard.Notice
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var n guard.Notice
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, n)
	}))
	defer hook.Close()
	plan := filepath.Join(t.TempDir(), "golive.yaml")
	text := fmt.Sprintf(`
service: shop
rollout: {backend: {use: flagd}, steps: [100]}
watch: {source: {use: scrape}, signals: [{name: errors, total: a, bad: b}]}
roster:
  people:
    - {name: Ada Obi, role: commander, reach: [{email: ada@shop.test}, {phone: "+34 1"}]}
    - {name: Ada Obi, role: on_duty, reach: [{email: ada@shop.test}, {phone: "+34 1"}]}
    - {name: Luis Vega, role: scribe, reach: [{phone: "+34 2"}]}
notify:
  - {use: http, with: {url: "${HOOK}"}}
  - {use: email, with: {server: "127.0.0.1:%d", from: golive@shop.test, tls: none, username: golive, password: "${PASSWORD}"}, for: [commander]}
  - {use: http, with: {url: "${HOOK}"}, for: [customer]}
`, plugintest.Port(t))
	if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	call := func(want int, args ...string) string {
		t.Helper()
		var out, err strings.Builder
		env := map[string]string{"LANG": "C.UTF-8", "HOOK": hook.URL + "/secret-path", "PASSWORD": "correct-horse", "GOLIVE_BY": "Mei Lin"}
		code := run(t.Context(), append(args, "--plan", plan), strings.NewReader(""), &out, &err, envconfig.MapLookuper(env), nil)
		if code != want {
			t.Fatalf("golive %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, &out, &err)
		}
		for _, secret := range []string{"secret-path", "correct-horse", "ada@shop.test"} {
			if strings.Contains(out.String()+err.String(), secret) {
				t.Errorf("golive %s tells %s:\n%s%s", strings.Join(args, " "), secret, &out, &err)
			}
		}
		return out.String() + err.String()
	}
	says := func(text string, all ...string) {
		t.Helper()
		for _, want := range all {
			if !strings.Contains(text, want) {
				t.Errorf("it does not say %q:\n%s", want, text)
			}
		}
	}
	says(call(exitOK, "notify"), "http#0", "email#1", "commander", "customer", "never")
	says(call(exitUsage, "notify", "ack", "Ada Obi"), "no test was sent in the last seven days")
	says(call(exitUsage, "notify", "test", "sms"), "there is no channel sms; there are http#0, email#1, http#2")
	says(call(exitUsage, "notify", "test", "http", "--to", "king"), "--to king: nobody in the roster has this role")
	says(call(exitNoGo, "notify", "test", "email"), "× email#1: ")
	says(call(exitUsage, "notify", "ack", "Ada Obi"), "no channel has handed its latest test to Ada Obi")
	says(call(exitUsage, "notify", "ack", "Luis Vega"), "no test was sent in the last seven days that Luis Vega could have read")
	says(call(exitNoGo, "notify", "test"), "√ http#0: ", "× email#1: ", "connection refused", "1 of 2 channels did not take the test",
		"http#2 is not tested, since it serves customer (name it to test it)")
	says(call(exitOK, "notify", "test", "http#2"), "√ http#2: ")
	says(call(exitOK, "notify", "test", "http#0", "--to", "scribe"), "√ http#0: ")

	type told struct{ audience, to string }
	var all []told
	for _, n := range got {
		var names []string
		for _, r := range n.To {
			names = append(names, r.Name)
		}
		all = append(all, told{n.Audience, strings.Join(names, ",")})
		if n.News != guard.NewsTest || !strings.Contains(n.Text, "This is a test.") {
			t.Errorf("it is not said to be a test: %+v", n)
		}
	}
	want := []told{{"team", "Ada Obi,Luis Vega"}, {"customer", ""}, {"team", "Luis Vega"}}
	if diff := cmp.Diff(want, all, cmp.AllowUnexported(told{})); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}

	says(call(exitUsage, "notify", "ack", "Nobody"), "is not in the roster of")
	says(call(exitOK, "notify", "ack", "Ada Obi"), "has read the test of", "Ada Obi")
	says(call(exitOK, "ledger", "show", "-o", "json"), `"handed": {`, `"Luis Vega": true`)
	var states []channelState
	if err := json.Unmarshal([]byte(call(exitOK, "notify", "list", "-o", "json")), &states); err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]string{}
	for _, s := range states {
		if s.Outcome == nil || s.Tested.IsZero() {
			t.Errorf("%s was not tested: %+v", s.Channel, s)
			continue
		}
		outcomes[s.Channel] = s.Outcome.String()
	}
	if diff := cmp.Diff(map[string]string{"http#0": "pass", "email#1": "fail", "http#2": "pass"}, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	says(call(exitOK, "ledger", "show"), "channel.test", "contact.test", "Mei Lin")
}

// TestNotifyNobody: a test that tests nothing is none.
func TestNotifyNobody(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "golive.yaml")
	text := `
service: shop
rollout: {backend: {use: flagd}, steps: [100]}
watch: {source: {use: scrape}, signals: [{name: errors, total: a, bad: b}]}
notify: [{use: http, with: {url: "http://127.0.0.1:9"}, for: [customer]}]
`
	if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, said strings.Builder
	code := run(t.Context(), []string{"notify", "test", "--plan", plan}, strings.NewReader(""), &out, &said, envconfig.MapLookuper(nil), nil)
	if want := "nothing was tested"; code != exitUsage || !strings.Contains(said.String(), want) {
		t.Errorf("exit code %d, want %d, saying %q:\n%s", code, exitUsage, want, said.String())
	}
}
