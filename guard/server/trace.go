package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/golive-dev/golive/guard"
)

// A rollout is one trace, whichever servers guard it: its IDs come of its name. The root is the rollout from its opening
// to its end, and is sent when it is over; each event under guard is a span below it. A message of a deploy tool is a
// trace of its own, with links to the trace that the tool named and to the rollout that it changed.

// traceOf is the root of the trace of a rollout.
func traceOf(rollout string) trace.SpanContext {
	sum := sha256.Sum256([]byte("golive rollout " + rollout))
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:24]), TraceFlags: trace.FlagsSampled, Remote: true,
	})
}

// RootIDs is what the IDs of a span have to be if the context says so, for the generator of IDs of whoever makes
// Options.Tracer. Without that the root of a rollout has IDs of its own.
func RootIDs(ctx context.Context) (trace.TraceID, trace.SpanID, bool) {
	root, ok := ctx.Value(rootKey{}).(trace.SpanContext)
	return root.TraceID(), root.SpanID(), ok
}

type rootKey struct{}

// traced makes a span of an event of a rollout under guard. It is called between two events, and does not wait.
func (s *Server) traced(rollout string, e guard.Event, was, st guard.State) {
	if s.Tracer == nil {
		return
	}
	kind := strings.ToLower(reflect.TypeOf(e.Fact).Name())
	attributes := append(attributesOf(rollout, st), attribute.String("golive.event", kind), attribute.Int("golive.task", e.Task), attribute.Int("golive.percent", st.Seen))
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), traceOf(rollout))
	_, span := s.Tracer.Start(ctx, "rollout "+kind, trace.WithTimestamp(e.At), trace.WithAttributes(attributes...))
	if problem := problemOf(e.Fact); problem != "" {
		span.SetStatus(codes.Error, s.Clean(guard.Line(problem, longestText)))
	}
	span.End()
	if st.Phase != guard.Over || was.Phase == guard.Over || st.Incident.Again > 0 { // the span of the whole is of the traffic's part, and there is one
		return
	}
	ctx = context.WithValue(context.Background(), rootKey{}, traceOf(rollout))
	_, root := s.Tracer.Start(ctx, "rollout", trace.WithNewRoot(), trace.WithTimestamp(st.Opened), trace.WithAttributes(append(attributesOf(rollout, st),
		attribute.String("golive.outcome", string(st.Outcome)), attribute.String("golive.cause", string(st.Cause)), attribute.String("golive.why", s.Clean(st.Why)))...))
	if st.Outcome == guard.RollbackFailed || st.Outcome == guard.Unfinished {
		root.SetStatus(codes.Error, string(st.Outcome))
	}
	root.End(trace.WithTimestamp(e.At))
}

func attributesOf(rollout string, st guard.State) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("golive.rollout", rollout), attribute.String("golive.service", st.Release.Service), attribute.String("golive.environment", st.Release.Environment),
		attribute.String("golive.from", st.Release.From), attribute.String("golive.to", st.Release.To), attribute.String("golive.phase", string(st.Phase)),
	}
}

// problemOf is what went wrong, if the fact says so.
func problemOf(f guard.Fact) string {
	switch f := f.(type) {
	case guard.Failed:
		return f.Error
	case guard.Measured:
		return f.Problem
	}
	return ""
}

// tracedHook makes a span of a message of a deploy tool. The trace that its sender names is linked and not joined: who
// sends it is not to say what is kept of golive's own.
func (s *Server) tracedHook(name string, next http.Handler) http.Handler {
	if s.Tracer == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sender := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(r.Header)))
		options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithNewRoot(), trace.WithAttributes(
			attribute.String("golive.hook", name), attribute.String("http.request.method", r.Method), attribute.String("url.path", guard.Line(r.URL.Path, longestPath)),
		)}
		if sender.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: sender}))
		}
		ctx, span := s.Tracer.Start(r.Context(), "hook "+name, options...)
		record := &statusWriter{ResponseWriter: w}
		defer func() {
			span.SetAttributes(attribute.Int("http.response.status_code", record.status))
			if record.status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, fmt.Sprintf("answered with %d", record.status))
			}
			span.End()
		}()
		next.ServeHTTP(record, r.WithContext(ctx))
	})
}

// changedBy links the span of a request to the rollout that it changed.
func changedBy(ctx context.Context, rollout string) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("golive.rollout", rollout))
	span.AddLink(trace.Link{SpanContext: traceOf(rollout)})
}
