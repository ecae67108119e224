// Shop is a small web shop with everything a release needs: versions that differ, a proxy that shares the
// traffic between them, and clients. It stands in for a real service in demos and end-to-end tests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

const usage = `Shop is a small web shop to practise releases on.

Usage:
  shop serve --version NAME [--listen ADDR] [--errors 2%] [--slow 5%] [--latency 20ms] [--announce]
  shop proxy [--listen ADDR] [--admin ADDR] [--announce]
  shop load  --url URL [--rate 600] [--for 60s]

With --announce it prints "listening on ADDR" when it is ready; the proxy adds "and ADMIN".

Example:
  shop serve --version v1 --listen 127.0.0.1:8081 &
  shop serve --version v2 --listen 127.0.0.1:8082 --errors 2% &
  shop proxy --listen 127.0.0.1:8080 --admin 127.0.0.1:8090 &
  curl -X PUT -d '{"url":"http://127.0.0.1:8081"}' http://127.0.0.1:8090/versions/v1
  curl -X PUT -d '{"url":"http://127.0.0.1:8082"}' http://127.0.0.1:8090/versions/v2
  curl -X PUT -d '{"percent":10}' http://127.0.0.1:8090/versions/v2/percent
  shop load --url http://127.0.0.1:8080 --rate 600 --for 10s
`

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// A verb is one thing the program can do. Its fields are its flags.
type verb interface {
	flags(*flag.FlagSet) // declares the flags
	check() error        // says what is wrong with them once they are set
	run(ctx context.Context, stdout, stderr io.Writer) error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	v, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "shop: %v\n\n%s", err, usage)
		return exitUsage
	}
	if err := v.run(ctx, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "shop %s: %v\n", args[0], err)
		return exitFailed
	}
	return exitOK
}

func parse(args []string) (verb, error) {
	if len(args) == 0 {
		return nil, errors.New("say what to do")
	}
	var v verb
	switch args[0] {
	case "serve":
		v = &serve{}
	case "proxy":
		v = &proxy{}
	case "load":
		v = &load{}
	case "help", "-h", "--help":
		return nil, flag.ErrHelp
	default:
		return nil, fmt.Errorf("unknown verb %q", args[0])
	}
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	fs.SetOutput(io.Discard) // run prints the error, once
	v.flags(fs)
	if err := fs.Parse(args[1:]); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return v, v.check()
}

// A site is a handler and the address where it is to be found.
type site struct {
	addr    string
	handler http.Handler
}

// serveSites answers on all sites until ctx ends or one of them breaks, then lets requests under way finish.
// When all are ready it announces their addresses, in one line.
func serveSites(ctx context.Context, announce io.Writer, sites ...site) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	var addrs []string
	for _, s := range sites {
		listener, err := net.Listen("tcp", s.addr)
		if err != nil {
			return err
		}
		addrs = append(addrs, listener.Addr().String())
		server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 5 * time.Second}
		wg.Go(func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				stop(err)
			}
		})
		wg.Go(func() {
			<-running.Done()
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if server.Shutdown(grace) != nil {
				_ = server.Close()
			}
		})
	}
	fmt.Fprintf(announce, "listening on %s\n", strings.Join(addrs, " and "))

	<-running.Done()
	if ctx.Err() != nil {
		return nil // asked to stop
	}
	return context.Cause(running)
}

// announcer is where a server says that it is ready: stdout if it was asked to, else nowhere.
func announcer(wanted bool, stdout io.Writer) io.Writer {
	if wanted {
		return stdout
	}
	return io.Discard
}
