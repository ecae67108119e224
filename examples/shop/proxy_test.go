package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// street is a proxy in front of v1, which is live, v2 and v3.
type street struct{ door, admin string }

func newStreet(t *testing.T) street {
	t.Helper()
	urls := start(t, "proxy")
	s := street{urls[0], urls[1]}
	for _, name := range []string{"v1", "v2", "v3"} {
		s.register(t, name, start(t, "serve", "--version", name)[0])
	}
	return s
}

func (s street) register(t *testing.T, name, url string) {
	t.Helper()
	expect(t, "PUT", s.admin+"/versions/"+name, fmt.Sprintf(`{"url":%q}`, url), 200, `"percent":`)
}

func (s street) shift(t *testing.T, name string, percent int) {
	t.Helper()
	expect(t, "PUT", s.admin+"/versions/"+name+"/percent", fmt.Sprintf(`{"percent":%d}`, percent),
		200, fmt.Sprintf(`"percent":%d,`, percent))
}

// visit sends n requests by many clients at once and counts them by the version that answered.
func (s street) visit(t *testing.T, n int) map[string]int {
	t.Helper()
	versions := make(chan string, n)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range n / 10 {
				_, _, version := call(t, "GET", s.door+"/version", "")
				versions <- version
			}
		})
	}
	wg.Wait()
	close(versions)
	counts := map[string]int{}
	for version := range versions {
		counts[version]++
	}
	return counts
}

func TestSplitIsExact(t *testing.T) {
	s := newStreet(t)
	for _, percent := range []int{10, 1, 50, 100, 0} {
		s.shift(t, "v2", percent)
		counts := s.visit(t, 500)
		if got, want := counts["v2"], 5*percent; got < want-1 || got > want+1 {
			t.Errorf("%d %% of 500 requests: %d on v2, want %d", percent, got, want)
		}
		if counts["v1"]+counts["v2"] != 500 {
			t.Errorf("%d %%: %v, want 500 in all", percent, counts)
		}
	}
}

// Of any run of requests, wherever it begins, the canary gets its share give or take one.
func TestSplitIsSmooth(t *testing.T) {
	for percent := range 101 {
		canary := &version{}
		d := &router{live: &version{}, canary: canary, percent: percent}
		got := []int{0} // how many the canary got of the first i requests
		for range 250 {
			n := got[len(got)-1]
			if d.pick() == canary {
				n++
			}
			got = append(got, n)
		}
		for from := range got {
			for to := from + 1; to < len(got); to++ {
				n, exact := got[to]-got[from], percent*(to-from)
				if 100*n <= exact-100 || 100*n >= exact+100 {
					t.Fatalf("%d %%: requests %d to %d: %d on the canary, want %d/100", percent, from, to, n, exact)
				}
			}
		}
	}
}

func TestRelease(t *testing.T) {
	s := newStreet(t)
	v1, v2, v3 := s.admin+"/versions/v1", s.admin+"/versions/v2", s.admin+"/versions/v3"
	const busy, jump = `{"percent":10}`, `{"percent":100}`

	expect(t, "GET", v1, "", 200, `{"percent":100,"undo":{"open":false,"detail":"no other version is in play"}}`)
	expect(t, "GET", v2, "", 200, `{"percent":0,"undo":{"open":true,"detail":"v1 answers and holds 100 %"}}`)
	expect(t, "POST", v2+"/finish", "", 409, "v2 has no traffic to finish with")

	for range 2 {
		s.shift(t, "v2", 10)
	}
	expect(t, "GET", v2, "", 200, `{"percent":10,"undo":{"open":true,"detail":"v1 answers and holds 90 %"}}`)
	expect(t, "GET", v1, "", 200, `{"percent":90,"undo":{"open":true,"detail":"v2 answers and holds 10 %"}}`)
	expect(t, "PUT", v3+"/percent", busy, 409, "v2 is in play with 10 %")
	expect(t, "POST", v3+"/finish", "", 409, "v3 has no traffic")
	expect(t, "PUT", v1+"/percent", jump, 409, "v1 is the live version")

	for range 2 {
		s.shift(t, "v2", 0)
	}
	s.shift(t, "v3", 10)
	s.shift(t, "v3", 0)
	s.shift(t, "v2", 100)
	expect(t, "GET", v2, "", 200, `"detail":"v1 answers and holds 0 %"`)
	for range 2 {
		expect(t, "POST", v2+"/finish", "", 200, `"percent":100,"undo":{"open":false`)
	}
	expect(t, "PUT", v2+"/percent", jump, 200, `"percent":100`)
	expect(t, "GET", v1, "", 200, `{"percent":0,"undo":{"open":true,"detail":"v2 answers and holds 100 %"}}`)
	expect(t, "GET", s.door+"/version", "", 200, "v2")
	expect(t, "GET", s.admin+"/", "", 200, "v2       live  100 %  1")
}

func TestAdminRefuses(t *testing.T) {
	s := newStreet(t)
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/versions/v9", "", 404, `{"error":"unknown version \"v9\""}`},
		{"GET", "/versions/v9/metrics", "", 404, `"error"`},
		{"PUT", "/versions/v9/percent", `{"percent":10}`, 404, `"error"`},
		{"POST", "/versions/v9/finish", "", 404, `"error"`},
		{"PUT", "/versions/v2/percent", `{"percent":101}`, 400, `"error":"percent:`},
		{"PUT", "/versions/v2/percent", `{"percent":-1}`, 400, `"error":"percent:`},
		{"PUT", "/versions/v2/percent", `{}`, 400, `"error":"percent:`},
		{"PUT", "/versions/v2/percent", `{"percent":1.5}`, 400, `"error":"read the body:`},
		{"PUT", "/versions/v2/percent", `{"share":1}`, 400, `unknown field`},
		{"PUT", "/versions/v2/percent", ``, 400, `"error":"read the body:`},
		{"PUT", "/versions/v4", `{"url":"127.0.0.1:1"}`, 400, `"error":"url:`},
		{"PUT", "/versions/v4", `{"url":"https://shop.example"}`, 400, `"error":"url:`},
		{"DELETE", "/versions/v2", "", 405, ""},
	} {
		expect(t, test.method, s.admin+test.path, test.body, test.status, test.want)
	}
	expect(t, "GET", s.admin+"/versions/v2", "", 200, `"percent":0`)
}

func TestMetricsPassThrough(t *testing.T) {
	s := newStreet(t)
	s.shift(t, "v2", 100)
	expect(t, "GET", s.door+"/cart", "", 200, "cart")
	expect(t, "GET", s.admin+"/versions/v2/metrics", "", 200, `http_requests_total{code="200",version="v2"} 1`)
	expect(t, "GET", s.admin+"/versions/v1/metrics", "", 200, `http_requests_total{code="200",version="v1"} 0`)
}

// A version that is gone costs its share of requests, no more; and while it is gone there is no way back to it.
func TestDeadVersion(t *testing.T) {
	s := newStreet(t)
	gone, stop := startStoppable(t, "serve", "--version", "v4")
	s.register(t, "v4", gone[0])
	s.shift(t, "v4", 50)
	stop()

	statuses := map[string]int{}
	for range 10 {
		status, _, version := call(t, "GET", s.door+"/version", "")
		statuses[fmt.Sprint(version, " ", status)]++
	}
	if statuses["v4 502"] != 5 || statuses["v1 200"] != 5 {
		t.Errorf("half on a dead version: %v", statuses)
	}
	expect(t, "GET", s.admin+"/", "", 200, "v4       canary  50 %   5         5")
	expect(t, "GET", s.admin+"/versions/v4/metrics", "", 502, `{"error":`)
	expect(t, "GET", s.admin+"/versions/v1", "", 200, `"undo":{"open":false,"detail":"v4 is not healthy:`)

	s.register(t, "v4", start(t, "serve", "--version", "v4")[0])
	expect(t, "GET", s.admin+"/versions/v1", "", 200, `"undo":{"open":true,"detail":"v4 answers and holds 50 %"`)
}

func TestUnhealthyVersionIsNoWayBack(t *testing.T) {
	s := newStreet(t)
	sick := httptest.NewServer(http.NotFoundHandler())
	defer sick.Close()
	s.register(t, "v4", sick.URL)
	s.shift(t, "v4", 100)
	expect(t, "GET", s.admin+"/versions/v1", "", 200, `"detail":"v4 is not healthy: 404 Not Found"`)
}

// A request ends where it began, though all traffic moves away in the meantime.
func TestShiftSparesRequestsUnderWay(t *testing.T) {
	s := newStreet(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-goOn
		fmt.Fprint(w, "finished on v4")
	}))
	defer slow.Close()
	s.register(t, "v4", slow.URL)
	s.shift(t, "v4", 100)

	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { expect(t, "GET", s.door+"/", "", 200, "finished on v4") })
	<-begun
	s.shift(t, "v4", 0)
	expect(t, "GET", s.door+"/version", "", 200, "v1")
	close(goOn)
}

func TestProxyWithoutVersions(t *testing.T) {
	door := start(t, "proxy")[0]
	if status, text, _ := call(t, "GET", door+"/", ""); status != 503 || !strings.Contains(text, "no version is registered") {
		t.Errorf("%d %s", status, text)
	}
}
