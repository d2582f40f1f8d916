package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of requests, in the program's own registry.
type metrics struct {
	registry       *prometheus.Registry
	inFlight       atomic.Int64
	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec

	predictions       *prometheus.CounterVec
	predictionSeconds *prometheus.HistogramVec
	served            *prometheus.CounterVec
	unrecorded        *prometheus.CounterVec
}

// FastBuckets are histogram buckets, in seconds, for work of tens of microseconds to seconds.
var FastBuckets = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests answered."}, []string{"method", "route", "status"}),
		requestSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds",
			Help: "Time to answer a request.", Buckets: FastBuckets}, []string{"method", "route"}),
		predictions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "model_predictions_total",
			Help: "Rankings and ratings computed for people."}, []string{"operation", "strategy"}),
		predictionSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "model_prediction_duration_seconds",
			Help: "Time to compute a ranking, or the ratings of a request.", Buckets: FastBuckets}, []string{"operation"}),
		served: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "recommendations_served_total",
			Help: "Recommendations that people were shown."}, []string{"strategy"}),
		unrecorded: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "recommendations_unrecorded_total",
			Help: "Recommendations given without an event that says so."}, []string{"reason"}),
	}
	for _, strategy := range []string{"blend", "online", "cold"} {
		m.predictions.WithLabelValues(OperationRank, strategy)
		m.served.WithLabelValues(strategy)
	}
	for _, operation := range []string{OperationRank, OperationPredict} {
		m.predictionSeconds.WithLabelValues(operation)
	}
	for _, reason := range []string{unrecordedAsked, unrecordedCrossSite, unrecordedUnavailable} {
		m.unrecorded.WithLabelValues(reason)
	}
	m.registry.MustRegister(m.requests, m.requestSeconds, m.predictions, m.predictionSeconds, m.served, m.unrecorded)
	return m
}

// request counts an answer. Its labels are bounded: the route is the pattern, not the path.
func (m *metrics) request(r *http.Request, status int, took time.Duration) {
	_, route, ok := strings.Cut(r.Pattern, " ")
	if !ok {
		route = "unmatched"
	}
	method := r.Method
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions}, method) {
		method = "other"
	}
	if status == 0 { // the client went away before anything was written
		status = 499
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(method, route).Observe(took.Seconds())
}
