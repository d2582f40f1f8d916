package hybrid

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
)

// real reads a published data set, or skips loudly.
func real(t *testing.T, name string) Input {
	t.Helper()
	path := os.Getenv("PROJECTIONIST_TEST_DATA")
	if path == "" {
		path = "../../../shared/data"
	}
	path += "/" + name
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: no real data in %s (set PROJECTIONIST_TEST_DATA)", path)
	}
	set, err := dataset.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	content := map[string]Content{}
	for m, err := range set.Movies(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		content[m.ID] = Content{m.Genres, m.Year}
	}
	in := Input{Data: &ml.Dataset{}, Content: func(id string) Content { return content[id] }}
	users, items := map[string]int32{}, map[string]int32{}
	number := func(m map[string]int32, names *[]string, id string) int32 {
		if i, ok := m[id]; ok {
			return i
		}
		m[id] = int32(len(m))
		*names = append(*names, id)
		return m[id]
	}
	for r, err := range set.SortedRatings(context.Background(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		sig := online.NewSignal(online.KindRating, r.Rating)
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: number(users, &in.Data.Users, r.UserID), Item: number(items, &in.Data.Items, r.MovieID),
			Time: r.TimeMillis, Rating: float32(r.Rating), Weight: sig.Weight()})
		in.Signals = append(in.Signals, sig)
	}
	return sorted(in)
}

// sorted renumbers items so that Items is in order, as training gets it.
func sorted(in Input) Input {
	rank := make([]int32, len(in.Data.Items))
	order := make([]int32, len(in.Data.Items))
	for i := range order {
		order[i] = int32(i)
	}
	names := in.Data.Items
	sortBy(order, func(a, b int32) bool { return names[a] < names[b] })
	out := make([]string, len(names))
	for r, i := range order {
		rank[i], out[r] = int32(r), names[i]
	}
	in.Data.Items = out
	for i := range in.Data.Samples {
		in.Data.Samples[i].Item = rank[in.Data.Samples[i].Item]
	}
	return in
}

func sortBy(v []int32, less func(a, b int32) bool) {
	for i := 1; i < len(v); i++ { // binary insertion; n is some thousands
		lo, hi := 0, i
		for lo < hi {
			if m := (lo + hi) / 2; less(v[i], v[m]) {
				hi = m
			} else {
				lo = m + 1
			}
		}
		x := v[i]
		copy(v[lo+1:i+1], v[lo:i])
		v[lo] = x
	}
}

// The blend has to beat popularity, and not lose to its own parts by more than noise, on both real sets.
func TestQuality(t *testing.T) {
	for _, name := range []string{"movietweetings-100k", "ml-latest-small"} {
		t.Run(name, func(t *testing.T) {
			in := real(t, name)
			p := DefaultParams()
			p.HoldoutEvents = 250
			rep, err := Evaluate(context.Background(), in, p, Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d moments, weight of the factors %.1f: blend %s; gain on popularity %.4f, p %.4f", rep.Moments, rep.ALSWeight, line(rep.Model), rep.Gain, rep.PValue)
			for _, b := range []string{"popularity", "decayed_popularity", "online", "als"} {
				t.Logf("  %-20s %s", b, line(rep.Baselines[b]))
			}
			if rep.Model["ndcg@10"] <= rep.Baselines["popularity"]["ndcg@10"] {
				t.Errorf("blend %.4f does not beat popularity %.4f", rep.Model["ndcg@10"], rep.Baselines["popularity"]["ndcg@10"])
			}
		})
	}
}

func line(m map[string]float64) string {
	return fmt.Sprintf("hr@10 %.4f ndcg@10 %.4f mrr %.4f coverage %.3f novelty %.2f", m["hr@10"], m["ndcg@10"], m["mrr"], m["coverage@10"], m["novelty@10"])
}

// groups makes people of two tastes who like films of their own half.
func groups(events int) Input {
	rng := rand.New(rand.NewPCG(1, 2))
	in := Input{Data: &ml.Dataset{}, Content: func(id string) Content {
		if id < "20" {
			return Content{[]string{"Drama"}, 1999}
		}
		return Content{[]string{"Comedy"}, 2005}
	}}
	for i := range 20 {
		in.Data.Users = append(in.Data.Users, fmt.Sprintf("u%02d", i))
	}
	for i := range 40 {
		in.Data.Items = append(in.Data.Items, fmt.Sprintf("%02d", i))
	}
	for i := range events {
		u := int32(rng.IntN(20))
		film := int32(rng.IntN(20)) + 20*(u%2)
		sig := online.NewSignal(online.KindRating, 4.5)
		if rng.IntN(4) == 0 {
			sig = online.NewSignal(online.KindRating, 1)
		}
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: u, Item: film, Time: int64(i) * 60_000, Rating: float32(sig.Rating()), Weight: sig.Weight()})
		in.Signals = append(in.Signals, sig)
	}
	return in
}

func small() Params {
	p := DefaultParams()
	p.ALS.Dim, p.ALS.Sweeps = 8, 4
	return p
}

func TestTrainIsReproducible(t *testing.T) {
	train := func(h Hooks) []byte {
		m, err := Train(context.Background(), groups(300), small(), h)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	want := train(Hooks{})
	var saved [][]byte
	if !bytes.Equal(want, train(Hooks{Save: func(c []byte) error { saved = append(saved, c); return nil }})) {
		t.Fatal("saving checkpoints changes the model")
	}
	if len(saved) != 8 {
		t.Fatalf("%d checkpoints of two stages of 4 sweeps", len(saved))
	}
	for i, c := range saved {
		if !bytes.Equal(want, train(Hooks{Resume: c})) {
			t.Errorf("resuming from checkpoint %d gives another model", i)
		}
	}
	m, err := Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Encode()
	if err != nil || !bytes.Equal(want, again) {
		t.Fatal("decoding and encoding changes the bytes", err)
	}
	for cut := range len(want) {
		if _, err := Decode(want[:cut]); err == nil {
			t.Fatalf("a model cut to %d bytes is accepted", cut)
		}
	}
	stop := errors.New("disk full")
	if _, err := Train(context.Background(), groups(300), small(), Hooks{Save: func([]byte) error { return stop }}); !errors.Is(err, stop) {
		t.Fatal("an error of Save is swallowed:", err)
	}
}

func TestRankFollowsTasteAndClicks(t *testing.T) {
	in := groups(300)
	m, err := Train(context.Background(), in, small(), Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	m.ALSWeight = .5
	model := online.New()
	for i, s := range in.Data.Samples {
		model.Add(in.Data.Users[s.User], in.Data.Items[s.Item], s.Time, uint64(i), in.Signals[i])
	}
	r := NewRanker(m, append([]string{"new"}, in.Data.Items...), func(id string) Content {
		if id == "new" {
			return Content{[]string{"Comedy"}, 2005}
		}
		return in.Content(id)
	})
	now := int64(300 * 60_000)
	model.Add("x", "00", now, 1, online.NewSignal(online.KindLike, 0))
	model.Add("y", "39", now, 2, online.NewSignal(online.KindLike, 0))
	half := func(user string) (low int) {
		for _, it := range r.Rank(model, user, now, 5) {
			if it.ID < "20" {
				low++
			}
			if it.ID == "00" && user == "x" || it.ID == "39" && user == "y" {
				t.Errorf("%s is recommended %s, which they have met", user, it.ID)
			}
		}
		return low
	}
	if x, y := half("x"), half("y"); x < 4 || y > 1 {
		t.Fatalf("of 5 films, %d of the first half for one of the first, %d for one of the second", x, y)
	}
	list := r.Rank(model, "x", now, 3)
	for i, why := range r.Explain(model, "x", now, list, true) {
		if len(why) == 0 || why[0].ID != "00" {
			t.Errorf("%s is explained by %v, not by the one film of the history", list[i].ID, why)
		}
	}
	if all := r.Rank(model, "stranger", now, 100); len(all) != 41 {
		t.Fatalf("a stranger is offered %d films of 41", len(all))
	}
	if none := NewRanker(nil, nil, in.Content).Rank(model, "x", now, 10); len(none) != 0 {
		t.Fatal(none)
	}
}

func TestPaired(t *testing.T) {
	if mean, p := paired([]float64{0, 1, 2, 3}); mean != 1.5 || math.Abs(p-.0514) > .0005 {
		t.Fatalf("mean %v p %v; by hand 1.5 and P(t₃ > 1.5/(1.29099/2)) = .0514", mean, p)
	}
	if _, p := paired([]float64{1}); p != 1 {
		t.Fatal(p)
	}
	if _, p := paired([]float64{0, 0, 0}); p != 1 {
		t.Fatal(p)
	}
}

// The smallest worlds still train and rank.
func TestOnePersonOneFilm(t *testing.T) {
	in := Input{Content: func(string) Content { return Content{} },
		Data:    &ml.Dataset{Users: []string{"1"}, Items: []string{"1"}, Samples: []ml.Sample{{Time: 1, Rating: 5, Weight: 1}}},
		Signals: []online.Signal{online.NewSignal(online.KindRating, 5)}}
	m, err := Train(context.Background(), in, small(), Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if m, err = Decode(b); err != nil {
		t.Fatal(err)
	}
	model := online.New()
	model.Add("1", "1", 1, 1, in.Signals[0])
	r := NewRanker(m, in.Data.Items, in.Content)
	if got := r.Rank(model, "1", 2, 10); len(got) != 0 {
		t.Fatal("the only film is recommended to who has met it", got)
	}
	if got := r.Rank(model, "2", 2, 10); len(got) != 1 || got[0].ID != "1" {
		t.Fatal(got)
	}
	rep, err := Evaluate(context.Background(), in, small(), Hooks{})
	if err != nil || rep.Moments > 1 {
		t.Fatal(rep, err)
	}
}
