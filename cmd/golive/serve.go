package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/engine"
	"github.com/golive-dev/golive/guard/journal"
	"github.com/golive-dev/golive/guard/server"
	"github.com/golive-dev/golive/guard/store"
)

// serving is how a server was asked to be.
type serving struct {
	listen, plans, tokens, oidc, cert, key, node, logs string
	plain, acceptPlans                                 bool
	ttl, retain                                        time.Duration
	rate                                               int
	archive                                            string
	address                                            string // at which people reach it
}

func (p *program) serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Guard many rollouts, heard from deploy tools, seen by people",
		Long: `serve is golive as a server. Deploy tools tell it of releases (/v1/hooks/...), other programs ask it (/v1, described
at /v1/openapi.json), people look at the page (/). It guards every rollout by the plan of its service until it is over, also
through a restart: what it knows is in its store, a file of SQLite, or PostgreSQL where several servers share the work.

While the store gives no answer no traffic moves forward, and a breach is taken back all the same.

It listens on this machine alone unless it knows its callers: each line of the file of --tokens lets one in, with rights of
its own (golive serve token makes a line), and the file of --oidc names issuers of OpenID Connect, whose ID tokens let in jobs
of a CI system, service accounts of a cluster, and people:

  issuers:
    - url: https://token.actions.githubusercontent.com
      audience: golive
      grants:
        - match: {repository: acme/shop, environment: production, job_workflow_ref: acme/shop/.github/workflows/deploy.yml@refs/heads/main}
          rights: [hook, operate]
          services: [shop/production]
          name: repository
        - match: {repository: acme/shop}
          rights: [view]
          name: repository

All claims under match have to fit; services, where they are written, are those that the rights are for (view is for all). A job
of GitHub Actions with permissions: {id-token: write} gets its token by itself, for golive with --server.

Hooks that sign their messages (/v1/hooks/generic, /v1/hooks/github) are heard if $GOLIVE_HOOK_SECRET or $GOLIVE_GITHUB_SECRET
holds their secret, of 20 characters or more (openssl rand -hex 32). While a new one takes the place of an old one both count,
with a comma between them; so no secret holds a comma.

A job of GitHub Actions waits for the checks where golive is a GitHub App that is a protection rule of its environment:
$GOLIVE_GITHUB_APP_ID and $GOLIVE_GITHUB_APP_KEY (a private key in PEM) say which, its webhook is
/v1/hooks/github/deployment-protection/, and $GOLIVE_GITHUB_MAX_WAIT (1h) how long it waits for what is not ready before it
refuses; a plan may say less (gate: {max_wait: 10m}). $GOLIVE_GITHUB_API is the API of an enterprise's own server. The same
webhook, and no other, hears who presses a button that the notifier github has made (event Check run): people of the roster
may, by the login in their reach, {github: LOGIN}. Whoever knows the secret of a webhook can speak as anybody there: give that
of the app one of its own, $GOLIVE_GITHUB_APP_SECRET, where repositories have webhooks with $GOLIVE_GITHUB_SECRET.

At GitHub, a service is spoken for by the repositories alone that its plan names: gate: {repositories: [acme/shop]}. The plan may
also say whose jobs pass: refs: [main, release/*], and pull_requests: true for those that a pull request has begun.

Plans are read again when they change; a rollout keeps the plan it began with.

A rollout that has become an incident stays under guard when its traffic is back, with all that is owed and who is called,
until somebody has stood it down and those who had heard of it were told so. Who stands it down, or signs off, has the role in the
roster of the plan, by the name or the e-mail address of the caller; a caller who is not in the roster takes the right approve.
An acknowledgement takes the right operate: the token of a team may take it on, and its name stands in the journal as who leads.
Notices of it have a link by which whoever gets one takes it on, for a day; the key that
signs links is made once and kept in the directory of the journals. Several servers that share a store share the key:
$GOLIVE_LINK_KEY, of 32 characters or more (openssl rand -base64 32).

Traces go where OTEL_EXPORTER_OTLP_ENDPOINT says, by OTLP over HTTP; the other variables of OpenTelemetry count as well.

A signal (SIGTERM, Ctrl-C) ends it without moving traffic: rollouts go on in another server, or here when it is started again.`,
		Example: `  golive serve
  golive serve --plans /etc/golive --store sqlite:/var/lib/golive/golive.db
  golive serve --listen :8457 --tokens /etc/golive/tokens --tls-cert cert.pem --tls-key key.pem
  GOLIVE_STORE=postgres://golive@db/golive golive serve --tokens tokens --node $(hostname)`,
		Args: cobra.NoArgs,
	}
	host, _ := os.Hostname()
	var o serving
	c.Flags().StringVar(&o.listen, "listen", "127.0.0.1:8457", "address to listen on")
	c.Flags().StringVar(&p.settings.Store, "store", p.settings.Store, "where to remember: sqlite:FILE or postgres://... ($GOLIVE_STORE; default golive.db in the directory of the journals)")
	c.Flags().StringVar(&o.address, "address", "", "where people reach this server, such as https://golive.example.com: notices of an incident have a link there (default: where it listens, if that is one address)")
	c.Flags().StringVar(&o.plans, "plans", "", "directory of plans, or one plan (default: the plan of --plan)")
	c.Flags().BoolVar(&o.acceptPlans, "accept-plans", false, "let callers that may operate send their own plans with golive watch --heartbeat: the commands of such a plan run here when its caller is gone")
	c.Flags().StringVar(&o.tokens, "tokens", "", "file of those who may call: NAME RIGHT,RIGHT sha256:HASH a line ($GOLIVE_TOKENS holds the same lines)")
	c.Flags().StringVar(&o.oidc, "oidc", "", "file of the OpenID Connect issuers whose tokens count, and what each may (golive serve --help)")
	c.Flags().StringVar(&o.cert, "tls-cert", "", "file of the certificate to serve HTTPS with; read again when it changes")
	c.Flags().StringVar(&o.key, "tls-key", "", "file of its key")
	c.Flags().BoolVar(&o.plain, "plain", false, "serve HTTP without TLS beyond this machine: something in front speaks TLS")
	c.Flags().StringVar(&o.node, "node", host, "name of this server, for people and for the others that share its store")
	c.Flags().DurationVar(&o.ttl, "ttl", 15*time.Second, "how long this server may stand still before others take its rollouts")
	c.Flags().IntVar(&o.rate, "rate", 50, "requests a second that one caller may make, for long")
	c.Flags().DurationVar(&o.retain, "retain", 0, "move rollouts that ended longer ago than this from the store into files (0: keep all)")
	c.Flags().StringVar(&o.archive, "archive", "", "directory for those files (default: archive in the directory of the journals)")
	c.Flags().StringVar(&o.logs, "log", "json", "form of the log on stderr: json or text")
	c.RunE = func(c *cobra.Command, _ []string) error { return p.serve(c.Context(), o) }
	c.AddCommand(p.tokenCommand())
	return c
}

func (p *program) tokenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "token NAME RIGHT,RIGHT",
		Short: "Make a token that lets a caller in",
		Long: `token makes a secret for a caller, and the line for the file of --tokens that lets it in. The line, on stdout, holds a
hash; the secret is shown this once, on stderr, and kept nowhere. Rights: view (read), hook (what deploy tools send), operate (open, hold, roll back ...),
approve (proceed without enough evidence; sign off and stand down without being in the roster of the plan).`,
		Example: `  golive serve token flagger hook >>tokens`,
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			rights, err := server.ParseRights(args[1])
			if err != nil {
				return fail(exitUsage, "%w", err)
			}
			secret, line := server.NewToken(args[0], rights)
			if _, err := server.ParseTokens(line); err != nil {
				return fail(exitUsage, "%w", err)
			}
			if p.settings.Output == asJSON {
				return p.answerAbout(nil, map[string]string{"token": secret, "line": line})
			}
			fmt.Fprintln(p.out, line)
			fmt.Fprintf(p.err, "the token of %s, shown this once: %s\n", args[0], secret)
			return nil
		},
	}
}

// serve runs a server until a signal ends it.
func (p *program) serve(ctx context.Context, o serving) error {
	log, err := p.log(o.logs)
	if err != nil {
		return err
	}
	if err := errors.Join(o.check(), p.settings.signed()); err != nil {
		return err
	}
	access, err := p.access(o)
	if err != nil {
		return err
	}
	listener, scheme, err := listenFor(o, access)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // it is closed with the web server before
	plans, err := server.ReadPlans(p.plansOf(o))
	switch {
	case err != nil && len(plans.All()) == 0:
		return fail(exitUsage, "%w", err)
	case err != nil:
		log.Error("some plans are wrong, and not used", "error", err)
	}
	for _, chosen := range plans.All() { // nothing that people write is to hold a secret of any
		p.secrets.of(chosen.Plan, p.env)
	}
	at := p.settings.Store
	if at == "" {
		at = "sqlite:" + filepath.Join(p.settings.Journal, "golive.db")
	}
	kept, err := store.Open(ctx, at)
	if err != nil {
		return fail(exitInternal, "%w", err)
	}
	defer func() { _ = kept.Close() }() // every record is on the disk already
	p.guarding.Lock()                   // a signal ends it in its own way
	defer p.guarding.Unlock()
	key, err := p.linkKey(log)
	if err != nil {
		return err
	}
	address := reachedAt(o.address, scheme, listener.Addr())
	if address == "" {
		log.Info("notices have no link by which an incident can be taken on: say --address, and they have")
	}
	tracer, flush, err := p.tracer(ctx, o.node, log)
	if err != nil {
		log.Error("there are no traces", "error", err) // rollouts are guarded all the same
	}
	defer flush()
	s := server.New(server.Options{
		Tracer: tracer,
		Store:  kept, Plans: plans, Parts: p.partsElsewhere, Node: o.node, TTL: o.ttl, Version: version(), Log: log, Access: access,
		AcceptPlans: o.acceptPlans, PerSecond: o.rate,
		Report: p.storyOf, Remember: p.remembering(ctx, log), Address: address, LinkKey: key,
		Evidence: func(sha string) (io.ReadCloser, error) { return p.evidenceDir().Open(sha) }, Clean: p.secrets.hide,
	})
	waits := waitsOf(kept, o)
	gate, err := p.gate(s.Desk(), waits, o.ttl, log)
	if err != nil {
		return err
	}
	s.Hooks = p.hooks(s.Desk(), log, gate)
	web := server.HTTP(s.Handler())
	web.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	web.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	fmt.Fprintf(p.out, "golive serves on %s://%s/\n", scheme, listener.Addr())
	log.Info("serving", "address", listener.Addr().String(), "scheme", scheme, "node", o.node, "version", version(), "plans", len(plans.All()), "guarded", access.Guarded())
	run, end := context.WithCancel(ctx)
	defer end()
	guarded := make(chan struct{})
	go func() { s.Run(run); close(guarded) }()
	answered := gated(run, gate, waits, log)
	go p.retain(run, kept, o, log)
	select {
	case err = <-ended:
		err = fail(exitInternal, "the server cannot listen any more: %w", err)
	case <-ctx.Done():
		err = nil
	}
	end()
	<-guarded
	<-answered
	// Hooks are heard to the last: they are durable, and another server goes on with them.
	goodbye, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	if stopped := web.Shutdown(goodbye); stopped != nil {
		_ = web.Close() // who follows events comes back to another server
	}
	log.Info("stopped; rollouts go on in another server, or when this one is started again")
	p.answered = p.ears.heard()
	return err
}

// log writes for machines unless it is to write for people.
func (p *program) log(form string) (*slog.Logger, error) {
	switch form {
	case "json":
		return slog.New(slog.NewJSONHandler(p.err, nil)), nil
	case "text":
		return slog.New(slog.NewTextHandler(p.err, nil)), nil
	}
	return nil, fail(exitUsage, "--log is json or text, not %q", form)
}

// plansOf is where the plans are.
func (p *program) plansOf(o serving) string {
	if o.plans != "" {
		return o.plans
	}
	return p.settings.Plan
}

// leastTTL is how short a time a server may stand still: in a shorter one a machine that is busy loses its rollouts.
const leastTTL = 3 * time.Second

// check says what of the flags makes no sense.
func (o serving) check() error {
	_, port, err := net.SplitHostPort(o.listen)
	switch {
	case err != nil || port == "":
		return fail(exitUsage, "--listen is HOST:PORT, such as 127.0.0.1:8457 or :8457, and %q is not", o.listen)
	case o.address != "" && !addressShape.MatchString(o.address):
		return fail(exitUsage, "--address is like https://golive.example.com, and %q is not", o.address)
	case o.ttl < leastTTL:
		return fail(exitUsage, "--ttl is %s or more, not %s: others would take the rollouts of a server that is busy", leastTTL, o.ttl)
	case o.rate < 1:
		return fail(exitUsage, "--rate is 1 or more, not %d: nobody could ask", o.rate)
	}
	return nil
}

// access says who may call. Beyond this machine nobody may whom the server does not know.
func (p *program) access(o serving) (server.Access, error) {
	lines, _ := p.env.Lookup("GOLIVE_TOKENS")
	tokens, err := server.ParseTokens(lines)
	if err != nil {
		return server.Access{}, fail(exitUsage, "GOLIVE_TOKENS: %w", err)
	}
	if o.tokens != "" {
		text, err := readAtMost(o.tokens, planHolds)
		if err != nil {
			return server.Access{}, fail(exitUsage, "read the tokens: %w", err)
		}
		more, err := server.ParseTokens(string(text))
		if err != nil {
			return server.Access{}, fail(exitUsage, "%s: %w", o.tokens, err)
		}
		for _, t := range more {
			if slices.ContainsFunc(tokens, func(other server.Token) bool { return other.Name == t.Name }) {
				return server.Access{}, fail(exitUsage, "%s and GOLIVE_TOKENS both hold a token of %s: give each its own name, which stands in the journal", o.tokens, t.Name)
			}
		}
		tokens = append(tokens, more...)
	}
	if o.tokens != "" && len(tokens) == 0 {
		return server.Access{}, fail(exitUsage, "%s lets nobody in: it holds no token. golive serve token NAME RIGHT,RIGHT >>%s makes one", o.tokens, quote(o.tokens))
	}
	access := server.Access{Tokens: tokens}
	if o.oidc != "" {
		text, err := readAtMost(o.oidc, planHolds)
		if err != nil {
			return access, fail(exitUsage, "read the issuers: %w", err)
		}
		if access.Issuers, err = server.ParseIssuers(text, p.env.Lookup); err != nil {
			return access, fail(exitUsage, "%s: %w", o.oidc, err)
		}
	}
	access.CookieKey, _ = p.env.Lookup("GOLIVE_COOKIE_KEY")
	if err := server.CheckCookieKey(access.CookieKey); err != nil {
		return access, fail(exitUsage, "GOLIVE_COOKIE_KEY: %w", err)
	}
	access.Open = len(tokens) == 0 && len(access.Issuers) == 0
	if access.Open && !loopback(o.listen) {
		return access, fail(exitUsage, `--listen %s would let everybody who can reach it roll back and open releases.
Make a token for each caller:  golive serve token ci hook,operate,view >> tokens
and name the file:             golive serve --listen %s --tokens tokens`, o.listen, quote(o.listen))
	}
	return access, nil
}

// loopback says that an address can be reached from this machine alone.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// listenFor begins to listen.
func listenFor(o serving, access server.Access) (net.Listener, string, error) {
	secured := o.cert != "" || o.key != ""
	switch {
	case secured && (o.cert == "" || o.key == ""):
		return nil, "", fail(exitUsage, "--tls-cert and --tls-key go together")
	case !secured && access.Guarded() && !loopback(o.listen) && !o.plain:
		return nil, "", fail(exitUsage, "--listen %s without TLS would show every token on the network: say --tls-cert and --tls-key, or --plain if something in front of golive speaks TLS", o.listen)
	}
	var config *tls.Config
	if secured {
		pair := &keyPair{cert: o.cert, key: o.key}
		if _, err := pair.load(nil); err != nil {
			return nil, "", fail(exitUsage, "%w", err)
		}
		config = &tls.Config{GetCertificate: pair.load, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return nil, "", fail(exitUsage, "%w", err)
	}
	if config != nil {
		return tls.NewListener(listener, config), "https", nil
	}
	return listener, "http", nil
}

// partsElsewhere makes what a plan names, with the ledger that lies beside it.
func (p *program) partsElsewhere(ctx context.Context, plan *guard.Plan) (engine.Parts, func(), error) {
	p.secrets.of(plan, p.env) // a plan of before, or one that a client has sent, may know others than those of today
	beside := p.beside(plan)
	parts, letGo, err := beside.parts(ctx, plan)
	if err != nil {
		err = errors.New(beside.secrets.name(err.Error()))
	}
	return parts, letGo, err
}

// beside is golive as if it had been called with a plan. What its parts learn of secrets it keeps to itself.
func (p *program) beside(plan *guard.Plan) *program {
	q := &program{in: strings.NewReader(""), out: io.Discard, err: p.err, env: p.env, settings: p.settings, ears: p.ears}
	q.settings.Plan = plan.File()
	return q
}

// storyOf tells the story of a rollout as golive explain does.
func (p *program) storyOf(plan *guard.Plan, events []guard.Event) string {
	var text bytes.Buffer
	q := p.beside(plan)
	q.out, q.settings.Output = &text, asText
	state := guard.Fold(plan, events)
	if err := q.explainHistory(&history{Path: state.Release.ID + journal.Extension, Plan: plan, Events: events, State: state}); err != nil {
		return "the story cannot be told: " + err.Error()
	}
	return text.String()
}

// retain moves what ended long ago into files, now and every hour.
func (p *program) retain(ctx context.Context, kept *store.Store, o serving, log *slog.Logger) {
	if o.retain <= 0 {
		return
	}
	dir := o.archive
	if dir == "" {
		dir = filepath.Join(p.settings.Journal, "archive")
	}
	for again := time.NewTicker(time.Hour); ; {
		n, err := kept.Archive(ctx, time.Now().Add(-o.retain), dir)
		switch {
		case err != nil && ctx.Err() == nil:
			log.Error("rollouts could not be moved into files", "directory", dir, "error", err)
		case n > 0:
			log.Info("moved rollouts into files", "directory", dir, "rollouts", n)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}
