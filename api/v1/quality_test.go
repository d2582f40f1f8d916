package v1_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/streams"
)

// The curve has a point for each window and version, what was deployed beside it, and is the same for a moment of the past; Prometheus is told of the last day.
func TestQuality(t *testing.T) {
	w := newFixture(t)
	n := 0
	var last streams.Position
	// judge records acts of an hour, each with the film at a rank of what served, 2 by popularity and 1 by popularity that forgets.
	judge := func(hour time.Time, version int, ranks ...int) {
		t.Helper()
		c := &commands.JudgeQuality{QualityJudged: events.QualityJudged{Hour: hour.UTC().Format(events.HourLayout), ModelName: "als", ModelVersion: version, Sources: []string{"served", "popularity", "decayed_popularity"}}}
		if version == 0 {
			c.ModelName = ""
		}
		for _, rank := range ranks {
			c.Acts = append(c.Acts, events.JudgedAct{Position: fmt.Sprint("user-events/0@", 1000+n), TimeMillis: hour.UnixMilli(), Of: 2, Films: testMovies, Ranks: []int{rank, 2, 11}})
			n++
		}
		res, err := w.cfg.Dispatcher.Dispatch(context.Background(), c, handlers.Meta{Actor: "test"})
		w.must(err)
		last = res.Position
		w.folded(last)
	}
	judge(day0, 0, 1, 12)
	w.clock.set(day0.Add(23 * time.Hour))
	v := w.train()
	res, err := w.cfg.Dispatcher.Dispatch(context.Background(), &commands.DeployModel{Slot: events.ProductionSlot, Model: "als", Version: v}, handlers.Meta{})
	w.must(err)
	w.folded(res.Position)
	judge(day0.Add(23*time.Hour), v, 3, 0, 11, 10)
	before := last
	w.clock.set(day0.Add(25 * time.Hour))
	judge(day0.Add(24*time.Hour), v, 1)
	type window struct {
		From, To     string
		ModelName    string `json:"model_name"`
		ModelVersion int    `json:"model_version"`
		Acts, Judged int
		NoFilm       int `json:"no_film"`
		Share        float64
		Sources      map[string]struct {
			HR1    float64 `json:"hr@1"`
			HR10   float64 `json:"hr@10"`
			HR20   float64 `json:"hr@20"`
			NDCG10 float64 `json:"ndcg@10"`
		}
	}
	var got struct {
		Windows     []window
		Total       window
		Deployments []struct {
			Time         string
			ModelName    string `json:"model_name"`
			ModelVersion int    `json:"model_version"`
		}
	}
	ask := func(query string) {
		t.Helper()
		got.Windows, got.Total, got.Deployments = nil, window{}, nil
		w.get("/api/v1/quality" + query).want(200).into(&got)
	}
	ask("")
	if len(got.Windows) != 2 || got.Windows[0].From != "2024-06-01T00:00:00.000Z" || got.Windows[0].To != "2024-06-02T00:00:00.000Z" || got.Windows[0].ModelName != "" ||
		got.Windows[1].ModelName != "als" || got.Windows[1].ModelVersion != v || got.Windows[1].Judged != 5 || got.Windows[1].Acts != 10 || got.Windows[1].Share != .5 || got.Windows[1].NoFilm != 1 {
		t.Fatalf("the curve is %+v", got.Windows)
	}
	one, two := got.Windows[0].Sources["served"], got.Windows[1].Sources["served"]
	if one.HR1 != .5 || one.HR10 != .5 || one.HR20 != 1 || one.NDCG10 != .5 || two.HR1 != .2 || math.Abs(two.HR10-.6) > 1e-9 || math.Abs(two.NDCG10-(1+1/math.Log2(4)+1/math.Log2(11))/5) > 1e-9 {
		t.Errorf("what served came to %+v and %+v", one, two)
	}
	if got.Total.Judged != 7 || got.Total.Sources["popularity"].HR10 != 1 || len(got.Deployments) != 1 || got.Deployments[0].ModelVersion != v || got.Deployments[0].Time != "2024-06-02T11:00:00.000Z" {
		t.Errorf("together %+v, deployed %+v", got.Total, got.Deployments)
	}
	ask("?window=hour&model=als&version=1&from=2024-06-02T11:30:00Z")
	if len(got.Windows) != 2 || got.Windows[0].Judged != 4 || got.Windows[0].From != "2024-06-02T11:00:00.000Z" || got.Windows[1].Judged != 1 {
		t.Errorf("by the hour %+v", got.Windows)
	}
	ask("?window=100")
	if len(got.Windows) != 2 || got.Windows[0].Judged != 2 || got.Windows[1].Judged != 5 || got.Windows[0].From != events.FormatTime(day0) {
		t.Errorf("by acts %+v", got.Windows)
	}
	for _, then := range []string{before.String(), events.FormatTime(day0.Add(24 * time.Hour))} {
		ask("?known_at=" + then)
		if len(got.Windows) != 2 || got.Windows[1].Judged != 4 || got.Total.Judged != 6 || len(got.Deployments) != 1 {
			t.Errorf("as it was known at %s: %+v", then, got)
		}
	}
	ask("?known_at=2024-05-01")
	if len(got.Windows)+len(got.Deployments) != 0 || got.Total.Judged != 0 {
		t.Errorf("before anything was known: %+v", got)
	}
	m := samples(t, string(w.get("/metrics").want(200).Body))
	for name, want := range map[string]float64{
		`recommendation_acts_judged_total`:                                                             7,
		`recommendation_quality_acts{model="als",version="1"}`:                                         5,
		`recommendation_quality{metric="hr@10",model="als",source="served",version="1"}`:               .6,
		`recommendation_quality{metric="hr@10",model="als",source="popularity",version="1"}`:           1,
		`recommendation_quality{metric="hr@10",model="als",source="decayed_popularity",version="1"}`:   0,
		`recommendation_quality{metric="ndcg@10",model="als",source="decayed_popularity",version="1"}`: 0,
	} {
		if v, ok := m[name]; !ok || math.Abs(v-want) > 1e-9 {
			t.Errorf("%s is %v (there: %t), want %v", name, v, ok, want)
		}
	}
	if _, ok := m[`recommendation_quality_acts{model="",version="0"}`]; ok {
		t.Error("acts of the day before are told")
	}
	// What came of lists can be asked of the past, too.
	w.clock.set(day0.Add(26 * time.Hour))
	w.get("/api/v1/recommendations?user_id=1&k=3").want(200)
	var lists struct{ Total struct{ Lists int } }
	w.get("/api/v1/engagement?known_at=" + last.String()).want(200).into(&lists)
	if lists.Total.Lists != 0 {
		t.Errorf("before there was a list there were %d", lists.Total.Lists)
	}
}
