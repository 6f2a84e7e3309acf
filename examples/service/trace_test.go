package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/so-mirror/mirror/store/memory"
)

func TestSpans(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		w.damage("contact", "name", 3)
		w.source.DelayAt(memory.Rows, 1, time.Minute)
		b := serve(t, func(s *service) { s.repair = true }, w)
		b.pass(time.Minute)
		by := map[string][]tracetest.SpanStub{}
		for _, s := range b.spans.GetSpans() {
			by[s.Name] = append(by[s.Name], s)
		}
		look, compare, repair := by["look"][0], by["compare"][0], by["repair"][0]
		require.Contains(t, look.Attributes, attribute.String("mirror", "Cust1"))
		require.Equal(t, look.SpanContext.SpanID(), compare.Parent.SpanID())
		require.Equal(t, time.Minute, compare.EndTime.Sub(compare.StartTime))
		require.Equal(t, compare.SpanContext.SpanID(), repair.Parent.SpanID())
		require.Contains(t, repair.Events[0].Attributes, attribute.String("event", "intent"))
		require.Contains(t, repair.Events[0].Attributes, attribute.StringSlice("tables", []string{"contact"}))
		require.Contains(t, repair.Events[1].Attributes, attribute.String("event", "done"))

		require.Len(t, by["table"], 2)
		var longest time.Duration
		for _, s := range by["table"] {
			require.Equal(t, compare.SpanContext.SpanID(), s.Parent.SpanID())
			require.False(t, s.StartTime.Before(compare.StartTime))
			require.False(t, s.EndTime.After(compare.EndTime))
			longest = max(longest, s.EndTime.Sub(s.StartTime))
			if s.Attributes[0].Value.AsString() == "contact" {
				require.Contains(t, s.Attributes, attribute.String("verdict", "different"))
				require.Contains(t, s.Attributes, attribute.Int64("differing", 3))
			}
		}
		require.Equal(t, time.Minute, longest)
	})
}

// To be told of the progress costs a count of each table, which nobody pays who does not
// look, nor for the few rows that changed.
func TestSpansOfTablesCostNothingUnasked(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		b := serve(t, func(s *service) {
			tracer, flush, err := newTracer(t.Context(), func(string) string { return "" }, nil)
			require.NoError(t, err)
			require.NoError(t, flush(t.Context()))
			s.tracer = tracer
		}, w)
		b.requireHealth(200, stateOK)
		require.NotContains(t, w.source.Calls(), memory.Call{Method: memory.Count, Table: "contact"})
	})
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "Cust1")
		b := serve(t, nil, w)
		require.Len(t, b.did("table"), 2)
		w.source.ResetCalls()
		w.work()
		w.cycle()
		b.pass(poll)
		require.Len(t, b.did("compare"), 1)
		require.NotContains(t, w.source.Calls(), memory.Call{Method: memory.Count, Table: "contact"})
	})
}

func TestTracerOfTheEnvironment(t *testing.T) {
	with := func(vars map[string]string) (string, error) {
		var out bytes.Buffer
		tracer, flush, err := newTracer(t.Context(), func(name string) string { return vars[name] }, &out)
		if err != nil {
			return "", err
		}
		_, span := tracer.Start(t.Context(), "look")
		span.End()
		require.NoError(t, flush(t.Context()))
		return out.String(), nil
	}
	for name, c := range map[string]struct {
		vars map[string]string
		want string
	}{
		"nothing":  {nil, ""},
		"none":     {map[string]string{"OTEL_TRACES_EXPORTER": "none"}, ""},
		"disabled": {map[string]string{"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"}, ""},
		"console":  {map[string]string{"OTEL_TRACES_EXPORTER": "console"}, `"Name":"look"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := with(c.vars)
			require.NoError(t, err)
			if c.want == "" {
				require.Empty(t, got)
			}
			require.Contains(t, got, c.want)
		})
	}
	_, err := with(map[string]string{"OTEL_TRACES_EXPORTER": "otlp"})
	require.ErrorContains(t, err, "want console or none")
}
