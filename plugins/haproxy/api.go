package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// api is HAProxy's runtime API: a command in a connection of its own, a text in answer.
type api struct {
	address string        // of a stats socket: a path, or host:port
	timeout time.Duration // of one command
}

// mostAnswer is how long an answer may be, in bytes. A thousand servers take a tenth of it.
const mostAnswer = 1 << 20

// ask sends one command, and returns the answer without the white space around it.
func (a api) ask(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.timeout, fmt.Errorf("no answer within %v", a.timeout))
	defer cancel()
	answer, err := a.exchange(ctx, command)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("haproxy at %s: %w", a.address, err)
	}
	for _, refusal := range []string{"Unknown command", "Permission denied", "Can't find backend", "No such server"} {
		if strings.HasPrefix(answer, refusal) {
			return "", fmt.Errorf("haproxy at %s refuses %q: %s", a.address, command, firstLine(answer))
		}
	}
	return answer, nil
}

// order sends a command whose answer is empty if it was obeyed.
func (a api) order(ctx context.Context, command string) error {
	answer, err := a.ask(ctx, command)
	if err == nil && answer != "" {
		err = fmt.Errorf("haproxy at %s refuses %q: %s", a.address, command, firstLine(answer))
	}
	return err
}

func (a api) exchange(ctx context.Context, command string) (string, error) {
	network := "unix"
	if _, _, err := net.SplitHostPort(a.address); err == nil && !strings.Contains(a.address, "/") {
		network = "tcp"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, a.address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // everything was read, or an error says what was not
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, mostAnswer+1))
	switch {
	case err != nil:
		return "", err
	case len(answer) > mostAnswer:
		return "", fmt.Errorf("the answer to %q is longer than %d bytes", command, mostAnswer)
	case len(answer) == 0: // obeyed or not, HAProxy ends its answer with an empty line
		return "", errors.New("the connection ended without an answer")
	}
	return strings.TrimSpace(string(answer)), nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
