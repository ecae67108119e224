package nginx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins/internal/run"
)

// Instances lists the servers of both upstreams, as nginx -T reads them from its configuration; what nginx runs is the
// same once it was reloaded. Servers that are down are left out. A server with a name in place of an IP address is an
// error, for only nginx knows which addresses it found when it started; so is one that has a socket.
func (b *Backend) Instances(ctx context.Context, r guard.Release) (all []guard.Instance, err error) {
	args := []string{"-T", "-q"}
	if b.config != "" {
		args = append(args, "-c", b.config)
	}
	dump, err := run.Command{Program: b.program, Args: args, Timeout: b.timeout, Limit: 16 << 20}.Run(ctx)
	if err != nil {
		return nil, fmt.Errorf("nginx does not show its configuration: %w", err)
	}
	words := tokens(string(dump.Answer))
	for _, arm := range []struct {
		arm      guard.Arm
		upstream guard.Template
	}{{guard.Canary, b.canary}, {guard.Baseline, b.stable}} {
		if arm.arm == guard.Baseline && r.First() {
			continue
		}
		name, err := upstream(arm.upstream, r)
		if err != nil {
			return nil, err
		}
		addresses, err := serversOf(words, name)
		if err != nil {
			return nil, fmt.Errorf("the upstream %s in the configuration of nginx: %w", name, err)
		}
		for _, address := range addresses {
			all = append(all, guard.Instance{Arm: arm.arm, Address: address})
		}
	}
	return all, nil
}

// serversOf are the addresses of the servers of one upstream.
func serversOf(words []string, upstream string) (addresses []string, err error) {
	found := false
	for i := 0; i+2 < len(words); i++ {
		if words[i] != "upstream" || words[i+1] != upstream || words[i+2] != "{" {
			continue
		}
		if found {
			return nil, errors.New("it is there twice")
		}
		found = true
		for i += 3; i < len(words) && words[i] != "}"; i++ {
			end := i + max(0, slices.Index(words[i:], ";"))
			directive := words[i:end]
			i = end
			switch {
			case len(directive) == 0:
				return nil, errors.New("it does not end")
			case directive[0] == "include":
				return nil, fmt.Errorf("it includes %s, where golive does not look for servers", strings.Join(directive[1:], " "))
			case directive[0] != "server" || slices.Contains(directive, "down"):
				continue
			case len(directive) < 2:
				return nil, errors.New("it has a server without address")
			}
			address, err := addressOf(directive[1])
			if err != nil {
				return nil, err
			}
			addresses = append(addresses, address)
		}
	}
	if !found {
		return nil, errors.New("it is not there")
	}
	return addresses, nil
}

// addressOf is the address of a server, whose port is 80 unless it says otherwise.
func addressOf(server string) (string, error) {
	if host, err := netip.ParseAddr(strings.Trim(server, "[]")); err == nil {
		return net.JoinHostPort(host.String(), "80"), nil
	}
	if _, err := netip.ParseAddrPort(server); err != nil {
		return "", fmt.Errorf("its server %s is no IP address (write one, or let scrape find the instances by dns+)", server)
	}
	return server, nil
}

// tokens are the words of a configuration, and its braces and semicolons. Where nginx would read something else, in
// blocks of another language, there is no upstream to find.
func tokens(text string) (words []string) {
	word, quote, inWord := strings.Builder{}, rune(0), false
	end := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	comment, escaped := false, false
	for _, r := range text {
		switch {
		case comment:
			comment = r != '\n'
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case strings.ContainsRune(" \t\r\n", r):
			end()
		case r == '#' && !inWord:
			comment = true
		case (r == '"' || r == '\'') && !inWord:
			quote, inWord = r, true
		case r == ';' || r == '}', r == '{' && !strings.HasSuffix(word.String(), "$"):
			end()
			words = append(words, string(r))
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	end()
	return words
}
