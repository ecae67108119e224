// Package chat makes a notifier for the group robots of Feishu (Lark), WeCom, DingTalk and Telegram. Others are spoken to by
// the plugin golive-plugin-chat.
//
// The first three answer status 200 to a message that they did not take, and say so in the body; only what they say there counts.
package chat

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

const answerBytes = 64 << 10 // of an answer to a message

// A dialect is how a service wants to be spoken to.
type dialect struct {
	host    string // that the address of a robot begins with
	longest int    // bytes of a text that it takes
	signs   bool   // its robots can have a secret to sign with
	chats   bool   // its robots are in several chats
	// body is the message, and may change the address that it is posted to.
	body func(m message, secret string, now time.Time, to *url.URL) any
}

// A message is a notice as it is written to a group.
type message struct {
	title, text, link string
	chat              string   // where to, for a service whose robots have several
	people            []string // the IDs of those who are called by name
	everyone          bool
}

// dialects are the services that are known.
var dialects = map[string]dialect{
	"feishu":   {host: "https://open.feishu.cn/open-apis/bot/v2/hook/...", longest: 18_000, signs: true, body: feishu},
	"lark":     {host: "https://open.larksuite.com/open-apis/bot/v2/hook/...", longest: 18_000, signs: true, body: feishu},
	"wecom":    {host: "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=...", longest: 2048, body: wecom},
	"dingtalk": {host: "https://oapi.dingtalk.com/robot/send?access_token=...", longest: 18_000, signs: true, body: dingtalk},
	"telegram": {host: "https://api.telegram.org/bot.../sendMessage", longest: 4000, chats: true, body: telegram},
}

// feishu writes a post, whose signature is the digest of nothing by the time and the secret.
func feishu(m message, secret string, now time.Time, _ *url.URL) any {
	type item map[string]string
	content := [][]item{{{"tag": "text", "text": m.text}}}
	if m.link != "" {
		content = append(content, []item{{"tag": "a", "text": m.link, "href": m.link}})
	}
	var called []item
	for _, id := range m.people {
		called = append(called, item{"tag": "at", "user_id": id})
	}
	if m.everyone {
		called = append(called, item{"tag": "at", "user_id": "all"})
	}
	if len(called) > 0 {
		content = append(content, called)
	}
	body := map[string]any{
		"msg_type": "post",
		"content":  map[string]any{"post": map[string]any{"zh_cn": map[string]any{"title": m.title, "content": content}}},
	}
	if secret != "" {
		at := strconv.FormatInt(now.Unix(), 10)
		body["timestamp"], body["sign"] = at, sign(at+"\n"+secret, "")
	}
	return body
}

// wecom writes a text, since nobody can be called in its markdown.
func wecom(m message, _ string, _ time.Time, _ *url.URL) any {
	called := m.people
	if m.everyone {
		called = append(called, "@all")
	}
	text := map[string]any{"content": m.whole()}
	if len(called) > 0 {
		text["mentioned_list"] = called
	}
	return map[string]any{"msgtype": "text", "text": text}
}

// dingtalk writes a text, and signs the time by the secret in the address.
func dingtalk(m message, secret string, now time.Time, to *url.URL) any {
	if secret != "" {
		at := strconv.FormatInt(now.UnixMilli(), 10)
		query := to.Query()
		query.Set("timestamp", at)
		query.Set("sign", sign(secret, at+"\n"+secret))
		to.RawQuery = query.Encode()
	}
	return map[string]any{
		"msgtype": "text", "text": map[string]string{"content": m.whole()},
		"at": map[string]any{"atUserIds": append([]string{}, m.people...), "isAtAll": m.everyone},
	}
}

// telegram writes a text without marks, in which nothing has a meaning of its own.
func telegram(m message, _ string, _ time.Time, _ *url.URL) any {
	return map[string]any{"chat_id": m.chat, "text": m.whole(), "link_preview_options": map[string]bool{"is_disabled": true}}
}

func sign(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// whole is the message for a service that knows neither titles nor links.
func (m message) whole() string {
	text := m.title + "\n" + m.text
	if m.link != "" {
		text += "\n" + m.link
	}
	return text
}

// Notifier posts to the robot of one group.
type Notifier struct {
	service  string
	dialect  dialect
	url      *url.URL
	secret   string
	chat     string
	everyone bool
	timeout  time.Duration
	client   *http.Client
}

var _ guard.Notifier = (*Notifier)(nil)

// NewNotifier reads {service, url, secret, chat, everyone, timeout, headers} and the client settings of a Prometheus
// configuration. The service is feishu, lark, wecom, dingtalk or telegram; the url is the webhook of a robot, and the secret
// the one that it checks signatures by, which WeCom and Telegram have none of; Telegram wants a chat, such as "@shop". A recipient whose reach has an ID under the name of the service is
// called by it; all of a group are called in urgent notices if everyone says so. A robot that wants a keyword in every
// message is content with "golive".
func NewNotifier(with guard.With) (guard.Notifier, error) {
	settings := struct {
		Service  string `json:"service"`
		URL      string `json:"url"`
		Secret   string `json:"secret"`
		Chat     string `json:"chat"`
		Everyone bool   `json:"everyone"`
		client.Settings
	}{Settings: client.Defaults()}
	err := errors.Join(with.Decode(&settings), settings.Check())
	d, known := dialects[settings.Service]
	if !known {
		return nil, errors.Join(err, fmt.Errorf("service: %q is not known (feishu, lark, wecom, dingtalk or telegram; golive-plugin-chat has others)", settings.Service))
	}
	n := &Notifier{service: settings.Service, dialect: d, secret: settings.Secret, chat: settings.Chat, everyone: settings.Everyone, timeout: settings.Timeout.Std()}
	if settings.URL == "" {
		err = errors.Join(err, fmt.Errorf("url: missing (the webhook of the robot, like %s)", d.host))
	} else if parsed, mistake := client.ParseURL(settings.URL); mistake != nil {
		err = errors.Join(err, fmt.Errorf("url: %w", mistake))
	} else {
		n.url = parsed
	}
	if n.secret != "" && !d.signs {
		err = errors.Join(err, fmt.Errorf("secret: robots of %s check no signatures (remove it)", n.service))
	}
	if d.chats != (n.chat != "") {
		err = errors.Join(err, errors.New("chat: where telegram sends to, like @shop, and nothing for any other service"))
	}
	if err != nil {
		return nil, err
	}
	n.client, err = settings.Client()
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Notify posts to the group. Those who can be called by an ID count as handed the notice, as everybody in the group sees
// it. A repeat is posted again, with the same key in its last line.
func (n *Notifier) Notify(ctx context.Context, notice guard.Notice) (guard.Receipt, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, n.timeout, fmt.Errorf("no answer within %v", n.timeout))
	defer cancel()
	m := message{title: notice.Headline(), link: guard.Line(notice.Reply, 2000), chat: n.chat, everyone: n.everyone && notice.Urgent}
	var handed []guard.Handed
	var names []string
	for _, r := range notice.To {
		names = append(names, guard.Line(r.Name, 80))
		for _, reach := range r.Reach {
			if id := reach[n.service]; id != "" {
				m.people = append(m.people, id)
				handed = append(handed, guard.Handed{Name: r.Name, Role: r.Role, Way: n.service})
				break
			}
		}
	}
	tail := "golive " + guard.Line(notice.Key, 200)
	if len(names) > 0 {
		tail = "@" + guard.Shorten(strings.Join(names, " @"), 300) + "\n" + tail
	}
	room := n.dialect.longest - len(m.title) - len(m.link) - len(tail) - len("\n\n\n")
	m.text = guard.Shorten(strings.TrimRight(guard.Printable(notice.Text), "\n"), max(0, room)) + "\n" + tail
	if err := n.post(ctx, m); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return guard.Receipt{}, fmt.Errorf("post to %s (%s): %w", n.service, n.url.Host, err)
	}
	return guard.Receipt{Detail: n.url.Host + " took it", Handed: handed}, nil
}

func (n *Notifier) post(ctx context.Context, m message) error {
	to := *n.url
	body, err := json.Marshal(n.dialect.body(m, n.secret, time.Now(), &to))
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("its address cannot be read")
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	response, err := client.Do(n.client, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := client.ReadAll(response.Body, answerBytes)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("it answers status %d: %s", response.StatusCode, n.discreet(string(text)))
	}
	// Each service names its verdict otherwise; Feishu has an old and a new name.
	var answer struct {
		Code    *int   `json:"code"`
		Msg     string `json:"msg"`
		ErrCode *int   `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
		Status  *int   `json:"StatusCode"`
		OK      *bool  `json:"ok"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("it answers what no such service does: %s", n.discreet(string(text)))
	}
	said := n.dialect.chats && answer.OK != nil
	if said && !*answer.OK {
		return fmt.Errorf("it did not take the message: %s", n.discreet(string(text)))
	}
	for _, code := range []*int{answer.Code, answer.ErrCode, answer.Status} {
		if code == nil {
			continue
		}
		if said = true; *code != 0 {
			return fmt.Errorf("it did not take the message, code %d: %s", *code, n.discreet(answer.Msg+answer.ErrMsg))
		}
	}
	if !said {
		return fmt.Errorf("it does not say whether it took the message: %s", n.discreet(string(text)))
	}
	return nil
}

// discreet is what the service says, without what opens the group, should it say that back.
func (n *Notifier) discreet(text string) string {
	secrets := []string{n.secret, n.url.Path, n.url.RawQuery}
	secrets = append(secrets, strings.Split(n.url.Path, "/")...)
	for _, values := range n.url.Query() {
		secrets = append(secrets, values...)
	}
	for _, secret := range secrets {
		if len(secret) >= 8 {
			text = strings.ReplaceAll(text, secret, "...")
		}
	}
	return guard.Line(text, 200)
}
