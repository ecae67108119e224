// Package nginx moves traffic between two upstreams of an nginx, through a file of split_clients that is part of its
// configuration. nginx has no way to be told a share while it runs, so each move writes the file and reloads; a
// reload starts new workers, and the old ones answer what they have begun.
//
// What is written is not what is in force: a reload may be refused in a log that nobody reads. So the file also holds
// a small server on the loopback, and what that server answers is what nginx runs. The same server asks the old
// upstream for its health, through nginx itself.
package nginx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/files"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Backend is one split of an nginx.
type Backend struct {
	file           string
	program        string
	config         string
	pid            string
	canary, stable guard.Template
	key            string
	variable       string
	status         string
	health         string
	timeout        time.Duration
}

var (
	_ guard.Backend = (*Backend)(nil)
	_ guard.Fencer  = (*Backend)(nil)
	_ guard.Lister  = (*Backend)(nil)
)

// What may stand in the file that golive writes. Versions come from outside, and must not become configuration.
var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	wordForm   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	keyForm    = regexp.MustCompile(`^[$A-Za-z0-9_.:/-]*\$[$A-Za-z0-9_.:/-]*$`)
	healthForm = regexp.MustCompile(`^/[A-Za-z0-9_./-]*$`)
)

// perRequest is the key by which each request is divided anew.
const perRequest = "$request_id"

// NewBackend reads {file, canary, stable, key, variable, status, health, config, pid, nginx, timeout}. File is what
// golive writes, and nginx.conf includes inside http. Canary and stable are the upstreams of the new and of the old
// version, in which {{.To}} and {{.From}} stand for versions. Key divides the clients: $request_id, unless said
// otherwise, divides requests, and $remote_addr people. Variable is where nginx finds its upstream: golive, so
// proxy_pass is http://$golive. Status is the host:port on the loopback where nginx says what it runs, 127.0.0.1:8458;
// health is the path that the old upstream is asked for, /. Config is nginx.conf, where nginx has it elsewhere than it
// was built for; pid is the file with the number of its process, /run/nginx.pid; nginx is the program, nginx. Timeout
// bounds a reload, 10 seconds.
func NewBackend(with guard.With) (guard.Backend, error) {
	c := struct {
		File     string         `json:"file"`
		Canary   guard.Template `json:"canary"`
		Stable   guard.Template `json:"stable"`
		Key      string         `json:"key"`
		Variable string         `json:"variable"`
		Status   string         `json:"status"`
		Health   string         `json:"health"`
		Config   string         `json:"config"`
		PID      string         `json:"pid"`
		Nginx    string         `json:"nginx"`
		Timeout  guard.Duration `json:"timeout"`
	}{
		Key: perRequest, Variable: "golive", Status: "127.0.0.1:8458", Health: "/",
		PID: "/run/nginx.pid", Nginx: "nginx", Timeout: guard.Duration(10 * time.Second),
	}
	mistakes := []error{with.Decode(&c)}
	reject := func(bad bool, format string, args ...any) {
		if bad {
			mistakes = append(mistakes, fmt.Errorf(format, args...))
		}
	}
	reject(c.File == "", "file: missing (the file that nginx.conf includes inside http, like /etc/nginx/golive/shop.conf)")
	for key, template := range map[string]guard.Template{"canary": c.Canary, "stable": c.Stable} {
		_, err := upstream(template, guard.Release{From: "v1", To: "v2"})
		reject(template == "", "%s: missing (the upstream of that version, by the name behind upstream in nginx.conf)", key)
		reject(template != "" && err != nil, "%s: %v", key, err)
	}
	reject(c.Canary == c.Stable && c.Canary != "", "canary: the upstream of both versions is %s", c.Canary)
	reject(!keyForm.MatchString(c.Key), "key: %q does not divide anything (try $request_id or $remote_addr)", c.Key)
	reject(!wordForm.MatchString(c.Variable), "variable: %q is no name of small letters, digits and underlines", c.Variable)
	reject(!healthForm.MatchString(c.Health), "health: %q is no path (try /healthz)", c.Health)
	reject(!loopback(c.Status), "status: %q is no host:port on the loopback (try 127.0.0.1:8458)", c.Status)
	reject(c.Timeout <= 0, "timeout: must be longer than nothing")
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return &Backend{
		file: c.File, program: c.Nginx, config: c.Config, pid: c.PID, canary: c.Canary, stable: c.Stable,
		key: c.Key, variable: c.Variable, status: c.Status, health: c.Health, timeout: c.Timeout.Std(),
	}, nil
}

// loopback says that only this machine can ask an address.
func loopback(address string) bool {
	host, port, err := net.SplitHostPort(address)
	number, noPort := strconv.ParseUint(port, 10, 16)
	return err == nil && noPort == nil && number > 0 && net.ParseIP(host).IsLoopback()
}

// upstream fills in the name of one.
func upstream(template guard.Template, r guard.Release) (string, error) {
	name, err := guard.Fill(template, r.Words())
	if err == nil && !nameForm.MatchString(name) {
		err = fmt.Errorf("%q is not the name of an upstream (letters, digits, dots, dashes and underlines)", name)
	}
	return name, err
}

// split is the division that an order asks for.
func (b *Backend) split(o guard.Order, percent int) (split, error) {
	canary, err := upstream(b.canary, o.Release)
	if err != nil {
		return split{}, fmt.Errorf("canary: %w", err)
	}
	stable, err := upstream(b.stable, o.Release)
	if err != nil {
		return split{}, fmt.Errorf("stable: %w", err)
	}
	return split{state{Percent: percent, Canary: canary, Stable: stable, Fence: o.Fence, Seq: o.Seq}, b.key, b.variable, b.status, b.health}, nil
}

// Inspect asks nginx what it runs, and tries the way back: the old upstream through nginx, the configuration by
// nginx -t, the right to write the file and to send nginx a signal.
func (b *Backend) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.timeout, fmt.Errorf("no answer within %v", b.timeout))
	defer cancel()
	running, err := b.running(ctx)
	if err != nil {
		return guard.Standing{}, err
	}
	content, err := os.ReadFile(b.file)
	if err != nil {
		return guard.Standing{}, err
	}
	of, err := b.split(guard.Order{Release: r}, 0)
	if err != nil {
		return guard.Standing{}, err
	}
	standing, err := b.standing(ctx, running.state, content, of)
	if err != nil {
		return guard.Standing{}, err
	}
	standing.Undo = b.undo(ctx, running.state, of.Stable)
	return standing, context.Cause(ctx)
}

// standing is the share of what nginx runs, if the file is as golive wrote it, and else the share that it is seen to
// give: whoever edits the file does not edit what nginx says of itself.
func (b *Backend) standing(ctx context.Context, running state, content []byte, of split) (guard.Standing, error) {
	asWritten := of
	if asWritten.state, _ = readState(content); string(content) != asWritten.String() {
		return b.sample(ctx, of)
	}
	percent, err := running.share(of.Canary, of.Stable)
	standing := guard.Standing{Percent: percent}
	if written := asWritten.state; running != written {
		standing.Detail = fmt.Sprintf("%s says %s, and nginx runs %s: it was not reloaded", b.file, written, running)
	}
	return standing, err
}

// samples are so many that a share is known within about 5 points; on the loopback they take a tenth of a second.
const samples = 400

// sample measures the share, when the file is not as golive wrote it.
func (b *Backend) sample(ctx context.Context, s split) (guard.Standing, error) {
	if b.key != perRequest {
		return guard.Standing{}, fmt.Errorf("%s is not as golive writes it, so the share is not known (shift again, or write it as it was)", b.file)
	}
	canary := 0
	for range samples {
		running, err := b.running(ctx)
		switch {
		case err != nil:
			return guard.Standing{}, err
		case running.Arm == s.Canary:
			canary++
		case running.Arm != s.Stable:
			return guard.Standing{}, fmt.Errorf("nginx sends traffic to %q, which is neither %s nor %s", running.Arm, s.Canary, s.Stable)
		}
	}
	percent := (canary*100 + samples/2) / samples
	if 0 < canary && canary < samples {
		percent = min(max(percent, 1), 99) // a little is not nothing
	}
	return guard.Standing{
		Percent: percent,
		Detail:  fmt.Sprintf("%s is not as golive writes it; of %d requests nginx would send %d to %s", b.file, samples, canary, s.Canary),
	}, nil
}

// undo says whether the way back is open.
func (b *Backend) undo(ctx context.Context, running state, stable string) guard.Undo {
	for _, try := range []func() error{
		func() error { return b.alive(ctx, running, stable) },
		func() error { return b.test(ctx) },
		b.writable,
		func() error { return b.signal(0) },
	} {
		if err := try(); err != nil {
			return guard.Undo{Detail: err.Error()}
		}
	}
	return guard.Undo{Open: true}
}

// writable tries to make a file beside the one to write, since that is how it will be replaced.
func (b *Backend) writable() error {
	trial, err := os.CreateTemp(filepath.Dir(b.file), "."+filepath.Base(b.file)+"-")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", b.file, err)
	}
	if err := errors.Join(trial.Close(), os.Remove(trial.Name())); err != nil {
		return err
	}
	lock, err := os.OpenFile(b.lockFile(), os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist): // it will be made
		return nil
	case err != nil:
		return err // it belongs to somebody else
	}
	return lock.Close()
}

func (b *Backend) lockFile() string { return b.file + ".lock" }

// test lets nginx read its whole configuration, as it would at a reload.
func (b *Backend) test(ctx context.Context) error {
	args := []string{"-t", "-q"}
	if b.config != "" {
		args = append(args, "-c", b.config)
	}
	_, err := run.Command{Program: b.program, Args: args, Timeout: b.timeout}.Run(ctx)
	if err != nil {
		return fmt.Errorf("nginx would refuse to reload: %w", err)
	}
	return nil
}

// signal sends one to nginx; 0 only asks whether golive may.
func (b *Backend) signal(signal syscall.Signal) error {
	text, err := os.ReadFile(b.pid)
	if err != nil {
		return fmt.Errorf("pid: %w", err)
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || number < 2 {
		return fmt.Errorf("pid: %s holds %.20q, which is not the number of a process", b.pid, text)
	}
	process, err := os.FindProcess(number)
	if err == nil {
		err = process.Signal(signal)
	}
	if err != nil {
		return fmt.Errorf("nginx (process %d) takes no signal from golive: %w (run golive as the user of nginx)", number, err)
	}
	return nil
}

// Shift writes the file, reloads, and waits until nginx runs what was written. It may be repeated. An order with a
// lower (Fence, Seq) than that of the file is refused.
func (b *Backend) Shift(ctx context.Context, o guard.Order, percent int) error {
	next, err := b.split(o, percent)
	if err != nil {
		return err
	}
	return b.put(ctx, next)
}

// Fences is enforced: the file keeps the highest order, and a lock is held from reading to writing it.
func (b *Backend) Fences() guard.Fence { return guard.FenceEnforced }

// Finish takes the old upstream out of the file, so that it can be taken out of nginx.conf.
func (b *Backend) Finish(ctx context.Context, o guard.Order) error {
	next, err := b.split(o, 100)
	if err != nil {
		return err
	}
	running, err := b.running(ctx)
	if err != nil {
		return err
	}
	if running.sole() != next.Canary {
		return fmt.Errorf("%s has traffic still: nginx runs %s", next.Stable, running.state)
	}
	next.Finished = true
	return b.put(ctx, next)
}

func (b *Backend) put(ctx context.Context, next split) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.timeout, fmt.Errorf("nginx does not run the new share within %v (see its error log)", b.timeout))
	defer cancel()
	info, err := os.Stat(b.file)
	if err != nil {
		return err
	}
	lock := flock.New(b.lockFile(), flock.SetPermissions(info.Mode().Perm()))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	old, err := os.ReadFile(b.file)
	if err != nil {
		return err
	}
	last, err := readState(old)
	if err != nil {
		return fmt.Errorf("%s: %w", b.file, err)
	}
	if next.Fence < last.Fence || next.Fence == last.Fence && next.Seq < last.Seq {
		return fmt.Errorf("the order (%d, %d) comes too late: (%d, %d) was given before", next.Fence, next.Seq, last.Fence, last.Seq)
	}
	if err := files.Replace(b.file, []byte(next.String())); err != nil {
		return err
	}
	if err := b.test(ctx); err != nil { // nginx must be able to start from what is written
		return errors.Join(err, files.Replace(b.file, old))
	}
	if err := b.signal(syscall.SIGHUP); err != nil {
		return err
	}
	return b.settled(ctx, next.state)
}

// settled waits until all workers that take new connections run a state: for some milliseconds both the old and the
// new ones do.
func (b *Backend) settled(ctx context.Context, want state) error {
	const enough, pause = 10, 10 * time.Millisecond
	for streak := 0; streak < enough; streak++ {
		running, err := b.running(ctx)
		if err != nil || running.state != want {
			streak = -1
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// running is what nginx says about itself.
func (b *Backend) running(ctx context.Context) (answer, error) {
	body, _, err := b.get(ctx, "/state")
	if err != nil {
		return answer{}, fmt.Errorf("nginx does not say what it runs: %w", err)
	}
	return parseAnswer(body)
}

// alive asks the old upstream, through nginx.
func (b *Backend) alive(ctx context.Context, running state, stable string) error {
	path := running.asks(stable)
	if path == "" {
		return fmt.Errorf("the old upstream %s is retired: nginx runs %s", stable, running)
	}
	_, status, err := b.get(ctx, path)
	if err == nil && status >= http.StatusInternalServerError {
		err = fmt.Errorf("status %d", status)
	}
	if err != nil {
		return fmt.Errorf("the old upstream %s does not answer %s: %w", stable, b.health, err)
	}
	return nil
}

// get asks the small server, over a connection of its own: one that was kept could lead to an old worker.
func (b *Backend) get(ctx context.Context, path string) (body []byte, status int, err error) {
	const most = 64 << 10
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.status+path, nil)
	if err != nil {
		return nil, 0, err
	}
	response, err := direct.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, 0, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, most))
	return body, response.StatusCode, err
}

var direct = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
