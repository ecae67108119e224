package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/golive-dev/golive/guard/server"
)

// flushWithin bounds how long the end of a server waits for its last spans.
const flushWithin = 2 * time.Second

// tracer sends spans to where the usual variables of OpenTelemetry say, by OTLP over HTTP; nil: they say nothing. The
// function that it returns sends what is left. Spans are dropped where the collector does not keep up: nothing waits for it.
func (p *program) tracer(ctx context.Context, node string, log *slog.Logger) (trace.Tracer, func(), error) {
	set := func(name string) string { value, _ := p.env.Lookup(name); return value }
	if set("OTEL_SDK_DISABLED") == "true" || set("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return nil, func() {}, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := set(name); protocol == "http/protobuf" {
			break
		} else if protocol != "" {
			return nil, func() {}, fmt.Errorf("%s=%s: golive sends traces as http/protobuf alone; name that, and the address for it (port 4318)", name, protocol)
		}
	}
	// Its default writes to stderr beside the log.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces are not sent", "error", p.secrets.name(err.Error())) }))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, func() {}, fmt.Errorf("set up traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "golive"), attribute.String("service.version", version()), attribute.String("service.instance.id", node),
	), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, func() {}, fmt.Errorf("set up traces: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about), sdk.WithIDGenerator(spanIDs{}))
	flush := func() {
		ending, done := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
		defer done()
		if err := provider.Shutdown(ending); err != nil {
			log.Warn("the last traces are not sent", "error", p.secrets.name(err.Error()))
		}
	}
	return provider.Tracer("github.com/golive-dev/golive"), flush, nil
}

// spanIDs are random, but those of the root of a rollout: servers that guard it one after another know them by its name.
type spanIDs struct{}

var _ sdk.IDGenerator = spanIDs{}

// NewIDs implements sdk.IDGenerator.
func (i spanIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if traceID, spanID, root := server.RootIDs(ctx); root {
		return traceID, spanID
	}
	var id trace.TraceID
	_, _ = rand.Read(id[:]) // never fails: crypto/rand
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID implements sdk.IDGenerator.
func (spanIDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	_, _ = rand.Read(id[:])
	return id
}
