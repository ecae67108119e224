package generic_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/judge"
	"github.com/golive-dev/golive/plugins/generic"
	"github.com/golive-dev/golive/plugins/plugintest"
)

const plan = `
service: shop
environment: prod
rollout:
  backend: {use: command, with: {inspect: "true", shift: "true"}}
  steps: [10, 50, 100]
watch:
  source: {use: scrape, with: {canary: ["http://c/metrics"], stable: ["http://s/metrics"]}}
  signals: [{name: errors, total: requests, bad: 'requests{code="500"}'}]
`

const open = `{"action":"open","service":"shop","environment":"prod","from":"v1","to":"v2"}`

var secret, next = []byte("the secret"), []byte("the next secret")

func request(body, signature, delivery string) *http.Request {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	if signature != "" {
		r.Header.Set(generic.Signature, signature)
	}
	if delivery != "" {
		r.Header.Set(generic.Delivery, delivery)
	}
	return r
}

func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func send(h http.Handler, body, delivery string) *httptest.ResponseRecorder {
	return do(h, request(body, generic.Sign(secret, time.Now(), []byte(body)), delivery))
}

func TestSignatures(t *testing.T) {
	now := time.Now()
	good := generic.Sign(secret, now, []byte(open))
	stamp, v1, _ := strings.Cut(good, ",v1=")
	old := hmac.New(sha1.New, secret)
	fmt.Fprintf(old, "%d.%s", now.Unix(), open)
	short := hex.EncodeToString(old.Sum(nil))
	flipped := "0" + v1[1:]
	if v1[0] == '0' {
		flipped = "1" + v1[1:]
	}
	for _, test := range []struct {
		name, signature string
		holds           bool
	}{
		{"good", good, true},
		{"good, with spaces", stamp + ", v1=" + v1, true},
		{"good, beside one of another secret", stamp + ",v1=" + flipped + ",v1=" + v1, true},
		{"good, beside one of another version", good + ",v0=" + short, true},
		{"of the next secret", generic.Sign(next, now, []byte(open)), true},
		{"4 minutes old", generic.Sign(secret, now.Add(-4*time.Minute), []byte(open)), true},
		{"4 minutes ahead", generic.Sign(secret, now.Add(4*time.Minute), []byte(open)), true},
		{"missing", "", false},
		{"old", generic.Sign(secret, now.Add(-6*time.Minute), []byte(open)), false},
		{"of the future", generic.Sign(secret, now.Add(6*time.Minute), []byte(open)), false},
		{"of another secret", generic.Sign([]byte("a guess"), now, []byte(open)), false},
		{"of the empty secret", generic.Sign(nil, now, []byte(open)), false},
		{"of another body", generic.Sign(secret, now, []byte(open+" ")), false},
		{"of another time", fmt.Sprintf("t=%d,v1=%s", now.Unix()-1, v1), false},
		{"one bit off", stamp + ",v1=" + flipped, false},
		{"truncated", good[:len(good)-2], false},
		{"empty", stamp + ",v1=", false},
		{"too long", good + "00", false},
		{"SHA-1", stamp + ",v1=" + short, false},
		{"SHA-1 of another version", stamp + ",v0=" + short, false},
		{"as GitHub has it", "sha256=" + v1, false},
		{"no hexadecimal", stamp + ",v1=" + strings.Repeat("zz", 32), false},
		{"no time", "v1=" + v1, false},
		{"no number", "t=now,v1=" + v1, false},
		{"two times", stamp + "," + good, false},
		{"a time beyond numbers", "t=99999999999999999999,v1=" + v1, false},
		{"many signatures", stamp + strings.Repeat(",v1="+v1, 5), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := plugintest.NewDesk(t, plan)
			w := do(generic.NewHook(d, nil, secret, next), request(open, test.signature, ""))
			if test.holds {
				if w.Code != 202 || len(d.Rollouts()) != 1 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				return
			}
			if w.Code != 401 || d.Asked() > 0 || strings.Contains(w.Body.String(), v1) {
				t.Errorf("%d %s, and the desk was asked %d times", w.Code, w.Body, d.Asked())
			}
		})
	}

	d := plugintest.NewDesk(t, plan)
	if w := do(generic.NewHook(d), request(open, generic.Sign(nil, now, []byte(open)), "")); w.Code != 401 || d.Asked() > 0 {
		t.Errorf("without any secret: %d %s", w.Code, w.Body)
	}
	twice := request(open, good, "")
	twice.Header.Add(generic.Signature, good)
	if w := do(generic.NewHook(d, secret), twice); w.Code != 401 || d.Asked() > 0 {
		t.Errorf("two headers: %d %s", w.Code, w.Body)
	}
}

// TestShell runs the example of the package's comment up to what curl sends.
func TestShell(t *testing.T) {
	plugintest.Needs(t, "openssl", "apt-get install openssl")
	at := time.Now()
	script := fmt.Sprintf(`printf '%%s.%%s' %d "$BODY" | openssl dgst -sha256 -hmac "$SECRET" -r | cut -d' ' -f1`, at.Unix())
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(cmd.Environ(), "BODY="+open, "SECRET="+string(secret))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("t=%d,v1=%s", at.Unix(), strings.TrimSpace(string(out))), generic.Sign(secret, at, []byte(open)); got != want {
		t.Errorf("the shell signs %s, and Sign %s", got, want)
	}
}

func TestActions(t *testing.T) {
	for _, test := range []struct {
		body   string
		status int
		says   string
		want   guard.Fact // nil: nothing is told
	}{
		{`{"action":"rollback","service":"shop","why":"it hurts"}`, 200, "", guard.Ordered{Verb: guard.OrderRollback, By: "generic", Why: "it hurts"}},
		{`{"action":"hold","rollout":"shop-1"}`, 200, "", guard.Ordered{Verb: guard.OrderHold, By: "generic"}},
		{`{"action":"hold","rollout":"shop-1","service":"shop","environment":"prod","from":"v1","to":"v2"}`, 200, "", guard.Ordered{Verb: guard.OrderHold, By: "generic"}},
		{`{"action":"resume","service":"shop","environment":"prod"}`, 200, "", guard.Ordered{Verb: guard.OrderResume, By: "generic"}},
		{`{"action":"conclude","service":"shop","why":"all traffic is there"}`, 200, "", guard.Ordered{Verb: guard.OrderConclude, By: "generic", Why: "all traffic is there"}},
		{`{"action":"extend","service":"shop","for":"10m"}`, 200, "", guard.Ordered{Verb: guard.OrderExtend, By: "generic", For: guard.Duration(10 * time.Minute)}},
		{`{"action":"note","service":"shop","text":"a job ran"}`, 200, "", guard.Noted{Text: "a job ran", By: "generic"}},
		{`{"action":"acknowledge","service":"shop","by":"eve","unknown":[1]}`, 200, "", guard.Acknowledged{By: "generic"}},

		{`{"action":"proceed","service":"shop","to":"v2"}`, 403, "a token", nil},
		{`{"action":"rollback","service":"cart"}`, 404, "no such rollout", nil},
		{`{"action":"rollback","service":"shop","to":"v9"}`, 404, "no such rollout", nil},
		{`{"action":"rollback","rollout":"shop-9"}`, 404, "no such rollout", nil},
		{`{"action":"rollback","rollout":"shop-1","service":"cart"}`, 400, "and not of", nil},
		{`{"action":"rollback","rollout":"shop-1","to":"v3"}`, 400, "and not of", nil},
		{`{"action":"rollback"}`, 400, "service (or rollout) is missing", nil},
		{`{"action":"extend","service":"shop"}`, 400, "how much longer", nil},
		{`{"action":"extend","service":"shop","for":"-10m"}`, 400, "how much longer", nil},
		{`{"action":"extend","service":"shop","for":"0s"}`, 400, "how much longer", nil},
		{`{"action":"note","service":"shop","text":" "}`, 400, "text is missing", nil},
		{`{"action":"Rollback","service":"shop"}`, 400, "action is", nil},
		{`{"service":"shop"}`, 400, "action is", nil},
		{`{"action":"rollback","service":["shop"]}`, 400, "has to be a string", nil},
		{`{"action":"rollback","service":"shop"`, 400, "no JSON", nil},
		{`[]`, 400, "has to be an object", nil},
		{`null`, 400, "action is", nil},
		{`{"action":"open","service":"cart","to":"v2"}`, 404, "no plan", nil},
		{`{"action":"open","service":"shop"}`, 400, "to (the new version) is missing", nil},
		{`{"action":"open","service":"shop","from":"v2","to":"v2"}`, 400, "itself", nil},
		{`{"action":"open","service":"shop","to":"v3","purpose":"rollback"}`, 400, "purpose is", nil},
		{`{"action":"open","service":"shop","to":"v3"}`, 409, `"rollout":"shop-1"`, nil},
		{`{"action":"` + strings.Repeat("x", 1000) + `","service":"shop"}`, 400, "action is", nil},
		{strings.Repeat(" ", 1<<20) + open, 413, "longer", nil},
	} {
		d := plugintest.NewDesk(t, plan)
		h := generic.NewHook(d, secret)
		if w := send(h, open, "open"); w.Code != 202 || w.Body.String() != `{"rollout":"shop-1"}`+"\n" {
			t.Fatalf("open: %d %s", w.Code, w.Body)
		}
		for range 2 {
			w := send(h, test.body, "the same")
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) || w.Body.Len() > 400 {
				t.Errorf("%.100s: %d %s, want %d with %q", test.body, w.Code, w.Body, test.status, test.says)
			}
			if test.status == 200 && w.Body.String() != `{"rollout":"shop-1"}`+"\n" {
				t.Errorf("%s: %s", test.body, w.Body)
			}
		}
		var want []guard.Fact
		if test.want != nil {
			want = append(want, test.want)
		}
		if diff := cmp.Diff(want, d.Told("shop-1")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.body, diff)
		}
	}
}

func TestPurpose(t *testing.T) {
	for purpose, want := range map[string]guard.Purpose{"": guard.ToRollout, "rollout": guard.ToRollout, "watch": guard.ToWatch} {
		d := plugintest.NewDesk(t, plan)
		w := send(generic.NewHook(d, secret), strings.Replace(open, `"to"`, `"purpose":"`+purpose+`","to"`, 1), "")
		_, s, err := d.Get(t.Context(), "shop-1")
		if w.Code != 202 || err != nil || s.Purpose != want {
			t.Errorf("%q: %d %s, opened to %s, %v", purpose, w.Code, w.Body, s.Purpose, err)
		}
	}
}

func TestOver(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	h := generic.NewHook(d, secret)
	send(h, strings.Replace(open, `"to"`, `"purpose":"watch","to"`, 1), "")
	d.Watch(t, "shop-1", 10, judge.Regressed)
	d.Happen(t, "shop-1", guard.Shifted{})
	d.Happen(t, "shop-1", guard.Verified{})
	if w := send(h, `{"action":"note","service":"shop","text":"late"}`, ""); w.Code != 409 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestRepeats: what is the same message, and what is another.
func TestRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := plugintest.NewDesk(t, plan)
		h := generic.NewHook(d, secret)
		send(h, open, "")
		const note = `{"action":"note","service":"shop","text":"a job ran"}`
		told := 0
		expect := func(what string, r *http.Request, status, more int) {
			t.Helper()
			if told += more; do(h, r).Code != status || len(d.Told("shop-1")) != told {
				t.Errorf("%s: told %d times, want %d, and status %d", what, len(d.Told("shop-1")), told, status)
			}
		}
		sign := func() string { return generic.Sign(secret, time.Now(), []byte(note)) }
		first := sign()
		expect("new", request(note, first, ""), 200, 1)
		expect("again", request(note, first, ""), 200, 0)
		expect("overheard, and given a name", request(note, first, "mine"), 401, 0)
		time.Sleep(time.Second)
		second := sign()
		expect("signed anew", request(note, second, ""), 200, 1)
		time.Sleep(time.Second)
		expect("named", request(note, sign(), "job-7"), 200, 1)
		expect("overheard, and given another name", request(note, sign(), "job-8"), 401, 0)
		time.Sleep(time.Second)
		expect("named, and signed anew", request(note, sign(), "job-7"), 200, 0)
		time.Sleep(time.Second)
		expect("of another name", request(note, sign(), "job-8"), 200, 1)
		other := `{"action":"rollback","service":"shop"}`
		expect("another message under a name that was used", request(other, generic.Sign(secret, time.Now(), []byte(other)), "job-8"), 200, 1)
		expect("which comes again", request(other, generic.Sign(secret, time.Now(), []byte(other)), "job-8"), 200, 0)
		time.Sleep(generic.Tolerance - 3*time.Second)
		expect("replayed as late as can be", request(note, second, "late"), 401, 0)
		time.Sleep(2*time.Second + time.Millisecond)
		expect("replayed too late", request(note, second, "late"), 401, 0)
		expect("of a name that is too long", request(note, sign(), strings.Repeat("x", 201)), 400, 0)
	})
}

func TestAway(t *testing.T) {
	d := plugintest.NewDesk(t, plan)
	d.Away(errors.New("no database at 10.0.0.7"))
	h := generic.NewHook(d, secret)
	for _, body := range []string{open, `{"action":"rollback","service":"shop"}`, `{"action":"hold","rollout":"shop-1"}`} {
		if w := send(h, body, ""); w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "10.0.0.7") {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	d.Away(nil)
	if w := send(h, open, ""); w.Code != 202 {
		t.Errorf("back again: %d %s", w.Code, w.Body)
	}
}

func TestPlace(t *testing.T) {
	h := generic.NewHook(plugintest.NewDesk(t, plan), secret)
	if w := do(h, httptest.NewRequest("GET", "/", nil)); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d", w.Code)
	}
	if w := do(h, httptest.NewRequest("POST", "/other", nil)); w.Code != 404 {
		t.Errorf("/other: %d", w.Code)
	}
	r := request(open, generic.Sign(secret, time.Now(), []byte(open)), "")
	r.URL.Path = "/v1/hooks/generic"
	if w := do(http.StripPrefix("/v1/hooks/generic", h), r); w.Code != 202 {
		t.Errorf("without a slash at the end: %d %s", w.Code, w.Body)
	}
}

// FuzzHook: whatever comes, golive does not panic, and asks the desk for nothing that is not signed.
func FuzzHook(f *testing.F) {
	f.Add([]byte(open), "", "job-7", true)
	f.Add([]byte(`{"action":"extend","rollout":"shop-1","for":"10m"}`), "", "", true)
	f.Add([]byte(open), "t=1767225600,v1="+strings.Repeat("00", 32), "", false)
	f.Fuzz(func(t *testing.T, body []byte, signature, delivery string, sign bool) {
		d := plugintest.NewDesk(t, plan)
		if sign {
			signature = generic.Sign(secret, time.Now(), body)
		}
		w := do(generic.NewHook(d, secret), request(string(body), signature, delivery))
		switch {
		case !sign && w.Code != 401:
			t.Errorf("%s is no signature: %d %s", signature, w.Code, w.Body)
		case w.Code == 401 && d.Asked() > 0, w.Code < 300 && d.Asked() == 0:
			t.Errorf("%d, and the desk was asked %d times", w.Code, d.Asked())
		case w.Code >= 500, w.Code > 202 && w.Code < 400, !json.Valid(w.Body.Bytes()), w.Body.Len() > 2000:
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
