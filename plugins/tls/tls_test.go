package tls

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

var kit = plugins.Kit{
	Name:   "tls",
	Probes: map[string]func(guard.With) (guard.Probe, error){"tls": NewProbe},
}

func TestMain(m *testing.M) { plugintest.Main(m, kit) }

const day24 = 24 * time.Hour

var release = guard.Release{ID: "r7", Service: "shop", Environment: "test", From: "v1", To: "v2"}

// An owner has a certificate and its key, and can sign those of others.
type owner struct {
	*x509.Certificate
	key crypto.Signer
}

// issue makes a certificate that has lasted for 100 days and lasts for so long, and changes it before it is signed. Nobody
// signs for nil but itself.
func (o *owner) issue(t *testing.T, name string, lasts time.Duration, changes ...func(*x509.Certificate)) *owner {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-100 * day24),
		NotAfter:              time.Now().Add(lasts),
		BasicConstraintsValid: true,
	}
	for _, change := range changes {
		change(c)
	}
	made := &owner{c, key}
	if o == nil {
		o = made
	}
	der, err := x509.CreateCertificate(rand.Reader, c, o.Certificate, key.Public(), o.key)
	if err != nil {
		t.Fatal(err)
	}
	if made.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return made
}

func authority(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }

func of(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func on(ip string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP(ip)} }
}

// serve speaks TLS with the certificate of the first, and shows those of the others too.
func serve(t *testing.T, chain ...*owner) (address string) {
	t.Helper()
	shown := tls.Certificate{PrivateKey: chain[0].key}
	for _, o := range chain {
		shown.Certificate = append(shown.Certificate, o.Raw)
	}
	return accept(t, func(c net.Conn) {
		_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{shown}}).Handshake()
		c.Close()
	})
}

// accept serves every connection.
func accept(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String()
}

// file holds the certificates of authorities.
func file(t *testing.T, owners ...*owner) string {
	t.Helper()
	var text []byte
	for _, o := range owners {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.Raw})...)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func probe(t *testing.T, with guard.With) guard.Probe {
	t.Helper()
	p, err := NewProbe(with)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProbe(t *testing.T) {
	root := (*owner)(nil).issue(t, "Root", 1000*day24, authority)
	ending := (*owner)(nil).issue(t, "Old Root", 5*day24+time.Hour, authority)
	between := root.issue(t, "Intermediate", 500*day24, authority)
	tired := root.issue(t, "Tired", 10*day24+time.Hour, authority)
	dead := root.issue(t, "Dead", -day24, authority)
	limited := root.issue(t, "Limited", 500*day24, authority, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"other.test"} })
	shop := of("shop.test", "www.shop.test")
	leaf := between.issue(t, "shop.test", 100*day24, shop)
	expired := between.issue(t, "shop.test", -3*day24-time.Hour, shop)
	unborn := between.issue(t, "shop.test", 100*day24, shop, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })
	painted := between.issue(t, "\x1b[31mred\n", -day24, shop)
	long := tired.issue(t, "shop.test", 100*day24, shop)
	fails := func(reason string) guard.Finding { return guard.Finding{Verdict: guard.Fail, Reason: reason} }
	pass := guard.Finding{Verdict: guard.Pass}
	for _, test := range []struct {
		name   string
		shown  []*owner
		with   guard.With
		want   guard.Finding // of which an empty text may be anything
		remedy string        // part of it
	}{
		{"good", []*owner{leaf, between}, nil, guard.Finding{
			Verdict: guard.Pass, Observed: "one for shop.test, www.shop.test by Intermediate, until " + day(leaf.NotAfter),
		}, ""},
		{"as long as it has to", []*owner{leaf, between}, guard.With{"left": "99d"}, pass, ""},
		{"not as long", []*owner{leaf, between}, guard.With{"left": "100d"}, fails("the certificate of shop.test ends in 99d, and has to last for 100d"), "renew it"},
		{"soon to expire", []*owner{between.issue(t, "shop.test", 13*day24, shop), between}, nil, fails("the certificate of shop.test ends in 12d, and has to last for 14d"), "renew it"},
		{"today", []*owner{between.issue(t, "", time.Hour+time.Minute, shop), between}, nil, fails(""), "renew it"},
		{"today is long enough", []*owner{between.issue(t, "", time.Hour, shop), between}, guard.With{"left": "0s"}, pass, ""},
		{"expired", []*owner{expired, between}, nil, fails("the certificate of shop.test ended on " + day(expired.NotAfter) + ", 3d ago"), "renew it"},
		{"expired, and left does not matter", []*owner{between.issue(t, "shop.test", -time.Minute, shop), between}, guard.With{"left": "0s"}, fails(""), "renew it"},
		{"not yet", []*owner{unborn, between}, nil,
			fails("the certificate of shop.test is not good before " + day(unborn.NotBefore)), "wait until then"},
		{"wrong name", []*owner{leaf, between}, guard.With{"name": "shop.example"}, fails("it is not for shop.example, but for shop.test, www.shop.test"), "get a certificate for shop.example"},
		{"no name", []*owner{between.issue(t, "shop.test", 100*day24), between}, nil, fails("it is not for shop.test, but for no name at all"), ""},
		{"many names", []*owner{between.issue(t, "", 100*day24, of("a.test", "b.test", "c.test", "d.test", "e.test")), between}, nil, fails("it is not for shop.test, but for a.test, b.test, c.test and 2 more"), ""},
		{"wild", []*owner{between.issue(t, "", 100*day24, of("*.test")), between}, nil, pass, ""},
		{"by its address", []*owner{between.issue(t, "", 100*day24, on("127.0.0.1")), between}, guard.With{"name": ""}, pass, ""},
		{"at another address", []*owner{between.issue(t, "", 100*day24, on("127.0.0.2")), between}, guard.With{"name": ""}, fails("it is not for 127.0.0.1, but for 127.0.0.2"), ""},
		{"unknown authority", []*owner{(*owner)(nil).issue(t, "Stranger", 900*day24, authority).issue(t, "shop.test", 100*day24, shop), between}, nil, fails("it is not by an authority in CA"), "name the file of this one as ca"},
		{"by itself", []*owner{(*owner)(nil).issue(t, "shop.test", 100*day24, shop)}, nil, fails("it is not by an authority in CA"), ""},
		{"whom this machine does not trust", []*owner{leaf, between, root}, guard.With{"ca": ""}, fails("it is not by an authority that this machine trusts"), ""},
		{"half a chain", []*owner{leaf}, nil, fails("it is not by an authority in CA, and the server shows no other certificate with it"), "let the server send the whole chain"},
		{"an intermediate that ends earlier", []*owner{long, tired}, nil, guard.Finding{
			Verdict: guard.Fail, Reason: "the certificate of Tired ends in 10d, and has to last for 14d",
			Observed: "one for shop.test, www.shop.test by Tired, until " + day(long.NotAfter) + "; that of Tired, until " + day(tired.NotAfter),
		}, "renew it"},
		{"an intermediate that has ended", []*owner{dead.issue(t, "shop.test", 100*day24, shop), dead}, nil, fails("the certificate of Dead ended on " + day(dead.NotAfter) + ", 1d ago"), ""},
		{"a root that ends and is not shown", []*owner{ending.issue(t, "shop.test", 100*day24, shop)}, nil, fails("the certificate of Old Root ends in 5d, and has to last for 14d"), ""},
		{"not for servers", []*owner{between.issue(t, "", 100*day24, shop, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), between}, nil, fails(""), "have a new certificate made"},
		{"by one who may not sign", []*owner{leaf.issue(t, "", 100*day24, shop), leaf, between}, nil, fails(""), ""},
		{"by one who may not sign for it", []*owner{limited.issue(t, "", 100*day24, shop), limited}, nil, fails(""), ""},
		{"a name that paints the terminal", []*owner{painted, between}, nil, fails("the certificate of ?[31mred ended on " + day(painted.NotAfter) + ", 1d ago"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			ca := file(t, root, ending)
			with := guard.With{"address": serve(t, test.shown...), "name": "shop.test", "ca": ca}
			for key, value := range test.with {
				with[key] = value
			}
			got, err := probe(t, with).Probe(t.Context(), release)
			if err != nil {
				t.Fatal(err)
			}
			reason := strings.ReplaceAll(got.Reason, ca, "CA")
			if got.Verdict != test.want.Verdict || test.want.Reason != "" && reason != test.want.Reason || !strings.Contains(got.Remedy, test.remedy) {
				t.Errorf("%s because %q, do %q\nwant %s because %q", got.Verdict, reason, got.Remedy, test.want.Verdict, test.want.Reason)
			}
			if test.want.Observed != "" && got.Observed != test.want.Observed {
				t.Errorf("observed %q\nwant     %q", got.Observed, test.want.Observed)
			}
			if (got.Verdict == guard.Pass) != (got.Reason == "" && got.Remedy == "") || got.Expected == "" || got.Observed == "" || len(got.Evidence) != 1 || len(got.Evidence[0].Digest) != 64 {
				t.Errorf("incomplete: %+v", got)
			}
		})
	}
}

// TestNobodySpeaksTLS wants errors: what nobody shows cannot be judged.
func TestNobodySpeaksTLS(t *testing.T) {
	root := (*owner)(nil).issue(t, "Root", 1000*day24, authority)
	for name, c := range map[string]struct{ address, want string }{
		"refused":  {"127.0.0.1:1", "connection refused"},
		"nowhere":  {"no-such-host.invalid:443", "no such host"},
		"hangs":    {accept(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), "no answer within 300ms"},
		"hangs up": {accept(t, func(c net.Conn) { c.Close() }), "ask 127.0.0.1"},
		"plain":    {accept(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.test ESMTP\r\n"); _, _ = io.Copy(io.Discard, c) }), "it does not speak TLS, at least not from the first byte on"},
		"dribbles": {accept(t, dribble), "no answer within 300ms"},
		"knows not": {accept(t, func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, io.EOF }}).Handshake()
			c.Close()
		}), "ask 127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			got, err := probe(t, guard.With{"address": c.address, "ca": file(t, root), "timeout": "300ms"}).Probe(t.Context(), release)
			if err == nil || !strings.Contains(err.Error(), c.want) || got.Verdict != guard.Unknown {
				t.Errorf("Probe = %s, error %v, want %s", got.Verdict, err, c.want)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// dribble begins a record and never ends it.
func dribble(c net.Conn) {
	for _, b := range slices.Concat([]byte{22, 3, 3, 64, 0}, make([]byte, 1000)) {
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestJudgeAtTheLastMoment has the bounds belong to what is good.
func TestJudgeAtTheLastMoment(t *testing.T) {
	root := (*owner)(nil).issue(t, "Root", 1000*day24, authority)
	leaf := root.issue(t, "shop.test", 100*day24, of("shop.test"))
	p := probe(t, guard.With{"address": "shop.test:443", "ca": file(t, root), "left": "14d"}).(*Probe)
	for name, c := range map[string]struct {
		now  time.Time
		want guard.Verdict
	}{
		"just begun":     {leaf.NotBefore, guard.Pass},
		"not yet":        {leaf.NotBefore.Add(-time.Second), guard.Fail},
		"just enough":    {leaf.NotAfter.Add(-14 * day24), guard.Pass},
		"not enough now": {leaf.NotAfter.Add(-14*day24 + 1), guard.Fail},
		"ended":          {leaf.NotAfter.Add(time.Second), guard.Fail},
	} {
		got, err := p.judge([]*x509.Certificate{leaf.Certificate}, c.now)
		if err != nil || got.Verdict != c.want {
			t.Errorf("%s: %s because %q, error %v, want %s", name, got.Verdict, got.Reason, err, c.want)
		}
	}
}

// A server of many names shows the certificate of the one that it is asked for.
func TestServerOfManyNames(t *testing.T) {
	root := (*owner)(nil).issue(t, "Root", 1000*day24, authority)
	address := accept(t, func(c net.Conn) {
		_ = tls.Server(c, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			o := root.issue(t, "", 100*day24, of(cmp.Or(hello.ServerName, "default.test")))
			return &tls.Certificate{Certificate: [][]byte{o.Raw}, PrivateKey: o.key}, nil
		}}).Handshake()
		c.Close()
	})
	got, err := probe(t, guard.With{"address": address, "name": "shop.test", "ca": file(t, root)}).Probe(t.Context(), release)
	if err != nil || got.Verdict != guard.Pass {
		t.Errorf("%s because %q, error %v", got.Verdict, got.Reason, err)
	}
}

func TestContract(t *testing.T) {
	root := (*owner)(nil).issue(t, "Root", 1000*day24, authority)
	with := guard.With{"address": serve(t, root.issue(t, "", 100*day24, of("shop.test"))), "name": "shop.test", "ca": file(t, root)}
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		plugintest.Probe(t, plugintest.Make(t, kit.Probes["tls"], with), release, guard.Pass)
	})
}

func TestConfig(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	const address = "address: must be a host and a port (like shop.test:443)"
	for name, c := range map[string]struct {
		with guard.With
		err  string
	}{
		"nothing":  {nil, address},
		"no port":  {guard.With{"address": "shop.test"}, address},
		"no host":  {guard.With{"address": ":443"}, address},
		"a URL":    {guard.With{"address": "https://shop.test"}, address},
		"slip":     {guard.With{"address": "a:1", "lef": "1d"}, "lef: there is no such key (did you mean left?)"},
		"negative": {guard.With{"address": "a:1", "left": "-1d"}, `left: "-1d" is not a duration (try 30s, 10m, 2h, 7d)`},
		"never":    {guard.With{"address": "a:1", "timeout": "0s"}, "timeout: must be longer than nothing"},
		"no file":  {guard.With{"address": "a:1", "ca": "/nowhere/ca.pem"}, "ca: open /nowhere/ca.pem: no such file or directory"},
		"no PEM":   {guard.With{"address": "a:1", "ca": empty}, "ca: " + empty + " holds no certificate in PEM (it begins with -----BEGIN CERTIFICATE-----)"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewProbe(c.with); err == nil || err.Error() != c.err {
				t.Errorf("error %v\nwant  %s", err, c.err)
			}
		})
	}
}
