package plugins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

const (
	slowStart = 500 * time.Millisecond // every command that reads a plan waits for its plugins
	endTime   = 5 * time.Second        // for a plugin to end by itself
)

// Verify asks of a plugin what golive relies on, and returns what it learnt and one finding for each question, in
// order. It starts the plugin twice, makes none of its parts, and leaves nothing behind; it may be repeated. A question
// that it could not come to is unknown. The kit that it returns works no more.
func Verify(ctx context.Context, name string, options Options) (About, []guard.Finding) {
	e := &exam{ctx: ctx, about: About{Name: name}, options: options}
	defer e.end()
	for _, q := range []question{
		{"found", "its program is there", "install golive-plugin-" + name + " beside golive or on PATH, and make it executable", e.found},
		{"pinned", "the plan says which program is meant", "look who has changed the program; if the new one is meant, write its SHA-256 in the plan", e.pinned},
		{"handshake", "it starts, and shakes hands", "run it by hand: what it writes to standard error says more", e.handshake},
		{"quick", "it starts quickly", "let it do its work when a part is made, and not at its start", e.quick},
		{"describes", "it says what it has", "build it with a newer github.com/golive-dev/golive, or read plugins/wire.go", e.describes},
		{"names", "its names can be written in a plan", "rename what is named here", e.names},
		{"known", "this golive knows all that it has", "upgrade golive", e.known},
		{"documented", "each of its checks says what it asks", "write a Doc for it: golive explain shows it", e.documented},
		{"silent", "it writes nothing but the handshake to standard output", "write to standard error: standard output belongs to the handshake", e.silent},
		{"shutdown", "it ends when golive has no more use for it", "let its main end after Serve; in another language, end when /plugin.GRPCController/Shutdown is called", e.shutdown},
		{"orphaned", "it ends when golive is gone", "end when standard input is closed: golive holds the other end", e.orphaned},
	} {
		e.ask(q)
	}
	return e.about, e.findings
}

// A question about a plugin. Its answer is what was observed, and what is wrong: nothing, if the answer is fine.
type question struct {
	id, title, remedy string
	answer            func() (observed string, err error)
}

// An exam is one verification of a plugin.
type exam struct {
	ctx      context.Context
	options  Options
	about    About
	process  *process // once it was started
	program  *program // that is looked at
	said     catalog  // once it was asked
	stopped  bool     // the rest cannot be asked
	findings []guard.Finding
}

func (e *exam) ask(q question) {
	f := guard.Finding{ID: "plugin." + q.id, Subject: e.about.Name, Title: q.title, Verdict: guard.Pass}
	if e.stopped {
		f.Verdict, f.Reason, f.Remedy = guard.Unknown, "this could not be asked", "mend what failed before it"
		e.findings = append(e.findings, f)
		return
	}
	observed, err := q.answer()
	f.Observed = observed
	if err != nil {
		f.Verdict, f.Reason, f.Remedy = guard.Fail, strings.TrimPrefix(err.Error(), "plugin "+e.about.Name+": "), q.remedy
	}
	var small flaw
	if errors.As(err, &small) {
		f.Verdict, f.Remedy = guard.Warn, cmp.Or(small.remedy, q.remedy)
	}
	e.findings = append(e.findings, f)
}

// A flaw is wrong, and golive can live with it.
type flaw struct{ reason, remedy string }

func (f flaw) Error() string { return f.reason }

// end leaves nothing behind.
func (e *exam) end() {
	if e.process != nil {
		e.process.stop()
	}
}

// must stops the exam after an answer without which there are no others.
func (e *exam) must(err error) error {
	e.stopped = err != nil
	return err
}

func (e *exam) found() (_ string, err error) {
	if e.about.Path, err = Find(e.about.Name); err == nil {
		err = e.about.read()
	}
	return e.about.Path, e.must(err)
}

func (e *exam) pinned() (string, error) {
	switch {
	case e.options.SHA256 == "":
		return "no sha256", flaw{"whoever can write to PATH decides what runs in its place",
			"write in the plan: plugins: [{name: " + e.about.Name + ", sha256: " + e.about.SHA256 + "}]"}
	case !strings.EqualFold(e.options.SHA256, e.about.SHA256):
		return e.about.SHA256, e.must(fmt.Errorf("%s is another program than the plan means, whose SHA-256 is %s", e.about.Path, e.options.SHA256))
	}
	return e.about.SHA256, nil
}

func (e *exam) handshake() (string, error) {
	e.process = newProcess(e.about.Name, e.about.Path, e.options)
	if err := e.must(e.start()); err != nil {
		return "", err
	}
	e.about.Protocol = e.program.client.NegotiatedVersion()
	over := "mutual TLS"
	if e.program.plain() {
		over = "a socket that this user alone can reach"
	}
	return fmt.Sprintf("version %d of the protocol, over %s", e.about.Protocol, over), nil
}

func (e *exam) start() (err error) {
	ctx, cancel := context.WithTimeoutCause(e.ctx, startTime, fmt.Errorf("it is not ready after %v", startTime))
	defer cancel()
	e.program, err = e.process.start(ctx, false)
	return err
}

func (e *exam) quick() (string, error) {
	took := e.program.took.Round(time.Millisecond)
	if took > slowStart {
		return took.String(), flaw{reason: fmt.Sprintf("more than %v: every command that reads the plan waits for it", slowStart)}
	}
	return took.String(), nil
}

func (e *exam) describes() (string, error) {
	ctx, cancel := context.WithTimeoutCause(e.ctx, startTime, fmt.Errorf("there is no answer after %v", startTime))
	defer cancel()
	answer, err := e.process.call(ctx, "Describe", request{})
	if err := e.must(err); err != nil {
		return "", err
	}
	e.said = answer.Catalog
	e.about.hear(e.said)
	e.about.Kit = e.process.kit(ctx, e.said)
	var has []string
	for _, kind := range kinds {
		for _, name := range e.said.Parts[kind] {
			has = append(has, kind+" "+name)
		}
	}
	for _, check := range e.said.Checks {
		has = append(has, "check "+check.Code)
	}
	if len(has) == 0 && len(e.about.Strange) == 0 {
		return "nothing", errors.New("it has neither parts nor checks")
	}
	return cut(strings.Join(has, ", "), textBytes), nil
}

func (e *exam) names() (string, error) { return "", e.said.wellFormed() }

func (e *exam) known() (string, error) {
	if len(e.about.Strange) > 0 {
		return "", flaw{reason: "it has parts of kinds that this golive does not know: " + cut(strings.Join(e.about.Strange, ", "), textBytes)}
	}
	return "", nil
}

func (e *exam) documented() (string, error) {
	for _, check := range e.said.Checks {
		if strings.TrimSpace(check.Doc) == "" {
			return "", flaw{reason: "the check " + cut(check.Code, 100) + " does not"}
		}
	}
	return "", nil
}

func (e *exam) silent() (string, error) {
	if n := e.program.strayBytes(); n > 0 {
		return fmt.Sprintf("%d bytes", n), errors.New("it has written more: print to standard error")
	}
	return "", nil
}

// shutdown lets it end as golive does.
func (e *exam) shutdown() (string, error) {
	began := time.Now()
	e.process.stop()
	took := time.Since(began).Round(time.Millisecond)
	if e.program.wasKilled() {
		return took.String(), flaw{reason: "it did not end by itself, and was killed"}
	}
	return took.String(), nil
}

// orphaned starts it once more, and lets go of its standard input.
func (e *exam) orphaned() (string, error) {
	if err := e.start(); err != nil {
		return "", err
	}
	began := time.Now()
	_ = e.program.hold.Close() // an error means that it is closed
	select {
	case <-e.program.exited:
		return time.Since(began).Round(time.Millisecond).String(), nil
	case <-time.After(endTime):
		return "", fmt.Errorf("it is still there after %v: it would be left behind whenever golive is killed", endTime)
	case <-e.ctx.Done():
		return "", context.Cause(e.ctx)
	}
}

// read looks at the program of the plugin.
func (a *About) read() error {
	file, err := os.Open(a.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	a.Bytes = info.Size()
	a.SHA256, err = digestOf(file)
	return err
}
