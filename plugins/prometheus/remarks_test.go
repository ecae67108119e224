package prometheus

import (
	"fmt"
	"net/http"
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
