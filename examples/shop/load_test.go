package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The clients come at their rate though each waits far longer than the time between two of them.
func TestLoadDoesNotWaitForTheShop(t *testing.T) {
	var n atomic.Int64
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(versionHeader, "v1")
		time.Sleep(200 * time.Millisecond)
		if n.Add(1)%10 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer slow.Close()

	var stdout, stderr bytes.Buffer
	began := time.Now()
	code := run(t.Context(), strings.Fields("load --rate 200 --for 500ms --url "+slow.URL), &stdout, &stderr)
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	want := regexp.MustCompile(`^v1 +100 requests +10 errors \(10\.00 %\) +slowest \S+ +200: 90, 500: 10\n$`)
	if !want.MatchString(stdout.String()) {
		t.Errorf("summary %q, want %v", stdout.String(), want)
	}
	if took := time.Since(began); took > 3*time.Second { // one at a time would take 20 s
		t.Errorf("took %v", took)
	}
}

func TestLoadStopsCleanly(t *testing.T) {
	first := make(chan struct{}, 1)
	shop := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case first <- struct{}{}:
		default:
		}
	}))
	defer shop.Close()
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		<-first
		stop()
	}()
	var stdout, stderr bytes.Buffer
	if code := run(ctx, strings.Fields("load --rate 500 --url "+shop.URL), &stdout, &stderr); code != exitOK {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	if !strings.Contains(stdout.String(), " 0 errors") {
		t.Errorf("summary %q: want no errors from stopping", stdout.String())
	}
}

func TestLoadWithNobodyThere(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), strings.Fields("load --rate 100 --for 50ms --url "+gone.URL), &stdout, &stderr)
	if code != exitOK || !strings.Contains(stdout.String(), "no answer: 5") {
		t.Errorf("exit %d: %s%s", code, stdout.String(), stderr.String())
	}
}
