package v1_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
)

// TestCorrectedRating: of two ratings of one film by one person at one moment the later recorded counts, and it alone: in
// features, by whichever way they are read, in lists, and in what models are trained on. Before it was recorded the first did.
func TestCorrectedRating(t *testing.T) {
	const at = "2024-05-20T10:00:00Z"
	feedback := func(w *fixture, stars float64) string {
		w.clock.set(w.clock.Now().Add(time.Hour))
		return w.post("/api/v1/feedback", fmt.Sprintf(`{"user_id":"77","movie_id":"1","rating":%g,"timestamp":%q}`, stars, at)).want(200).at("position")
	}
	read := func(w *fixture, entity, then string) string {
		w.t.Helper()
		return w.get("/api/v1/features/" + entity + "?features=rating_count,rating_mean,interaction_count" + then).want(200).at("features")
	}
	joined := func(w *fixture, known string) string {
		w.t.Helper()
		rows := `{"rows":[{"user_id":"77","movie_id":"1","event_timestamp":"2024-06-01T00:00:00Z"}],"full_feature_names":true,
			"features":["user_features:rating_count","user_features:rating_mean","user_features:interaction_count","movie_features:rating_count","movie_features:rating_mean"]` + known + `}`
		return w.post("/api/v1/features/historical", rows).want(200).at("rows.0")
	}
	history := func(w *fixture, then string) (shown string) {
		w.t.Helper()
		var v struct{ Items []projections.Fact }
		w.get("/api/v1/users/77/history?order=oldest" + then).want(200).into(&v)
		for _, f := range v.Items {
			shown += fmt.Sprintf("%g %v ", f.Rating, f.Superseded)
		}
		return shown
	}
	trained := func(w *fixture, cut streams.Cut) (shown string) {
		w.t.Helper()
		var err error
		if cut == nil {
			cut, err = fold.HeadCut(t.Context(), w.log, time.Time{})
			w.must(err)
		}
		set, err := trainset.Load(t.Context(), w.log, cut, nil)
		w.must(err)
		for _, s := range set.Data.Samples {
			if set.Data.Users[s.User] == "77" {
				shown += fmt.Sprintf("%s %g ", set.Data.Items[s.Item], s.Rating)
			}
		}
		return shown
	}
	lists := func(w *fixture) string {
		w.t.Helper()
		a := w.get("/api/v1/recommendations?user_id=77&k=12&explain=true").want(200)
		return a.at("strategy") + a.at("items") + w.get("/api/v1/recommendations?user_id=78&k=12").want(200).at("items") +
			w.get("/api/v1/movies/2/similar").want(200).at("items")
	}
	for _, stars := range [][2]float64{{2, 4.5}, {4.5, 2}} {
		t.Run(fmt.Sprint(stars), func(t *testing.T) {
			first, second, both := newFixture(t), newFixture(t), newFixture(t)
			feedback(first, stars[0])
			feedback(second, stars[1])
			feedback(both, stars[0])
			before, err := fold.HeadCut(t.Context(), both.log, time.Time{})
			both.must(err)
			then := "&known_at=" + before.String()
			if got, want := read(both, "user/77", ""), read(first, "user/77", ""); got != want {
				t.Errorf("after the first: %s, want %s", got, want)
			}
			position := feedback(both, stars[1])
			if got, want := read(both, "user/77", ""), read(second, "user/77", ""); got != want {
				t.Errorf("at once after the second: %s, want %s", got, want)
			}
			for _, w := range []*fixture{first, second, both} {
				w.clock.set(day0.Add(6 * time.Hour))
				w.post("/api/v1/feedback", `{"user_id":"77","movie_id":"2","interaction_type":"click","timestamp":"2024-05-21T10:00:00Z"}`).want(200)
			}
			for _, entity := range []string{"user/77", "movie/1"} {
				want := read(second, entity, "")
				for _, how := range []string{"", "&as_of=2024-06-02", "&known_at=2030-01-01"} {
					if got := read(both, entity, how); got != want {
						t.Errorf("%s%s: %s, want those of the second rating alone, %s", entity, how, got, want)
					}
				}
				if got, want := read(both, entity, then), read(first, entity, "&as_of=2024-05-20T12:00:00Z"); got != want {
					t.Errorf("%s before the second was recorded: %s, want those of the first alone, %s", entity, got, want)
				}
			}
			if got, want := joined(both, ""), joined(second, ""); got != want {
				t.Errorf("joined: %s, want %s", got, want)
			}
			for _, known := range []string{`,"known_at":"` + before.String() + `"`, `,"known_at":"2024-06-01T13:30:00Z"`} {
				if got, want := joined(both, known), joined(first, `,"known_at":"2024-06-01T13:30:00Z"`); got != want {
					t.Errorf("joined before%s: %s, want %s", known, got, want)
				}
			}
			if got, want := history(both, ""), fmt.Sprintf("%g true %g false 0 false ", stars[0], stars[1]); got != want {
				t.Errorf("the history shows %s, want %s", got, want)
			}
			if got, want := history(both, then), fmt.Sprintf("%g false ", stars[0]); got != want {
				t.Errorf("the history before shows %s, want %s", got, want)
			}
			if got, want := history(both, "&known_at="+position), fmt.Sprintf("%g true %g false ", stars[0], stars[1]); got != want {
				t.Errorf("the history just after shows %s, want %s", got, want)
			}
			if got, want := lists(both), lists(second); got != want {
				t.Errorf("lists are\n%s, want those of the second rating alone,\n%s", got, want)
			}
			if lists(first) == lists(second) {
				t.Error("either rating alone gives the same lists: the test would see nothing")
			}
			if got, want := trained(both, nil), trained(second, nil); got != want {
				t.Errorf("trained on %s, want %s", got, want)
			}
			if got, want := trained(both, before), fmt.Sprintf("1 %g ", stars[0]); got != want {
				t.Errorf("trained on %s up to before, want %s", got, want)
			}
		})
	}
}
