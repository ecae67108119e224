//go:build unix

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A world is everything that a launch depends on, for real: a shop that Prometheus scrapes, an Alertmanager, a server
// with a certificate, a database that pgBackRest and pg_dump back up, and a restic repository. Nothing in it is ill.
type world struct {
	dir      string // the plan, and what lies beside it
	places   *strings.Replacer
	counter  *counter
	source   string // the address of Prometheus
	pg       postgres
	identity *authority
}

const resticPassword = "hunter2 and more"

// newWorld starts all of it. It takes some seconds, most of which the parts spend side by side.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), counter: &counter{versions: []string{"v1", "v2"}}}
	for _, p := range [][2]string{{"restic", "restic"}, {"pgbackrest", "pgbackrest"}, {"pg_dump", "postgresql"}, {"prometheus-alertmanager", "prometheus-alertmanager"}} {
		installed(t, p[0], p[1])
	}
	if err := os.CopyFS(w.dir, os.DirFS("testdata/preflight")); err != nil {
		t.Fatal(err)
	}
	w.pg = newPostgres(t)
	for name, value := range map[string]string{
		"PGHOST": w.pg.dir, "PGUSER": "postgres", "PGDATA": w.pg.data, "PGBACKREST": w.pg.config(), "PATH": w.pg.bin + ":" + os.Getenv("PATH"),
		"RESTIC_PASSWORD": resticPassword, "XDG_CACHE_HOME": t.TempDir(), "GOLIVE_BY": "ada", "LANG": "C.UTF-8",
	} {
		t.Setenv(name, value)
	}

	shop := httptest.NewServer(w.counter)
	t.Cleanup(shop.Close)
	w.source = remember(t, w.counter.past(time.Now()), fmt.Sprintf(
		"global: {scrape_interval: 1s}\nscrape_configs: [{job_name: shop, static_configs: [{targets: [%q], labels: {instance: a}}]}]\n",
		strings.TrimPrefix(shop.URL, "http://")))
	w.identity = newAuthority(t)
	w.write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.identity.ca.Raw})))
	w.write(t, "percent", "0")
	w.places = strings.NewReplacer(
		"@SHOP@", shop.URL, "@PROMETHEUS@", w.source, "@ALERTMANAGER@", newAlertmanager(t), "@PGBACKREST@", w.pg.config(),
		"@TLS@", w.identity.server(t, time.Now().AddDate(1, 0, 0)).address, "2026-01-01", time.Now().UTC().Format(time.DateOnly),
	)
	plan, err := os.ReadFile(filepath.Join(w.dir, "golive.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "golive.yaml", w.places.Replace(string(plan)))

	var backups sync.WaitGroup
	for _, do := range []func(){
		func() {
			run := w.pg.pgbackrest
			run(t, "stanza-create")
			run(t, "backup", "--type=full")
		},
		func() {
			w.write(t, "dumps/old.dump", "")
			site{w.dir, w}.sh(t, `rm dumps/old.dump; for n in 1 2 3; do pg_dump -Fc -f dumps/$n.dump shop; done`)
			site{w.dir, w}.drill(t, exitOK, "--data", "orders", "--to", "read")
		},
		func() {
			for i := range 3 {
				noise := make([]byte, 300_000)
				_, _ = rand.Read(noise) // which cannot fail
				w.write(t, fmt.Sprintf("images/%d", i), string(noise))
			}
			site{w.dir, w}.sh(t, "restic -r repository init && restic -r repository backup images")
			site{w.dir, w}.drill(t, exitOK, "--data", "images", "--to", "read")
		},
	} {
		backups.Go(do)
	}
	backups.Wait()
	if t.Failed() {
		t.FailNow()
	}
	site{w.dir, w}.drill(t, exitOK, "--data", "cluster", "--to", "checked")
	eventually(t, "Prometheus scrapes the shop", func() bool { return w.scraped(t, `up{job="shop"} == 1`) })
	return w
}

// scraped says whether Prometheus has an answer to a query.
func (w *world) scraped(t *testing.T, query string) bool {
	t.Helper()
	answer, err := http.Get(w.source + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(text), `"metric"`)
}

func (w *world) write(t *testing.T, name, text string) { write(t, filepath.Join(w.dir, name), text) }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Error(err)
	}
}

// installed finds a program that the test cannot do without, on PATH or in one of the directories.
func installed(t *testing.T, name, debian string, dirs ...string) string {
	t.Helper()
	for _, dir := range append([]string{""}, dirs...) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	how := fmt.Sprintf("%s is not installed (apt-get install -y --no-install-recommends %s)", name, debian)
	if os.Getenv("CI") != "" {
		t.Fatal(how)
	}
	t.Skip(how)
	return ""
}

// A counter is the shop as its metrics show it: a function of the time, so that what Prometheus has always known and
// what it scrapes go together. The first version has all the customers.
type counter struct {
	mu       sync.Mutex
	versions []string
}

// deploy has another version show its metrics.
func (c *counter) deploy(version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.versions = append(c.versions, version)
}

// A metric is one line of an exposition.
type metric struct {
	series string
	value  float64
}

// at is what the shop has counted at some time.
func (c *counter) at(now time.Time) (all []metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	customers := customersPerSecond * (float64(now.UnixMilli())/1000 - 1_700_000_000)
	for i, version := range c.versions {
		visits := customers
		if i > 0 {
			visits = 0
		}
		add := func(name, labels string, value float64) {
			all = append(all, metric{fmt.Sprintf(`%s{version=%q%s}`, name, version, labels), float64(int64(value))})
		}
		add("http_requests_total", `,code="200"`, visits*.999)
		add("http_requests_total", `,code="500"`, visits*.001)
		for _, b := range [][2]string{{"0.05", ".5"}, {"0.1", ".9"}, {"0.25", ".999"}, {"+Inf", "1"}} {
			share, _ := strconv.ParseFloat(b[1], 64)
			add("http_request_duration_seconds_bucket", `,le="`+b[0]+`"`, share*visits)
		}
		add("http_request_duration_seconds_sum", "", .08*visits)
		add("http_request_duration_seconds_count", "", visits)
		// Two pages that do not count by the same bounds cannot be added up.
		for _, page := range []string{`,page="cart",le="0.1"`, `,page="cart",le="+Inf"`, `,page="home",le="0.2"`, `,page="home",le="+Inf"`} {
			add("page_seconds_bucket", page, visits)
		}
	}
	return append(all, metric{`queue_depth{queue="orders"}`, 40}, metric{`queue_depth{queue="mails"}`, 30})
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/metrics" {
		fmt.Fprintln(w, "v1")
		return
	}
	for _, m := range c.at(time.Now()) {
		fmt.Fprintln(w, m.series, strconv.FormatFloat(m.value, 'f', -1, 64))
	}
}

// past is the last hour of the shop as promtool reads it.
func (c *counter) past(until time.Time) string {
	lines := make([]strings.Builder, len(c.at(until)))
	for at := until.Add(-time.Hour); at.Before(until); at = at.Add(15 * time.Second) {
		for i, m := range c.at(at) {
			name, labels, _ := strings.Cut(m.series, "{")
			fmt.Fprintf(&lines[i], "%s{job=\"shop\",instance=\"a\",%s %s %d\n", name, labels, strconv.FormatFloat(m.value, 'f', -1, 64), at.Unix())
		}
	}
	var all strings.Builder
	for i := range lines {
		all.WriteString(lines[i].String())
	}
	return all.String() + "# EOF\n"
}

// newAlertmanager starts one that has heard of the alert Watchdog, and of these.
func newAlertmanager(t *testing.T, alerts ...string) string {
	t.Helper()
	dir, host := t.TempDir(), free(t)
	config := filepath.Join(dir, "alertmanager.yml")
	write(t, config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
	serve(t, "http://"+host+"/-/ready", "prometheus-alertmanager", "--config.file="+config, "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+host, "--cluster.listen-address=", "--log.level=error")
	for _, name := range append(alerts, "Watchdog") {
		send(t, "http://"+host+"/api/v2/alerts", fmt.Sprintf(`[{"labels": {"alertname": %q, "service": "shop"}}]`, name))
	}
	eventually(t, "Alertmanager tells of all alerts", func() bool {
		answer, err := http.Get("http://" + host + "/api/v2/alerts")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return err == nil && strings.Count(string(text), `"alertname"`) == len(alerts)+1
	})
	return "http://" + host
}

func send(t *testing.T, address, body string) {
	t.Helper()
	answer, err := http.Post(address, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", address, answer.Status, text)
	}
}

// An authority signs certificates.
type authority struct {
	ca  *x509.Certificate
	key *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.ca, a.key = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "the test"}, NotAfter: time.Now().AddDate(5, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// sign makes a certificate; without an authority it signs itself.
func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore = big.NewInt(time.Now().UnixNano()), time.Now().AddDate(-1, 0, 0)
	parent, signer := a.ca, a.key
	if parent == nil {
		parent, signer = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

// A tlsServer shows a certificate for shop.test, which can be renewed.
type tlsServer struct {
	address string
	by      *authority
	mu      sync.Mutex
	shown   tls.Certificate
}

func (a *authority) server(t *testing.T, until time.Time) *tlsServer {
	t.Helper()
	s := &tlsServer{by: a}
	s.renew(t, until)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		shown := s.shown
		return &shown, nil
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	s.address = strings.TrimPrefix(server.URL, "https://")
	return s
}

func (s *tlsServer) renew(t *testing.T, until time.Time) {
	t.Helper()
	made, key := s.by.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "shop.test"}, DNSNames: []string{"shop.test"}, NotAfter: until})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = tls.Certificate{Certificate: [][]byte{made.Raw}, PrivateKey: key}
}

// A postgres is a real one with the database shop, which answers on a socket in dir alone.
type postgres struct {
	dir, data, bin string
	as             *syscall.Credential // the user postgres, where tests run as root, which PostgreSQL refuses
}

const orders = 20_000 // rows

// initPostgres makes the files of a PostgreSQL that does not run yet.
func initPostgres(t *testing.T) postgres {
	t.Helper()
	initdb := installed(t, "initdb", "postgresql", "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin")
	dir, err := os.MkdirTemp("", "golive-pg-") // the path of a socket may not be long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if initdb, err = filepath.EvalSymlinks(initdb); err != nil { // beside it are the other programs of PostgreSQL
		t.Fatal(err)
	}
	p := postgres{dir: dir, data: filepath.Join(dir, "data"), bin: filepath.Dir(initdb)}
	if os.Getuid() == 0 {
		p.as = credentialOf(t, "postgres")
		if err := os.Chown(dir, int(p.as.Uid), int(p.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	p.run(t, "initdb", "--auth=trust", "--username=postgres", "--no-sync", "--pgdata="+p.data)
	return p
}

func newPostgres(t *testing.T) postgres {
	t.Helper()
	p := initPostgres(t)
	dir := p.dir
	write(t, p.config(), fmt.Sprintf(`[global]
repo1-path=%[1]s/repository
lock-path=%[1]s/lock
log-level-file=off
spool-path=%[1]s/spool
start-fast=y
compress-level=1
job-retry=0
[shop]
pg1-path=%[1]s/data
pg1-socket-path=%[1]s
`, dir))
	if err := os.Chmod(p.config(), 0o644); err != nil {
		t.Fatal(err)
	}
	p.run(t, "pg_ctl", "start", "-w", "-D", p.data, "-l", filepath.Join(dir, "log"), "-o", fmt.Sprintf(
		`-c listen_addresses= -c fsync=off -c unix_socket_directories=%s -c archive_mode=on -c archive_command='pgbackrest --config=%s --stanza=shop archive-push %%p'`,
		dir, p.config()))
	t.Cleanup(func() { p.run(t, "pg_ctl", "stop", "-w", "-m", "immediate", "-D", p.data) })
	p.run(t, "psql", "-qd", "postgres", "-c", "CREATE DATABASE shop")
	p.run(t, "psql", "-qd", "shop", "-c", fmt.Sprintf("CREATE TABLE orders AS SELECT g AS id, md5(g::text) AS what FROM generate_series(1, %d) g", orders))
	return p
}

func (p postgres) config() string { return filepath.Join(p.dir, "pgbackrest.conf") }

func (p postgres) pgbackrest(t *testing.T, args ...string) {
	t.Helper()
	p.run(t, "pgbackrest", append(args, "--config="+p.config(), "--stanza=shop")...)
}

// run runs a program as the user of the server. Its output goes to a file, which a server that it starts keeps open.
func (p postgres) run(t *testing.T, program string, args ...string) {
	t.Helper()
	output, err := os.CreateTemp(t.TempDir(), "output")
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	if path := filepath.Join(p.bin, program); strings.HasPrefix(program, "pg_") || program == "initdb" {
		program = path
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, output, output
	cmd.Env = append(os.Environ(), "PGHOST="+p.dir, "PGUSER=postgres")
	if p.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	}
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(output.Name())
		t.Errorf("%s %s: %v: %s", filepath.Base(program), strings.Join(args, " "), err, text)
	}
}

func credentialOf(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// A site is the plan and what lies beside it, to be harmed: everything else of the world is shared.
type site struct {
	dir string
	*world
}

func (w *world) site(t *testing.T) site {
	t.Helper()
	s := site{t.TempDir(), w}
	if err := os.CopyFS(s.dir, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	return s
}

// golive runs a real one there. No answer of it may tell the password.
func (s site) golive(t *testing.T, args ...string) (code int, answer, story string) {
	t.Helper()
	var out, err bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "golive", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &out, &err
	var ended *exec.ExitError
	if failed := cmd.Run(); failed != nil && !errors.As(failed, &ended) {
		t.Errorf("golive %s: %v", strings.Join(args, " "), failed)
	}
	if strings.Contains(out.String()+err.String(), resticPassword) {
		t.Errorf("golive %s tells the password:\n%s%s", strings.Join(args, " "), &out, &err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

// drill proves a backup, and wants golive to end with this exit code.
func (s site) drill(t *testing.T, code int, args ...string) {
	t.Helper()
	if got, answer, story := s.golive(t, slices.Concat([]string{"drill", "restore"}, args)...); got != code {
		t.Errorf("golive drill restore %s: exit code %d, want %d:\n%s%s", strings.Join(args, " "), got, code, answer, story)
	}
}

// sh runs a script there.
func (s site) sh(t *testing.T, script string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v:\n%s", script, err, out)
	}
}

// replace replaces a text that the plan must hold.
func (s site) replace(t *testing.T, from, to string) {
	t.Helper()
	path := filepath.Join(s.dir, "golive.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(from)) {
		t.Fatalf("the plan does not hold %q", from)
	}
	write(t, path, strings.Replace(string(text), from, to, 1))
}
