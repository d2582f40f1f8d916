package prometheus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// What is said of models and of what people do. It is read from the views, so that a restart loses nothing of it; see
// [projections.Engagement] for what is counted.
var (
	descLists        = desc("recommendation_lists_total", "Lists of recommendations that people were shown, as the log has them.")
	descListsTaken   = desc("recommendation_lists_clicked_total", "Lists of which a film was taken up within a day.")
	descFilms        = desc("recommendation_films_total", "Films on lists that people were shown.")
	descFilmsTaken   = desc("recommendation_films_clicked_total", "Films on lists that were taken up within a day.")
	descLiked        = desc("recommendation_films_liked_total", "Films on lists that were liked within a day: watched to the end, rated well, and so on.")
	descDisliked     = desc("recommendation_films_disliked_total", "Films on lists that were disliked within a day.")
	descClickRate    = desc("recommendation_click_rate", "Share of the lists of the last seven days (UTC) of which a film was taken up within a day.")
	descSatisfaction = desc("recommendation_satisfaction", "Of the recommended films of the last seven days (UTC) that were liked or disliked, the share that was liked.")
	descMeanRating   = desc("recommendation_mean_rating", "Mean stars of the recommended films of the last seven days (UTC) that were rated within a day.")
	descHitRate      = desc("recommendation_hit_rate", "Of the films that people met within a day of their last list of the last seven days (UTC), the share that was among its first k.", "k")
	descForeseen     = desc("recommendation_quality", "How well what serves foresaw the acts of the last 24 hours before it learned of them, beside its parts and popularity: metric hr@10 or ndcg@10 over the ranking of all films not met.", "model", "version", "source", "metric")
	descForeseenOf   = desc("recommendation_quality_acts", "Acts of the last 24 hours that a version was judged by.", "model", "version")
	descForeseenAll  = desc("recommendation_acts_judged_total", "Acts that what serves was judged by.")
	descSessions     = desc("user_sessions_total", "Sessions that people have begun, imported acts apart.")
	descPeople       = desc("users_active", "People who acted today (UTC), imported acts apart.")

	descJudgement = desc("model_evaluation", "What versions of a model were judged by: the newest, and the one that a slot serves.", "model", "which", "metric")
	descNewestAt  = desc("model_newest_timestamp_seconds", "When the newest version of a model was registered.", "model")
	descServing   = desc("model_serving_info", "1 for the model version that a slot serves.", "slot", "model", "version")
	descServingAt = desc("model_serving_since_timestamp_seconds", "When what a slot serves was deployed.", "slot")
	descRecords   = desc("log_records_total", "Records that have come into a topic.", "topic")
	descDegraded  = desc("services_degraded", "Services whose last word of their health is none of ok, healthy, up.")
)

// judgements are the metrics of a run that are told.
var judgements = []string{"accuracy", "rmse", "mae", "ndcg@10", "hr@10", "mrr", "coverage@10"}

// well are the words of services that are well.
var well = []string{"ok", "healthy", "up"}

const (
	recentDays     = 7
	recentRowsMax  = 10_000
	servicesMax    = 1000
	slotsMax       = 100
	hourMillis     = 60 * 60 * 1000
	dayMillis      = 24 * hourMillis
	millisOfSecond = 1000
)

// businessCollector reads views at the scrape.
type businessCollector struct{ s *Surface }

func (c *businessCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLists, descListsTaken, descFilms, descFilmsTaken, descLiked, descDisliked, descClickRate, descSatisfaction, descMeanRating, descHitRate, descForeseen, descForeseenOf, descForeseenAll, descSessions,
		descPeople, descJudgement, descNewestAt, descServing, descServingAt, descRecords, descDegraded, descTaskSeconds, descDecisions, descDrift, descFreshness, descTTL} {
		out <- d
	}
}

func (c *businessCollector) Collect(out chan<- prometheus.Metric) {
	defer func() { // as for stateCollector
		if p := recover(); p != nil {
			c.s.Logger.Error("collecting metrics met a defect", "error", p)
			out <- prometheus.NewInvalidMetric(descLists, fmt.Errorf("panic: %v", p))
		}
	}()
	for d, collect := range map[*prometheus.Desc]func(out chan<- prometheus.Metric) error{
		descLists: c.engagement, descForeseen: c.quality, descJudgement: c.judgements, descServing: c.serving, descRecords: c.records, descDegraded: c.services,
		descTaskSeconds: c.training, descDrift: c.drift, descFreshness: c.freshness,
	} {
		if err := collect(out); err != nil {
			out <- prometheus.NewInvalidMetric(d, err)
		}
	}
}

func told(out chan<- prometheus.Metric, d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
}

func (c *businessCollector) engagement(out chan<- prometheus.Metric) error {
	view := fold.Of[*projections.Engagement](c.s.Views)
	all, err := view.All()
	if err != nil {
		return err
	}
	for d, n := range map[*prometheus.Desc]uint64{descLists: all.Lists, descListsTaken: all.ListsTaken, descFilms: all.Films, descFilmsTaken: all.FilmsTaken,
		descLiked: all.FilmsLiked, descDisliked: all.FilmsDisliked, descSessions: all.Sessions} {
		told(out, d, prometheus.CounterValue, float64(n))
	}
	now := c.s.Now().UnixMilli()
	today := now - now%dayMillis
	days, err := view.Days(projections.ByVersion, today-(recentDays-1)*dayMillis, now+1, recentRowsMax)
	if err != nil {
		return err
	}
	var recent, ofToday projections.EngagementCounts
	for i := range days {
		if recent.Add(&days[i].EngagementCounts); days[i].DayMillis == today {
			ofToday.Add(&days[i].EngagementCounts)
		}
	}
	told(out, descPeople, prometheus.GaugeValue, float64(ofToday.People))
	if recent.Lists > 0 { // of nothing there is no share
		told(out, descClickRate, prometheus.GaugeValue, float64(recent.ListsTaken)/float64(recent.Lists))
	}
	if judged := recent.FilmsLiked + recent.FilmsDisliked; judged > 0 {
		told(out, descSatisfaction, prometheus.GaugeValue, float64(recent.FilmsLiked)/float64(judged))
	}
	if recent.FilmsRated > 0 {
		told(out, descMeanRating, prometheus.GaugeValue, float64(recent.StarsCenti)/100/float64(recent.FilmsRated))
	}
	if recent.Met > 0 {
		for k, hits := range map[string]uint64{"1": recent.Hits1, "5": recent.Hits5, "10": recent.Hits10, "20": recent.Hits20} {
			told(out, descHitRate, prometheus.GaugeValue, float64(hits)/float64(recent.Met), k)
		}
	}
	return nil
}

// quality tells how well the versions that served in the last 24 hours foresaw what people chose.
func (c *businessCollector) quality(out chan<- prometheus.Metric) error {
	view := fold.Of[*projections.Quality](c.s.Views)
	all, err := view.Judged()
	if err != nil {
		return err
	}
	told(out, descForeseenAll, prometheus.CounterValue, float64(all))
	now := c.s.Now().UnixMilli()
	rows, err := view.Hours(now-now%hourMillis-(dayMillis-hourMillis), now+1, 1, recentRowsMax)
	if err != nil {
		return err
	}
	type of struct {
		model   string
		version int
		source  string
	}
	counts := map[of]*projections.QualityCounts{}
	for i := range rows {
		r := &rows[i]
		key := of{r.ModelName, r.ModelVersion, r.Source}
		if counts[key] == nil {
			counts[key] = &projections.QualityCounts{}
		}
		counts[key].Add(&r.QualityCounts)
	}
	for key, n := range counts {
		name, err := fold.Of[*projections.Registry](c.s.Views).NameOf(key.model)
		if err != nil {
			return err
		}
		version := fmt.Sprint(key.version)
		if key.source == events.SourceServed {
			told(out, descForeseenOf, prometheus.GaugeValue, float64(n.Judged), name, version)
		}
		told(out, descForeseen, prometheus.GaugeValue, n.HitRate(10), name, version, key.source, "hr@10")
		told(out, descForeseen, prometheus.GaugeValue, n.NDCG(10), name, version, key.source, "ndcg@10")
	}
	return nil
}

// judgements tells what the newest versions were judged by, and those that slots serve. Of several slots that serve a model the first counts.
func (c *businessCollector) judgements(out chan<- prometheus.Metric) error {
	registry, served := fold.Of[*projections.Registry](c.s.Views), map[string]int{}
	for slot, err := range fold.Of[*projections.Deployments](c.s.Views).Slots() {
		if err != nil {
			return err
		}
		if _, known := served[slot.Current.Model]; !known {
			served[slot.Current.Model] = slot.Current.Version
		}
	}
	for _, name := range c.s.Models {
		m, ok, err := registry.Model(name)
		if err != nil {
			return err
		}
		if !ok || len(m.Versions) == 0 {
			continue
		}
		newest := &m.Versions[len(m.Versions)-1]
		told(out, descNewestAt, prometheus.GaugeValue, float64(newest.EventMillis)/millisOfSecond, name)
		if err := c.judgement(out, newest, "newest"); err != nil {
			return err
		}
		if v := m.Version(served[m.Key]); v != nil {
			if err := c.judgement(out, v, "served"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *businessCollector) judgement(out chan<- prometheus.Metric, v *projections.ModelVersion, which string) error {
	run, ok, err := fold.Of[*projections.Runs](c.s.Views).Run(v.RunID)
	if err != nil || !ok {
		return err
	}
	for _, key := range judgements {
		if figure, ok := run.Metrics[key]; ok {
			told(out, descJudgement, prometheus.GaugeValue, float64(figure.Value), v.Name, which, key)
		}
	}
	return nil
}

func (c *businessCollector) serving(out chan<- prometheus.Metric) error {
	n := 0
	for slot, err := range fold.Of[*projections.Deployments](c.s.Views).Slots() {
		if err != nil {
			return err
		}
		if n++; n > slotsMax {
			break
		}
		d := &slot.Current
		name, err := fold.Of[*projections.Registry](c.s.Views).NameOf(d.Model)
		if err != nil {
			return err
		}
		told(out, descServing, prometheus.GaugeValue, 1, slot.Slot, name, fmt.Sprint(d.Version))
		told(out, descServingAt, prometheus.GaugeValue, float64(d.EventMillis)/millisOfSecond, slot.Slot)
	}
	return nil
}

func (c *businessCollector) records(out chan<- prometheus.Metric) error {
	ctx, cancel := context.WithTimeout(context.Background(), collectorTimeout)
	defer cancel()
	head, err := fold.HeadCut(ctx, c.s.Log, time.Time{})
	if err != nil {
		return err
	}
	topics := map[string]int64{}
	for tp, next := range head {
		topics[tp.Topic] += next
	}
	for topic, n := range topics {
		told(out, descRecords, prometheus.CounterValue, float64(n), topic)
	}
	return nil
}

func (c *businessCollector) services(out chan<- prometheus.Metric) error {
	p, err := fold.Of[*projections.Health](c.s.Views).Services(fold.PageQuery{Limit: servicesMax})
	if err != nil {
		return err
	}
	degraded := 0
	for i := range p.Items {
		if !slices.Contains(well, p.Items[i].Status) {
			degraded++
		}
	}
	told(out, descDegraded, prometheus.GaugeValue, float64(degraded))
	return nil
}
