package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/server"
)

// addressShape is how the address of a server is written.
var addressShape = regexp.MustCompile(`^https?://[^/\s?#@]+/?$`)

// reachedAt is where people reach a server: as they were told, or where it listens, unless that is every address of the
// machine, of which nobody can tell the one that others use.
func reachedAt(told, scheme string, listens net.Addr) string {
	if told != "" {
		return strings.TrimRight(told, "/")
	}
	tcp, ok := listens.(*net.TCPAddr)
	if !ok || len(tcp.IP) == 0 || tcp.IP.IsUnspecified() {
		return ""
	}
	return scheme + "://" + tcp.String()
}

// linkKeyFile is the name of the file that holds the key which signs the links in notices.
const linkKeyFile = "link.key"

// linkKey is what signs the links in notices: of the environment, where several servers share it, or else made once and
// kept beside the journals, so that links hold through a restart. Where nothing can be kept they hold until the server ends.
func (p *program) linkKey(log *slog.Logger) (string, error) {
	if key, _ := p.env.Lookup("GOLIVE_LINK_KEY"); key != "" {
		if err := server.CheckLinkKey(key); err != nil {
			return "", fail(exitUsage, "GOLIVE_LINK_KEY: %w", err)
		}
		return key, nil
	}
	path := filepath.Join(p.settings.Journal, linkKeyFile)
	text, err := readAtMost(path, planHolds)
	if err == nil {
		key := strings.TrimSpace(string(text))
		if err := server.CheckLinkKey(key); err != nil || key == "" {
			return "", fail(exitUsage, "%s holds no key: remove it, and a new one is made; links of before do not open then", path)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fail(exitInternal, "read the key that signs links: %w", err)
	}
	key := server.NewLinkKey()
	if err := errors.Join(os.MkdirAll(p.settings.Journal, 0o700), os.WriteFile(path, []byte(key+"\n"), 0o600)); err != nil {
		log.Warn("the key that signs links in notices cannot be kept, so that they hold until this server ends: set GOLIVE_LINK_KEY", "error", err)
	}
	return key, nil
}

// remembering writes into the ledger beside a plan what rollouts of a server have led to, as golive rollout does.
func (p *program) remembering(ctx context.Context, log *slog.Logger) func(*guard.Plan, []guard.Entry) {
	ctx = context.WithoutCancel(ctx) // what is known while the server ends is written all the same
	return func(plan *guard.Plan, entries []guard.Entry) {
		beside := p.beside(plan)
		beside.secrets.of(plan, p.env)
		beside.rememberAll(ctx, plan, entries, nil, func(e guard.Entry, err error) {
			e = beside.secrets.entry(e)
			log.Error("this is not in the ledger, so remember it yourself", "service", e.Service, "kind", e.Kind, "says", e.Says, "error", err)
		})
	}
}
