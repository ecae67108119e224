package plugins

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/golive-dev/golive/guard"
)

// handshake keeps golive and programs that are no plugins apart. Which version of the protocol is spoken, protocol.go
// says.
var handshake = goplugin.HandshakeConfig{
	MagicCookieKey:   "GOLIVE_PLUGIN",
	MagicCookieValue: "golive-dev/golive",
}

// Serve lets golive use the kit, and returns when golive has no more use for it. It is the last line of a plugin's
// main. What the plugin writes to standard error reaches the person who runs golive, with its level if it is the JSON
// of log/slog or hclog. Processes that the plugin has started end with it, unless they leave its process group.
func Serve(kit Kit) {
	if os.Getenv(handshake.MagicCookieKey) != handshake.MagicCookieValue {
		refuse("%s is a plugin of golive, which starts it by itself: name it under plugins: in golive.yaml.", filepath.Base(os.Args[0]))
	}
	if why := spoken.mismatch(); why != "" {
		refuse("%s", why)
	}
	surviveSignals()
	// golive holds the other end of standard input, and lets go of it by ending, in whatever way it ends.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		removeSockets(os.Getenv(goplugin.EnvUnixSocketDir))
		endOwnGroup()
		os.Exit(0)
	}()
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: spoken.sets(bridge{kit: kit}),
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(messageBytes), grpc.MaxSendMsgSize(messageBytes))...)
		},
		Logger: hclog.NewNullLogger(),
	})
}

// refuse ends a program that cannot be a plugin here.
func refuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(2)
}

// removeSockets takes up the directory that golive made for the socket of a plugin, and can remove no more itself.
func removeSockets(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // it is gone
	}
	for _, entry := range entries {
		if entry.Type()&os.ModeSocket != 0 {
			_ = os.Remove(filepath.Join(dir, entry.Name())) // then the directory stays too
		}
	}
	_ = os.Remove(dir) // fails if there is more in it, which is not ours
}

// pluginName is what go-plugin calls the only thing that a program of ours serves.
const pluginName = "kit"

// bridge is both ends of the bridge for go-plugin.
type bridge struct {
	goplugin.NetRPCUnsupportedPlugin
	kit Kit
}

var _ goplugin.GRPCPlugin = bridge{}

// GRPCServer is called in the plugin.
func (b bridge) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(service(), newServer(b.kit))
	return nil
}

// GRPCClient is called in golive.
func (bridge) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// server answers golive out of a kit.
type server struct {
	kit       Kit
	backends  made[guard.Backend]
	sources   made[guard.Source]
	notifiers made[guard.Notifier]
	probes    made[guard.Probe]
	vaults    made[guard.Vault]
}

func newServer(kit Kit) *server {
	return &server{
		kit:       kit,
		backends:  made[guard.Backend]{makers: kit.Backends},
		sources:   made[guard.Source]{makers: kit.Sources},
		notifiers: made[guard.Notifier]{makers: kit.Notifiers},
		probes:    made[guard.Probe]{makers: kit.Probes},
		vaults:    made[guard.Vault]{makers: kit.Vaults},
	}
}

// made holds the parts of one kind, each made when it is first asked for.
type made[P any] struct {
	makers map[string]func(guard.With) (P, error)

	mu    sync.Mutex
	parts map[string]P // by Part as JSON
}

func (m *made[P]) get(part guard.Part) (p P, err error) {
	key, err := json.Marshal(part)
	if err != nil {
		return p, err
	}
	maker := m.makers[part.Use]
	if maker == nil {
		return p, fmt.Errorf("there is no part %q in this plugin", part.Use)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if p, ok := m.parts[string(key)]; ok {
		return p, nil
	}
	p, err = maker(part.With)
	if err != nil {
		return p, err
	}
	if m.parts == nil {
		m.parts = make(map[string]P)
	}
	m.parts[string(key)] = p
	return p, nil
}

func (s *server) describe(context.Context, request) (reply, error) {
	return reply{Catalog: catalog{Name: s.kit.Name, Speaks: spoken, Parts: s.kit.names(), Checks: s.kit.Checks}}, nil
}

func (s *server) make(_ context.Context, q request) (_ reply, err error) {
	switch q.Kind {
	case "backend":
		var b guard.Backend
		if b, err = s.backends.get(q.Part); err == nil {
			return reply{Fence: guard.FenceOf(b)}, nil
		}
	case "source":
		_, err = s.sources.get(q.Part)
	case "notifier":
		_, err = s.notifiers.get(q.Part)
	case "probe":
		_, err = s.probes.get(q.Part)
	case "vault":
		_, err = s.vaults.get(q.Part)
	default:
		err = fmt.Errorf("there is no kind of part called %q", q.Kind)
	}
	return reply{}, err
}

func (s *server) inspect(ctx context.Context, q request) (reply, error) {
	backend, err := s.backends.get(q.Part)
	if err != nil {
		return reply{}, err
	}
	found, err := backend.Inspect(ctx, q.Release)
	return reply{Standing: &standing{found, &found.Percent}}, err
}

func (s *server) shift(ctx context.Context, q request) (reply, error) {
	backend, err := s.backends.get(q.Part)
	if err != nil {
		return reply{}, err
	}
	return reply{}, backend.Shift(ctx, q.Order, q.Percent)
}

func (s *server) finish(ctx context.Context, q request) (reply, error) {
	backend, err := s.backends.get(q.Part)
	if err != nil {
		return reply{}, err
	}
	return reply{}, backend.Finish(ctx, q.Order)
}

func (s *server) read(ctx context.Context, q request) (reply, error) {
	source, err := s.sources.get(q.Part)
	if err != nil {
		return reply{}, err
	}
	reading, err := source.Read(ctx, q.Query)
	return reply{Reading: reading}, err
}

func (s *server) notify(ctx context.Context, q request) (reply, error) {
	notifier, err := s.notifiers.get(q.Part)
	if err != nil {
		return reply{}, err
	}
	receipt, err := notifier.Notify(ctx, q.Notice)
	return reply{Receipt: receipt}, err
}

func (s *server) probe(ctx context.Context, q request) (reply, error) {
	probe, err := s.probes.get(q.Part)
	if err != nil {
		return reply{}, err
	}
	finding, err := probe.Probe(ctx, q.Release)
	return reply{Findings: []guard.Finding{finding}}, err
}

func (s *server) backups(ctx context.Context, q request) (reply, error) {
	vault, err := s.vaults.get(q.Part)
	if err != nil {
		return reply{}, err
	}
	backups, err := vault.Backups(ctx)
	return reply{Backups: backups}, err
}

func (s *server) prove(ctx context.Context, q request) (reply, error) {
	vault, err := s.vaults.get(q.Part)
	if err != nil {
		return reply{}, err
	}
	proof, err := guard.Prove(ctx, vault, q.Rung)
	return reply{Proof: &proof}, err
}

func (s *server) run(ctx context.Context, q request) (reply, error) {
	for _, check := range s.kit.Checks {
		if check.Code == q.Check {
			findings, err := check.Run(ctx, q.Scene)
			return reply{Findings: findings}, err
		}
	}
	return reply{}, fmt.Errorf("there is no check %q in this plugin", q.Check)
}
