package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sethvargo/go-envconfig"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// heard is a log that may be written to while it is read.
type heard struct {
	mu   sync.Mutex
	text strings.Builder
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(b)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// TestTracesAreSent has a collector of OTLP over HTTP take spans that end just before golive does.
func TestTracesAreSent(t *testing.T) {
	took := make(chan *collector.ExportTraceServiceRequest, 10)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &sent) != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Team") != "blue" {
			http.Error(w, "not what was wanted", http.StatusBadRequest)
			return
		}
		took <- &sent
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer web.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", web.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Team=blue")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	var text heard
	p := &program{env: envconfig.OsLookuper()}
	tracer, flush, err := p.tracer(t.Context(), "node-1", slog.New(slog.NewTextHandler(&text, nil)))
	if err != nil || tracer == nil {
		t.Fatalf("the tracer is %v: %v", tracer, err)
	}
	_, span := tracer.Start(t.Context(), "rollout measured")
	span.End()
	flush()
	select {
	case sent := <-took:
		said := sent.String()
		for _, want := range []string{"rollout measured", "node-1", "golive", "deployment.environment"} {
			if !strings.Contains(said, want) {
				t.Errorf("what was sent has no %q: %s", want, said)
			}
		}
	default:
		t.Errorf("nothing was sent; the log:\n%s", &text)
	}
}

// TestTracesHoldNobodyUp ends golive while its collector takes what is sent and never answers.
func TestTracesHoldNobodyUp(t *testing.T) {
	release := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer web.Close()
	defer close(release)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", web.URL+"/v1/traces")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "36000000") // ms
	var text heard
	tracer, flush, err := (&program{env: envconfig.OsLookuper()}).tracer(t.Context(), "node-1", slog.New(slog.NewTextHandler(&text, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 { // more than the queue holds
		_, span := tracer.Start(t.Context(), "rollout measured")
		span.End()
	}
	flush() // without its bound, it is not back before the test has run out of time
	if !strings.Contains(text.String(), "are not sent") {
		t.Errorf("the log does not say that spans are lost: %s", &text)
	}
}

func TestTracesAreAskedFor(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, c := range []struct {
		name    string
		env     map[string]string
		problem string
	}{
		{"nothing", nil, ""},
		{"off", map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}, ""},
		{"gRPC", map[string]string{endpoint: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf alone"},
	} {
		tracer, flush, err := (&program{env: envconfig.MapLookuper(c.env)}).tracer(t.Context(), "", slog.New(slog.DiscardHandler))
		flush()
		if tracer != nil {
			t.Errorf("%s: there are traces", c.name)
		}
		if c.problem == "" && err != nil || c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
