package v1

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
)

// metrics count what this surface is for.
type metrics struct {
	predictions       prometheus.Counter
	predictionSeconds prometheus.Histogram
	featureSeconds    prometheus.Histogram
	served            *prometheus.CounterVec
	unrecorded        *prometheus.CounterVec
	interactions      *prometheus.CounterVec
}

// otherKind stands for interaction types that are none of the known: a client may invent any number.
const otherKind = "other"

func newMetrics(core *api.Core) *metrics {
	m := &metrics{
		predictions: prometheus.NewCounter(prometheus.CounterOpts{Name: "model_predictions_total", Help: "Rankings computed for people."}),
		predictionSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "model_prediction_duration_seconds",
			Help: "Time to compute a ranking.", Buckets: api.FastBuckets}),
		featureSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "feature_serving_duration_seconds",
			Help: "Time to read the features of one entity.", Buckets: api.FastBuckets}),
		served: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "recommendations_served_total",
			Help: "Recommendations that people were shown."}, []string{"strategy"}),
		unrecorded: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "recommendations_unrecorded_total",
			Help: "Recommendations given without an event that says so."}, []string{"reason"}),
		interactions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "user_interactions_total",
			Help: "Interactions taken over HTTP."}, []string{"type"}),
	}
	for _, strategy := range []string{"blend", "online", "cold"} {
		m.served.WithLabelValues(strategy)
	}
	for _, kind := range append(slices.Clone(events.Kinds), otherKind) {
		m.interactions.WithLabelValues(kind)
	}
	for _, reason := range []string{unrecordedAsked, unrecordedCrossSite, unrecordedUnavailable} {
		m.unrecorded.WithLabelValues(reason)
	}
	core.Metrics().MustRegister(m.predictions, m.predictionSeconds, m.featureSeconds, m.served, m.unrecorded, m.interactions)
	return m
}

func (m *metrics) interaction(kind string) {
	if !slices.Contains(events.Kinds, kind) {
		kind = otherKind
	}
	m.interactions.WithLabelValues(kind).Inc()
}
