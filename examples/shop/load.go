package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// clients is how many requests may be under way at once. When all are, later ones wait for their turn: they
// start late, but they are sent, and their time is counted from when they were due.
const clients = 256

// load is the shop's customers: they come at a fixed rate, however slow the shop is.
type load struct {
	url     string
	rate    int           // requests per second
	lasting time.Duration // 0 is until told to stop
}

func (l *load) flags(fs *flag.FlagSet) {
	fs.StringVar(&l.url, "url", "", "")
	fs.IntVar(&l.rate, "rate", 600, "")
	fs.DurationVar(&l.lasting, "for", 0, "")
}

func (l *load) check() error {
	u, err := url.Parse(l.url)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" || u.Host == "":
		return errors.New("load needs --url http://HOST:PORT")
	case l.rate < 1:
		return errors.New("--rate: want one request per second or more")
	case l.lasting < 0:
		return errors.New("--for: want a time to run")
	}
	return nil
}

// run tells the story on stderr, a line each second, and the sum on stdout.
func (l *load) run(ctx context.Context, stdout, stderr io.Writer) error {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}

	due := make(chan time.Time)
	replies := make(chan reply, clients)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(due)
		l.arrive(ctx, due)
	})
	for range clients {
		wg.Go(func() {
			for at := range due {
				replies <- l.ask(context.WithoutCancel(ctx), client, at) // what has begun may end
			}
		})
	}
	go func() {
		wg.Wait()
		close(replies)
	}()

	total, second := books{}, books{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case r, more := <-replies:
			if !more {
				total.print(stdout)
				return nil
			}
			total.add(r)
			second.add(r)
		case <-tick.C:
			second.print(stderr)
			second = books{}
		}
	}
}

// arrive sends the moment each request is due, on time or as soon after as there is a client free.
func (l *load) arrive(ctx context.Context, due chan<- time.Time) {
	start := time.Now()
	for n := 0; ; n++ {
		after := time.Duration(n) * time.Second / time.Duration(l.rate)
		if l.lasting > 0 && after >= l.lasting {
			return
		}
		at := start.Add(after)
		select {
		case <-time.After(time.Until(at)):
		case <-ctx.Done():
			return
		}
		select {
		case due <- at:
		case <-ctx.Done():
			return
		}
	}
}

// A reply is how one request ended. A status of 0 is no answer at all.
type reply struct {
	version string
	status  int
	took    time.Duration
}

func (l *load) ask(ctx context.Context, client *http.Client, due time.Time) reply {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return reply{took: time.Since(due)}
	}
	response, err := client.Do(r)
	if err != nil {
		return reply{took: time.Since(due)}
	}
	defer response.Body.Close()
	version := response.Header.Get(versionHeader)
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return reply{version: version, took: time.Since(due)}
	}
	return reply{version, response.StatusCode, time.Since(due)}
}

// books hold the count of each version.
type books map[string]*count

type count struct {
	requests, errors int
	statuses         map[int]int
	slowest          time.Duration
}

func (b books) add(r reply) {
	c := b[r.version]
	if c == nil {
		c = &count{statuses: map[int]int{}}
		b[r.version] = c
	}
	c.requests++
	if r.status == 0 || r.status >= 500 {
		c.errors++
	}
	c.statuses[r.status]++
	c.slowest = max(c.slowest, r.took)
}

func (b books) print(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, version := range slices.Sorted(maps.Keys(b)) {
		c := b[version]
		var statuses []string
		for _, status := range slices.Sorted(maps.Keys(c.statuses)) {
			name := fmt.Sprint(status)
			if status == 0 {
				name = "no answer"
			}
			statuses = append(statuses, fmt.Sprintf("%s: %d", name, c.statuses[status]))
		}
		fmt.Fprintf(out, "%s\t%d requests\t%d errors (%.2f %%)\tslowest %v\t%s\n", cmp.Or(version, "nobody"), c.requests,
			c.errors, 100*float64(c.errors)/float64(c.requests), c.slowest.Round(time.Millisecond), strings.Join(statuses, ", "))
	}
	_ = out.Flush()
}
