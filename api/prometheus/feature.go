package prometheus

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	// The name and the labels are Feast's, so that its dashboards read it; Feast tells when somebody materialized last, which here is always.
	descFreshness = desc("feast_feature_freshness_seconds", "Time since the newest of what the features of a view are made of happened.", "feature_view", "project")
	descTTL       = desc("feature_view_ttl_seconds", "For how long values of a feature view are served; a view of which they do not expire is not told.", "feature_view", "project")
)

// featureViewsTold bounds the feature views that are told: anybody may declare more.
const featureViewsTold = 200

func (c *businessCollector) freshness(out chan<- prometheus.Metric) error {
	if c.s.Features == nil {
		return nil
	}
	views, err := c.s.Features.Freshness(featureViewsTold)
	if err != nil {
		return err
	}
	now := c.s.Now().UnixMilli()
	for _, v := range views {
		told(out, descFreshness, prometheus.GaugeValue, float64(max(now-v.NewestMillis, 0))/millisOfSecond, v.View, v.Project)
		if v.TTLMillis > 0 {
			told(out, descTTL, prometheus.GaugeValue, float64(v.TTLMillis)/millisOfSecond, v.View, v.Project)
		}
	}
	return nil
}
