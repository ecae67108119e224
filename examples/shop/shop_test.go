package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// start runs a verb with --announce until the test ends, and returns the base URLs that it announced.
func start(t *testing.T, args ...string) []string {
	t.Helper()
	urls, stop := startStoppable(t, args...)
	t.Cleanup(stop)
	return urls
}

// startStoppable is start for tests that end the verb themselves; stop may be called more than once.
func startStoppable(t *testing.T, args ...string) (urls []string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stdout, w := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = w.Close() }()
		if code := run(ctx, append(args, "--announce"), w, &stderr); code != exitOK {
			t.Errorf("shop %s: exit %d: %s", strings.Join(args, " "), code, stderr.String())
		}
	}()
	stop = func() {
		cancel()
		<-ended
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	addrs, found := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !found {
		stop()
		t.Fatalf("shop %s announced %q", strings.Join(args, " "), line)
	}
	for addr := range strings.SplitSeq(addrs, " and ") {
		urls = append(urls, "http://"+addr)
	}
	return urls, stop
}

// call sends a request and returns the status, the body, and the version that answered.
func call(t *testing.T, method, url, body string) (status int, text, version string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b), response.Header.Get(versionHeader)
}

// expect calls and demands a status and a part of the body.
func expect(t *testing.T, method, url, body string, status int, part string) {
	t.Helper()
	if got, text, _ := call(t, method, url, body); got != status || !strings.Contains(text, part) {
		t.Errorf("%s %s %s: %d %s\nwant %d with %q", method, url, body, got, text, status, part)
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args string
		code int
		want string // on stderr, or on stdout if the code is 0
	}{
		{"", exitUsage, "say what to do"},
		{"sell", exitUsage, `unknown verb "sell"`},
		{"serve", exitUsage, "serve needs --version"},
		{"serve --version v1 --errors 2", exitUsage, "want a share from 0% to 100%"},
		{"serve --version v1 --errors 101%", exitUsage, "want a share from 0% to 100%"},
		{"serve --version v1 --slow NaN%", exitUsage, "want a share from 0% to 100%"},
		{"serve --version v1 again", exitUsage, `unexpected argument "again"`},
		{"serve --version v1 --listen nowhere", exitFailed, "shop serve: listen tcp"},
		{"proxy --port 1", exitUsage, "flag provided but not defined"},
		{"proxy --admin nowhere", exitFailed, "shop proxy: listen tcp"},
		{"load", exitUsage, "load needs --url"},
		{"load --url http://h:1 --rate 0", exitUsage, "--rate:"},
		{"load --url http://h:1 --for -1s", exitUsage, "--for:"},
		{"help", exitOK, "Example:"},
		{"load -h", exitOK, "Example:"},
	} {
		t.Run(test.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), strings.Fields(test.args), &stdout, &stderr)
			text := stderr.String()
			if code == exitOK {
				text = stdout.String()
			}
			if code != test.code || !strings.Contains(text, test.want) {
				t.Errorf("exit %d: %s\nwant %d with %q", code, text, test.code, test.want)
			}
			if code == exitUsage && !strings.Contains(text, "Example:") {
				t.Errorf("no example in the usage: %s", text)
			}
		})
	}
}

func TestServe(t *testing.T) {
	shop := start(t, "serve", "--version", "v7")[0]
	expect(t, "GET", shop+"/version", "", 200, "v7\n")
	expect(t, "GET", shop+"/healthz", "", 200, "ok")
	expect(t, "GET", shop+"/nothing", "", 404, "")
	expect(t, "GET", shop+"/metrics", "", 200, `http_requests_total{code="500",version="v7"} 0`)
	expect(t, "GET", shop+"/", "", 200, "Tea")
	expect(t, "GET", shop+"/cart", "", 200, "cart")

	expect(t, "PUT", shop+"/-/fault?errors=100%25", "", 200, "errors=100% slow=0% latency=0s")
	expect(t, "PUT", shop+"/-/fault?latency=1ms", "", 200, "errors=100% slow=0% latency=1ms")
	expect(t, "PUT", shop+"/-/fault?errors=lots", "", 400, "errors: want a share")
	expect(t, "PUT", shop+"/-/fault?mood=bad", "", 400, "mood: no such flag")
	expect(t, "GET", shop+"/-/fault", "", 200, "errors=100% slow=0% latency=1ms")
	if status, _, version := call(t, "GET", shop+"/cart", ""); status != 500 || version != "v7" {
		t.Errorf("a jammed till answered %d from %q", status, version)
	}
	for _, line := range []string{
		`http_requests_total{code="200",version="v7"} 2`,
		`http_requests_total{code="500",version="v7"} 1`,
		`http_request_duration_seconds_count{version="v7"} 3`,
	} {
		expect(t, "GET", shop+"/metrics", "", 200, line)
	}
}

// Pages are as slow as they are told to be, and the histogram knows.
func TestServeSlowly(t *testing.T) {
	shop := start(t, "serve", "--version", "v1", "--latency", "100ms")[0]
	expect(t, "GET", shop+"/", "", 200, "Tea")
	expect(t, "GET", shop+"/metrics", "", 200, `http_request_duration_seconds_bucket{version="v1",le="0.1"} 0`)
	expect(t, "GET", shop+"/metrics", "", 200, `http_request_duration_seconds_bucket{version="v1",le="+Inf"} 1`)
}
