package feast_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
)

// pass lets time go on, until the test's end.
func pass(t *testing.T, d time.Duration) {
	was := now
	now = now.Add(d)
	t.Cleanup(func() { now = was })
}

// define puts definitions in force.
func (w *fixture) define(text string) {
	w.T.Helper()
	defs, err := features.Parse([]byte(text))
	w.Must(err)
	w.Do(&commands.DefineFeatures{Definitions: text, Hash: defs.Hash()})
}

// views is a definitions file with one view of films.
func views(of string) string {
	return "entities: [{name: movie, join_key: movie_id}, {name: user, join_key: user_id}]\nfeature_views: [{name: m, entity: movie, features: [" + of + "]}]"
}

// values are those of the features in an answer, the join keys left out.
func (w *fixture) values(path, body string) string {
	w.T.Helper()
	code, got := w.ask("POST", path, body)
	if code != 200 {
		return fmt.Sprint(code, " ", got)
	}
	var v struct {
		Results []struct {
			Values   []json.RawMessage
			Statuses []string
		}
		Metadata struct {
			Names []string `json:"feature_names"`
		}
	}
	w.Must(json.Unmarshal([]byte(got), &v))
	var out []string
	for i, r := range v.Results {
		if name := v.Metadata.Names[i]; name != "movie_id" && name != "user_id" {
			out = append(out, fmt.Sprintf("%s %s %s", name, r.Values[0], r.Statuses[0]))
		}
	}
	return strings.Join(out, ", ")
}

// TestPast: below /at/MOMENT every read is what it was then, by the definitions of then, and nothing is written.
func TestPast(t *testing.T) {
	w := newFixture(t, "")
	w.define(views("{name: n, aggregation: count}, {name: week, aggregation: count, window: 7d}"))
	w.Do(&commands.ListMovie{Movie: events.Movie{MovieID: "1", Title: "Lamp"}, Dataset: "test"})
	click := func(user string) {
		w.Publish(&commands.RecordInteraction{Interaction: events.Interaction{UserID: user, MovieID: "1", Kind: "click", Timestamp: now.Add(-time.Minute).Format(time.RFC3339)}})
	}
	push := func(score string) {
		if code, got := w.ask("POST", "/push", scores("online", [3]string{"1", now.Format(time.RFC3339), score})); code != 200 {
			t.Fatalf("%d %s", code, got)
		}
	}
	click("1")
	before := now.Format(time.RFC3339)
	pass(t, time.Hour)
	w.declare()
	push("2")
	click("2")
	then := now.Format(time.RFC3339)
	pass(t, 30*24*time.Hour)
	click("3")
	push("3")
	w.define(views("{name: n, aggregation: active_days}, {name: late, aggregation: count}"))
	w.Do(&commands.DeleteFeatureView{FeatureViewDeleted: events.FeatureViewDeleted{View: "scores", Project: "judge"}})

	body := func(refs string) string { return `{"entities":{"movie_id":[1]},"features":[` + refs + `]}` }
	for _, c := range []struct{ at, refs, want string }{
		{"", `"m:n","m:late"`, "n 2 PRESENT, late 3 PRESENT"},
		{"/at/" + then, `"m:n","m:week","scores:score"`, "n 2 PRESENT, week 2 PRESENT, score 2.0 PRESENT"},
		{"/at/" + before, `"m:n","m:week"`, "n 1 PRESENT, week 1 PRESENT"},
		{"/at/" + before, `"scores:score"`, `404 "{\"module\":\"feast.errors\",\"class\":\"FeatureViewNotFoundException\",\"message\":\"Feature view scores does not exist in project projectionist\"}"`},
		{"/at/" + then, `"m:late"`, `404 "{\"module\":\"feast.errors\",\"class\":\"FeastObjectNotFoundException\",\"message\":\"Feature late not found in projection m\"}"`},
		{"/at/mlops-events/0:1", `"m:n"`, "n null NOT_FOUND"},
		{"/at/2020-01-01", `"m:n"`, `404 "{\"module\":\"feast.errors\",\"class\":\"FeatureViewNotFoundException\",\"message\":\"Feature view m does not exist in project projectionist\"}"`},
		{"", `"scores:score"`, `404 "{\"module\":\"feast.errors\",\"class\":\"FeatureViewNotFoundException\",\"message\":\"Feature view scores does not exist in project projectionist\"}"`},
	} {
		if got := strings.TrimSpace(w.values(c.at+online, body(c.refs))); got != c.want {
			t.Errorf("%s %s:\n%s\nwant\n%s", c.at, c.refs, got, c.want)
		}
	}
	// A service of then, and a week later: the window has gone on, what is known has not.
	if got, want := w.values("/at/"+then+online, `{"entities":{"movie_id":[1]},"feature_service":"both"}`), `Feature rating_count`; !strings.HasPrefix(got, `404`) {
		t.Errorf("a service whose view there was not: %s, want %s", got, want)
	}
	// The body says the two times, too.
	for _, c := range []struct{ more, refs, want string }{
		{`"known_at":"` + then + `"`, `"m:n","m:week","scores:score"`, "n 2 PRESENT, week 2 PRESENT, score 2.0 PRESENT"},
		{`"known_at":"` + then + `","as_of":"` + before + `"`, `"m:n"`, "n 1 PRESENT"},
		{`"as_of":"` + then + `"`, `"m:n","m:week","scores:score"`, "n 2 PRESENT, week 2 PRESENT, score 2.0 PRESENT"},
		{`"as_of":"2013-01-01"`, `"m:late"`, "late 0 PRESENT"}, // nobody had defined it, so it is what is defined now
		{`"as_of":null,"known_at":null`, `"m:n"`, "n 2 PRESENT"},
		{`"as_of":"soon"`, `"m:n"`, `422 {"detail":[{"type":"value_error","loc":["body","as_of"],"msg":"Value error, is \"soon\"; want a time such as 2024-01-15T10:30:00Z, a date, or Unix seconds or milliseconds","input":null}]}`},
		{`"known_at":7`, `"m:n"`, `422 {"detail":[{"type":"string_type","loc":["body","known_at"],"msg":"Input should be a valid string","input":7}]}`},
	} {
		if got := strings.TrimSpace(w.values(online, body(c.refs)[:len(body(c.refs))-1]+","+c.more+"}")); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.more, got, c.want)
		}
	}
	if got := w.values("/at/"+then+online, `{"entities":{"movie_id":[1]},"features":["m:n"],"known_at":"`+then+`"}`); !strings.HasPrefix(got, `422 {"detail":[{"type":"value_error","loc":["body","known_at"]`) {
		t.Errorf("both times: %s", got)
	}
	// Nothing is written, and it is said as Feast says it.
	head := w.Head()
	for _, path := range []string{"/push", "/write-to-online-store", "/materialize", "/materialize-incremental"} {
		code, got := w.ask("POST", "/at/"+then+path, `{}`)
		if code != 403 || !strings.HasPrefix(got, `"{\"module\":\"feast.errors\",\"class\":\"FeastPermissionError\",\"message\":\"Permission error:\\nthis is what was known at `+then) || !strings.Contains(got, "leave out /at/"+then) {
			t.Errorf("%s: %d %s", path, code, got)
		}
	}
	if w.Head() != head {
		t.Error("something was written")
	}
	if code, got := w.ask("GET", "/at/"+then+"/health", ""); code != 200 || got != "" {
		t.Errorf("health: %d %s", code, got)
	}
	if a := w.page("/at/" + then + "/"); !strings.Contains(a, "scores_push") || !strings.Contains(a, "week") || strings.Contains(a, "late") {
		t.Errorf("the page of then: %.2000s", a)
	}
	if code, got := w.ask("POST", "/at/2099-01-01"+online, `{}`); code != 422 || !strings.Contains(got, "still to come") {
		t.Errorf("the future: %d %s", code, got)
	}
}

func (w *fixture) page(path string) string {
	w.T.Helper()
	a := apitest.Ask(w.server, "GET", path, "")
	if a.Code != 200 {
		w.T.Fatalf("%s: %d %s", path, a.Code, a.Text)
	}
	return a.Text
}

// TestPastIsWhatWasServed: whatever was served is served again at its position, to the bit, though much has come since.
func TestPastIsWhatWasServed(t *testing.T) {
	w := newFixture(t, features.DefaultYAML())
	w.declare()
	const body = `{"entities":{"movie_id":[1,2],"user_id":[1,2]},"features":["movie_features:rating","movie_features:popularity","movie_features:recency_days","movie_features:title","scores:score","user_features:age","user_features:genre_preference"]}`
	var was, at []string
	for i := range 12 {
		pass(t, 37*time.Hour)
		stamp := now.Add(-time.Hour).Format(time.RFC3339)
		switch i % 4 {
		case 0:
			w.Publish(&commands.RecordInteraction{Interaction: events.Interaction{UserID: fmt.Sprint(i%3 + 1), MovieID: "1", Kind: "rating", Rating: float64(i%5) + 1, Timestamp: stamp}})
		case 1:
			w.ask("POST", "/push", scores("online", [3]string{"1", stamp, fmt.Sprint(i, ".5")}))
		case 2:
			w.Do(&commands.ListMovie{Movie: events.Movie{MovieID: "1", Title: fmt.Sprint("Lamp ", i), Genres: []string{"War"}}, Dataset: "test"})
		case 3:
			w.Do(&commands.DescribeUser{User: events.User{UserID: "1", Age: 34 + i}, Since: stamp})
		}
		code, got := w.ask("POST", online, body)
		if code != 200 {
			t.Fatalf("%d %s", code, got)
		}
		was, at = append(was, got), append(at, now.Format(time.RFC3339))
	}
	pass(t, 1000*time.Hour)
	for i := range was {
		if code, got := w.ask("POST", "/at/"+at[i]+online, body); code != 200 || got != was[i] {
			t.Errorf("at %s: %d\n%s\nwas\n%s", at[i], code, got, was[i])
		}
	}
	// A position's time is the record's own.
	if code, got := w.ask("POST", "/at/mlops-events/0@"+fmt.Sprint(w.Head()-1)+online, body); code != 200 || !strings.Contains(got, `"Lamp 10"`) {
		t.Errorf("%d %s", code, got)
	}
}

// TestVersions: each change of a view is a version, which stays to be read.
func TestVersions(t *testing.T) {
	w := newFixture(t, "")
	w.define(views("{name: n, aggregation: count}"))
	w.Do(&commands.ListMovie{Movie: events.Movie{MovieID: "1", Title: "Lamp"}, Dataset: "test"})
	w.Publish(&commands.RecordInteraction{Interaction: events.Interaction{UserID: "1", MovieID: "1", Kind: "click", Timestamp: "2024-05-31T12:00:00Z"}},
		&commands.RecordInteraction{Interaction: events.Interaction{UserID: "2", MovieID: "1", Kind: "rating", Rating: 4, Timestamp: "2024-05-31T12:00:00Z"}})
	w.declare()
	first := w.Head() - 1
	w.define(views("{name: n, aggregation: count, description: the same}")) // no change
	w.define(views("{name: n, aggregation: rating_count}, {name: d, aggregation: decayed_count, half_life: 3d}"))
	w.define(views("{name: n, aggregation: count}"))
	w.ask("POST", "/push", scores("online", [3]string{"1", now.Format(time.RFC3339), "2.25"}))
	w.Do(&commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "scores", Entities: []string{"film"}, JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}},
		Features: []events.FeatureField{{Name: "n", Type: "string"}, {Name: "score", Type: "float32"}}, PushSource: "scores_push", FeatureMeta: events.FeatureMeta{Project: "judge"}}})

	read := func(refs string) string {
		return strings.TrimSpace(w.values(online, `{"entities":{"movie_id":[1]},"full_feature_names":true,"features":[`+refs+`]}`))
	}
	for refs, want := range map[string]string{
		`"m:n","m@latest:n"`:                  "422", // one feature twice
		`"m@v1:n","m@v2:n","m@V2:d","m@v3:n"`: "m@v1__n 2 PRESENT, m@v2__n 1 PRESENT, m@v2__d 1.5874010519681996 PRESENT, m@v3__n 2 PRESENT",
		`"m@v1:d"`:                            `404 "{\"module\":\"feast.errors\",\"class\":\"FeastObjectNotFoundException\",\"message\":\"Feature d not found in projection m@v1\"}"`,
		`"m:n","m@v4:n"`:                      `404 "{\"module\":\"feast.errors\",\"class\":\"FeatureViewVersionNotFound\",\"message\":\"Version 4 of feature view m does not exist in project projectionist\"}"`,
		`"m@v0:n"`:                            `404 "{\"module\":\"feast.errors\",\"class\":\"FeatureViewVersionNotFound\",\"message\":\"Version 0 of feature view m does not exist in project projectionist\"}"`,
		`"x@v1:n"`:                            `404 "{\"module\":\"feast.errors\",\"class\":\"FeatureViewNotFoundException\",\"message\":\"Feature view x does not exist in project projectionist\"}"`,
		`"m@2:n"`:                             `404 "{\"module\":\"feast.errors\",\"class\":\"FeatureViewNotFoundException\",\"message\":\"Feature view m@2 does not exist in project projectionist\"}"`,
		`"scores:score","scores@v1:score"`:    "scores__score 2.25 PRESENT, scores@v1__score 2.25 PRESENT",
		`"scores@v1:n","scores@v1:tags","m@v2:n"`: `scores@v1__n 1 PRESENT, scores@v1__tags ["a","b"] PRESENT, m@v2__n 1 PRESENT`,
		`"scores@v2:n"`: "scores@v2__n null NULL_VALUE", // pushed as a number, and now a text
	} {
		if got := read(refs); got != want && !(want == "422" && strings.HasPrefix(got, want)) {
			t.Errorf("%s:\n%s\nwant\n%s", refs, got, want)
		}
	}
	_, got := w.ask("POST", online, `{"entities":{"movie_id":[1]},"full_feature_names":true,"include_feature_view_version_metadata":true,"features":["m:n","m@v2:n","scores:n"]}`)
	if want := `"feature_view_metadata":[{"name":"m","version":3},{"name":"m","version":2},{"name":"scores","version":2}]`; !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	// What came later is not known at a moment.
	past := fmt.Sprintf("/at/mlops-events/0@%d", first)
	if code, got := w.ask("POST", past+online, `{"entities":{"movie_id":[1]},"features":["m@v2:n"]}`); code != 404 || !strings.Contains(got, "FeatureViewVersionNotFound") {
		t.Errorf("%d %s", code, got)
	}
	if got := w.values(past+online, `{"entities":{"movie_id":[1]},"features":["m@v1:n"]}`); got != "n 2 PRESENT" {
		t.Error(got)
	}
}

const onDemandFile = `
entities: [{name: movie, join_key: movie_id}, {name: user, join_key: user_id}]
feature_views:
  - {name: m, entity: movie, features: [{name: rating, aggregation: mean}, {name: n, aggregation: count}, {name: title, aggregation: attribute, of: title}]}
  - {name: u, entity: user, features: [{name: age, aggregation: attribute, of: age}]}
external_views:
  - {name: critics, entity: movie, features: [{name: score, type: float32}, {name: good, type: bool}]}
on_demand_views:
  - name: fit
    inputs: {rating: "m:rating", age: "u:age", score: "critics:score", good: "critics:good", title: "m:title"}
    request: {hour: int64, mood: string}
    features:
      - {name: gap, type: float64, expression: "rating - coalesce(score, 3)"}
      - {name: late, type: int64, expression: "if(hour >= 22 or hour < 5, age, 0)"}
      - {name: what, type: string, expression: "if(good and mood == 'sad', title, 'nothing')"}
  - {name: plain, inputs: {n: "m:n"}, features: [{name: many, type: int64, expression: "if(n > 0, 1, 0)"}]}
feature_services: [{name: mixed, features: [m, "plain:many"]}]
`

// TestOnDemand: features that are expressions over others and over what the request says.
func TestOnDemand(t *testing.T) {
	w := newFixture(t, "")
	w.define(onDemandFile)
	w.Do(&commands.ListMovie{Movie: events.Movie{MovieID: "1", Title: "Lamp"}, Dataset: "test"})
	w.Do(&commands.DescribeUser{User: events.User{UserID: "1", Age: 34}})
	w.Publish(&commands.RecordInteraction{Interaction: events.Interaction{UserID: "1", MovieID: "1", Kind: "rating", Rating: 4.5, Timestamp: "2024-05-31T12:00:00Z"}})
	read := func(at, refs, more string) string {
		return strings.TrimSpace(w.values(at+online, `{"entities":{"movie_id":[1],"user_id":[1]`+more+`},"features":[`+refs+`]}`))
	}
	const said = `,"hour":[23],"mood":["sad"]`
	if got, want := read("", `"fit:gap","fit:late","fit:what","m:rating"`, said), "gap 1.5 PRESENT, late 34 PRESENT, what null NULL_VALUE, rating 4.5 PRESENT"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	before := now.Format(time.RFC3339)
	pass(t, time.Hour)
	if code, got := w.ask("POST", "/push", `{"push_source_name":"critics_push","df":{"movie_id":[1],"score":[2],"good":[true],"event_timestamp":["2024-06-01T11:00:00Z"]}}`); code != 200 {
		t.Fatal(code, got)
	}
	for _, c := range []struct{ at, refs, more, want string }{
		{"", `"fit:gap","fit:late","fit:what"`, `,"hour":["5"],"mood":["sad"]`, "gap 2.5 PRESENT, late 0 PRESENT, what \"Lamp\" PRESENT"},
		{"", `"fit:late","fit:what"`, `,"hour":[null],"mood":[null]`, "late null NULL_VALUE, what null NULL_VALUE"},
		{"/at/" + before, `"fit:gap"`, said, "gap 1.5 PRESENT"},
		{"", `"plain:many"`, "", "many 1 PRESENT"},
		{"", `"plain@v1:many","m@v1:n"`, "", "many 1 PRESENT, n 1 PRESENT"},
		{"", `"plain:few"`, "", `404 "{\"module\":\"feast.errors\",\"class\":\"FeastObjectNotFoundException\",\"message\":\"Feature few not found in projection plain\"}"`},
		{"", `"fit:gap"`, `,"mood":["sad"]`, `404 "{\"module\":\"feast.errors\",\"class\":\"RequestDataNotFoundInEntityRowsException\",\"message\":\"Required request data source features ['hour'] not found in the entity rows, but required by feature views\"}"`},
		{"", `"fit:gap"`, `,"hour":["soon"],"mood":["sad"]`, `422 {"detail":[{"type":"value_error","loc":["body","entities","hour",0],"msg":"Value error, want a value of type int64","input":"soon"}]}`},
	} {
		if got := read(c.at, c.refs, c.more); got != c.want {
			t.Errorf("%s %s:\n%s\nwant\n%s", c.at, c.refs, got, c.want)
		}
	}
	_, got := w.ask("POST", online, `{"entities":{"movie_id":[9]},"features":["plain:many"]}`)
	if !strings.Contains(got, `{"values": [null], "statuses": ["NOT_FOUND"], "event_timestamps": ["1970-01-01T00:00:00Z"]}`) {
		t.Errorf("of nobody: %s", got)
	}
	if code, got := w.ask("POST", online, `{"entities":{"movie_id":[1]},"feature_service":"mixed"}`); code != 200 || strings.Join(namesOf(t, got), " ") != "movie_id rating n title many" {
		t.Errorf("a service: %d %s", code, got)
	}
	if code, got := w.ask("POST", online, `{"entities":{"movie_id":[1],"hour":[1],"mood":["x"]},"features":["fit:gap"]}`); code != 422 || !strings.Contains(got, "Missing join key values for keys: ['user_id']") {
		t.Errorf("an entity that an input needs: %d %s", code, got)
	}
	if a := w.page("/"); !strings.Contains(a, "rating - coalesce(score, 3)") || !strings.Contains(a, "hour (int64)") {
		t.Error("the page does not have the expressions")
	}
}
