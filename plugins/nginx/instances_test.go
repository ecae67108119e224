package nginx

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
)

// TestInstances lets a real nginx show where its upstreams have their servers, also those in an included file.
func TestInstances(t *testing.T) {
	w := newWorld(t)
	b := w.backend(t)
	at := func(version string) string { return w.servers[version].Listener.Addr().String() }
	want := []guard.Instance{{Arm: guard.Canary, Address: at("v2")}, {Arm: guard.Baseline, Address: at("v1")}}
	got, err := b.Instances(t.Context(), release)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("instances (-want +got):\n%s", diff)
	}

	w.write(t, "golive/more.conf", `# upstream shop-v3 { server 127.0.0.1:1; }
upstream "shop-v3" { # the new version
	server 127.0.0.1:9001 weight=2; server [::1]:9002;
	server 127.0.0.3; server 127.0.0.4:9004 down;
	keepalive 4;
}
`)
	r := release
	r.From, r.To = "v2", "v3"
	want = []guard.Instance{
		{Arm: guard.Canary, Address: "127.0.0.1:9001"}, {Arm: guard.Canary, Address: "[::1]:9002"}, {Arm: guard.Canary, Address: "127.0.0.3:80"},
		{Arm: guard.Baseline, Address: at("v2")},
	}
	got, err = b.Instances(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("instances (-want +got):\n%s", diff)
	}
	r.From = ""
	if got, err = b.Instances(t.Context(), r); err != nil || len(got) != 3 {
		t.Errorf("a first release has %v, error %v", got, err)
	}

	for name, c := range map[string]struct{ conf, err string }{
		"not there":        {"", "the upstream shop-v3 in the configuration of nginx: it is not there"},
		"a name":           {"upstream shop-v3 { server localhost:9001; }", "its server localhost:9001 is no IP address"},
		"a socket":         {"upstream shop-v3 { server unix:/run/shop.sock; }", "its server unix:/run/shop.sock is no IP address"},
		"an included list": {"upstream shop-v3 { include " + w.path("servers") + "; }", "where golive does not look for servers"},
		"broken":           {"upstream shop-v3 {", "nginx does not show its configuration: "},
	} {
		w.write(t, "servers", "server 127.0.0.1:9001;")
		w.write(t, "golive/more.conf", c.conf)
		if got, err := b.Instances(t.Context(), r); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: it lists %v, error %v", name, got, err)
		}
	}
}

func TestServersOf(t *testing.T) {
	for text, want := range map[string]string{
		`upstream a { server 1.1.1.1:1; } upstream a { server 1.1.1.1:2; }`: "it is there twice",
		`upstream a { server 1.1.1.1:1`:                                     "it does not end",
		`upstream a { server; }`:                                            "it has a server without address",
		`log_format x '{ upstream a { '; upstream a { server 1.1.1.1:1; }`:  "",
		`map $x $y { "a\"b;" 1; } upstream a{server 1.1.1.1:1;}`:            "",
		`set $z ${x}y; upstream a { server 1.1.1.1:1; }`:                    "",
	} {
		got, err := serversOf(tokens(text), "a")
		if want == "" && (err != nil || !slices.Equal(got, []string{"1.1.1.1:1"})) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s has the servers %q, error %v", text, got, err)
		}
	}
}
