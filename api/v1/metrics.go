package v1

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
)

// metrics count what this surface is for.
type metrics struct {
	featureSeconds prometheus.Histogram
	interactions   *prometheus.CounterVec
}

// otherKind stands for interaction types that are none of the known: a client may invent any number.
const otherKind = "other"

func newMetrics(core *api.Core) *metrics {
	m := &metrics{
		featureSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "feature_serving_duration_seconds",
			Help: "Time to read the features of one entity.", Buckets: api.FastBuckets}),
		interactions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "user_interactions_total",
			Help: "Interactions taken over HTTP."}, []string{"type"}),
	}
	for _, kind := range append(slices.Clone(events.Kinds), otherKind) {
		m.interactions.WithLabelValues(kind)
	}
	core.Metrics().MustRegister(m.featureSeconds, m.interactions)
	return m
}

func (m *metrics) interaction(kind string) {
	if !slices.Contains(events.Kinds, kind) {
		kind = otherKind
	}
	m.interactions.WithLabelValues(kind).Inc()
}
