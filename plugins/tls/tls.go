// Package tls makes a probe of the certificate that a server shows. It verifies what a browser would, and how long
// that will last; it does not ask whether the certificate was revoked.
package tls

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// Probe asks one server for its certificate.
type Probe struct {
	address, name string
	left          guard.Duration
	timeout       time.Duration
	authorities   string         // who has to have signed the certificate, for people
	roots         *x509.CertPool // the same for x509; nil: whom this machine trusts
}

var _ guard.Probe = (*Probe)(nil)

// NewProbe reads {address, name, left, ca, timeout}. The address is host:port; the name is that of the server, if
// it is not the host. The probe passes if the server proves to be the one with this name, by certificates of an
// authority that this machine trusts, or of one in the PEM file ca, all of which last for left (14d) more.
func NewProbe(with guard.With) (guard.Probe, error) {
	config := struct {
		Address string         `json:"address"`
		Name    string         `json:"name"`
		Left    guard.Duration `json:"left"`
		CA      string         `json:"ca"`
		Timeout guard.Duration `json:"timeout"`
	}{Left: guard.Duration(14 * 24 * time.Hour), Timeout: guard.Duration(5 * time.Second)}
	err := with.Decode(&config)
	host, port, mistake := net.SplitHostPort(config.Address)
	if number, wrong := strconv.ParseUint(port, 10, 16); mistake != nil || wrong != nil || host == "" || number == 0 {
		err = errors.Join(err, errors.New("address: must be a host and a port (like shop.test:443)"))
	}
	if config.Timeout <= 0 {
		err = errors.Join(err, errors.New("timeout: must be longer than nothing"))
	}
	p := &Probe{
		address: config.Address, name: cmp.Or(config.Name, host),
		left: config.Left, timeout: config.Timeout.Std(), authorities: "an authority that this machine trusts",
	}
	if config.CA != "" {
		p.authorities = "an authority in " + config.CA
		p.roots, mistake = readRoots(config.CA)
		err = errors.Join(err, mistake)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func readRoots(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ca: %s holds no certificate in PEM (it begins with -----BEGIN CERTIFICATE-----)", file)
	}
	return roots, nil
}

// Probe asks. That there is nobody to speak TLS with is an error.
func (p *Probe) Probe(ctx context.Context, _ guard.Release) (guard.Finding, error) {
	shown, version, err := p.shake(ctx)
	if err != nil {
		return guard.Finding{}, fmt.Errorf("ask %s for its certificate: %w", p.address, err)
	}
	finding, err := p.judge(shown, time.Now())
	if err != nil {
		return guard.Finding{}, fmt.Errorf("verify the certificate of %s: %w", p.address, err)
	}
	digest := sha256.New()
	for _, c := range shown {
		digest.Write(c.Raw)
	}
	finding.Evidence = []guard.Evidence{{
		Asked: fmt.Sprintf("handshake with %s as %s", p.address, p.name), Answer: version + ", " + finding.Observed,
		Digest: hex.EncodeToString(digest.Sum(nil)),
	}}
	return finding, nil
}

// shake shakes hands, by which the server proves that it has the key of the first certificate that it shows.
func (p *Probe) shake(ctx context.Context) (shown []*x509.Certificate, version string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout, fmt.Errorf("no answer within %v", p.timeout))
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{
		ServerName:         p.name,
		InsecureSkipVerify: true, // judge verifies, and can say more about what is wrong
	}}
	connection, err := dialer.DialContext(ctx, "tcp", p.address)
	var plain tls.RecordHeaderError
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, "", context.Cause(ctx)
	case errors.As(err, &plain):
		return nil, "", errors.New("it does not speak TLS, at least not from the first byte on")
	case err != nil:
		return nil, "", err
	}
	_ = connection.Close() // all has been said
	state := connection.(*tls.Conn).ConnectionState()
	return state.PeerCertificates, tls.VersionName(state.Version), nil
}

// judge says what certificates are worth now. An error means that this machine cannot tell.
func (p *Probe) judge(shown []*x509.Certificate, now time.Time) (guard.Finding, error) {
	first := slices.MinFunc(shown, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	f := guard.Finding{
		Verdict:  guard.Fail,
		Subject:  p.address,
		Title:    fmt.Sprintf("%s shows a certificate for %s that is good for %s more", p.address, p.name, p.left),
		Expected: fmt.Sprintf("one for %s by %s, until %s at least", p.name, p.authorities, day(now.Add(p.left.Std()))),
		Observed: observed(shown[0], first),
	}
	if i := slices.IndexFunc(shown, func(c *x509.Certificate) bool { return c.NotBefore.After(now) }); i >= 0 {
		f.Reason = fmt.Sprintf("the certificate of %s is not good before %s", holder(shown[i]), day(shown[i].NotBefore))
		f.Remedy = "wait until then, or set the clock of this machine if it is wrong"
		return f, nil
	}
	if first.NotAfter.Before(now) {
		f.Reason = fmt.Sprintf("the certificate of %s ended on %s, %s ago", holder(first), day(first.NotAfter), span(now.Sub(first.NotAfter)))
		f.Remedy = "renew it, and let the server load the new one"
		return f, nil
	}
	chains, err := p.verify(shown, now)
	if errors.As(err, new(x509.SystemRootsError)) {
		return guard.Finding{}, err
	}
	if err != nil {
		f.Reason, f.Remedy = p.blame(shown, err)
		return f, nil
	}
	if last := lasting(chains); last.NotAfter.Before(first.NotAfter) {
		first = last
		f.Observed = observed(shown[0], first)
	}
	if left := first.NotAfter.Sub(now); left < p.left.Std() {
		f.Reason = fmt.Sprintf("the certificate of %s ends in %s, and has to last for %s", holder(first), span(left), p.left)
		f.Remedy = "renew it, and let the server load the new one"
		return f, nil
	}
	f.Verdict = guard.Pass
	return f, nil
}

// verify returns the chains from what was shown to those who are trusted.
func (p *Probe) verify(shown []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	return shown[0].Verify(x509.VerifyOptions{DNSName: p.name, Roots: p.roots, Intermediates: between, CurrentTime: now})
}

// blame says why certificates were refused, and what helps.
func (p *Probe) blame(shown []*x509.Certificate, err error) (reason, remedy string) {
	var stranger x509.UnknownAuthorityError
	switch {
	case errors.As(err, new(x509.HostnameError)):
		return fmt.Sprintf("it is not for %s, but for %s", p.name, names(shown[0])),
			"get a certificate for " + p.name + ", or write one of its names as name"
	case errors.As(err, &stranger) && len(shown) == 1 && !bytes.Equal(shown[0].RawIssuer, shown[0].RawSubject):
		return "it is not by " + p.authorities + ", and the server shows no other certificate with it",
			"let the server send the whole chain, or name the file of its authority as ca"
	case errors.As(err, &stranger):
		return "it is not by " + p.authorities, "get one from an authority that is trusted, or name the file of this one as ca"
	}
	return guard.Line(err.Error(), 300), "have a new certificate made, without what is wrong with this one"
}

// lasting is what ends first of the chain that lasts longest.
func lasting(chains [][]*x509.Certificate) (ends *x509.Certificate) {
	for _, chain := range chains {
		first := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		if ends == nil || first.NotAfter.After(ends.NotAfter) {
			ends = first
		}
	}
	return ends
}

// observed says what a certificate is, and when the first of those it rests on ends.
func observed(leaf, first *x509.Certificate) string {
	text := fmt.Sprintf("one for %s by %s, until %s", names(leaf), called(leaf.Issuer.CommonName), day(leaf.NotAfter))
	if first != leaf {
		text += fmt.Sprintf("; that of %s, until %s", holder(first), day(first.NotAfter))
	}
	return text
}

// names are the first of those that a certificate is for.
func names(c *x509.Certificate) string {
	const most = 3
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no name at all"
	}
	text := strings.Join(all[:min(most, len(all))], ", ")
	if len(all) > most {
		text += fmt.Sprintf(" and %d more", len(all)-most)
	}
	return guard.Line(text, 200)
}

// holder is whom a certificate is of.
func holder(c *x509.Certificate) string {
	if c.Subject.CommonName == "" && len(c.DNSNames)+len(c.IPAddresses) > 0 {
		return names(c)
	}
	return called(c.Subject.CommonName)
}

func called(name string) string { return cmp.Or(guard.Line(name, 100), "somebody without a name") }

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// span says how long something is: in days, or to the second where it is less than one.
func span(d time.Duration) string {
	if d > 24*time.Hour {
		return guard.Duration(d.Truncate(24 * time.Hour)).String()
	}
	return guard.Duration(d.Truncate(time.Second)).String()
}
