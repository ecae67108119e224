//go:build unix

package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func init() {
	children["append"] = appendForEver
	children["hold"] = hold
}

const crowd = 8 // rollouts that are appended to at once

// appendForEver appends to all rollouts that it can claim, and says what was acknowledged.
func appendForEver(address string) error {
	ctx := context.Background()
	s, err := Open(ctx, address)
	if err != nil {
		return err
	}
	x, err := s.Join(ctx, "child", time.Hour)
	if err != nil {
		return err
	}
	leases, err := s.Claim(ctx, x, crowd)
	if err != nil || len(leases) != crowd {
		return fmt.Errorf("claimed %d: %w", len(leases), err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, l := range leases {
		wg.Go(func() {
			for {
				kind := fmt.Sprintf("p%d.%d", os.Getpid(), l.Seq()+1)
				if err := l.Append(time.Now(), kind, nil); err != nil {
					panic(err)
				}
				mu.Lock()
				fmt.Println(l.Rollout, l.Seq(), kind)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

// hold drives one rollout until it is fenced, and then says so.
func hold(address string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := Open(ctx, address)
	if err != nil {
		return err
	}
	x, err := s.Join(ctx, "child", 2*time.Second)
	if err != nil {
		return err
	}
	leases, err := s.Claim(ctx, x, 1)
	if err != nil || len(leases) != 1 {
		return fmt.Errorf("claimed %d: %w", len(leases), err)
	}
	go func() {
		for x.Beat(ctx) == nil {
			time.Sleep(200 * time.Millisecond)
		}
	}()
	at := time.Now()
	for {
		kind := fmt.Sprintf("child.%d", leases[0].Seq()+1)
		err := leases[0].Append(at, kind, nil)
		switch {
		case errors.Is(err, ErrFenced):
			fmt.Println("fenced", x.Valid())
			return nil
		case errors.Is(err, ErrAway): // it was stopped while it waited, and repeats the same record
			continue
		case err != nil:
			return err
		}
		at = time.Now()
		fmt.Println(leases[0].Rollout, leases[0].Seq(), kind)
	}
}

func startChild(t *testing.T, child, address string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), exe, address)
	cmd.Env = append(os.Environ(), childVariable+"="+child)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return cmd, bufio.NewScanner(out)
}

func readAck(line string) (a ack, ok bool) {
	n, err := fmt.Sscan(line, &a.rollout, &a.seq, &a.kind)
	return a, n == 3 && err == nil
}

// A process that is killed loses nothing that was acknowledged.
func TestKilled(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	each(t, func(t *testing.T, address string) {
		s := open(t, address)
		for i := range crowd {
			mustAccept(t, s, fmt.Sprint("r", i), fmt.Sprint("t", i))
		}
		must(t, s.Close())
		var acks []ack
		for range rounds {
			cmd, out := startChild(t, "append", address)
			for n := 1 + rand.IntN(400); n > 0 && out.Scan(); n-- {
				if a, ok := readAck(out.Text()); ok {
					acks = append(acks, a)
				}
			}
			must(t, cmd.Process.Kill())
			for out.Scan() { // what it had said before it died
				if a, ok := readAck(out.Text()); ok {
					acks = append(acks, a)
				}
			}
			_ = cmd.Wait() // it was killed
			s = open(t, address)
			if found := check(t, s, acks); len(found) > 0 {
				t.Fatal(strings.Join(found, "\n"))
			}
			// PostgreSQL does not know that the process is dead, and nobody waits an hour for that here.
			exec1(t, s.db, `DELETE FROM golive_sessions`)
			must(t, s.Close())
		}
		if len(acks) < rounds {
			t.Errorf("%d records were acknowledged in %d rounds", len(acks), rounds)
		}
		t.Logf("%d records were acknowledged in %d rounds, and none was lost", len(acks), rounds)
	})
}

// A process that is stopped is replaced, and can do nothing once it goes on.
func TestStopped(t *testing.T) {
	address := engineAddress(t, "postgres")
	s := open(t, address)
	mustAccept(t, s, "r1", "shop/prod")
	cmd, out := startChild(t, "hold", address)
	defer cmd.Process.Kill()
	var acks []ack
	for range 50 {
		if !out.Scan() {
			t.Fatal("the child has ended")
		}
		a, ok := readAck(out.Text())
		if !ok {
			t.Fatalf("the child says %q", out.Text())
		}
		acks = append(acks, a)
	}
	must(t, cmd.Process.Signal(syscall.SIGSTOP))
	x, err := s.Join(t.Context(), "parent", time.Hour)
	must(t, err)
	var l *Lease
	for l == nil {
		leases, err := s.Claim(t.Context(), x, 1)
		must(t, err)
		if len(leases) == 1 {
			l = leases[0]
		}
		time.Sleep(50 * time.Millisecond) // so as not to keep the server busy
	}
	must(t, l.Append(noon, "resumed", nil))
	acks = append(acks, ack{"r1", l.Seq(), "resumed"})
	must(t, cmd.Process.Signal(syscall.SIGCONT))
	last := ""
	for out.Scan() {
		last = out.Text()
		if a, ok := readAck(last); ok {
			acks = append(acks, a)
		}
	}
	must(t, cmd.Wait())
	if !strings.HasPrefix(last, "fenced") {
		t.Errorf("the last that the child says is %q", last)
	}
	must(t, l.Append(noon, "over", nil))
	if found := check(t, s, acks); len(found) > 0 {
		t.Error(strings.Join(found, "\n"))
	}
}

// A file is for one process, and is free as soon as that is dead.
func TestFileOfKilledProcess(t *testing.T) {
	address := engines["sqlite"](t)
	s := open(t, address)
	mustAccept(t, s, "r1", "shop/prod")
	must(t, s.Close())
	cmd, out := startChild(t, "hold", address)
	if !out.Scan() {
		t.Fatal("the child has ended")
	}
	_, err := Open(t.Context(), address)
	wantIs(t, err, ErrInUse)
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	s = open(t, address)
	mustClaim(t, s, mustJoin(t, s, "b"), "r1")
}

// PostgreSQL is restarted while an owner appends: it learns that the store is away, repeats, and goes on.
func TestPostgresRestarted(t *testing.T) {
	p := ownPostgres(t, "")
	s := open(t, p.database(t))
	mustAccept(t, s, "r1", "shop/prod")
	x, err := s.Join(t.Context(), "a", time.Hour)
	must(t, err)
	l := mustClaim(t, s, x, "r1")[0]
	want := "opened"
	for _, mode := range []string{"immediate", "fast"} {
		mustAppend(t, l, "before")
		must(t, p.stop(mode))
		wantIs(t, l.Append(noon, "during", nil), ErrAway)
		if err := x.Beat(t.Context()); err == nil || errors.Is(err, ErrLapsed) {
			t.Errorf("without a server a beat says %v", err)
		}
		must(t, p.start())
		for { // connections that broke may be tried first
			err := l.Append(noon, "during", nil)
			if err == nil {
				break
			}
			wantIs(t, err, ErrAway)
		}
		for x.Beat(t.Context()) != nil {
			if !x.Valid() {
				t.Fatal("the session is over")
			}
		}
		want += " before during"
	}
	if got := kinds(mustLoad(t, s, "r1", 0)); got != want {
		t.Errorf("the records are %s, want %s", got, want)
	}
}

func TestPostgresThatForgets(t *testing.T) {
	p := ownPostgres(t, "fsync = off\nsynchronous_commit = off")
	address := p.database(t)
	if _, err := Open(t.Context(), address); err == nil || !strings.Contains(err.Error(), "fsync=on") {
		t.Errorf("with fsync=off Open says %v", err)
	}
	must(t, p.run("psql", "-d", "postgres", "-qc", "ALTER SYSTEM SET fsync = on", "-c", "SELECT pg_reload_conf()"))
	var s *Store
	for s == nil { // until the server has read it
		s, _ = Open(t.Context(), address)
	}
	defer s.Close()
	var commit string
	must(t, s.db.QueryRow(`SHOW synchronous_commit`).Scan(&commit))
	if commit != "on" {
		t.Errorf("synchronous_commit is %s", commit)
	}
	// A server that may not be written to decides nothing.
	must(t, p.run("psql", "-d", "postgres", "-qc", "ALTER SYSTEM SET default_transaction_read_only = on", "-c", "SELECT pg_reload_conf()"))
	for {
		again, err := Open(t.Context(), address)
		if err != nil {
			break
		}
		must(t, again.Close())
	}
}

func TestPostgresEncoding(t *testing.T) {
	address := postgresAddress(t)
	must(t, shared.run("psql", "-d", "postgres", "-qc", "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"))
	latin := "postgres://postgres@/latin" + address[strings.Index(address, "?"):]
	if _, err := Open(t.Context(), latin); err == nil || !strings.Contains(err.Error(), "LATIN1") {
		t.Errorf("a database in LATIN1: %v", err)
	}
}

func TestPasswordIsNotTold(t *testing.T) {
	for _, address := range []string{
		"postgres://golive:swordfish@127.0.0.1:1/golive", "postgres://golive:swordfish@127.0.0.1:nonsense/golive",
		"postgres://golive:swordfish@127.0.0.1:1/golive?sslmode=nonsense", "mysql://golive:swordfish@127.0.0.1/golive",
	} {
		_, err := Open(t.Context(), address)
		if err == nil || strings.Contains(err.Error(), "swordfish") {
			t.Errorf("the error is %v", err)
		}
	}
}
