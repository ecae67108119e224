package chat

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

const (
	token  = "0123456789abcdef-token" // in the address of a robot
	secret = "SEC0123456789abcdef"    // to sign with
)

// A robot keeps what is posted to it, and answers as the services do.
type robot struct {
	*httptest.Server
	status int
	answer string
	bodies []string
	query  url.Values
}

func newRobot(t *testing.T, answer string) *robot {
	t.Helper()
	r := &robot{status: http.StatusOK, answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil || request.Method != http.MethodPost || !strings.HasPrefix(request.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s %s, error %v", request.Method, request.Header.Get("Content-Type"), err)
		}
		r.bodies, r.query = append(r.bodies, string(body)), request.URL.Query()
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, r.answer)
	}))
	t.Cleanup(r.Close)
	return r
}

// set is a set-up for a robot, with more in it.
func (r *robot) set(service string, more guard.With) guard.With {
	with := guard.With{"service": service, "url": r.URL + "/hook/" + token + "?access_token=" + token}
	if dialects[service].chats {
		with["chat"] = "@shop"
	}
	maps.Copy(with, more)
	return with
}

var bad = guard.Notice{
	Key: "r1/7", Release: guard.Release{ID: "r1", Service: "shop"}, Urgent: true, Title: "【shop】服务异常\n通报", Text: "影响范围:部分用户\x1b[2J\n",
	Reply: "https://golive.test/ack?t=1", At: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC),
	To: []guard.Recipient{
		{Name: "Ada Obi", Role: "commander", Reach: []guard.Reach{{"email": "ada@shop.test"}, {"feishu": "ou_ada", "wecom": "ada.w", "dingtalk": "ada.d"}}},
		{Name: "Luis Vega", Role: "scribe", Reach: []guard.Reach{{"phone": "1"}}},
	},
}

const words = "影响范围:部分用户?[2J\n@Ada Obi @Luis Vega\ngolive r1/7"

// TestShape holds what is posted to what each service documents.
func TestShape(t *testing.T) {
	const title = "URGENT: 【shop】服务异常 通报"
	for service, c := range map[string]struct{ answer, want string }{
		"feishu": {`{"code":0,"msg":"success","StatusCode":0}`, `{"msg_type":"post","content":{"post":{"zh_cn":{"title":"` + title + `","content":[
			[{"tag":"text","text":"` + words + `"}],
			[{"tag":"a","text":"https://golive.test/ack?t=1","href":"https://golive.test/ack?t=1"}],
			[{"tag":"at","user_id":"ou_ada"},{"tag":"at","user_id":"all"}]]}}}}`},
		"wecom": {`{"errcode":0,"errmsg":"ok"}`, `{"msgtype":"text","text":{"content":"` + title + "\n" + words + "\n" + `https://golive.test/ack?t=1",
			"mentioned_list":["ada.w","@all"]}}`},
		"dingtalk": {`{"errcode":0,"errmsg":"ok"}`, `{"msgtype":"text","text":{"content":"` + title + "\n" + words + "\n" + `https://golive.test/ack?t=1"},
			"at":{"atUserIds":["ada.d"],"isAtAll":true}}`},
		"telegram": {`{"ok":true,"result":{}}`, `{"chat_id":"@shop","text":"` + title + "\n" + words + "\n" + `https://golive.test/ack?t=1","link_preview_options":{"is_disabled":true}}`},
	} {
		t.Run(service, func(t *testing.T) {
			r := newRobot(t, c.answer)
			n := plugintest.Make(t, NewNotifier, r.set(service, guard.With{"everyone": true}))
			receipt, err := n.Notify(t.Context(), bad)
			if err != nil {
				t.Fatal(err)
			}
			want := []guard.Handed{{Name: "Ada Obi", Role: "commander", Way: service}}
			if service == "telegram" { // by whose name there nobody is called
				want = nil
			}
			if diff := cmp.Diff(want, receipt.Handed); diff != "" {
				t.Errorf("Handed (-want +got):\n%s", diff)
			}
			var got, posted any
			text := strings.NewReplacer("用户?[2J\n", `用户?[2J\n`, "Vega\n", `Vega\n`, "通报\n", `通报\n`, "r1/7\n", `r1/7\n`).Replace(c.want)
			if err := json.Unmarshal([]byte(text), &posted); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(r.bodies[0]), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(posted, got); diff != "" {
				t.Errorf("posted (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSigned: the signatures are those that Feishu and DingTalk describe, which are not the same.
func TestSigned(t *testing.T) {
	mac := func(key, text string) string {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(text))
		return base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	feishu := newRobot(t, `{"code":0}`)
	if _, err := plugintest.Make(t, NewNotifier, feishu.set("feishu", guard.With{"secret": secret})).Notify(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	var body struct{ Timestamp, Sign string }
	if err := json.Unmarshal([]byte(feishu.bodies[0]), &body); err != nil {
		t.Fatal(err)
	}
	if len(body.Timestamp) != len("1790000000") || body.Sign != mac(body.Timestamp+"\n"+secret, "") {
		t.Errorf("Feishu: timestamp %s, sign %s", body.Timestamp, body.Sign)
	}
	ding := newRobot(t, `{"errcode":0}`)
	if _, err := plugintest.Make(t, NewNotifier, ding.set("dingtalk", guard.With{"secret": secret})).Notify(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	at := ding.query.Get("timestamp")
	if len(at) != len("1790000000000") || ding.query.Get("sign") != mac(secret, at+"\n"+secret) || ding.query.Get("access_token") != token {
		t.Errorf("DingTalk: %v", ding.query)
	}
}

// TestNotTaken: only a service that says so has taken a message, and no error tells what opens the group.
func TestNotTaken(t *testing.T) {
	for name, c := range map[string]struct {
		service string
		status  int
		answer  string
		want    string
	}{
		"WeCom, 200":     {"wecom", 200, `{"errcode":93000,"errmsg":"invalid webhook url ` + token + `"}`, "code 93000: invalid webhook url ..."},
		"DingTalk, 200":  {"dingtalk", 200, `{"errcode":310000,"errmsg":"sign not match ` + secret + `"}`, "code 310000: sign not match ..."},
		"Feishu, 200":    {"feishu", 200, `{"code":19021,"msg":"sign match fail"}`, "code 19021: sign match fail"},
		"Feishu of old":  {"feishu", 200, `{"StatusCode":9499,"StatusMessage":"Bad Request"}`, "code 9499"},
		"a proxy, 200":   {"lark", 200, `<html>log in</html>`, "what no such service does: <html>"},
		"no verdict":     {"wecom", 200, `{"ok":true}`, "does not say whether it took the message"},
		"nothing":        {"wecom", 200, ``, "what no such service does"},
		"Telegram":       {"telegram", 400, `{"ok":false,"error_code":400,"description":"chat not found"}`, "chat not found"},
		"Telegram, 200":  {"telegram", 200, `{"ok":false,"description":"chat not found"}`, "did not take the message: "},
		"a server error": {"wecom", 500, `down`, "status 500: down"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRobot(t, c.answer)
			r.status = c.status
			more := guard.With{}
			if dialects[c.service].signs {
				more["secret"] = secret
			}
			_, err := plugintest.Make(t, NewNotifier, r.set(c.service, more)).Notify(t.Context(), bad)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Notify: %v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
	r := newRobot(t, "")
	set := r.set("wecom", nil)
	r.Close()
	if _, err := plugintest.Make(t, NewNotifier, set).Notify(t.Context(), bad); err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("nobody is there: %v", err)
	}
}

// TestLong: what a service has no room for is cut between characters, and the key stays.
func TestLong(t *testing.T) {
	r := newRobot(t, `{"errcode":0}`)
	long := bad
	long.Text = strings.Repeat("影响", 2000)
	if _, err := plugintest.Make(t, NewNotifier, r.set("wecom", nil)).Notify(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	var body struct{ Text struct{ Content string } }
	if err := json.Unmarshal([]byte(r.bodies[0]), &body); err != nil {
		t.Fatal(err)
	}
	got := body.Text.Content
	if len(got) > 2048 || len(got) < 1900 || !utf8.ValidString(got) || !strings.Contains(got, "golive r1/7") || !strings.Contains(got, "…") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

func TestContract(t *testing.T) {
	for service := range dialects {
		t.Run(service, func(t *testing.T) {
			r := newRobot(t, `{"code":0,"errcode":0,"ok":true}`)
			plugintest.Notifier(t, plugintest.Make(t, NewNotifier, r.set(service, nil)), func() int { return len(r.bodies) })
		})
	}
}

func TestWrong(t *testing.T) {
	good := guard.With{"service": "wecom", "url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=" + token}
	if _, err := NewNotifier(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		with guard.With
		want string
	}{
		"no service":  {guard.With{"service": ""}, `service: "" is not known`},
		"another one": {guard.With{"service": "slack"}, "golive-plugin-chat has others"},
		"no address":  {guard.With{"url": ""}, "url: missing"},
		"no URL":      {guard.With{"url": token}, "url: must begin with http"},
		"a secret":    {guard.With{"secret": secret}, "secret: robots of wecom check no signatures"},
		"no chat":     {guard.With{"service": "telegram"}, "chat: where telegram sends to"},
		"a chat":      {guard.With{"chat": "@shop"}, "chat: where telegram sends to"},
		"no time":     {guard.With{"timeout": "0s"}, "timeout: must be longer"},
		"unknown key": {guard.With{"urll": "x"}, "urll"},
	} {
		t.Run(name, func(t *testing.T) {
			with := maps.Clone(good)
			maps.Copy(with, c.with)
			_, err := NewNotifier(with)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("NewNotifier: %v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}
