package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sethvargo/go-envconfig"

	"github.com/golive-dev/golive/guard"
)

// secrets are the values that a plan took from the environment. Whatever comes back from a part is told only
// after clean has put ${NAME} in the place of each: errors, findings, the output of commands. The zero value
// knows none, and still takes out what looks like a secret (guard.Redact), whoever's it is.
type secrets struct {
	mu      sync.Mutex
	known   []secret // the longest first
	replace *strings.Replacer
}

// A secret is one way in which a text may hold a value.
type secret struct{ text, name string }

const (
	shortest    = 4 // a shorter value is in too many words, and too easily guessed, to be one
	shortestCut = 8 // a shorter piece of one tells little
)

// from looks names up in the environment, and remembers what it says.
func (s *secrets) from(env envconfig.Lookuper) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		value, set := env.Lookup(name)
		if set {
			s.remember("${"+name+"}", value)
		}
		return value, set
	}
}

// of looks up all that a plan names, before anything is told: whatever is asked first, and of whom, no answer can
// hold a value that nobody knows yet.
func (s *secrets) of(plan *guard.Plan, env envconfig.Lookuper) {
	lookup := s.from(env)
	for _, name := range variablesOf(plan) {
		lookup(name)
	}
}

// variablesOf are the variables of the environment that a plan names, as ${NAME} or for a plugin, each once.
func variablesOf(plan *guard.Plan) (names []string) {
	note := func(name string) (string, bool) {
		names = append(names, name)
		return "", true
	}
	_, _ = guard.With(tree(plan).(map[string]any)).Expand(note) // what is wrong with a name, its part says
	for _, plugin := range plan.Plugins {
		names = append(names, plugin.Env...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *secrets) remember(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range disguises(value) {
		if len(text) >= shortest && !slices.ContainsFunc(s.known, func(k secret) bool { return k.text == text }) {
			s.known = append(s.known, secret{text, name})
		}
	}
	slices.SortStableFunc(s.known, func(a, b secret) int { return len(b.text) - len(a.text) })
	var pairs []string
	for _, k := range s.known {
		pairs = append(pairs, k.text, k.name)
	}
	s.replace = strings.NewReplacer(pairs...)
}

// disguises are the forms that a value takes on in addresses, in quotes, in JSON and line by line; of an address
// also the pieces that are told without the rest.
func disguises(value string) []string {
	forms := []string{value, strings.TrimSpace(value), url.QueryEscape(value), url.PathEscape(value), (&url.URL{Path: value}).EscapedPath()}
	if unescaped, err := url.PathUnescape(value); err == nil {
		forms = append(forms, unescaped)
	}
	if address, err := url.Parse(value); err == nil && address.Host != "" {
		password, _ := address.User.Password()
		forms = append(forms, address.Path, address.EscapedPath(), address.RawQuery, password)
	}
	if lines := strings.Split(value, "\n"); len(lines) > 1 {
		for _, line := range lines {
			if line = strings.TrimSpace(line); len(line) >= shortestCut {
				forms = append(forms, line)
			}
		}
	}
	for _, form := range slices.Clone(forms) {
		quoted := strconv.Quote(form)
		asJSON, err := json.Marshal(form)
		if err != nil {
			panic(err) // every string is JSON
		}
		forms = append(forms, quoted[1:len(quoted)-1], string(asJSON[1:len(asJSON)-1]), guard.Printable(form))
	}
	return forms
}

// clean makes a text from outside fit to be told: without secrets, and without anything that a terminal obeys.
func (s *secrets) clean(text string) string { return guard.Printable(s.hide(text)) }

// hide puts ${NAME} in the place of each secret that it knows, and guard.Redacted in that of what looks like another one. It
// leaves the text otherwise as it is.
func (s *secrets) hide(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replace != nil {
		text = s.replace.Replace(text)
		for _, k := range s.known {
			text = k.hideCut(text)
		}
	}
	return guard.Redact(text)
}

// name is clean for what stands in the middle of a line, so that nobody can write a line of golive's story.
func (s *secrets) name(text string) string { return strings.ReplaceAll(s.clean(text), "\n", " ") }

// hideCut hides the rest of a secret where a long text was cut in the middle of it: before dots or the quote at
// its end, after the dots at its beginning.
func (k secret) hideCut(text string) string {
	for _, mark := range []string{"...", "…", `"`} {
		if !strings.Contains(text, mark) {
			continue
		}
		pieces := strings.Split(text, mark)
		for i := range pieces {
			for n := len(k.text) - 1; n >= shortestCut; n-- {
				if before, cut := strings.CutSuffix(pieces[i], k.text[:n]); cut && i < len(pieces)-1 {
					pieces[i] = before + k.name
				}
				if after, cut := strings.CutPrefix(pieces[i], k.text[len(k.text)-n:]); cut && i > 0 {
					pieces[i] = k.name + after
				}
			}
		}
		text = strings.Join(pieces, mark)
	}
	return text
}

func (s *secrets) error(err error) error {
	if err == nil {
		return nil
	}
	said := cleaned{text: s.clean(err.Error())}
	for _, end := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, end) {
			said.end = end
		}
	}
	return said
}

// A cleaned error tells no secrets. Of what it wrapped, which still does, it keeps only that the time was over.
type cleaned struct {
	text string
	end  error // of a context; nil: it was something else
}

func (c cleaned) Error() string { return c.text }
func (c cleaned) Unwrap() error { return c.end }

func (s *secrets) findings(findings []guard.Finding) []guard.Finding {
	cleaned := slices.Clone(findings)
	for i := range cleaned {
		f := &cleaned[i]
		for _, text := range []*string{&f.Code, &f.ID, &f.Subject, &f.Title} {
			*text = s.name(*text)
		}
		for _, text := range []*string{&f.Reason, &f.Remedy, &f.Expected, &f.Observed, &f.Path} {
			*text = s.clean(*text)
		}
		f.Evidence = s.evidence(f.Evidence)
	}
	return cleaned
}

// evidence cleans what findings and proofs rest on.
func (s *secrets) evidence(all []guard.Evidence) []guard.Evidence {
	all = slices.Clone(all)
	for i := range all {
		e := &all[i]
		e.Asked, e.Answer, e.Digest = s.clean(e.Asked), s.clean(e.Answer), s.clean(e.Digest)
	}
	return all
}

// entry cleans what a ledger is to remember. The service and the environment are those of the plan, by which the
// entry is found again; digests hold nothing.
func (s *secrets) entry(e guard.Entry) guard.Entry {
	for _, text := range []*string{&e.Kind, &e.Subject, &e.By, &e.ID, &e.Settles} {
		*text = s.name(*text)
	}
	e.Says, e.Evidence = s.clean(e.Says), s.evidence(e.Evidence)
	if len(e.Handed) > 0 {
		handed := map[string]bool{}
		for name, got := range e.Handed {
			handed[s.name(name)] = got
		}
		e.Handed = handed
	}
	if e.Proof != nil {
		proof := s.proof(*e.Proof)
		e.Proof = &proof
	}
	if e.Exercise != nil {
		exercise := s.exercise(*e.Exercise)
		e.Exercise = &exercise
	}
	return e
}

// exercise cleans every text of a drill that does not stand in golive itself.
func (s *secrets) exercise(e guard.Exercise) guard.Exercise {
	e.Before, e.After, e.Undone = s.findings(e.Before), s.findings(e.After), s.findings(e.Undone)
	e.Injects, e.Timeline, e.Participants = slices.Clone(e.Injects), slices.Clone(e.Timeline), slices.Clone(e.Participants)
	for i := range e.Injects {
		in := &e.Injects[i]
		in.What, in.Expected, in.Observed = s.clean(in.What), s.clean(in.Expected), s.clean(in.Observed)
	}
	for i := range e.Timeline {
		m := &e.Timeline[i]
		m.Who, m.What = s.name(m.Who), s.clean(m.What)
	}
	for i := range e.Participants {
		p := &e.Participants[i]
		p.Role, p.Name = s.name(p.Role), s.name(p.Name)
	}
	for _, texts := range []*[]string{&e.Objectives, &e.Deviations, &e.Findings, &e.Feedback} {
		*texts = slices.Clone(*texts)
		for i := range *texts {
			(*texts)[i] = s.clean((*texts)[i])
		}
	}
	e.Scope, e.By, e.Aborted = s.clean(e.Scope), s.name(e.By), s.clean(e.Aborted)
	return e
}

func (s *secrets) proof(p guard.Proof) guard.Proof {
	p.Backup.ID, p.Flaw = s.name(p.Backup.ID), s.clean(p.Flaw)
	p.Evidence = s.evidence(p.Evidence)
	return p
}

// readings cleans the names of instances, and remarks; every other text of a reading is one that golive asked for.
func (s *secrets) readings(readings []guard.Reading) []guard.Reading {
	cleaned := slices.Clone(readings)
	for i := range cleaned {
		cleaned[i].Source = s.name(cleaned[i].Source)
		cleaned[i].Remarks = slices.Clone(cleaned[i].Remarks)
		for j, remark := range cleaned[i].Remarks {
			cleaned[i].Remarks[j] = s.name(remark)
		}
		cleaned[i].Series = slices.Clone(cleaned[i].Series)
		for j := range cleaned[i].Series {
			series := &cleaned[i].Series[j]
			series.Instance = s.name(series.Instance)
		}
	}
	return cleaned
}

// keepQuiet makes a part tell no secrets, whoever made it. Each kind of part has one of the types below.
func keepQuiet[T any](s *secrets, made T) T {
	switch part := any(&made).(type) {
	case *guard.Backend:
		*part = s.backend(*part)
	case *guard.Source:
		*part = s.source(*part)
	case *guard.Notifier:
		*part = quietNotifier{*part, s}
	case *guard.Probe:
		*part = quietProbe{*part, s}
	case *guard.Vault:
		if prover, climbs := (*part).(guard.Prover); climbs {
			*part = quietProver{quietVault{*part, s}, prover}
		} else {
			*part = quietVault{*part, s}
		}
	case *guard.Collector:
		*part = quietCollector{*part, s}
	case *guard.Restorer:
		*part = quietRestorer{*part, s}
	default:
		panic(fmt.Sprintf("nobody knows which secrets a %T tells", made))
	}
	return made
}

// backend keeps a backend quiet, and lets it still list its instances.
func (s *secrets) backend(part guard.Backend) guard.Backend {
	quiet := quietBackend{part, s}
	if lister, lists := part.(guard.Lister); lists {
		return struct {
			quietBackend
			quietLister
		}{quiet, quietLister{lister, s}}
	}
	return quiet
}

// source keeps a source quiet, and lets it still be what else it is.
func (s *secrets) source(part guard.Source) guard.Source {
	quiet := quietSource{part, s}
	past, remembers := part.(guard.Historian)
	clock, tellsTime := part.(guard.Clock)
	switch {
	case remembers && tellsTime:
		return struct {
			quietSource
			quietHistorian
			quietClock
		}{quiet, quietHistorian{past, s}, quietClock{clock, s}}
	case remembers:
		return struct {
			quietSource
			quietHistorian
		}{quiet, quietHistorian{past, s}}
	case tellsTime:
		return struct {
			quietSource
			quietClock
		}{quiet, quietClock{clock, s}}
	}
	return quiet
}

type (
	quietBackend struct {
		part    guard.Backend
		secrets *secrets
	}
	quietLister struct {
		lister  guard.Lister
		secrets *secrets
	}
	quietSource struct {
		part    guard.Source
		secrets *secrets
	}
	quietHistorian struct {
		past    guard.Historian
		secrets *secrets
	}
	quietClock struct {
		clock   guard.Clock
		secrets *secrets
	}
	quietNotifier struct {
		part    guard.Notifier
		secrets *secrets
	}
	quietProbe struct {
		part    guard.Probe
		secrets *secrets
	}
	quietVault struct {
		part    guard.Vault
		secrets *secrets
	}
	quietProver struct {
		quietVault
		climbs guard.Prover
	}
	quietCollector struct {
		part    guard.Collector
		secrets *secrets
	}
	quietRestorer struct {
		part    guard.Restorer
		secrets *secrets
	}
)

func (q quietBackend) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	standing, err := q.part.Inspect(ctx, r)
	standing.Detail, standing.Undo.Detail = q.secrets.name(standing.Detail), q.secrets.name(standing.Undo.Detail)
	return standing, q.secrets.error(err)
}

func (q quietBackend) Shift(ctx context.Context, o guard.Order, percent int) error {
	return q.secrets.error(q.part.Shift(ctx, o, percent))
}

func (q quietBackend) Finish(ctx context.Context, o guard.Order) error {
	return q.secrets.error(q.part.Finish(ctx, o))
}

func (q quietBackend) Fences() guard.Fence { return guard.FenceOf(q.part) }

// Instances leaves the addresses as they are: a source has to find what is there, and tells of it through its readings.
func (q quietLister) Instances(ctx context.Context, r guard.Release) ([]guard.Instance, error) {
	instances, err := q.lister.Instances(ctx, r)
	return instances, q.secrets.error(err)
}

func (q quietSource) Read(ctx context.Context, query guard.Query) (guard.Reading, error) {
	reading, err := q.part.Read(ctx, query)
	return q.secrets.readings([]guard.Reading{reading})[0], q.secrets.error(err)
}

func (q quietHistorian) History(ctx context.Context, query guard.Query, from, to time.Time, step time.Duration) ([]guard.Reading, error) {
	readings, err := q.past.History(ctx, query, from, to, step)
	return q.secrets.readings(readings), q.secrets.error(err)
}

func (q quietClock) Skew(ctx context.Context, r guard.Release) (guard.Skew, error) {
	skew, err := q.clock.Skew(ctx, r)
	return skew, q.secrets.error(err)
}

func (q quietNotifier) Notify(ctx context.Context, n guard.Notice) (guard.Receipt, error) {
	receipt, err := q.part.Notify(ctx, n)
	receipt.Detail = q.secrets.name(receipt.Detail)
	receipt.Handed = slices.Clone(receipt.Handed)
	for i := range receipt.Handed {
		h := &receipt.Handed[i]
		h.Name, h.Role, h.Way, h.Problem = q.secrets.name(h.Name), q.secrets.name(h.Role), q.secrets.name(h.Way), q.secrets.name(h.Problem)
	}
	return receipt, q.secrets.error(err)
}

func (q quietProbe) Probe(ctx context.Context, r guard.Release) (guard.Finding, error) {
	finding, err := q.part.Probe(ctx, r)
	return q.secrets.findings([]guard.Finding{finding})[0], q.secrets.error(err)
}

func (q quietVault) Backups(ctx context.Context) ([]guard.Backup, error) {
	backups, err := q.part.Backups(ctx)
	backups = slices.Clone(backups)
	for i := range backups {
		backups[i].ID = q.secrets.name(backups[i].ID)
	}
	return backups, q.secrets.error(err)
}

// scene is a scene whose answers tell no secrets. All but the texts of files come from parts, which keep quiet.
func (s *secrets) scene(scene guard.Scene) guard.Scene {
	ask := scene.Ask
	scene.Ask = func(ctx context.Context, q guard.Question) (guard.Answer, error) {
		answer, err := ask(ctx, q)
		answer.Text = s.hide(answer.Text)
		return answer, s.error(err)
	}
	return scene
}

func (q quietProver) Prove(ctx context.Context, want guard.Rung) (guard.Proof, error) {
	proof, err := q.climbs.Prove(ctx, want)
	return q.secrets.proof(proof), q.secrets.error(err)
}

// Collect leaves what it brings as it is: whoever keeps that takes the secrets out, and counts them.
func (q quietCollector) Collect(ctx context.Context, r guard.Release) ([]byte, error) {
	content, err := q.part.Collect(ctx, r)
	return content, q.secrets.error(err)
}

func (q quietRestorer) Ready(ctx context.Context) (guard.Finding, error) {
	finding, err := q.part.Ready(ctx)
	return q.secrets.findings([]guard.Finding{finding})[0], q.secrets.error(err)
}

// Restore refuses a backup whose name was cleaned of a secret: the part would find none of that name, and call that
// a flaw.
func (q quietRestorer) Restore(ctx context.Context, b guard.Backup, into string) (guard.Proof, error) {
	if strings.Contains(b.ID, "${") || strings.Contains(b.ID, guard.Redacted) {
		return guard.Proof{}, fmt.Errorf("the name of the backup %s holds a secret, and so nobody can be told which one to restore", b.ID)
	}
	proof, err := q.part.Restore(ctx, b, into)
	return q.secrets.proof(proof), q.secrets.error(err)
}

// check is a check whose findings tell no secrets: one of a plugin can learn them from its parts.
func (s *secrets) check(c guard.Check) guard.Check {
	run := c.Run
	c.Run = func(ctx context.Context, scene guard.Scene) ([]guard.Finding, error) {
		findings, err := run(ctx, scene)
		return s.findings(findings), s.error(err)
	}
	return c
}
