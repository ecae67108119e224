package shoutrrr

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

const secret = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"

// A world is all of the internet: whatever name is asked for, over TLS, it is this server that answers. The library asks
// through http.DefaultTransport, which the world takes the place of.
type world struct {
	mu     sync.Mutex
	status int
	answer string
	asked  []asked
	wait   chan struct{} // nil: it answers at once
}

type asked struct {
	host, path, body string
}

func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	w.asked = append(w.asked, asked{r.Host, r.URL.Path, string(body)})
	status, answer, wait := w.status, w.answer, w.wait
	w.mu.Unlock()
	if wait != nil {
		<-wait
	}
	out.Header().Set("Content-Type", "application/json")
	out.WriteHeader(status)
	_, _ = io.WriteString(out, answer)
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

func newWorld(t *testing.T, status int, answer string) *world {
	t.Helper()
	w := &world{status: status, answer: answer}
	s := httptest.NewTLSServer(w)
	before := http.DefaultTransport
	mine := before.(*http.Transport).Clone()
	mine.Proxy = nil
	mine.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the server has the names of all
	mine.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
	}
	http.DefaultTransport = mine
	t.Cleanup(func() {
		http.DefaultTransport = before
		mine.CloseIdleConnections()
		s.Close()
	})
	return w
}

var bad = guard.Notice{
	Key: "r1/7", Release: guard.Release{ID: "r1", Service: "shop"}, Urgent: true, Title: "v2 was\ntaken back", Text: "服务异常\nerrors are worse\n",
	Reply: "https://golive.test/ack?t=1", At: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC),
	To: []guard.Recipient{{Name: "Ada Obi", Role: "commander"}},
}

// TestServices holds what each service is asked to what it documents.
func TestServices(t *testing.T) {
	for name, c := range map[string]struct {
		url, answer, host, path string
		status                  int
		says                    []string
	}{
		"slack": {
			"slack://hook:TAAAAAAAA-BBBBBBBBB-123456789123456789123456@webhook", "ok", "hooks.slack.com", "/services/TAAAAAAAA/BBBBBBBBB/123456789123456789123456", 200,
			[]string{`"text":"URGENT: v2 was taken back"`, "服务异常", "errors are worse", "golive r1/7", "https://golive.test/ack?t=1", "@Ada Obi"},
		},
		"discord": {
			"discord://" + secret + "@1234567890", "", "discord.com", "/api/webhooks/1234567890/" + secret, 204,
			[]string{"URGENT: v2 was taken back", "服务异常", "golive r1/7"},
		},
		"teams": {
			"teams://11111111-4444-4444-8444-cccccccccccc@22222222-4444-4444-8444-cccccccccccc/33333333012222222222333333333344/44444444-4444-4444-8444-cccccccccccc/V2ESyij_gAljSoUQHvZoZYzlpAoAXExyOl26dlf1xHEx05?host=shop.webhook.office.com",
			"1", "shop.webhook.office.com", "/webhookb2/11111111-4444-4444-8444-cccccccccccc@22222222-4444-4444-8444-cccccccccccc/IncomingWebhook/33333333012222222222333333333344/44444444-4444-4444-8444-cccccccccccc/V2ESyij_gAljSoUQHvZoZYzlpAoAXExyOl26dlf1xHEx05", 200,
			[]string{"URGENT: v2 was taken back", "服务异常", "golive r1/7"},
		},
		"generic": {
			"generic://hooks.shop.test/in/" + secret + "?template=json", "", "hooks.shop.test", "/in/" + secret, 200,
			[]string{`"title":"URGENT: v2 was taken back"`, "服务异常", "golive r1/7"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.status, c.answer)
			n := plugintest.Make(t, NewNotifier, guard.With{"url": c.url})
			if _, err := n.Notify(t.Context(), bad); err != nil {
				t.Fatal(err)
			}
			if w.count() != 1 {
				t.Fatalf("%d requests", w.count())
			}
			got := w.asked[0]
			if got.host != c.host || got.path != c.path {
				t.Errorf("asked %s%s, want %s%s", got.host, got.path, c.host, c.path)
			}
			var any any
			if err := json.Unmarshal([]byte(got.body), &any); err != nil {
				t.Errorf("%v: %s", err, got.body)
			}
			for _, text := range c.says {
				if !strings.Contains(got.body, text) && !strings.Contains(got.body, strings.ReplaceAll(text, "&", `\u0026`)) {
					t.Errorf("it does not say %s: %s", text, got.body)
				}
			}
			// Whatever it answers, and if nobody answers at all, what opens the door is told to nobody.
			w.mu.Lock()
			w.status, w.answer = 403, `{"ok":false,"description":"no door at `+c.path+`"}`
			w.mu.Unlock()
			_, refused := n.Notify(t.Context(), bad)
			http.DefaultTransport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
				return nil, errors.New("the network is down")
			}
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			_, away := n.Notify(t.Context(), bad)
			for _, err := range []error{refused, away} {
				if err == nil {
					t.Error("a notice that was not taken has no error")
					continue
				}
				for _, part := range []string{secret, "123456789123456789123456", "33333333012222222222333333333344", c.path} {
					if strings.Contains(err.Error(), part) {
						t.Errorf("the error tells %s: %v", part, err)
					}
				}
			}
		})
	}
}

// TestInert: what others wrote calls nobody, and is no link under another name; where a service reads no marks it stays as it is.
func TestInert(t *testing.T) {
	hostile := bad
	hostile.Title = "errors <!channel> @everyone"
	hostile.Text = "see <http://evil.test|click to ack> and [ack](http://evil.test) & [ack][1]\n[1]: http://evil.test\n@here <@U1> <a href='http://evil.test'>"
	for _, name := range taken {
		n := &Notifier{name: name}
		text, params := n.write(hostile)
		all := (*params)["title"] + "\n" + text
		for _, mark := range []string{"<!channel>", "@everyone", "<http://evil.test|", "](http", "][1]", "]: http", "@here", "<@U1>", "<a href"} {
			if slices.Contains(marked, name) == strings.Contains(all, mark) {
				t.Errorf("%s: %q in %q", name, mark, all)
			}
		}
		if !strings.Contains(text, "https://golive.test/ack?t=1") || !strings.Contains(text, "@Ada Obi") {
			t.Errorf("%s: what golive says itself is not as it was: %q", name, text)
		}
		if name == "slack" && (strings.ContainsAny(text, "<>") || !strings.Contains(text, " &amp; ")) {
			t.Errorf("%s reads marks in %q", name, text)
		}
	}
}

func TestContract(t *testing.T) {
	w := newWorld(t, 200, "")
	plugintest.Notifier(t, plugintest.Make(t, NewNotifier, guard.With{"url": "generic://hooks.shop.test/in"}), w.count)
}

// TestGivenUp: a call that is given up ends at once, the next one waits for it, and then is made.
func TestGivenUp(t *testing.T) {
	w := newWorld(t, 200, "")
	w.wait = make(chan struct{})
	n := plugintest.Make(t, NewNotifier, guard.With{"url": "generic://hooks.shop.test/in", "timeout": "100ms"})
	if _, err := n.Notify(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "no answer within 100ms") {
		t.Errorf("a service that does not answer: %v", err)
	}
	if _, err := n.Notify(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "an earlier message is still under way") {
		t.Errorf("the next one: %v", err)
	}
	if got := w.count(); got != 1 {
		t.Errorf("%d calls at once", got)
	}
	close(w.wait)
	patient := n.(*Notifier)
	patient.timeout = time.Minute
	if _, err := n.Notify(t.Context(), bad); err != nil {
		t.Errorf("once it answers: %v", err)
	}
}

// TestLong: a text is cut for the service, between characters, and the key stays.
func TestLong(t *testing.T) {
	w := newWorld(t, 200, `{"ok":true,"result":{}}`)
	n := plugintest.Make(t, NewNotifier, guard.With{"url": "googlechat://chat.googleapis.com/v1/spaces/FOO/messages?key=" + secret + "&token=" + secret})
	long := bad
	long.Text = strings.Repeat("影响", 5000)
	if _, err := n.Notify(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	if body := w.asked[0].body; len(body) > 4500 || !utf8.ValidString(body) || !strings.Contains(body, "golive r1/7") {
		t.Errorf("%d bytes: %s", len(body), body)
	}
}

func TestWrong(t *testing.T) {
	for name, c := range map[string]struct {
		with guard.With
		want string
	}{
		"no address":   {guard.With{}, "url: missing"},
		"no URL":       {guard.With{"url": secret}, "url: "},
		"another":      {guard.With{"url": "icq://" + secret + "@host"}, "url: the service icq is not taken (there are discord, "},
		"a logger":     {guard.With{"url": "logger://"}, "url: logger is not taken (use: stdout)"},
		"mail":         {guard.With{"url": "smtp://u:" + secret + "@mail/?from=a@b.test"}, "url: smtp is not taken (use: email)"},
		"WeCom":        {guard.With{"url": "wecom://" + secret}, "use: chat, with {service: wecom}"},
		"Telegram":     {guard.With{"url": "telegram://1:" + secret + "@telegram?chats=@shop"}, "use: chat, with {service: telegram}"},
		"Matrix":       {guard.With{"url": "matrix://user:" + secret + "@mx.test"}, "url: the service matrix is not taken"},
		"a half one":   {guard.With{"url": "slack://" + secret}, "url: "},
		"no time":      {guard.With{"url": "generic://a.test", "timeout": "0s"}, "timeout: must be longer"},
		"unknown key":  {guard.With{"urll": "x"}, "urll"},
		"unknown prop": {guard.With{"url": "slack://hook:TAAAAAAAA-BBBBBBBBB-123456789123456789123456@webhook?wat=1"}, "url: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewNotifier(c.with)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("NewNotifier: %v, want %s", err, c.want)
			}
			for _, part := range []string{secret, "123456789123456789123456"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("the error tells %s: %v", part, err)
				}
			}
		})
	}
}

// TestLoud: every service that is taken says when a server refuses a message, and when there is no server; else a notice
// would be lost without anybody knowing.
func TestLoud(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"ok":true,"success":true}`)
	}))
	defer refusing.Close()
	nobody := fmt.Sprintf("127.0.0.1:%d", plugintest.Port(t))
	there := strings.TrimPrefix(refusing.URL, "http://")
	addresses := map[string]string{
		"discord":    "discord://" + secret + "@1234567890",
		"generic":    "generic://hooks.shop.test/in",
		"googlechat": "googlechat://chat.googleapis.com/v1/spaces/FOO/messages?key=barbarbarbar&token=bazbazbazbaz",
		"gotify":     "gotify://HOST/Aaa.bbb.ccc.ddd?disabletls=yes",
		"ifttt":      "ifttt://webhookid0123/?events=event1",
		"join":       "join://shoutrrr:apikey012345@join/?devices=device1",
		"mattermost": "mattermost://HOST/token0123456789?disabletls=yes",
		"notifiarr":  "notifiarr://apikey0123456789?channel=123456789",
		"ntfy":       "ntfy://HOST/topic0123456?scheme=http",
		"opsgenie":   "opsgenie://api.opsgenie.com/apikey0123456789",
		"pagerduty":  "pagerduty://events.pagerduty.com/eb243592faa24ba2a5511afdf565c889",
		"pushover":   "pushover://shoutrrr:apitoken01234@userkey01234/?devices=d1",
		"rocketchat": "rocketchat://user@rc.shop.test/tokenA0123456/tokenB0123456/channel",
		"signal":     "signal://signal.shop.test:443/+1234567890/+0987654321",
		"slack":      "slack://hook:TAAAAAAAA-BBBBBBBBB-123456789123456789123456@webhook",
		"teams": "teams://11111111-4444-4444-8444-cccccccccccc@22222222-4444-4444-8444-cccccccccccc/33333333012222222222333333333344/" +
			"44444444-4444-4444-8444-cccccccccccc/V2ESyij_gAljSoUQHvZoZYzlpAoAXExyOl26dlf1xHEx05?host=shop.webhook.office.com",
		"zulip": "zulip://bot%40zulip.shop.test:botkey0123456@zulip.shop.test?stream=foo&topic=bar",
	}
	for _, name := range taken {
		t.Run(name, func(t *testing.T) {
			if addresses[name] == "" {
				t.Fatal("there is no address to try it with")
			}
			w := newWorld(t, http.StatusForbidden, `{"ok":true,"success":true}`)
			n := plugintest.Make(t, NewNotifier, guard.With{"url": strings.ReplaceAll(addresses[name], "HOST", there)})
			if _, err := n.Notify(t.Context(), bad); err == nil {
				t.Error("it has no error, and was refused")
			}
			if strings.Contains(addresses[name], "HOST") == (w.count() > 0) {
				t.Errorf("the server that refuses was asked %d times", w.count())
			}
			http.DefaultTransport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
				return nil, errors.New("the network is down")
			}
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			away := plugintest.Make(t, NewNotifier, guard.With{"url": strings.ReplaceAll(addresses[name], "HOST", nobody)})
			if _, err := away.Notify(t.Context(), bad); err == nil {
				t.Error("it has no error, and nobody was there")
			}
		})
	}
}
