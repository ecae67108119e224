package email

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/plugintest"
)

const password = "correct-horse-battery"

// A post is a real SMTP server that keeps what it takes. The local part of a recipient says what becomes of it.
type post struct {
	mu     sync.Mutex
	mails  []received
	wait   chan struct{} // a recipient called slow waits for it
	grey   map[string]bool
	logins int
}

type received struct{ to, raw string }

func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return &visit{post: p}, nil }

type visit struct {
	*post
	to []string
}

func (v *visit) AuthMechanisms() []string { return []string{sasl.Plain} }

func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, secret string) error {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.logins++
		if user != "golive" || secret != password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no such user, or not with " + secret}
		}
		return nil
	}), nil
}

func (v *visit) Mail(string, *smtp.MailOptions) error { return nil }

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	local, _, _ := strings.Cut(to, "@")
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case local == "gone":
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<" + to + ">: user unknown"}
	case local == "grey" && !v.grey[to]:
		v.grey[to] = true
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted, try again later"}
	case local == "slow":
		v.mu.Unlock()
		<-v.wait
		v.mu.Lock()
	}
	v.to = append(v.to, to)
	return nil
}

func (v *visit) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mails = append(v.mails, received{strings.Join(v.to, ","), string(raw)})
	return nil
}

func (v *visit) Reset()        { v.to = nil }
func (v *visit) Logout() error { return nil }

func (p *post) taken() []received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]received(nil), p.mails...)
}

// serve starts a server that is as secret as mode says, and returns the set-up that reaches it.
func serve(t *testing.T, mode string) (*post, guard.With) {
	t.Helper()
	p := &post{wait: make(chan struct{}), grey: make(map[string]bool)}
	s := smtp.NewServer(p)
	s.Domain, s.AllowInsecureAuth = "mail.test", mode == "none"
	s.ErrorLog = quiet{}
	with := guard.With{"from": "golive <golive@shop.test>", "tls": mode, "timeout": "20s"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if mode != "none" {
		var file string
		s.TLSConfig, file = certified(t)
		with["ca"] = file
	}
	if mode == "tls" {
		l = tls.NewListener(l, s.TLSConfig)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		close(p.wait)
		_ = s.Close()
		<-done
	})
	with["server"] = l.Addr().String()
	return p, with
}

// quiet is the log of a server whose clients break off on purpose.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// certified makes a certificate for 127.0.0.1, and a file to trust it by.
func certified(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, file
}

func person(name, address string) guard.Recipient {
	return guard.Recipient{Name: name, Role: "on_duty", Reach: []guard.Reach{{"phone": "+34 1"}, {"email": address}}}
}

func notice(key string, to ...guard.Recipient) guard.Notice {
	return guard.Notice{
		Key: key, Release: guard.Release{ID: "r1", Service: "shop", From: "v1", To: "v2"}, Title: "v2 was taken back", Text: "one\ntwo\n",
		At: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC), To: to,
	}
}

// with is a set-up with more in it, or other things.
func with(base, more guard.With) guard.With {
	all := maps.Clone(base)
	maps.Copy(all, more)
	return all
}

func TestContract(t *testing.T) {
	p, set := serve(t, "none")
	n := plugintest.Make(t, NewNotifier, with(set, guard.With{"to": []any{"team@shop.test"}}))
	plugintest.Notifier(t, n, func() int { return len(p.taken()) })
	if got := len(p.taken()); got != 1 {
		t.Errorf("a repeat with the same key: %d messages arrived, want 1", got)
	}
}

// TestMail: how a message looks, in a thread, to one person each, in any language.
func TestMail(t *testing.T) {
	p, set := serve(t, "starttls")
	n := plugintest.Make(t, NewNotifier, set)
	first := notice("r1/7", person("Ada Obi", "ada@shop.test"), person("Luis Vega", "luis@shop.test"))
	first.Urgent, first.Title, first.Text, first.Reply = true, "服务异常通报\r\nBcc: eve@evil.test", "影响范围:部分用户\n.\n.dot\n", "https://golive.test/ack/1"
	receipt, err := n.Notify(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	want := []guard.Handed{{Name: "Ada Obi", Role: "on_duty", Way: "email"}, {Name: "Luis Vega", Role: "on_duty", Way: "email"}}
	if diff := cmp.Diff(want, receipt.Handed); diff != "" {
		t.Errorf("Handed (-want +got):\n%s", diff)
	}
	second := notice("r1/8", person("Ada Obi", "ada@shop.test"))
	if _, err := n.Notify(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	var mails []*mail.Message
	for i, got := range p.taken() {
		if want := []string{"ada@shop.test", "luis@shop.test", "ada@shop.test"}[i]; got.to != want {
			t.Errorf("message %d went to %s, want %s", i, got.to, want)
		}
		m, err := mail.ReadMessage(strings.NewReader(got.raw))
		if err != nil {
			t.Fatalf("%v in:\n%s", err, got.raw)
		}
		mails = append(mails, m)
	}
	if len(mails) != 3 {
		t.Fatalf("%d messages arrived, want 3", len(mails))
	}
	h := mails[0].Header
	subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil || subject != "URGENT: 服务异常通报 Bcc: eve@evil.test" {
		t.Errorf("Subject = %q, error %v", subject, err)
	}
	for name, want := range map[string]string{
		"Auto-Submitted": "auto-generated", "X-Golive-Key": "r1/7", "Bcc": "", "Cc": "", "To": "<ada@shop.test>",
		"From": `"golive" <golive@shop.test>`, "Date": "Tue, 24 Nov 2026 03:00:00 +0000", "X-Mailer": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	body, err := io.ReadAll(quotedprintable.NewReader(mails[0].Body))
	if want := "影响范围:部分用户\r\n.\r\n.dot\r\n\r\nhttps://golive.test/ack/1\r\n"; err != nil || strings.TrimRight(string(body), "\r\n") != strings.TrimRight(want, "\r\n") {
		t.Errorf("body %q, want %q, error %v", body, want, err)
	}
	thread := h.Get("References")
	ids := map[string]bool{}
	for _, m := range mails {
		ids[m.Header.Get("Message-ID")] = true
		if m.Header.Get("References") != thread || thread == "" || !strings.HasSuffix(thread, "@shop.test>") {
			t.Errorf("References %q, want all in the thread %q", m.Header.Get("References"), thread)
		}
	}
	if len(ids) != 3 {
		t.Errorf("the messages have the IDs %v, want one each", ids)
	}

	// Another process repeats the notice: it arrives again, and is known as the same.
	again := plugintest.Make(t, NewNotifier, set)
	if _, err := again.Notify(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(strings.NewReader(p.taken()[3].raw))
	if err != nil || m.Header.Get("Message-ID") != h.Get("Message-ID") {
		t.Errorf("a repeat is called %q, not %q (error %v)", m.Header.Get("Message-ID"), h.Get("Message-ID"), err)
	}
}

// TestRefused: one recipient whom the server does not take keeps the notice from nobody else, and a repeat tries only
// those who have not got it.
func TestRefused(t *testing.T) {
	p, set := serve(t, "none")
	n := plugintest.Make(t, NewNotifier, set)
	all := notice("r1/1", person("Gone", "gone@shop.test"), person("Grey", "grey@shop.test"), person("Ada", "ada@shop.test"),
		person("Nobody", "not an address"), guard.Recipient{Name: "Phone", Reach: []guard.Reach{{"phone": "1"}}})
	receipt, err := n.Notify(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	problems := func(r guard.Receipt) map[string]string {
		of := map[string]string{}
		for _, h := range r.Handed {
			of[h.Name] = h.Problem
		}
		return of
	}
	first := problems(receipt)
	for name, want := range map[string]string{"Gone": "550", "Grey": "451", "Nobody": "no e-mail address"} {
		if !strings.Contains(first[name], want) {
			t.Errorf("the problem of %s is %q, want one with %s", name, first[name], want)
		}
		if strings.Contains(first[name], "@shop.test") {
			t.Errorf("the problem of %s tells the address: %s", name, first[name])
		}
	}
	if first["Ada"] != "" || len(first) != 4 {
		t.Errorf("Handed = %v", first)
	}
	receipt, err = n.Notify(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	if second := problems(receipt); second["Grey"] != "" || second["Ada"] != "" || second["Gone"] == "" {
		t.Errorf("the second time: %v", second)
	}
	var got []string
	for _, m := range p.taken() {
		got = append(got, m.to)
	}
	if diff := cmp.Diff([]string{"ada@shop.test", "grey@shop.test"}, got); diff != "" {
		t.Errorf("messages went to (-want +got):\n%s", diff)
	}
	if _, err := n.Notify(t.Context(), notice("r1/2", person("Gone", "gone@shop.test"))); err == nil || !strings.Contains(err.Error(), "550") {
		t.Errorf("nobody got it, and the error is %v", err)
	}
	if _, err := n.Notify(t.Context(), notice("r1/3")); err == nil || !strings.Contains(err.Error(), "no recipient has an e-mail address") {
		t.Errorf("nobody is to get it, and the error is %v", err)
	}
}

func TestSecretly(t *testing.T) {
	for _, mode := range []string{"starttls", "tls", "none"} {
		t.Run(mode, func(t *testing.T) {
			p, set := serve(t, mode)
			right := with(set, guard.With{"username": "golive", "password": password})
			n := plugintest.Make(t, NewNotifier, right)
			if _, err := n.Notify(t.Context(), notice("k", person("Ada", "ada@shop.test"))); err != nil {
				t.Fatal(err)
			}
			if p.logins != 1 || len(p.taken()) != 1 {
				t.Errorf("%d logins, %d messages", p.logins, len(p.taken()))
			}
			wrong := plugintest.Make(t, NewNotifier, with(right, guard.With{"password": "not-" + password}))
			receipt, err := wrong.Notify(t.Context(), notice("k", person("Ada", "ada@shop.test")))
			if err == nil || !strings.Contains(err.Error(), "535") {
				t.Fatalf("with a wrong password: %v", err)
			}
			if text := err.Error() + receipt.Handed[0].Problem; strings.Contains(text, password) {
				t.Errorf("the error tells the password: %s", text)
			}
			if mode == "none" {
				return
			}
			delete(right, "ca")
			unknown := plugintest.Make(t, NewNotifier, right)
			if _, err := unknown.Notify(t.Context(), notice("k", person("Ada", "ada@shop.test"))); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("a server that nobody vouches for is trusted: %v", err)
			}
		})
	}
}

// TestNoSecret: a server that cannot keep the message secret does not get it.
func TestNoSecret(t *testing.T) {
	p, set := serve(t, "none")
	n := plugintest.Make(t, NewNotifier, with(set, guard.With{"tls": "starttls"}))
	if _, err := n.Notify(t.Context(), notice("k", person("Ada", "ada@shop.test"))); err == nil || len(p.taken()) > 0 {
		t.Errorf("%d messages went out in the open, error %v", len(p.taken()), err)
	}
}

// TestOnly: a repeat for some goes to them alone, be they of the roster or of the plan, and whoever sent the first.
func TestOnly(t *testing.T) {
	p, set := serve(t, "none")
	set = with(set, guard.With{"to": []any{"team@shop.test", "boss@shop.test"}})
	everybody := notice("k", person("Ada", "ada@shop.test"), person("Luis", "luis@shop.test"))
	everybody.Only = []string{"Luis", "to[1]"}
	receipt, err := plugintest.Make(t, NewNotifier, set).Notify(t.Context(), everybody)
	if err != nil || len(receipt.Handed) != 2 || len(receipt.Missed()) > 0 {
		t.Errorf("%+v, error %v", receipt, err)
	}
	var got []string
	for _, letter := range p.taken() {
		got = append(got, letter.to)
	}
	if want := []string{"luis@shop.test", "boss@shop.test"}; !slices.Equal(got, want) {
		t.Errorf("sent to %q, want %q", got, want)
	}
}

func TestAway(t *testing.T) {
	n := plugintest.Make(t, NewNotifier, guard.With{
		"server": fmt.Sprintf("127.0.0.1:%d", plugintest.Port(t)), "from": "golive@shop.test", "tls": "none", "timeout": "20s",
	})
	receipt, err := n.Notify(t.Context(), notice("k", person("Ada", "ada@shop.test"), person("Luis", "luis@shop.test")))
	if err == nil || !strings.Contains(err.Error(), "refused") || len(receipt.Handed) != 2 || receipt.Handed[1].Problem == "" {
		t.Errorf("a server that is down: %+v, error %v", receipt, err)
	}
}

// TestSlow: a server that does not answer costs no more than the timeout, and no more than the caller has.
func TestSlow(t *testing.T) {
	p, set := serve(t, "none")
	n := plugintest.Make(t, NewNotifier, with(set, guard.With{"timeout": "200ms"}))
	receipt, err := n.Notify(t.Context(), notice("k", person("Slow", "slow@shop.test"), person("Ada", "ada@shop.test")))
	if err != nil || receipt.Handed[0].Problem == "" || receipt.Handed[1].Problem != "" || len(p.taken()) != 1 {
		t.Errorf("one slow recipient: %+v, error %v", receipt, err)
	}
	patient := plugintest.Make(t, NewNotifier, with(set, guard.With{"timeout": "1h"}))
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := make(chan error)
	go func() {
		_, err := patient.Notify(ctx, notice("k", person("Slow", "slow@shop.test")))
		done <- err
	}()
	cancel(errors.New("nobody waits any more"))
	select {
	case err := <-done:
		if err == nil {
			t.Error("a call that was given up has no error")
		}
	case <-time.After(time.Minute):
		t.Error("a call that was given up goes on")
	}
}

func TestWrong(t *testing.T) {
	good := guard.With{"server": "mail.shop.test", "from": "golive@shop.test"}
	if _, err := NewNotifier(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		with guard.With
		want string
	}{
		"no server":       {guard.With{"server": ""}, "server: missing"},
		"a URL":           {guard.With{"server": "smtp://user:pass@mail"}, "server: must be a host"},
		"a bad port":      {guard.With{"server": "mail:smtps"}, "server: \"smtps\" is no port"},
		"no sender":       {guard.With{"from": ""}, "from: missing"},
		"a bad sender":    {guard.With{"from": "golive"}, "from: is no e-mail address"},
		"a bad recipient": {guard.With{"to": []any{"a@b.test", "x"}}, "to[1]: is no e-mail address"},
		"in the open":     {guard.With{"tls": "none"}, "tls: none lets everybody"},
		"another tls":     {guard.With{"tls": "ssl"}, `tls: "ssl" is not known`},
		"no password":     {guard.With{"username": "u"}, "username, password: one is given without the other"},
		"no time":         {guard.With{"timeout": "0s"}, "timeout: must be longer"},
		"no certificate":  {guard.With{"ca": "email_test.go"}, "ca: email_test.go holds no certificate"},
		"an unknown key":  {guard.With{"sever": "x"}, "sever"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewNotifier(with(good, c.with)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("NewNotifier: %v, want %s", err, c.want)
			}
		})
	}
	if _, err := NewNotifier(with(good, guard.With{"tls": "none", "insecure": true})); err != nil {
		t.Errorf("in the open, as somebody asks for: %v", err)
	}
}
