package v1_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/parquet"
)

// TestOnDemand: views that are expressions are read of one entity, of several, and joined, also of what was pushed.
func TestOnDemand(t *testing.T) {
	w := newFixture(t)
	w.post("/api/v1/features/definitions", strings.Replace(w.definitions(), "\nfeature_views:", `
external_views: [{name: critics, entity: movie, features: [{name: score, type: float32}, {name: good, type: bool}]}]
on_demand_views:
  - {name: busy, inputs: {n: "movie_features:interaction_count"}, features: [{name: doubled, type: int64, expression: n * 2}]}
  - name: fit
    inputs: {n: "movie_features:interaction_count", score: "critics:score", good: "critics:good", own: "user_features:interaction_count"}
    features: [{name: half, type: float64, expression: score / 2}, {name: shown, type: int64, expression: "if(good, n + own, 0)"}]
  - {name: late, request: {hour: int64}, features: [{name: is, type: int64, expression: "if(hour > 22, 1, 0)"}]}
feature_views:`, 1)).want(200)
	p, err := w.cfg.Dispatcher.Publish(t.Context(), []commands.Fact{&commands.PushFeatureValues{FeatureValues: events.FeatureValues{EntityKey: "movie_id=1", View: "critics",
		Values: map[string]json.RawMessage{"score": json.RawMessage("2.5"), "good": json.RawMessage("true")}, Timestamp: "2024-03-08T00:00:00Z"}}}, handlers.Meta{Actor: "test"})
	w.must(err)
	w.core.Settle(t.Context(), p.Positions, "feature-values")

	got := w.get("/api/v1/features/movie/1?features=busy:doubled,interaction_count").want(200)
	if got.at("features.doubled") != "6" || got.at("features.interaction_count") != "3" {
		t.Errorf("one: %s", got.Body)
	}
	if got := w.post("/api/v1/features/batch", `{"entity_type":"movie","entity_ids":["1","99"],"view":"busy"}`).want(200); got.at("results.0.features.doubled") != "6" || got.at("results.1.features.doubled") != "null" {
		t.Errorf("several: %s", got.Body)
	}
	got = w.post("/api/v1/features/historical", `{"rows":[{"movie_id":1,"user_id":3,"event_timestamp":"2024-03-09T00:00:00Z"},{"movie_id":1,"user_id":3,"event_timestamp":"2024-03-07T00:00:00Z"}],
		"features":["fit:half","critics:score","fit:shown","busy:doubled","busy@v1:doubled","critics@v1:good"],"full_feature_names":true}`).want(200)
	if got.at("rows.0.fit__half") != "1.25" || got.at("rows.0.critics__score") != "2.5" || got.at("rows.0.fit__shown") == "0" || got.at("rows.0.fit__shown") == "null" || got.at("rows.0.busy__doubled") != got.at("rows.0.busy@v1__doubled") ||
		got.at("rows.0.critics@v1__good") != "true" || got.at("rows.1.fit__half") != "null" || got.at("rows.1.busy__doubled") == "null" {
		t.Errorf("joined: %s", got.Body)
	}
	w.get("/api/v1/features/movie/1?features=fit:half").problem(404, "features") // of people, too
	w.post("/api/v1/features/historical", `{"rows":[{"movie_id":1,"event_timestamp":"2024-03-09"}],"features":["late:is"]}`).problem(400, "rows")
	w.get("/api/v1/features/movie/1?features=late:is").problem(400, "request")
	if got := w.get("/api/v1/features/on-demand").want(200); got.at("items.1.features.0.expression") != "score / 2" {
		t.Errorf("listed: %s", got.Body)
	}
}

const requestViews = `
on_demand_views:
  - {name: late, request: {hour: int64}, features: [{name: is, type: int64, expression: "if(hour >= 22, 1, 0)"}]}
  - name: asked
    inputs: {n: "movie_features:interaction_count"}
    request: {hour: int64, share: float64, mood: string, home: bool}
    features:
      - {name: part, type: float64, expression: "n * share"}
      - {name: what, type: string, expression: "if(home, mood, 'out')"}
      - {name: told, type: int64, expression: "if(is_null(mood), 0, 1)"}
feature_views:`

func (w *fixture) wantsOfRequest() {
	w.post("/api/v1/features/definitions", strings.Replace(w.definitions(), "\nfeature_views:", requestViews, 1)).want(200)
}

// TestRequestData: what expressions want of a request is a column of the rows of a join, in every form of a table, and a parameter or a
// field where one entity or several are read.
func TestRequestData(t *testing.T) {
	w := newFixture(t)
	w.wantsOfRequest()
	const refs = "late:is,asked:part,asked:what,asked:told"
	rows := "hour,movie_id,share,mood,home,event_timestamp,note\n" +
		"23,1,0.1,sad,True,2024-03-09,a\n" +
		"5.0,1,NaN,,false,2024-03-09,b\n" + // no share, no mood
		",1,-0.25,glad,true,2024-03-07,c\n" + // no hour
		"22,,0.5,NA,true,2024-03-09,d\n" // nobody's; of texts nothing alone is none
	want := []string{"1 0.30000000000000004 sad 1", "0  out 0", " -0.75 glad 1", "1  NA 1"}
	got, err := csv.NewReader(w.joinedAs("text/csv", "?features="+refs, []byte(rows), 200).Body).ReadAll()
	w.must(err)
	for i := range want {
		if line := strings.Join(got[i+1][7:], " "); line != want[i] || got[i+1][6] != string(rune('a'+i)) {
			t.Errorf("row %d: %q, want %q", i, line, want[i])
		}
	}
	answer := w.post("/api/v1/features/historical", `{"features":["late:is","asked:part","asked:what","asked:told"],"rows":[{"hour":23,"movie_id":1,"share":0.1,"mood":"sad","home":true,"event_timestamp":"2024-03-09"},
		{"hour":"5","movie_id":1,"mood":null,"home":false,"event_timestamp":"2024-03-09"}]}`).want(200)
	if answer.at("rows.0.part") != "0.30000000000000004" || answer.at("rows.0.is") != "1" || answer.at("rows.0.what") != "sad" || answer.at("rows.1.is") != "0" || answer.at("rows.1.part") != "null" || answer.at("rows.1.told") != "0" {
		t.Errorf("JSON: %s", answer.Body)
	}

	fields := []*arrow.Field{arrow.Float64("hour"), arrow.Int64("movie_id"), arrow.Float32("share"), arrow.Text("mood"), arrow.Truth("home"), arrow.Text("event_timestamp")}
	file := func(fields []*arrow.Field, hour float64) []byte {
		var columns []*arrow.Column
		for _, f := range fields {
			columns = append(columns, arrow.NewColumn(f))
		}
		columns[0].Float(hour)
		columns[1].Int(1)
		columns[2].Float(.5)
		columns[3].Text("sad")
		columns[4].Int(1)
		columns[5].Text("2024-03-09")
		var arrays []*arrow.Array
		for _, c := range columns {
			arrays = append(arrays, c.Array())
		}
		var b bytes.Buffer
		out := parquet.NewWriter(&b, nil, fields, nil)
		w.must(out.Group(1, arrays))
		w.must(out.Close())
		return b.Bytes()
	}
	const kind = "application/vnd.apache.parquet"
	body := w.joinedAs(kind, "?features="+refs, file(fields, 22), 200).Body.Bytes()
	f, err := parquet.Open(bytes.NewReader(body), int64(len(body)))
	w.must(err)
	_, columns, err := f.Group(0)
	w.must(err)
	if is, what := columns[6].Int64(0), columns[8].Text(0); is != 1 || what != "sad" {
		t.Errorf("Parquet: %d %s", is, what)
	}

	// One, and several.
	const said = "&request=hour=23&request=share=0.1&request=mood=sad&request=home=true"
	if got := w.get("/api/v1/features/movie/1?features=" + refs + said).want(200); got.at("features.part") != "0.30000000000000004" || got.at("features.what") != "sad" || got.at("features.is") != "1" {
		t.Errorf("one: %s", got.Body)
	}
	if got := w.post("/api/v1/features/batch", `{"entity_type":"movie","entity_ids":["1","99"],"features":["asked:part"],"request":{"hour":null,"share":0.1,"mood":"x","home":true}}`).want(200); got.at("results.0.features.part") != "0.30000000000000004" ||
		got.at("results.1.features.part") != "null" {
		t.Errorf("several: %s", got.Body)
	}

	// What cannot be.
	for text, where := range map[string]string{"hour,movie_id,event_timestamp\nsoon,1,2024-03-09\n": "line 2, column 1 (hour)", "movie_id,event_timestamp,hour\n1,2024-03-09,1\n2,2024-03-09,1.5\n": "line 3, column 14 (hour)",
		"movie_id,event_timestamp\n1,2024-03-09\n": "line 1"} {
		if got := w.joinedAs("text/csv", "?features=late:is", []byte(text), 400).Body.String(); !strings.Contains(got, where) || !strings.Contains(got, "int64") {
			t.Errorf("%q: %s", text, got)
		}
	}
	w.post("/api/v1/features/historical", `{"rows":[{"hour":1,"event_timestamp":"2024-03-09"},{"hour":true,"event_timestamp":"2024-03-09"}],"features":["late:is"]}`).problem(400, "rows[1].hour")
	w.post("/api/v1/features/historical", `{"rows":[{"mood":"x","movie_id":1,"event_timestamp":"2024-03-09"}],"features":["asked:told"]}`).problem(400, "rows")
	if got := w.joinedAs(kind, "?features=late:is", file(fields, 1.5), 400).Body.String(); !strings.Contains(got, "rows[0].hour") {
		t.Error(got)
	}
	other := slices.Clone(fields)
	other[0] = arrow.Float64("time")
	if got := w.joinedAs(kind, "?features=late:is", file(other, 1), 400).Body.String(); !strings.Contains(got, "there is no column hour, which the on-demand view late wants") {
		t.Error(got)
	}
	w.get("/api/v1/features/movie/1?features=late:is&request=hour=x").problem(400, "request.hour")
	w.get("/api/v1/features/movie/1?features=late:is&request=hour=1&request=hour=2").problem(400, "request")
	w.get("/api/v1/features/movie/1?features=late:is&request=hour=1&request=mood=x").problem(400, "request.mood")
	w.post("/api/v1/features/batch", `{"entity_type":"movie","entity_ids":["1"],"features":["late:is"]}`).problem(400, "request")
	w.emptied()
}

// TestTrainingSet_RequestData: columns of request data are part of the rows, and so of what a version is.
func TestTrainingSet_RequestData(t *testing.T) {
	w := newFixture(t)
	w.wantsOfRequest()
	const which, rows = "night?features=late:is", "event_timestamp,hour\n2024-03-09,23\n2024-03-09,1\n"
	first := w.versioned(which, rows, 201)
	cut, _ := first["cut"].(string)
	if again := w.versioned(which+"&known_at="+cut, rows, 200); again["identity"] != first["identity"] || again["unchanged"] != true {
		t.Errorf("the same again: %v", again)
	}
	if other := w.versioned(which+"&known_at="+cut, strings.Replace(rows, ",23", ",3", 1), 201); other["entities_hash"] == first["entities_hash"] || other["version"] != 2.0 {
		t.Errorf("another hour: %v", other)
	}
	if got := string(w.get("/api/v1/training-sets/night/1/rows").want(200).Body); got != "event_timestamp,hour,is\n2024-03-09,23,1\n2024-03-09,1,0\n" {
		t.Error(got)
	}
	w.versioned(which, "event_timestamp,user_id\n2024-03-09,1\n", 400)
}
