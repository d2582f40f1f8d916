package v1_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

const setRows = "user_id,movie_id,event_timestamp,label\n3,3,2024-06-02,a\n3,9999,2024-03-08,b\n,3,2024-06-02,c\n"

func (w *fixture) versioned(path, rows string, status int) map[string]any {
	w.t.Helper()
	out := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(w.t.Context(), "POST", "/api/v1/training-sets/"+path, strings.NewReader(rows))
	r.Host = "localhost:8000"
	r.Header.Set("Content-Type", "text/csv")
	w.server.ServeHTTP(out, r)
	if out.Code != status {
		w.t.Fatalf("%s: %d, want %d: %s", path, out.Code, status, out.Body)
	}
	v := map[string]any{}
	if err := json.Unmarshal(out.Body.Bytes(), &v); err != nil {
		w.t.Fatal(err)
	}
	return v
}

// TestTrainingSets: what a version is follows from its definitions, rows and cut, and it is what the join says.
func TestTrainingSets(t *testing.T) {
	w := newFixture(t)
	const which = "?features=movie_features:rating_count,user_features:interaction_count"
	first := w.versioned("ranking"+which, setRows, 201)
	cut, _ := first["cut"].(string)
	if first["version"] != 1.0 || first["rows"] != 3.0 || cut == "" || first["unchanged"] != nil {
		t.Fatal(first)
	}
	joined := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/api/v1/features/historical"+which, strings.NewReader(setRows))
	r.Host = "localhost:8000"
	r.Header.Set("Content-Type", "text/csv")
	w.server.ServeHTTP(joined, r)
	if rows := w.get("/api/v1/training-sets/ranking/1/rows").want(200); string(rows.Body) != joined.Body.String() || !strings.Contains(string(rows.Body), ",label,") {
		t.Errorf("rows:\n%s\njoined:\n%s", rows.Body, joined.Body)
	}

	w.post("/api/v1/feedback", `{"user_id":"3","movie_id":"3","rating":5,"timestamp":"2024-05-01T00:00:00Z"}`)
	if again := w.versioned("ranking"+which+"&known_at="+cut, setRows, 200); again["version"] != 1.0 || again["unchanged"] != true || again["blob"] != first["blob"] {
		t.Errorf("the same again: %v", again)
	}
	if other := w.versioned("other"+which+"&known_at="+cut, setRows, 201); other["version"] != 1.0 || other["blob"] != first["blob"] || other["identity"] != first["identity"] {
		t.Errorf("the same under another name: %v", other)
	}
	if second := w.versioned("ranking"+which, setRows, 201); second["version"] != 2.0 || second["blob"] == first["blob"] {
		t.Errorf("later: %v", second)
	}
	if third := w.versioned("ranking?features=movie_features:rating_count", strings.Replace(setRows, ",b\n", ",d\n", 1), 201); third["version"] != 3.0 {
		t.Errorf("of other rows: %v", third)
	}

	var d struct {
		SameDefinitions, SameEntities, SameCut, SameRows bool
		RowsCompared, RowsChanged                        int64
		ValuesChanged                                    map[string]int64
		ColumnsRemoved                                   []string
	}
	diff := func(path string) {
		t.Helper()
		text := strings.NewReplacer("same_d", "samed", "same_e", "samee", "same_c", "samec", "same_r", "samer", "rows_c", "rowsc", "values_c", "valuesc", "columns_r", "columnsr").
			Replace(string(w.get("/api/v1/training-sets/ranking/" + path).want(200).Body))
		d.ValuesChanged, d.ColumnsRemoved = nil, nil
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
	}
	if diff("1/diff/2"); !d.SameDefinitions || !d.SameEntities || d.SameCut || d.SameRows || d.RowsCompared != 3 || d.RowsChanged != 2 || d.ValuesChanged["rating_count"] != 2 || d.ValuesChanged["interaction_count"] != 1 {
		t.Errorf("1 and 2: %+v", d)
	}
	if diff("2/diff/latest"); !d.SameDefinitions || d.SameEntities || d.RowsCompared != 0 || len(d.ColumnsRemoved) != 1 {
		t.Errorf("2 and 3: %+v", d)
	}
	if diff("1/diff/1"); !d.SameRows || !d.SameCut || d.RowsChanged != 0 || d.RowsCompared != 3 {
		t.Errorf("1 and 1: %+v", d)
	}
	if list := w.get("/api/v1/training-sets").want(200); strings.Count(string(list.Body), `"identity"`) != 2 {
		t.Errorf("%s", list.Body)
	}
	if list := w.get("/api/v1/training-sets/ranking?limit=2").want(200); strings.Index(string(list.Body), `"version":3`) > strings.Index(string(list.Body), `"version":2`) || !strings.Contains(string(list.Body), `"version":2`) {
		t.Errorf("%s", list.Body)
	}
	w.get("/api/v1/training-sets/nope").want(404)
	w.get("/api/v1/training-sets/ranking/9").want(404)
	w.get("/api/v1/training-sets/ranking/x").want(400)
	w.get("/api/v1/training-sets/ranking/1/diff/9").want(404)
	w.versioned("a%2Fb"+which, setRows, 400)
	w.versioned("x"+which, "user_id\n1\n", 400)
	w.versioned("x"+which+"&known_at=never", setRows, 400)
	w.post("/api/v1/training-sets/x", `{}`).want(400)
	w.emptied()
}

// TestTrainingSet_Versions: a set may read versions of views, which are part of what it is then, and says which views it read, for lineage.
func TestTrainingSet_Versions(t *testing.T) {
	w := newFixture(t)
	const rows = "movie_id,event_timestamp\n3,2024-06-02\n1,2024-06-02\n"
	views := func(set map[string]any) string { return fmt.Sprint(set["feature_views"]) }
	first := w.versioned("a?features=movie_features:popularity", rows, 201)
	// What names no version is what it was before versions could be named.
	b, err := json.Marshal([]any{first["features_hash"], first["entities_hash"], first["cut"], first["columns"], false, false})
	w.must(err)
	if sum := sha256.Sum256(b); first["identity"] != hex.EncodeToString(sum[:]) || first["references"] != nil {
		t.Errorf("the identity is another: %v", first)
	}
	hash := func(version string) string {
		return w.get("/api/v1/features/views/movie_features/versions/" + version).want(200).at("hash")
	}
	if got := views(first); got != "[map[feature_view:movie_features hash:"+hash("1")+" version:1]]" {
		t.Error(got)
	}
	w.post("/api/v1/features/definitions", strings.Replace(strings.Replace(w.definitions(), "half_life: 30d", "half_life: 3d", 1), "\nfeature_views:", `
on_demand_views:
  - {name: twice, inputs: {p: "movie_features:popularity"}, features: [{name: popularity, type: float64, expression: p * 2}]}
feature_views:`, 1)).want(200)
	now := w.versioned("a?features=movie_features:popularity", rows, 201)
	cut, _ := now["cut"].(string)
	at := "&known_at=" + cut
	then := w.versioned("a?features=movie_features@v1:popularity"+at, rows, 201)
	if then["version"] != 3.0 || then["blob"] != first["blob"] || then["blob"] == now["blob"] || then["features_hash"] != now["features_hash"] || then["identity"] == now["identity"] || views(then) != views(first) {
		t.Errorf("version 1 of the view:\n%v\nbefore\n%v\nnow\n%v", then, first, now)
	}
	if again := w.versioned("a?features=movie_features@V1:popularity"+at, rows, 200); again["unchanged"] != true || again["version"] != 3.0 {
		t.Errorf("again: %v", again)
	}
	// By its number, the view in force is told apart from the same without: what is in force is another at another cut.
	if v := w.versioned("a?features=movie_features@v2:popularity"+at, rows, 201); v["blob"] != now["blob"] || v["identity"] == now["identity"] {
		t.Errorf("version 2: %v", v)
	}
	if v := w.versioned("a?features=movie_features@latest:popularity"+at, rows, 200); v["version"] != now["version"] {
		t.Errorf("the latest: %v", v)
	}
	if v := w.versioned("b?features=twice:popularity,movie_features@v1:rating,movie_features@v2:title"+at, rows, 201); fmt.Sprint(v["references"]) != "[twice:popularity movie_features@v1:rating movie_features@v2:title]" ||
		strings.Count(views(v), "feature_view:") != 3 || strings.Count(views(v), hash("2")) != 1 {
		t.Errorf("of several: %v", v)
	}
	if d := string(w.get("/api/v1/training-sets/a/2/diff/3").want(200).Body); !strings.Contains(d, `"same_definitions":false`) || !strings.Contains(d, `"values_changed":{"popularity":`) {
		t.Error(d)
	}
	if s := string(w.get("/api/v1/features/statistics?against=a@3&view=movie_features").problem(400, "against").Detail); !strings.Contains(s, "none of these") {
		t.Error(s)
	}
	// A version that came later than the cut is none there.
	w.versioned("a?features=movie_features@v2:popularity&known_at="+fmt.Sprint(first["cut"]), rows, 404)
	w.versioned("a?features=movie_features@v9:popularity", rows, 404)

	upstream := string(w.get("/api/v1/lineage?node=training-set/a/3").want(200).Body)
	if !strings.Contains(upstream, "feature-view/movie_features/"+hash("1")) || strings.Contains(upstream, hash("2")) {
		t.Errorf("upstream: %s", upstream)
	}
	downstream := string(w.get("/api/v1/lineage?direction=downstream&node=feature-view/movie_features@v1").want(200).Body)
	for node, is := range map[string]bool{"a/1": true, "a/2": false, "a/3": true, "a/4": false, "b/1": true} {
		if strings.Contains(downstream, `"training-set/`+node+`"`) != is {
			t.Errorf("%s downstream: %s", node, downstream)
		}
	}
	w.emptied()
}
