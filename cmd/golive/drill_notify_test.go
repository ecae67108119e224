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
	"syscall"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// TestDrillNotify makes drills of channels that are real, with people who answer and people who do not.
func TestDrillNotify(t *testing.T) {
	var mu sync.Mutex
	heard := map[string][]guard.Notice{}
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var n guard.Notice
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		heard[r.URL.Path] = append(heard[r.URL.Path], n)
	}))
	defer hook.Close()
	mail, mailbox := postOffice(t)
	env := map[string]string{"LANG": "C.UTF-8", "HOOK": hook.URL, "GOLIVE_BY": "Ada Obi"}
	const (
		people = `
roster:
  people:
    - {name: Ada Obi, role: commander, reach: [{email: ada@shop.test}]}
    - {name: Luis Vega, role: scribe, reach: [{phone: "+34 2"}]}
    - {name: Cara Sol, role: customer, reach: [{email: cara@client.test}]}
  vendors: [{name: PayCo, reach: [{email: help@payco.test}]}]
`
		chat  = `{use: http, with: {url: "${HOOK}/team"}}`
		leads = `severity: [{level: 1, when: "true", activate: 10m}, {level: 2, when: "true", activate: 90m}]` + "\n"
		hurry = `severity: [{level: 1, when: "true", activate: 1s}]` + "\n"
	)
	post := fmt.Sprintf(`{use: email, with: {server: "%s", from: golive@shop.test, tls: none}, for: [team]}`, mail)
	for _, c := range []struct {
		name    string
		plan    string // beside people
		flags   []string
		ack     string // who answers; empty: nobody
		cut     bool   // it is interrupted once it waits
		code    int
		says    []string // on either output
		against string   // of the result
	}{
		{"somebody answers", leads + "notify: [" + chat + ", " + post + ", {use: stdout}]", []string{"--finding", "Luis has no mail"}, "Luis Vega", false, exitOK,
			[]string{"√ http#0: ", "√ email#1: ", "√ the drill (notify) is passed; it took ", "waiting until ", "golive notify ack NAME"}, ""},
		{"nobody does", hurry + "notify: [" + chat + "]", nil, "", false, exitNoGo,
			[]string{"× the drill (notify) is not passed"}, "somebody reads it: expected was an answer within 1s, seen was nobody has answered"},
		{"nobody has to", "notify: [" + chat + "]", nil, "", false, exitOK, []string{"√ the drill (notify) is passed\n"}, ""},
		{"a channel is down", fmt.Sprintf("notify: [%s, {use: http, with: {url: \"http://127.0.0.1:%d\"}}]", chat, plugintest.Port(t)), nil, "", false, exitNoGo,
			[]string{"√ http#0", "× http#1: "}, "a drill through http#1: expected was it takes it for everybody whom it knows, seen was "},
		{"somebody has no address", "notify: [" + post + "]", nil, "", false, exitNoGo,
			[]string{"√ email#0: "}, "everybody is to hear it: expected was each is handed it by some channel, seen was nobody has handed it to Luis Vega"},
		{"customers are left out", "notify: [" + chat + `, {use: http, with: {url: "${HOOK}/customers"}, for: [customer]}]`, nil, "", false, exitOK, nil, ""},
		{"and are not", "notify: [" + chat + `, {use: http, with: {url: "${HOOK}/asked"}, for: [customer]}, ` + strings.Replace(post, "[team]", "[vendor]", 1) + "]",
			[]string{"--strangers"}, "", false, exitOK, []string{"√ http#1: ", "√ email#2: "}, ""},
		{"it is cut off", leads + "notify: [" + chat + "]", nil, "", true, exitInterrupted,
			[]string{"× the drill (notify) was not carried through"}, "it was not carried through: golive was asked to end"},
		{"only this terminal", "notify: [{use: stdout}]", nil, "", false, exitUsage, []string{"no channel that reaches the team beyond this terminal"}, "-"},
		{"a finding that says nothing", "notify: [" + chat + "]", []string{"--finding", " "}, "", false, exitUsage, []string{"--finding says nothing"}, "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			plan := filepath.Join(dir, "golive.yaml")
			text := `
service: shop
rollout: {backend: {use: flagd}, steps: [100]}
watch: {source: {use: scrape}, signals: [{name: errors, total: a, bad: b}]}
` + people + c.plan
			if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var said safeBuffer
			signals := make(chan os.Signal, 1)
			call := func(args ...string) int {
				return run(t.Context(), append(args, "--plan", plan), strings.NewReader(""), &said, &said, envconfig.MapLookuper(env), signals)
			}
			code := make(chan int, 1)
			go func() { code <- call(append([]string{"drill", "notify"}, c.flags...)...) }()
			if c.ack != "" || c.cut {
				eventually(t, "it waits for an answer", func() bool { return strings.Contains(said.String(), "waiting until ") })
			}
			if c.ack != "" {
				if code := call("notify", "ack", c.ack); code != exitOK {
					t.Errorf("golive notify ack: exit code %d", code)
				}
			}
			if c.cut {
				signals <- syscall.SIGINT
			}
			if got := <-code; got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
			for _, want := range c.says {
				if !strings.Contains(said.String(), want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if strings.Contains(said.String(), "@shop.test") {
				t.Error("an address is told")
			}
			p := &program{env: envconfig.MapLookuper(env)}
			p.settings.Plan = plan
			ledger, err := p.readLedger()
			if err != nil || ledger.Broken != "" {
				t.Fatalf("the ledger: %s %v", ledger.Broken, err)
			}
			var drills []guard.Entry
			for _, e := range ledger.Entries {
				if e.Kind == "drill.notify" {
					drills = append(drills, e)
				}
			}
			if c.against == "-" {
				if len(drills) > 0 {
					t.Errorf("what was refused is written down: %+v", drills)
				}
				return
			}
			if len(drills) != 1 {
				t.Fatalf("%d drills in the ledger:\n%s", len(drills), said.String())
			}
			_, against := drills[0].Exercise.Result()
			if got := strings.Join(against, "; "); !strings.Contains(got, c.against) || (got == "") != (c.against == "") {
				t.Errorf("against it speaks %q, want %q", got, c.against)
			}
			if leftOut := strings.Join(drills[0].Exercise.Deviations, "; "); strings.Contains(leftOut, "http#1 was left out, since it serves customer") != strings.Contains(c.name, "left out") {
				t.Errorf("left out: %q", leftOut)
			}
			for _, participant := range drills[0].Exercise.Participants {
				if acked := !participant.Acked.IsZero(); acked != (participant.Name == c.ack) {
					t.Errorf("%s has answered: %v", participant.Name, acked)
				}
			}
			if c.ack != "" && (drills[0].Took <= 0 || drills[0].By != "Ada Obi" || len(ledger.Owed("shop")) != 1) {
				t.Errorf("took %s, by %q, owed %+v", drills[0].Took, drills[0].By, ledger.Owed("shop"))
			}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	for _, n := range heard["/team"] {
		if n.News != guard.NewsTest || n.About != guard.AboutDrill || n.Urgent || !strings.Contains(n.Title, "DRILL") || !strings.Contains(n.Text, "This is a drill.") {
			t.Errorf("it is not said to be a drill: %+v", n)
		}
	}
	if len(heard["/team"]) == 0 || len(heard["/customers"]) > 0 || len(heard["/asked"]) != 1 || strings.Contains(heard["/asked"][0].Text, "notify ack") {
		t.Errorf("heard: %+v", heard)
	}
	var to []string
	for _, letter := range mailbox() {
		to = append(to, letter.to)
	}
	if got, want := strings.Join(to, " "), "ada@shop.test ada@shop.test help@payco.test"; got != want {
		t.Errorf("letters to %s, want %s", got, want)
	}
}
