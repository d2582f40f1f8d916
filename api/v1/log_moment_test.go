package v1_test

import (
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
)

// histogramOf is an answer of the histogram.
type histogramOf struct {
	From, To     *string
	BucketMillis int64 `json:"bucket_millis"`
	Counts       []int64
	Marks        []struct {
		Time, Position, Type, Title, Model, Name, Slot string
		Version                                        int
	}
	MarksLeftOut int `json:"marks_left_out"`
}

func (w *fixture) histogram(query string) (h histogramOf) {
	w.t.Helper()
	w.get("/api/v1/log/histogram?" + query).want(200).into(&h)
	return h
}

func (h histogramOf) sum() (n int64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// A moment is the cut that it stands for, by a time, a position or a cut, and says when that was.
func TestMoment(t *testing.T) {
	w := newFixture(t)
	now := w.get("/api/v1/log/moment").want(200)
	if now.at("head") != "true" || now.at("time") != events.FormatTime(day0) || now.at("first_time") != events.FormatTime(day0) {
		t.Errorf("now: %s", now.Body)
	}
	later := day0.Add(time.Hour)
	w.clock.set(later)
	click := w.post("/api/v1/feedback", `{"user_id":"1","movie_id":"1","interaction_type":"click"}`).want(200).at("position")
	then := w.get("/api/v1/log/moment?known_at=" + url.QueryEscape(events.FormatTime(day0.Add(time.Minute)))).want(200)
	if then.at("head") != "false" || then.at("cut") != now.at("cut") || then.at("time") != events.FormatTime(day0) {
		t.Errorf("a minute later: %s; before it was %s", then.Body, now.Body)
	}
	if at := w.get("/api/v1/log/moment?known_at=" + click).want(200); at.at("head") != "true" || at.at("time") != events.FormatTime(later) || at.at("first_time") != events.FormatTime(day0) {
		t.Errorf("at the click: %s", at.Body)
	}
	if of := w.get("/api/v1/log/moment?known_at=" + url.QueryEscape(now.at("cut"))).want(200); of.at("cut") != now.at("cut") || of.at("head") != "false" {
		t.Errorf("of the cut: %s", of.Body)
	}
	if before := w.get("/api/v1/log/moment?known_at=1999-01-01").want(200); before.at("time") != "null" || before.at("head") != "false" || before.at("first_time") != events.FormatTime(day0) {
		t.Errorf("before the log: %s", before.Body)
	}
	for _, bad := range []string{"yesterday", "user-events/0@4711", "user-events/9:1", "mlops-events/0:999999"} {
		w.get("/api/v1/log/moment?known_at="+bad).problem(400, "known_at")
	}
	w.get("/api/v1/log/moment?as_of=2024-01-01").problem(400, "as_of")
}

// Every record is in one bucket, whatever the buckets are, and a moment of before has none that came later.
func TestHistogram(t *testing.T) {
	w := newFixture(t)
	took := []int64{0, 1, 2, 59_999, 60_000, 3_600_000, 86_400_000} // milliseconds after day0
	for i, after := range took {
		w.clock.set(day0.Add(time.Duration(after) * time.Millisecond))
		w.post("/api/v1/feedback", fmt.Sprintf(`{"user_id":"%d","movie_id":"1","interaction_type":"click"}`, i+1)).want(200)
	}
	version := w.train()
	w.post(fmt.Sprintf("/api/v1/models/als/versions/%d/deploy", version), `{}`).want(200)
	w.post("/api/v1/trigger/model-drift", `{"model_name":"als","model_version":"1","drift_score":0.85,"threshold":0.7}`).want(202)
	var topics struct{ Items []struct{ Records int64 } }
	w.get("/api/v1/log/topics").want(200).into(&topics)
	var all int64
	for _, topic := range topics.Items {
		all += topic.Records
	}
	for _, buckets := range []int{1, 2, 3, 7, 200, 999, 1000} {
		h := w.histogram("buckets=" + strconv.Itoa(buckets))
		if first, err := time.Parse(time.RFC3339, *h.From); err != nil || first.After(day0) || day0.Sub(first).Milliseconds() >= h.BucketMillis ||
			h.sum() != all || len(h.Counts) > buckets || len(h.Counts) < buckets/8 || h.Counts[0] == 0 {
			t.Errorf("%d buckets: %d records of %d in %d buckets of %d ms from %s", buckets, h.sum(), all, len(h.Counts), h.BucketMillis, *h.From)
		}
	}
	millis := func(after int64) int64 { return day0.UnixMilli() + after }
	for _, c := range []struct{ from, to, buckets, want int64 }{{1, 3, 2, 2}, {2, 60_000, 10, 2}, {60_000, 3_600_001, 4, 2}, {60_001, 3_600_000, 4, 0}, {86_400_001, 99_000_000, 5, 0}} {
		if h := w.histogram(fmt.Sprintf("from=%d&to=%d&buckets=%d", millis(c.from), millis(c.to), c.buckets)); h.sum() != c.want {
			t.Errorf("%+v: %d records: %v", c, h.sum(), h.Counts)
		}
	}
	// The same again, from what is remembered, and as the log grows.
	before := w.histogram("buckets=100")
	if again := w.histogram("buckets=100"); !reflect.DeepEqual(again, before) {
		t.Errorf("%+v, and again %+v", before, again)
	}
	w.clock.set(day0.Add(24*time.Hour + time.Second))
	w.post("/api/v1/feedback", `{"user_id":"1","movie_id":"1","interaction_type":"click"}`).want(200)
	grown := w.histogram("buckets=100")
	for i := range before.Counts {
		if more := grown.Counts[i] - before.Counts[i]; *grown.From != *before.From || grown.BucketMillis != before.BucketMillis || more != 0 && (i < len(before.Counts)-1 || more != 1) {
			t.Fatalf("bucket %d: %d more; %+v", i, more, grown)
		}
	}
	one := w.histogram(fmt.Sprintf("from=%d&to=%d&buckets=10", millis(0), millis(60_010)))
	if len(one.Counts) != 10 || one.BucketMillis != 6001 || one.Counts[9] != 2 || one.Counts[0] == 0 || one.Counts[5] != 0 {
		t.Errorf("%+v", one)
	}
	h := w.histogram("")
	types := map[string]int{}
	for _, m := range h.Marks {
		types[m.Type]++
		if m.Type == "model.deployed" && (m.Model != "als" || m.Version != version || m.Slot != "production" || m.Title == "") {
			t.Errorf("%+v", m)
		}
		if m.Type == "model.drift" && (m.Model != "als" || m.Version != 1 || m.Position != "model-drift-alerts/0@0") {
			t.Errorf("%+v", m)
		}
	}
	if types["model.deployed"] != 1 || types["model.version_registered"] != 1 || types["features.defined"] != 1 || types["model.drift"] != 1 || h.MarksLeftOut != 0 {
		t.Errorf("marks %v, %d left out", types, h.MarksLeftOut)
	}
	then := w.histogram("known_at=" + url.QueryEscape(events.FormatTime(day0.Add(time.Hour))) + "&to=" + fmt.Sprint(millis(90_000_000)))
	if then.sum() != h.sum()-w.histogram(fmt.Sprintf("from=%d", millis(3_600_001))).sum() || len(then.Marks) != 1 {
		t.Errorf("as known after an hour: %+v", then)
	}
	for query, field := range map[string]string{"buckets=0": "buckets", "buckets=1001": "buckets", "from=x": "from", "from=2024-01-02&to=2024-01-02": "to", "since=1": "since"} {
		w.get("/api/v1/log/histogram?"+query).problem(400, field)
	}
}

// Of many marks the newest are told, and how many are not.
func TestMarksAreBounded(t *testing.T) {
	w := newFixture(t)
	w.train()
	const deployed = 510
	w.deployed(deployed, "")
	w.post("/api/v1/trigger/model-drift", `{"model_name":"als","drift_score":0.85,"threshold":0.7}`).want(202)
	h := w.histogram("")
	if len(h.Marks) != 500 || h.MarksLeftOut != deployed+3-500 || h.Marks[499].Type != "model.drift" && h.Marks[498].Type != "model.drift" || h.Marks[0].Slot != fmt.Sprintf("s%d", deployed-499) {
		t.Errorf("%d marks, %d left out, from %+v", len(h.Marks), h.MarksLeftOut, h.Marks[0])
	}
}
