// Package haproxy moves traffic between the servers of an HAProxy backend by their weights, over HAProxy's runtime
// API. Nothing is reloaded, and no connection is cut. It works with HAProxy 2.0 and later.
//
// A weight says where new clients go. Clients that stick to a server, by a cookie or by a stick table, stay with it at
// weight 0 too, so that there is no way back for them: a backend with cookies has none, and a stick table, of which
// HAProxy does not tell here, must not be in the backend.
//
// HAProxy says "ok" with an empty line and everything else with text, and forgets weights when it is reloaded. So
// every weight is read back after it was set, and a state file is kept for the next reload, if one is named.
package haproxy

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/files"
)

// Backend is one backend of an HAProxy. The servers of the new and of the old version are known by their names.
type Backend struct {
	api            api
	name           string
	canary, stable guard.Template
	stateFile      string
	drain          bool
}

var (
	_ guard.Backend = (*Backend)(nil)
	_ guard.Fencer  = (*Backend)(nil)
	_ guard.Lister  = (*Backend)(nil)
)

// NewBackend reads {socket, backend, canary, stable, state_file, finish, timeout}. Socket is the path of a stats
// socket of level admin, or the host:port of one; backend is the name of the backend in HAProxy. Canary and stable are the names
// of the servers that run the new and the old version: a name, or a pattern like v2-*, in which {{.To}} and {{.From}}
// stand for versions. State_file is the file that HAProxy's server-state-file names: it is written after each
// move, for the weights to outlive a reload. Finish is keep, or drain: then the old servers take no new
// connections once they are not needed any more. Timeout bounds one command, 5 seconds unless said otherwise.
func NewBackend(with guard.With) (guard.Backend, error) {
	config := struct {
		Socket    string         `json:"socket"`
		Backend   string         `json:"backend"`
		Canary    guard.Template `json:"canary"`
		Stable    guard.Template `json:"stable"`
		StateFile string         `json:"state_file"`
		Finish    string         `json:"finish"`
		Timeout   guard.Duration `json:"timeout"`
	}{Finish: "keep", Timeout: guard.Duration(5 * time.Second)}
	mistakes := []error{with.Decode(&config)}
	if config.Socket == "" {
		mistakes = append(mistakes, errors.New("socket: missing (the path behind stats socket in haproxy.cfg, or host:port)"))
	}
	if !plain(config.Backend) {
		mistakes = append(mistakes, errors.New("backend: missing, or not the name of a backend (the one behind backend in haproxy.cfg)"))
	}
	for key, pattern := range map[string]guard.Template{"canary": config.Canary, "stable": config.Stable} {
		name, err := guard.Fill(pattern, guard.Release{From: "v1", To: "v2"}.Words())
		if err == nil && name == "" {
			err = errors.New("missing (the servers of that version: a name, or a pattern like v2-*)")
		}
		if _, malformed := path.Match(name, ""); err == nil && malformed != nil {
			err = fmt.Errorf("%q is not a pattern (try v2-*)", name)
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", key, err))
		}
	}
	if config.Finish != "keep" && config.Finish != "drain" {
		mistakes = append(mistakes, fmt.Errorf("finish: %q is neither keep nor drain", config.Finish))
	}
	if config.Timeout <= 0 {
		mistakes = append(mistakes, errors.New("timeout: must be longer than nothing"))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return &Backend{
		api:  api{config.Socket, config.Timeout.Std()},
		name: config.Backend, canary: config.Canary, stable: config.Stable,
		stateFile: config.StateFile, drain: config.Finish == "drain",
	}, nil
}

// Fences is none: HAProxy has no place for the highest order, and obeys whoever sets a weight last.
func (b *Backend) Fences() guard.Fence { return guard.FenceNone }

// Inspect reads the weights, and whether the way back is open: an old server that answers, and the right to set
// weights.
func (b *Backend) Inspect(ctx context.Context, r guard.Release) (guard.Standing, error) {
	pool, err := b.pool(ctx, r)
	if err != nil {
		return guard.Standing{}, err
	}
	percent, exact := pool.percent()
	s := guard.Standing{Percent: percent, Undo: guard.Undo{Open: true}, Shares: pool.shares(), Detail: pool.detail(exact)}
	level, err := b.api.ask(ctx, "show cli level")
	if err != nil {
		return guard.Standing{}, err
	}
	algorithm, sticky, err := b.balance(ctx)
	if err != nil {
		return guard.Standing{}, err
	}
	if algorithm != "roundrobin" {
		s.Shares = []int{100}
		s.Detail = fmt.Sprintf("balance %s does not keep to weights (balance roundrobin does); %s", algorithm, s.Detail)
	}
	switch {
	case level != "admin":
		s.Undo = guard.Undo{Detail: fmt.Sprintf("the socket has the level %s, and setting weights takes level admin", level)}
	case sticky:
		s.Undo = guard.Undo{Detail: "the servers have cookies: whoever has met the new version stays with it, whatever its weight; take cookie out of the backend"}
	case !pool.stable.anyUp():
		s.Undo = guard.Undo{Detail: fmt.Sprintf("no server of %s is up: %s", r.From, pool.stable.states())}
	}
	return s, nil
}

// Shift sets the weights of all servers, those that grow first, and reads them back. It may be repeated.
func (b *Backend) Shift(ctx context.Context, o guard.Order, percent int) error {
	pool, err := b.pool(ctx, o.Release)
	if err != nil {
		return err
	}
	canary, stable, near := weights(percent, len(pool.canary), len(pool.stable))
	if !near {
		return fmt.Errorf("%d%% cannot be had of %d new servers and %d old ones, with weights up to %d", percent, len(pool.canary), len(pool.stable), mostWeight)
	}
	for _, grow := range []bool{true, false} { // for the sum never to be nothing
		for _, arm := range []struct {
			servers servers
			weight  int
		}{{pool.stable, stable}, {pool.canary, canary}} {
			for _, s := range arm.servers {
				if s.weight == arm.weight || (arm.weight > s.weight) != grow {
					continue
				}
				if err := b.api.order(ctx, fmt.Sprintf("set server %s/%s weight %d", b.name, s.name, arm.weight)); err != nil {
					return err
				}
			}
		}
	}
	if pool, err = b.pool(ctx, o.Release); err != nil {
		return err
	}
	if !pool.canary.all(canary) || !pool.stable.all(stable) {
		return fmt.Errorf("the weights were set to %d and %d, and are not that: %s; %s", canary, stable, pool.canary.states(), pool.stable.states())
	}
	return b.keep(ctx)
}

// Finish drains the old servers, if it is to, so that a weight that is set by mistake gives them no traffic.
func (b *Backend) Finish(ctx context.Context, o guard.Order) error {
	pool, err := b.pool(ctx, o.Release)
	if err != nil || !b.drain {
		return err
	}
	if !pool.stable.all(0) {
		return fmt.Errorf("%s has traffic still: %s", o.From, pool.stable.states())
	}
	for _, s := range pool.stable {
		if err := b.api.order(ctx, fmt.Sprintf("set server %s/%s state drain", b.name, s.name)); err != nil {
			return err
		}
	}
	return b.keep(ctx)
}

// keep writes the state file, which HAProxy reads when it is reloaded.
func (b *Backend) keep(ctx context.Context) error {
	if b.stateFile == "" {
		return nil
	}
	state, err := b.api.ask(ctx, "show servers state")
	if err != nil {
		return err
	}
	if err := files.Replace(b.stateFile, []byte(state+"\n")); err != nil {
		return fmt.Errorf("the weights are set, and a reload would forget them: %w", err)
	}
	return nil
}

// balance is how the backend chooses servers, and whether clients stick to one by a cookie.
func (b *Backend) balance(ctx context.Context) (algorithm string, sticky bool, err error) {
	text, err := b.api.ask(ctx, "show stat "+b.name+" 6 -1") // 2: the backend, and 4: its servers
	if err != nil {
		return "", false, err
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil {
		return "", false, fmt.Errorf("haproxy printed %.200q, which is no table: %w", text, err)
	}
	for _, row := range rows[min(1, len(rows)):] {
		for i, column := range rows[0] {
			switch {
			case column == "algo" && row[i] != "":
				algorithm = row[i]
			case column == "cookie" && row[i] != "" && row[1] != "BACKEND":
				sticky = true
			}
		}
	}
	if algorithm == "" {
		return "", false, fmt.Errorf("haproxy does not say how %s balances (show stat has no algo)", b.name)
	}
	return algorithm, sticky, nil
}

// A server is one server of the backend.
type server struct {
	name    string
	address string // host:port; the host is "-" where there is none
	weight  int
	up      bool
	why     string // it is not up
}

type servers []server

// A pool is the backend's servers by version.
type pool struct{ canary, stable servers }

// pool reads the servers, and refuses what would make the shares mean something else: servers of neither version, or
// of both, that have a weight.
func (b *Backend) pool(ctx context.Context, r guard.Release) (p pool, err error) {
	canary, err := guard.Fill(b.canary, r.Words())
	if err != nil {
		return p, err
	}
	stable, err := guard.Fill(b.stable, r.Words())
	if err != nil {
		return p, err
	}
	text, err := b.api.ask(ctx, "show servers state "+b.name)
	if err != nil {
		return p, err
	}
	all, err := parseState(text, b.name)
	if err != nil {
		return p, err
	}
	for _, s := range all {
		isCanary, _ := path.Match(canary, s.name)
		isStable, _ := path.Match(stable, s.name)
		switch {
		case isCanary && isStable:
			return p, fmt.Errorf("the server %s is of both versions: canary is %s, stable is %s", s.name, canary, stable)
		case isCanary:
			p.canary = append(p.canary, s)
		case isStable:
			p.stable = append(p.stable, s)
		case s.weight > 0:
			return p, fmt.Errorf("the server %s is of neither version and has the weight %d: set it to 0, or let canary or stable name it", s.name, s.weight)
		}
	}
	if len(p.canary) == 0 {
		return p, fmt.Errorf("the backend %s has no server %s", b.name, canary)
	}
	if len(p.stable) == 0 {
		return p, fmt.Errorf("the backend %s has no server %s", b.name, stable)
	}
	return p, nil
}

// Instances lists the servers of both versions that are not in maintenance, with the addresses that HAProxy uses now.
func (b *Backend) Instances(ctx context.Context, r guard.Release) (all []guard.Instance, err error) {
	pool, err := b.pool(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, arm := range []struct {
		arm guard.Arm
		servers
	}{{guard.Canary, pool.canary}, {guard.Baseline, pool.stable}} {
		for _, s := range arm.servers {
			if s.why == inMaintenance {
				continue
			}
			if address, err := netip.ParseAddrPort(s.address); err != nil || address.Port() == 0 {
				return nil, fmt.Errorf("haproxy lists the server %s at %s, which is no IP address with a port", s.name, s.address)
			}
			all = append(all, guard.Instance{Arm: arm.arm, Address: s.address})
		}
	}
	return all, nil
}

// inMaintenance is why a server is not up that gets no traffic whatever its weight.
const inMaintenance = "in maintenance"

// parseState reads what show servers state prints: a version, the names of the columns, a line for each server.
func parseState(text, backend string) (all servers, err error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) < 2 || lines[0] != "1" || !strings.HasPrefix(lines[1], "# ") {
		return nil, fmt.Errorf("haproxy printed %.200q, which is no list of servers", text)
	}
	columns := map[string]int{}
	for i, name := range strings.Fields(strings.TrimPrefix(lines[1], "# ")) {
		columns[name] = i
	}
	for _, name := range []string{"be_name", "srv_name", "srv_op_state", "srv_admin_state", "srv_uweight", "srv_addr", "srv_port"} {
		if _, known := columns[name]; !known {
			return nil, fmt.Errorf("haproxy lists servers without %s", name)
		}
	}
	for _, line := range lines[2:] {
		fields := strings.Fields(line)
		if len(fields) != len(columns) {
			return nil, fmt.Errorf("haproxy lists a server in %d columns of %d: %.200q", len(fields), len(columns), line)
		}
		if fields[columns["be_name"]] != backend {
			continue
		}
		s := server{name: fields[columns["srv_name"]], address: net.JoinHostPort(fields[columns["srv_addr"]], fields[columns["srv_port"]])}
		var operational, administrative int
		for column, number := range map[string]*int{"srv_uweight": &s.weight, "srv_op_state": &operational, "srv_admin_state": &administrative} {
			if *number, err = strconv.Atoi(fields[columns[column]]); err != nil || *number < 0 {
				return nil, fmt.Errorf("haproxy lists the server %s with a %s of %.50q", s.name, column, fields[columns[column]])
			}
		}
		switch {
		case administrative&maintenance != 0:
			s.why = inMaintenance
		case administrative&draining != 0:
			s.why = "draining"
		case operational != running:
			s.why = "down"
		default:
			s.up = true
		}
		all = append(all, s)
	}
	return all, nil
}

// What HAProxy's numbers mean, from its management guide.
const (
	running     = 2                         // srv_op_state; 0 is stopped, 1 starting, 3 stopping
	maintenance = 0x01 | 0x02 | 0x04 | 0x20 // srv_admin_state: forced, inherited, from the file, by a name that is not found
	draining    = 0x08 | 0x10               // forced, inherited
)

func (all servers) anyUp() bool {
	for _, s := range all {
		if s.up {
			return true
		}
	}
	return false
}

// all says whether every server has that weight.
func (all servers) all(weight int) bool {
	for _, s := range all {
		if s.weight != weight {
			return false
		}
	}
	return true
}

func (all servers) sum() (sum int) {
	for _, s := range all {
		sum += s.weight
	}
	return sum
}

// states says the weight of each server, and what keeps it from work.
func (all servers) states() string {
	var words []string
	for _, s := range all {
		word := fmt.Sprintf("%s %d", s.name, s.weight)
		if !s.up {
			word += " (" + s.why + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// mostWeight is the greatest weight that HAProxy knows.
const mostWeight = 256

// weights are those of each server of the new and of the old version that come nearest to a share of the new one. With as
// many servers on both sides every share is exact; with many more new ones than old ones, small shares cannot be had.
func weights(percent, canaries, stables int) (canary, stable int, near bool) {
	switch percent {
	case 0:
		return 0, 100, true
	case 100:
		return 100, 0, true
	}
	const nearEnough = 0.005
	best := nearEnough
	for c := 1; c <= mostWeight; c++ {
		// The weight of the old ones that would be exact, and its neighbours.
		exact := float64(c*canaries) * float64(100-percent) / float64(percent*stables)
		for s := max(1, int(exact)); s <= min(mostWeight, int(exact)+1); s++ {
			share := float64(c*canaries) / float64(c*canaries+s*stables)
			if off := abs(share - float64(percent)/100); off < best-1e-12 {
				best, canary, stable = off, c, s
			}
		}
	}
	return canary, stable, canary > 0
}

// shares are those that can be had; nil: all of them.
func (p pool) shares() (shares []int) {
	for percent := 1; percent <= 100; percent++ {
		if _, _, near := weights(percent, len(p.canary), len(p.stable)); near {
			shares = append(shares, percent)
		}
	}
	if len(shares) == 100 {
		return nil
	}
	return shares
}

func abs(x float64) float64 { return max(x, -x) }

// percent is the share of the new version. Exact says that the weights are those that Shift gives for a share, and
// so as near to it as they can be.
func (p pool) percent() (percent int, exact bool) {
	canary, stable := p.canary.sum(), p.stable.sum()
	if canary+stable == 0 {
		return 0, false
	}
	near := (200*canary + canary + stable) / (2 * (canary + stable)) // rounded
	if canary > 0 && stable > 0 {
		near = min(max(near, 1), 99) // a little is not nothing
	}
	for _, asked := range []int{near, near - 1, near + 1} {
		if asked < 0 || asked > 100 {
			continue
		}
		c, s, possible := weights(asked, len(p.canary), len(p.stable))
		if possible && p.canary.all(c) && p.stable.all(s) {
			return asked, true
		}
	}
	return near, false
}

func (p pool) detail(exact bool) string {
	text := p.canary.states() + "; " + p.stable.states()
	if !exact {
		text += "; these are not weights that golive set"
	}
	return text
}

// plain says whether a name can stand in a command.
func plain(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == ';' || r == '/' || r == '\\' || r > '~' })
}
