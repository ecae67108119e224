package plugins

import (
	"context"
	"encoding/json"
	"os/exec"
	"slices"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Speak makes this process, golive or a plugin, one of another time.
func Speak(v Versions) (back func()) {
	before := spoken
	spoken = v
	return func() { spoken = before }
}

// A variant is a plugin of another time: its service is changed.
type variant struct {
	bridge
	change func(*grpc.ServiceDesc)
}

func (v variant) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	desc := service()
	v.change(desc)
	s.RegisterService(desc, newServer(v.kit))
	return nil
}

func (v variant) serve() {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: map[int]goplugin.PluginSet{1: {pluginName: v}},
		GRPCServer:       func(o []grpc.ServerOption) *grpc.Server { return grpc.NewServer(o...) },
		Logger:           hclog.NewNullLogger(),
	})
}

// ServeOlder is a plugin from before there were calls of these names.
func ServeOlder(kit Kit, without ...string) {
	variant{bridge{kit: kit}, func(desc *grpc.ServiceDesc) {
		desc.Methods = slices.DeleteFunc(desc.Methods, func(m grpc.MethodDesc) bool { return slices.Contains(without, m.MethodName) })
	}}.serve()
}

// ServeNewer is a plugin of a time to come: its answers have fields, and it has parts, that this golive does not know.
// Nor does it watch its standard input.
func ServeNewer(kit Kit) {
	variant{bridge{kit: kit}, func(desc *grpc.ServiceDesc) {
		for i, m := range desc.Methods {
			handler := m.Handler
			desc.Methods[i].Handler = func(s any, ctx context.Context, decode func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
				answer, err := handler(s, ctx, decode, chain)
				if err != nil {
					return nil, err
				}
				text, err := json.Marshal(answer)
				if err != nil {
					return nil, err
				}
				var fields map[string]any
				if err := json.Unmarshal(text, &fields); err != nil {
					return nil, err
				}
				fields["weather"] = map[string]any{"sky": "blue"}
				if said, ok := fields["catalog"].(map[string]any); ok {
					said["parts"].(map[string]any)["oracle"] = []string{"delphi", "dodona"}
					said["motto"] = "know thyself"
				}
				if standing, ok := fields["standing"].(map[string]any); ok {
					standing["mood"] = "calm"
				}
				return fields, nil
			}
		}
	}}.serve()
}

// StartPinned starts a program that was pinned; between the two, something happens to it.
func StartPinned(cmd *exec.Cmd, digest string, between func()) error {
	p, err := newPin(cmd.Path, digest)
	if err != nil {
		return err
	}
	defer p.file.Close()
	between()
	return p.start(cmd)
}

// The limits of a log.
const (
	LineBytes      = lineBytes
	TextBytes      = textBytes
	LinesPerSecond = linesPerSecond
)
