// Package shoutrrr makes a notifier for the chats and paging services that the library of that name speaks to, such as
// Slack, Microsoft Teams, Discord and PagerDuty. It is in a plugin, golive-plugin-chat, because the library cannot be called
// off, and has 1.5 MB.
package shoutrrr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/golive-dev/golive/guard"
)

// taken are the services that a test has seen to say when a message has not arrived. Of the others some stay silent then,
// and some read the answer of a server as no other client does.
var taken = []string{
	"discord", "generic", "googlechat", "gotify", "ifttt", "join", "mattermost", "notifiarr", "ntfy", "opsgenie", "pagerduty", "pushover",
	"rocketchat", "signal", "slack", "teams", "zulip",
}

// instead says what is there for services of the library that are not taken.
var instead = map[string]string{
	"logger": "stdout", "smtp": "email", "lark": "chat, with {service: feishu} or {service: lark}", "wecom": "chat, with {service: wecom}",
	"telegram": "chat, with {service: telegram}",
}

// titled are the services that show a title apart from the text.
var titled = []string{"discord", "generic", "gotify", "join", "mattermost", "ntfy", "opsgenie", "pushover", "slack", "teams"}

// marked are the services that read links, mentions and tags out of a text, in their dialects of Markdown.
var marked = []string{"discord", "googlechat", "mattermost", "notifiarr", "rocketchat", "slack", "teams", "zulip"}

// entities are how Slack wants the three characters written that it reads as its own.
var entities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// apart keeps a mention, a tag and a link from being read as one, by a space that nobody sees: the dialects do not agree on
// any character that would take the meaning from the next.
var apart = strings.NewReplacer("@", "@\u200b", "<", "<\u200b", "](", "]\u200b(", "][", "]\u200b[", "]:", "]\u200b:")

// inert is a text that a service shows as it is. An alert, a note or an error that golive quotes was written by others, who could
// call everybody in the room with it, or pass an address of theirs off as that of golive.
func (n *Notifier) inert(text string) string {
	if !slices.Contains(marked, n.name) {
		return text
	}
	if n.name == "slack" {
		text = entities.Replace(text)
	}
	return apart.Replace(text)
}

// longest is how many bytes of text a service takes, title and all; others take ordinary of them.
var longest = map[string]int{"discord": 5000, "generic": 30_000, "pushover": 1000, "slack": 30_000, "teams": 20_000, "opsgenie": 14_000}

const ordinary = 3500

// Notifier sends to one service.
type Notifier struct {
	name    string
	service types.Service
	secrets []string
	timeout time.Duration
	turn    chan struct{} // holds one: whose turn it is to call the library
}

var _ guard.Notifier = (*Notifier)(nil)

// NewNotifier reads {url, timeout}. The url is one of shoutrrr, such as slack://hook:A-B-C@webhook or
// discord://token@webhookid, and is a secret.
func NewNotifier(with guard.With) (guard.Notifier, error) {
	settings := struct {
		URL     string         `json:"url"`
		Timeout guard.Duration `json:"timeout"`
	}{Timeout: guard.Duration(30 * time.Second)}
	if err := with.Decode(&settings); err != nil {
		return nil, err
	}
	if settings.Timeout <= 0 {
		return nil, errors.New("timeout: must be longer than nothing")
	}
	if settings.URL == "" {
		return nil, errors.New("url: missing (one of shoutrrr, like slack://hook:A-B-C@webhook)")
	}
	r, err := router.New(log.New(io.Discard, "", 0)) // what the library logs holds the message, and may hold secrets
	if err != nil {
		return nil, err
	}
	name, address, err := r.ExtractServiceName(settings.URL)
	if err != nil {
		return nil, errors.New("url: cannot be read (must be one of shoutrrr, like slack://hook:A-B-C@webhook)")
	}
	if use := instead[name]; use != "" {
		return nil, fmt.Errorf("url: %s is not taken (use: %s)", name, use)
	}
	if !slices.Contains(taken, name) {
		return nil, fmt.Errorf("url: the service %s is not taken (there are %s)", guard.Line(name, 40), strings.Join(taken, ", "))
	}
	n := &Notifier{name: name, secrets: secrets(address), timeout: settings.Timeout.Std(), turn: make(chan struct{}, 1)}
	if n.service, err = r.Locate(settings.URL); err != nil {
		return nil, fmt.Errorf("url: %s", n.discreet(err))
	}
	return n, nil
}

// secrets are the parts of an address that may open the door, the longest first.
func secrets(address *url.URL) (all []string) {
	parts := []string{address.String(), address.Host, address.Hostname(), address.Path, address.RawQuery}
	if address.User != nil {
		parts = append(parts, address.User.Username(), address.User.String())
		if word, has := address.User.Password(); has {
			parts = append(parts, word)
		}
	}
	for _, values := range address.Query() {
		parts = append(parts, values...)
	}
	for _, part := range parts {
		all = append(all, part)
		all = append(all, strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune("/-:@", r) })...)
	}
	all = slices.DeleteFunc(all, func(part string) bool { return len(part) < 8 })
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// discreet is what went wrong. An error of net/http quotes the address, which is left out, and so is each part of it.
func (n *Notifier) discreet(err error) string {
	text := err.Error()
	var addressed *url.Error
	if errors.As(err, &addressed) {
		text = addressed.Err.Error()
	}
	for _, secret := range n.secrets {
		text = strings.ReplaceAll(text, secret, "...")
	}
	return guard.Line(text, 300)
}

// Notify sends a notice. The library cannot be called off: a call that is given up goes on by itself, and the next one
// waits for it, so that there is never more than one. A repeat is sent again, with the same key in its last line.
func (n *Notifier) Notify(ctx context.Context, notice guard.Notice) (guard.Receipt, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, n.timeout, fmt.Errorf("no answer within %v", n.timeout))
	defer cancel()
	if ctx.Err() != nil {
		return guard.Receipt{}, context.Cause(ctx)
	}
	select {
	case n.turn <- struct{}{}:
	case <-ctx.Done():
		return guard.Receipt{}, fmt.Errorf("send to %s: an earlier message is still under way: %w", n.name, context.Cause(ctx))
	}
	text, params := n.write(notice)
	sent := make(chan error, 1)
	go func() {
		defer func() { <-n.turn }()
		sent <- send(n.service, text, params)
	}()
	select {
	case err := <-sent:
		if err != nil {
			return guard.Receipt{}, fmt.Errorf("send to %s: %s", n.name, n.discreet(err))
		}
		return guard.Receipt{Detail: n.name + " took it"}, nil
	case <-ctx.Done():
		return guard.Receipt{}, fmt.Errorf("send to %s: %w", n.name, context.Cause(ctx))
	}
}

// send has the library send, which panics in places where an address cannot be reached.
func send(service types.Service, text string, params *types.Params) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the library shoutrrr has panicked: %v", p)
		}
	}()
	return service.Send(text, params)
}

// write is the notice as the service takes it.
func (n *Notifier) write(notice guard.Notice) (text string, params *types.Params) {
	title := n.inert(notice.Headline())
	var tail []string
	if notice.Reply != "" {
		tail = append(tail, guard.Line(notice.Reply, 2000))
	}
	var names []string
	for _, r := range notice.To {
		names = append(names, guard.Line(r.Name, 80))
	}
	if len(names) > 0 {
		tail = append(tail, "@"+guard.Shorten(strings.Join(names, " @"), 300))
	}
	end := strings.Join(append(tail, "golive "+guard.Line(notice.Key, 200)), "\n")
	room := longest[n.name]
	if room == 0 {
		room = ordinary
	}
	body := strings.TrimRight(n.inert(guard.Printable(notice.Text)), "\n")
	text = guard.Shorten(body, max(0, room-len(title)-len(end)-2)) + "\n" + end
	if slices.Contains(titled, n.name) {
		return text, &types.Params{types.TitleKey: title}
	}
	return title + "\n" + text, &types.Params{}
}
