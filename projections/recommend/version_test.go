package recommend

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// begin is a process that begins now; what it holds is what judges.
func (w *world) begin(t *testing.T) *Service {
	t.Helper()
	s := New(w.views, w.blob)
	t.Cleanup(s.Close)
	return s
}

// judgesBy is the version that an act is judged by.
func (w *world) judgesBy(t *testing.T, s *Service) (name string, number int) {
	t.Helper()
	act := &events.Interaction{UserID: "1", MovieID: "5", Kind: "click"}
	in := &fold.Input{Event: &events.Event{Time: now, Data: act}}
	w.must(fold.Of[*projections.Online](w.views).ReadFor("1", func(m *online.Model, _ streams.Cut) {
		judged, ok := s.Judge(&projections.Learning{Model: m, Input: in, Act: act})
		if !ok || len(judged.Acts) != 1 {
			t.Errorf("nothing is judged: %+v", judged)
		}
		name, number = judged.ModelName, judged.ModelVersion
	}))
	return name, number
}

// However many versions that cannot be had were deployed, and whether a process has just begun or not, the last one that can be had ranks and is judged;
// where there never was one, counting does.
func TestLastGoodVersion(t *testing.T) {
	bad := func(w *world, n int) {
		for i := range n {
			w.deploy("als", w.register("als", "als", []byte(strings.Repeat("no weights", i+1))))
		}
	}
	for name, c := range map[string]struct {
		deploy func(w *world) int // gives the version of popularity that is to rank, 0 for counting
	}{
		"the first is bad":     {func(w *world) int { bad(w, 1); return 0 }},
		"all are bad":          {func(w *world) int { bad(w, 3); return 0 }},
		"more than are tried":  {func(w *world) int { bad(w, lookBackMax+4); return 0 }},
		"one bad after a good": {func(w *world) int { v := w.train("popularity", nil); w.deploy("popularity", v); bad(w, 1); return v }},
		"three bad after a good": {func(w *world) int {
			w.deploy("als", w.train("als", quick))
			v := w.train("popularity", nil)
			w.deploy("popularity", v)
			bad(w, 3)
			return v
		}},
		"bad, good, bad": {func(w *world) int {
			bad(w, 1)
			v := w.train("popularity", nil)
			w.deploy("popularity", v)
			bad(w, 2)
			return v
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := small(t)
			want, model, strategy := c.deploy(w), "popularity", "popularity"
			if want == 0 {
				model, strategy = "", "online"
			}
			for range 2 {
				s := w.begin(t)
				if err := s.Hold(); !fault.Is(err, fault.Corrupt) {
					t.Error("nobody says why the deployed version does not serve:", err)
				}
				if name, number := w.judgesBy(t, s); name != model || number != want {
					t.Errorf("judged by %q %d; want %q %d", name, number, model, want)
				}
				for range 2 { // also once it is known
					res, err := s.Recommend(Request{UserID: "1", K: 5, NowMillis: now.UnixMilli(), Current: true})
					w.must(err)
					if res.ModelName != model || res.ModelVersion != want || res.Strategy != strategy || len(res.Items) != 5 {
						t.Errorf("ranked %+v; want %q %d", res, model, want)
					}
				}
				if err := s.Behind(); !fault.Is(err, fault.Corrupt) {
					t.Error("behind:", err)
				}
				if items, err := s.Near(Version{}, "1", 5); err != nil || len(items) != 5 {
					t.Errorf("%d films like one, %v", len(items), err)
				}
			}
			s := w.begin(t)
			good := w.train("als", quick)
			w.deploy("als", good)
			res, err := s.Recommend(Request{UserID: "1", K: 5, NowMillis: now.UnixMilli(), Current: true})
			w.must(err)
			if res.ModelName != "als" || res.ModelVersion != good || s.Behind() != nil || s.Ready() != nil {
				t.Errorf("once a good one is deployed: %+v, %v, %v", res, s.Behind(), s.Ready())
			}
		})
	}
}

// While the weights of the last good version are on their way, one before it ranks if it is at hand, and that one as soon as it has come.
func TestLastGoodVersionOnItsWay(t *testing.T) {
	w := small(t)
	older, newer := w.train("popularity", nil), w.train("popularity", map[string]string{"popularity.half_life_days": "3"})
	blobs := map[int]string{}
	onTheirWay := map[string]bool{}
	for _, n := range []int{older, newer} {
		v, _, err := fold.Of[*projections.Registry](w.views).Version("popularity", n)
		w.must(err)
		blobs[n], onTheirWay[v.Blob] = v.Blob, true
		w.deploy("popularity", n)
	}
	w.deploy("als", w.register("als", "als", []byte("no weights")))
	s := w.begin(t)
	s.weights = func(hash string) ([]byte, error) {
		if onTheirWay[hash] {
			return nil, fault.New(fault.Unavailable, "blob %s is not on this node yet", hash)
		}
		return w.blob(hash)
	}
	ask := func() (*Result, error) {
		return s.Recommend(Request{UserID: "1", K: 5, NowMillis: now.UnixMilli(), Current: true})
	}
	if _, err := ask(); !fault.Is(err, fault.Unavailable) {
		t.Error("nothing is at hand:", err)
	}
	for _, want := range []int{older, newer, newer} {
		delete(onTheirWay, blobs[want])
		if res, err := ask(); err != nil || res.ModelName != "popularity" || res.ModelVersion != want {
			t.Errorf("%+v, %v; want version %d", res, err, want)
		}
	}
}

// What serves in place of a bad version is what the ledger says, also where this process has not seen that serve; and it is looked for again.
func TestLastGoodVersionIsLookedForAgain(t *testing.T) {
	w := small(t)
	at := now
	begin := func() *Service {
		s := w.begin(t)
		s.now = func() time.Time { return at }
		return s
	}
	ask := func(s *Service, want string) {
		t.Helper()
		res, err := s.Recommend(Request{UserID: "1", K: 5, NowMillis: now.UnixMilli(), Current: true})
		if err != nil || res.ModelName != want {
			t.Errorf("%+v, %v; want %q", res, err, want)
		}
	}
	first := w.train("popularity", nil)
	w.deploy("popularity", first)
	seen, unreadable := begin(), begin()
	broken := true
	unreadable.weights = func(hash string) ([]byte, error) {
		if broken {
			return nil, fault.New(fault.Internal, "the disk does not read")
		}
		return w.blob(hash)
	}
	ask(seen, "popularity")
	w.deploy("als", w.train("als", quick))
	w.deploy("als", w.register("als", "als", []byte("no weights")))
	ask(seen, "als")
	ask(unreadable, "")
	broken = false
	at = at.Add(time.Hour)
	ask(unreadable, "als")
	ask(seen, "als")
}

// The same weights by another recipe are another version: neither stands for the other, whichever is asked first.
func TestSameWeightsOfTwoRecipes(t *testing.T) {
	w := small(t)
	popular := w.train("popularity", nil)
	v, _, err := fold.Of[*projections.Registry](w.views).Version("popularity", popular)
	w.must(err)
	weights, err := w.blob(v.Blob)
	w.must(err)
	other := w.register("als", "als", weights)
	again := w.register("another", "popularity", weights)
	for _, first := range []string{"popularity", "als"} {
		s := w.begin(t)
		order := []string{"popularity", "als", "another"}
		if first == "als" {
			slices.Reverse(order)
		}
		for _, model := range append(order, order...) {
			res, err := s.RecommendBy(model, map[string]int{"popularity": popular, "als": other, "another": again}[model], Request{UserID: "1", K: 5, NowMillis: now.UnixMilli()})
			switch {
			case model == "als" && !fault.Is(err, fault.Corrupt):
				t.Errorf("als of weights of popularity: %+v, %v", res, err)
			case model != "als" && (err != nil || res.ModelName != model || res.Strategy != "popularity"):
				t.Errorf("%s: %+v, %v", model, res, err)
			}
		}
		if !s.Loaded("popularity", popular) || !s.Loaded("another", again) || s.Loaded("als", other) {
			t.Error("what is at hand is told wrong")
		}
	}
}

// Where the version that predicts ratings cannot be had, the best of the others does, also in a process that has just begun.
func TestLastGoodPredictor(t *testing.T) {
	w := small(t)
	good := w.train("mf", map[string]string{"mf.dim": "2"})
	bad := w.register("mf", "mf", []byte("no weights"))
	w.register("mf", "mf", []byte("none either"))
	for range 2 {
		s := w.begin(t)
		for range 2 {
			got, err := s.Predict(Version{}, "1", []string{"1"})
			if err != nil || got.ModelName != "mf" || got.ModelVersion != good {
				t.Errorf("%+v, %v", got, err)
			}
		}
		if v, err := s.Predictor(); err != nil || v != (Version{"mf", good}) {
			t.Errorf("%+v, %v", v, err)
		}
		if _, err := s.Predict(Version{"mf", bad}, "1", []string{"1"}); !fault.Is(err, fault.Corrupt) {
			t.Error("one that is named:", err)
		}
	}
}
