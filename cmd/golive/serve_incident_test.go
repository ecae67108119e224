package main

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"
)

// TestReachedAt never guesses where people reach a server.
func TestReachedAt(t *testing.T) {
	for _, c := range []struct {
		told, scheme string
		listens      net.Addr
		want         string
	}{
		{"", "http", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8457}, "http://127.0.0.1:8457"},
		{"", "https", &net.TCPAddr{IP: net.IPv6loopback, Port: 8457}, "https://[::1]:8457"},
		{"", "https", &net.TCPAddr{IP: net.IPv6unspecified, Port: 8457}, ""},
		{"", "https", &net.TCPAddr{Port: 8457}, ""},
		{"https://golive.example.com/", "http", &net.TCPAddr{Port: 8457}, "https://golive.example.com"},
		{"", "http", &net.UnixAddr{Name: "/run/golive"}, ""},
	} {
		if got := reachedAt(c.told, c.scheme, c.listens); got != c.want {
			t.Errorf("%q, %s: %q, want %q", c.told, c.listens, got, c.want)
		}
	}
	for address, good := range map[string]bool{
		"https://golive.example.com": true, "http://10.0.0.1:8457/": true, "golive.example.com": false, "https://golive.example.com/x?y": false,
		"ftp://golive.example.com": false, "https://ann@golive.example.com": false,
	} {
		o := serving{listen: "127.0.0.1:0", ttl: leastTTL, rate: 1, address: address}
		if err := o.check(); (err == nil) != good {
			t.Errorf("--address %s: %v", address, err)
		}
	}
}

// TestLinkKey keeps the key through a restart, for its owner alone, and takes the one that several servers share.
func TestLinkKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journals")
	var log strings.Builder
	key := func(env map[string]string) (string, error) {
		p := &program{env: envconfig.MapLookuper(env)}
		p.settings.Journal = dir
		return p.linkKey(slog.New(slog.NewTextHandler(&log, nil)))
	}
	made, err := key(nil)
	if err != nil || len(made) < 32 {
		t.Fatalf("%q: %v", made, err)
	}
	if again, err := key(nil); err != nil || again != made {
		t.Errorf("after a restart: another key, %v", err)
	}
	path := filepath.Join(dir, linkKeyFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	shared := strings.Repeat("s", 40)
	if got, err := key(map[string]string{"GOLIVE_LINK_KEY": shared}); err != nil || got != shared {
		t.Errorf("shared: %v", err)
	}
	if _, err := key(map[string]string{"GOLIVE_LINK_KEY": "short"}); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("a key that can be guessed: %v", err)
	}
	if err := os.WriteFile(path, []byte("cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := key(nil); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a file that holds none: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "file", "below") // where nothing can be kept
	if _, err := key(nil); err == nil && !strings.Contains(log.String(), "GOLIVE_LINK_KEY") {
		t.Errorf("a key that cannot be kept: %v\n%s", err, log.String())
	}
	if made != "" && strings.Contains(log.String(), made) {
		t.Error("the key stands in the log")
	}
}
