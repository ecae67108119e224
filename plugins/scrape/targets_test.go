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
	if _, err := source.Read(t.Context(), requests); err == nil || err.Error() != "no instance is known: the names have no addresses, and neither the files nor the backend list any" {
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

// A lister is a backend that lists what it is told to.
type lister struct {
	asked *int
	list  func(guard.Release) ([]guard.Instance, error)
}

func (l lister) Instances(_ context.Context, r guard.Release) ([]guard.Instance, error) {
	*l.asked++
	return l.list(r)
}

// following is a source of these addresses that asks a backend.
func following(t *testing.T, l guard.Lister, canary, stable string) guard.Source {
	t.Helper()
	source := newSource(t, guard.With{"canary": []any{canary}, "stable": []any{stable}})
	if err := source.(guard.Follower).Follow(l); err != nil {
		t.Fatal(err)
	}
	return source
}

// TestBackendList reads the instances that a backend lists, which is asked once for both arms, at each reading.
func TestBackendList(t *testing.T) {
	canary, stable := serve(t, text("r_total 1\n")), serve(t, text("r_total 2\n"))
	_, port, _ := net.SplitHostPort(canary)
	var (
		asked int
		list  []guard.Instance
		away  error
	)
	backend := lister{&asked, func(r guard.Release) ([]guard.Instance, error) {
		if r != release {
			t.Errorf("the backend is asked about %+v", r)
		}
		return list, away
	}}
	own := following(t, backend, "backend+http:///metrics", "backend+http:///metrics")
	list = []guard.Instance{{Arm: guard.Canary, Address: canary}, {Arm: guard.Baseline, Address: stable}}
	if got, want := instances(t, own), []string{"canary " + canary, "baseline " + stable}; !slices.Equal(got, want) || asked != 1 {
		t.Errorf("instances %q, want %q; the backend was asked %d times", got, want, asked)
	}
	list = append(list[1:], guard.Instance{Arm: guard.Baseline, Address: canary})
	if got, want := instances(t, own), []string{"baseline " + canary, "baseline " + stable}; !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("instances %q, want %q", got, want)
	}

	// At a port of the plan's, where two processes on a host are one.
	list = []guard.Instance{{Arm: guard.Canary, Address: "127.0.0.1:1"}, {Arm: guard.Canary, Address: "127.0.0.1:2"}}
	other := following(t, backend, "backend+http://:"+port+"/metrics", "http://"+stable+"/metrics")
	if got, want := instances(t, other), []string{"canary " + canary, "baseline " + stable}; !slices.Equal(got, want) {
		t.Errorf("instances %q, want %q", got, want)
	}

	// A list that cannot be had is not an empty one, whatever else could be read.
	for name, c := range map[string]struct {
		list []guard.Instance
		away error
		err  string
	}{
		"no answer":  {nil, errors.New("haproxy is gone"), "canary[0]: ask the backend for its instances: haproxy is gone"},
		"a name":     {[]guard.Instance{{Arm: guard.Canary, Address: "shop:80"}}, nil, `canary[0]: the backend lists an instance at "shop:80", which is no IP address with a port`},
		"no port":    {[]guard.Instance{{Arm: guard.Canary, Address: "127.0.0.1"}}, nil, "which is no IP address with a port"},
		"nobody yet": {nil, nil, ""},
	} {
		list, away = c.list, c.away
		got, err := other.Read(t.Context(), requests)
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && (err != nil || len(got.Series) != 1) {
			t.Errorf("%s: Read = %+v, error %v, want %q", name, got, err, c.err)
		}
	}
	list, away = nil, nil
	if _, err := own.Read(t.Context(), requests); err == nil || !strings.Contains(err.Error(), "no instance is known") {
		t.Errorf("with nothing on the list: error %v", err)
	}
}

// TestNoBackendList has a plan whose backend lists nothing, and a source that was made without one.
func TestNoBackendList(t *testing.T) {
	source := newSource(t, guard.With{"canary": []any{"http://a/", "backend+http:///metrics"}, "stable": []any{"backend+http://:1/"}})
	err := source.(guard.Follower).Follow(nil)
	if err == nil || !strings.HasPrefix(err.Error(), "canary[1]: the backend of the plan does not list its instances") || !strings.Contains(err.Error(), "\nstable[0]: ") {
		t.Errorf("error %v", err)
	}
	if _, err := source.Read(t.Context(), requests); err == nil || !strings.Contains(err.Error(), "canary[1]: there is no backend that lists its instances") {
		t.Errorf("error %v", err)
	}
	if err := newSource(t, guard.With{"canary": []any{"http://a/"}, "stable": []any{"http://b/"}}).(guard.Follower).Follow(nil); err != nil {
		t.Errorf("nobody asks for a list, and the error is %v", err)
	}
	for _, address := range []string{"backend+http://shop:9090/metrics", "backend+:9090", "backend+ftp://:9090/"} {
		if _, err := NewSource(guard.With{"canary": []any{address}, "stable": []any{"http://b/"}}); err == nil || !strings.HasPrefix(err.Error(), "canary[0]: ") {
			t.Errorf("%s: error %v", address, err)
		}
	}
}
