package feast_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/streams"
)

// declare applies a view of pushed values of films, which expire after two hours.
func (w *fixture) declare() {
	w.Do(&commands.ApplyFeatureEntity{FeatureEntityApplied: events.FeatureEntityApplied{Entity: "film", JoinKey: "movie_id", Type: "int64", FeatureMeta: events.FeatureMeta{Project: "judge"}}})
	w.Do(&commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "scores", Entities: []string{"film"}, JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}},
		Features:  []events.FeatureField{{Name: "score", Type: "float64"}, {Name: "n", Type: "int64"}, {Name: "tags", Type: "string_list"}},
		TTLMillis: 7_200_000, PushSource: "scores_push", TimeColumn: "event_timestamp", CreatedIn: "made", FeatureMeta: events.FeatureMeta{Project: "judge"}}})
	w.Do(&commands.ApplyFeatureService{FeatureServiceApplied: events.FeatureServiceApplied{Service: "both", Features: []string{"scores:score", "movie_features:rating_count"}, FeatureMeta: events.FeatureMeta{Project: "judge"}}})
}

// scores are rows of that view: film, time, score.
func scores(to string, rows ...[3]string) string {
	var ids, at, score, n []string
	for _, r := range rows {
		ids, at, score, n = append(ids, r[0]), append(at, `"`+r[1]+`"`), append(score, r[2]), append(n, "1.0")
	}
	list := func(all []string) string { return "[" + strings.Join(all, ",") + "]" }
	return fmt.Sprintf(`{"push_source_name":"scores_push","to":%q,"df":{"movie_id":%s,"event_timestamp":%s,"score":%s,"n":%s,"tags":[%s]}}`, to, list(ids), list(at), list(score), list(n),
		strings.TrimSuffix(strings.Repeat(`["a","b"],`, len(rows)), ","))
}

func (w *fixture) scores(features, ids string) string {
	w.T.Helper()
	code, got := w.ask("POST", online, `{"entities":{"movie_id":`+ids+`},"features":[`+features+`]}`)
	if code != 200 {
		w.T.Fatalf("%d %s", code, got)
	}
	var v struct {
		Results []struct {
			Values   []json.RawMessage
			Statuses []string
			Times    []string `json:"event_timestamps"`
		}
	}
	w.Must(json.Unmarshal([]byte(got), &v))
	var out []string
	for _, r := range v.Results[1:] {
		for i := range r.Values {
			out = append(out, string(r.Values[i])+" "+r.Statuses[i]+" "+strings.TrimPrefix(r.Times[i], "2024-06-01T"))
		}
	}
	return strings.Join(out, ", ")
}

// TestPush_CreatedIsAFeature: a column "created" that is a feature, of one of the views that are pushed to, is not when values were computed.
func TestPush_CreatedIsAFeature(t *testing.T) {
	w := newFixture(t, features.DefaultYAML())
	for view, feature := range map[string]string{"made": "created", "other": "n"} {
		w.Do(&commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: view, Entities: []string{"film"}, JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}},
			Features: []events.FeatureField{{Name: feature, Type: "int64"}}, PushSource: "both", FeatureMeta: events.FeatureMeta{Project: "judge"}}})
	}
	if code, got := w.ask("POST", "/push", `{"push_source_name":"both","df":{"movie_id":[1],"created":[7],"n":[8],"event_timestamp":["2024-06-01T11:00:00Z"]},"to":"online"}`); code != 200 {
		t.Fatalf("%d %q", code, got)
	}
	if got, want := w.scores(`"made:created","other:n"`, "[1]"), "7 PRESENT 11:00:00Z, 8 PRESENT 11:00:00Z"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestPush: what is pushed is served as soon as the push is answered; the newest event time counts, however late it comes.
func TestPush(t *testing.T) {
	w := newFixture(t, features.DefaultYAML())
	w.declare()
	const never = "1970-01-01T00:00:00Z"
	push := func(to string, rows ...[3]string) {
		t.Helper()
		if code, got := w.ask("POST", "/push", scores(to, rows...)); code != 200 || got != "" {
			t.Fatalf("%d %q", code, got)
		}
	}
	if got, want := w.scores(`"scores:score"`, "[1]"), "null NOT_FOUND "+never; got != want {
		t.Errorf("before: %s, want %s", got, want)
	}
	push("online", [3]string{"1", "2024-06-01T11:00:00+00:00", "2"}, [3]string{"2", "2024-06-01 12:30:00+02:00", "null"}, [3]string{"3", "2024-06-01T09:59:59.999", "4.5"})
	if got, want := w.scores(`"scores:score","scores:n","scores:tags"`, `[1, "movie_2", 3]`), "2.0 PRESENT 11:00:00Z, null NULL_VALUE 10:30:00Z, null OUTSIDE_MAX_AGE 09:59:59.999Z, "+
		"1 PRESENT 11:00:00Z, 1 PRESENT 10:30:00Z, null OUTSIDE_MAX_AGE 09:59:59.999Z, "+`["a","b"] PRESENT 11:00:00Z, ["a","b"] PRESENT 10:30:00Z, null OUTSIDE_MAX_AGE 09:59:59.999Z`; got != want {
		t.Errorf("after:\n%s\nwant\n%s", got, want)
	}
	push("online", [3]string{"1", "2024-06-01T10:00:00Z", "7"}) // older, later
	push("offline", [3]string{"1", "2024-06-01T11:59:00Z", "8"})
	if got, want := w.scores(`"scores:score"`, "[1]"), "2.0 PRESENT 11:00:00Z"; got != want {
		t.Errorf("an older row, and one for training: %s, want %s", got, want)
	}
	push("online_and_offline", [3]string{"1", "2024-06-01T11:00:00Z", "9"}) // of the same time
	push("online", [3]string{"1", "2024-06-01T18:00:00Z", "10"})            // of the future, which is not yet
	if got, want := w.scores(`"scores:score"`, "[1]"), "9.0 PRESENT 11:00:00Z"; got != want {
		t.Errorf("a row of the same time: %s, want %s", got, want)
	}
	// Beside what is computed, by a service; and written by the view's name.
	code, got := w.ask("POST", online, `{"entities":{"film":[1]},"feature_service":"both","full_feature_names":true}`)
	if names := namesOf(t, got); code != 200 || strings.Join(names, " ") != "movie_id scores__score movie_features__rating_count" || !strings.Contains(got, `[9.0]`) || !strings.Contains(got, `"values": [1], "statuses": ["PRESENT"], "event_timestamps": ["2024-05-31`) {
		t.Errorf("a service: %d %s", code, got)
	}
	code, got = w.ask("POST", "/write-to-online-store", `{"feature_view_name":"scores","df":{"movie_id":[5],"score":[0.5],"n":[null],"tags":[[]],"event_timestamp":["2024-06-01T11:30:00"],"created":[null]},"allow_registry_cache":false}`)
	if code != 200 || got != "null\n" {
		t.Errorf("write-to-online-store: %d %q", code, got)
	}
	if got, want := w.scores(`"scores:score","scores:n","scores:tags"`, "[5]"), "0.5 PRESENT 11:30:00Z, null NULL_VALUE 11:30:00Z, [] PRESENT 11:30:00Z"; got != want {
		t.Errorf("written: %s, want %s", got, want)
	}
	if code, got := w.ask("GET", "/", ""); code != 200 || !strings.Contains(got, "scores_push") {
		t.Errorf("the page: %d", code)
	}
}

// TestPushMany: thousands of rows in one request, in all partitions, each read again.
func TestPushMany(t *testing.T) {
	w := newFixture(t, features.DefaultYAML())
	w.declare()
	var rows [][3]string
	for i := range 2500 {
		rows = append(rows, [3]string{fmt.Sprint(i), "2024-06-01T11:00:00Z", fmt.Sprintf("%d.25", i)})
	}
	if code, got := w.ask("POST", "/push", scores("online", rows...)); code != 200 {
		t.Fatalf("%d %.300s", code, got)
	}
	if got, want := w.scores(`"scores:score"`, "[0, 1234, 2499]"), "0.25 PRESENT 11:00:00Z, 1234.25 PRESENT 11:00:00Z, 2499.25 PRESENT 11:00:00Z"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestDeclaredInTheFile: a view of pushed values of the program's own definitions file.
func TestDeclaredInTheFile(t *testing.T) {
	w := newFixture(t, strings.Replace(features.DefaultYAML(), "\nfeature_views:", "\nexternal_views: [{name: critics, entity: movie, features: [{name: word, type: string}]}]\nfeature_views:", 1))
	if code, got := w.ask("POST", "/push", `{"push_source_name":"critics_push","df":{"movie_id":["movie_007"],"word":["dull"],"event_timestamp":["2013-01-01T00:00:00Z"]}}`); code != 200 {
		t.Fatalf("%d %s", code, got)
	}
	if got, want := w.scores(`"critics:word"`, "[7]"), `"dull" PRESENT 2013-01-01T00:00:00Z`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestOfNoEntity: a view of no entity has one row, which is everybody's.
func TestOfNoEntity(t *testing.T) {
	w := newFixture(t, features.DefaultYAML())
	w.Do(&commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "weather", Entities: []string{"__dummy"}, JoinKeys: []events.FeatureField{{Name: "__dummy_id", Type: "string"}},
		Features: []events.FeatureField{{Name: "rain", Type: "bool"}}, PushSource: "weather_push", FeatureMeta: events.FeatureMeta{Project: "judge"}}})
	if code, got := w.ask("POST", "/push", `{"push_source_name":"weather_push","df":{"rain":[true],"event_timestamp":["2024-06-01T11:00:00Z"]}}`); code != 200 {
		t.Fatalf("%d %s", code, got)
	}
	if got, want := w.scores(`"weather:rain"`, "[1, 2]"), "true PRESENT 11:00:00Z, true PRESENT 11:00:00Z"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestPushRefusals: all that is wrong with a body is told, and none of it is in the log.
func TestPushRefusals(t *testing.T) {
	w := newFixture(t, features.DefaultYAML())
	w.declare()
	head := func() (n int64) {
		for _, tp := range []int32{0, 1, 2} {
			m, err := w.Log.Feed().Head(t.Context(), streams.TP{Topic: events.FeatureValuesTopic, Partition: tp}, time.Time{})
			w.Must(err)
			n += m
		}
		return n
	}
	good := scores("online", [3]string{"1", "2024-06-01T11:00:00Z", "2"})
	with := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for _, c := range []struct {
		path       string
		status     int
		body, want string
	}{
		{"/push", 422, with(`scores_push`, `nope`), `"{\"module\":\"feast.errors\",\"class\":\"PushSourceNotFoundException\",\"message\":\"Unable to find push source 'nope'.\"}"`},
		{"/push", 422, with(`"online"`, `"nowhere"`), `"nowhere is not a supported push format. Please specify one of these ['online', 'offline', 'online_and_offline']."`},
		{"/push", 422, `{}`, `{"detail":[{"type":"missing","loc":["body","push_source_name"],"msg":"Field required","input":{}},{"type":"missing","loc":["body","df"],`},
		{"/push", 422, `[]`, `{"detail":[{"type":"model_attributes_type","loc":["body"],`},
		{"/push", 422, with(`[2]`, `["two"]`), `{"detail":[{"type":"value_error","loc":["body","df","score",0],"msg":"Value error, want a value of type float64","input":"two"}]}`},
		{"/push", 422, with(`[2]`, `[2,3]`), `{"detail":[{"type":"value_error","loc":["body","df","score"],"msg":"Value error, the column has 2 values, others have 1","input":null}]}`},
		{"/push", 422, with(`"score"`, `"rank"`), `{"detail":[{"type":"missing","loc":["body","df","score"],"msg":"Field required: feature view scores has the column score","input":null}]}`},
		{"/push", 422, with(`"event_timestamp"`, `"when"`), `{"detail":[{"type":"missing","loc":["body","df","event_timestamp"],`},
		{"/push", 422, with(`2024-06-01T11:00:00Z`, `soon`), `{"detail":[{"type":"value_error","loc":["body","df","event_timestamp",0],"msg":"Value error, `},
		{"/push", 422, with(`2024-06-01`, `2024-06-09`), `{"detail":[{"type":"value_error","loc":["body","df",0],"msg":"Value error, timestamp: `},
		{"/push", 422, with(`"movie_id":[1]`, `"movie_id":["x"]`), `{"detail":[{"type":"value_error","loc":["body","df","movie_id",0],"msg":"Value error, \"x\" is no whole number"`},
		{"/push", 422, with(`"movie_id":[1]`, `"movie_id":[null]`), `{"detail":[{"type":"value_error","loc":["body","df","movie_id",0],"msg":"Value error, a join key is null: the values are nobody's"`},
		{"/push", 422, `{"push_source_name":"scores_push","df":{"movie_id":[` + strings.Repeat("1,", 20_000) + `1]}}`, `{"detail":[{"type":"too_long","loc":["body","df"],"msg":"20001 rows; one request may bring at most 20000","input":null}]}`},
		{"/write-to-online-store", 404, `{"feature_view_name":"nope","df":{"movie_id":[1]}}`, `"{\"module\":\"feast.errors\",\"class\":\"FeastObjectNotFoundException\",\"message\":\"Can't recognize feast object with a name nope\"}"`},
		{"/write-to-online-store", 422, `{"feature_view_name":"movie_features","df":{"movie_id":[1]}}`, `"{\"module\":\"feast.errors\",\"class\":\"FeastError\",\"message\":\"The values of feature view movie_features are computed`},
		{"/materialize", 404, `{"start_ts":"2024-01-01T00:00:00Z","end_ts":"2024-02-01T00:00:00Z","feature_views":["nope"]}`, `"{\"module\":\"feast.errors\",\"class\":\"FeatureViewNotFoundException\"`},
		{"/materialize", 422, `{"feature_views":["scores"]}`, `"start_ts and end_ts are required when disable_event_timestamp is False"`},
		{"/materialize", 422, `{"start_ts":"2024-02-01T00:00:00Z","end_ts":"2024-01-01T00:00:00Z"}`, `"start_ts (2024-02-01T00:00:00Z) must be before end_ts`},
		{"/materialize-incremental", 422, `{}`, `{"detail":[{"type":"missing","loc":["body","end_ts"],"msg":"Field required","input":{}}]}`},
		{"/materialize", 200, `{"disable_event_timestamp":true}`, `{"status":"completed","message":"nothing is to be materialized`},
		{"/materialize-incremental?async=true", 202, `{"end_ts":"2024-02-01T00:00:00","feature_views":["scores"]}`, `{"status":"accepted","message":"nothing`},
	} {
		if code, got := w.ask("POST", c.path, c.body); code != c.status || !strings.HasPrefix(strings.TrimSpace(got), c.want) {
			t.Errorf("%s %.150s\n%d %.400s\nwant\n%d %s", c.path, c.body, code, got, c.status, c.want)
		}
	}
	if n := head(); n != 0 {
		t.Errorf("%d rows were written by what was refused", n)
	}
}
