// Package email makes a notifier that sends e-mail over SMTP.
package email

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/golive-dev/golive/guard"
)

// ports are where servers listen, by how the connection is kept secret.
var ports = map[string]int{"none": 25, "starttls": 587, "tls": 465}

const (
	way        = "email" // the kind of address in Recipient.Reach that is served
	remembered = 1000    // notices whose recipients are known to have got them
)

// Notifier sends one message to each recipient.
type Notifier struct {
	host, domain string
	port         int
	from         *mail.Address
	to           []*mail.Address // whom the plan names
	mode         string
	tls          *tls.Config
	timeout      time.Duration
	user, secret string

	mu     sync.Mutex
	served map[string]map[string]bool // by the key of a notice: the addresses that have it
	keys   []string                   // of served, the oldest first
}

var _ guard.Notifier = (*Notifier)(nil)

// NewNotifier reads {server, from, to, username, password, tls, ca, insecure, timeout}. A server is host or host:port. The
// connection is secret by starttls, which is the default, or by tls from its first byte; none is taken for a server on this
// machine, and for another one if insecure says so. ca is a file of certificates to trust in place of those of the system.
// The timeout is that of the connection, and of each message (10s).
//
// A notice goes to the e-mail addresses of its recipients and to those in to, in a message for each, so that nobody sees
// whom else it went to. Its Message-ID is made of the key of the notice and of the address, so that a repeat is known as
// one, and all messages about a rollout refer to it, and so stand in one thread.
func NewNotifier(with guard.With) (guard.Notifier, error) {
	settings := struct {
		Server   string         `json:"server"`
		From     string         `json:"from"`
		To       []string       `json:"to"`
		Username string         `json:"username"`
		Password string         `json:"password"`
		TLS      string         `json:"tls"`
		CA       string         `json:"ca"`
		Insecure bool           `json:"insecure"`
		Timeout  guard.Duration `json:"timeout"`
	}{TLS: "starttls", Timeout: guard.Duration(10 * time.Second)}
	if err := with.Decode(&settings); err != nil {
		return nil, err
	}
	var mistakes []error
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }
	n := &Notifier{
		mode: settings.TLS, timeout: settings.Timeout.Std(), user: settings.Username, secret: settings.Password,
		served: make(map[string]map[string]bool),
	}
	if n.timeout <= 0 {
		wrong("timeout: must be longer than nothing")
	}
	port, known := ports[n.mode]
	if !known {
		wrong("tls: %q is not known (starttls, tls or none)", n.mode)
	}
	n.host, n.port = settings.Server, port
	if host, digits, err := net.SplitHostPort(settings.Server); err == nil {
		n.host = host
		if n.port, err = strconv.Atoi(digits); err != nil || n.port < 1 || n.port > 65535 {
			wrong("server: %q is no port", digits)
		}
	}
	switch {
	case n.host == "":
		wrong("server: missing (like mail.example.org:587)")
	case strings.ContainsAny(n.host, " /@"):
		wrong("server: must be a host, or host:port (like mail.example.org:587)")
	case n.mode == "none" && !loopback(n.host) && !settings.Insecure:
		wrong("tls: none lets everybody on the way read along (use starttls or tls, or say insecure: true)")
	}
	var err error
	if n.from, err = parse(settings.From); err != nil {
		wrong("from: %v", err)
	} else {
		n.domain = n.from.Address[strings.LastIndexByte(n.from.Address, '@')+1:]
	}
	for i, text := range settings.To {
		address, err := parse(text)
		if err != nil {
			wrong("to[%d]: %v", i, err)
		}
		n.to = append(n.to, address)
	}
	if (n.user == "") != (n.secret == "") {
		wrong("username, password: one is given without the other")
	}
	n.tls = &tls.Config{ServerName: n.host, MinVersion: tls.VersionTLS12}
	if settings.CA != "" {
		certificates, err := os.ReadFile(settings.CA)
		n.tls.RootCAs = x509.NewCertPool()
		if err != nil {
			wrong("ca: %v", err)
		} else if !n.tls.RootCAs.AppendCertsFromPEM(certificates) {
			wrong("ca: %s holds no certificate (PEM)", settings.CA)
		}
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return n, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// parse reads an address, which its error does not quote.
func parse(text string) (*mail.Address, error) {
	if text == "" {
		return nil, errors.New("missing (like golive@example.org)")
	}
	address, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsAny(address.Address+address.Name, "\r\n") {
		return nil, errors.New("is no e-mail address (like golive@example.org)")
	}
	return address, nil
}

// A letter is a notice on its way to one recipient.
type letter struct {
	handed    guard.Handed
	addresses []*mail.Address
}

// Notify sends to each recipient. One who is known to have got the notice does not get it again from this process; a
// server that took a message and could not say so makes a repeat. An error means that nobody has got it.
func (n *Notifier) Notify(ctx context.Context, notice guard.Notice) (guard.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return guard.Receipt{}, err
	}
	letters := n.letters(notice)
	if len(letters) == 0 {
		return guard.Receipt{}, errors.New("nobody to send it to: no recipient has an e-mail address (write reach: [{email: ADDRESS}] in the roster, or to: [ADDRESS] beside server)")
	}
	s := &session{n: n}
	defer s.close()
	var receipt guard.Receipt
	var problems []string
	got := 0
	for _, l := range letters {
		l.handed.Problem = n.deliver(ctx, s, notice, l)
		if l.handed.Problem == "" {
			got++
		} else if !slices.Contains(problems, l.handed.Problem) {
			problems = append(problems, l.handed.Problem)
		}
		receipt.Handed = append(receipt.Handed, l.handed)
	}
	if got == 0 {
		if err := ctx.Err(); err != nil {
			return receipt, fmt.Errorf("mail by %s: %w", n.host, context.Cause(ctx))
		}
		return receipt, fmt.Errorf("mail by %s: %s", n.host, strings.Join(problems, "; "))
	}
	receipt.Detail = fmt.Sprintf("%s took it for %d of %d recipients", n.host, got, len(letters))
	return receipt, nil
}

// letters are for the recipients that have an e-mail address, and then for those that the plan names: of a notice that
// others have already, for the rest alone.
func (n *Notifier) letters(notice guard.Notice) (all []letter) {
	for _, r := range notice.To {
		l := letter{handed: guard.Handed{Name: r.Name, Role: r.Role, Way: way}}
		for _, reach := range r.Reach {
			if text, has := reach[way]; has {
				if address, err := parse(text); err == nil {
					l.addresses = append(l.addresses, address)
				} else {
					l.addresses = append(l.addresses, nil)
				}
			}
		}
		if len(l.addresses) > 0 {
			all = append(all, l)
		}
	}
	for i, address := range n.to {
		all = append(all, letter{guard.Handed{Name: fmt.Sprintf("to[%d]", i), Way: way}, []*mail.Address{address}})
	}
	if len(notice.Only) > 0 {
		all = slices.DeleteFunc(all, func(l letter) bool { return !slices.Contains(notice.Only, l.handed.Name) })
	}
	return all
}

// deliver sends a notice to all addresses of a recipient, and says why none of them has it; empty: one has.
func (n *Notifier) deliver(ctx context.Context, s *session, notice guard.Notice, l letter) (problem string) {
	delivered := false
	for _, address := range l.addresses {
		if address == nil {
			problem = "the address in the roster is no e-mail address"
			continue
		}
		if n.has(notice.Key, address) {
			delivered = true
			continue
		}
		if err := s.send(ctx, n.message(notice, address)); err != nil {
			problem = n.discreet(err, address)
			continue
		}
		n.serve(notice.Key, address)
		delivered = true
	}
	if delivered {
		return ""
	}
	return problem
}

func (n *Notifier) has(key string, address *mail.Address) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.served[key][strings.ToLower(address.Address)]
}

func (n *Notifier) serve(key string, address *mail.Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.served[key] == nil {
		n.served[key] = make(map[string]bool)
		if n.keys = append(n.keys, key); len(n.keys) > remembered {
			delete(n.served, n.keys[0])
			n.keys = slices.Delete(n.keys, 0, 1)
		}
	}
	n.served[key][strings.ToLower(address.Address)] = true
}

// message is the notice for one address. No text of it can begin a line of the header.
func (n *Notifier) message(notice guard.Notice, to *mail.Address) *gomail.Msg {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(n.from)
	m.ToMailAddress(to)
	m.Subject(notice.Headline())
	if notice.Urgent {
		m.SetImportance(gomail.ImportanceUrgent)
	}
	m.SetDateWithValue(notice.At)
	m.SetMessageIDWithValue(n.id(notice.Key, strings.ToLower(to.Address)))
	if notice.Release.ID != "" {
		thread := "<" + n.id("rollout", notice.Release.ID) + ">"
		m.SetGenHeader(gomail.HeaderReferences, thread)
		m.SetGenHeader(gomail.HeaderInReplyTo, thread)
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("X-Golive-Key", guard.Line(notice.Key, 200))
	text := strings.TrimRight(guard.Printable(notice.Text), "\n") + "\n"
	if notice.Reply != "" {
		text += "\n" + guard.Line(notice.Reply, 2000) + "\n"
	}
	m.SetBodyString(gomail.TypeTextPlain, text)
	return m
}

// id is a name for a message that is the same whenever it is made.
func (n *Notifier) id(parts ...string) string {
	return fmt.Sprintf("%x@%s", sha256.Sum256([]byte(strings.Join(parts, "\x00"))), n.domain)
}

// discreet is what went wrong, without the address and without what opens the account.
func (n *Notifier) discreet(err error, to *mail.Address) string {
	text := err.Error()
	for _, tail := range []string{", affected recipient(s):", ", affected message ID:"} {
		text, _, _ = strings.Cut(text, tail)
	}
	secrets := []string{to.Address}
	if n.secret != "" {
		encoded := base64.StdEncoding.EncodeToString
		secrets = append(secrets, encoded([]byte("\x00"+n.user+"\x00"+n.secret)), encoded([]byte(n.secret)), n.secret)
	}
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "...")
	}
	return guard.Line(text, 300)
}

// A session is a connection to the server, which is made when it is needed, and made anew after a message that went wrong.
type session struct {
	n      *Notifier
	client *gomail.Client
	conn   *smtp.Client
	dead   error       // why there is no connection to be had
	stop   func() bool // that the end of the context ends the connection
}

func (s *session) send(ctx context.Context, m *gomail.Msg) error {
	if s.dead != nil {
		return s.dead
	}
	if s.conn == nil {
		if err := s.dial(ctx); err != nil {
			s.dead = err
			return err
		}
	}
	err := s.client.SendWithSMTPClient(s.conn, m)
	if err != nil && m.IsDelivered() {
		err = nil // the server took it, and what failed came after
	}
	if err != nil {
		s.close()
	}
	return err
}

// dial connects. The end of the context ends the connection, and so whatever waits for an answer of the server.
func (s *session) dial(ctx context.Context) error {
	n := s.n
	var wire net.Conn
	options := []gomail.Option{
		gomail.WithPort(n.port), gomail.WithTimeout(n.timeout), gomail.WithTLSConfig(n.tls.Clone()), gomail.WithoutNoop(),
		gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(dialing, network, address)
			if err != nil {
				return nil, err
			}
			wire = conn
			s.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
			if n.mode != "tls" {
				return conn, nil
			}
			secret := tls.Client(conn, n.tls.Clone())
			return secret, secret.HandshakeContext(dialing)
		}),
	}
	switch n.mode {
	case "none":
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	case "starttls":
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case "tls":
		options = append(options, gomail.WithSSL())
	}
	if n.user != "" {
		plain, login := gomail.SMTPAuthPlain, gomail.SMTPAuthLogin
		if n.mode == "none" { // which is for this machine, or was asked for
			plain, login = gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc
		}
		options = append(options, gomail.WithUsername(n.user), gomail.WithPassword(n.secret), gomail.WithOpportunisticSMTPAuth(
			gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, plain, login, gomail.SMTPAuthCramMD5))
	}
	client, err := gomail.NewClient(n.host, options...)
	if err != nil {
		return err
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		if wire != nil {
			s.stop()
			_ = wire.Close() // which go-mail leaves open
		}
		return fmt.Errorf("connect: %w", err)
	}
	s.client, s.conn = client, conn
	return nil
}

// close says goodbye, and lets go of a connection on which nobody listens any more.
func (s *session) close() {
	if s.conn == nil {
		return
	}
	_ = s.client.CloseWithSMTPClient(s.conn) // what was sent is sent
	_ = s.conn.Close()
	s.stop()
	s.conn = nil
}
