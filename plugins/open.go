package plugins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
)

// Options say how a plugin is started.
type Options struct {
	SHA256 string     // of the program, hexadecimal; empty: any program of the name
	Env    []string   // names of the variables that it sees, beside PATH, HOME, TMPDIR and LANG
	Log    func(Line) // takes what it writes to its log, one line at a time; it must not wait. nil: nobody does
}

// startTime bounds starting a plugin, and describing and making its parts.
const startTime = 10 * time.Second

// Open starts the plugin with a name, the program golive-plugin-NAME beside golive or on PATH, and returns its
// kit. The plugin lives until stop is called, or golive ends. One that crashes fails the calls under way, and
// is started anew by the next; ctx ends the start alone.
func Open(ctx context.Context, name string, options Options) (kit Kit, stop func(), err error) {
	p, about, err := open(ctx, name, options)
	if err != nil {
		return Kit{}, nil, err
	}
	return about.Kit, p.stop, nil
}

// Describe starts a plugin like Open, asks what it is, and stops it. It may be repeated.
func Describe(ctx context.Context, name string, options Options) (About, error) {
	p, about, err := open(ctx, name, options)
	if err != nil {
		return About{}, err
	}
	p.stop()
	return about, about.read()
}

// An About is what is known of a plugin: from its program, and from what it says itself.
type About struct {
	Name     string   `json:"name"`
	Path     string   `json:"path"`              // of the program
	Bytes    int64    `json:"bytes"`             // of the program
	SHA256   string   `json:"sha256"`            // of the program, hexadecimal
	Protocol int      `json:"protocol"`          // the version that golive and the plugin agreed on
	Speaks   Versions `json:"speaks,omitzero"`   // zero: the plugin was built before there was this question
	KitName  string   `json:"kit,omitempty"`     // what the plugin calls its kit
	Strange  []string `json:"strange,omitempty"` // parts of kinds that this golive does not know: "oracle delphi"
	Kit      Kit      `json:"-"`                 // works until the plugin is stopped
}

func open(ctx context.Context, name string, options Options) (*process, About, error) {
	path, err := Find(name)
	if err != nil {
		return nil, About{}, err
	}
	p := newProcess(name, path, options)
	about, err := p.describe(ctx)
	if err != nil {
		p.stop()
		return nil, About{}, err
	}
	return p, about, nil
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// Named says whether a plugin can have this name.
func Named(name string) bool { return nameForm.MatchString(name) }

// Find looks for the program of a plugin beside golive, and then on PATH. It takes a name and never a path, so
// that a plan from a stranger cannot start whatever it likes.
func Find(name string) (string, error) {
	if !Named(name) {
		return "", fmt.Errorf("plugin %q: a name has small letters, digits and dashes (it is no path)", name)
	}
	program := "golive-plugin-" + name
	self, err := os.Executable()
	if err == nil {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(self), program)); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("plugin %s: there is no program %s beside golive or on PATH (install it there)", name, program)
	}
	return path, nil
}

// environment is what a plugin sees of ours.
func (o Options) environment() []string {
	var env []string
	for _, name := range append([]string{"PATH", "HOME", "TMPDIR", "LANG"}, o.Env...) {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// describe asks the plugin what it has. What this golive does not know of it is told in its log.
func (p *process) describe(ctx context.Context) (About, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("it is not ready after %v", startTime))
	defer cancel()
	answer, err := p.call(ctx, "Describe", request{})
	if err != nil {
		return About{}, err
	}
	said := answer.Catalog
	about := About{Name: p.name, Path: p.path, Protocol: p.running.client.NegotiatedVersion()} // nobody else can start it yet
	about.hear(said)
	if len(about.Strange) > 0 && p.options.Log != nil {
		p.options.Log(Line{"warn", cut("this golive does not know "+strings.Join(about.Strange, ", "), textBytes) + " (upgrade golive to use it)"})
	}
	if err := said.wellFormed(); err != nil {
		return about, fmt.Errorf("plugin %s: %w", p.name, err)
	}
	about.Kit = p.kit(ctx, said)
	return about, nil
}

// hear takes what the plugin says of itself.
func (a *About) hear(said catalog) {
	a.KitName, a.Speaks = said.Name, said.Speaks
	for _, kind := range slices.Sorted(maps.Keys(said.Parts)) {
		if !slices.Contains(kinds, kind) {
			for _, part := range said.Parts[kind] {
				a.Strange = append(a.Strange, kind+" "+part)
			}
		}
	}
}

// kit is what the plugin has, to be used from here.
func (p *process) kit(ctx context.Context, said catalog) Kit {
	kit := Kit{
		Name:      "plugin " + p.name,
		Backends:  makers(ctx, p, "backend", said.Parts, func(r remote, made reply) guard.Backend { return remoteBackend{r, made.Fence} }),
		Sources:   makers(ctx, p, "source", said.Parts, func(r remote, _ reply) guard.Source { return remoteSource{r} }),
		Notifiers: makers(ctx, p, "notifier", said.Parts, func(r remote, _ reply) guard.Notifier { return remoteNotifier{r} }),
		Probes:    makers(ctx, p, "probe", said.Parts, func(r remote, _ reply) guard.Probe { return remoteProbe{r} }),
		Vaults:    makers(ctx, p, "vault", said.Parts, func(r remote, _ reply) guard.Vault { return remoteVault{r} }),
	}
	for _, check := range said.Checks {
		check.Run = func(ctx context.Context, scene guard.Scene) ([]guard.Finding, error) {
			answer, err := p.call(ctx, "Run", request{Check: check.Code, Scene: scene})
			return answer.Findings, err
		}
		kit.Checks = append(kit.Checks, check)
	}
	return kit
}

// makers are those of a kind. What they make is made in the plugin first, so that it can object.
func makers[P any](ctx context.Context, p *process, kind string, parts map[string][]string, near func(remote, reply) P) map[string]func(guard.With) (P, error) {
	ctx = context.WithoutCancel(ctx)
	table := make(map[string]func(guard.With) (P, error))
	for _, name := range parts[kind] {
		table[name] = func(with guard.With) (part P, err error) {
			ctx, cancel := context.WithTimeout(ctx, startTime)
			defer cancel()
			far := remote{p, guard.Part{Use: name, With: with}}
			made, err := p.call(ctx, "Make", request{Kind: kind, Part: far.part})
			if err != nil {
				return part, err
			}
			return near(far, made), nil
		}
	}
	return table
}

// remote is a part in a plugin; each kind of part is one of the types below.
type remote struct {
	process *process
	part    guard.Part
}

func (r remote) call(ctx context.Context, method string, q request) (reply, error) {
	q.Part = r.part
	return r.process.call(ctx, method, q)
}

type (
	remoteBackend struct {
		remote
		fence guard.Fence // that it was made with
	}
	remoteSource   struct{ remote }
	remoteNotifier struct{ remote }
	remoteProbe    struct{ remote }
	remoteVault    struct{ remote }
)

func (r remoteBackend) Inspect(ctx context.Context, release guard.Release) (guard.Standing, error) {
	answer, err := r.call(ctx, "Inspect", request{Release: release})
	if err != nil {
		return guard.Standing{}, err
	}
	if answer.Standing == nil {
		return guard.Standing{}, fmt.Errorf("plugin %s: the answer to Inspect has no standing", r.process.name)
	}
	return answer.Standing.whole(), nil
}

// Fences is what the plugin said when it made the backend.
func (r remoteBackend) Fences() guard.Fence { return r.fence }

func (r remoteBackend) Shift(ctx context.Context, o guard.Order, percent int) error {
	return r.order(ctx, "Shift", request{Order: o, Percent: percent})
}

func (r remoteBackend) Finish(ctx context.Context, o guard.Order) error {
	return r.order(ctx, "Finish", request{Order: o})
}

// order gives an order. One that was given up must not take effect after a later one: its process ends now.
func (r remoteBackend) order(ctx context.Context, method string, q request) error {
	if ctx.Err() != nil {
		return context.Cause(ctx) // nothing was sent
	}
	_, err := r.call(ctx, method, q)
	if err != nil && ctx.Err() != nil {
		r.process.abort()
	}
	return err
}

func (r remoteSource) Read(ctx context.Context, q guard.Query) (guard.Reading, error) {
	answer, err := r.call(ctx, "Read", request{Query: q})
	return answer.Reading, err
}

func (r remoteNotifier) Notify(ctx context.Context, n guard.Notice) (guard.Receipt, error) {
	answer, err := r.call(ctx, "Notify", request{Notice: n})
	return answer.Receipt, err
}

func (r remoteProbe) Probe(ctx context.Context, release guard.Release) (guard.Finding, error) {
	answer, err := r.call(ctx, "Probe", request{Release: release})
	if err != nil {
		return guard.Finding{}, err
	}
	if len(answer.Findings) != 1 {
		return guard.Finding{}, errors.New("plugin " + r.process.name + ": the answer to Probe is not one finding")
	}
	return answer.Findings[0], nil
}

func (r remoteVault) Backups(ctx context.Context) ([]guard.Backup, error) {
	answer, err := r.call(ctx, "Backups", request{})
	return answer.Backups, err
}

func (r remoteVault) Prove(ctx context.Context, want guard.Rung) (guard.Proof, error) {
	answer, err := r.call(ctx, "Prove", request{Rung: want})
	if err != nil {
		return guard.Proof{}, err
	}
	if answer.Proof == nil {
		return guard.Proof{}, fmt.Errorf("plugin %s: the answer to Prove has no proof", r.process.name)
	}
	return *answer.Proof, nil
}
