package recommend

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Before each act is learned its film stands where the list that was asked for just before has it, of equal scores last; and by popularity where
// counting finds it.
func TestJudge(t *testing.T) {
	w := newWorld(t)
	w.fill(80, 40, 1500)
	w.deploy("als", w.train("als", map[string]string{"als.dim": "4", "als.sweeps": "2"}))
	w.forceBlend(.7)
	nothing := &projections.Learning{Input: &fold.Input{Event: &events.Event{}}, Act: &events.Interaction{}}
	if _, ok := w.service.Judge(nothing); ok {
		t.Fatal("judged before anything was at hand")
	}
	hidden := []string{"3", "7"} // are on no list, and stand before nobody
	for _, id := range hidden {
		w.dispatch(&commands.HideMovie{MovieID: id, Reason: "no licence"})
	}
	w.must(w.service.Hold())
	type judged struct {
		out events.QualityJudged
		ok  bool
	}
	got := make(chan judged, 1)
	fold.Of[*projections.Online](w.views).Watch(func(l *projections.Learning) {
		out, ok := w.service.Judge(l)
		got <- judged{out, ok}
	})
	rng, met, first := rand.New(rand.NewPCG(5, 6)), 0, 0
	for range 120 {
		user, film := strconv.Itoa(1+rng.IntN(45)), strconv.Itoa(1+rng.IntN(80)) // some are strangers
		list := w.recommend(user, 100)                                           // at now
		popular := 1                                                             // the place by popularity, counted anew
		w.must(fold.Of[*projections.Online](w.views).ReadFor(user, func(m *online.Model, _ streams.Cut) {
			mine := m.Stats(film).Counted
			for _, it := range list.Items {
				if it.MovieID != film && m.Stats(it.MovieID).Counted >= mine {
					popular++
				}
			}
		}))
		p, err := w.dispatcher.Publish(t.Context(), []commands.Fact{&commands.RecordInteraction{Interaction: events.Interaction{UserID: user, MovieID: film, Kind: "click", Timestamp: events.FormatTime(now)}}}, handlers.Meta{})
		w.must(err)
		w.folded(p.Positions[0])
		j := <-got
		if slices.Contains(hidden, film) {
			if j.ok {
				t.Errorf("film %s is hidden, and judged: %+v", film, j.out)
			}
			continue
		}
		if !j.ok || j.out.ModelName != "als" || j.out.ModelVersion != list.ModelVersion || j.out.Sources[0] != events.SourceServed || j.out.Acts[0].Films != 78 {
			t.Fatalf("judged %+v", j)
		}
		at := slices.Index(list.ids(), film)
		if at < 0 {
			met++ // it is not offered, and who judges does not ask
			continue
		}
		want := 1
		for i, it := range list.Items {
			if i != at && it.Score >= list.Items[at].Score {
				want++
			}
		}
		if rank := j.out.Acts[0].Ranks[0]; rank != want {
			t.Errorf("%s's film %s had rank %d, the list has it at %d", user, film, rank, want)
		}
		if rank := j.out.Acts[0].Ranks[slices.Index(j.out.Sources, "popularity")]; rank != popular {
			t.Errorf("film %s had rank %d by popularity, want %d", film, rank, popular)
		}
		if first++; len(j.out.Sources) < 4 || !slices.Contains(j.out.Sources, "popularity") || !slices.Contains(j.out.Sources, "decayed_popularity") {
			t.Fatalf("ranked by %v", j.out.Sources)
		}
	}
	p, err := w.dispatcher.Publish(t.Context(), []commands.Fact{&commands.RecordInteraction{Interaction: events.Interaction{UserID: "1", MovieID: "of no catalogue", Kind: "click", Timestamp: events.FormatTime(now)}}}, handlers.Meta{})
	w.must(err)
	w.folded(p.Positions[0])
	if j := <-got; !j.ok || slices.Max(j.out.Acts[0].Ranks) != 0 {
		t.Errorf("a film that the catalogue does not have is ranked: %+v", j)
	}
	// What is deployed judges from then on: not before it is at hand, and what served goes on where it cannot be had.
	act := func(model string, number int, ok bool) {
		t.Helper()
		p, err := w.dispatcher.Publish(t.Context(), []commands.Fact{&commands.RecordInteraction{Interaction: events.Interaction{UserID: "1", MovieID: "5", Kind: "click", Timestamp: events.FormatTime(now)}}}, handlers.Meta{})
		w.must(err)
		w.folded(p.Positions[0])
		if j := <-got; j.ok != ok || ok && (j.out.ModelName != model || j.out.ModelVersion != number) {
			t.Errorf("judged (%t) by %s %d, want (%t) %s %d", j.ok, j.out.ModelName, j.out.ModelVersion, ok, model, number)
		}
	}
	popular := w.train("popularity", nil)
	w.deploy("popularity", popular)
	act("", 0, false)
	w.must(w.service.Hold())
	act("popularity", popular, true)
	bad := w.register("als", "als", []byte("no weights"))
	w.deploy("als", bad)
	if err := w.service.Hold(); err == nil {
		t.Error("weights that are none are at hand")
	}
	act("popularity", popular, true)
	if first < 40 || met < 5 {
		t.Errorf("%d acts are of films that were offered, %d of others", first, met)
	}
}
