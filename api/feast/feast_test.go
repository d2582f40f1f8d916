package feast_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/api/feast"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/streams"
)

var now = time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)

// fixture is the surface over a log in memory: two films, the first a drama that person 1, aged 34, has rated 4 a day ago.
type fixture struct {
	*apitest.Bench
	server *api.Server
}

func newFixture(t *testing.T, definitions string) *fixture {
	t.Helper()
	b := apitest.New(t, func() time.Time { return now })
	w := &fixture{b, b.Core.Serve(feast.New(b.Core, feast.Config{Features: featurestore.New(b.Views, b.Log)}))}
	if definitions == "" {
		return w
	}
	defs, err := features.Parse([]byte(definitions))
	w.Must(err)
	w.Do(&commands.DefineFeatures{Definitions: definitions, Hash: defs.Hash()})
	w.Do(&commands.ListMovie{Movie: events.Movie{MovieID: "1", Title: "Lamp \"7\"", Genres: []string{"Drama", "War"}}, Dataset: "test"})
	w.Do(&commands.ListMovie{Movie: events.Movie{MovieID: "2", Title: "Sea"}, Dataset: "test"})
	w.Do(&commands.DescribeUser{User: events.User{UserID: "1", Age: 34}, Since: "2024-01-15T10:30:00.500Z"})
	w.Publish(&commands.RecordInteraction{Interaction: events.Interaction{UserID: "1", MovieID: "1", Kind: "rating", Rating: 4, Timestamp: "2024-05-31T12:00:00Z"}})
	return w
}

func (w *fixture) ask(method, path, body string) (int, string) {
	w.T.Helper()
	a := apitest.Ask(w.server, method, path, body)
	if kind := a.Header.Get("Content-Type"); a.Text != "" && path != "/" && kind != "application/json" {
		w.T.Errorf("%s %s: content type %q", method, path, kind)
	}
	return a.Code, a.Text
}

const online = "/get-online-features"

// TestOnlineFeatures: what the guide asks for, as Feast's client sends it and reads it.
func TestOnlineFeatures(t *testing.T) {
	w := newFixture(t, features.DefaultYAML())
	const none = `"1970-01-01T00:00:00Z"`
	for body, want := range map[string]string{
		`{"entities": {"movie_id": [1, 2], "user_id": [1, 1]}, "full_feature_names": false, "include_feature_view_version_metadata": false,
		  "features": ["movie_features:rating_mean", "movie_features:interaction_count", "user_features:age", "user_features:genre_preference"]}`: `{"results": [` +
			`{"values": [1, 2], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": [` + none + `, ` + none + `]}, ` +
			`{"values": [1, 1], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": [` + none + `, ` + none + `]}, ` +
			`{"values": [4.0, null], "statuses": ["PRESENT", "NULL_VALUE"], "event_timestamps": ["2024-05-31T12:00:00Z", ` + none + `]}, ` +
			`{"values": [1, 0], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": ["2024-05-31T12:00:00Z", ` + none + `]}, ` +
			`{"values": [34, 34], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": ["2024-01-15T10:30:00.500Z", "2024-01-15T10:30:00.500Z"]}, ` +
			`{"values": ["Drama", "Drama"], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": ["2024-05-31T12:00:00Z", "2024-05-31T12:00:00Z"]}` +
			`], "metadata": {"feature_names":["movie_id","user_id","rating_mean","interaction_count","age","genre_preference"]}}`,
		// Ids as text and with leading words, an unknown one, and none; a list; the names in full, and the views.
		`{"entities": {"movie_id": ["movie_001", "9", null, 1.0], "more": [1, 2, 3, 4]}, "full_feature_names": true, "include_feature_view_version_metadata": true,
		  "features": ["movie_features@latest:genre", "movie_features:rating_count"]}`: `{"results": [` +
			`{"values": ["movie_001", "9", null, 1.0], "statuses": ["PRESENT", "PRESENT", "PRESENT", "PRESENT"], "event_timestamps": [` + none + `, ` + none + `, ` + none + `, ` + none + `]}, ` +
			`{"values": [["Drama","War"], null, null, ["Drama","War"]], "statuses": ["PRESENT", "NOT_FOUND", "NOT_FOUND", "PRESENT"], "event_timestamps": ["2024-06-01T12:00:00Z", ` + none + `, ` + none + `, "2024-06-01T12:00:00Z"]}, ` +
			`{"values": [1, null, null, 1], "statuses": ["PRESENT", "NOT_FOUND", "NOT_FOUND", "PRESENT"], "event_timestamps": ["2024-05-31T12:00:00Z", ` + none + `, ` + none + `, "2024-05-31T12:00:00Z"]}` +
			`], "metadata": {"feature_names":["movie_id","movie_features__genre","movie_features__rating_count"],"feature_view_metadata":[{"name":"movie_features","version":1}]}}`,
		// An entity's name for its join key; another view's key is answered.
		`{"entities": {"user_id": [7], "movie": [1]}, "features": ["movie_features:rating_count"]}`: `{"results": [` +
			`{"values": [7], "statuses": ["PRESENT"], "event_timestamps": [` + none + `]}, {"values": [1], "statuses": ["PRESENT"], "event_timestamps": [` + none + `]}, ` +
			`{"values": [1], "statuses": ["PRESENT"], "event_timestamps": ["2024-05-31T12:00:00Z"]}], "metadata": {"feature_names":["user_id","movie_id","rating_count"]}}`,
		`{"entities": {"movie_id": []}, "features": ["movie_features:rating_count"]}`: `{"results": [{"values": [], "statuses": [], "event_timestamps": []}, ` +
			`{"values": [], "statuses": [], "event_timestamps": []}], "metadata": {"feature_names":["movie_id","rating_count"]}}`,
	} {
		code, got := w.ask("POST", online, body)
		if code != 200 || got != want {
			t.Errorf("%s\n%d %s\nwant\n%s", body, code, got, want)
		}
	}
	code, got := w.ask("POST", online, `{"entities": {"movie_id": [1]}, "feature_service": "movie_card"}`)
	if names := namesOf(t, got); code != 200 || strings.Join(names, " ") != "movie_id title year genre rating rating_count popularity" {
		t.Errorf("a service: %d %s", code, got)
	}
	code, got = w.ask("POST", online, `{"entities": {"movie_id": [1], "user_id": [1]}, "feature_service": "ranking", "full_feature_names": true}`)
	if names := namesOf(t, got); code != 200 || len(names) < 90 || !slices.Contains(names, "user_features__age") || !slices.Contains(names, "movie_features__rating") {
		t.Errorf("a service of whole views: %d %.300s", code, got)
	}
	if code, got := w.ask("GET", "/health", ""); code != 200 || got != "" {
		t.Errorf("health: %d %q", code, got)
	}
	code, got = w.ask("GET", "/", "")
	for _, want := range []string{"movie_features", "user_features", "genre_preference", "movie_card", "join key", "string_list", "A film of the catalogue"} {
		if code != 200 || !strings.Contains(got, want) {
			t.Errorf("the page has no %q: %d", want, code)
		}
	}
}

func namesOf(t *testing.T, body string) []string {
	t.Helper()
	var v struct {
		Results  []struct{ Values []any }
		Metadata struct {
			Names []string `json:"feature_names"`
		}
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil || len(v.Results) != len(v.Metadata.Names) {
		t.Fatalf("%v: %d columns, %.300s", err, len(v.Results), body)
	}
	return v.Metadata.Names
}

// TestNothingDefined: before anything is defined there is a page that says so, and no view.
func TestNothingDefined(t *testing.T) {
	w := newFixture(t, "")
	if code, got := w.ask("GET", "/", ""); code != 200 || !strings.Contains(got, "projectionist feast apply") {
		t.Errorf("the page: %d %s", code, got)
	}
	if code, got := w.ask("POST", online, `{"entities": {"movie_id": [1]}, "features": ["movie_features:rating"]}`); code != 404 || !strings.Contains(got, "Feature view movie_features does not exist") {
		t.Errorf("%d %s", code, got)
	}
}

// TestOutsideMaxAge: a value whose newest fact is older than the view's ttl is not served.
func TestOutsideMaxAge(t *testing.T) {
	w := newFixture(t, "entities: [{name: movie, join_key: movie_id}]\nfeature_views: [{name: m, entity: movie, ttl: 1h, features: [{name: n, aggregation: count}]}]")
	code, got := w.ask("POST", online, `{"entities": {"movie_id": [1]}, "features": ["m:n"]}`)
	if code != 200 || !strings.Contains(got, `{"values": [null], "statuses": ["OUTSIDE_MAX_AGE"], "event_timestamps": ["2024-05-31T12:00:00Z"]}`) {
		t.Errorf("%d %s", code, got)
	}
}

// TestDefinitionsChange: what is asked for is resolved by the definitions in force.
func TestDefinitionsChange(t *testing.T) {
	w := newFixture(t, features.DefaultYAML())
	const body = `{"entities": {"movie_id": [1]}, "features": ["movie_features:rating_count"]}`
	if code, got := w.ask("POST", online, body); code != 200 {
		t.Fatalf("%d %s", code, got)
	}
	text := "entities: [{name: movie, join_key: movie_id}]\nfeature_views: [{name: movie_features, entity: movie, features: [{name: n, aggregation: count}]}]"
	defs, err := features.Parse([]byte(text))
	w.Must(err)
	w.Do(&commands.DefineFeatures{Definitions: text, Hash: defs.Hash()})
	if code, got := w.ask("POST", online, body); code != 404 || !strings.Contains(got, "Feature rating_count not found in projection movie_features") {
		t.Errorf("%d %s", code, got)
	}
}

// TestRefusals: what is wrong is refused as Feast's server does, domain errors with 4xx, and leaves nothing in the log.
func TestRefusals(t *testing.T) {
	w := newFixture(t, features.DefaultYAML())
	head := func() int64 {
		n, err := w.Log.Ledger().Head(t.Context(), time.Time{})
		w.Must(err)
		return n
	}
	before := head()
	document := func(class, message string) string {
		inner := fmt.Sprintf(`{"module":"feast.errors","class":"%s","message":"%s"}`, class, message)
		b, err := json.Marshal(inner)
		w.Must(err)
		return string(b)
	}
	const e = `"entities":{"movie_id":[1],"user_id":[1]}`
	for _, c := range []struct {
		status     int
		body, want string
	}{
		{404, `{` + e + `,"features":["nope:rating"]}`, document("FeatureViewNotFoundException", "Feature view nope does not exist in project projectionist")},
		{404, `{` + e + `,"features":["movie_features:nope"]}`, document("FeastObjectNotFoundException", "Feature nope not found in projection movie_features")},
		{404, `{` + e + `,"features":["movie_features@v2:rating"]}`, document("FeatureViewVersionNotFound", "Version 2 of feature view movie_features does not exist in project projectionist")},
		{404, `{` + e + `,"feature_service":"nope"}`, document("FeatureServiceNotFoundException", "Feature service nope does not exist in project projectionist")},
		{422, `{` + e + `,"features":["movie_features:rating_count","user_features:rating_count"]}`, document("FeatureNameCollisionError", `Duplicate features named rating_count found.\nTo resolve this collision, either use the full feature name by setting 'full_feature_names=True', or ensure that the features in question have different names.`)},
		{422, `{` + e + `,"full_feature_names":true,"features":["movie_features:rating","movie_features:rating"]}`, `"{\"module\":\"feast.errors\",\"class\":\"FeatureNameCollisionError\",\"message\":\"Duplicate features named movie_features__rating found.\\nTo resolve this collision, please ensure`},
		{422, `{` + e + `}`, `"No features specified for retrieval"`},
		{422, `{` + e + `,"features":["movie_features"]}`, `"Invalid feature reference 'movie_features'. Expected format: '<feature_view>:<feature>' or '<feature_view>@<version>:<feature>'"`},
		{422, `{"entities":{"movie_id":[1,2],"user_id":[1]},"features":["movie_features:rating"]}`, `"All entity rows must have the same columns."`},
		{422, `{"entities":{},"features":["movie_features:rating"]}`, `"No entities are given: want the values of each join key"`},
		{422, `{"entities":{"user_id":[1]},"features":["movie_features:rating"]}`, `"Missing join key values for keys: ['movie_id']"`},
		// As pydantic says it.
		{422, ``, `{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}`},
		{422, `{`, `{"detail":[{"type":"json_invalid","loc":["body",1],"msg":"JSON decode error","input":{},"ctx":{"error":"unexpected end of JSON input"}}]}`},
		{422, `{"entities":{}} x`, `{"detail":[{"type":"json_invalid","loc":["body",17],`},
		{422, "{\"entities\":{\"movie_id\":[\"\xff\"]}}", `{"detail":[{"type":"json_invalid",`},
		{422, `[]`, `{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[]}]}`},
		{422, `{}`, `{"detail":[{"type":"missing","loc":["body","entities"],"msg":"Field required","input":{}}]}`},
		{422, `{"entities":"x"}`, `{"detail":[{"type":"dict_type","loc":["body","entities"],"msg":"Input should be a valid dictionary","input":"x"}]}`},
		{422, `{"entities":{"a":1}}`, `{"detail":[{"type":"list_type","loc":["body","entities","a"],"msg":"Input should be a valid list","input":1}]}`},
		{422, `{"entities":{"a":[{}]},"features":[1,"x",null]}`, `{"detail":[{"type":"string_type","loc":["body","features",0],"msg":"Input should be a valid string","input":1},{"type":"string_type","loc":["body","features",2],"msg":"Input should be a valid string","input":null}]}`},
		{422, `{"entities":{"a":[1]},"features":null}`, `{"detail":[{"type":"list_type","loc":["body","features"],"msg":"Input should be a valid list","input":null}]}`},
		{422, `{"entities":{"a":[1]},"feature_service":3,"x":1}`, `{"detail":[{"type":"string_type","loc":["body","feature_service"],"msg":"Input should be a valid string","input":3}]}`},
		{422, `{"entities":{"a":[1]},"full_feature_names":"maybe"}`, `{"detail":[{"type":"bool_parsing","loc":["body","full_feature_names"],"msg":"Input should be a valid boolean, unable to interpret input","input":"maybe"}]}`},
		{422, `{"entities":{"a":[1]},"full_feature_names":[]}`, `{"detail":[{"type":"bool_type","loc":["body","full_feature_names"],"msg":"Input should be a valid boolean","input":[]}]}`},
		{422, `{"entities":{"movie_id":[1.5,true]},"features":["movie_features:rating"]}`, `{"detail":[{"type":"value_error","loc":["body","entities","movie_id",0],"msg":"Value error, is 1.5; want a whole number, or a text","input":1.5},{"type":"value_error","loc":["body","entities","movie_id",1],"msg":"Value error, want an id, as a string or a whole number, or null","input":true}]}`},
		// What a request may be at most.
		{422, `{"entities":{"movie_id":[` + strings.Repeat("1,", 50_000) + `1]},"features":["movie_features:rating","movie_features:rating_count"]}`, `{"detail":[{"type":"too_long","loc":["body","entities"],"msg":"2 features of 50001 rows are 100002 values; one request may ask for at most 100000","input":null}]}`},
		{413, `{"entities":{"movie_id":[` + strings.Repeat("1,", 600_000) + `1]}}`, `{"detail":"the body has more than 1048576 bytes; send less at once"}`},
	} {
		code, got := w.ask("POST", online, c.body)
		got = strings.TrimSuffix(got, "\n")
		var v any
		if err := json.Unmarshal([]byte(got), &v); code != c.status || !strings.HasPrefix(got, c.want) || err != nil {
			t.Errorf("%.200s\n%d %.400s\nwant\n%d %s", c.body, code, got, c.status, c.want)
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", online, 405, `{"detail":"Method Not Allowed"}`}, {"GET", "/no-such-thing", 404, `{"detail":"Not Found"}`},
		{"POST", online + "?after=x", 422, `{"detail":[{"type":"value_error","loc":["query","after"],`},
	} {
		if code, got := w.ask(c.method, c.path, "{}"); code != c.status || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %s: %d %s", c.method, c.path, code, got)
		}
	}
	many := `{"entities":{"a":[1]},"features":[` + strings.Repeat("1,", 400) + `1]}`
	if _, got := w.ask("POST", online, many); strings.Count(got, "string_type") != 50 {
		t.Errorf("of 401 faults %d are told", strings.Count(got, "string_type"))
	}
	if after := head(); after != before {
		t.Errorf("%d commits were made by what was refused", after-before)
	}
}

// TestHalted: where a view that features are read from cannot go on, health says so, with an empty body.
func TestHalted(t *testing.T) {
	w := newFixture(t, features.DefaultYAML())
	res, err := w.Log.Ledger().Append(t.Context(), streams.Commit{ID: uuid.NewString(), Stream: "user/9", Expected: streams.NoStream, Events: []events.Event{{ID: uuid.NewString(), Source: "/test", Subject: "user/9", Time: now,
		Data: &events.UserDescribed{User: events.User{UserID: "9", Age: 3}, Since: "soon"}}}})
	w.Must(err)
	if err := w.Views.Wait(t.Context(), res.Position, "users"); err == nil {
		t.Fatal("the view has folded what it cannot")
	}
	if code, got := w.ask("GET", "/health", ""); code != http.StatusServiceUnavailable || got != "" {
		t.Errorf("%d %q", code, got)
	}
}
