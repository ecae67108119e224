package plugins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A plugin that crashes is started again by the next call, but not for ever.
const (
	crashes    = 3 // within crashTime
	crashTime  = time.Minute
	settleTime = time.Second // between a broken connection and the exit status of the program
)

// A process is a plugin that runs, or will run at the next call.
type process struct {
	name    string
	path    string
	options Options

	turn    chan struct{} // holds one token while the fields below are in use; unlike a mutex it heeds a context
	running *program
	crashed []time.Time // within crashTime
}

// A program is one run of a plugin.
type program struct {
	*child
	client *goplugin.Client
	conn   *grpc.ClientConn
}

// call asks the plugin. Its errors are what the plugin said, or how it ended.
func (p *process) call(ctx context.Context, method string, q request) (reply, error) {
	answer, err := p.ask(ctx, method, q)
	if err == nil {
		err = answer.check(q)
	}
	if err != nil {
		return reply{}, fmt.Errorf("plugin %s: %w", p.name, err)
	}
	return answer, nil
}

func (p *process) ask(ctx context.Context, method string, q request) (answer reply, err error) {
	program, err := p.start(ctx)
	if err != nil {
		return reply{}, err
	}
	err = program.conn.Invoke(ctx, "/"+serviceName+"/"+method, q, &answer, grpc.CallContentSubtype(codecName))
	if err == nil {
		return answer, nil
	}
	if ctx.Err() != nil {
		return reply{}, context.Cause(ctx)
	}
	said := status.Convert(err)
	if said.Code() != codes.Unavailable && said.Code() != codes.Canceled {
		return reply{}, errors.New(said.Message())
	}
	select {
	case <-program.exited:
		return reply{}, fmt.Errorf("it ended during the call%s", program.lastWords())
	case <-time.After(settleTime):
		return reply{}, errors.New(said.Message())
	}
}

// start returns the running program, after starting it if need be.
func (p *process) start(ctx context.Context) (*program, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if p.running != nil {
		select {
		case <-p.running.exited:
			p.running.client.Kill() // takes up what it left
			p.running = nil
			p.crashed = append(p.crashed, time.Now())
		default:
			return p.running, nil
		}
	}
	for len(p.crashed) > 0 && time.Since(p.crashed[0]) > crashTime {
		p.crashed = p.crashed[1:]
	}
	if len(p.crashed) > crashes {
		return nil, fmt.Errorf("it crashed %d times within %v, and is left alone until %s",
			len(p.crashed), crashTime, p.crashed[0].Add(crashTime).Format(time.TimeOnly))
	}
	started, err := launch(ctx, p.path, p.options)
	if err != nil {
		return nil, err
	}
	p.running = started
	return started, nil
}

// stop lets the program come to its end, and ends it if that takes too long. The next call starts it again.
func (p *process) stop() { p.end(func(*program) {}) }

// abort ends the program at once, in the middle of whatever it does.
func (p *process) abort() {
	p.end(func(running *program) { _ = running.Kill(context.Background()) }) // an error means that it has ended
}

func (p *process) end(first func(*program)) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if p.running != nil {
		first(p.running)
		p.running.client.Kill()
		p.running = nil
	}
}

// launch starts a program and connects to it.
func launch(ctx context.Context, path string, options Options) (*program, error) {
	if err := options.verify(path); err != nil {
		return nil, err
	}
	run := newChild(path, options)
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          goplugin.PluginSet{pluginName: bridge{}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     startTime,
		Logger:           hclog.NewNullLogger(),
		Stderr:           &lines{each: run.hear},
		SyncStderr:       &lines{each: run.hear},
		SyncStdout:       &lines{each: run.hear},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithIdleTimeout(0),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytes), grpc.MaxCallSendMsgSize(messageBytes)),
		},
		RunnerFunc: run.prepare,
	})
	end := context.AfterFunc(ctx, func() { _ = run.Kill(context.Background()) })
	defer end()
	conn, err := connect(client)
	if err != nil {
		client.Kill()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if said, garbage := strings.CutPrefix(err.Error(), "Unrecognized remote plugin message: "); garbage {
			return nil, fmt.Errorf("%s is no plugin of golive: it answers %q instead of the handshake%s", path, firstLine(said), run.lastWords())
		}
		return nil, fmt.Errorf("start %s: %w%s", path, err, run.lastWords())
	}
	return &program{child: run, client: client, conn: conn}, nil
}

func connect(client *goplugin.Client) (*grpc.ClientConn, error) {
	protocol, err := client.Client()
	if err != nil {
		return nil, err
	}
	conn, err := protocol.Dispense(pluginName)
	if err != nil {
		return nil, err
	}
	return conn.(*grpc.ClientConn), nil
}

// child is a program under go-plugin. It holds the other end of the program's standard input, so that the
// program sees golive end, even by kill -9.
type child struct {
	path    string
	options Options
	exited  chan struct{} // closed once the program has ended

	cmd            *exec.Cmd
	stdout, stderr io.ReadCloser
	hold           io.Closer // the other end of its standard input

	mu      sync.Mutex
	process *os.Process // once it has begun
	killed  bool
	words   string // last line of the program, or the first of its panic
	panic   bool
}

var _ runner.Runner = (*child)(nil)

func newChild(path string, options Options) *child {
	return &child{path: path, options: options, exited: make(chan struct{})}
}

// prepare takes the environment that go-plugin hands to the program.
func (c *child) prepare(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
	c.cmd = exec.Command(c.path)
	c.cmd.Env = append(c.options.environment(), cmd.Env...)
	var err error
	if c.stdout, err = c.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if c.stderr, err = c.cmd.StderrPipe(); err != nil {
		return nil, err
	}
	c.hold, err = c.cmd.StdinPipe()
	return c, err
}

func (c *child) Start(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed {
		return errors.New("it was ended before it began")
	}
	if err := c.cmd.Start(); err != nil {
		return err
	}
	c.process = c.cmd.Process
	return nil
}

func (c *child) Wait(context.Context) error {
	defer close(c.exited)
	return c.cmd.Wait()
}

func (c *child) Kill(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed = true
	if c.process == nil {
		return nil
	}
	if err := c.process.Kill(); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

func (c *child) Name() string                    { return c.path }
func (c *child) Stdout() io.ReadCloser           { return c.stdout }
func (c *child) Stderr() io.ReadCloser           { return c.stderr }
func (c *child) Diagnose(context.Context) string { return "" }

func (c *child) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return ""
	}
	return strconv.Itoa(c.process.Pid)
}

func (c *child) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (c *child) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// hear takes a line that the program writes.
func (c *child) hear(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.options.Log != nil {
		c.options.Log(line)
	}
	if !c.panic && strings.TrimSpace(line) != "" {
		c.words = line
		c.panic = strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")
	}
}

func (c *child) lastWords() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.words == "" {
		return ""
	}
	return fmt.Sprintf(" (its last words: %.300s)", c.words)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// lines cuts what is written into lines.
type lines struct {
	each func(string)
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			break
		}
		l.each(string(line))
		l.rest = rest
	}
	if len(l.rest) > 64<<10 {
		l.each(string(l.rest))
		l.rest = nil
	}
	return len(p), nil
}
