package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/so-mirror/mirror"
)

// newTracer returns a tracer as OpenTelemetry's variables say, and what sends the rest of
// its spans. The exporter for OTLP is left out for the size of what it imports; README.md
// says how to put it in.
func newTracer(ctx context.Context, getenv func(string) string, w io.Writer) (_ trace.Tracer, flush func(context.Context) error, err error) {
	var to sdktrace.SpanExporter
	exporter := getenv("OTEL_TRACES_EXPORTER")
	if getenv("OTEL_SDK_DISABLED") == "true" {
		exporter = "none"
	}
	switch exporter {
	case "", "none":
		return noop.NewTracerProvider().Tracer(""), func(context.Context) error { return nil }, nil
	case "console":
		to, err = stdouttrace.New(stdouttrace.WithWriter(w))
	default:
		err = fmt.Errorf("OTEL_TRACES_EXPORTER is %q: want console or none", exporter)
	}
	if err != nil {
		return nil, nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(to))
	return provider.Tracer("github.com/so-mirror/mirror/examples/service"), provider.Shutdown, nil
}

// tableSpans make a span of each table whose rows are compared. Nil makes none.
type tableSpans struct{ last map[string]time.Time }

// newTableSpans returns nil when nobody looks at the spans, and when only changes are read:
// to be told of the progress costs a count of each table's rows.
func newTableSpans(span trace.Span, since *mirror.Report) *tableSpans {
	if !span.IsRecording() || since != nil {
		return nil
	}
	return &tableSpans{last: map[string]time.Time{}}
}

func (t *tableSpans) progress(p mirror.Progress) { t.last[p.Table] = time.Now() }

// end makes the spans, when the report says how long each table took.
func (t *tableSpans) end(ctx context.Context, tracer trace.Tracer, report *mirror.Report) {
	if t == nil || report == nil {
		return
	}
	for _, found := range report.Tables {
		last, ok := t.last[found.Table]
		if !ok {
			continue
		}
		_, span := tracer.Start(ctx, "table", trace.WithTimestamp(last.Add(-found.Elapsed)), trace.WithAttributes(
			attribute.String("table", found.Table), attribute.String("verdict", string(found.Verdict)),
			attribute.Int64("rows", found.SourceRows), attribute.Int64("differing", found.DifferingRows())))
		if found.Err != nil {
			span.SetStatus(codes.Error, reason(found.Err))
		}
		span.End(trace.WithTimestamp(last))
	}
}

// tracedJournal also tells the trace and the log of each change.
type tracedJournal struct {
	mirror.Journal
	log *slog.Logger
}

// Append implements mirror.Journal.
func (j tracedJournal) Append(ctx context.Context, e mirror.JournalEntry) error {
	err := j.Journal.Append(ctx, e)
	tables := []string{}
	if e.Receipt != nil {
		for _, t := range e.Receipt.Tables {
			tables = append(tables, t.Table)
		}
	}
	trace.SpanFromContext(ctx).AddEvent("journal", trace.WithAttributes(attribute.String("event", string(e.Event)),
		attribute.String("operation", e.ID), attribute.StringSlice("tables", tables), attribute.Bool("written", err == nil)))
	j.log.Info("change", "event", e.Event, "operation", e.ID, "tables", tables, "written", err == nil)
	return err
}
