package plugins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/runner"
)

// A child is the program of a plugin under go-plugin. It is the head of a process group, which ends with it, and one
// end of a pipe is its standard input, where it sees golive end, even by kill -9.
type child struct {
	path    string
	options Options
	log     listener
	exited  chan struct{} // closed once the program has ended and all that it wrote was read

	cmd            *exec.Cmd
	stdout, stderr *os.File
	hold           io.Closer // the other end of its standard input
	sockets        string    // directory for its socket, which this user alone can enter
	ended          chan struct{}
	cause          error // how it ended, once ended is closed

	mu      sync.Mutex
	process *os.Process // while it runs
	killed  bool
	greeted string // its handshake, as far as it came
	stray   int    // bytes on standard output after the handshake
}

var _ runner.Runner = (*child)(nil)

func newChild(path string, options Options) *child {
	return &child{
		path: path, options: options, log: listener{tell: options.Log},
		exited: make(chan struct{}), ended: make(chan struct{}),
	}
}

// prepare takes the environment that go-plugin hands to the program, and the directory for its socket.
func (c *child) prepare(_ hclog.Logger, cmd *exec.Cmd, sockets string) (runner.Runner, error) {
	c.sockets = sockets
	c.cmd = exec.Command(c.path)
	c.cmd.Env = append(c.options.environment(), cmd.Env...)
	headGroup(c.cmd)
	var err error
	c.hold, err = c.cmd.StdinPipe()
	return c, err
}

func (c *child) Start(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed {
		return errors.New("it was ended before it began")
	}
	err := c.start()
	if err != nil {
		for _, file := range []io.Closer{c.hold, c.stdout, c.stderr} {
			_ = file.Close() // nobody has written to it
		}
		return err
	}
	c.process = c.cmd.Process
	go c.reap() // Wait waits for it
	return nil
}

func (c *child) start() error {
	stdout, err := pipe(&c.stdout)
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := pipe(&c.stderr)
	if err != nil {
		return err
	}
	defer stderr.Close()
	c.cmd.Stdout, c.cmd.Stderr = stdout, stderr
	if c.options.SHA256 == "" {
		return c.cmd.Start()
	}
	pin, err := newPin(c.path, c.options.SHA256)
	if err != nil {
		return err
	}
	defer pin.file.Close()
	return pin.start(c.cmd)
}

// pipe opens a pipe, stores the end to read from, and returns the other.
func pipe(out **os.File) (in *os.File, err error) {
	*out, in, err = os.Pipe()
	return in, err
}

// reap waits for the program, and ends what it leaves running. A process that has left the group may keep the pipes
// open: they are closed all the same, for nobody else will write what golive waits for.
func (c *child) reap() {
	c.cause = c.cmd.Wait()
	c.mu.Lock()
	endGroup(c.process)
	c.process = nil
	c.mu.Unlock()
	close(c.ended)
	time.AfterFunc(settleTime/2, func() {
		_ = c.stdout.Close() // what was read is all there is
		_ = c.stderr.Close()
	})
}

// Wait is called once what the program wrote was read to its end.
func (c *child) Wait(context.Context) error {
	<-c.ended
	c.log.close()
	close(c.exited)
	return c.cause
}

// Kill ends the program at once, and all that it started.
func (c *child) Kill(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed = true
	if c.process != nil {
		endGroup(c.process)
	}
	return nil
}

// wasKilled says that the program did not end by itself.
func (c *child) wasKilled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.killed
}

func (c *child) Name() string                    { return c.path }
func (c *child) Stdout() io.ReadCloser           { return &greeting{child: c, rest: lines{each: c.log.hear}} }
func (c *child) Stderr() io.ReadCloser           { return c.stderr }
func (c *child) Diagnose(context.Context) string { return "" }

func (c *child) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil || c.cmd.Process == nil {
		return ""
	}
	return strconv.Itoa(c.cmd.Process.Pid)
}

// PluginToHost takes the address out of the handshake. Without TLS it has to be one that nobody else can reach.
func (c *child) PluginToHost(network, address string) (string, string, error) {
	if c.plain() && (network != "unix" || filepath.Dir(address) != filepath.Clean(c.sockets)) {
		return "", "", fmt.Errorf("it listens on %s %s without TLS: that takes a unix socket in the directory that PLUGIN_UNIX_SOCKET_DIR names", network, address)
	}
	return network, address, nil
}

func (c *child) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// handshake are the fields of the program's first line: the version of go-plugin's own protocol, the one of ours, the
// network, the address, "grpc", and the certificate of the server.
func (c *child) handshake() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Split(strings.TrimSpace(c.greeted), "|")
}

// plain says that the program offers no certificate, and so no TLS.
func (c *child) plain() bool {
	fields := c.handshake()
	return len(fields) < 6 || fields[5] == ""
}

// strayBytes is how much the program wrote to its standard output after the handshake.
func (c *child) strayBytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stray
}

// A greeting is the standard output of a program. Its first line, the handshake, is for go-plugin, which would stop
// reading after a line that is too long, and so stop the program; whatever follows is part of the log.
type greeting struct {
	*child
	over bool
	rest lines
}

func (g *greeting) Read(p []byte) (int, error) {
	n, err := g.stdout.Read(p)
	for ; g.over; n, err = g.stdout.Read(p) {
		g.astray(p[:n])
		if err != nil {
			return 0, err
		}
	}
	line, rest, over := bytes.Cut(p[:n], []byte("\n"))
	g.mu.Lock()
	g.greeted += cut(string(line), lineBytes)
	g.mu.Unlock()
	if over {
		g.over = true
		g.astray(rest)
		n -= len(rest)
	}
	return n, err
}

func (g *greeting) Close() error { return g.stdout.Close() }

func (g *greeting) astray(p []byte) {
	g.mu.Lock()
	g.child.stray += len(p)
	g.mu.Unlock()
	_, _ = g.rest.Write(p) // which cannot fail
}
