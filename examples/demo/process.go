package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

// grace is the time that a process has to end when it is asked to; golive brings the traffic back in it.
const grace = 10 * time.Second

// command prepares a program that is asked to end when ctx does, with all that it started.
func command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = grace
	ownGroup(cmd)
	return cmd
}

// background starts a program that goes on until stop, which returns when it is gone and may be called twice.
// It does not end with ctx: golive still needs the proxy when the demo is interrupted.
func background(ctx context.Context, stdout, stderr io.Writer, program string, args ...string) (stop func(), err error) {
	ctx, quit := context.WithCancel(context.WithoutCancel(ctx))
	cmd := command(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		quit()
		return nil, err
	}
	return sync.OnceFunc(func() {
		quit()
		_ = cmd.Wait() // it was told to end; how it did does not matter
		endGroup(cmd)
	}), nil
}

// server starts a program in the background and waits until it announces itself on stdout.
func server(ctx context.Context, stderr io.Writer, program string, args ...string) (stop func(), err error) {
	announced, stdout, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer announced.Close()
	stop, err = background(ctx, stdout, stderr, program, args...)
	stdout.Close() // the program has its own, so reading ends when it does
	if err != nil {
		return nil, err
	}
	_ = announced.SetReadDeadline(time.Now().Add(grace)) // where pipes have none, the wait is longer
	if line, err := bufio.NewReader(announced).ReadString('\n'); err != nil {
		stop()
		return nil, fmt.Errorf("%s %s did not get ready: %q, %w", program, args[0], line, err)
	}
	return stop, nil
}

// freeAddrs finds loopback addresses to listen on. They are below the ports that outgoing connections are
// given, since a client that dials a closed port up there may be connected to itself.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for port := 20000 + rand.IntN(10000); port < 32768; port++ {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			continue // taken
		}
		_ = listener.Close()
		addrs = append(addrs, addr)
		if len(addrs) == n {
			return addrs, nil
		}
	}
	return nil, fmt.Errorf("find %d free ports: only %d", n, len(addrs))
}
