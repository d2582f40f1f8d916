package projections_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

func served(user, request, movie string) *events.RecommendationServed {
	return &events.RecommendationServed{UserID: user, RequestID: request, ModelName: "als", ModelVersion: 3, Items: []events.RecommendedItem{{MovieID: movie, Score: .5, Because: []string{"1"}}}}
}

func TestServed(t *testing.T) {
	s := foldtest.NewScript()
	s.Fact("movie-recommendations", 0, "a", 100, 1000, served("7", "q1", "1"))
	s.Fact("movie-recommendations", 0, "b", 200, 1001, served("user_7", "q2", "2"))
	s.Fact("movie-recommendations", 0, "b", 200, 1002, served("user_7", "q2", "2")) // again
	s.Fact("movie-recommendations", 1, "c", 300, 1003, served("anna", "", "3"))
	s.Fact("movie-recommendations", 0, "d", 300, 1004, served("7", "q3", "4"))
	v := foldtest.Opened(t, projections.NewServed(), s.In)
	for millis, want := range map[int64]string{100: "q1", 199: "q1", 200: "q2", 299: "q2", 300: "q3", 9999: "q3", 0: "q3"} {
		equal(t, "at a moment", found[projections.ServedRecommendation](t)(v.At("7", fold.At{EventMillis: millis})).RequestID, want)
	}
	equal(t, "as known then", found[projections.ServedRecommendation](t)(v.At("7", fold.At{RecordedMillis: 1003})).RequestID, "q2")
	if _, ok, err := v.At("7", fold.At{EventMillis: 99}); ok || err != nil {
		t.Errorf("before the first: %v, %v", ok, err)
	}
	var requests []string
	for _, r := range foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.ServedRecommendation], error) {
		return v.ByUser("007", fold.At{}, q)
	}) {
		requests = append(requests, r.RequestID+" "+r.Position)
	}
	equal(t, "newest first, each once", requests, []string{"q3 movie-recommendations/0@3", "q2 movie-recommendations/0@1", "q1 movie-recommendations/0@0"})
	r := found[projections.ServedRecommendation](t)(v.ByRequest("q2"))
	equal(t, "by request", []any{r.Items[0].MovieID, r.ModelVersion, r.EventMillis}, []any{"2", 3, 200})
	if _, ok, err := v.ByRequest(""); ok || err != nil {
		t.Errorf("no request: %v, %v", ok, err)
	}
}

func TestQuarantine(t *testing.T) {
	bad := func(topic string, partition int32, offset, recorded int64) fold.Input {
		p := streams.Position{TP: streams.TP{Topic: topic, Partition: partition}, Offset: offset}
		return fold.Input{Position: p, RecordedMillis: recorded, Malformed: errors.New("rating: is 17"),
			Record: &streams.Record{Position: p, Key: []byte("k"), Value: []byte{0xff, 0}, Headers: []streams.Header{{Key: "h", Value: []byte("v")}}}}
	}
	in := []fold.Input{bad("user-events", 0, 4, 100), bad("user-events", 1, 2, 90), bad("system-health", 0, 0, 95), bad("user-events", 0, 9, 110)}
	s := foldtest.NewScript()
	s.Fact("user-events", 2, "x", 1, 1, rate("1", "2", 3))
	v := foldtest.Opened(t, projections.NewQuarantine(), append(in, s.In...))
	equal(t, "counts", must[map[string]int64](t)(v.Counts()), map[string]int64{"user-events": 3, "system-health": 1})
	f := found[projections.QuarantinedFact](t)(v.Fact(in[0].Position))
	equal(t, "kept whole", f, projections.QuarantinedFact{"user-events", 0, 4, "user-events/0@4", 0, 100, "rating: is 17", []byte("k"), []byte{0xff, 0}, []projections.QuarantinedHeader{{"h", []byte("v")}}, projections.QuarantineOpen, nil})
	list := func(topic string) (out []string) {
		for _, f := range foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.QuarantinedFact], error) { return v.Facts(topic, "", q) }) {
			out = append(out, f.Position)
		}
		return out
	}
	equal(t, "last first", list(""), []string{"user-events/0@9", "user-events/0@4", "system-health/0@0", "user-events/1@2"})
	equal(t, "of a topic", list("system-health"), []string{"system-health/0@0"})

	// What was refused before it was in the log stands at the event that says so.
	s = foldtest.NewScript()
	s.Commit("refusal/user-events", 200, 200, &events.FactRefused{Topic: "user-events", Reason: "no user_id", Count: 3, Value: []byte("{}")})
	s.Commit("refusal/user-events", 300, 300, &events.FactRefused{Topic: "user-events", Reason: "no movie_id", Count: 2, Value: []byte("{}")})
	v = foldtest.Opened(t, projections.NewQuarantine(), append(in, s.In...))
	equal(t, "refused", must[map[string]int64](t)(v.Refused()), map[string]int64{"user-events": 5})
	equal(t, "counts", must[map[string]int64](t)(v.Counts()), map[string]int64{"user-events": 3, "system-health": 1})
	equal(t, "with the refused", list("user-events"), []string{s.In[1].Position.String(), s.In[0].Position.String(), "user-events/0@9", "user-events/0@4", "user-events/1@2"})
	f = found[projections.QuarantinedFact](t)(v.Fact(s.In[0].Position))
	equal(t, "a sample", f, projections.QuarantinedFact{Topic: "user-events", Offset: s.In[0].Position.Offset, Position: s.In[0].Position.String(), Refused: 3,
		RecordedMillis: s.In[0].RecordedMillis, Reason: "no user_id", Value: []byte("{}"), State: projections.QuarantineOpen})

	// What is decided of a record may be folded before it or behind it.
	decided := foldtest.NewScript()
	decided.Commit("quarantine/user-events/0@4", 400, 400, &events.QuarantineResolved{Position: "user-events/0@4", Resolution: "replaced", By: "user-events/1@7", Reason: "mended"})
	for _, order := range [][]fold.Input{append(slices.Clone(in), decided.In...), append(slices.Clone(decided.In), in...)} {
		v = foldtest.Opened(t, projections.NewQuarantine(), order)
		f = found[projections.QuarantinedFact](t)(v.Fact(in[0].Position))
		equal(t, "decided", []any{f.State, f.Decision.By, f.Decision.Reason, f.Decision.Position, string(f.Key)}, []any{"replaced", "user-events/1@7", "mended", decided.In[0].Position.String(), "k"})
		for state, want := range map[string][]string{"": {"user-events/0@9", "user-events/0@4", "user-events/1@2"}, "open": {"user-events/0@9", "user-events/1@2"}, "replaced": {"user-events/0@4"}, "dropped": nil} {
			var got []string
			for _, f := range foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.QuarantinedFact], error) {
				return v.Facts("user-events", state, q)
			}) {
				got = append(got, f.Position)
			}
			equal(t, "in the state "+state, got, want)
		}
	}

	var poison *fold.Poison
	broken := fold.Input{Position: in[0].Position, Malformed: errors.New("x")}
	if err := projections.NewQuarantine().Apply(foldtest.NewMemory().Batch(true), []fold.Input{broken}); !errors.As(err, &poison) || poison.Position != broken.Position {
		t.Errorf("a malformed fact without its record: %v; want poison", err)
	}
}

// counted counts the bytes that are read by key.
type counted struct {
	*foldtest.Memory
	bytes int
}

func (c *counted) Get(key []byte) ([]byte, bool, error) {
	v, ok, err := c.Memory.Get(key)
	c.bytes += len(v)
	return v, ok, err
}

// What a list passes over is not read whole: a record may take a megabyte.
func TestQuarantineReadsWhatFits(t *testing.T) {
	const records, size = 50, 100_000
	v, r, s := projections.NewQuarantine(), &counted{Memory: foldtest.NewMemory()}, foldtest.NewScript()
	for i := range int64(records) {
		p := streams.Position{TP: streams.TP{Topic: []string{"user-events", "system-health"}[i%2]}, Offset: i}
		s.In = append(s.In, fold.Input{Position: p, RecordedMillis: i, Malformed: errors.New("x"), Record: &streams.Record{Position: p, Value: make([]byte, size)}})
	}
	s.Commit("quarantine/user-events/0@4", 400, 400, &events.QuarantineResolved{Position: "user-events/0@4", Resolution: "dropped", Reason: "a test"})
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(v.Open(r))
	b := r.Batch(true)
	check(v.Apply(b, s.In))
	b.Commit()
	for _, c := range []struct {
		topic, state string
		items        int
	}{{"", "dropped", 1}, {"", "replaced", 0}, {"system-health", "dropped", 0}, {"drift", "", 0}, {"user-events", "dropped", 1}} {
		r.bytes = 0
		p := must[fold.Page[projections.QuarantinedFact]](t)(v.Facts(c.topic, c.state, fold.PageQuery{}))
		if len(p.Items) != c.items || p.Next != "" || r.bytes > (c.items*2+1)*size {
			t.Errorf("%+v: %d items, cursor %q, %d bytes read", c, len(p.Items), p.Next, r.bytes)
		}
	}
}

func TestHealth(t *testing.T) {
	s := foldtest.NewScript()
	s.Fact("system-health", 0, "a", 500, 1000, &events.SystemHealth{ServiceName: "api", Status: "ok"})
	s.Fact("system-health", 1, "b", 100, 1001, &events.SystemHealth{ServiceName: "api", Status: "down"})
	s.Fact("system-health", 0, "c", 600, 1000, &events.SystemHealth{ServiceName: "trainer", Status: "ok"})
	v := foldtest.Opened(t, projections.NewHealth(), s.In)
	equal(t, "the last word", found[projections.ServiceHealth](t)(v.Service("api")).Status, "down")
	equal(t, "services", len(foldtest.Pages(t, 1, v.Services)), 2)
	equal(t, "no alert but one", len(foldtest.Pages(t, 1, v.Alerts)), 1)

	s.Fact("system-health", 0, "d", 700, 1002, &events.SystemHealth{ServiceName: "api", Status: "degraded", CPUUsage: 95})
	s.Fact("system-health", 1, "e", 50, 1003, &events.SystemHealth{ServiceName: "trainer", Status: "degraded"})
	s.Fact("system-health", 0, "f", 800, 1004, &events.SystemHealth{ServiceName: "api", Status: "ok"})
	v = foldtest.Opened(t, projections.NewHealth(), s.In)
	var at []int64
	for _, a := range foldtest.Pages(t, 1, v.Alerts) {
		at = append(at, a.EventMillis)
	}
	equal(t, "alerts, newest first", at, []int64{700, 100, 50})
	equal(t, "numbers of alerts", must[map[string]int64](t)(v.AlertCounts()), map[string]int64{"degraded": 2, "down": 1})
	equal(t, "the last word after alerts", found[projections.ServiceHealth](t)(v.Service("api")).Status, "ok")
}

func TestDrift(t *testing.T) {
	s := foldtest.NewScript()
	s.Fact("model-drift-alerts", 0, "d", 200, 1002, &events.ModelDrift{ModelName: "als", DriftScore: .4, Threshold: .5})
	s.Fact("model-drift-alerts", 0, "e", 100, 1003, &events.ModelDrift{ModelName: "mlp", DriftScore: .2, Threshold: .2})
	v := foldtest.Opened(t, projections.NewDrift(), s.In)
	alerts := func(model string) (out []string) {
		for _, a := range foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.DriftAlert], error) { return v.Alerts(model, q) }) {
			out = append(out, a.ModelName)
		}
		return out
	}
	equal(t, "alerts", alerts(""), []string{"als", "mlp"})
	equal(t, "alerts of a model", alerts("mlp"), []string{"mlp"})
	reached, others, err := v.Counts()
	if reached != 1 || others != 1 || err != nil {
		t.Errorf("%d have reached their threshold and %d have not (%v)", reached, others, err)
	}
}
