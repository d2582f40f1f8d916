package v1_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/ml/features"
)

type told struct {
	Views []struct {
		View            string
		Entities, Found int64
		Sampled         int
		Features        []struct {
			Feature, Type string
			Count, Nulls  int64
			Numbers       *struct {
				Min, Max, Mean float64
				Quantiles      map[string]float64
				Distinct       int64
			}
			Words *struct {
				Distinct int64
				Top      []struct {
					Value string
					Count int64
				}
			}
			Drift *struct {
				JS, PSI   float64
				KS        *float64
				Drifted   bool
				TooFew    bool `json:"too_few"`
				Reference struct{ Rows, Nulls int64 }
			}
		}
	}
	Against struct {
		Version, Compared, Drifted int
		SameDefinitions            bool `json:"same_definitions"`
	}
}

// TestFeatureStatistics: the figures are those of the values that are read one by one, of views that are computed and pushed.
func TestFeatureStatistics(t *testing.T) {
	w := newFixture(t)
	var v told
	w.get("/api/v1/features/statistics?view=movie_features").want(200).into(&v)
	if len(v.Views) != 1 || v.Views[0].Entities != testMovies || v.Views[0].Found != testMovies {
		t.Fatalf("%+v", v)
	}
	for _, f := range v.Views[0].Features {
		n, sum, least, most := int64(0), 0., math.Inf(1), math.Inf(-1)
		words := map[string]int64{}
		for m := 1; m <= testMovies; m++ {
			text := w.get(fmt.Sprintf("/api/v1/features/movie/%d", m)).want(200).at("features." + f.Feature)
			if text == "null" {
				continue
			}
			n++
			x, err := strconv.ParseFloat(text, 64)
			if f.Numbers == nil {
				words[strings.Trim(text, `["]`)]++
				continue
			}
			w.must(err)
			sum, least, most = sum+x, min(least, x), max(most, x)
		}
		switch {
		case f.Count != n || f.Nulls != testMovies-n:
			t.Errorf("%s: %d and %d, want %d", f.Feature, f.Count, f.Nulls, n)
		case f.Numbers != nil && (math.Abs(f.Numbers.Mean-sum/float64(n)) > 1e-9 || f.Numbers.Min != least || f.Numbers.Max != most):
			t.Errorf("%s: %+v, want a mean of %v, from %v to %v", f.Feature, f.Numbers, sum/float64(n), least, most)
		case f.Words != nil && (f.Words.Distinct != int64(len(words)) || f.Words.Top[0].Count != words[f.Words.Top[0].Value]):
			t.Errorf("%s: %+v, want %v", f.Feature, f.Words, words)
		}
	}

	var all told
	w.get("/api/v1/features/statistics").want(200).into(&all)
	if len(all.Views) != 2 || all.Views[1].View != "user_features" || all.Views[1].Found != testUsers {
		t.Errorf("%+v", all.Views)
	}
	var few told
	w.get("/api/v1/features/statistics?view=user_features&features=rating_count&sample=4").want(200).into(&few)
	if few.Views[0].Sampled != 4 || few.Views[0].Entities != testUsers || few.Views[0].Features[0].Count != 4 {
		t.Errorf("%+v", few)
	}
	// As known before anybody had done anything, and as of a time between.
	var then told
	w.get("/api/v1/features/statistics?view=user_features&known_at=mlops-events/0:13").want(200).into(&then)
	if then.Views[0].Found != 0 || then.Views[0].Features[0].Count != 0 {
		t.Errorf("%+v", then.Views[0])
	}
	w.get("/api/v1/features/statistics?view=movie_features&features=interaction_count&as_of=2024-03-01").want(200).into(&then)
	w.get("/api/v1/features/statistics?view=movie_features&features=interaction_count").want(200).into(&few)
	if a, b := then.Views[0].Features[0].Numbers.Mean, few.Views[0].Features[0].Numbers.Mean; a >= b || b*testMovies != testFacts {
		t.Errorf("%v, then %v", a, b)
	}

	text := strings.Replace(features.DefaultYAML(), "\nfeature_views:", "\nexternal_views: [{name: critics, entity: movie, features: [{name: score, type: float64}, {name: tags, type: string_list}]}]\nfeature_views:", 1)
	w.post("/api/v1/features/definitions", text, "Content-Type", "application/yaml").want(200)
	var last string
	for i, values := range []string{`{"score": 2, "tags": ["a", "b"]}`, `{"score": "NaN", "tags": ["a"]}`, `{"score": 4.0}`} {
		last = w.post("/api/v1/log/topics/feature-values/records", fmt.Sprintf(`{"entity_key": "movie_id=%d", "feature_view": "critics", "values": %s, "timestamp": "2024-01-01T00:00:00Z"}`, i, values)).want(200).at("items.0.position")
		w.folded(streamsPosition(t, last)) // each is of a partition of its own, perhaps
	}
	var p told
	w.get("/api/v1/features/statistics?view=critics&after=" + last).want(200).into(&p)
	score, tags := p.Views[0].Features[0], p.Views[0].Features[1]
	if score.Count != 3 || score.Numbers.Mean != 3 || score.Numbers.Distinct != 2 || tags.Count != 2 || tags.Nulls != 1 || tags.Words.Top[0].Value != "a" || tags.Words.Top[0].Count != 2 {
		t.Errorf("%+v %+v", score, tags)
	}
	if text := w.get("/metrics").want(200).Body; !strings.Contains(string(text), `feast_feature_freshness_seconds{feature_view="critics",project="projectionist"}`) ||
		!strings.Contains(string(text), `feast_feature_freshness_seconds{feature_view="movie_features",project="projectionist"}`) {
		t.Error("freshness is not told")
	}

	w.get("/api/v1/features/statistics?view=nope").problem(404, "")
	w.get("/api/v1/features/statistics?features=rating").problem(400, "features")
	w.get("/api/v1/features/statistics?view=movie_features&features=nope").problem(404, "features")
	w.get("/api/v1/features/statistics?view=critics&features=nope").problem(404, "features")
	w.get("/api/v1/features/statistics?sample=0").problem(400, "sample")
}

// TestFeatureDrift: features are compared with the columns of a training set, by the view that they are of.
func TestFeatureDrift(t *testing.T) {
	w := newFixture(t)
	rows := "movie_id,user_id,event_timestamp\n"
	for i := range 240 {
		rows += fmt.Sprintf("%d,%d,2024-06-01T12:00:00Z\n", 1+i%testMovies, 1+i%testUsers)
	}
	w.versioned("now?view=movie_features", rows, 201)
	w.versioned("early?features=movie_features:interaction_count,user_features:age", strings.ReplaceAll(rows, "2024-06-01T12", "2024-02-01T00"), 201)
	w.versioned("full?features=movie_features:rating_count,user_features:rating_count&full_feature_names=true", rows, 201)
	var v told
	w.get("/api/v1/features/statistics?view=movie_features&against=now@1").want(200).into(&v)
	if v.Against.Version != 1 || !v.Against.SameDefinitions || v.Against.Compared != len(v.Views[0].Features) || v.Against.Drifted != 0 {
		t.Errorf("%+v", v.Against)
	}
	for _, f := range v.Views[0].Features {
		if f.Drift == nil || f.Drift.JS > 1e-6 || f.Drift.Reference.Rows != 240 || !f.Drift.TooFew { // twelve films are few
			t.Errorf("%s: %+v", f.Feature, f.Drift)
		}
	}
	v = told{}
	w.get("/api/v1/features/statistics?against=early").want(200).into(&v)
	if d := v.Views[0].Features[3].Drift; v.Against.Compared != 1 || v.Views[0].Features[3].Feature != "interaction_count" || d != nil {
		t.Errorf("two views have interaction_count, and none is said: %+v %+v", v.Against, d)
	}
	w.get("/api/v1/features/statistics?view=movie_features&against=early").want(200).into(&v)
	if d := v.Views[0].Features[3].Drift; d == nil || d.KS == nil || *d.KS != 1 {
		t.Errorf("%+v", d)
	}
	w.get("/api/v1/features/statistics?against=full@latest").want(200).into(&v)
	if v.Against.Compared != 2 {
		t.Errorf("%+v", v.Against)
	}
	for path, field := range map[string]string{"against=nope": "against", "against=now@9": "against", "view=user_features&features=activity_7d&against=now": "against"} {
		status := 404
		if strings.HasPrefix(path, "view") {
			status = 400
		}
		w.get("/api/v1/features/statistics?"+path).problem(status, field)
	}
	w.get("/api/v1/features/statistics?against=now@x").problem(400, "against")
}
