package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the program's own, in a registry of their own.
type metrics struct {
	registry          *prometheus.Registry
	inFlight          atomic.Int64
	requests          *prometheus.CounterVec
	requestSeconds    *prometheus.HistogramVec
	predictions       prometheus.Counter
	predictionSeconds prometheus.Histogram
	featureSeconds    prometheus.Histogram
	served            *prometheus.CounterVec
	interactions      *prometheus.CounterVec
}

// fast are buckets for work of tens of microseconds to seconds.
var fast = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// otherKind stands for interaction types that are none of the known: a client may invent any number.
const otherKind = "other"

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Requests answered."}, []string{"method", "route", "status"}),
		requestSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds",
			Help: "Time to answer a request.", Buckets: fast}, []string{"method", "route"}),
		predictions: prometheus.NewCounter(prometheus.CounterOpts{Name: "model_predictions_total", Help: "Rankings computed for people."}),
		predictionSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "model_prediction_duration_seconds",
			Help: "Time to compute a ranking.", Buckets: fast}),
		featureSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "feature_serving_duration_seconds",
			Help: "Time to read the features of one entity.", Buckets: fast}),
		served: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "recommendations_served_total",
			Help: "Recommendations that people were shown."}, []string{"strategy"}),
		interactions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "user_interactions_total",
			Help: "Interactions taken over HTTP."}, []string{"type"}),
	}
	for _, strategy := range []string{"blend", "online", "cold"} {
		m.served.WithLabelValues(strategy)
	}
	for _, kind := range append(slices.Clone(events.Kinds), otherKind) {
		m.interactions.WithLabelValues(kind)
	}
	m.registry.MustRegister(m.requests, m.requestSeconds, m.predictions, m.predictionSeconds, m.featureSeconds, m.served, m.interactions,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &stateCollector{s: s}, newCPUCollector())
	return m
}

func (s *Server) metricRoutes() {
	h := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	s.route("GET /metrics", func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	})
}

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

func (m *metrics) interaction(kind string) {
	if !slices.Contains(events.Kinds, kind) {
		kind = otherKind
	}
	m.interactions.WithLabelValues(kind).Inc()
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	descLag         = desc("projection_lag_events", "Records of the log that a view has not folded yet.", "view")
	descInputs      = desc("projection_inputs_total", "Events a view has folded since the start.", "view")
	descHalted      = desc("projection_halted", "1 where a view has met an event it cannot fold.", "view")
	descQuarantine  = desc("quarantined_facts_total", "Facts from outside that could not be read.", "topic")
	descRefusedFact = desc("refused_facts_total", "Records that Kafka's clients were refused, since they could not have been read.", "topic")
	descDeadLetters = desc("dead_letters_total", "Events that reactors gave up on, resolved or not.")
	descCommits     = desc("log_commits_total", "Commits the ledger has accepted since the start.")
	descFacts       = desc("log_facts_total", "Facts published since the start.")
	descConflicts   = desc("log_conflicts_total", "Commits refused for the revision they expected.")
	descDuplicates  = desc("log_duplicates_total", "Commits appended again.")
	descRefused     = desc("log_refused_total", "Appends refused for a full disk.")
	descSyncs       = desc("log_syncs_total", "Groups of appends written and synced.")
	descBytes       = desc("log_written_bytes_total", "Bytes written to the log.")
	descRead        = desc("log_records_read_total", "Records read from the log.")
	descCopied      = desc("ledger_relay_commits", "Commits of a ledger on EventStoreDB that are in the topic mlops-events.")
	descBehind      = desc("ledger_relay_behind", "Commits of a ledger on EventStoreDB that are not in the topic mlops-events yet.")
	descRelayHalted = desc("ledger_relay_halted", "1 where the copying to the topic mlops-events has ended for good.")
	descHandled     = desc("reactor_events_handled_total", "Events a reactor has dealt with.", "reactor")
	descFailed      = desc("reactor_events_failed_total", "Deliveries to a reactor without success.", "reactor")
	descReactorLag  = desc("reactor_lag_events", "Offsets of the ledger that a reactor has not passed.", "reactor")
	descReactorDead = desc("reactor_dead_letters_total", "Events a reactor gave up on.", "reactor")
	descTasks       = desc("workflow_tasks_running", "Tasks of workflow runs that this process works on.")
	descInFlight    = desc("http_requests_in_flight", "Requests under way, this scrape among them.")
	descConnections = desc("database_connections_active", "Requests that use the embedded log and views now: there is no pool of connections.")
	descCPU         = desc("system_cpu_usage_percent", "Share of this machine's processors in use since the last scrape, in percent.")
)

const collectorTimeout = 5 * time.Second // a scrape must end, whatever the log does

// stateCollector reads what others count, at the scrape.
type stateCollector struct{ s *Server }

func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLag, descInputs, descHalted, descQuarantine, descRefusedFact, descDeadLetters, descCommits, descFacts, descConflicts,
		descDuplicates, descRefused, descSyncs, descBytes, descRead, descCopied, descBehind, descRelayHalted, descHandled, descFailed, descReactorLag, descReactorDead, descTasks, descConnections, descInFlight} {
		out <- d
	}
}

func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	defer func() { // a scrape runs on goroutines of its own: a defect in it must not end the process
		if p := recover(); p != nil {
			c.s.Logger.Error("collecting metrics met a defect", "error", p)
			out <- prometheus.NewInvalidMetric(descLag, fmt.Errorf("panic: %v", p))
		}
	}()
	underWay := float64(c.s.metrics.inFlight.Load())
	gauge(descInFlight, underWay)
	gauge(descConnections, underWay)
	c.views(out, gauge, count)
	if c.s.LogStats != nil {
		st := c.s.LogStats()
		count(descCommits, float64(st.Commits))
		count(descFacts, float64(st.Facts))
		count(descConflicts, float64(st.Conflicts))
		count(descDuplicates, float64(st.Duplicates))
		count(descRefused, float64(st.Refused))
		count(descSyncs, float64(st.Syncs))
		count(descBytes, float64(st.Bytes))
		count(descRead, float64(st.RecordsRead))
	}
	if c.s.Relay != nil {
		r, halted := c.s.Relay(), 0.0
		if r.Err != nil {
			halted = 1
		}
		gauge(descCopied, float64(r.Copied))
		gauge(descBehind, float64(r.Behind))
		gauge(descRelayHalted, halted)
	}
	if c.s.Reactors != nil {
		for _, st := range c.s.Reactors.Stats(context.Background()) {
			count(descHandled, float64(st.Handled), st.Reactor)
			count(descFailed, float64(st.Failed), st.Reactor)
			if st.Here { // else a node's that reacts: the lag of all is the sum over nodes
				gauge(descReactorLag, float64(st.Lag), st.Reactor)
			}
			count(descReactorDead, float64(st.DeadLettered), st.Reactor)
		}
		gauge(descTasks, float64(len(c.s.Reactors.Progress())))
	}
}

func (c *stateCollector) views(out chan<- prometheus.Metric, gauge, count func(*prometheus.Desc, float64, ...string)) {
	ctx, cancel := context.WithTimeout(context.Background(), collectorTimeout)
	defer cancel()
	views, err := c.s.Views.Status(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(descLag, err)
		return
	}
	for _, v := range views {
		gauge(descLag, float64(v.Lag), v.View)
		count(descInputs, float64(v.Inputs), v.View)
		halted := 0.
		if v.Halted != nil {
			halted = 1
		}
		gauge(descHalted, halted, v.View)
	}
	quarantine := fold.Of[*projections.Quarantine](c.s.Views)
	counts, err := quarantine.Counts()
	if err != nil {
		out <- prometheus.NewInvalidMetric(descQuarantine, err)
		return
	}
	refused, err := quarantine.Refused()
	if err != nil {
		out <- prometheus.NewInvalidMetric(descRefusedFact, err)
		return
	}
	for _, topic := range []string{events.UserEventsTopic, events.RecommendationsTopic, events.DriftAlertsTopic, events.SystemHealthTopic} {
		count(descQuarantine, float64(counts[topic]), topic)
		count(descRefusedFact, float64(refused[topic]), topic)
	}
	letters, err := fold.Of[*projections.DeadLetters](c.s.Views).Count()
	if err != nil {
		out <- prometheus.NewInvalidMetric(descDeadLetters, err)
		return
	}
	count(descDeadLetters, float64(letters))
}

// cpuCollector compares /proc/stat with what it was at the last scrape. Where there is no such file it
// has no metric.
type cpuCollector struct {
	mu          sync.Mutex
	busy, total uint64
	percent     float64
}

func newCPUCollector() *cpuCollector {
	c := &cpuCollector{}
	c.busy, c.total, _ = cpuTicks()
	return c
}

func (c *cpuCollector) Describe(out chan<- *prometheus.Desc) { out <- descCPU }

func (c *cpuCollector) Collect(out chan<- prometheus.Metric) {
	busy, total, ok := cpuTicks()
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if total > c.total { // two scrapes within a tick: the last figure stands
		c.percent = 100 * max(0, float64(busy)-float64(c.busy)) / float64(total-c.total)
		c.busy, c.total = busy, total
	}
	out <- prometheus.MustNewConstMetric(descCPU, prometheus.GaugeValue, c.percent)
}

// cpuTicks reads the first line of /proc/stat: user nice system idle iowait irq softirq steal (proc(5)).
func cpuTicks() (busy, total uint64, ok bool) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, false
	}
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	fields := strings.Fields(string(line))
	if len(fields) < 6 || fields[0] != "cpu" {
		return 0, 0, false
	}
	for i, f := range fields[1:min(len(fields), 9)] { // guest times are in user already
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, 0, false
		}
		total += n
		if i != 3 && i != 4 { // idle, iowait
			busy += n
		}
	}
	return busy, total, true
}
