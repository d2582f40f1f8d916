// Package prometheus is what Prometheus scrapes: GET /metrics, with what the program's parts count about themselves
// beside the metrics of the surfaces.
package prometheus

import (
	"context"
	"fmt"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/prometheus/client_golang/prometheus"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	descLag         = desc("projection_lag_events", "Records of the log that a view has not folded yet.", "view")
	descInputs      = desc("projection_inputs_total", "Events a view has folded since the start.", "view")
	descHalted      = desc("projection_halted", "1 where a view has met an event it cannot fold.", "view")
	descQuarantine  = desc("quarantined_facts_total", "Facts from outside that could not be read.", "topic")
	descRefusedFact = desc("refused_facts_total", "Records that Kafka's clients were refused, since they could not have been read.", "topic")
	descAlerts      = desc("system_health_alerts_total", "Words of services on their health that were not ok, in the log.", "status")
	descDeadLetters = desc("dead_letters_total", "Events that reactors gave up on, resolved or not.")
	descCommits     = desc("log_commits_total", "Commits the ledger has accepted since the start.")
	descFacts       = desc("log_facts_total", "Facts published since the start.")
	descConflicts   = desc("log_conflicts_total", "Commits refused for the revision they expected.")
	descDuplicates  = desc("log_duplicates_total", "Commits appended again.")
	descRefused     = desc("log_refused_total", "Appends refused for a full disk.")
	descWritable    = desc("log_writable", "1 where the log takes appends, 0 where it refuses them: its disk is full, or it cannot be reached.")
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
)

const collectorTimeout = 5 * time.Second // a scrape must end, whatever the log does

// stateCollector reads what others count, at the scrape.
type stateCollector struct{ s *Surface }

func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLag, descInputs, descHalted, descQuarantine, descRefusedFact, descAlerts, descDeadLetters, descCommits, descFacts, descConflicts,
		descDuplicates, descRefused, descWritable, descSyncs, descBytes, descRead, descCopied, descBehind, descRelayHalted, descHandled, descFailed, descReactorLag, descReactorDead, descTasks, descConnections, descInFlight} {
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
	underWay := float64(c.s.InFlight())
	gauge(descInFlight, underWay)
	gauge(descConnections, underWay)
	c.views(out, gauge, count)
	if c.s.Writable != nil {
		writable := 1.0
		if c.s.Writable() != nil {
			writable = 0
		}
		gauge(descWritable, writable)
	}
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
	for _, topic := range []string{events.UserEventsTopic, events.RecommendationsTopic, events.DriftAlertsTopic, events.SystemHealthTopic, events.FeatureValuesTopic} {
		count(descQuarantine, float64(counts[topic]), topic)
		count(descRefusedFact, float64(refused[topic]), topic)
	}
	alerts, err := fold.Of[*projections.Health](c.s.Views).AlertCounts()
	if err != nil {
		out <- prometheus.NewInvalidMetric(descAlerts, err)
		return
	}
	for _, status := range []string{"degraded", "down"} {
		count(descAlerts, float64(alerts[status]), status)
	}
	letters, err := fold.Of[*projections.DeadLetters](c.s.Views).Count()
	if err != nil {
		out <- prometheus.NewInvalidMetric(descDeadLetters, err)
		return
	}
	count(descDeadLetters, float64(letters))
}
