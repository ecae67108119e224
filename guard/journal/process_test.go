package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard/journal"
)

// appendForEver is a process that prints the number of each record once it was told that it is kept.
func appendForEver(path string) error {
	j, err := journal.Open(path)
	if err != nil {
		return err
	}
	for {
		n := j.Summary().Last.Seq + 1
		r, err := j.Append("counted", time.Now(), strings.Repeat(strconv.FormatInt(n, 10)+" ", 2000))
		if err != nil {
			return err
		}
		fmt.Println(r.Seq)
	}
}

// hold is a process that holds a journal until it is killed.
func hold(path string) error {
	if _, err := journal.Open(path); err != nil {
		return err
	}
	fmt.Println("held")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	<-stop
	return nil
}

// postMany is a process that posts orders, and prints each that it was told is kept.
func postMany(path string) error {
	for n := range 25 {
		r, err := journal.Post(path, "order", time.Now(), fmt.Sprint(os.Getpid(), " ", n))
		if err != nil {
			return err
		}
		fmt.Println(string(r.Data))
	}
	return nil
}

// kill -9 at any instant: what was acknowledged is there, and the next process goes on.
func TestKill(t *testing.T) {
	j, path := create(t)
	mustClose(t, j)
	rounds, kept := 12, 0
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		cmd, out := startChild(t, "append", path)
		acknowledged, stop := kept, kept+1+rand.IntN(30)
		for out.Scan() {
			n, err := strconv.Atoi(out.Text())
			if err != nil || n != acknowledged+1 {
				t.Fatalf("after record %d the process says %q", acknowledged, out.Text())
			}
			acknowledged = n
			if n == stop {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || acknowledged < stop {
			t.Fatalf("the process ended by itself after record %d: %v", acknowledged, err)
		}
		kept = 0
		for r, err := range journal.Read(path) {
			if err != nil {
				t.Fatal(err)
			}
			kept++
			if want := strconv.Quote(strings.Repeat(strconv.Itoa(kept)+" ", 2000)); string(r.Data) != want {
				t.Fatalf("record %d holds %.20q", kept, r.Data)
			}
		}
		if kept < acknowledged {
			t.Fatalf("%d records are left of %d acknowledged ones", kept, acknowledged)
		}
	}
}

func TestOneHolder(t *testing.T) {
	j, path := create(t)
	if got, err := journal.Held(path); err != nil || got.PID != os.Getpid() {
		t.Errorf("the journal is held by %v (%v), want process %d", got, err, os.Getpid())
	}
	first := mustAppend(t, j, "opened", nil)
	mustClose(t, j)
	if got, err := journal.Held(path); err != nil || got != (journal.Holder{}) {
		t.Errorf("a closed journal is held by %v (%v)", got, err)
	}

	start := time.Now().Add(-time.Second)
	cmd, out := startChild(t, "hold", path)
	if !out.Scan() {
		t.Fatal("the other process does not hold the journal")
	}
	_, err := journal.Open(path)
	var locked *journal.LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("error is %v, want a LockedError", err)
	}
	if locked.Holder.PID != cmd.Process.Pid || locked.Holder.Since.Before(start) || locked.Holder.Since.After(time.Now()) {
		t.Errorf("the journal is held by %v, want process %d since now", locked.Holder, cmd.Process.Pid)
	}
	for _, want := range []string{path, fmt.Sprintf("process %d since", cmd.Process.Pid), fmt.Sprintf("kill %d", cmd.Process.Pid)} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if got, err := journal.Held(path); err != nil || got != locked.Holder {
		t.Errorf("the journal is held by %v (%v), want %v", got, err, locked.Holder)
	}
	if diff := cmp.Diff([]journal.Record{first}, collect(t, journal.Read(path))); diff != "" {
		t.Errorf("read while another process holds it (-want +got):\n%s", diff)
	}

	// The dead hold nothing.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got, err := journal.Held(path); err != nil || got != (journal.Holder{}) {
		t.Errorf("the journal is held by %v (%v), who is dead", got, err)
	}
	mustClose(t, mustOpen(t, path))
}

func TestOrders(t *testing.T) {
	j, path := create(t)
	defer mustClose(t, j)
	inbox := journal.Inbox{Path: path}
	mustBeEmpty := func() {
		t.Helper()
		if r, ok, err := inbox.Take(); ok || err != nil {
			t.Fatalf("took %v, %v, %v; want nothing", r, ok, err)
		}
	}
	mustTake := func(want journal.Record) {
		t.Helper()
		got, ok, err := inbox.Take()
		if !ok || err != nil {
			t.Fatalf("took %v, %v; want an order", ok, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	mustPost := func(data string) journal.Record {
		t.Helper()
		r, err := journal.Post(path, "order", noon, data)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	mustScribble := func(text string) {
		t.Helper()
		file, err := os.OpenFile(path+".orders", os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}

	mustBeEmpty()
	a, b := mustPost("a"), mustPost("b")
	mustTake(a)
	after := inbox.Offset
	mustTake(b)
	mustBeEmpty()

	inbox = journal.Inbox{Path: path, Offset: after} // as after a crash
	mustTake(b)

	// A process dies in the middle of posting: it is not an order, and the next one is.
	mustScribble(`{"seq":0,"at":"20`)
	mustBeEmpty()
	c := mustPost("c")
	if _, ok, err := inbox.Take(); ok || err == nil || !strings.Contains(err.Error(), path+".orders") {
		t.Errorf("took %v, %v; want an error with the path", ok, err)
	}
	mustTake(c)
	mustBeEmpty()

	if err := os.Truncate(path+".orders", 1); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := inbox.Take(); ok || err == nil {
		t.Errorf("orders that were taken have gone: took %v, %v; want an error", ok, err)
	}
	if _, err := journal.Post(path+"x", "order", noon, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such journal: error is %v, want os.ErrNotExist", err)
	}
}

// Several processes post at once while the holder takes: each order arrives once.
func TestOrdersOfManyProcesses(t *testing.T) {
	j, path := create(t)
	defer mustClose(t, j)
	posted := make(chan string)
	const processes = 4
	for range processes {
		cmd, out := startChild(t, "post", path)
		go func() {
			for out.Scan() {
				posted <- out.Text()
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			posted <- ""
		}()
	}
	inbox := journal.Inbox{Path: path}
	want, got := map[string]int{}, map[string]int{}
	take := func() bool {
		r, ok, err := inbox.Take()
		if err != nil {
			t.Error(err)
		}
		if ok {
			got[string(r.Data)]++
		}
		return ok
	}
	for running := processes; running > 0; take() {
		if order := <-posted; order != "" {
			want[order]++
		} else {
			running--
		}
	}
	for take() {
	}
	if len(want) != processes*25 {
		t.Errorf("%d orders were acknowledged, want %d", len(want), processes*25)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-posted +taken):\n%s", diff)
	}
}
