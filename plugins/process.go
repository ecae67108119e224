package plugins

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A plugin that crashes is started again by the next call. After too many crashes questions are refused, and orders
// wait: one of them may be the way back, which a minute of refusals could cost.
const (
	crashes    = 3 // within crashTime
	crashTime  = time.Minute
	longPause  = 5 * time.Second // before a start for an order, at most
	settleTime = time.Second     // between a broken connection and the exit status of the program
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

func newProcess(name, path string, options Options) *process {
	return &process{name: name, path: path, options: options, turn: make(chan struct{}, 1)}
}

// A program is one run of a plugin.
type program struct {
	*child
	client *goplugin.Client
	conn   *grpc.ClientConn
	took   time.Duration // its start, up to the connection
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
	program, err := p.start(ctx, method == "Shift" || method == "Finish")
	if err != nil {
		return reply{}, err
	}
	err = program.conn.Invoke(ctx, "/"+serviceName+"/"+method, q, &answer, grpc.CallContentSubtype(codecName))
	if err == nil {
		return answer, nil
	}
	said := status.Convert(err)
	if said.Code() == codes.DeadlineExceeded && ctx.Err() == nil {
		// gRPC's own timer is a moment ahead of the context's, and whoever asked wants to see that time is over.
		select {
		case <-ctx.Done():
		case <-time.After(settleTime):
		}
	}
	if ctx.Err() != nil {
		return reply{}, context.Cause(ctx)
	}
	if said.Code() == codes.Unimplemented {
		return reply{}, fmt.Errorf("it does not know the call %s: it was built for another golive than this one (upgrade the plugin)", method)
	}
	if said.Code() != codes.Unavailable && said.Code() != codes.Canceled {
		return reply{}, errors.New(said.Message())
	}
	select {
	case <-program.exited:
		return reply{}, fmt.Errorf("it ended during the call%s", program.log.lastWords())
	case <-time.After(settleTime):
		return reply{}, errors.New(said.Message())
	}
}

// start returns the running program, after starting it if need be.
func (p *process) start(ctx context.Context, order bool) (*program, error) {
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
	if extra := len(p.crashed) - crashes; extra > 0 {
		if !order {
			return nil, fmt.Errorf("it crashed %d times within %v, and is left alone until %s: only orders start it before",
				len(p.crashed), crashTime, p.crashed[0].Add(crashTime).Format(time.TimeOnly))
		}
		pause := min(time.Duration(extra)*time.Second, longPause)
		select {
		case <-time.After(time.Until(p.crashed[len(p.crashed)-1].Add(pause))):
		case <-ctx.Done():
			return nil, fmt.Errorf("it crashed %d times within %v: %w", len(p.crashed), crashTime, context.Cause(ctx))
		}
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
	run := newChild(path, options)
	config := &goplugin.ClientConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: spoken.sets(bridge{}),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		// Where sockets are in a directory of this user, TLS keeps nobody out, and making its keys is half of a start.
		// A plugin that offers a certificate all the same is held to it.
		AutoMTLS:     runtime.GOOS == "windows",
		TLSConfig:    &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS12},
		SkipHostEnv:  true,
		StartTimeout: startTime,
		Logger:       hclog.NewNullLogger(),
		Stderr:       &lines{each: run.log.hear},
		SyncStderr:   &lines{each: run.log.hear},
		SyncStdout:   &lines{each: run.log.hear},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithIdleTimeout(0),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytes), grpc.MaxCallSendMsgSize(messageBytes)),
		},
		RunnerFunc: run.prepare,
	}
	client := goplugin.NewClient(config)
	end := context.AfterFunc(ctx, func() { _ = run.Kill(context.Background()) }) // which has no error
	defer end()
	began := time.Now()
	_, err := client.Start()
	if err == nil && run.plain() {
		config.TLSConfig = nil // PluginToHost has seen to its socket
	}
	var conn *grpc.ClientConn
	if err == nil {
		conn, err = connect(client)
	}
	if err != nil {
		client.Kill()
		_ = os.RemoveAll(run.sockets) // go-plugin leaves it behind a program that never began
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, run.explain(err)
	}
	return &program{child: run, client: client, conn: conn, took: time.Since(began)}, nil
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

// explain says why a program did not start, in words of ours where go-plugin has others.
func (c *child) explain(err error) error {
	fields := c.handshake()
	if len(fields) >= 2 {
		if why := spoken.refuses(fields[1]); why != "" {
			return fmt.Errorf("start %s: %s%s", c.path, why, c.log.lastWords())
		}
	}
	if said, garbage := strings.CutPrefix(err.Error(), "Unrecognized remote plugin message: "); garbage {
		said, _, _ = strings.Cut(said, "\n")
		return fmt.Errorf("%s is no plugin of golive: it answers %q instead of the handshake%s", c.path, cut(said, 300), c.log.lastWords())
	}
	return fmt.Errorf("start %s: %w%s", c.path, err, c.log.lastWords())
}
