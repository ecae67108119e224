package server_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/golive-dev/golive/guard"
	"github.com/golive-dev/golive/guard/server"
)

// rootIDs generates as cmd/golive does, with IDs that count where no root is made.
type rootIDs struct{ next chan byte }

func (r rootIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if traceID, spanID, root := server.RootIDs(ctx); root {
		return traceID, spanID
	}
	return trace.TraceID{1, <-r.next}, trace.SpanID{1, <-r.next}
}

func (r rootIDs) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	return trace.SpanID{2, <-r.next, 1}
}

// A rollout is one trace with its events below its root; the message that opened it is linked, and itself linked to what
// its sender named.
func TestTraces(t *testing.T) {
	s := newSite(t)
	kept := tracetest.NewInMemoryExporter()
	ids := rootIDs{make(chan byte)}
	go func() {
		for n := byte(1); ; n++ {
			select {
			case ids.next <- n:
			case <-t.Context().Done():
				return
			}
		}
	}()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(kept), sdk.WithIDGenerator(ids))
	r := s.start("one", func(o *server.Options) { o.Access, o.Tracer = known(t), provider.Tracer("test") })
	r.Hooks = hooks(r.Server)
	r.web.Close()
	r.web = httptest.NewServer(r.Handler())
	t.Cleanup(r.web.Close)
	id := r.want(200, "POST", "/v1/hooks/plain", "hello", as(hookSecret), "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	r.want(202, "POST", "/v1/rollouts/"+id+"/orders", `{"verb": "rollback", "why": "enough"}`, as(allSecret))
	r.await(id, "over", func(st guard.State) bool { return st.Phase == guard.Over })
	r.end() // so that the last span is there
	var root, hook tracetest.SpanStub
	names := map[string]int{}
	for _, span := range kept.GetSpans() {
		names[span.Name]++
		switch span.Name {
		case "rollout":
			root = span
		case "hook plain":
			hook = span
		}
		for _, a := range span.Attributes {
			if strings.Contains(a.Value.String(), hookSecret) || strings.Contains(a.Value.String(), allSecret) {
				t.Errorf("the span %s holds a secret: %v", span.Name, a)
			}
		}
	}
	if names["rollout"] != 1 || names["hook plain"] != 1 || names["rollout ordered"] != 1 {
		t.Fatalf("the spans are %v", names)
	}
	for _, span := range kept.GetSpans() {
		if below := strings.HasPrefix(span.Name, "rollout "); below && span.Parent.SpanID() != root.SpanContext.SpanID() || below && span.SpanContext.TraceID() != root.SpanContext.TraceID() {
			t.Errorf("%s is not below the rollout", span.Name)
		}
	}
	if root.Parent.IsValid() || !root.EndTime.After(root.StartTime) || root.Status.Code == codes.Error {
		t.Errorf("the root is %+v", root)
	}
	links := map[string]bool{}
	for _, l := range hook.Links {
		links[l.SpanContext.TraceID().String()] = true
	}
	if !links["0af7651916cd43dd8448eb211c80319c"] || !links[root.SpanContext.TraceID().String()] || hook.SpanContext.TraceID() == root.SpanContext.TraceID() {
		t.Errorf("the message has links to %v", links)
	}
}
