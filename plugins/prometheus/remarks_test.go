package prometheus

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/plugins"
	"github.com/golive-dev/golive/plugins/plugintest"
)

// TestRemarks has a server that remarks on every query, and on one of them more. It is read here and through a plugin.
func TestRemarks(t *testing.T) {
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		more := ""
		if strings.HasPrefix(r.FormValue("query"), "queue") {
			more = `,"PromQL info: look\nat this"`
		}
		fmt.Fprintf(w, `{"status":"success","warnings":["PromQL warning: odd"],"infos":["deprecated"%s],"data":{"resultType":"vector","result":[]}}`, more)
	}))
	q := guard.Query{Release: release, Signals: []guard.Signal{{Name: "a", Total: "a"}, {Name: "b", Total: "b"}, {Name: "queue", Value: "queue"}}}
	plugintest.Both(t, kit, func(t *testing.T, kit plugins.Kit) {
		source := plugintest.Make(t, kit.Sources["prometheus"], guard.With{"address": "http://" + host})
		got, err := source.Read(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"PromQL warning: odd", "deprecated", "PromQL info: look at this"}
		if diff := cmp.Diff(want, got.Remarks); diff != "" {
			t.Errorf("remarks (-want +got):\n%s", diff)
		}
	})
}

// TestRealRemarks asks a real server, through a proxy that adds to each query what Prometheus remarks on; golive's own
// queries are plain. The data are the same as without.
func TestRealRemarks(t *testing.T) {
	address := startPrometheus(t, serve(t, &shop{version: "v1"}), serve(t, &shop{version: "v2"}))
	if out, err := exec.CommandContext(t.Context(), "prometheus", "--version").CombinedOutput(); err != nil || strings.HasPrefix(string(out), "prometheus, version 2.42.") {
		t.Skip("Prometheus remarks on queries since 2.48, and Debian 12 has an older one; put a newer one first on PATH")
	}
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	odd := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		r.Form.Set("query", r.Form.Get("query")+" or (rate(queue_depth[1m]) > Inf) or (histogram_quantile(2, http_request_duration_seconds_bucket) > Inf)")
		body := r.Form.Encode()
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		proxy.ServeHTTP(w, r)
	}))
	plain, remarking := newSource(t, guard.With{"address": address}), newSource(t, guard.With{"address": "http://" + odd})
	q := guard.Query{Release: release, Signals: signals[:1]}
	var want guard.Reading
	eventually(t, "Prometheus has scraped both targets", func() bool {
		want, err = plain.Read(t.Context(), q)
		return err == nil && len(want.Series) == 2
	})
	if len(want.Remarks) > 0 {
		t.Errorf("it remarks on golive's own queries: %q", want.Remarks)
	}
	var got guard.Reading
	eventually(t, "Prometheus has two scrapes to take a rate of", func() bool {
		got, err = remarking.Read(t.Context(), q)
		return err == nil && len(got.Remarks) > 1
	})
	if diff := cmp.Diff(want.Series, got.Series, ignoreTime); diff != "" {
		t.Errorf("series (-without remarks +with):\n%s", diff)
	}
	for _, part := range []string{`PromQL info: metric might not be a counter`, `PromQL warning: quantile value should be between 0 and 1`} {
		if !slices.ContainsFunc(got.Remarks, func(remark string) bool { return strings.Contains(remark, part) }) {
			t.Errorf("remarks %q, want one with %q", got.Remarks, part)
		}
	}
	t.Logf("remarks: %q", got.Remarks)
}

// TestRealPartialData has a real server that cannot reach a part of its storage. It says so in a warning, which is no
// remark: the reading is none.
func TestRealPartialData(t *testing.T) {
	config := scrapes(serve(t, &shop{version: "v2"})) + "remote_read:\n- {url: 'http://127.0.0.1:1/', read_recent: true}\n"
	source := newSource(t, guard.With{"address": startConfigured(t, config)})
	eventually(t, "Prometheus says that a part of the data is missing", func() bool {
		got, err := source.Read(t.Context(), guard.Query{Release: release, Signals: signals[:1]})
		if err == nil {
			t.Fatalf("Read = %+v, without an error", got)
		}
		return strings.Contains(err.Error(), "it has only a part of the data: ") // before it is ready, it answers 503
	})
}
