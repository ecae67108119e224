package scrape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/golive-dev/golive/guard"
)

var requests = guard.Query{Release: release, Signals: []guard.Signal{{Name: "r", Total: "r_total"}}}

// instances reads, and returns the arms and instances that there are.
func instances(t *testing.T, s guard.Source) (all []string) {
	t.Helper()
	r, err := s.Read(t.Context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	for _, series := range r.Series {
		all = append(all, fmt.Sprint(series.Arm, " ", series.Instance))
	}
	return all
}

// A nameServer answers over UDP what it is told to.
type nameServer struct {
	address string

	mu      sync.Mutex
	records map[string][]dnsmessage.ResourceBody // by name
	broken  bool
}

func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{address: conn.LocalAddr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		packet := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			if reply, err := s.reply(packet[:n]); err == nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	return s
}

func (s *nameServer) set(broken bool, name string, records ...dnsmessage.ResourceBody) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken, s.records = broken, map[string][]dnsmessage.ResourceBody{name: records}
}

func (s *nameServer) reply(question []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil, errors.New("not a question")
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	records, known := s.records[q.Name.String()]
	switch {
	case s.broken:
		m.RCode = dnsmessage.RCodeServerFailure
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, body := range records {
		_, isSRV := body.(*dnsmessage.SRVResource)
		if isSRV == (q.Type == dnsmessage.TypeSRV) && q.Type != dnsmessage.TypeAAAA {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}, Body: body})
		}
	}
	return m.Pack()
}

// asking returns a source that asks this name server.
func (s *nameServer) asking(t *testing.T, with guard.With) guard.Source {
	source := newSource(t, with).(*Source)
	source.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.address)
	}}
	return source
}

func text(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

func address(ip byte) dnsmessage.ResourceBody {
	return &dnsmessage.AResource{A: [4]byte{127, 0, 0, ip}}
}

func TestAddressRecords(t *testing.T) {
	names := startNameServer(t)
	one, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(one.Addr().String())
	two, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skipf("this system has no 127.0.0.2: %v", err)
	}
	for _, l := range []net.Listener{one, two} {
		s := &httptest.Server{Listener: l, Config: &http.Server{Handler: text("r_total 1\n")}}
		s.Start()
		defer s.Close()
	}
	stable := serve(t, text("r_total 1\n"))
	source := names.asking(t, guard.With{"canary": []any{"dns+http://shop-{{.To}}.test:" + port + "/metrics"}, "stable": list(stable)})
	for _, c := range []struct {
		records []dnsmessage.ResourceBody
		want    []string
	}{
		{nil, []string{"baseline " + stable}},
		{[]dnsmessage.ResourceBody{address(1)}, []string{"canary 127.0.0.1:" + port, "baseline " + stable}},
		{[]dnsmessage.ResourceBody{address(2), address(1), address(2)}, []string{"canary 127.0.0.1:" + port, "canary 127.0.0.2:" + port, "baseline " + stable}},
		{[]dnsmessage.ResourceBody{address(2)}, []string{"canary 127.0.0.2:" + port, "baseline " + stable}},
	} {
		names.set(false, "shop-v2.test.", c.records...)
		if diff := cmp.Diff(c.want, instances(t, source)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	names.set(false, "another.test.") // the name is not there any more
	if diff := cmp.Diff([]string{"baseline " + stable}, instances(t, source)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	names.set(true, "")
	if _, err := source.Read(t.Context(), requests); err == nil || !strings.HasPrefix(err.Error(), "canary[0]: look up shop-v2.test: ") {
		t.Errorf("the name server is broken, and the error is %v", err)
	}
	if _, err := source.(guard.Clock).Skew(t.Context(), release); err == nil || !strings.HasPrefix(err.Error(), "canary[0]: look up shop-v2.test: ") {
		t.Errorf("the name server is broken, and the error is %v", err)
	}
}

func TestServiceRecords(t *testing.T) {
	names := startNameServer(t)
	hosts := []string{serve(t, text("r_total 1\n")), serve(t, text("r_total 1\n"))}
	var records []dnsmessage.ResourceBody
	var want []string
	for _, host := range hosts {
		_, port, _ := net.SplitHostPort(host)
		number, _ := strconv.Atoi(port)
		records = append(records, &dnsmessage.SRVResource{Target: dnsmessage.MustNewName("localhost."), Port: uint16(number), Weight: 1})
		want = append(want, "canary localhost:"+port)
	}
	slices.Sort(want)
	with := guard.With{"canary": []any{"dnssrv+http://_metrics._tcp.shop.test/metrics"}, "stable": []any{"dnssrv+http://_metrics._tcp.gone.test/metrics"}}
	source := names.asking(t, with)
	names.set(false, "_metrics._tcp.shop.test.", records...)
	if diff := cmp.Diff(want, instances(t, source)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	names.set(false, "_metrics._tcp.shop.test.")
	if _, err := source.Read(t.Context(), requests); err == nil || err.Error() != "no instance is known: the names have no addresses, and the files list none" {
		t.Errorf("error %v", err)
	}
}

func TestFiles(t *testing.T) {
	exposed := `r_total{version="exposed",code="1"} 1` + "\n" + `r_total{version="exposed",code="2"} 2` + "\n"
	one, two, three := serve(t, text(exposed)), serve(t, text(exposed)), serve(t, text(exposed))
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("v2.json", `[{"targets": ["`+one+`", "`+two+`", "`+one+`"], "labels": {"version": "listed", "__meta_x": "y"}}]`)
	write("v1.yml", "- targets: ['"+three+"']\n  labels: {__metrics_path__: /other, version: listed}\n")
	source := newSource(t, guard.With{"canary_file": dir + "/{{.To}}.json", "stable_file": dir + "/{{.From}}.yml"})
	q := guard.Query{Release: release, Signals: []guard.Signal{{Name: "r", Total: `r_total{version="listed",__meta_x=""}`}}}
	read := func(want ...string) {
		t.Helper()
		r, err := source.Read(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range r.Series {
			got = append(got, fmt.Sprint(s.Arm, " ", s.Instance, " ", s.Total))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	read("canary "+min(one, two)+" 3", "canary "+max(one, two)+" 3", "baseline "+three+"/other 3")
	write("v2.json", "[]")
	read("baseline " + three + "/other 3")
	for name, c := range map[string]struct{ content, err string }{
		"half":       {`[{"targets": ["a:1"`, "canary_file: " + dir + "/v2.json is not in the format of file_sd: "},
		"slip":       {`[{"target": ["a:1"]}]`, "canary_file: " + dir + "/v2.json is not in the format of file_sd: "},
		"an address": {`[{"targets": ["http://a:1/metrics"]}]`, "canary_file: " + dir + `/v2.json: the target "http://a:1/metrics" of group 1 is not a host and a port`},
		"a path":     {`[{"targets": ["a:1"]}, {"targets": ["a:1/x"]}]`, "canary_file: " + dir + `/v2.json: the target "a:1/x" of group 2 is not a host and a port`},
	} {
		write("v2.json", c.content)
		if _, err := source.Read(t.Context(), q); err == nil || !strings.HasPrefix(err.Error(), c.err) {
			t.Errorf("%s: error %v\nwant  %s", name, err, c.err)
		}
	}
	if err := os.Remove(dir + "/v2.json"); err != nil {
		t.Fatal(err)
	}
	if _, err := source.Read(t.Context(), q); err == nil || !strings.HasPrefix(err.Error(), "canary_file: open ") {
		t.Errorf("without the file: error %v", err)
	}
}
