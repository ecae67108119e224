// Package releases moves traffic between versions that lie side by side in directories of releases, on one host or on
// several: a symbolic link, current, says which of them a host runs, and a supervisor runs it.
//
//	/srv/shop/releases/v1     as it was unpacked
//	/srv/shop/releases/v2
//	/srv/shop/current      -> releases/v2
//
// The share of a version is that of the hosts that run it, so several hosts can give some shares, and one host all or
// nothing. Whoever sends the traffic to the hosts has to send each its part, as its weight says.
//
// Neither a link nor a supervisor that says "ok" shows what runs. So the process itself is looked at, in /proc: it has to
// be a new one, of the release that was asked for, and to stay. Its program, or its working directory, tells of which
// release it is: a program that is started by an interpreter has to be started in current.
//
// On each host, two small files beside current keep the highest order and lock it while something is changed: an order
// that comes too late changes nothing.
package releases

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/client"
)

// Backend is the hosts of a service.
type Backend struct {
	hosts         []host
	sshConfig     string
	run           string   // the program of a release, seen from its directory
	files         []string // what else has to be in a release
	supervisor    string
	config        string // of supervisorctl
	sudo          bool
	restart, pid  string // commands, if the supervisor is "command"
	settle        time.Duration
	stop, timeout time.Duration
	atOnce, keep  int
	health        *http.Client
}

var (
	_ guard.Backend = (*Backend)(nil)
	_ guard.Fencer  = (*Backend)(nil)
)

// Inspect looks at what each host runs. A host counts as one of To as soon as it runs To, or will after its next restart
// because current points there. The way back is open if all hosts could go back now: From is there, whole, and whatever
// has to be written and asked may be.
//
// That a host cannot be looked at is an error, and so is one that has to do with neither version.
func (b *Backend) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	if err := versions(r); err != nil {
		return guard.Standing{}, err
	}
	states, err := b.look(ctx, r)
	if err != nil {
		return guard.Standing{}, err
	}
	var strange []error
	var bars, gaps []string // what bars the way back, and what is missing for the way forward
	on, ordered := 0, true  // the weight of To, and whether it has the first hosts
	for i, h := range b.hosts {
		s := states[i]
		strange = append(strange, named(h, s.strange(r)))
		if s.touches(r.To) {
			on += h.weight
			ordered = ordered && (i == 0 || states[i-1].touches(r.To))
		}
		for _, bar := range s.bars {
			bars = append(bars, h.name+": "+bar)
		}
		if what := s.lacks[r.From]; what != "" {
			bars = append(bars, h.name+": "+what)
		}
		if what := s.lacks[r.To]; what != "" {
			gaps = append(gaps, h.name+": "+what)
		}
	}
	if err := errors.Join(strange...); err != nil {
		return guard.Standing{}, err
	}
	standing := guard.Standing{Percent: share(on, b.weight()), Shares: b.shares(), Undo: guard.Undo{Open: len(bars) == 0, Detail: strings.Join(bars, "; ")}}
	if r.First() {
		standing.Undo = guard.Undo{Detail: "the first release has nothing to go back to"}
	}
	standing.Detail = strings.Join(append([]string{b.where(states)}, gaps...), "; ")
	if !ordered {
		standing.Detail += "; golive would have chosen other hosts"
	}
	return standing, nil
}

// Shift gives To the first hosts whose weights make the share, at_once at a time, each verified before the next is
// touched; then From the others, all at once. It may be repeated. If something fails on the way up, no further host is touched;
// on the way back each host is tried, whatever became of others. The error says where each host stands.
func (b *Backend) Shift(ctx context.Context, o guard.Order, percent int) error {
	if err := versions(o.Release); err != nil {
		return err
	}
	chosen, can := b.choose(percent)
	switch {
	case !can:
		return fmt.Errorf("%d%% cannot be had of these hosts, only %v", percent, b.shares())
	case o.First() && chosen < len(b.hosts):
		return errors.New("the first release gets all hosts at once: there is nothing that the others could run")
	}
	var states []state
	if chosen > 0 { // a way back waits for nobody: a host that hangs must not keep the others
		var err error
		if states, err = b.look(ctx, o.Release); err != nil {
			return err
		}
	}
	var up, rest []int // the hosts, by number: to be switched to To with care, and all others
	for i := range b.hosts {
		if i < chosen && !states[i].on(o.To) {
			if what := states[i].lacks[o.To]; what != "" {
				return fmt.Errorf("%s: %s", b.hosts[i].name, what)
			}
			up = append(up, i)
		} else {
			rest = append(rest, i)
		}
	}
	put := func(i int) error {
		if i < chosen {
			return b.put(ctx, b.hosts[i], o, o.To)
		}
		return b.put(ctx, b.hosts[i], o, o.From)
	}
	for batch := range slices.Chunk(up, b.atOnce) {
		if err := each(batch, put); err != nil {
			return b.partly(ctx, o.Release, err)
		}
	}
	if err := each(rest, put); err != nil {
		return b.partly(ctx, o.Release, err)
	}
	return nil
}

// Fences is enforced: each host keeps the highest order in a file, and compares and sets it under a lock.
func (b *Backend) Fences() guard.Fence { return guard.FenceEnforced }

// Finish removes old releases, but the newest ones, both versions, and what is in use. It may be repeated.
func (b *Backend) Finish(ctx context.Context, o guard.Order) error {
	if err := versions(o.Release); err != nil {
		return err
	}
	return each(b.all(), func(i int) error {
		ctx, cancel := b.limit(ctx)
		defer cancel()
		_, err := b.order(ctx, b.hosts[i], o, "prune", strconv.Itoa(b.keep), o.From, o.To)
		return named(b.hosts[i], err)
	})
}

// limit gives one host its time.
func (b *Backend) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, b.timeout, fmt.Errorf("not done after %v", b.timeout))
}

// order has a host do what an order says.
func (b *Backend) order(ctx context.Context, h host, o guard.Order, verb string, args ...string) (state, error) {
	return b.ask(ctx, h, verb, append([]string{strconv.FormatInt(o.Fence, 10), strconv.FormatInt(o.Seq, 10)}, args...)...)
}

// look looks at all hosts. With an error too it returns the states, in the order of the hosts; of a host that could not
// be seen it is empty.
func (b *Backend) look(ctx context.Context, r guard.Release) ([]state, error) {
	states := make([]state, len(b.hosts))
	err := each(b.all(), func(i int) (err error) {
		ctx, cancel := b.limit(ctx)
		defer cancel()
		states[i], err = b.ask(ctx, b.hosts[i], "look", r.To, r.From)
		return named(b.hosts[i], err)
	})
	if err != nil {
		err = fmt.Errorf("%w (now %s)", err, b.where(states))
	}
	return states, err
}

// partly adds to what went wrong where each host stands, if there is time to find out.
func (b *Backend) partly(ctx context.Context, r guard.Release, err error) error {
	if ctx.Err() != nil {
		return err
	}
	states, unseen := b.look(ctx, r)
	if unseen != nil {
		return fmt.Errorf("%w; %w", err, unseen)
	}
	return fmt.Errorf("%w (now %s)", err, b.where(states))
}

// where says where each host stands.
func (b *Backend) where(states []state) string {
	words := make([]string, len(states))
	for i, s := range states {
		words[i] = b.hosts[i].name + " " + s.String()
		if s.pid == "" {
			words[i] = b.hosts[i].name + " is not known"
		}
	}
	return strings.Join(words, "; ")
}

// pause is between two looks at a host that is being switched.
const pause = 200 * time.Millisecond

// put lets a host run a release, and waits until it does: a new process if one was asked for, of that release, that
// lives and is healthy.
func (b *Backend) put(ctx context.Context, h host, o guard.Order, release string) error {
	ctx, cancel := b.limit(ctx)
	defer cancel()
	old, err := b.order(ctx, h, o, "switch", release)
	if err != nil {
		return named(h, fmt.Errorf("switch to %s: %w", release, err))
	}
	asked := time.Now()
	killed := false
	var why error                                        // it is not done
	known := errors.New("nobody has seen how it stands") // the last reason that was not the end of the time
	var now state
	var since time.Time // for which the right process has been seen
	for {
		last := now
		now, why = b.ask(ctx, h, "look", release)
		if why == nil {
			switch stale := old.restarted && old.pid != "0" && now.pid == old.pid && now.start == old.start; {
			case stale && !killed && time.Since(asked) > b.stop:
				killed = true
				_, why = b.order(ctx, h, o, "kill", old.pid, old.start)
			case stale:
				why = fmt.Errorf("the old process %s does not end", old.pid)
			case now.link != release: // by hand, or by a later order
				return named(h, fmt.Errorf("switch to %s: somebody else let current point to %s", release, now.link))
			case !now.on(release) && !old.restarted: // a restart that was under way then has brought up another one since
				why = errors.New("it " + now.String())
				if old, err = b.order(ctx, h, o, "switch", release); err != nil {
					why = err
				}
				asked = time.Now()
			case !now.on(release):
				why = errors.New("it " + now.String())
			default:
				why = b.well(ctx, h)
			}
		}
		switch {
		case why != nil:
			since = time.Time{}
		case since.IsZero() || now.pid != last.pid || now.start != last.start:
			since = time.Now()
		case time.Since(since) >= b.settle:
			return nil
		}
		if why != nil && ctx.Err() == nil {
			known = why
		}
		select {
		case <-ctx.Done():
			return named(h, fmt.Errorf("switch to %s: %w: %w", release, context.Cause(ctx), known))
		case <-time.After(pause):
		}
	}
}

// well asks for the health of a host, if it has an address for it. Errors do not quote the address, which may hold a secret.
func (b *Backend) well(ctx context.Context, h host) error {
	if h.health == "" {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, client.Defaults().Timeout.Std(), errors.New("no answer"))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.health, nil)
	if err != nil {
		return errors.New("health: the address cannot be used")
	}
	response, err := client.Do(b.health, request)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("health: it answers %s", response.Status)
	}
	return nil
}

// named says which host an error is of.
func named(h host, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", h.name, err)
}

// all are the numbers of all hosts.
func (b *Backend) all() []int {
	all := make([]int, len(b.hosts))
	for i := range all {
		all[i] = i
	}
	return all
}

// each does something with several hosts at once, and returns all errors.
func each(hosts []int, do func(i int) error) error {
	errs := make([]error, len(hosts))
	var doing sync.WaitGroup
	for n, i := range hosts {
		doing.Go(func() { errs[n] = do(i) })
	}
	doing.Wait()
	return errors.Join(errs...)
}
